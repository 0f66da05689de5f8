"""The commands that run something: `run`, `audit`, `doctor`, and their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.cli.arguments import config_path, path, url
from petsard_otel.cli.words import EXIT_CODES, PROGRAM, add, add_protocol

if TYPE_CHECKING:
    from petsard_otel.cli.words import Commands

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

{EXIT_CODES}"""

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


def add_pipeline_commands(commands: Commands) -> None:
    """Add them to the parser."""
    _add_run(commands)
    _add_audit(commands)
    _add_doctor(commands)


def _add_run(commands: Commands) -> None:
    run = add(
        commands,
        "run",
        "run a pipeline, and print its timing, schema changes and summary",
        _RUN_DESCRIPTION,
        _RUN_EXAMPLES,
    )
    run.add_argument("config", type=config_path, metavar="CONFIG", help="path of the YAML file")
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
        type=url,
        metavar="URL",
        help="send spans and metrics to this OTLP receiver, such as http://localhost:4317",
    )
    add_protocol(run)
    run.add_argument(
        "--history",
        type=path,
        metavar="PATH",
        help="keep the run in this database, or in the one of this folder (default: "
        ".petsard-otel/runs.db beside the YAML file)",
    )
    run.add_argument("--no-history", action="store_true", help="do not keep the run on disk")
    run.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="write nothing to stderr but warnings and errors",
    )
    run.add_argument(
        "--traceback", action="store_true", help="show where in the code a module failed"
    )


def _add_audit(commands: Commands) -> None:
    audit = add(
        commands,
        "audit",
        "prove that nothing of a cell's content leaves the process",
        _AUDIT_DESCRIPTION,
        _AUDIT_EXAMPLES,
    )
    audit.add_argument("config", type=config_path, metavar="CONFIG", help="path of the YAML file")
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


def _add_doctor(commands: Commands) -> None:
    doctor = add(
        commands,
        "doctor",
        "say what is right and wrong with telemetry in this environment",
        _DOCTOR_DESCRIPTION,
        _DOCTOR_EXAMPLES,
    )
    doctor.add_argument(
        "--endpoint",
        type=url,
        metavar="URL",
        help="the OTLP receiver to try; else the one that the OTEL_* variables name",
    )
    add_protocol(doctor)
    doctor.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="how it is printed (default: %(default)s)",
    )
