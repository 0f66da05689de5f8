"""A span of ours from its start to its end. Uses the OpenTelemetry API alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
)

from petsard_otel import attributes as key
from petsard_otel.records import OpenExecution
from petsard_otel.settings import MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded
from petsard_otel.telemetry.identity import new_span_id, new_trace_id, process_id

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from petsard_otel.telemetry.encoding import Attributes
    from petsard_otel.telemetry.spans import RunTrace

_CURRENT = context_api.create_key("petsard-otel-span")

_QUALNAME: Any = type.__dict__["__qualname__"]
_NAMESPACE: Any = type.__dict__["__dict__"]


class SpanSink(Protocol):
    """Where ended spans become records: the mirror, seen from here."""

    def expect(self, span: OpenSpan) -> None:
        """Be ready for a span that is about to end."""

    def settle(self, span: OpenSpan) -> None:
        """See to it that an ended span has become a record, whatever its provider did."""


class SpanJournal(Protocol):
    """Where spans are kept beyond the process, as they may leave."""

    def started(self, span: OpenSpan) -> None:
        """Keep a span that has just begun."""

    def ended(self, span: OpenSpan) -> None:
        """Keep what it has become."""


class OpenSpan:
    """A span of ours between its start and its end.

    It keeps its own identity and attributes, so that the record is the same where the provider
    records nothing, cuts attributes or fails, and where an attribute may not leave. Times: the
    start of the outermost span is wall-clock time, all others are that plus what a monotonic
    clock measured. Not thread-safe; one thread at a time.

    Attributes:
        attributes: What the record is made of.
        shown: The same as it may leave.
        kept: What the journal knows of it; None where it is not kept.
    """

    __slots__ = (
        "_given",
        "_process",
        "_scope",
        "_tick",
        "_token",
        "attributes",
        "end_time_ns",
        "identity",
        "is_error",
        "kept",
        "kind",
        "links",
        "name",
        "shown",
        "span",
        "start_time_ns",
        "subject",
        "trace",
    )

    def __init__(
        self,
        trace: RunTrace,
        name: str,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: tuple[Link, ...] = (),
        within: Context | None = None,
        at_ns: int | None = None,
        ago_ns: int = 0,
        shown: Attributes | None = None,
    ) -> None:
        """Start the span now or a while ago, or let it end at `at_ns` and begin just before.

        A nanosecond before: Jaeger takes a span without any length for one whose clock is wrong.
        """
        self.trace = trace
        self.name = name
        self.kind = kind
        self.links = links
        self.attributes = attributes
        self.shown: Attributes = {}
        self.kept: Any = None
        self.subject: tuple[str, str] | None = None
        self.is_error = False
        self.end_time_ns = at_ns or 0
        self._token: object = None
        self._process = process_id()
        self._scope = context_api.get_current() if within is None else within
        self._tick = time.perf_counter_ns() - ago_ns
        owner = open_span_of(self._scope)
        if at_ns is not None:
            self.start_time_ns = at_ns - 1
        elif owner is not None and owner.trace is trace:
            # One reading of the wall clock for a run: its spans nest, whatever that clock does.
            self.start_time_ns = owner.start_time_ns + self._tick - owner._tick  # noqa: SLF001
        else:
            self.start_time_ns = time.time_ns() - ago_ns
        self.span: Span = INVALID_SPAN
        self._given = INVALID_SPAN_CONTEXT
        is_own = False
        with trace.guard:
            self.shown = trace.privacy.admit(attributes if shown is None else shown)
            span = trace.tracer.start_span(
                name,
                self._scope,
                kind,
                self.shown,
                links,
                self.start_time_ns,
                record_exception=False,
                set_status_on_exception=False,
            )
            given = span.get_span_context()
            is_own = span.is_recording() or given.span_id != self._around.span_id
            self.span, self._given = span, given
        self.identity = self._given if self._given.is_valid and is_own else self._new_identity()
        if trace.journal is not None:
            with trace.guard:
                trace.journal.started(self)

    def _new_identity(self) -> SpanContext:
        """Make the identity that the provider did not give."""
        parent = self.parent
        trace_id = new_trace_id() if parent is None else parent.trace_id
        return SpanContext(trace_id, new_span_id(), is_remote=False)

    @property
    def _around(self) -> SpanContext:
        return trace_api.get_current_span(self._scope).get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        """The identity of the span around this one: ours where it is of the same run."""
        owner = open_span_of(self._scope)
        if owner is not None and owner.trace is self.trace:
            return owner.identity
        around = self._around
        return around if around.is_valid else None

    def enter(self) -> OpenSpan:
        """Make this the current span of the calling thread."""
        self._token = context_api.attach(self.context)
        return self

    @property
    def context(self) -> Context:
        """The context in which this span is the current one.

        Others find a stand-in of it there: a parent for their spans, and nothing to write on, so
        that no attribute, event or message of theirs gets round the gate.
        """
        within = self._scope
        if self._given.is_valid:
            within = trace_api.set_span_in_context(NonRecordingSpan(self._given), within)
        return context_api.set_value(_CURRENT, self, within)

    def leave(self) -> None:
        """Give the thread its former current span back."""
        if self._token is not None:
            # The type of a token is private to the API.
            context_api.detach(cast("Token[Context]", self._token))
            self._token = None

    def stop(self, ago_ns: int = 0) -> None:
        """Stop its clock as of a while ago; it stays the current span until `end`."""
        if self.is_open:
            self.end_time_ns = self.start_time_ns + max(self.age_ns - ago_ns, 0)

    @property
    def age_ns(self) -> int:
        """How long ago it began."""
        return time.perf_counter_ns() - self._tick

    def end(
        self,
        attributes: Attributes,
        error_type: str | None = None,
        shown: Attributes | None = None,
    ) -> None:
        """End the span; its record can be read when this returns. Called once.

        Args:
            attributes: What the record is made of.
            error_type: The class of the exception that ended it.
            shown: The same as it may leave, where that differs.
        """
        self.stop()
        self.leave()
        started = self.attributes
        self.attributes = {**started, **attributes}
        self.is_error = error_type is not None
        trace, span = self.trace, self.span
        is_ours = self.is_of_this_process
        with trace.guard:
            try:
                trace.sink.expect(self)
                is_recording = is_ours and span.is_recording()
                if is_recording or (is_ours and trace.journal is not None):
                    added = (attributes if shown is None else shown).copy()
                    for name in started:
                        added.pop(name, None)
                    added = trace.privacy.admit(added)
                    self.shown = {**self.shown, **added}
                    if is_recording:
                        span.set_attributes(added)
                if is_recording and self.is_error:
                    span.set_status(StatusCode.ERROR)
            finally:
                if is_ours:
                    span.end(self.end_time_ns)
        with trace.guard:
            trace.sink.settle(self)
        if is_ours and trace.journal is not None:
            with trace.guard:
                trace.journal.ended(self)

    def fail(self, error: BaseException) -> None:
        """End the span as one that an exception ended."""
        kind = error_type(error)
        found: Attributes = {key.ERROR_TYPE: kind}
        with self.trace.guard:
            found.update(self.trace.privacy.message(error))
        self.end(found, kind)

    def open_execution(self) -> OpenExecution:
        """Return the module execution that this is the span of, as it is now."""
        return OpenExecution(
            module_name=str(self.attributes[key.MODULE_NAME]),
            experiment_name=str(self.attributes[key.EXPERIMENT_NAME]),
            experiment_path=str(self.attributes[key.EXPERIMENT_PATH]),
            start_time_ns=self.start_time_ns,
            last_seen_ns=self.start_time_ns + self.age_ns,
            memory_bytes=None,
            trace_id=f"{self.identity.trace_id:032x}",
            span_id=f"{self.identity.span_id:016x}",
        )

    @property
    def is_current(self) -> bool:
        """Whether it is the innermost of ours in the calling thread's context."""
        return open_span_of(context_api.get_current()) is self

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was begun here: a forked child ends no span of its parent's."""
        return self._process == process_id()

    @property
    def is_sampled(self) -> bool:
        """Whether its provider means to export it."""
        return self._given.trace_flags.sampled

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_time_ns == 0

    @property
    def duration_seconds(self) -> float:
        """How long it was open, once it has ended."""
        return (self.end_time_ns - self.start_time_ns) / 1e9


def open_span_of(context: Context) -> OpenSpan | None:
    """Return the innermost span of ours in a context, of whichever run, or None."""
    return cast("OpenSpan | None", context_api.get_value(_CURRENT, context))


def error_type(error: BaseException) -> str:
    """Return the class of an error as `error.type` has it: with its module but for built-ins."""
    cls = type(error)
    # Read past a metaclass, which may answer something else, or fail.
    name = _QUALNAME.__get__(cls)
    module = _NAMESPACE.__get__(cls).get("__module__")
    if type(module) is str and module != "builtins":
        name = f"{module}.{name}"
    return bounded(name, MAX_NAME_BYTES)
