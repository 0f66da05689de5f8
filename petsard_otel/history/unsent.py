"""Spans that no receiver has accepted yet, and how they get there after all."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database
from petsard_otel.history.journal import INSERT_RECEIVER
from petsard_otel.history.journals import beside_journals
from petsard_otel.history.reading import History, opened
from petsard_otel.records import KILLED
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.problems import Remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from petsard_otel.records import RunSummary
    from petsard_otel.telemetry.sending.delivery import Delivery

SETTLED_SECONDS = 60
"""A run of a living process that ended so long ago has had its spans sent, or refused."""

SPANS_PER_REQUEST = 256
"""How many spans one request has: a third of a megabyte, usually."""

SECONDS_PER_TURN = 1.0
"""How long sending what earlier runs left may hold up what this one has to send."""

PAUSE_SECONDS = 60.0
"""How long nothing of it is tried after a receiver that takes what is new has not answered."""


_SPANS = (
    "SELECT span.id, body, is_ended, is_wanted AND accepted_by IS NULL, endpoint FROM span "
    "LEFT JOIN receiver ON receiver.id = accepted_by WHERE span.id BETWEEN ? AND ? ORDER BY span.id"
)


class Unsent(NamedTuple):
    """A span to be sent, and where it lies."""

    row: int
    envelope: bytes
    body: bytes


def unsent(history: History, run: RunSummary, endpoint: str | None = None) -> list[Unsent]:
    """Return the spans of a run that are still to be sent.

    Those of a killed run are closed; of one that is under way those that have ended are returned.

    Args:
        history: Where it is kept.
        run: The run.
        endpoint: Return all that this receiver has not accepted; None: those that were meant to
            be sent and that none has.
    """
    row = history.row_of(run)
    rows, messages = [], []
    for number, body, *facts in history.rows.each(_SPANS, *database.spans_between(row.id)):
        message = history.span_in(body)
        if message is not None:
            messages.append(message)
            rows.append((number, body, *facts))
    # Of one that is not over those that never ended stay as they are.
    closed = history.closed(row, messages)
    envelope = history.rows.envelope(row.id)
    wanted_by = None if endpoint is None else database.receiver_key(endpoint)
    found = []
    for (number, body, is_ended, is_unsent, receiver), span in zip(rows, closed, strict=True):
        if is_unsent if wanted_by is None else receiver != wanted_by:
            if is_ended:
                found.append(Unsent(number, envelope, body))
            elif span.end_time_unix_nano:
                found.append(Unsent(number, envelope, span.SerializeToString()))
    return found


def runs_with_unsent(history: History) -> list[RunSummary]:
    """Return the runs of which something is still to be sent, the oldest first."""
    has_ended: dict[int, bool] = {}
    for span, is_ended in history.rows.select(
        "SELECT id, is_ended FROM span WHERE is_wanted AND accepted_by IS NULL"
    ):
        number = database.run_of(span)
        has_ended[number] = has_ended.get(number, False) or bool(is_ended)
    found = []
    for number, is_whole in has_ended.items():
        row = history.rows.run_in(number)
        if row is not None:
            run = history.summary(row)
            # A step that never ended is sent where its run was killed, else never.
            if is_whole or run.state == KILLED:
                found.append(run)
    return sorted(found, key=lambda run: run.started_ns)


def sendable_runs(history: History) -> Iterator[RunSummary]:
    """Yield the runs of which something is to be sent beside another one, the oldest first.

    Those that are under way, or ended a moment ago, send for themselves.
    """
    for run in runs_with_unsent(history):
        is_settled = run.ended_ns is not None and (
            time.time_ns() - run.ended_ns > SETTLED_SECONDS * 1e9
        )
        if run.state == KILLED or is_settled or not history.row_of(run).has_living_process:
            yield run


def request_of(spans: Sequence[Unsent]) -> ExportTraceServiceRequest:
    """Put spans into a request, each under the resource of its run."""
    request = ExportTraceServiceRequest()
    by_envelope: dict[bytes, list[bytes]] = {}
    for span in spans:
        by_envelope.setdefault(span.envelope, []).append(span.body)
    for envelope, bodies in by_envelope.items():
        data = opened(envelope)
        inside = data.resource_spans[0].scope_spans[0]
        for body in bodies:
            inside.spans.add().MergeFromString(body)
        request.resource_spans.extend(data.resource_spans)
    return request


def in_requests(spans: Sequence[Unsent]) -> list[Sequence[Unsent]]:
    """Return spans in portions, each for one request."""
    return [spans[at : at + SPANS_PER_REQUEST] for at in range(0, len(spans), SPANS_PER_REQUEST)]


class Acceptances:
    """Notes in a database which spans a receiver has accepted."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            HistoryError: It cannot be used, or be written.
        """
        try:
            self._connection = database.open_to_write(path)
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(f"{str(path)!r} cannot be written: {error}") from None

    def note(self, spans: Sequence[Unsent], endpoint: str) -> None:
        """Note that these have been accepted."""
        receiver = database.receiver_key(endpoint)
        with database.transaction(self._connection):
            self._connection.execute(INSERT_RECEIVER, (receiver,))
            self._connection.executemany(
                "UPDATE span SET accepted_by = (SELECT id FROM receiver WHERE endpoint = ?) "
                "WHERE id = ?",
                [(receiver, span.row) for span in spans],
            )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


class EarlierRuns:
    """What earlier runs of a history could not send, sent beside what this process sends.

    Nothing here raises; what fails is left for the next run, or for `petsard-otel push`.
    """

    def __init__(self, paths: Callable[[], list[Path]]) -> None:
        """Look at nothing yet.

        Args:
            paths: The databases that this process writes, as soon as it does.
        """
        self._paths = paths
        self._guard = Guard()
        self._has_stopped = False
        self._may_try_at = 0.0

    def send_through(self, delivery: Delivery[ReadableSpan]) -> None:
        """Send some of it on a way that has just proved to be open."""
        end = time.monotonic() + SECONDS_PER_TURN
        for path in self._paths():
            if self._has_stopped or time.monotonic() < self._may_try_at:
                return
            with self._guard, suppress(HistoryError):
                self._send(path, delivery, end)

    def _send(self, path: Path, delivery: Delivery[ReadableSpan], end: float) -> None:
        # Nothing is open while a request is under way: this process may fork.
        with beside_journals(), closing(History(path, is_quiet=True)) as history:
            runs = list(sendable_runs(history))
        if runs:
            # What could not be noted would be sent again each time.
            with beside_journals():
                Acceptances(path).close()
        for run in runs:
            goes_on = True
            # One that is damaged keeps none of the others back.
            with self._guard, suppress(HistoryError):
                with beside_journals(), closing(History(path, is_quiet=True)) as history:
                    spans = unsent(history, run)
                goes_on = self._send_spans(path, spans, delivery, end)
            if self._has_stopped or not goes_on:
                return

    def _send_spans(
        self, path: Path, spans: list[Unsent], delivery: Delivery[ReadableSpan], end: float
    ) -> bool:
        """Send the spans of a run; tell whether those of the next may be tried now."""
        waiting = deque(in_requests(spans))
        while waiting:
            if time.monotonic() > end and not delivery.is_closing:
                return False
            part = waiting.popleft()
            problem = delivery.offer(request_of(part), may_split=len(part) > 1)
            if problem is None:
                self._has_stopped = True
                with beside_journals(), closing(Acceptances(path)) as acceptances:
                    acceptances.note(part, delivery.endpoint)
                self._has_stopped = False
            elif problem.remedy is Remedy.SPLIT and len(part) > 1:
                middle = len(part) // 2
                waiting.extendleft((part[middle:], part[:middle]))
            elif problem.remedy not in {Remedy.SPLIT, Remedy.SKIP}:
                self._has_stopped = problem.remedy is Remedy.STOP
                if problem.remedy is Remedy.WAIT:
                    self._may_try_at = time.monotonic() + PAUSE_SECONDS
                return False
        return True
