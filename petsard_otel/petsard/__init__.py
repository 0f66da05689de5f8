"""Everything that knows PETsARD. Nothing in here imports PETsARD before it is needed."""
