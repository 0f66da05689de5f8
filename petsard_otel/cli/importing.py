"""`petsard-otel import`: runs from files and from a Jaeger into the history."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from petsard_otel.cli.consoles import console_on
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.exceptions import ConfigError, HistoryError, SourceError

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from petsard_otel.cli.interrupts import Interrupts
    from petsard_otel.history.importing import Imported

MAX_SHOWN = 5
"""How many damaged spans of a source are named."""


def import_runs(options: Namespace, interrupts: Interrupts) -> int:
    """Import source by source, say what came of each, and return the exit code."""
    notices = Notices(console_on(sys.stderr))
    with notices.installed():
        try:
            interrupts.check()
            return _import(options, notices)
        except (ConfigError, HistoryError) as error:
            notices.error(str(error))
            return BAD_USAGE


def _import(options: Namespace, notices: Notices) -> int:
    from petsard_otel.history.importing import import_runs as add
    from petsard_otel.telemetry.otlp.sources import read_messages, shown

    path = _place(options.history)
    code = SUCCESS

    def say_damaged(text: str) -> None:
        nonlocal code
        code = FAILED
        notices.warning(text)

    for source in options.sources:
        try:
            messages = read_messages(source, say_damaged)
        except SourceError as error:
            notices.error(str(error))
            code = FAILED
            continue
        imported = add(path, messages)
        if not _say(shown(source), imported, notices):
            code = FAILED
    return code


def _place(given: str | None) -> Path:
    """Return the history that is meant; one that is named is made where it is not there yet."""
    from petsard_otel.history.place import existing_place, given_place

    return existing_place(None) if given is None else given_place(given)


def _say(source: str, imported: Imported, notices: Notices) -> bool:
    """Say what came of a source; tell whether all of ours in it is in the history now."""
    for run in imported.runs:
        spans = "1 span" if run.spans == 1 else f"{run.spans} spans"
        if run.outcome == "refused":
            notices.warning(f"run {run.run_id} in {source} contradicts itself: {run.problem}")
        elif run.outcome == "there":
            notices.info(f"run {run.run_id} is there already; it stays as it is")
        elif run.outcome == "completed":
            notices.info(f"run {run.run_id} completed: {spans} more")
        else:
            notices.info(f"run {run.run_id} added: {spans}")
    if imported.foreign:
        spans = "1 span" if imported.foreign == 1 else f"{imported.foreign} spans"
        notices.info(f"{spans} of other programs in {source} passed over")
    if imported.problems:
        count = len(imported.problems)
        spans = "1 span" if count == 1 else f"{count} spans"
        named = "; ".join(imported.problems[:MAX_SHOWN])
        more = "; ..." if count > MAX_SHOWN else ""
        notices.warning(f"{spans} in {source} cannot be read and left out ({named}{more})")
    if not imported.runs:
        notices.warning(f"there is no run in {source}")
    return bool(imported.runs) and not (
        imported.problems or any(run.outcome == "refused" for run in imported.runs)
    )
