"""What the Reporter writes, one file each."""
