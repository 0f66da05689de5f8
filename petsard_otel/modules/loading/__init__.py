"""Reading files, and applying a declared schema to what was read."""
