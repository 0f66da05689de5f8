"""The history of an audit: its runs are kept in the audit's own folder, and nowhere else.

Its files are looked at while runs are under way, and after.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from petsard_otel.audit.owners import open_to_others, permissive_umask
from petsard_otel.audit.pages import Log, Pages
from petsard_otel.history import database
from petsard_otel.history.journals import others_aside
from petsard_otel.history.place import FILE, FOLDER
from petsard_otel.telemetry.setup import keep_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from petsard_otel.audit.replay import Scene

SUFFIXES = ("", "-wal", "-shm")
"""What the names of a database's files end in: the pages, the log, the log's index."""

MAX_LOG_BYTES = 8_000_000
"""A larger log is moved into the database between two runs."""


class KeptRun(NamedTuple):
    """A run that is in the history: during which part of the audit, and what happened in it."""

    run_id: str
    during: str
    scene: Scene | None = None

    @property
    def name(self) -> str:
        """What it is called where something was found in it."""
        return self.during if self.scene is None else f"{self.during} ({self.scene})"


class Copy(NamedTuple):
    """The files of the history as they were in the middle of a run."""

    path: Path
    run: KeptRun


class KeptRuns:
    """The history, and what its files held.

    Attributes:
        folder: The audit's private folder.
        path: The database.
        pages: What was in its files at any moment.
        runs: Which runs ought to be in it.
        copies: Its files, as they were left if the process had been killed.
        exposed: What others than the owner may use of it.
    """

    def __init__(self, folder: Path) -> None:
        """Make nothing yet.

        Args:
            folder: The audit's private one.
        """
        self.folder = folder
        self.path = folder / FOLDER / FILE
        self.pages = Pages()
        self.runs: list[KeptRun] = []
        self.copies: list[Copy] = []
        self.exposed: dict[str, None] = {}
        self._log = Log(self._file_of("-wal"), self.pages, FILE)
        self._files: dict[str, BinaryIO] = {}
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Be where runs are kept, if `configure()` says so, while the block runs.

        What else this process keeps, or was told to keep, is set aside. The umask is 0 for a
        moment, in which no module runs.
        """
        with ExitStack() as stack:
            stack.callback(keep_history, keep_history(None))
            stack.callback(self._close_files)
            stack.callback(self._close)
            stack.enter_context(others_aside())
            with permissive_umask():
                database.open_to_write(self.path).close()
                self._open()
            yield
        self._look()

    def took(self, run: KeptRun) -> None:
        """Look at what a run has left, and remember that it ought to be there."""
        self.runs.append(run)
        self._mind_owners()
        log = self._file_of("-wal")
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            self._look()
            self._empty_log()
            self._look()

    def copy(self, run: KeptRun) -> None:
        """Copy the files in the middle of a run, as its process would leave them if it died."""
        folder = self.folder / "killed" / str(len(self.copies) + 1)
        folder.mkdir(mode=0o700, parents=True)
        # The database comes first: what is not in it yet is in the log.
        for suffix in SUFFIXES:
            (folder / f"{FILE}{suffix}").write_bytes(self._content(suffix))
        self._look()
        self.copies.append(Copy(folder / FILE, run))

    def _open(self) -> None:
        # Closes after all others, so it must be one that can move the log into the database.
        self._connection = database.connected(self.path, "rw")
        # A forked worker of a module's must not close it.
        database.abandon(self._connection)
        self._hold()
        for suffix in ("", "-shm"):
            # SQLite has locks on these, which the process loses as soon as it closes one.
            path = self._file_of(suffix)
            if path.exists():
                self._files[suffix] = path.open("rb", buffering=0)

    def _hold(self) -> None:
        """Keep the log from being begun anew before it was read, by reading the database."""
        connection = self._connection
        # Without a log a reader would keep everybody from writing.
        if connection is not None and connection.execute("PRAGMA journal_mode").fetchone() == (
            "wal",
        ):
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM run").fetchone()

    def _empty_log(self) -> None:
        if self._connection is not None:
            database.roll_back(self._connection)
            with suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._hold()

    def _close(self) -> None:
        """Close the database as the last one who has it open; its log is gone then."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._look()
            connection.close()

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _look(self) -> None:
        """Take in everything that is in the files."""
        self.pages.take_file(FILE, self._content(""))
        self._log.read()
        self.pages.take_file("-shm", self._content("-shm"))
        self._mind_owners()

    def _content(self, suffix: str) -> bytes:
        file = self._files.get(suffix)
        if file is None:
            path = self._file_of(suffix)
            return path.read_bytes() if path.exists() else b""
        file.seek(0)
        return file.read()

    def _file_of(self, suffix: str) -> Path:
        return Path(f"{self.path}{suffix}")

    def _mind_owners(self) -> None:
        self.exposed.update(dict.fromkeys(open_to_others(self.path.parent)))
