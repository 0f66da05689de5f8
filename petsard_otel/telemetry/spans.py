"""The producing side: run, module, step and schema spans. Uses the OpenTelemetry API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry.trace import Link, SpanKind

from petsard_otel import attributes as key
from petsard_otel.passing import passing
from petsard_otel.records import NO_FACTS, SchemaPart, StepExecution
from petsard_otel.settings import MAX_ATTRIBUTE_BYTES, MAX_DISTINCT_SCHEMAS, MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded, fits, split_text
from petsard_otel.telemetry.encoding import encode
from petsard_otel.telemetry.open_span import OpenSpan, open_span_of
from petsard_otel.telemetry.propagation import context_from_environment, context_or_environment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from petsard_otel.records import Scalar
    from petsard_otel.schema import Schema
    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.encoding import Attributes
    from petsard_otel.telemetry.guard import Guard
    from petsard_otel.telemetry.metrics import Metrics
    from petsard_otel.telemetry.open_span import SpanJournal, SpanSink
    from petsard_otel.telemetry.privacy import Privacy


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
        journal: SpanJournal | None = None,
    ) -> None:
        self.run_id = run_id
        self.tracer = tracer
        self.sink = sink
        self.store = store
        self.metrics = metrics
        self.privacy = privacy
        self.guard = guard
        self.journal = journal
        self._described: dict[str, None] = {}
        self._is_begun_elsewhere: bool | None = None

    def start_run(self, description: Attributes, shown: Attributes) -> OpenSpan:
        """Open the run's own span, under the current one, else under the environment's.

        Args:
            description: What is known of it already.
            shown: The same as it may leave.
        """
        own: Attributes = {key.RUN_ID: self.run_id}
        return OpenSpan(
            self,
            "petsard run",
            {**own, **description},
            kind=SpanKind.SERVER,
            within=context_or_environment(self.guard),
            shown={**own, **shown},
        )

    def start_module(
        self,
        module: str,
        experiment: str,
        path: str,
        links: tuple[Link, ...],
        position: int = -1,
        operator_type: str | None = None,
    ) -> OpenSpan:
        """Open the span of one module execution; names are cut to the size budget."""
        name = bounded(module, MAX_NAME_BYTES)
        label = bounded(experiment, MAX_NAME_BYTES)
        attributes: Attributes = {
            key.RUN_ID: self.run_id,
            key.MODULE_NAME: name,
            key.EXPERIMENT_NAME: label,
            key.EXPERIMENT_PATH: bounded(path, MAX_ATTRIBUTE_BYTES),
            key.MODULE_POSITION: position,
        }
        if operator_type is not None:
            attributes[key.OPERATOR_TYPE] = bounded(operator_type, MAX_NAME_BYTES)
        span = OpenSpan(
            self,
            f"{name}[{experiment_label(label)}]",
            attributes,
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
        ago_ns: int = 0,
    ) -> OpenSpan:
        """Open the span of one step; numbers and truth values of its context travel with it.

        Names are cut to the size budget. It begins now, or so long ago.
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
        span = OpenSpan(self, name, encode(record), within=self._context(), ago_ns=ago_ns)
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

        The parts belong under a module's span that has stopped, and end with it.
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
        admitted = span.trace.privacy.admit(added)
        span.shown = {**span.shown, **admitted}
        span.span.set_attributes(admitted)


@passing
def step_span(step: str) -> Generator[None]:
    """Time a step of the module that is running; outside a run it does nothing.

    Args:
        step: A short fixed word, such as `fit`: it becomes part of the span's name.
    """
    owner = running_module()
    span = None
    if owner is not None:
        with owner.trace.guard:
            span = start_step_in(owner, step).enter()
    if span is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        span.fail(error)
        raise
    span.end({})


def running_module() -> OpenSpan | None:
    """Return the innermost span of ours in this context, where it is a module's or inside one."""
    owner = open_span_of(context_api.get_current())
    return owner if owner is not None and key.MODULE_NAME in owner.attributes else None


def start_step_in(owner: OpenSpan, step: str, ago_ns: int = 0) -> OpenSpan:
    """Open the span of a step of the module that `owner` belongs to, in the current context."""
    return owner.trace.start_step(
        str(owner.attributes[key.MODULE_NAME]),
        str(owner.attributes[key.EXPERIMENT_NAME]),
        str(owner.attributes[key.EXPERIMENT_PATH]),
        step,
        {},
        source="step",
        ago_ns=ago_ns,
    )


def current_span(trace: RunTrace) -> OpenSpan | None:
    """Return the innermost span of this run that is open in this context, or None."""
    owner = open_span_of(context_api.get_current())
    return owner if owner is not None and owner.trace is trace else None


def experiment_label(experiment: str) -> str:
    """Return an experiment's name without a Splitter's suffix, to keep span names few."""
    if not experiment.endswith("]"):
        return experiment
    base, separator, _ = experiment.rpartition("_[")
    return base if separator else experiment
