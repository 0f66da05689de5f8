"""The arguments of all commands. Imports nothing heavy: `--help` answers at once."""

from __future__ import annotations

import argparse

from petsard_otel.cli.history_commands import add_history_commands
from petsard_otel.cli.pipeline_commands import add_pipeline_commands
from petsard_otel.cli.words import EXIT_CODES, PROGRAM, Parser
from petsard_otel.version import __version__

_DESCRIPTION = """\
Run a PETsARD pipeline, and see where its time went and what each module did to
the schema, now and later.
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} run pipeline.yaml
  {PROGRAM} run --help
  {PROGRAM} show last
  {PROGRAM} compare last~1 last
  {PROGRAM} audit pipeline.yaml
  {PROGRAM} doctor

{EXIT_CODES}"""


def parser() -> Parser:
    """Make the parser of the whole command line."""
    made = Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = made.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    add_pipeline_commands(commands)
    add_history_commands(commands)
    return made
