"""The producing side: run, module, step and schema spans. Uses the OpenTelemetry API alone."""

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
from petsard_otel.passing import passing
from petsard_otel.records import NO_FACTS, SchemaPart, StepExecution
from petsard_otel.settings import MAX_ATTRIBUTE_BYTES, MAX_DISTINCT_SCHEMAS, MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded, fits, split_text
from petsard_otel.telemetry.encoding import encode
from petsard_otel.telemetry.identity import new_span_id, new_trace_id, process_id
from petsard_otel.telemetry.propagation import context_from_environment, context_or_environment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from petsard_otel.records import Scalar
    from petsard_otel.schema import Schema
    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.encoding import Attributes
    from petsard_otel.telemetry.guard import Guard
    from petsard_otel.telemetry.metrics import Metrics
    from petsard_otel.telemetry.privacy import Privacy

_CURRENT = context_api.create_key("petsard-otel-span")

_QUALNAME: Any = type.__dict__["__qualname__"]
_NAMESPACE: Any = type.__dict__["__dict__"]


class SpanSink(Protocol):
    """Where ended spans become records: the mirror, seen from here."""

    def expect(self, span: OpenSpan) -> None:
        """Be ready for a span that is about to end."""

    def settle(self, span: OpenSpan) -> None:
        """See to it that an ended span has become a record, whatever its provider did."""


class OpenSpan:
    """A span of ours between its start and its end.

    It keeps its own identity and attributes, so that the record is the same where the provider
    records nothing, cuts attributes or fails, and where an attribute may not leave. Times: the
    start of the outermost span is wall-clock time, all others are that plus what a monotonic
    clock measured. Not thread-safe; one thread at a time.
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
        "kind",
        "links",
        "name",
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
    ) -> None:
        """Start the span now, or let it begin and end at `at_ns`."""
        self.trace = trace
        self.name = name
        self.kind = kind
        self.links = links
        self.attributes = attributes
        self.subject: tuple[str, str] | None = None
        self.is_error = False
        self.end_time_ns = at_ns or 0
        self._token: object = None
        self._process = process_id()
        self._scope = context_api.get_current() if within is None else within
        self._tick = time.perf_counter_ns()
        owner = _current(self._scope)
        if at_ns is not None:
            self.start_time_ns = at_ns
        elif owner is not None and owner.trace is trace:
            # One reading of the wall clock for a run: its spans nest, whatever that clock does.
            self.start_time_ns = owner.start_time_ns + self._tick - owner._tick  # noqa: SLF001
        else:
            self.start_time_ns = time.time_ns()
        self.span: Span = INVALID_SPAN
        self._given = INVALID_SPAN_CONTEXT
        is_own = False
        with trace.guard:
            span = trace.tracer.start_span(
                name,
                self._scope,
                kind,
                trace.privacy.admit(attributes),
                links,
                self.start_time_ns,
                record_exception=False,
                set_status_on_exception=False,
            )
            given = span.get_span_context()
            is_own = span.is_recording() or given.span_id != self._around.span_id
            self.span, self._given = span, given
        self.identity = self._given if self._given.is_valid and is_own else self._new_identity()

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
        owner = _current(self._scope)
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

    def stop(self) -> None:
        """Stop its clock; it stays the current span until `end`."""
        if self.is_open:
            self.end_time_ns = self.start_time_ns + time.perf_counter_ns() - self._tick

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
                if is_ours and span.is_recording():
                    added = (attributes if shown is None else shown).copy()
                    for name in started:
                        added.pop(name, None)
                    span.set_attributes(trace.privacy.admit(added))
                    if self.is_error:
                        span.set_status(StatusCode.ERROR)
            finally:
                if is_ours:
                    span.end(self.end_time_ns)
        with trace.guard:
            trace.sink.settle(self)

    def fail(self, error: BaseException, attributes: Attributes | None = None) -> None:
        """End the span as one that an exception ended."""
        kind = error_type(error)
        found: Attributes = {**(attributes or {}), key.ERROR_TYPE: kind}
        with self.trace.guard:
            found.update(self.trace.privacy.message(error))
        self.end(found, kind)

    @property
    def is_current(self) -> bool:
        """Whether it is the innermost of ours in the calling thread's context."""
        return _current(context_api.get_current()) is self

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was begun here: a forked child ends no span of its parent's."""
        return self._process == process_id()

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_time_ns == 0

    @property
    def duration_seconds(self) -> float:
        """How long it was open, once it has ended."""
        return (self.end_time_ns - self.start_time_ns) / 1e9


