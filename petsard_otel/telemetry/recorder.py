"""From what a run does to its spans: what to say of an execution, and to whom."""

from __future__ import annotations

import logging
import uuid
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from opentelemetry.trace import Link

from petsard_otel import attributes as key
from petsard_otel.convention import NO_OUTPUT, Output, readable_schema
from petsard_otel.passing import passing
from petsard_otel.records import (
    NO_FACTS,
    ModuleExecution,
    RunExecution,
    SchemaReference,
    outcome,
)
from petsard_otel.schema import NO_DIFF, OpaqueSchema, Schema, resolve_prediction
from petsard_otel.settings import MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded
from petsard_otel.telemetry.encoding import encode, encode_diff
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.log_export import exported_logs
from petsard_otel.telemetry.open_span import OpenSpan, error_type
from petsard_otel.telemetry.privacy import Privacy, settings_of_environment
from petsard_otel.telemetry.setup import (
    instruments,
    journal_of,
    logger_provider_in_force,
)
from petsard_otel.telemetry.spans import RunTrace, current_span, experiment_label
from petsard_otel.telemetry.statistics import statistics_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import AbstractContextManager

    import pandas as pd
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import SpanContext, TracerProvider

    from petsard_otel.records import Scalar
    from petsard_otel.settings import Settings
    from petsard_otel.store import AnySchema, StatusStore
    from petsard_otel.telemetry.encoding import Attributes

_logger = logging.getLogger(__name__)


class RunDescription(Protocol):
    """What a run's span says of its configuration."""

    @property
    def name(self) -> str | None:
        """The stem of the file it came from."""

    @property
    def source(self) -> str | None:
        """That file, where there is one."""

    @property
    def hash(self) -> str:
        """Identity of its content."""

    @property
    def sequence(self) -> list[str]:
        """The modules, in their order."""

    @property
    def executor(self) -> Mapping[str, Any]:
        """Its `Executor:` section."""

    @property
    def experiment_count(self) -> int:
        """How many experiment paths it has."""


class Observed(NamedTuple):
    """What is known of a module execution at its end. `source` is the module it got data from."""

    operator_type: str
    position: int
    source: str | None = None
    received: Any = None
    output: Output = NO_OUTPUT
    predicted: Any = None
    error: BaseException | None = None


