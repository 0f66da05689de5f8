"""The rows of a history, as far as they can be read. Knows no spans but their bytes."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database
from petsard_otel.history.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MISSED = 500
"""So many rows after one another are looked for one by one where a page is damaged."""

_logger = logging.getLogger(__name__)

_RUN = (
    "SELECT run.id, run_id, trace_id, name, config_hash, engine, run.started_ns, "
    "run.ended_ns, result, error_type, executions, failed_modules, changes, "
    "machine, pid, started, seen_ns, memory_bytes, process.ended_ns "
    "FROM run LEFT JOIN process ON process.id = run.process WHERE run."
)


class RunRow(NamedTuple):
    """A run as the database has it, its process beside it."""

    id: int
    run_id: str
    trace_id: str | None
    name: str | None
    config_hash: str | None
    engine: str | None
    started_ns: int
    ended_ns: int | None
    result: str | None
    error_type: str | None
    executions: int | None
    failed_modules: str | None
    changes: int | None
    machine: str | None
    pid: int | None
    process_started: float | None
    seen_ns: int | None
    memory_bytes: int | None
    process_ended_ns: int | None

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended, and its process is still there, so that it may yet."""
        return self.ended_ns is None and self.has_living_process

    @property
    def has_living_process(self) -> bool:
        """Whether its process is still there."""
        if self.machine is None or self.process_ended_ns is not None:
            return False
        silent_seconds = (time.time_ns() - (self.seen_ns or 0)) / 1e9
        return is_alive(self.machine, self.pid or 0, self.process_started or 0.0, silent_seconds)


_TEXT, _NUMBER, _TIME = (str, type(None)), (int, type(None)), (float, int, type(None))
_TYPES: tuple[Any, ...] = (
    *(int, str, _TEXT, _TEXT, _TEXT, _TEXT, int),
    *(_NUMBER, _TEXT, _TEXT, _NUMBER, _TEXT, _NUMBER),
    *(_TEXT, _NUMBER, _TIME, _NUMBER, _NUMBER, _NUMBER),
)
"""What a run's row is made of, where it is not damaged."""


class Rows:
    """Reads a database. What is damaged is passed over, and said once.

    Attributes:
        is_damaged: Whether something that was asked for could not be read.
    """

    def __init__(self, path: Path, *, is_quiet: bool = False) -> None:
        """Open it.

        Args:
            path: The database.
            is_quiet: Whether nothing is said of damage.

        Raises:
            HistoryError: It cannot be read.
        """
        self.is_damaged = False
        self._is_quiet = is_quiet
        self._path = path
        self._failures = 0
        self._connection = database.open_to_read(path)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def select(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield what can be read of an answer."""
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.DatabaseError as error:
            if database.is_busy(error):
                raise HistoryError(
                    f"{str(self._path)!r} cannot be read: somebody else has it locked; try again"
                ) from None
            self._failures += 1
            self.warn(database.words_of(error))

    def each(self, sql: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a range of ids, past a damaged page those that can be reached.

        Args:
            sql: Has a place for the first id, then one for the last; yields the id first of all,
                in ascending order.
            first: The first id.
            last: The last id.
        """
        failures, missed = self._failures, 0
        rows = self.select(sql, first, last)
        while missed < MAX_MISSED:
            for row in rows:
                first, missed = row[0] + 1, 0
                yield row
            if self._failures == failures:
                return
            rows = self.select(sql, first + missed, first + missed)
            missed += 1

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of an answer, None where there is none."""
        return next(self.select(sql, *values), None)

    def runs(self) -> list[RunRow]:
        """Return every run, the newest first."""
        (most,) = self.one("SELECT max(id) FROM run") or (0,)
        found = self.each(f"{_RUN}id BETWEEN ? AND ? ORDER BY run.id", 1, most or 0)
        runs = [run for row in found if (run := self._run_of(row)) is not None]
        return sorted(runs, key=lambda run: (run.started_ns, run.id), reverse=True)

    def run(self, run_id: str) -> RunRow | None:
        """Return the run of an id."""
        return self._run_of(self.one(f"{_RUN}run_id = ?", run_id))

    def run_in(self, row: int) -> RunRow | None:
        """Return the run in a row."""
        return self._run_of(self.one(f"{_RUN}id = ?", row))

    def _run_of(self, row: tuple[Any, ...] | None) -> RunRow | None:
        if row is None:
            return None
        if all(isinstance(value, types) for value, types in zip(row, _TYPES, strict=True)):
            return RunRow(*row)
        self.warn("a run is not as it was written")
        return None

    def envelope(self, row: int) -> bytes:
        """Return resource and scope of a run's spans, nothing where they cannot be read."""
        (found,) = self.one("SELECT envelope FROM run WHERE id = ?", row) or (b"",)
        return found if isinstance(found, bytes) else b""

    def warn(self, problem: str) -> None:
        """Say once that something is missing."""
        is_known, self.is_damaged = self.is_damaged, True
        if not (is_known or self._is_quiet):
            _logger.warning(
                "%r is damaged (%s): what can be read of it is shown, the rest is missing",
                str(self._path),
                problem,
            )
