"""A history taken apart: every value of every table, and its spans as OTLP."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from petsard_otel import attributes as key
from petsard_otel.audit.pages import Log, Pages
from petsard_otel.audit.payloads import Piece
from petsard_otel.history import database
from petsard_otel.history.reading import History

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from petsard_otel.records import RunSummary

NO_PROCESS = 2**31 - 1
"""The id of a process that there never is."""


@dataclass
class Rows:
    """What is in the tables.

    Attributes:
        count: How many rows there are.
        values: Every text and number at its place, those within spans aside.
        blobs: Everything else, byte for byte: SQLite may cut it into several pages.
        messages: The spans, run by run.
        run_ids: The runs.
        problems: What could not be taken apart.
    """

    count: int = 0
    values: list[Piece] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    messages: list[TracesData] = field(default_factory=list)
    run_ids: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def joined(self) -> Iterator[Piece]:
        """The texts of each column, one behind the other."""
        columns: dict[str, list[str]] = {}
        for piece in self.values:
            if isinstance(piece.value, str):
                columns.setdefault(piece.place, []).append(piece.value)
        for place, texts in columns.items():
            yield Piece(f"all rows, {place} joined", "".join(texts))


def rows_of(path: Path) -> Rows:
    """Read every row of every table of a history, without the code that reads histories."""
    found = Rows()
    connection = database.connected(path, "ro")
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  SQLite's own word
            columns = [column[0] for column in rows.description]
            for row in rows:
                found.count += 1
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        found.blobs.append(value)
                    elif value is not None:
                        found.values.append(Piece(f"database, column {table}.{column}", value))
        _read_spans(connection, found)
    finally:
        connection.close()
    return found


def _read_spans(connection: sqlite3.Connection, found: Rows) -> None:
    left = int(connection.execute("SELECT count(*) FROM span").fetchone()[0])
    for number, run_id, envelope in connection.execute("SELECT id, run_id, envelope FROM run"):
        found.run_ids.add(run_id)
        bodies = connection.execute(
            "SELECT body FROM span WHERE id BETWEEN ? AND ? ORDER BY id",
            database.spans_between(number),
        ).fetchall()
        try:
            message = TracesData.FromString(envelope)
            spans = message.resource_spans[0].scope_spans[0].spans
            spans.extend(Span.FromString(body) for (body,) in bodies)
        except (DecodeError, IndexError):
            continue
        left -= len(bodies)
        found.messages.append(message)
    if left:
        found.problems.append(f"{left} spans cannot be taken apart")


def killed_run(path: Path) -> tuple[RunSummary, list[TracesData]]:
    """Return the newest run of a history, and its spans, as whoever looks at it gets them.

    The process that wrote it becomes one that is gone, so spans that never ended are closed.
    """
    connection = database.connected(path, "rw")
    try:
        connection.execute("UPDATE process SET pid = ?", (NO_PROCESS,))
    finally:
        connection.close()
    history = History(path)
    try:
        run = history.find("last")
        return run, list(history.traces_data(run))
    finally:
        history.close()


def leaky_copy(path: Path, run_id: str, into: Path, text: str) -> bytes:
    """Copy a history with one run alone, in which a text leaked: control of what reads it.

    Its first module execution is of an experiment of that name, and so is the run.

    Args:
        path: The history; nobody writes it.
        run_id: The run.
        into: The copy.
        text: What leaked.

    Returns:
        What was in the log of the copy then.
    """
    shutil.copyfile(path, into)
    into.chmod(0o600)
    connection = database.connected(into, "rw")
    try:
        (number,) = connection.execute("SELECT id FROM run WHERE run_id = ?", (run_id,)).fetchone()
        connection.execute("DELETE FROM run WHERE id <> ?", (number,))
        between = database.spans_between(number)
        connection.execute("DELETE FROM span WHERE id NOT BETWEEN ? AND ?", between)
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        pages = Pages()
        pages.take_file(into.name, into.read_bytes())
        pages.pieces.clear()
        span_id, body = connection.execute(
            "SELECT id, body FROM span WHERE id BETWEEN ? AND ? AND kind = 'module' LIMIT 1",
            between,
        ).fetchone()
        span = Span.FromString(body)
        for entry in span.attributes:
            if entry.key == key.EXPERIMENT_NAME:
                entry.value.string_value = text
        values = (span.SerializeToString(), span_id)
        connection.execute("UPDATE span SET body = ? WHERE id = ?", values)
        connection.execute("UPDATE run SET name = ?", (text,))
        Log(into.with_name(f"{into.name}-wal"), pages, into.name).read()
    finally:
        connection.close()
    return b"\n".join(pages.pieces)