class Recorder:
    """The spans of one run. One thread at a time."""

    def __init__(
        self,
        store: StatusStore,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        settings: Settings | None = None,
        source: str | None = None,
    ) -> None:
        """Begin a run; what its providers are is looked up for its first span.

        Args:
            store: Where its records go.
            tracer_provider: What to record with; None: the one in force.
            meter_provider: The same for metrics.
            settings: What may leave; None: what the PETSARD_OTEL_* variables say.
            source: The configuration's file: a history lies beside it.

        Raises:
            ConfigError: A PETSARD_OTEL_* variable has a value that it cannot have.
        """
        self.run_id = uuid.uuid4().hex
        self.guard = Guard()
        self.engine = "builtin"
        self._settings = settings or settings_of_environment()
        self._store = store
        self._providers = (tracer_provider, meter_provider)
        self._source = source
        self._trace: RunTrace | None = None
        self._snapshot_prefix = f"snapshot_{self.run_id[:8]}_"
        self._snapshot_count = 0
        self._identities: dict[str, SpanContext] = {}
        self._opaque: dict[str, OpaqueSchema] = {}
        self._known: dict[str, tuple[AnySchema, SchemaReference]] = {}

    @property
    def trace(self) -> RunTrace:
        """What the run's spans share; the provider in force is looked up for the first of them."""
        if self._trace is None:
            found = instruments(*self._providers, self.guard, self._settings)
            journal = None
            with self.guard:
                journal = journal_of(found, self._store, self._source)
            self._trace = RunTrace(
                self.run_id,
                found.tracer,
                found.mirror,
                self._store,
                found.metrics,
                Privacy(found.settings),
                self.guard,
                journal,
            )
        return self._trace

    @passing
    def run(self, config: RunDescription, engine: str) -> Generator[None]:
        """Hold the run's span open around the module executions."""
        self.engine = engine
        self._source = config.source or self._source
        span = None
        is_counted = False
        failure: BaseException | None = None
        try:
            with self.guard:
                span = self.trace.start_run(*self._description(config)).enter()
            with self.guard:
                self.trace.metrics.run_started(engine)
                is_counted = True
            with self._exported_logs(config):
                yield
        except BaseException as error:
            failure = error
            raise
        finally:
            try:
                with self.guard:
                    if span is not None:
                        self._end_run(span, config, failure)
            finally:
                if span is not None:
                    # Also where an interrupt kept it from ending.
                    span.leave()
                with self.guard:
                    if is_counted:
                        self._measure_run(span, failure)

    def _exported_logs(self, config: RunDescription) -> AbstractContextManager[None]:
        """Export the run's log records, where that was opted into."""
        with self.guard:
            provider = logger_provider_in_force(self._settings)
            level = config.executor.get("log_level", "INFO")
            return exported_logs(provider, self.trace, level)
        return nullcontext()

    def _measure_run(self, span: OpenSpan | None, failure: BaseException | None) -> None:
        """Count the run as over; how long it took is for the process to say that began it."""
        kind = None if failure is None else error_type(failure)
        if span is None or not span.is_of_this_process:
            self.trace.metrics.run_ended(self.engine, None, kind)
        else:
            self.trace.metrics.run_ended(self.engine, span.duration_seconds, kind, span.context)

    def _description(self, config: RunDescription) -> tuple[Attributes, Attributes]:
        """Return what a run's span says from its beginning; and as it may leave."""
        with self.guard:
            record = self._run_record(config, None)
            found = encode(record)
            del found[key.RUN_RESULT]
            return found, {
                **found,
                key.CONFIG_HASH: self.trace.privacy.config_hash(config.hash),
            }
        return {}, {}

    def _run_record(self, config: RunDescription, kind: str | None) -> RunExecution:
        return RunExecution(
            facts=NO_FACTS,
            run_id=self.run_id,
            name=None if config.name is None else bounded(config.name, MAX_NAME_BYTES),
            result=outcome(kind),
            config_hash=config.hash,
            sequence=tuple(config.sequence),
            engine=self.engine,
            experiment_count=config.experiment_count,
            error_type=kind,
        )

    def _end_run(
        self, span: OpenSpan, config: RunDescription, failure: BaseException | None
    ) -> None:
        kind = None if failure is None else error_type(failure)
        found: Attributes = {}
        with self.guard:
            found = encode(self._run_record(config, kind))
        shown: Attributes = {}
        with self.guard:
            privacy = self.trace.privacy
            found.update(privacy.message(failure))
            shown = {**found, key.CONFIG_HASH: privacy.config_hash(config.hash)}
        span.end(found, kind, shown)

    def start_module(
        self,
        module: str,
        experiment: str,
        path: str,
        upstream: str | None,
        position: int,
        operator_type: str | None,
    ) -> OpenSpan | None:
        """Open the span of a module execution that uses the output of `upstream`."""
        with self.guard:
            source = None if upstream is None else self._identities.get(upstream)
            links = () if source is None else (Link(source),)
            return self.trace.start_module(module, experiment, path, links, position, operator_type)
        return None

    def open_module(self, module: str, experiment: str) -> OpenSpan | None:
        """Return the span of this module execution where it is running in this context."""
        with self.guard:
            span = current_span(self.trace)
            return span if span is not None and span.subject == (module, experiment) else None
        return None

    def end_module(self, span: OpenSpan, module: str, observed: Observed) -> None:
        """End a module's span with all that there is to say of the execution."""
        kind = None if observed.error is None else error_type(observed.error)
        span.stop()
        self._snapshot_count += 1
        found: Attributes = {}
        shown: Attributes | None = None
        # Held here until the snapshot holds them: the store's references are weak.
        before = after = None
        try:
            with self.guard:
                before = self._observable(observed.source, observed.received)
                after = self._observable(module, observed.output.schema)
                found, shown = self._described(span, observed, before, after, kind)
            with self.guard:
                if span.is_of_this_process:
                    self._measure(span, found, before, after, kind)
        except BaseException as interrupt:
            kind = error_type(interrupt)
            raise
        finally:
            with self.guard:
                if not found or kind != found.get(key.ERROR_TYPE):
                    # Looking closer failed or was interrupted: the least that is known is recorded.
                    shown = None
                    found = encode(self._record(span, observed, None, None, None, kind))
            span.end(found, kind, shown)
            self._identities[module] = span.identity

    def _described(
        self,
        span: OpenSpan,
        observed: Observed,
        before: AnySchema | None,
        after: AnySchema | None,
        kind: str | None,
    ) -> tuple[Attributes, Attributes | None]:
        """Return what the execution's record is made of; and as it may leave, if it differs."""
        table = observed.output.table
        record = self._record(span, observed, before, after, table, kind)
        found = encode(record)
        privacy = self.trace.privacy
        shown_before, shown_after = privacy.shown(before), privacy.shown(after)
        added = self._structure(shown_before, shown_after, span)
        if observed.predicted is not None:
            added.update(self._prediction(span, observed.predicted, after))
        if observed.error is not None:
            with self.guard:
                added.update(privacy.message(observed.error))
        if privacy.captures_statistics and table is not None:
            with self.guard, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                added.update(statistics_of(table, privacy.field_name))
        if shown_before is before and shown_after is after:
            found.update(added)
            return found, None
        shown = encode(
            record._replace(input=_reference(shown_before), output=_reference(shown_after))
        )
        shown.update(added)
        return found, shown

    def _measure(
        self,
        span: OpenSpan,
        found: Attributes,
        before: AnySchema | None,
        after: AnySchema | None,
        kind: str | None,
    ) -> None:
        rows = found.get(key.OUTPUT_ROWS)
        has_changed = (
            isinstance(before, Schema) and isinstance(after, Schema) and before.hash != after.hash
        )
        metrics = self.trace.metrics
        metrics.module_ended(
            module=str(span.attributes[key.MODULE_NAME]),
            experiment=experiment_label(str(span.attributes[key.EXPERIMENT_NAME])),
            engine=self.engine,
            duration_seconds=span.duration_seconds,
            rows=rows if isinstance(rows, int) else None,
            has_changed_schema=has_changed,
            error_type=kind,
            # The current context is the span's own already, or nobody asks.
            context=None if span.is_current or metrics.is_idle else span.context,
        )

    def _record(
        self,
        span: OpenSpan,
        observed: Observed,
        before: AnySchema | None,
        after: AnySchema | None,
        table: pd.DataFrame | None,
        kind: str | None,
    ) -> ModuleExecution:
        rows, columns = (None, None) if table is None else table.shape
        # What the span said as it began stays on it.
        started = span.attributes
        operator_type = started.get(key.OPERATOR_TYPE, observed.operator_type)
        return ModuleExecution(
            facts=NO_FACTS,
            run_id=self.run_id,
            module_name=str(started[key.MODULE_NAME]),
            experiment_name=str(started[key.EXPERIMENT_NAME]),
            experiment_path=str(started[key.EXPERIMENT_PATH]),
            position=observed.position,
            operator_type=bounded(str(operator_type), MAX_NAME_BYTES),
            snapshot_id=f"{self._snapshot_prefix}{self._snapshot_count:06d}",
            input=self._refer("input", before),
            output=self._refer("output", after),
            rows=rows,
            columns=columns,
            error_type=kind,
        )

    def _refer(self, role: str, schema: AnySchema | None) -> SchemaReference | None:
        """Make a schema known to the store; the one that was known last costs nothing."""
        if schema is None:
            return None
        known = self._known.get(role)
        if known is None or known[0] is not schema:
            known = self._known[role] = (schema, self._store.remember(schema))
        return known[1]

    def start_step(
        self,
        module: str,
        experiment: str,
        path: str,
        step: str,
        context: Mapping[str, Scalar],
    ) -> OpenSpan | None:
        """Open the span of a step that the user times."""
        with self.guard:
            owner = current_span(self.trace)
            is_inside = owner is not None and key.MODULE_NAME in owner.attributes
            source = "step" if is_inside else "user"
            return self.trace.start_step(module, experiment, path, step, context, source)
        return None

    def _structure(
        self, before: AnySchema | None, after: AnySchema | None, span: OpenSpan
    ) -> Attributes:
        """Return the structure that was produced and how it differs; describe wide ones."""
        if isinstance(before, Schema):
            self.trace.describe(before, span)
        if not isinstance(after, Schema):
            return {}
        found: Attributes = {key.SCHEMA_OUTPUT_FIELD_COUNT: len(after.attributes)}
        found.update(self.trace.structure(after, span))
        if isinstance(before, Schema):
            difference = self._store.diff(before, after)
            if difference is not NO_DIFF:
                found.update(encode_diff(difference))
        return found

    def _prediction(self, span: OpenSpan, predicted: Any, after: AnySchema | None) -> Attributes:
        """Compare a predicted schema with the one produced; say so where they differ."""
        if not isinstance(predicted, Schema) or not isinstance(after, Schema):
            return {}
        expected = resolve_prediction(predicted, after)
        matches = expected.hash == after.hash
        if not matches:
            difference = self._store.diff(expected, after)
            _logger.warning(
                "%s produced another schema than was predicted: %d columns added, %d removed, "
                "%d retyped, %d with other nullability%s",
                span.name,
                len(difference.added),
                len(difference.removed),
                len(difference.retyped),
                len(difference.nullability),
                ", in another order" if difference.reordered else "",
            )
        return {
            key.SCHEMA_INFERRED_HASH: self.trace.privacy.shown(predicted).hash,
            key.SCHEMA_INFERRED_MATCHES: matches,
        }

    def _observable(self, module: str | None, schema: Any) -> AnySchema | None:
        """Return a schema as a record can hold it; one that we cannot read becomes opaque."""
        if schema is None:
            return None
        if isinstance(schema, OpaqueSchema):
            return schema
        readable = readable_schema(schema)
        if readable is not None:
            return readable.renamed(bounded(readable.id, MAX_NAME_BYTES))
        known = self._opaque.get(module or "")
        if known is None or known.reference is not schema:
            cls = type(schema)
            known = OpaqueSchema(
                id=module or "unknown",
                type_name=f"{cls.__module__}.{cls.__qualname__}",
                hash=f"opaque-{uuid.uuid4().hex[:16]}",
                reference=schema,
            )
            self._opaque[module or ""] = known
        return known


def _reference(schema: AnySchema | None) -> SchemaReference | None:
    return None if schema is None else SchemaReference(schema.id, schema.hash)
