"""The reading side: which runs there are, and what is kept of one. Changes nothing."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError as MessageError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from petsard_otel import attributes as key
from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database
from petsard_otel.history.closing import close
from petsard_otel.history.place import existing_place
from petsard_otel.history.rows import Rows, RunRow
from petsard_otel.records import KILLED, STATES, RunSummary, TimingRecord, outcome
from petsard_otel.telemetry.otlp.spans import spans_of
from petsard_otel.telemetry.replay import open_executions

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from petsard_otel.records import OpenExecution
    from petsard_otel.telemetry.otlp.spans import OtlpSpan

MAX_SHOWN_CANDIDATES = 5
"""How many runs are named where an id's beginning is not enough."""

SPANS_PER_MESSAGE = 500
"""How many spans one TracesData of a run has: about a megabyte at most."""

_TIMING_KEYS = {key.MODULE_NAME, key.EXPERIMENT_NAME, key.EXPERIMENT_PATH, key.ERROR_TYPE}
_LAST = re.compile(r"last(?:~(\d{1,9}))?")


class History:
    """The runs that a database holds. What is damaged in it is passed over, and said once.

    Attributes:
        path: The database.
        rows: What is in it.
    """

    def __init__(self, path: Path, *, is_quiet: bool = False) -> None:
        """Open it.

        Args:
            path: The database.
            is_quiet: Whether nothing is said of damage.

        Raises:
            HistoryError: It cannot be read.
        """
        self.path = path
        self.rows = Rows(path, is_quiet=is_quiet)

    def close(self) -> None:
        """Close the database."""
        self.rows.close()

    @property
    def is_damaged(self) -> bool:
        """Whether something of what was asked for could not be read."""
        return self.rows.is_damaged

    def runs(self) -> list[RunSummary]:
        """Return every run, the newest first."""
        return [self.summary(row) for row in self.rows.runs()]

    def find(self, text: str) -> RunSummary:
        """Return the run that is meant.

        Args:
            text: An id, the beginning of one, `last`, or `last~1` for the one before.

        Raises:
            HistoryError: There is none such, or several.
        """
        # An argument of the command line may hold bytes that are no text.
        known = self.rows.run(text) if text.isascii() else None
        return self.summary(self._found(text) if known is None else known)

    def earlier(self, run: RunSummary, limit: int) -> list[RunSummary]:
        """Return completed runs of the same pipeline before a run, the newest first.

        The same pipeline is one of the same name or, where it has none, of the same configuration.
        """
        found = []
        for row in self.rows.runs():
            is_same = (
                row.config_hash == run.config_hash if run.name is None else row.name == run.name
            )
            if is_same and row.started_ns < run.started_ns and row.result == "success":
                found.append(self.summary(row))
            if len(found) == limit:
                break
        return found

    def spans(self, run: RunSummary) -> list[OtlpSpan]:
        """Return the spans of a run, those of a killed one closed."""
        return [span for data in self.traces_data(run) for span in spans_of(data)]

    def traces_data(self, run: RunSummary) -> Iterator[TracesData]:
        """Yield a run as OTLP, in messages of at most SPANS_PER_MESSAGE spans."""
        row = self.row_of(run)
        yield from self._enveloped(row, self.closed(row, self._messages(row)))

    def open_executions(self, run: RunSummary) -> tuple[OpenExecution, ...]:
        """Return the module executions that had not ended when a run was last seen alive."""
        row = self.row_of(run)
        if row.ended_ns is not None:
            return ()
        return open_executions(self.spans(run), self._seen_ns(row), row.memory_bytes)

    def timings(self, run: RunSummary) -> list[TimingRecord]:
        """Return the timings of a run's module executions, as they ended.

        Quick, since a comparison asks for those of twenty runs.
        """
        messages = self._messages(self.row_of(run), "AND kind = 'module' AND is_ended")
        return sorted(map(_timing, messages), key=lambda record: record.end_time_ns)

    def row_of(self, run: RunSummary) -> RunRow:
        """Return where a run is.

        Raises:
            HistoryError: It is no longer there.
        """
        row = self.rows.run(run.run_id)
        if row is None:
            raise HistoryError(f"the run {run.run_id} is no longer in {str(self.path)!r}")
        return row

    def summary(self, row: RunRow) -> RunSummary:
        """Return what there is to say of a run as a whole."""
        state = STATES.get(row.result or "")
        error_type, ended_ns = row.error_type, row.ended_ns
        executions, changes = row.executions, row.changes
        failed = _modules(row.failed_modules)
        if state == "failed" and error_type == KILLED:
            state = KILLED
        elif state is None:
            state = self._state_of_open(row)
            executions, changes, failed = self._counts(row)
            if state != "running":
                ended_ns = self._seen_ns(row)
            if state == KILLED:
                error_type = KILLED
        return RunSummary(
            run_id=row.run_id,
            trace_id=row.trace_id,
            name=row.name,
            config_hash=row.config_hash,
            engine=row.engine,
            state=state,
            error_type=error_type,
            started_ns=row.started_ns,
            ended_ns=ended_ns,
            executions=executions or 0,
            failed_modules=failed,
            changes=changes or 0,
        )

    def closed(self, row: RunRow, messages: list[Span]) -> list[Span]:
        """Return the spans of a run, where it was killed those that never ended closed.

        A step that somebody began to time and never ended is none.
        """
        if row.ended_ns is not None or self._state_of_open(row) != KILLED:
            return messages
        closed = close(messages, row.run_id, self._seen_ns(row), row.memory_bytes)
        return [closed.get(span.span_id, span) for span in messages]

    def _found(self, text: str) -> RunRow:
        runs = self.rows.runs()
        last = _LAST.fullmatch(text)
        if last is not None:
            back = int(last[1] or 0)
            if back < len(runs):
                return runs[back]
            there = "1 run" if len(runs) == 1 else f"{len(runs) or 'no'} runs"
            raise HistoryError(f"there is no run {text!r}: {str(self.path)!r} holds {there}")
        wanted = text.lower()
        found = [run for run in runs if wanted and run.run_id.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise HistoryError(
                f"there is no run {text!r} in {str(self.path)!r}; give an id, the beginning of "
                "one, `last` or `last~1`. `petsard-otel runs` lists them"
            )
        shown = "".join(f"\n{row.run_id}  {row.name or ''}" for row in found[:MAX_SHOWN_CANDIDATES])
        more = "\n..." if len(found) > MAX_SHOWN_CANDIDATES else ""
        raise HistoryError(f"{text!r} is the beginning of several runs' ids:{shown}{more}")

    def _state_of_open(self, row: RunRow) -> str:
        if row.is_under_way:
            return "running"
        found = self.rows.one(
            "SELECT 1 FROM span WHERE id BETWEEN ? AND ? AND NOT is_ended "
            "AND kind IN ('run', 'module') LIMIT 1",
            *database.spans_between(row.id),
        )
        return "ended" if found is None else KILLED

    def _counts(self, row: RunRow) -> tuple[int, int, tuple[str, ...]]:
        """Count what a run that never ended did."""
        executions, changes = self.rows.one(
            "SELECT count(*), max(changes) FROM span WHERE id BETWEEN ? AND ? AND kind = 'module'",
            *database.spans_between(row.id),
        ) or (0, 0)
        failed = "is_error" if row.is_under_way else "(is_error OR NOT is_ended)"
        messages = self._messages(row, f"AND kind = 'module' AND {failed}")
        modules = dict.fromkeys(_timing(span).module_name for span in messages)
        return executions, changes if isinstance(changes, int) else 0, tuple(modules)

    def _seen_ns(self, row: RunRow) -> int:
        """Return when a run's process was last known to be alive."""
        (at_ns,) = self.rows.one(
            "SELECT max(at_ns) FROM span WHERE id BETWEEN ? AND ?", *database.spans_between(row.id)
        ) or (0,)
        known = [row.started_ns, at_ns if isinstance(at_ns, int) else 0]
        if row.seen_ns is not None and row.process_ended_ns is None:
            known.append(row.seen_ns)
        return max(known)

    def _enveloped(self, row: RunRow, messages: Sequence[Span]) -> Iterator[TracesData]:
        """Yield spans of a run as OTLP, under its resource and scope."""
        envelope = self.rows.envelope(row.id)
        for at in range(0, len(messages), SPANS_PER_MESSAGE):
            data = opened(envelope)
            inside = data.resource_spans[0].scope_spans[0]
            inside.spans.extend(messages[at : at + SPANS_PER_MESSAGE])
            yield data

    def pass_over(self) -> None:
        """Say once that a span is not as it was written, and so is left out."""
        self.rows.warn("a span is not as it was written")

    def span_in(self, body: bytes) -> Span | None:
        """Return the span that a row holds; None where it is damaged, which is said."""
        try:
            return Span.FromString(body)
        except (MessageError, TypeError) as error:
            self.rows.warn(type(error).__name__)
            return None

    def _messages(self, row: RunRow, which: str = "") -> list[Span]:
        sql = f"SELECT id, body FROM span WHERE id BETWEEN ? AND ? {which} ORDER BY id"  # noqa: S608  of our own making
        found = (
            self.span_in(body) for _, body in self.rows.each(sql, *database.spans_between(row.id))
        )
        return [span for span in found if span is not None]


@contextmanager
def open_history(given: str | os.PathLike[str] | None = None) -> Iterator[History]:
    """Open the history that a reader means, as `existing_place` reads it.

    Raises:
        HistoryError: There is none, or it cannot be read.
    """
    history = History(existing_place(given))
    try:
        yield history
    finally:
        history.close()


def opened(envelope: bytes) -> TracesData:
    """Return an envelope to put spans into; one without anything where it is damaged."""
    try:
        data = TracesData.FromString(envelope)
    except MessageError:
        data = TracesData()
    if not data.resource_spans or not data.resource_spans[0].scope_spans:
        data = TracesData()
        scope = data.resource_spans.add().scope_spans.add()
        scope.scope.name = key.SCOPE_NAME
    return data


def _modules(text: str | None) -> tuple[str, ...]:
    """Return the names that a column holds, none where it is damaged."""
    try:
        names = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _timing(span: Span) -> TimingRecord:
    found = {
        entry.key: entry.value.string_value
        for entry in span.attributes
        if entry.key in _TIMING_KEYS
    }
    span_id = span.span_id.hex()
    return TimingRecord(
        record_id=span_id,
        module_name=found.get(key.MODULE_NAME, ""),
        experiment_name=found.get(key.EXPERIMENT_NAME, ""),
        step_name="run",
        start_time_ns=span.start_time_unix_nano,
        end_time_ns=span.end_time_unix_nano,
        source="module",
        status=outcome(found.get(key.ERROR_TYPE)),
        experiment_path=found.get(key.EXPERIMENT_PATH, ""),
        trace_id=span.trace_id.hex(),
        span_id=span_id,
    )
