"""The commands about runs that are kept, and their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.cli.arguments import age, count, path, rules, size, url
from petsard_otel.cli.words import PROGRAM, add, add_protocol

if TYPE_CHECKING:
    from petsard_otel.cli.words import Commands, Parser

_EXIT_CODES = """\
exit codes:
  0    the command did what it was asked to
  1    {}
  2    bad usage, or no such run or history
  130  interrupted by Ctrl-C
"""

_RUN = """\
RUN is an id, the beginning of one, `last`, or `last~1` for the one before. The
history is looked for here, in the folders around and below; --history or
PETSARD_OTEL_HISTORY name another."""

_RUN_AND_FORMAT = f"{_RUN} Where stdout is no terminal, JSON is printed.\n"


def _examples(
    *lines: str, failure: str = "the output could not be written", note: str = _RUN_AND_FORMAT
) -> str:
    shown = "".join(f"  {PROGRAM} {line}\n" for line in lines)
    return f"examples:\n{shown}\n{note}\n{_EXIT_CODES.format(failure)}"


def add_history_commands(commands: Commands) -> None:
    """Add them to the parser."""
    _add_runs(commands)
    _add_show(commands)
    _add_timing(commands)
    _add_schema(commands)
    _add_compare(commands)
    _add_export(commands)
    _add_import(commands)
    _add_push(commands)
    _add_prune(commands)


def _add_runs(commands: Commands) -> None:
    runs = add(
        commands,
        "runs",
        "list the runs that are kept",
        "List the runs that are kept, the newest first: when, what, how long, how they\n"
        "ended, and how often a module changed the schema.\n",
        _examples("runs", "runs --name pipeline --limit 5", "runs --format csv > runs.csv"),
    )
    runs.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help="so many at most (default: 20 in a table, else all)",
    )
    runs.add_argument("--name", metavar="NAME", help="those of the pipeline of this name alone")
    _add_common(runs)


def _add_show(commands: Commands) -> None:
    show = add(
        commands,
        "show",
        "show a run: timing, schema changes, summary",
        "Show a run as it was shown when it ended. Of one that was killed: which module\n"
        "was open, since when, when it was last seen, and the memory it had.\n",
        _examples("show last", "show 3f2a --steps", "show last --format json | jq .state"),
    )
    _add_run_argument(show)
    show.add_argument("--steps", action="store_true", help="add the steps inside the modules")
    _add_common(show)


def _add_timing(commands: Commands) -> None:
    timing = add(
        commands,
        "timing",
        "show where the time of a run went",
        "Show where the time of a run went: each module execution, or sums.\n",
        _examples("timing last", "timing last --by module", "timing last --format csv"),
    )
    _add_run_argument(timing)
    timing.add_argument(
        "--by",
        choices=("module", "experiment", "step"),
        help="one row for each module, each experiment of one, or each step inside one",
    )
    timing.add_argument("--steps", action="store_true", help="add the steps inside the modules")
    _add_common(timing)


def _add_schema(commands: Commands) -> None:
    schema = add(
        commands,
        "schema",
        "show what each module of a run did to the schema",
        "Show the schema that went into each module execution, the one that came out,\n"
        "and the difference.\n",
        _examples("schema last", "schema last --module Preprocessor"),
    )
    _add_run_argument(schema)
    schema.add_argument(
        "--module", metavar="MODULE", help="this module alone, with every column of its output"
    )
    _add_common(schema)


def _add_compare(commands: Commands) -> None:
    compare = add(
        commands,
        "compare",
        "compare two runs: time, schema, rows, configuration",
        "Compare run B with run A, execution by execution. How far times differ by chance\n"
        "is learnt from up to 20 earlier runs of the same pipeline.\n",
        _examples(
            "compare last~1 last",
            "compare 3f2a last --fail-on schema,slower=20%,failed",
            failure="a rule of --fail-on is broken, or the output could not be written",
            note=_RUN_AND_FORMAT
            + """
