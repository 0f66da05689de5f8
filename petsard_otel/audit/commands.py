"""Commands of `petsard-otel`, one after the other in one process, each with a file for its output.

Run as a program. It imports first what they all need, and is told later what to run.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib import import_module

PACKAGE = "petsard_otel"

NEEDED = (f"{PACKAGE}.history.reading", f"{PACKAGE}.rebuilding", "pandas", "pyarrow.parquet")
"""What takes long to import."""

_STDOUT, _STDERR = 1, 2


def main() -> None:
    """Run what a line on stdin says, and print the exit code of each command.

    The line is JSON: the arguments of each command, and the path of a file for its output.
    """
    for name in NEEDED:
        import_module(name)
    answers = os.dup(_STDOUT)
    for line in sys.stdin:
        for arguments, output in json.loads(line):
            os.write(answers, b"%d\n" % run(arguments, output))


def run(arguments: list[str], output: str) -> int:
    """Run one command as a shell does it, with everything that it prints in a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    file = os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    for descriptor in (_STDOUT, _STDERR):
        os.dup2(file, descriptor)
    os.close(file)
    sys.argv[1:] = arguments
    try:
        runpy.run_module(PACKAGE, run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
