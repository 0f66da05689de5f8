"""What a run has done so far: state that its modules read, and questions put to what was observed.

The state is kept directly; what was observed comes from ended spans alone, by way of the store.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import Output, convention_of
from petsard_otel.exceptions import ConfigError, PetsardOtelError
from petsard_otel.passing import passing
from petsard_otel.records import KILLED, STATES
from petsard_otel.schema import OpaqueSchema, Schema, SchemaDiff
from petsard_otel.state import PipelineState
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.encoding import checked_context
from petsard_otel.telemetry.recorder import Observed, Recorder
from petsard_otel.telemetry.spans import add_context

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Mapping

    import pandas as pd
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from petsard_otel.adapter import Adapter, PredictsSchema
    from petsard_otel.convention import Convention
    from petsard_otel.records import (
        ChangeRecord,
        ExecutionSnapshot,
        OpenExecution,
        TimingRecord,
    )
    from petsard_otel.settings import Settings
    from petsard_otel.store import AnySchema
    from petsard_otel.telemetry.open_span import OpenSpan
    from petsard_otel.telemetry.recorder import RunDescription

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SchemaLineage:
    """One module on the current experiment path: its schema, and how that differs from its input.

    `schema` and `diff` are None where the module makes no table, `diff` also where there was no
    input or one of the two cannot be read.
    """

    module_name: str
    experiment_name: str
    schema: AnySchema | None
    diff: SchemaDiff | None


class Status(PipelineState):
    """What a run has done so far: results and schemas for its modules, records for its reader.

    Works by itself as well as under an Executor. One thread at a time may `put`; the questions
    may be asked from any thread.
    """

    def __init__(
        self,
        config: Any,
        max_snapshots: int = 1000,
        max_changes: int = 5000,
        max_timings: int = 10000,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Begin empty.

        Args:
            config: Anything with a `sequence` of module names; PETsARD's own Config too.
            max_snapshots: How many snapshots are kept; the oldest go first.
            max_changes: How many schema changes are kept.
            max_timings: How many timing records are kept.
            tracer_provider: Record with this provider; else the one in force at the first span.
            meter_provider: The same for metrics.
        """
        for name, limit in (
            ("max_snapshots", max_snapshots),
            ("max_changes", max_changes),
            ("max_timings", max_timings),
        ):
            if type(limit) is not int or limit < 0:
                raise ConfigError(f"{name} is a whole number from 0 (found {limit!r})")
        super().__init__(config.sequence, self._convention_for(config))
        self.config = config
        self._seen: dict[str, tuple[Any, Any]] = {}
        self._is_running = False
        self._executing: OpenSpan | None = None
        self._store = StatusStore(max_snapshots, max_changes, max_timings)
        self._recorder = Recorder(
            self._store,
            tracer_provider,
            meter_provider,
            self._settings(),
            getattr(config, "source", None),
        )
        self._predicted: dict[str, Any] = {}
        self._open_timings: dict[tuple[str, str, str], OpenSpan] = {}
        self._max_open_timings = max(max_timings, 1)

    def _convention_for(self, config: Any) -> Convention | None:
        """Return how adapters are read where the configuration tells; else the first one tells."""
        return convention_of(config)

    def _settings(self) -> Settings | None:
        """Return what to record by; None: what the PETSARD_OTEL_* variables say."""
        return None

    # Out of what was recorded.

    @classmethod
    def load(
        cls,
        run_id: str,
        history: str | os.PathLike[str] | None = None,
        *,
        max_snapshots: int = 1000,
        max_changes: int = 5000,
        max_timings: int = 10000,
    ) -> Status:
        """Return the Status of a run that is kept on disk, of one that was killed as well.

        It answers what was observed as the live one did, ids included; results are not kept.

        Args:
            run_id: An id, the beginning of one, `last`, or `last~1` for the one before.
            history: The database, a folder that has one, or the configuration's file; else what
                PETSARD_OTEL_HISTORY names, else the one that is found here.
            max_snapshots: As for a new Status.
            max_changes: The same.
            max_timings: The same.

        Raises:
            HistoryError: There is no such history, or no such run in it.
        """
        from petsard_otel.history.reading import open_history
        from petsard_otel.rebuilding import rebuilt

        with open_history(history) as found:
            run = found.find(run_id)
            limits = (max_snapshots, max_changes, max_timings)
            spans = found.spans(run)
            return rebuilt(spans, run.run_id, limits, f"the run {run.run_id}", found.pass_over)

    @classmethod
    def from_otlp(
        cls,
        source: str | os.PathLike[str] | bytes,
        *,
        run_id: str | None = None,
        max_snapshots: int = 1000,
        max_changes: int = 5000,
        max_timings: int = 10000,
    ) -> Status:
        """Return the Status of a run whose spans went elsewhere.

        It answers what was observed as the live one did, ids included; results are in no trace.
        What is damaged is passed over, with one warning in the log.

        Args:
            source: A file of OTLP, in JSON lines as the Collector's `file` exporter writes them or
                in protobuf, either may be compressed by gzip; what such a file holds; or the URL
                of a trace in a Jaeger, `http://localhost:16686/trace/<id>`.
            run_id: The run; needed where there are several.
            max_snapshots: As for a new Status.
            max_changes: The same.
            max_timings: The same.

        Raises:
            SourceError: It cannot be read, holds no run, or several of which none was named.
            DecodeError: Spans of the run are damaged, or contradict each other.
        """
        from petsard_otel.rebuilding import rebuilt
        from petsard_otel.telemetry.otlp.sources import read_source, shown

        limits = (max_snapshots, max_changes, max_timings)
        return rebuilt(read_source(source), run_id, limits, shown(source))

    # What is recorded.

    @passing
    def running(self, config: RunDescription, engine: str) -> Generator[None]:
        """Hold the run's span open around the module executions."""
        self._is_running = True
        try:
            with self._recorder.run(config, engine):
                yield
        finally:
            self._is_running = False

    @passing
    def executing(self, module: str, experiment: str, operator_type: str) -> Generator[None]:
        """Hold a module execution's span open until `put`, or until the block fails."""
        span = self._start(module, experiment, operator_type)
        if span is None:
            yield
            return
        span.enter()
        around, self._executing = self._executing, span
        try:
            yield
        except BaseException as error:
            if span.is_open:
                self._end_failed(span, module, operator_type, error)
            raise
        finally:
            self._executing = around
            span.leave()

    def predict(self, module: str, adapter: PredictsSchema) -> None:
        """Predict the schema that a module will produce; `put` compares.

        A prediction that cannot be made is none: what is wrong is the module's own to say.
        """
        received = self.get_received_schema(module)
        self._predicted.pop(module, None)
        self.inferred_schemas.pop(module, None)
        if not isinstance(received, Schema):
            return
        with self._recorder.guard, suppress(PetsardOtelError):
            schema = adapter.infer_schema(received)
            self.inferred_schemas[module] = self._predicted[module] = schema

    def put(self, module: str, experiment: str, adapter: Adapter) -> None:
        """Record one execution; its snapshot can be read as soon as this returns.

        Under an Executor this ends the span of the module that is running, else it makes a span
        of its own. Cost: independent of what has been recorded before.

        Args:
            module: The module, such as `Synthesizer`.
            experiment: The experiment.
            adapter: What was run; its schema and its result are asked for here.
        """
        span = self._recorder.open_module(module, experiment) or self._held(module, experiment)
        operator_type = type(adapter).__name__
        try:
            self.keep(module, experiment, adapter)
            self._recorder.engine = self._convention.engine
            if span is not None:
                # What it made is looked at in our time, not in the module's.
                span.stop()
            source, received = self._received(module)
            output = self._look(module, adapter, received)
        except BaseException as error:
            if span is not None:
                self._end_failed(span, module, operator_type, error)
            raise
        predicted = self._predicted.pop(module, None)
        if span is None:
            return
        self._recorder.end_module(
            span,
            module,
            Observed(
                operator_type=operator_type,
                position=self.position_of(module),
                source=source,
                received=received,
                output=output,
                predicted=predicted,
            ),
        )

    def _look(self, module: str, adapter: Adapter, received: Any) -> Output:
        """Look at what an execution made, and remember its schema as it is now."""
        kept = self.metadata.get(module)
        output = Output(None, kept)
        with self._recorder.guard:
            output = self._convention.output(module, adapter, kept, received)
        self._seen[module] = (kept, output.schema)
        return output

    def _received(self, module: str) -> tuple[str | None, Any]:
        """Return the nearest module before this one, on the current path, that made a table."""
        for name in self.earlier(module):
            if name in self.status:
                schema = self._schema_of(name)
                if schema is not None:
                    return name, schema
        return None, None

    def _schema_of(self, module: str) -> Any:
        """Return the schema of what a module made: as it was then, unless it has been set anew."""
        kept = self.metadata.get(module)
        then, schema = self._seen.get(module, (None, None))
        return schema if then is kept else self._readable(kept)

    def _readable(self, schema: Any) -> Any:
        """Return a schema as one of ours where it can be read, else itself."""
        with self._recorder.guard:
            return self._convention.readable(schema) or schema
        return schema

    def _held(self, module: str, experiment: str) -> OpenSpan | None:
        """Return the span of an execution whose module left another context than it found."""
        span = self._executing
        if span is not None and span.is_open and span.subject == (module, experiment):
            return span
        return self._start(module, experiment)

    def _start(
        self, module: str, experiment: str, operator_type: str | None = None
    ) -> OpenSpan | None:
        upstream, path = self._place(module, experiment)
        return self._recorder.start_module(
            module, experiment, path, upstream, self.position_of(module), operator_type
        )

    def _place(self, module: str, experiment: str) -> tuple[str | None, str]:
        """Return the module whose output an execution uses, and its experiment path."""
        upstream, path = None, f"{module}[{experiment}]"
        for name in self.earlier(module):
            if name in self.status:
                upstream = upstream or name
                path = f"{name}[{self.status[name]['expt']}]_{path}"
        return upstream, path

    def _end_failed(
        self, span: OpenSpan, module: str, operator_type: str, error: BaseException
    ) -> None:
        self._predicted.pop(module, None)
        source, received = self._received(module)
        self._recorder.end_module(
            span,
            module,
            Observed(
                operator_type=operator_type,
                position=self.position_of(module),
                source=source,
                received=received,
                error=error,
            ),
        )

    def start_timing(
        self,
        module: str,
        experiment: str,
        step: str,
        context: Mapping[str, Any] | None = None,
    ) -> str:
        """Begin to time a step of your own; `end_timing` with the same three names ends it.

        Args:
            module: A module's name.
            experiment: An experiment's name.
            step: A name for the step; it becomes part of a span's name, so keep them few.
            context: Numbers, truth values and texts to keep with the record. Texts stay in this
                process; the others travel with the span.

        Returns:
            The id of the record to come; empty where recording failed.

        Raises:
            TypeError: The context holds something else.
            ValueError: The context has too many entries, or a number of over 64 bits.
        """
        checked = checked_context(context)
        _, path = self._place(module, experiment)
        span = self._recorder.start_step(module, experiment, path, step, checked)
        if span is None:
            return ""
        self._open_timings[module, experiment, step] = span
        while len(self._open_timings) > self._max_open_timings:
            del self._open_timings[next(iter(self._open_timings))]
        return f"{span.identity.span_id:016x}"

    def end_timing(
        self,
        module: str,
        experiment: str,
        step: str,
        context: Mapping[str, Any] | None = None,
    ) -> TimingRecord | None:
        """End a step that `start_timing` began.

        Returns:
            Its record; None, with a warning in the log, where no such step was begun.
        """
        checked = checked_context(context)
        span = self._open_timings.pop((module, experiment, step), None)
        if span is None:
            _logger.warning("end_timing() without start_timing() for a step of %s", module)
            return None
        add_context(span, checked)
        span.end({})
        return self._store.timing(f"{span.identity.span_id:016x}")

    # Questions to what was observed.

    @property
    def run_id(self) -> str:
        """Identity of this run: 32 hexadecimal digits, on each of its spans."""
        return self._recorder.run_id

    @property
    def snapshots(self) -> tuple[ExecutionSnapshot, ...]:
        """All snapshots that are held, oldest first."""
        return self._store.snapshots()

    @property
    def timing_records(self) -> tuple[TimingRecord, ...]:
        """All timing records that are held, in the order in which they ended."""
        return self._store.timings()

    def get_snapshots(self, module: str | None = None) -> tuple[ExecutionSnapshot, ...]:
        """Return the snapshots of a module, or of all, oldest first."""
        return self._store.snapshots(module)

    def get_snapshot_by_id(self, snapshot_id: str) -> ExecutionSnapshot | None:
        """Return one snapshot; None where the id is unknown, or the snapshot was evicted."""
        return self._store.snapshot(snapshot_id)

    def restore_from_snapshot(self, snapshot_id: str) -> bool:
        """Make the schema that a snapshot holds the module's schema again.

        Returns:
            Whether there is such a snapshot and it holds a schema.
        """
        snapshot = self._store.snapshot(snapshot_id)
        if snapshot is None or snapshot.metadata_after is None:
            return False
        schema: Any = snapshot.metadata_after
        if isinstance(schema, OpaqueSchema):
            if schema.reference is None:
                return False
            schema = schema.reference
        self.set_metadata(snapshot.module_name, schema)
        return True

    def get_change_history(self, module: str | None = None) -> tuple[ChangeRecord, ...]:
        """Return the schema changes of a module, or of all, oldest first."""
        return self._store.changes(module)

    def get_metadata_evolution(self, module: str = "Loader") -> tuple[AnySchema, ...]:
        """Return the distinct schemas that a module has produced, in order of appearance."""
        found: dict[str, AnySchema] = {}
        for snapshot in self._store.snapshots(module):
            if snapshot.metadata_after is not None:
                found.setdefault(snapshot.metadata_after.hash, snapshot.metadata_after)
        return tuple(found.values())

    def get_schema_lineage(self, module: str | None = None) -> tuple[SchemaLineage, ...]:
        """Return schema and difference to the input for each module on the current path.

        Args:
            module: Only this module.
        """
        if module is not None:
            self.executed(module)
        # A copy, since a run in another thread may be at work on it.
        status = dict(self.status)
        path = [name for name in self.sequence if name in status]
        found: list[SchemaLineage] = []
        received: Any = None
        schema: Any
        for name in path:
            kept = self._schema_of(name)
            schema = self._readable(kept)
            if module in (None, name):
                found.append(self._lineage(name, status[name]["expt"], received, schema))
            received = received if schema is None else schema
        return tuple(found)

    def _lineage(self, module: str, experiment: str, received: Any, schema: Any) -> SchemaLineage:
        difference = None
        if isinstance(schema, Schema) and isinstance(received, Schema):
            difference = self._store.diff(received, schema)
        return SchemaLineage(
            module_name=module,
            experiment_name=experiment,
            schema=schema,
            diff=difference,
        )

    def get_timing_records(self, module: str | None = None) -> tuple[TimingRecord, ...]:
        """Return the timing records of a module, or of all, steps included, as they ended."""
        return self._store.timings(module)

    def get_timing_report_data(self, *, steps: bool = False) -> pd.DataFrame:
        """Return one row for each module execution and each user-timed step outside of one.

        No time is in it twice, so durations may be summed.

        Args:
            steps: Add the steps inside a module; their time is part of the module's.

        Returns:
            The columns of `TimingRecord`, times in UTC, then the keys of the contexts.
        """
        from petsard_otel.reports.frame import timing_frame

        return timing_frame(
            [record for record in self._store.timings() if steps or record.source != "step"]
        )

    def get_status_summary(self) -> dict[str, Any]:
        """Return the state of the run in one dict; the README explains each entry."""
        totals = self._store.totals()
        last = self._store.last_snapshot
        return {
            "sequence": tuple(self.sequence),
            "active_modules": tuple(self.status),
            "metadata_modules": tuple(self.metadata),
            "total_snapshots": totals["snapshots"],
            "total_changes": totals["changes"],
            "total_diffs": totals["diffs"],
            "last_snapshot": None if last is None else last.snapshot_id,
            "last_change": self._store.last_change,
            "run_id": self.run_id,
            "trace_id": self._store.trace_id,
            "state": self._state(),
            "total_timings": totals["timings"],
            "duration_seconds": self._store.duration_seconds,
            "failed_modules": self._store.failed_modules,
            "evicted": self._store.evicted(),
            "telemetry_errors": self._recorder.guard.errors,
            "open_modules": self._open_modules(),
        }

    def _open_modules(self) -> tuple[OpenExecution, ...]:
        """Return the execution that is under way."""
        span = self._executing
        return () if span is None or not span.is_open else (span.open_execution(),)

    def _state(self) -> str:
        run = self._store.run
        if run is not None:
            return KILLED if run.error_type == KILLED else STATES[run.result]
        if self._is_running or self._store.last_snapshot is not None:
            return "running"
        return "pending"
