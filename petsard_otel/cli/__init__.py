"""The command line: what `petsard-otel` and `python -m petsard_otel` do.

Reading the arguments imports nothing heavy; what a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from petsard_otel.cli.exit_codes import FAILED, INTERRUPTED
from petsard_otel.cli.interrupts import Interrupts
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
Run a PETsARD pipeline, and see where its time went and what each module did to
the schema.
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} run pipeline.yaml
  {PROGRAM} run --help
  {PROGRAM} audit pipeline.yaml
  {PROGRAM} doctor

{_EXIT_CODES}"""

_RUN_DESCRIPTION = """\
Run the pipeline that a YAML file describes, with its progress on stderr. Then
print the timing, the schema changes and the summary; where a module failed,
of all that had finished.
"""

_RUN_EXAMPLES = f"""\
examples:
  {PROGRAM} run pipeline.yaml
  {PROGRAM} run pipeline.yaml --steps --format csv > timing.csv
  {PROGRAM} run pipeline.yaml --endpoint http://localhost:4317

With --format json or csv, stdout holds the timing and nothing else. Without
--endpoint, spans are sent where OTEL_EXPORTER_OTLP_ENDPOINT and the other
OTEL_* variables say, else nowhere. A collector that cannot be reached changes
neither the results nor the exit code. Where spans arrived, the last line is
the URL of the trace: as PETSARD_OTEL_TRACE_URL says, else in a Jaeger here.

{_EXIT_CODES}"""

_AUDIT_DESCRIPTION = """\
Prove that nothing personal leaves: run the pipeline with sentinels planted in
its tables and its configuration, replay it with every module failing on them,
under every exporter, and search every byte that left, in every usual encoding.
"""

_AUDIT_EXAMPLES = f"""\
examples:
  {PROGRAM} audit pipeline.yaml
  {PROGRAM} audit pipeline.yaml --format json > audit.json
  PETSARD_OTEL_FIELD_NAMES=hashed {PROGRAM} audit pipeline.yaml

The pipeline's data are read, and no file of yours is written: what the Reporter
saves goes to a temporary folder. Telemetry goes to this process alone, whatever
the OTEL_* variables say; the PETSARD_OTEL_* variables are in force.

exit codes:
  0    nothing that was planted left
  1    something left, or not everything could be looked at, or a module of the
       pipeline failed
  2    bad configuration, or bad usage
  130  interrupted by Ctrl-C
"""

_DOCTOR_DESCRIPTION = """\
Say what is right and wrong with telemetry in this environment: versions,
variables, the provider in force, and each step of the way to the receiver, as
far as one test span that it accepts. Each thing wrong has its remedy.
"""

_DOCTOR_EXAMPLES = f"""\
examples:
  {PROGRAM} doctor
  {PROGRAM} doctor --endpoint http://localhost:4317
  {PROGRAM} doctor --format json > doctor.json
  opentelemetry-instrument {PROGRAM} doctor

Start it as you start your pipeline: with the same variables, on the same
machine. Nothing is changed, and no header, key or password is shown. The test
span is called `petsard doctor` and has no attributes.

exit codes:
  0    nothing is wrong
  1    something is wrong, or the output could not be written
  2    bad usage
  130  interrupted by Ctrl-C
"""


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
    options = _parser().parse_args(arguments)
    # Imported here, so that --help need not wait for them.
    if options.command == "audit":
        from petsard_otel.cli.audit import audit

        return audit(options, interrupts)
    if options.command == "doctor":
        from petsard_otel.cli.doctor import doctor

        return doctor(options, interrupts)
    from petsard_otel.cli.run import run

    return run(options, interrupts)


class _Parser(argparse.ArgumentParser):
    """Complains of arguments without the passwords that may be in them."""

    def error(self, message: str) -> NoReturn:
        from petsard_otel.telemetry.sending.targets import without_password

        words = [without_password(word) if "://" in word else word for word in message.split(" ")]
        super().error(" ".join(words))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    _add_run(commands)
    _add_audit(commands)
    _add_doctor(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a pipeline, and print its timing, schema changes and summary",
        description=_RUN_DESCRIPTION,
        epilog=_RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("config", type=_path, metavar="CONFIG", help="path of the YAML file")
    run.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="how the timing is printed (default: %(default)s)",
    )
    run.add_argument(
        "--steps", action="store_true", help="add the steps inside the modules to the timing"
    )
    run.add_argument(
        "--engine",
        choices=("auto", "builtin", "petsard"),
        default="auto",
        help="whose modules run: the built-in ones, PETsARD's, or PETsARD's where it is "
        "installed (default: %(default)s)",
    )
    run.add_argument(
        "--endpoint",
        type=_url,
        metavar="URL",
        help="send spans and metrics to this OTLP receiver, such as http://localhost:4317",
    )
    run.add_argument(
        "--protocol",
        choices=("grpc", "http/protobuf"),
        help="how to send (default: http/protobuf for port 4318, else grpc)",
    )
    run.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="write nothing to stderr but warnings and errors",
    )
    run.add_argument(
        "--traceback", action="store_true", help="show where in the code a module failed"
    )


def _add_audit(commands: argparse._SubParsersAction[_Parser]) -> None:
    audit = commands.add_parser(
        "audit",
        help="prove that nothing of a cell's content leaves the process",
        description=_AUDIT_DESCRIPTION,
        epilog=_AUDIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    audit.add_argument("config", type=_path, metavar="CONFIG", help="path of the YAML file")
    audit.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="how the result is printed (default: %(default)s)",
    )
    audit.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="write nothing to stderr but errors",
    )


def _add_doctor(commands: argparse._SubParsersAction[_Parser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is right and wrong with telemetry in this environment",
        description=_DOCTOR_DESCRIPTION,
        epilog=_DOCTOR_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    doctor.add_argument(
        "--endpoint",
        type=_url,
        metavar="URL",
        help="the OTLP receiver to try; else the one that the OTEL_* variables name",
    )
    doctor.add_argument(
        "--protocol",
        choices=("grpc", "http/protobuf"),
        help="how to send (default: http/protobuf for port 4318, else grpc)",
    )
    doctor.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="how it is printed (default: %(default)s)",
    )


def _path(text: str) -> str:
    """Refuse the empty path, which an unset variable of a shell script leaves."""
    if not text:
        raise argparse.ArgumentTypeError("expected the path of a YAML file (found '')")
    return text


def _url(text: str) -> str:
    """Check the URL of a receiver."""
    from petsard_otel.telemetry.sending.targets import found_url, is_web_url

    if not is_web_url(text):
        raise argparse.ArgumentTypeError(
            f"expected a URL such as http://localhost:4317 {found_url(text)}"
        )
    return text
