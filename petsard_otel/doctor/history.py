"""Whether runs are kept on disk, where, and what of them is still to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.exceptions import HistoryError
from petsard_otel.settings import HISTORY, Settings
from petsard_otel.telemetry.sending.environment import read

if TYPE_CHECKING:
    from collections.abc import Iterator


def findings_of_history() -> Iterator[Finding]:
    """Tell where runs are kept, and look at the history that is found here."""
    from petsard_otel.history.place import existing_place

    said = Settings.from_environment().history
    text = {
        None: "`petsard-otel run` keeps runs beside the configuration; scripts keep none",
        True: "runs are kept in .petsard-otel/runs.db beside the configuration",
        False: "runs are not kept after their process has ended",
    }.get(said, f"runs are kept where {HISTORY} says")  # type: ignore[arg-type]
    yield _finding("runs", NOTE if said is False else OK, text)
    try:
        path = existing_place(None)
    except HistoryError:
        return
    from petsard_otel.history.pruning import used_bytes
    from petsard_otel.history.reading import History
    from petsard_otel.history.unsent import runs_with_unsent

    try:
        history = History(path)
    except HistoryError as error:
        yield _finding("database", PROBLEM, str(error), "move the file away, or name another")
        return
    try:
        runs, unsent = history.runs(), runs_with_unsent(history)
        size = used_bytes(history) / 1e6
    finally:
        history.close()
    count = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    if history.is_damaged:
        yield _finding(
            "database",
            PROBLEM,
            f"{str(path)!r} is damaged; {count} can be read of it",
            "move the file away: the next run makes a new one",
        )
    else:
        yield _finding("database", OK, f"{str(path)!r} holds {count} ({size:,.1f} MB)")
    if unsent:
        have = "1 run has" if len(unsent) == 1 else f"{len(unsent):,} runs have"
        yield _finding(
            "unsent",
            NOTE,
            f"{have} spans that no collector has accepted",
            "`petsard-otel push` sends them; so does the next run that reaches one",
        )


def _finding(check: str, state: str, text: str, remedy: str | None = None) -> Finding:
    sources = (HISTORY,) if read(HISTORY) is not None else ()
    return Finding("history", check, state, text, remedy, sources)
