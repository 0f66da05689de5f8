"""Making a history smaller: whole runs go, the oldest first."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, NamedTuple

from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database
from petsard_otel.history.reading import History
from petsard_otel.history.unsent import runs_with_unsent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from petsard_otel.records import RunSummary

DEFAULT_AGE_SECONDS = 90 * 86400
"""A run is kept for so long, where nothing else is said."""

DEFAULT_BYTES = 1_000_000_000
"""So large may a history be, where nothing else is said."""

SPAN_OVERHEAD_BYTES = 40
"""What a span takes in the database beside its OTLP."""

SPANS_AT_ONCE = 2000
"""How many spans are removed while others wait to write."""

PAGES_AT_ONCE = 500
"""How many pages are given back while others wait to write."""


class Pruned(NamedTuple):
    """What came of it.

    `kept_unsent` counts the runs that should have gone, but have spans that are still to be sent.
    Sizes are those of the database, in bytes.
    """

    runs: tuple[RunSummary, ...]
    kept_unsent: int
    bytes_before: int
    bytes_after: int


def prune(
    path: Path,
    max_age_seconds: float = DEFAULT_AGE_SECONDS,
    max_bytes: int = DEFAULT_BYTES,
    *,
    removes_unsent: bool = False,
    is_trial: bool = False,
) -> Pruned:
    """Remove runs that are too old, then the oldest until the rest is small enough.

    A run that is under way stays, and so does one that has spans to send. Others go on writing
    meanwhile.

    Args:
        path: The database.
        max_age_seconds: Runs that began longer ago go.
        max_bytes: How large the rest may be.
        removes_unsent: Remove also what is still to be sent.
        is_trial: Remove nothing, and say what would be.

    Raises:
        HistoryError: It cannot be used, or be written.
    """
    history = History(path)
    try:
        chosen, kept_unsent = _chosen(
            history, max_age_seconds, max_bytes, removes_unsent=removes_unsent
        )
        before = used_bytes(history)
    finally:
        history.close()
    if is_trial or not chosen:
        return Pruned(tuple(run for run, _ in chosen), kept_unsent, before, before)
    try:
        connection = database.open_to_write(path)
        try:
            _remove(connection, [row for _, row in chosen])
        finally:
            connection.close()
        history = History(path)
        try:
            after = used_bytes(history)
        finally:
            history.close()
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(f"{str(path)!r} cannot be written: {error}") from None
    return Pruned(tuple(run for run, _ in chosen), kept_unsent, before, after)


def used_bytes(history: History) -> int:
    """Return how large a database is, what is free in it aside."""
    pages, free, size = (
        (history.rows.one(f"PRAGMA {name}") or (0,))[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _sizes(history: History) -> Iterator[tuple[RunSummary, int, int]]:
    """Yield each run, the oldest first, with its row and about how many bytes it takes."""
    for row in reversed(history.rows.runs()):
        count, size = history.rows.one(
            "SELECT count(*), sum(length(body)) FROM span WHERE id BETWEEN ? AND ?",
            *database.spans_between(row.id),
        ) or (0, 0)
        yield history.summary(row), row.id, (size or 0) + SPAN_OVERHEAD_BYTES * count


def _chosen(
    history: History, max_age_seconds: float, max_bytes: int, *, removes_unsent: bool
) -> tuple[list[tuple[RunSummary, int]], int]:
    """Return the runs that go, with their rows, and how many stay for what they have to send."""
    oldest_ns = time.time_ns() - int(max_age_seconds * 1e9)
    waiting = {run.run_id for run in runs_with_unsent(history)}
    size = used_bytes(history)
    chosen, kept_unsent = [], 0
    for run, row, run_bytes in _sizes(history):
        if run.started_ns >= oldest_ns and size <= max_bytes:
            break
        if run.state == "running":
            continue
        if run.run_id in waiting and not removes_unsent:
            kept_unsent += 1
            continue
        chosen.append((run, row))
        size -= run_bytes
    return chosen, kept_unsent


def _remove(connection: sqlite3.Connection, runs: list[int]) -> None:
    for run in runs:
        first, last = database.spans_between(run)
        while True:
            with database.transaction(connection):
                removed = connection.execute(
                    "DELETE FROM span WHERE id IN "
                    "(SELECT id FROM span WHERE id BETWEEN ? AND ? LIMIT ?)",
                    (first, last, SPANS_AT_ONCE),
                ).rowcount
                if removed < SPANS_AT_ONCE:
                    connection.execute("DELETE FROM run WHERE id = ?", (run,))
                    break
    with database.transaction(connection):
        connection.execute(
            "DELETE FROM process WHERE ended_ns IS NOT NULL "
            "AND id NOT IN (SELECT process FROM run WHERE process IS NOT NULL)"
        )
    while connection.execute("PRAGMA freelist_count").fetchone()[0]:
        left = connection.execute("PRAGMA freelist_count").fetchone()[0]
        connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        if connection.execute("PRAGMA freelist_count").fetchone()[0] == left:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
