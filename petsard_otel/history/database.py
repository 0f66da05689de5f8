"""The database of a history: its tables, its version, and how it is opened. Knows no spans."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from petsard_otel.exceptions import HistoryError
from petsard_otel.history.place import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

APPLICATION_ID = 0x50_45_54_53
"""Marks the file as ours, in the header of every SQLite database."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE process (
        id INTEGER PRIMARY KEY,
        machine TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started REAL NOT NULL,
        seen_ns INTEGER NOT NULL,
        memory_bytes INTEGER,
        ended_ns INTEGER
    );
    CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL UNIQUE,
        process INTEGER REFERENCES process (id),
        trace_id TEXT,
        name TEXT,
        config_hash TEXT,
        engine TEXT,
        started_ns INTEGER NOT NULL,
        ended_ns INTEGER,
        result TEXT,
        error_type TEXT,
        executions INTEGER,
        failed_modules TEXT,
        changes INTEGER,
        envelope BLOB NOT NULL
    );
    CREATE INDEX run_by_start ON run (started_ns);
    CREATE TABLE receiver (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL UNIQUE
    );
    CREATE TABLE span (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        is_ended INTEGER NOT NULL,
        at_ns INTEGER NOT NULL,
        is_error INTEGER NOT NULL DEFAULT 0,
        changes INTEGER NOT NULL DEFAULT 0,
        is_wanted INTEGER NOT NULL DEFAULT 0,
        accepted_by INTEGER REFERENCES receiver (id),
        body BLOB NOT NULL
    );
    CREATE INDEX span_unsent ON span (id) WHERE is_wanted AND accepted_by IS NULL;
    """,
)
"""What makes each version of the tables of the one before; the first makes them of nothing.

`run.envelope` is an OTLP TracesData that holds resource and scope and no span, `span.body` an OTLP
Span: what is between them lies in the ids (`first_span`). `span.at_ns` is when it began, then when
it ended; `span.changes` how many schema changes its run had seen by then. `run.process` is null in
a run that was imported. `run.executions` and what follows are null until the run has ended.
`receiver.endpoint` is a `receiver_key`.
"""

BUSY_SECONDS = 5.0
"""How long is waited for a database that somebody else is writing, where nobody waits for us."""

_RUN_BITS = 40
_PROCESS_BITS = 24


def first_span(run: int, process: int = 0) -> int:
    """Return the id before those of the spans that a process writes of a run.

    A run's spans lie together, and processes that write of one run, as after a fork, need not ask
    each other for ids.
    """
    return (run << _RUN_BITS) | ((process & 0xFFFF) << _PROCESS_BITS)


def spans_between(run: int) -> tuple[int, int]:
    """Return the first and the last id that a span of a run can have."""
    return run << _RUN_BITS, ((run + 1) << _RUN_BITS) - 1


def receiver_key(endpoint: str) -> str:
    """Return what a receiver is known by; there may be a token in the path of its URL."""
    return hashlib.sha256(endpoint.encode("utf-8", "replace")).hexdigest()


def run_of(span: int) -> int:
    """Return the run that a span's id belongs to."""
    return span >> _RUN_BITS


