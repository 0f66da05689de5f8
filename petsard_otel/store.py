"""What was observed of one run, bounded and thread-safe.

Takes records and answers questions. Knows no OpenTelemetry and no PETsARD.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar
from weakref import WeakSet, WeakValueDictionary

from petsard_otel.records import (
    ChangeRecord,
    ExecutionSnapshot,
    ModuleExecution,
    RunExecution,
    SchemaReference,
    StepExecution,
    TimingRecord,
    outcome,
)
from petsard_otel.schema import NO_DIFF, OpaqueSchema, Schema, SchemaDiff, diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AnySchema: TypeAlias = Schema | OpaqueSchema

MAX_CACHED_DIFFS = 64
"""How many schema differences are kept, so that a pair seen again costs nothing."""

T = TypeVar("T")


class _Ring(Generic[T]):
    """The newest `limit` entries, counting what fell out."""

    __slots__ = ("entries", "total")

    def __init__(self, limit: int) -> None:
        self.entries: deque[T] = deque(maxlen=limit)
        self.total = 0

    def append(self, entry: T) -> T | None:
        """Add an entry; return the one that had to go."""
        self.total += 1
        if self.entries.maxlen == 0:
            return entry
        gone = self.entries[0] if len(self.entries) == self.entries.maxlen else None
        self.entries.append(entry)
        return gone

    @property
    def evicted(self) -> int:
        return self.total - len(self.entries)

    def __iter__(self) -> Iterator[T]:
        return iter(self.entries)


class _OfModule(Protocol):
    @property
    def module_name(self) -> str: ...


Entry = TypeVar("Entry", bound=_OfModule)


def _of_module(entries: Iterable[Entry], module: str | None) -> tuple[Entry, ...]:
    if module is None:
        return tuple(entries)
    return tuple(entry for entry in entries if entry.module_name == module)


class StatusStore:
    """Snapshots, timings and changes of one run, oldest first.

    Memory is bounded by the three limits; the cost of `add` does not depend on what is held.
    Every method may be called from any thread.
    """

    def __init__(self, max_snapshots: int, max_changes: int, max_timings: int) -> None:
        self._lock = threading.RLock()
        _live.add(self)
        self._snapshots: _Ring[ExecutionSnapshot] = _Ring(max_snapshots)
        self._changes: _Ring[ChangeRecord] = _Ring(max_changes)
        self._timings: _Ring[TimingRecord] = _Ring(max_timings)
        self._by_id: dict[str, ExecutionSnapshot] = {}
        self._schemas: WeakValueDictionary[SchemaReference, AnySchema] = WeakValueDictionary()
        self._structures: WeakValueDictionary[str, Schema] = WeakValueDictionary()
        self._last_output: dict[str, AnySchema] = {}
        self._diffs: dict[tuple[str, str], SchemaDiff] = {}
        self._distinct_diffs: dict[tuple[str, str], None] = {}
        self._failed_modules: dict[str, None] = {}
        self._run: RunExecution | None = None
        self._first_start_ns: int | None = None
        self._last_end_ns: int | None = None
        self._trace_id: str | None = None

    # What goes in.

    def remember(self, schema: AnySchema) -> SchemaReference:
        """Make a schema known, so that a record that refers to it finds this very object.

        The reference is weak: it is what holds the schema that keeps it alive.
        """
        reference = SchemaReference(schema.id, schema.hash)
        with self._lock:
            if self._schemas.get(reference) is None:
                self._schemas[reference] = schema
                if isinstance(schema, Schema):
                    self._structures.setdefault(schema.hash, schema)
        return reference

    def add(self, record: ModuleExecution | StepExecution | RunExecution) -> None:
        """Take in one record. The schemas that it refers to have been remembered before."""
        with self._lock:
            if isinstance(record, ModuleExecution):
                self._add_module(record)
            elif isinstance(record, StepExecution):
                self._add_step(record)
            else:
                self._run = record
                self._trace_id = record.facts.trace_id

    def _add_module(self, record: ModuleExecution) -> None:
        facts = record.facts
        status = outcome(record.error_type)
        before = self._resolve(record.input)
        after = self._resolve(record.output)
        snapshot = ExecutionSnapshot(
            snapshot_id=record.snapshot_id,
            module_name=record.module_name,
            experiment_name=record.experiment_name,
            experiment_path=record.experiment_path,
            timestamp_ns=facts.end_time_ns,
            metadata_before=before,
            metadata_after=after,
            operator_type=record.operator_type,
            sequence_position=record.position,
            status=status,
            error_type=record.error_type,
            rows=record.rows,
            columns=record.columns,
            trace_id=facts.trace_id,
            span_id=facts.span_id,
        )
        self._by_id[snapshot.snapshot_id] = snapshot
        gone = self._snapshots.append(snapshot)
        if gone is not None:
            self._by_id.pop(gone.snapshot_id, None)
        self._timings.append(
            TimingRecord(
                record_id=facts.span_id,
                module_name=record.module_name,
                experiment_name=record.experiment_name,
                step_name="run",
                start_time_ns=facts.start_time_ns,
                end_time_ns=facts.end_time_ns,
                source="module",
                status=status,
                experiment_path=record.experiment_path,
                trace_id=facts.trace_id,
                span_id=facts.span_id,
            )
        )
        if status != "success":
            self._failed_modules[record.module_name] = None
        if self._first_start_ns is None or facts.start_time_ns < self._first_start_ns:
            self._first_start_ns = facts.start_time_ns
        self._last_end_ns = max(facts.end_time_ns, self._last_end_ns or 0)
        self._trace_id = facts.trace_id
        if after is not None:
            self._add_changes(snapshot, before, after)
            self._last_output[record.module_name] = after

    def _add_changes(
        self, snapshot: ExecutionSnapshot, before: AnySchema | None, after: AnySchema
    ) -> None:
        previous = self._last_output.get(snapshot.module_name)
        for kind, other in (("module", before), ("experiment", previous)):
            if other is None or other.hash == after.hash:
                continue
            if not (isinstance(other, Schema) and isinstance(after, Schema)):
                continue
            self._changes.append(
                ChangeRecord(
                    change_id=f"{snapshot.snapshot_id.replace('snapshot', 'change', 1)}_{kind}",
                    timestamp_ns=snapshot.timestamp_ns,
                    module_name=snapshot.module_name,
                    experiment_name=snapshot.experiment_name,
                    kind=kind,
                    before_id=other.id,
                    after_id=after.id,
                    before_hash=other.hash,
                    after_hash=after.hash,
                    diff=self.diff(other, after),
                )
            )
            pair = (other.hash, after.hash)
            if len(self._distinct_diffs) < (self._changes.entries.maxlen or 0):
                self._distinct_diffs[pair] = None

    def _add_step(self, record: StepExecution) -> None:
        facts = record.facts
        self._timings.append(
            TimingRecord(
                record_id=facts.span_id,
                module_name=record.module_name,
                experiment_name=record.experiment_name,
                step_name=record.step_name,
                start_time_ns=facts.start_time_ns,
                end_time_ns=facts.end_time_ns,
                source=record.source,
                status=outcome(record.error_type),
                experiment_path=record.experiment_path,
                trace_id=facts.trace_id,
                span_id=facts.span_id,
                parent_record_id=facts.parent_span_id if record.source == "step" else None,
                context_items=record.context_items,
            )
        )

    def _resolve(self, reference: SchemaReference | None) -> AnySchema | None:
        """Return the schema that is meant, or a stand-in that says that only its hash is known."""
        if reference is None:
            return None
        known = self._schemas.get(reference)
        if known is not None:
            return known
        structure = self._structures.get(reference.hash)
        found: AnySchema = (
            OpaqueSchema(reference.id, "unknown", reference.hash)
            if structure is None
            else structure.renamed(reference.id)
        )
        self._schemas[reference] = found
        return found

    # What comes out.

    def diff(self, before: Schema, after: Schema) -> SchemaDiff:
        """Compare two schemas; a pair seen lately costs a look-up."""
        if before.hash == after.hash:
            return NO_DIFF
        pair = (before.hash, after.hash)
        with self._lock:
            known = self._diffs.get(pair)
        if known is None:
            known = diff(before, after)
            with self._lock:
                self._diffs[pair] = known
                while len(self._diffs) > MAX_CACHED_DIFFS:
                    del self._diffs[next(iter(self._diffs))]
        return known

    def snapshots(self, module: str | None = None) -> tuple[ExecutionSnapshot, ...]:
        """Return what is held of a module, or of all, oldest first."""
        with self._lock:
            return _of_module(self._snapshots, module)

    def snapshot(self, snapshot_id: str) -> ExecutionSnapshot | None:
        """Return one snapshot, or None where it is unknown or has been evicted."""
        return self._by_id.get(snapshot_id)

    def timings(self, module: str | None = None) -> tuple[TimingRecord, ...]:
        """Return executions and steps of a module, or of all, in the order they ended."""
        with self._lock:
            return _of_module(self._timings, module)

    def changes(self, module: str | None = None) -> tuple[ChangeRecord, ...]:
        """Return schema changes of a module, or of all, oldest first."""
        with self._lock:
            return _of_module(self._changes, module)

    @property
    def run(self) -> RunExecution | None:
        """The whole run, once it has ended."""
        return self._run

    @property
    def trace_id(self) -> str | None:
        """The trace that the newest record belongs to."""
        return self._trace_id

    @property
    def failed_modules(self) -> tuple[str, ...]:
        """Modules of which an execution failed or was cancelled, each once."""
        return tuple(self._failed_modules)

    @property
    def last_snapshot(self) -> ExecutionSnapshot | None:
        """The newest snapshot."""
        with self._lock:
            return self._snapshots.entries[-1] if self._snapshots.entries else None

    def timing(self, record_id: str) -> TimingRecord | None:
        """Return one timing record, the newest looked at first; None where it is unknown."""
        with self._lock:
            entries = reversed(self._timings.entries)
            return next((entry for entry in entries if entry.record_id == record_id), None)

    @property
    def last_change(self) -> ChangeRecord | None:
        """The newest schema change."""
        with self._lock:
            return self._changes.entries[-1] if self._changes.entries else None

    @property
    def duration_seconds(self) -> float:
        """The run's duration; before it has ended, from the first start to the last end."""
        if self._run is not None:
            facts = self._run.facts
            return (facts.end_time_ns - facts.start_time_ns) / 1e9
        if self._first_start_ns is None or self._last_end_ns is None:
            return 0.0
        return (self._last_end_ns - self._first_start_ns) / 1e9

    def totals(self) -> dict[str, int]:
        """Return how much was ever recorded, what has been evicted since included."""
        with self._lock:
            return {
                "snapshots": self._snapshots.total,
                "changes": self._changes.total,
                "timings": self._timings.total,
                "diffs": len(self._distinct_diffs),
            }

    @property
    def change_count(self) -> int:
        """How many schema changes were ever recorded."""
        return self._changes.total

    def evicted(self) -> dict[str, int]:
        """Return how much fell out at the limits."""
        with self._lock:
            return {
                "snapshots": self._snapshots.evicted,
                "changes": self._changes.evicted,
                "timings": self._timings.evicted,
            }

    def renew_lock(self) -> None:
        """Take a lock that nobody holds; called in a forked child."""
        self._lock = threading.RLock()


_live: WeakSet[StatusStore] = WeakSet()


def _renew_locks() -> None:
    """Free the child of a fork from locks that threads of its parent held at that moment."""
    for store in _live:
        store.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
