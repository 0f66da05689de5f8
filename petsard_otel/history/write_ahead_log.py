"""The write-ahead log of a database that is being written: it reaches the disk, and stays small."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from petsard_otel.history import database

if TYPE_CHECKING:
    from pathlib import Path

USUAL_LOG_BYTES = 8_000_000
"""A write-ahead log that is larger is moved into the database, while the run goes on: once all of
it is there, what is written next begins it anew."""

MAX_LOG_BYTES = 64_000_000
"""For a larger one the run waits: it writes so quickly that the log never came to its end."""

CHECKPOINT_BUSY_SECONDS = 0.05
"""How long others may be kept from writing because somebody is still reading the log."""


class WriteAheadLog:
    """Keeps the log of one database, beside the connection that writes it.

    Attributes:
        lock: Held while another connection is within SQLite.
    """

    def __init__(self, path: Path, writing: threading.RLock) -> None:
        """Know a log.

        Args:
            path: The database.
            writing: Held by whoever writes it in this process.
        """
        self.lock = threading.Lock()
        self._path = path
        self._writing = writing

    def reach_disk(self) -> None:
        """Have what was written until now outlive a power failure, while the run goes on."""
        size = 0
        # The log is no file that SQLite locks, so it may be opened and closed beside it.
        with suppress(OSError):
            log = os.open(f"{os.path.realpath(self._path)}-wal", os.O_RDONLY)
            try:
                os.fsync(log)
                size = os.fstat(log).st_size
            finally:
                os.close(log)
        if size > USUAL_LOG_BYTES:
            with self.lock, suppress(sqlite3.Error):
                self._move(is_too_large=size > MAX_LOG_BYTES)

    def _move(self, *, is_too_large: bool) -> None:
        connection = database.connected(self._path, "rw", CHECKPOINT_BUSY_SECONDS)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if is_too_large:
                with self._writing:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
