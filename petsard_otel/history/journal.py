"""One process's writing into one database: at once, or as soon as nobody else is writing.

Nothing here raises but an interrupt: a history that cannot be written costs one warning.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database
from petsard_otel.history.heartbeat import Heartbeat
from petsard_otel.history.processes import memory_bytes, start_of, this_machine
from petsard_otel.history.write_ahead_log import WriteAheadLog
from petsard_otel.settings import EXPORT_QUEUE_SIZE
from petsard_otel.telemetry.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

BEAT_SECONDS = 0.5
"""How often a process with open runs says that it is alive."""

RETRY_SECONDS = 0.05
"""How often what waits is tried again."""

RUN_BUSY_SECONDS = 0.25
"""How long a run waits, once, for a database that somebody else is writing. What is written from
then on waits in memory, for the heart to write it."""

MAX_WAITING_BYTES = 64_000_000
"""How much may wait."""

WRITES_AT_ONCE = 500
"""How much that has waited is written in one transaction, while runs wait for it."""

MAX_WANTED = 4 * EXPORT_QUEUE_SIZE
"""Of so many spans it is remembered which they are until they have been accepted."""

FORK_SECONDS = 1.0
"""How long a fork waits for what is being written."""

_WRITE_BYTES = 300
"""About what a write that waits takes beside its OTLP."""

_logger = logging.getLogger(__name__)

_INSERT_PROCESS = (
    "INSERT INTO process (machine, pid, started, seen_ns, memory_bytes) VALUES (?, ?, ?, ?, ?)"
)
_INSERT_RUN = (
    "INSERT INTO run (run_id, process, trace_id, name, config_hash, engine, started_ns, envelope) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING"
)
_BEAT = "UPDATE process SET seen_ns = ?, memory_bytes = ? WHERE id = ?"
INSERT_RECEIVER = "INSERT INTO receiver (endpoint) VALUES (?) ON CONFLICT (endpoint) DO NOTHING"
_GOODBYE = "UPDATE process SET seen_ns = ?1, ended_ns = ?1 WHERE id = ?2"
_UNWANT = "UPDATE span SET is_wanted = 0 WHERE id > ?1 AND id < ?1 + (1 << 24) AND NOT is_ended"
_ACCEPT_SPAN = (
    "UPDATE span SET accepted_by = (SELECT id FROM receiver WHERE endpoint = ?3) WHERE id = ?1 + ?2"
)


class RunRow:
    """The row of a run in a database, as this process knows it."""

    def __init__(
        self,
        run_id: str,
        trace_id: str,
        name: str | None,
        config_hash: str | None,
        engine: str | None,
        started_ns: int,
        envelope: bytes,
    ) -> None:
        self.run_id = run_id
        self.columns = (trace_id, name, config_hash, engine, started_ns, envelope)
        self.first: int | None = None
        """The id before those of the spans that this process writes; None: not made yet."""
        self.is_lost = False
        """Whether something of it could not be written, so that the rest is left out too."""


class Write(NamedTuple):
    """A statement. Where it is of a run, `row.first` comes before its other values."""

    sql: str
    row: RunRow | None
    values: tuple[Any, ...]


class Journal:
    """What one process writes into one database. Thread-safe; begins anew in a forked child."""

    def __init__(self, path: Path, known: dict[Path, Journal]) -> None:
        """Open nothing yet.

        Args:
            path: The database.
            known: The journals of this process, by their databases. It is among them from the
                beginning of a run on, until it is closed.
        """
        self.path = path
        self._known = known
        self._guard = Guard()
        self._has_warned = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what there was, as the child of a fork has to."""
        # A signal handler, or what the garbage collector ends, may record amid a write of ours.
        self._lock = threading.RLock()
        self._is_within = False
        self._log = WriteAheadLog(self.path, self._lock)
        self._connection: sqlite3.Connection | None = None
        self._is_away = False
        self._file: tuple[int, int] | None = None
        self._process = 0
        self._heartbeat: Heartbeat | None = None
        self._rows: WeakSet[RunRow] = WeakSet()
        self._waiting: deque[Sequence[Write]] = deque()
        self._waiting_bytes = 0
        self._wanted: dict[int, tuple[RunRow, int]] = {}
        self._is_dirty = False
        self._has_failed = False
        self._is_over = False
        self._lost: list[int] = []
        self._unsaid: str | None = None

    # What runs do.

    @property
    def is_usable(self) -> bool:
        """Whether what is recorded is written, now or soon."""
        return self._connection is not None or self._is_away or bool(self._waiting)

    def begin(self, row: RunRow) -> None:
        """Be ready for a run. A history that could not be written is tried again."""
        with self._lock:
            if not self._is_over:
                self._begin(row)
        self._say()

    def _begin(self, row: RunRow) -> None:
        self._known.setdefault(self.path, self)
        if self._is_within:
            self._rows.add(row)
            return
        try:
            self._mind_file()
        except HistoryError as error:
            self._fail(error)
        self._has_failed = False
        self._rows.add(row)
        try:
            if not self._waiting:
                connection = self._connected(RUN_BUSY_SECONDS)
                if self._lost:
                    self._apply(connection, self._unwanted())
                    self._lost.clear()
        except (HistoryError, sqlite3.Error, OSError) as error:
            if not database.is_busy(error):
                self._fail(error)
                return
        self._wake()

    def end(self, row: RunRow) -> None:
        """Note that a run is over: where none is open, the heart may rest."""
        with self._lock:
            if row in self._rows and not self._is_within:
                try:
                    self._mind_file()
                except HistoryError as error:
                    self._fail(error)
            self._rows.discard(row)
        self._say()

    def write(self, row: RunRow, sql: str, values: tuple[Any, ...]) -> None:
        """Write something of a run at once, or keep it until nobody else is writing."""
        with self._lock:
            if row.is_lost:
                return
            connection = self._connection
            if self._waiting or row.first is None or connection is None or self._is_within:
                self._write_all((Write(sql, row, values),))
            else:
                self._is_within = True
                try:
                    connection.execute(sql, (row.first, *values))
                    self._is_dirty = True
                except sqlite3.Error as error:
                    self._not_written(error, (Write(sql, row, values),))
                finally:
                    self._is_within = False
        if self._unsaid is not None:
            self._say()

    def write_together(
        self, row: RunRow, statements: Iterable[tuple[str, tuple[Any, ...]]]
    ) -> None:
        """Write what is true only as a whole, as `write` does."""
        with self._lock:
            if not row.is_lost:
                self._write_all([Write(sql, row, values) for sql, values in statements])
        self._say()

    def want(self, span_id: int, row: RunRow, number: int) -> None:
        """Note which row a span is that is to be sent, until it has been accepted."""
        with self._lock:
            self._wanted[span_id] = row, number
            if len(self._wanted) > MAX_WANTED:
                del self._wanted[next(iter(self._wanted))]

    def accept(self, span_ids: Iterable[int], endpoint: str) -> None:
        """Note that a receiver has accepted spans."""
        with self._lock:
            known = [self._wanted.pop(found) for found in span_ids if found in self._wanted]
            receiver = database.receiver_key(endpoint)
            writes = [
                Write(INSERT_RECEIVER, None, (receiver,)),
                *(Write(_ACCEPT_SPAN, row, (at, receiver)) for row, at in known if not row.is_lost),
            ]
            if len(writes) > 1:
                self._write_all(writes)
        self._say()

    def _write_all(self, writes: Sequence[Write]) -> None:
        if self._waiting or self._is_within or not (self._connection or self._is_away):
            self._put_off(writes)
            return
        try:
            self._mind_file()
            self._apply(self._connection or self._connected(RUN_BUSY_SECONDS), writes)
        except (HistoryError, sqlite3.Error, OSError) as error:
            self._not_written(error, writes)

    def rest(self) -> bool:
        """Leave the database where no run is open; tell whether nothing will come of this any more.

        What comes all the same, such as a step that is timed after its run, opens it again.
        """
        with self._lock:
            if self._rows or self._waiting or self._is_within:
                return False
            self._leave()
            return not self._wanted

    def close(self) -> None:
        """Write what waits, say goodbye, and leave the database for good."""
        with self._lock:
            self._is_over = True
            self._leave()
            for row in self._rows:
                row.is_lost = True
            self._known.pop(self.path, None)
        self._say()

    # What the heart does.

    def _wake(self) -> None:
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._beat)
        self._heartbeat.resume()

    def _beat(self) -> float:
        with self._guard:
            memory = memory_bytes()
            while self._write_waiting(memory):
                pass
            self._say()
            if self._is_dirty:
                self._is_dirty = False
                self._log.reach_disk()
        with self._lock:
            if self._waiting:
                return RETRY_SECONDS
            if not (self._rows or self._is_dirty) and self._heartbeat is not None:
                self._heartbeat.rest()
        return BEAT_SECONDS

    def _write_waiting(self, memory: int | None) -> bool:
        """Write some of what waits and a sign of life; tell whether there is more to write."""
        with self._lock:
            part = list(islice(self._waiting, WRITES_AT_ONCE))
            try:
                self._mind_file()
                if not self._has_something_to_write:
                    return False
                # The run waits for this thread meanwhile, which so waits for nobody.
                connection = self._connected(0)
                beat = _BEAT, (time.time_ns(), memory)
                self._apply(connection, chain.from_iterable(part), beat)
                self._connected(RUN_BUSY_SECONDS)
            except (HistoryError, sqlite3.Error, OSError) as error:
                if not database.is_busy(error):
                    self._fail(error)
                elif self._connection is not None:
                    self._connected(RUN_BUSY_SECONDS)
                return False
            self._written(len(part))
            return bool(self._waiting)

    # What both do, the lock held.

    def _connected(self, busy_seconds: float) -> sqlite3.Connection:
        """Return the connection, made where there is none, which waits so long for others."""
        connection = self._connection
        if connection is None:
            connection = self._opened(busy_seconds)
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        return connection

    def _opened(self, busy_seconds: float) -> sqlite3.Connection:
        self._is_within = True
        try:
            connection = database.open_to_write(self.path, busy_seconds=busy_seconds)
        finally:
            self._is_within = False
        file = _identity(self.path)
        if not (self._is_away and file == self._file):
            self._process = 0
        self._file, self._is_away = file, False
        self._connection = connection
        return connection

    def _apply(
        self,
        connection: sqlite3.Connection,
        writes: Iterable[Write] = (),
        of_process: tuple[str, tuple[Any, ...]] | None = None,
    ) -> None:
        """Have writes take effect together, the rows made that they need.

        Args:
            connection: The database.
            writes: What is written.
            of_process: A statement and its values, before the row of this process.

        Raises:
            sqlite3.Error: Nothing was written.
        """
        process, made = self._process, dict[RunRow, int]()
        this_process = () if process else _this_process()
        self._is_within = True
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not process:
                process = connection.execute(_INSERT_PROCESS, this_process).lastrowid or 0
            for sql, row, values in writes:
                if row is None:
                    connection.execute(sql, values)
                    continue
                first = row.first or made.get(row)
                if first is None:
                    first = made[row] = _insert_run(connection, row, process)
                connection.execute(sql, (first, *values))
            if of_process is not None:
                connection.execute(of_process[0], (*of_process[1], process))
            connection.execute("COMMIT")
        except BaseException:
            database.roll_back(connection)
            raise
        finally:
            self._is_within = False
        self._process = process
        for run, number in made.items():
            run.first = number
        self._is_dirty = True
        self._has_warned = False

    def _not_written(self, error: Exception, writes: Sequence[Write]) -> None:
        if database.is_busy(error):
            self._put_off(writes)
        else:
            self._fail(error)

    def _put_off(self, writes: Sequence[Write]) -> None:
        """Keep writes for later, when they are made together as they would have been now."""
        if self._has_failed or self._is_over:
            return
        self._waiting.append(writes)
        self._waiting_bytes += _size(writes)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._fail(_too_long(self.path))
        else:
            self._wake()

    def _written(self, number: int) -> None:
        for _ in range(number):
            self._waiting_bytes -= _size(self._waiting.popleft())

    def _fail(self, error: Exception) -> None:
        """Give up on the runs of which something is still to be written, and say so once."""
        self._has_failed = True
        # Also one that is over, but whose end waits.
        waiting = {write.row for write in chain(*self._waiting) if write.row is not None}
        for row in waiting.union(self._rows):
            row.is_lost = True
            if row.first is not None:
                self._lost.append(row.first)
        self._rows.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._shut()
        if not self._has_warned:
            self._has_warned = True
            self._unsaid = _problem(error, self.path)

    def _say(self) -> None:
        """Say what there is to say, without the lock: a handler of the host's may take time."""
        unsaid, self._unsaid = self._unsaid, None
        if unsaid is not None:
            with self._guard:
                _logger.warning(
                    "this run is not kept, or not to its end: %s; its results are not affected",
                    unsaid,
                )

    def _mind_file(self) -> None:
        """Leave a database to itself that somebody has removed, or put another in the place of.

        Raises:
            HistoryError: A run is being written to it.
        """
        is_open = self._connection is not None or self._is_away
        if not is_open or self._file == _identity(self.path):
            return
        if self._connection is not None:
            # SQLite would remove the log by its name, which may be another database's by now.
            database.abandon(self._connection)
        self._connection, self._is_away = None, False
        if self._rows or self._waiting:
            raise HistoryError(f"{str(self.path)!r} has been removed or replaced meanwhile")

    def _leave(self) -> None:
        """Write what waits, however long others write, and close the database."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.end()
        with self._guard:
            self._write_last()
        self._shut()
        self._is_away = False

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _write_last(self) -> None:
        try:
            self._mind_file()
            is_there = bool(self._lost) and _identity(self.path) is not None
            if not (self._has_something_to_write or is_there):
                return
            connection = self._connected(database.BUSY_SECONDS if self._waiting else 0.1)
            waiting = tuple(self._waiting)
            writes = chain(*waiting, self._unwanted())
            self._apply(connection, writes, (_GOODBYE, (time.time_ns(),)))
        except (HistoryError, sqlite3.Error, OSError) as error:
            if self._waiting or not database.is_busy(error):
                self._fail(_too_long(self.path) if database.is_busy(error) else error)
        else:
            self._written(len(waiting))
            self._lost.clear()

    @property
    def _has_something_to_write(self) -> bool:
        """Whether a sign of life has a place to go; else a history would be made for it."""
        return self._connection is not None or self._is_away or bool(self._waiting)

    def _unwanted(self) -> list[Write]:
        """Return what keeps the open spans of runs that were given up from being sent as killed."""
        return [Write(_UNWANT, None, (first,)) for first in self._lost]

    # What a fork needs.

    def hold(self) -> list[threading.Lock | threading.RLock]:
        """Wait until no thread is within SQLite, and keep it so; return what to release.

        The database is closed, and opened again by who writes next: a child would inherit what
        SQLite knows of the locks that it holds, but not the locks.
        """
        locks: tuple[threading.Lock | threading.RLock, ...] = (self._lock, self._log.lock)
        held = [lock for lock in locks if lock.acquire(timeout=FORK_SECONDS)]
        if len(held) == len(locks) and self._connection is not None and not self._is_within:
            self._is_away = True
            self._shut()
        return held

    def begin_anew_in_child(self) -> None:
        """Leave alone what the parent has open: a child must not even close it."""
        if self._connection is not None:
            database.abandon(self._connection)
        self.begin_anew()


def _this_process() -> tuple[Any, ...]:
    pid = os.getpid()
    return this_machine(), pid, start_of(pid) or 0.0, time.time_ns(), memory_bytes()


def _insert_run(connection: sqlite3.Connection, row: RunRow, process: int) -> int:
    """Make the row of a run unless it is there, as in a forked child; return its first id."""
    connection.execute(_INSERT_RUN, (row.run_id, process, *row.columns))
    found = connection.execute("SELECT id FROM run WHERE run_id = ?", (row.run_id,)).fetchone()
    if found is None:
        raise sqlite3.DatabaseError("database disk image is malformed")
    return database.first_span(found[0], process)


def _size(writes: Sequence[Write]) -> int:
    values = chain.from_iterable(write.values for write in writes)
    return _WRITE_BYTES * len(writes) + sum(len(found) for found in values if type(found) is bytes)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _too_long(path: Path) -> HistoryError:
    return HistoryError(f"somebody else has been writing to {str(path)!r} for too long")


def _problem(error: Exception, path: Path) -> str:
    """Say what is wrong, without what a library might quote."""
    if isinstance(error, HistoryError):
        return str(error)
    if isinstance(error, OSError):
        return f"{str(path)!r} cannot be written: {error.strerror or type(error).__name__}"
    return f"{str(path)!r} cannot be written: {database.words_of(error)}"
