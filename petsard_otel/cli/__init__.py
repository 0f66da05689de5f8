"""The command line: what `petsard-otel` and `python -m petsard_otel` do.

Reading the arguments imports nothing heavy; what a command needs is imported when it runs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, cast

from petsard_otel.cli.exit_codes import FAILED, INTERRUPTED
from petsard_otel.cli.interrupts import Interrupts
from petsard_otel.cli.parser import parser
from petsard_otel.cli.streams import forgiving_streams
from petsard_otel.cli.words import PROGRAM

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

HOMES = {
    "run": "run",
    "audit": "audit",
    "doctor": "doctor",
    "runs": "looking",
    "show": "looking",
    "timing": "looking",
    "schema": "looking",
    "compare": "comparing",
    "export": "export",
    "import": "importing",
    "push": "push",
    "prune": "prune",
}
"""In which file the function of a command is. It has the command's name, but for `import`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, and return the exit code. Made to be a process's last call."""
    interrupts = Interrupts()
    with forgiving_streams() as streams:
        try:
            code = _run(arguments, interrupts)
        except (Exception, KeyboardInterrupt):
            if not interrupts.has_come:
                raise
            interrupts.end_process()
            sys.stderr.write(f"{PROGRAM}: error: interrupted\n")
            code = INTERRUPTED
        except SystemExit as stopped:
            # How argparse ends after --help, --version and bad usage.
            code = stopped.code if isinstance(stopped.code, int) else FAILED
    interrupts.end_process()
    for stream in streams:
        if stream.error is not None and not isinstance(stream.error, BrokenPipeError):
            problem = stream.error.strerror or type(stream.error).__name__
            sys.stderr.write(f"{PROGRAM}: error: cannot write the output: {problem}\n")
            code = code or FAILED
    return code


def _run(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    options = parser().parse_args(arguments)
    # Imported here, so that --help need not wait for them.
    home = import_module(f"petsard_otel.cli.{HOMES[options.command]}")
    name = "import_runs" if options.command == "import" else options.command
    command = cast("Callable[[Namespace, Interrupts], int]", getattr(home, name))
    return command(options, interrupts)
