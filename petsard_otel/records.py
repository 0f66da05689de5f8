"""What was observed: snapshots, timings, changes. Immutable values; a leaf.

Named tuples, since making two of them for each execution is most of what recording costs.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.schema import OpaqueSchema, Schema, SchemaDiff

Scalar = bool | int | float | str
"""What a record's context may hold."""

ContextItems = tuple[tuple[str, Scalar], ...]
"""A context as a record stores it: hashable, and it can be pickled."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc_datetime(time_ns: int) -> datetime:
    """Return nanoseconds since the epoch as an aware datetime, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


class ExecutionSnapshot(NamedTuple):
    """What one module execution was given and what it produced.

    `metadata_before` is the schema that the module received, `metadata_after` the one that it
    produced; None where there was none. `status` is "success", "error" or "cancelled".
    """

    snapshot_id: str
    module_name: str
    experiment_name: str
    experiment_path: str
    timestamp_ns: int
    metadata_before: Schema | OpaqueSchema | None
    metadata_after: Schema | OpaqueSchema | None
    operator_type: str
    sequence_position: int
    status: str
    error_type: str | None
    rows: int | None
    columns: int | None
    trace_id: str
    span_id: str

    @property
    def timestamp(self) -> datetime:
        """When the execution ended."""
        return utc_datetime(self.timestamp_ns)

    @property
    def context(self) -> Mapping[str, Scalar | None]:
        """The operator's type and the module's position in the sequence, as PETsARD names them."""
        return MappingProxyType(
            {"operator_type": self.operator_type, "sequence_position": self.sequence_position}
        )


class TimingRecord(NamedTuple):
    """How long a module execution, or a step, took. Durations come from a monotonic clock.

    `source` is "module" for a module execution, "step" for a step inside one, "user" for what
    `start_timing` and `end_timing` measured.
    """

    record_id: str
    module_name: str
    experiment_name: str
    step_name: str
    start_time_ns: int
    end_time_ns: int
    source: str
    status: str
    experiment_path: str
    trace_id: str
    span_id: str
    parent_record_id: str | None = None
    context_items: ContextItems = ()

    @property
    def context(self) -> Mapping[str, Scalar]:
        """What the user gave with a timing."""
        return MappingProxyType(dict(self.context_items))

    @property
    def start_time(self) -> datetime:
        """When it began, in UTC, cut to microseconds."""
        return utc_datetime(self.start_time_ns)

    @property
    def end_time(self) -> datetime:
        """When it ended, in UTC, cut to microseconds."""
        return utc_datetime(self.end_time_ns)

    @property
    def duration_seconds(self) -> float:
        """How long it took, in full precision."""
        return (self.end_time_ns - self.start_time_ns) / 1e9

    @property
    def formatted_duration(self) -> str:
        """The duration as text, such as `1.24s`."""
        return f"{self.duration_seconds:.2f}s"


class ChangeRecord(NamedTuple):
    """Two schemas that differ: a module's output from its input, or from its previous experiment.

    `kind` is "module" for the first and "experiment" for the second.
    """

    change_id: str
    timestamp_ns: int
    module_name: str
    experiment_name: str
    kind: str
    before_id: str
    after_id: str
    before_hash: str
    after_hash: str
    diff: SchemaDiff

    @property
    def timestamp(self) -> datetime:
        """When the execution that made the change ended."""
        return utc_datetime(self.timestamp_ns)


class SpanFacts(NamedTuple):
    """What any span says by itself: identity and times. Ids are hexadecimal."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_time_ns: int
    end_time_ns: int


NO_FACTS = SpanFacts("", "", None, 0, 0)
"""What stands in a record that is about to be encoded: identity and times are the span's own."""


class SchemaReference(NamedTuple):
    """Which schema: whose table it is, and the identity of its structure."""

    id: str
    hash: str


class ModuleExecution(NamedTuple):
    """One module execution, as its span tells it."""

    facts: SpanFacts
    run_id: str
    module_name: str
    experiment_name: str
    experiment_path: str
    position: int
    operator_type: str
    snapshot_id: str
    input: SchemaReference | None
    output: SchemaReference | None
    rows: int | None
    columns: int | None
    error_type: str | None


class StepExecution(NamedTuple):
    """One step, inside a module or timed by the user, as its span tells it."""

    facts: SpanFacts
    run_id: str
    module_name: str
    experiment_name: str
    experiment_path: str
    step_name: str
    source: str
    context_items: ContextItems
    error_type: str | None


class RunExecution(NamedTuple):
    """One whole run, as its span tells it."""

    facts: SpanFacts
    run_id: str
    name: str | None
    result: str
    config_hash: str
    sequence: tuple[str, ...]
    engine: str
    experiment_count: int
    error_type: str | None


class SchemaPart(NamedTuple):
    """A part of a wide table's structure, as a schema span tells it. Parts count from 1."""

    facts: SpanFacts
    run_id: str
    hash: str
    part: int
    parts: int
    json: str


CANCELLING_TYPES = frozenset(
    {"KeyboardInterrupt", "SystemExit", "GeneratorExit", "asyncio.exceptions.CancelledError"}
)
"""Exceptions, by `error.type`, that mean that somebody stopped the work, not that it failed."""


KILLED = "killed"
"""The `error.type` of a span that never ended: its process was gone."""


STATES = {"success": "completed", "error": "failed", "cancelled": "cancelled"}
"""What state a run is in that has ended, by its result."""


def outcome(error_type: str | None) -> str:
    """Return the status that an `error.type` stands for: success, error or cancelled."""
    if error_type is None:
        return "success"
    return "cancelled" if error_type in CANCELLING_TYPES else "error"


class RunSummary(NamedTuple):
    """What there is to say of one whole run, whether it ended or not.

    `state` is "completed", "failed", "cancelled", "killed" (its process is gone), "running", or
    "ended": nobody said how, as of a Status without an Executor. `ended_ns` of a killed run is
    when it was last seen alive, of a running one None. `changes` counts schema changes.
    """

    run_id: str
    trace_id: str | None
    name: str | None
    config_hash: str | None
    engine: str | None
    state: str
    error_type: str | None
    started_ns: int
    ended_ns: int | None
    executions: int
    failed_modules: tuple[str, ...]
    changes: int

    @property
    def start_time(self) -> datetime:
        """When it began, in UTC, cut to microseconds."""
        return utc_datetime(self.started_ns)

    @property
    def duration_seconds(self) -> float | None:
        """How long it took, None while it is running."""
        return None if self.ended_ns is None else (self.ended_ns - self.started_ns) / 1e9


class OpenExecution(NamedTuple):
    """A module execution that had begun and not ended when its run was last seen alive.

    `memory_bytes` is the resident memory of its process at that time, None where unknown.
    """

    module_name: str
    experiment_name: str
    experiment_path: str
    start_time_ns: int
    last_seen_ns: int
    memory_bytes: int | None
    trace_id: str
    span_id: str

    @property
    def start_time(self) -> datetime:
        """When it began, in UTC, cut to microseconds."""
        return utc_datetime(self.start_time_ns)

    @property
    def last_seen(self) -> datetime:
        """When its process was last seen alive, in UTC, cut to microseconds."""
        return utc_datetime(self.last_seen_ns)
