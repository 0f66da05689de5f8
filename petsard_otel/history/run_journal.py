"""What is written of one run: each span as it starts and as it ends, as OTLP."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from petsard_otel import attributes as key
from petsard_otel.history.journal import RunRow
from petsard_otel.telemetry.identity import process_id
from petsard_otel.telemetry.otlp import messages

if TYPE_CHECKING:
    from petsard_otel.history.journal import Journal
    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.open_span import OpenSpan

_INSERT_SPAN = (
    "INSERT INTO span (id, kind, is_ended, at_ns, is_wanted, body) "
    "VALUES (?1 + ?2, ?3, 0, ?4, ?5, ?6)"
)
_END_SPAN = (
    "UPDATE span SET is_ended = 1, at_ns = ?3, is_error = ?4, changes = ?5, accepted_by = NULL, "
    "body = ?6 WHERE id = ?1 + ?2"
)
_END_RUN = (
    "UPDATE run SET ended_ns = ?2, result = ?3, error_type = ?4, executions = ?5, "
    "failed_modules = ?6, changes = ?7, name = ?8, config_hash = ?9, engine = ?10 "
    "WHERE run_id = ?11 AND ?1"
)


class RunJournal:
    """What is written of one run."""

    def __init__(
        self, journal: Journal, store: StatusStore, envelope: bytes, *, wants: bool
    ) -> None:
        """Begin with nothing: the run's first span makes its row.

        Args:
            journal: Where it is written.
            store: Whose counts are noted beside the spans.
            envelope: Resource and scope of its spans, as `otlp.messages.envelope_bytes` has them.
            wants: Whether its sampled spans are to be sent, so that they are kept until they are.
        """
        self._journal = journal
        self._store = store
        self._envelope = envelope
        self._wants = wants
        self._numbers = count(1)
        self._row: RunRow | None = None
        self._process = 0

    def started(self, span: OpenSpan) -> None:
        """Write a span that has just begun."""
        row = self._row
        if row is None or self._process != process_id():
            row = self._begin(span)
        if row.is_lost:
            return
        number = next(self._numbers)
        body = messages.begun(
            span.name,
            span.kind.value + 1,
            span.identity,
            span.parent,
            span.start_time_ns,
            span.shown,
            span.links,
        )
        is_wanted = self._wants and span.is_sampled
        if is_wanted:
            self._journal.want(span.identity.span_id, row, number)
        span.kept = row, number, body, len(span.shown)
        values = (number, _kind_of(span), span.start_time_ns, is_wanted, body)
        self._journal.write(row, _INSERT_SPAN, values)

    def ended(self, span: OpenSpan) -> None:
        """Write a span that has just ended."""
        if span.kept is None:
            return
        row, number, begun, known = span.kept
        if row.is_lost:
            return
        changes = self._store.change_count
        body = messages.ended(begun, known, span.end_time_ns, span.shown, is_error=span.is_error)
        values = (number, span.end_time_ns, span.is_error, changes, body)
        if key.RUN_RESULT not in span.shown:
            self._journal.write(row, _END_SPAN, values)
            return
        # No kill comes between the two.
        of_run = self._of_run(row, span, changes)
        self._journal.write_together(row, ((_END_SPAN, values), (_END_RUN, of_run)))
        self._journal.end(row)

    def _begin(self, span: OpenSpan) -> RunRow:
        """Make the run's row; once in each process that writes of it."""
        found = span.shown
        row = RunRow(
            span.trace.run_id,
            f"{span.identity.trace_id:032x}",
            _storable(found.get(key.RUN_NAME)),
            _storable(found.get(key.CONFIG_HASH)),
            _storable(found.get(key.ENGINE)),
            span.start_time_ns,
            self._envelope,
        )
        self._journal.begin(row)
        self._row, self._process = row, process_id()
        return row

    def _of_run(self, row: RunRow, span: OpenSpan, changes: int) -> tuple[Any, ...]:
        """Return what the run's row says once it is over."""
        found = span.shown
        return (
            span.end_time_ns,
            found[key.RUN_RESULT],
            _storable(found.get(key.ERROR_TYPE)),
            self._store.totals()["snapshots"],
            json.dumps(self._store.failed_modules),
            changes,
            _storable(found.get(key.RUN_NAME)),
            _storable(found.get(key.CONFIG_HASH)),
            _storable(found.get(key.ENGINE)),
            row.run_id,
        )


def _kind_of(span: OpenSpan) -> str:
    found = span.attributes
    if key.STEP_NAME in found:
        return "step"
    if key.MODULE_NAME in found:
        return "module"
    return "schema" if key.SCHEMA_PART in found else "run"


def _storable(text: Any) -> str | None:
    """Return a text without lone surrogates, which a file's name may have and UTF-8 has not."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else None