def open_to_write(
    path: Path,
    *,
    busy_seconds: float = BUSY_SECONDS,
    migrations: Sequence[str] = MIGRATIONS,
) -> sqlite3.Connection:
    """Open a database, made or brought to the present version where that is needed.

    What is made can be read by its owner alone. Statements commit themselves.

    Args:
        path: The database.
        busy_seconds: How long to wait for somebody else who is writing, here and later.
        migrations: What makes each version of the one before.

    Raises:
        HistoryError: It is not ours, is damaged, or is of a later version; it is left as it is.
        sqlite3.Error: Somebody else is writing, or the disk does not let us.
        OSError: The file cannot be made.
    """
    _make(path)
    connection = connected(path, "rw", busy_seconds)
    try:
        if not _checked_version(connection, path, len(migrations)):
            # Before the first page is written, or never: `prune` gives room back in steps.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _in_wal(connection, busy_seconds)
        # A commit does not wait for the disk: that is done once a heartbeat, outside the run.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # One that is begun anew does not keep the size that it once had.
        connection.execute("PRAGMA journal_size_limit = 4000000")
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path, versions: int = len(MIGRATIONS)) -> sqlite3.Connection:
    """Open a database such that nothing in it is changed.

    Raises:
        HistoryError: It is not there, not ours, of a later version, or cannot be opened.
    """
    problem: sqlite3.Error | None = None
    # The second is for a folder that nobody may write to. It passes over a log.
    for mode in ("ro", "ro&immutable=1"):
        if problem is not None and _has_log(path):
            break
        try:
            connection = connected(path, mode)
            try:
                # SQLite refuses a file whose end is missing, but for who repairs one.
                connection.execute("PRAGMA writable_schema = ON")
                version = _checked_version(connection, path, versions)
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            problem = problem or error
        else:
            if version:
                return connection
            connection.close()
            raise HistoryError(f"{str(path)!r} is empty: no run has been written to it")
    hint = f"; copy it and its log, {path.name}-wal, into a folder that you may write to"
    raise HistoryError(
        f"{str(path)!r} cannot be read: {words_of(problem or Exception())}"
        + (hint if _has_log(path) else "")
    )


def connected(path: Path, mode: str, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Connect to a database that is there; `mode` is as in SQLite's URIs. For any thread."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    # Where a text is damaged, the error would quote it.
    connection.text_factory = _decoded
    return connection


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Have several statements take effect together, or not at all."""
    try:
        # In here, since an interrupt may come as it returns.
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo what was begun, if anything was."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def abandon(connection: sqlite3.Connection) -> None:
    """Keep a connection from ever being closed, not even as the process ends.

    SQLite forbids it for one that was inherited by a fork
    (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_).
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def is_busy(error: Exception) -> bool:
    """Tell whether somebody else is writing, so that another try may help."""
    # "database is locked", "locking protocol": Python 3.10 has no code to go by.
    return isinstance(error, sqlite3.OperationalError) and "lock" in str(error)


def words_of(error: Exception) -> str:
    """Say what SQLite has found, without what it may quote of a damaged file."""
    if isinstance(error, UnicodeDecodeError):
        # What it would have quoted is no text.
        return "database disk image is malformed"
    return re.split(r"[(:'\"]", str(error))[0].strip()


def _has_log(path: Path) -> bool:
    try:
        return os.stat(f"{os.path.realpath(path)}-wal").st_size > 0  # noqa: PTH116
    except OSError:
        return False


def _make(path: Path) -> None:
    folder = path.parent
    is_new = not folder.is_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new and folder.name == FOLDER:
        # As other tools' caches have it: nobody adds their runs to a repository by accident.
        with suppress(FileExistsError):
            _make_file(folder / ".gitignore", b"*\n")
    try:
        _make_file(path)
    except FileExistsError:
        if not path.is_file():
            raise HistoryError(f"{str(path)!r} is no file: name another by --history") from None


def _make_file(path: Path, content: bytes = b"") -> None:
    """Make a file that its owner alone can use, unless there is one."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor is no path
        file.write(content)


def _checked_version(connection: sqlite3.Connection, path: Path, known: int) -> int:
    """Return the version of the tables, 0 for a file without any."""
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        # Last: somebody else may make it ours at any moment, and what was made with it is not seen.
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        words = words_of(error)
        what = "is damaged" if "malformed" in words else "is no history"
        raise HistoryError(
            f"{str(path)!r} {what} ({words}); it is left as it is: move it away, or name another "
            "by --history"
        ) from None
    if application != APPLICATION_ID and (tables or application or version):
        raise HistoryError(
            f"{str(path)!r} is a database of another program; it is left as it is: "
            "name another by --history"
        )
    if version > known:
        raise HistoryError(
            f"{str(path)!r} was written by a later version of petsard-otel (its tables have "
            f"version {version}, this one knows {known}); install that version, or name "
            "another by --history"
        )
    return version


def _in_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Have readers and a writer not wait for each other; on a network disk they may have to."""
    end = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait for this one by itself.
            if not is_busy(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    if _checked_version(connection, path, len(migrations)) == len(migrations):
        return
    with transaction(connection):
        # Somebody else may have done it meanwhile.
        version = _checked_version(connection, path, len(migrations))
        for script in migrations[version:]:
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
