"""The audit: proves on a user's own pipeline that nothing planted in it leaves the process."""