--fail-on takes a list of: schema (an output has another schema), rows (another
number of rows), config (another configuration), failed (B did not complete),
slower=N% (a module execution of B, or all of B, took more than N % longer than
A's, by more than the noise and by more than 50 ms; `slower` alone means 20 %).
""",
        ),
    )
    compare.add_argument("a", metavar="A", help="the run to compare with")
    compare.add_argument("b", metavar="B", help="the run to look at")
    compare.add_argument(
        "--fail-on",
        type=rules,
        metavar="RULES",
        help="exit with 1 where one of these rules is broken",
    )
    _add_common(compare)


def _add_export(commands: Commands) -> None:
    export = add(
        commands,
        "export",
        "write a run as OTLP/JSON, CSV, Parquet or for Perfetto",
        "Write the spans of a run for other programs. The file can be read by its owner\n"
        "alone; what is in it is what would have been sent.\n",
        _examples(
            "export last --format otlp-json > run.jsonl",
            "export last --format perfetto --output run.pftrace",
            "export last --format parquet --output run.parquet",
            note=f"{_RUN}\n",
        ),
    )
    _add_run_argument(export)
    export.add_argument(
        "--format",
        choices=("otlp-json", "csv", "parquet", "perfetto"),
        default="otlp-json",
        help="the format (default: %(default)s)",
    )
    export.add_argument(
        "-o", "--output", type=path, metavar="FILE", help="write to this file (default: stdout)"
    )
    export.add_argument("--force", action="store_true", help="replace the file if it is there")
    _add_history(export)


def _add_import(commands: Commands) -> None:
    found = add(
        commands,
        "import",
        "add runs from OTLP files or from Jaeger to the history",
        "Add the runs that OTLP/JSON lines, OTLP protobuf files or traces in a Jaeger hold\n"
        "to the history. A run that is there already stays as it is.\n",
        _examples(
            "import run.jsonl",
            "import http://localhost:16686/trace/228a7dbec4b7a4552c0b7f47f2098e74",
            failure="something could not be read",
            note="Spans of other programs are passed over. --history PATH is made where it is not\n"
            "there yet.\n",
        ),
    )
    found.add_argument(
        "sources", nargs="+", type=path, metavar="SOURCE", help="a file, or a URL of a Jaeger"
    )
    _add_history(found)


def _add_push(commands: Commands) -> None:
    push = add(
        commands,
        "push",
        "send what no collector has accepted yet",
        "Send the spans that were to be sent and that no collector has accepted, as they\n"
        "were: with their ids and times. Spans of a run that was killed are closed as\n"
        "errors as of when it was last seen.\n",
        _examples(
            "push",
            "push --endpoint http://localhost:4317",
            "push --run last --endpoint http://localhost:4317",
            failure="not everything was accepted",
            note=f"{_RUN}\n",
        ),
    )
    push.add_argument(
        "--run",
        action="append",
        metavar="RUN",
        help="send this run, also where it was not to be sent, or another receiver has it; "
        "may be given several times",
    )
    push.add_argument(
        "--endpoint",
        type=url,
        metavar="URL",
        help="the OTLP receiver; else the one that the OTEL_* variables name",
    )
    add_protocol(push)
    _add_history(push)


def _add_prune(commands: Commands) -> None:
    prune = add(
        commands,
        "prune",
        "remove old runs from the history",
        "Remove the runs that are too old, then the oldest until the rest is small enough.\n"
        "Runs that are under way stay, and so do runs with spans to send.\n",
        _examples(
            "prune --dry-run",
            "prune --max-age 30d",
            "prune --max-size 500MB --unsent",
            note="Ages end in m, h, d or w, sizes in kB, MB or GB.\n",
        ),
    )
    prune.add_argument(
        "--max-age", type=age, metavar="AGE", help="keep runs for so long (default: 90d)"
    )
    prune.add_argument(
        "--max-size", type=size, metavar="SIZE", help="how large it may be (default: 1GB)"
    )
    prune.add_argument("--unsent", action="store_true", help="remove also what is still to be sent")
    prune.add_argument(
        "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
    )
    _add_history(prune)


def _add_run_argument(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="which run")


def _add_common(parser: Parser) -> None:
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        help="how it is printed (default: table in a terminal, else json)",
    )
    _add_history(parser)


def _add_history(parser: Parser) -> None:
    parser.add_argument(
        "--history",
        type=path,
        metavar="PATH",
        help="the database, a folder that has one, or the YAML file that it is beside",
    )
