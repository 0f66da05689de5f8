"""A run's exported spans into a store: the trace is the record. Knows no SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from petsard_otel import attributes as key
from petsard_otel.exceptions import DecodeError
from petsard_otel.records import (
    KILLED,
    ModuleExecution,
    OpenExecution,
    RunExecution,
    SchemaPart,
    StepExecution,
)
from petsard_otel.schema import Schema
from petsard_otel.telemetry.encoding import decode, decode_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.encoding import EndedSpan, Record


MAX_STEP_DEPTH = 64
"""How many steps around a step are looked through for its module: damage may make a circle."""


def replay(
    spans: Iterable[EndedSpan],
    store: StatusStore,
    run_id: str | None = None,
    pass_over: Callable[[], None] | None = None,
) -> None:
    """Add the spans of one run to an empty store, which then answers as the live one did.

    A trace out of a back end holds the spans of others too. They are passed over, whatever their
    attributes say: a span is ours by the name of its scope or, where a span has none, by its
    `petsard.run.id`. So are attributes that we do not know.

    A span that comes twice, as a repeated export makes it, is taken once. What never came is
    missing from the answers; a structure of which a part never came is known by its hash alone.

    All spans are read before the first record is added: after an error the store is as it was.

    Args:
        spans: All spans of the run, in any order, others among them.
        store: Where they go.
        run_id: Take this run alone; needed where the spans are of several.
        pass_over: Is told of a span that was damaged or contradicts another, which is left out.

    Raises:
        DecodeError: Nothing is passed over, and a span of ours was damaged, or contradicts another;
            names span and attribute. Or the spans are of several runs, and none was named.
    """
    trace = _Trace(run_id)
    for span in spans:
        if is_ours(span):
            try:
                trace.read(span)
            except DecodeError:
                if pass_over is None:
                    raise
                pass_over()
    if run_id is not None and not trace.records:
        raise DecodeError(f"there is no span of the run {run_id!r}")
    # The store's references to structures are weak; these are held until all records are in.
    structures = list(trace.structures.values())
    for schema in structures:
        store.remember(schema)
    for record in _in_order(list(trace.records.values())):
        if not isinstance(record, SchemaPart):
            store.add(record)


def open_executions(
    spans: Iterable[EndedSpan], seen_ns: int = 0, memory_bytes: int | None = None
) -> tuple[OpenExecution, ...]:
    """Return the module executions that never ended, whether they have been closed or not.

    Args:
        spans: The spans of one run.
        seen_ns: When its process was last seen alive: for those that have not been closed.
        memory_bytes: The memory that it had then.
    """
    modules: dict[tuple[int, int], EndedSpan] = {}
    for span in spans:
        if key.MODULE_POSITION in (span.attributes or ()):
            identity = (span.context.trace_id, span.context.span_id)
            # One that comes twice counts once, and as ended where one of the two has.
            if modules.setdefault(identity, span).end_time is None:
                modules[identity] = span
    opened = []
    for span in modules.values():
        found: Mapping[str, Any] = span.attributes or {}
        if span.end_time is not None and found.get(key.ERROR_TYPE) != KILLED:
            continue
        memory = found.get(key.PROCESS_MEMORY, memory_bytes)
        start_ns = span.start_time or 0
        opened.append(
            OpenExecution(
                module_name=str(found.get(key.MODULE_NAME)),
                experiment_name=str(found.get(key.EXPERIMENT_NAME)),
                experiment_path=str(found.get(key.EXPERIMENT_PATH)),
                start_time_ns=start_ns,
                last_seen_ns=span.end_time or max(seen_ns, start_ns),
                memory_bytes=memory if type(memory) is int else None,
                trace_id=f"{span.context.trace_id:032x}",
                span_id=f"{span.context.span_id:016x}",
            )
        )
    return tuple(opened)


def is_ours(span: EndedSpan) -> bool:
    """Tell whether a span is ours: by the name of its scope, else by its run id."""
    scope = span.instrumentation_scope
    if scope is not None:
        return bool(scope.name == key.SCOPE_NAME)
    return isinstance(span.attributes, Mapping) and key.RUN_ID in span.attributes


class _Trace:
    """The records of one run, checked one by one and against each other."""

    def __init__(self, run_id: str | None) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.structures: dict[str, Schema] = {}
        self._wanted = run_id
        self._run_id = run_id
        self._by_value: dict[tuple[str, str], Record] = {}
        self._parts: dict[str, dict[int, SchemaPart]] = {}

    def read(self, span: EndedSpan) -> None:
        """Take in a span of ours."""
        try:
            if self._wanted is None or _run_id(span) in (None, self._wanted):
                self._add(span)
        except DecodeError as error:
            raise DecodeError(f"{_shown(span)}: {error}") from None

    def _add(self, span: EndedSpan) -> None:
        record = decode(span)
        self._run_id = self._run_id or record.run_id
        if record.run_id != self._run_id:
            raise DecodeError(
                f"span attribute {key.RUN_ID!r}: the spans are of several runs, "
                f"{self._run_id} and {record.run_id} among them; say which is wanted"
            )
        if record.facts.end_time_ns < record.facts.start_time_ns:
            raise DecodeError("it ends before it begins")
        identity = record.facts.trace_id, record.facts.span_id
        # By their text, in which a NaN is equal to another.
        if identity in self.records and repr(self.records[identity]) != repr(record):
            raise DecodeError("another span has the same id")
        if isinstance(record, ModuleExecution):
            self._claim(key.SNAPSHOT_ID, record.snapshot_id, record)
            structure = decode_structure(span)
            if structure is not None:
                self._add_structure(structure.hash, structure.json, key.SCHEMA_OUTPUT_JSON)
        elif isinstance(record, RunExecution):
            self._claim(key.RUN_RESULT, record.run_id, record)
        elif isinstance(record, SchemaPart):
            self._add_part(record)
        self.records.setdefault(identity, record)

    def _claim(self, name: str, value: str, record: Record) -> None:
        """Note what one record alone can have."""
        if self._by_value.setdefault((name, value), record) != record:
            raise DecodeError(f"span attribute {name!r}: another span is the same to the run")

    def _add_part(self, record: SchemaPart) -> None:
        if not 1 <= record.part <= record.parts:
            raise DecodeError(
                f"span attribute {key.SCHEMA_PART!r}: there is no part {record.part} "
                f"of {record.parts}"
            )
        parts = self._parts.setdefault(record.hash, {})
        known = parts.setdefault(record.part, record)
        if known.json != record.json:
            raise DecodeError(f"span attribute {key.SCHEMA_JSON!r}: another span has the same part")
        if next(iter(parts.values())).parts != record.parts:
            raise DecodeError(
                f"span attribute {key.SCHEMA_PARTS!r}: another part of the same structure "
                "counts differently"
            )
        if len(parts) == record.parts:
            text = "".join(parts[number].json for number in range(1, record.parts + 1))
            self._add_structure(record.hash, text, key.SCHEMA_JSON)

    def _add_structure(self, hash: str, text: str, name: str) -> None:
        known = self.structures.get(hash)
        if known is not None and known.json == text:
            return
        try:
            schema = Schema.from_json("", text)
        except ValueError:
            raise DecodeError(f"span attribute {name!r}: it holds no schema of ours") from None
        if schema.hash != hash:
            raise DecodeError(f"span attribute {name!r}: it does not have the hash that is with it")
        self.structures[hash] = schema


def _in_order(records: list[Record]) -> list[Record]:
    """Return records as they ended, whatever their clocks say.

    The start of a span is read off a wall clock, which may be set back, or tick but every sixteen
    milliseconds; and between the two clocks that a span reads its thread may have to wait. So the
    ids of snapshots tell the order of module executions, and the steps of one stay inside it.
    """
    modules = [record for record in records if isinstance(record, ModuleExecution)]
    modules.sort(key=lambda record: (len(record.snapshot_id), record.snapshot_id))
    spaces: dict[str | None, tuple[int, int, int]] = {}
    latest = -1
    for record in modules:
        earliest = latest + 1
        latest = max(earliest, record.facts.end_time_ns)
        spaces[record.facts.span_id] = (latest - record.facts.end_time_ns, earliest, latest)
    parents = {
        record.facts.span_id: record.facts.parent_span_id
        for record in records
        if isinstance(record, StepExecution)
    }

    def ending(record: Record) -> tuple[int, bool, int, int]:
        start, end = record.facts.start_time_ns, record.facts.end_time_ns
        is_step = isinstance(record, StepExecution)
        owner: str | None = record.facts.span_id
        for _ in range(MAX_STEP_DEPTH):
            if owner not in parents:
                break
            owner = parents[owner]
        if owner not in spaces:
            return end, True, end, -start
        shift, earliest, at_last = spaces[owner]
        return min(max(end + shift, earliest), at_last), not is_step, end, -start

    return sorted(records, key=ending)


def _run_id(span: EndedSpan) -> str | None:
    """Return the run that a span says it is of, None where it cannot be told."""
    found = span.attributes.get(key.RUN_ID) if isinstance(span.attributes, Mapping) else None
    return found if isinstance(found, str) else None


def _shown(span: EndedSpan) -> str:
    """Name a span for an error, by nothing of what it says."""
    span_id = None if span.context is None else span.context.span_id
    return f"span {span_id:016x}" if isinstance(span_id, int) else "a span without an id"
