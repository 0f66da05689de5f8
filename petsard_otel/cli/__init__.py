"""The command line: what `petsard-otel` and `python -m petsard_otel` do.

Reading the arguments imports nothing heavy; what a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from petsard_otel.cli.exit_codes import INTERRUPTED, SUCCESS, UNWRITABLE
from petsard_otel.cli.streams import forgiving_streams
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "petsard-otel"

_EXIT_CODES = """\
exit codes:
  0    the command did what it was asked to
  1    a module of the pipeline failed, or the output could not be written
  2    bad configuration, or bad usage
  130  interrupted by Ctrl-C
"""

_DESCRIPTION = """\
Run a PETsARD pipeline and see where its time went and what each module did to the schema.
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} run pipeline.yaml
  {PROGRAM} run --help

{_EXIT_CODES}"""

_RUN_DESCRIPTION = """\
Run the pipeline that a YAML file describes. Progress goes to stderr; then the timing, the schema
changes and the summary are printed, also where a module failed: of all that had finished.
"""

_RUN_EXAMPLES = f"""\
examples:
  {PROGRAM} run pipeline.yaml
  {PROGRAM} run pipeline.yaml --steps --format csv > timing.csv
  {PROGRAM} run pipeline.yaml --endpoint http://localhost:4317

With --format json or csv, stdout holds the timing and nothing else. Without --endpoint, spans are
sent where OTEL_EXPORTER_OTLP_ENDPOINT and the other OTEL_* variables say, or else nowhere; a
collector that cannot be reached changes neither the results nor the exit code.

{_EXIT_CODES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, and return the exit code. Made to be a process's last call."""
    with forgiving_streams() as streams:
        code = INTERRUPTED
        try:
            code = _run(arguments)
        except KeyboardInterrupt:
            print(f"{PROGRAM}: interrupted", file=sys.stderr)
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else UNWRITABLE
    if threading.current_thread() is threading.main_thread():
        # From here on nothing is left to tidy, so that an interrupt may end the process as it is.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in streams:
        if stream.error is not None and not isinstance(stream.error, BrokenPipeError):
            problem = stream.error.strerror or type(stream.error).__name__
            print(f"{PROGRAM}: error: cannot write the output: {problem}", file=sys.stderr)
            code = code or UNWRITABLE
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    from petsard_otel.cli.run import run

    return run(options)
