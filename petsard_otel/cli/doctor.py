"""`petsard-otel doctor`: what is right and wrong with telemetry in this environment."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rich.text import Text

from petsard_otel.cli.consoles import console_on, is_live
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.cli.progress import spinner_of
from petsard_otel.cli.streams import stdout_to_stderr
from petsard_otel.exceptions import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from petsard_otel.cli.interrupts import Interrupts
    from petsard_otel.doctor.findings import Examination


def doctor(options: Namespace, interrupts: Interrupts) -> int:
    """Examine the environment, print what was found, and return the exit code."""
    errors = console_on(sys.stderr)
    try:
        # What an import prints is not what was found.
        with stdout_to_stderr():
            found = _examined(options, interrupts, errors)
    except ConfigError as error:
        Notices(errors).error(str(error))
        return BAD_USAGE
    finally:
        if is_live(errors):
            # An interrupt may strike just where something live has hidden it.
            errors.show_cursor()
    _print(found, options)
    return FAILED if found.problems else SUCCESS


def _examined(options: Namespace, interrupts: Interrupts, console: Console) -> Examination:
    """Examine; on a terminal, say what is going on in one line that goes away."""
    live = (
        console.status(_line("looking at the variables"), spinner=spinner_of(console))
        if is_live(console)
        else None
    )

    def tell(message: str) -> None:
        interrupts.check()
        if live is not None:
            live.update(_line(message))

    with live or nullcontext():
        from petsard_otel.doctor.doctor import examine

        return examine(options.endpoint, options.protocol, tell)


def _print(found: Examination, options: Namespace) -> None:
    from petsard_otel.doctor.report import ExaminationReport, examination_json

    if options.format == "json":
        sys.stdout.write(f"{examination_json(found)}\n")
        return
    console_on(sys.stdout).print(ExaminationReport(found), soft_wrap=True)


def _line(message: str) -> Text:
    return Text(message, style="dim", no_wrap=True, overflow="ellipsis")