class RunTrace:
    """What all spans of one run share: run id, tracer, mirror, store, metrics, gate."""

    def __init__(
        self,
        run_id: str,
        tracer: Tracer,
        sink: SpanSink,
        store: StatusStore,
        metrics: Metrics,
        privacy: Privacy,
        guard: Guard,
    ) -> None:
        self.run_id = run_id
        self.tracer = tracer
        self.sink = sink
        self.store = store
        self.metrics = metrics
        self.privacy = privacy
        self.guard = guard
        self._described: dict[str, None] = {}
        self._is_begun_elsewhere: bool | None = None

    def start_run(self) -> OpenSpan:
        """Open the run's own span, under the current one, else under the environment's."""
        return OpenSpan(
            self,
            "petsard run",
            {key.RUN_ID: self.run_id},
            kind=SpanKind.SERVER,
            within=context_or_environment(self.guard),
        )

    def start_module(
        self, module: str, experiment: str, path: str, links: tuple[Link, ...]
    ) -> OpenSpan:
        """Open the span of one module execution; names are cut to the size budget."""
        name = bounded(module, MAX_NAME_BYTES)
        label = bounded(experiment, MAX_NAME_BYTES)
        span = OpenSpan(
            self,
            f"{name}[{experiment_label(label)}]",
            {
                key.RUN_ID: self.run_id,
                key.MODULE_NAME: name,
                key.EXPERIMENT_NAME: label,
                key.EXPERIMENT_PATH: bounded(path, MAX_ATTRIBUTE_BYTES),
            },
            links=links,
            within=self._context(),
        )
        span.subject = (module, experiment)
        return span

    def start_step(
        self,
        module: str,
        experiment: str,
        path: str,
        step: str,
        context: Mapping[str, Scalar],
        source: str,
    ) -> OpenSpan:
        """Open the span of one step; numbers and truth values of its context travel with it.

        Names are cut to the size budget.
        """
        record = StepExecution(
            facts=NO_FACTS,
            run_id=self.run_id,
            module_name=bounded(module, MAX_NAME_BYTES),
            experiment_name=bounded(experiment, MAX_NAME_BYTES),
            experiment_path=bounded(path, MAX_ATTRIBUTE_BYTES),
            step_name=bounded(step, MAX_NAME_BYTES),
            source=source,
            context_items=(),
            error_type=None,
        )
        name = f"{record.module_name}.{record.step_name}"
        span = OpenSpan(self, name, encode(record), within=self._context())
        add_context(span, context)
        return span

    def _context(self) -> Context | None:
        """Return what the environment carries, for a span that is in none of ours; else None."""
        if current_span(self) is not None:
            return None
        if self._is_begun_elsewhere is None:
            began = context_from_environment(guard=self.guard)
            self._is_begun_elsewhere = began != context_api.get_current()
        return context_or_environment(self.guard) if self._is_begun_elsewhere else None

    def describe(self, schema: Schema, span: OpenSpan) -> None:
        """Put a structure into the trace, in parts and once, unless it is there already.

        The parts belong under a module's span that has stopped, and have its end for their time.
        """
        if self._is_described(schema):
            return
        parts = split_text(schema.json)
        for number, text in enumerate(parts, start=1):
            record = SchemaPart(NO_FACTS, self.run_id, schema.hash, number, len(parts), text)
            part = OpenSpan(
                self, "schema", encode(record), within=span.context, at_ns=span.end_time_ns
            )
            part.end({})

    def structure(self, schema: Schema, span: OpenSpan) -> Attributes:
        """Return the attribute that holds a structure; describe a wide one, and return none."""
        if not fits(schema.json):
            self.describe(schema, span)
            return {}
        self._is_described(schema)
        return {key.SCHEMA_OUTPUT_JSON: schema.json}

    def _is_described(self, schema: Schema) -> bool:
        """Tell whether the trace has a structure; from now on it has."""
        if schema.hash in self._described:
            return True
        self._described[schema.hash] = None
        while len(self._described) > MAX_DISTINCT_SCHEMAS:
            del self._described[next(iter(self._described))]
        return False


def add_context(span: OpenSpan, context: Mapping[str, Scalar]) -> None:
    """Add a user's context to a step: numbers travel, text stays in the local record alone."""
    if not context:
        return
    added: Attributes = {key.STEP_CONTEXT_PREFIX + name: context[name] for name in context}
    span.attributes = {**span.attributes, **added}
    with span.trace.guard:
        span.span.set_attributes(span.trace.privacy.admit(added))


@passing
def step_span(step: str) -> Generator[None]:
    """Time a step of the module that is running; outside a run it does nothing.

    Args:
        step: A short fixed word, such as `fit`: it becomes part of the span's name.
    """
    owner = _current(context_api.get_current())
    span = None
    if owner is not None and key.MODULE_NAME in owner.attributes:
        with owner.trace.guard:
            span = owner.trace.start_step(
                str(owner.attributes[key.MODULE_NAME]),
                str(owner.attributes[key.EXPERIMENT_NAME]),
                str(owner.attributes[key.EXPERIMENT_PATH]),
                step,
                {},
                source="step",
            ).enter()
    if span is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        span.fail(error)
        raise
    span.end({})


def current_span(trace: RunTrace) -> OpenSpan | None:
    """Return the innermost span of this run that is open in this context, or None."""
    owner = _current(context_api.get_current())
    return owner if owner is not None and owner.trace is trace else None


def error_type(error: BaseException) -> str:
    """Return the class of an error as `error.type` has it: with its module but for built-ins."""
    cls = type(error)
    # Read past a metaclass, which may answer something else, or fail.
    name = _QUALNAME.__get__(cls)
    module = _NAMESPACE.__get__(cls).get("__module__")
    if type(module) is str and module != "builtins":
        name = f"{module}.{name}"
    return bounded(name, MAX_NAME_BYTES)


def experiment_label(experiment: str) -> str:
    """Return an experiment's name without a Splitter's suffix, to keep span names few."""
    if not experiment.endswith("]"):
        return experiment
    base, separator, _ = experiment.rpartition("_[")
    return base if separator else experiment


def _current(context: Context) -> OpenSpan | None:
    return cast("OpenSpan | None", context_api.get_value(_CURRENT, context))
