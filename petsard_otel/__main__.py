"""`python -m petsard_otel`: the same as `petsard-otel`."""

import sys

from petsard_otel.cli import main

if __name__ == "__main__":
    sys.exit(main())
