"""Runs of elsewhere into a history: their spans as they were given, ids included."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from google.protobuf.message import DecodeError as MessageError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from petsard_otel import attributes as key
from petsard_otel.exceptions import DecodeError, HistoryError
from petsard_otel.history import database
from petsard_otel.records import KILLED
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.encoding import decode
from petsard_otel.telemetry.otlp.spans import spans_of
from petsard_otel.telemetry.replay import replay

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from petsard_otel.telemetry.otlp.spans import OtlpSpan

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MAX_TIME_NS = 2**63 - 1
"""The last moment that a database can hold."""

SpanId = tuple[bytes, bytes]
"""Trace and span, as OTLP has them."""


class ImportedRun(NamedTuple):
    """What became of a run.

    It was added, or completed by spans that an earlier import lacked, or was there already: all of
    it, or as a run of this history's own, which stays as it is. A refused one contradicts
    itself, or what is kept of it is damaged.
    """

    run_id: str
    outcome: Literal["added", "completed", "there", "refused"]
    spans: int
    problem: str | None = None


class Imported(NamedTuple):
    """What came of an import.

    `foreign` counts the spans of other programs, which are passed over; `problems` names, one by
    one, the spans of ours that cannot be read.
    """

    runs: tuple[ImportedRun, ...]
    foreign: int
    problems: tuple[str, ...]


class _Found(NamedTuple):
    """The spans of one run, each once, under resource and scope of the first."""

    envelope: TracesData
    spans: dict[SpanId, Span]


def import_runs(path: Path, messages: Iterable[TracesData]) -> Imported:
    """Add the runs that are in OTLP messages to a history, which is made where there is none.

    Everything is read first; then each run goes in as a whole, so that others who write wait for
    no more than one.

    Args:
        path: The database.
        messages: The spans of any runs in any order, those of other programs among them.

    Raises:
        HistoryError: The database cannot be used, or be written.
    """
    found, foreign, problems = _collected(messages)
    if not found:
        return Imported((), foreign, tuple(problems))
    try:
        connection = database.open_to_write(path)
        try:
            runs = [_import(connection, run_id, run) for run_id, run in found.items()]
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(f"{str(path)!r} cannot be written: {error}") from error
    return Imported(tuple(runs), foreign, tuple(problems))


def _collected(messages: Iterable[TracesData]) -> tuple[dict[str, _Found], int, list[str]]:
    """Return the runs, how many spans are of other programs, and what cannot be read."""
    runs: dict[str, _Found] = {}
    foreign = 0
    problems = []
    for data in messages:
        for resource_spans in data.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                if scope_spans.scope.name != key.SCOPE_NAME:
                    foreign += len(scope_spans.spans)
                    continue
                # The spans aside, this is what they lie under.
                envelope = TracesData()
                around = envelope.resource_spans.add(schema_url=resource_spans.schema_url)
                around.resource.CopyFrom(resource_spans.resource)
                inside = around.scope_spans.add(schema_url=scope_spans.schema_url)
                inside.scope.CopyFrom(scope_spans.scope)
                for message in scope_spans.spans:
                    try:
                        run_id = _checked_run_id(message, envelope)
                    except DecodeError as error:
                        problems.append(f"span {message.span_id.hex()}: {error}")
                    else:
                        run = runs.setdefault(run_id, _Found(envelope, {}))
                        _take(run.spans, message)
    return runs, foreign, problems


def _checked_run_id(message: Span, envelope: TracesData) -> str:
    """Return the run that a span of ours belongs to.

    Raises:
        DecodeError: It cannot be told, or what the span says is not as it must be.
    """
    (span,) = spans_of(_message(envelope, [message]))
    if max(span.start_time, span.end_time or 0) > _MAX_TIME_NS:
        raise DecodeError("its times are not of this age")
    if span.end_time is not None:
        decode(span)
    run_id = span.attributes.get(key.RUN_ID)
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise DecodeError(f"span attribute {key.RUN_ID!r} is no run's id of 32 digits")
    return run_id


def _take(spans: dict[SpanId, Span], message: Span) -> bool:
    """Take a span in unless it is there; one that has ended wins over the same one still open."""
    name = message.trace_id, message.span_id
    known = spans.get(name)
    if known is not None and (known.end_time_unix_nano or not message.end_time_unix_nano):
        return False
    spans[name] = message
    return True


def _import(connection: sqlite3.Connection, run_id: str, found: _Found) -> ImportedRun:
    with database.transaction(connection):
        row = connection.execute(
            "SELECT id, process, envelope FROM run WHERE run_id = ?", (run_id,)
        ).fetchone()
        if row is not None and row[1] is not None:
            return ImportedRun(run_id, "there", 0)
        try:
            envelope, spans = (found.envelope, {}) if row is None else _kept(connection, *row[::2])
            new = sum(_take(spans, message) for message in found.spans.values())
            if not new:
                return ImportedRun(run_id, "there", 0)
            columns = _columns(run_id, list(spans_of(_message(envelope, spans.values()))))
        except DecodeError as error:
            return ImportedRun(run_id, "refused", 0, str(error))
        columns["envelope"] = envelope.SerializeToString()
        number = _write_run(connection, run_id, columns)
        _write_spans(connection, number, spans.values(), columns["changes"])
    return ImportedRun(run_id, "added" if row is None else "completed", new)


def _kept(
    connection: sqlite3.Connection, run: int, envelope: bytes
) -> tuple[TracesData, dict[SpanId, Span]]:
    """Return what an earlier import has brought of a run.

    Raises:
        DecodeError: It is damaged.
    """
    bodies = connection.execute(
        "SELECT body FROM span WHERE id BETWEEN ? AND ? ORDER BY id", database.spans_between(run)
    )
    spans: dict[SpanId, Span] = {}
    try:
        around = TracesData.FromString(envelope)
        for (body,) in bodies:
            _take(spans, Span.FromString(body))
    except (MessageError, TypeError):
        raise DecodeError("what is kept of it is damaged") from None
    if not around.resource_spans or not around.resource_spans[0].scope_spans:
        raise DecodeError("what is kept of it is damaged")
    return around, spans


def _columns(run_id: str, spans: list[OtlpSpan]) -> dict[str, Any]:
    """Return what the row of a run says, as the run itself would have written it.

    Raises:
        DecodeError: Its spans contradict each other.
    """
    ended = [span for span in spans if span.end_time is not None]
    store = StatusStore(len(ended), 0, 0)
    if ended:
        replay(ended, store, run_id)
    run = store.run
    # Of a run that was killed a history knows no end, as its own runs have none.
    end = None if run is None or run.error_type == KILLED else run
    first = min(spans, key=lambda span: span.start_time)
    return {
        "trace_id": f"{first.context.trace_id:032x}",
        "name": None if run is None else run.name,
        "config_hash": None if run is None else run.config_hash,
        "engine": None if run is None else run.engine,
        "started_ns": first.start_time,
        "ended_ns": None if end is None else end.facts.end_time_ns,
        "result": None if end is None else end.result,
        "error_type": None if end is None else end.error_type,
        "executions": store.totals()["snapshots"],
        "failed_modules": json.dumps(store.failed_modules),
        "changes": store.totals()["changes"],
    }


def _write_run(connection: sqlite3.Connection, run_id: str, columns: dict[str, Any]) -> int:
    """Write the row of a run that is new, or that has more spans than before."""
    names = ", ".join(columns)
    places = ", ".join("?" * len(columns))
    renewed = ", ".join(f"{name} = excluded.{name}" for name in columns)
    connection.execute(
        f"INSERT INTO run (run_id, {names}) VALUES (?, {places}) "  # noqa: S608  of our own making
        f"ON CONFLICT (run_id) DO UPDATE SET {renewed}",
        (run_id, *columns.values()),
    )
    (number,) = connection.execute("SELECT id FROM run WHERE run_id = ?", (run_id,)).fetchone()
    return int(number)


def _write_spans(
    connection: sqlite3.Connection, run: int, spans: Iterable[Span], changes: int
) -> None:
    """Write all spans of a run, in the place of those that are there."""
    connection.execute("DELETE FROM span WHERE id BETWEEN ? AND ?", database.spans_between(run))
    first = database.first_span(run)
    connection.executemany(
        "INSERT INTO span (id, kind, is_ended, at_ns, is_error, changes, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                first + number,
                _kind_of(span),
                bool(span.end_time_unix_nano) and not _is_killed(span),
                span.end_time_unix_nano or span.start_time_unix_nano,
                span.status.code == Status.STATUS_CODE_ERROR,
                changes,
                span.SerializeToString(),
            )
            for number, span in enumerate(spans, start=1)
        ],
    )


def _is_killed(span: Span) -> bool:
    """Tell whether a span was closed by somebody else: it never ended."""
    return span.status.code == Status.STATUS_CODE_ERROR and any(
        entry.key == key.ERROR_TYPE and entry.value.string_value == KILLED
        for entry in span.attributes
    )


def _kind_of(span: Span) -> str:
    """Tell what a span is of, as the journal does."""
    names = {entry.key for entry in span.attributes}
    if key.STEP_NAME in names:
        return "step"
    if key.MODULE_NAME in names:
        return "module"
    return "schema" if key.SCHEMA_PART in names else "run"


def _message(envelope: TracesData, spans: Iterable[Span]) -> TracesData:
    data = TracesData()
    data.CopyFrom(envelope)
    data.resource_spans[0].scope_spans[0].spans.extend(spans)
    return data
