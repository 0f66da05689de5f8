"""Runs kept on disk, so that they outlive their process."""
