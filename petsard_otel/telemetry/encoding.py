"""Records to span attributes and back: pure, total, lossless.

Imports neither the OpenTelemetry API nor its SDK: a span is anything that can be read like one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from petsard_otel import attributes as key
from petsard_otel.exceptions import DecodeError
from petsard_otel.records import (
    ModuleExecution,
    RunExecution,
    SchemaPart,
    SchemaReference,
    SpanFacts,
    StepExecution,
)
from petsard_otel.settings import MAX_CONTEXT_ENTRIES, MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded, within_budget

if TYPE_CHECKING:
    from petsard_otel.records import ContextItems, Scalar
    from petsard_otel.schema import SchemaDiff

Record: TypeAlias = ModuleExecution | StepExecution | RunExecution | SchemaPart
AttributeValue: TypeAlias = bool | int | float | str | tuple[str, ...]
Attributes: TypeAlias = dict[str, AttributeValue]


class EndedSpan(Protocol):
    """The part of an ended span that is read; the SDK's ReadableSpan has it.

    `context` and `parent` have a `trace_id` and a `span_id`, both whole numbers.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def instrumentation_scope(self) -> Any:
        """Whose span it is: something with a `name`, or None where nobody noted it."""

    @property
    def context(self) -> Any:
        """Who the span is."""

    @property
    def parent(self) -> Any:
        """Who its parent is, None for the first of a trace."""

    @property
    def attributes(self) -> Any:
        """A mapping, or None."""

    @property
    def start_time(self) -> int | None:
        """Nanoseconds since the epoch."""

    @property
    def end_time(self) -> int | None:
        """Nanoseconds since the epoch."""


def encode(record: Record) -> Attributes:
    """Return the attributes that stand for a record; identity and times are the span's own."""
    if isinstance(record, ModuleExecution):
        return _encode_module(record)
    if isinstance(record, StepExecution):
        return _encode_step(record)
    if isinstance(record, RunExecution):
        return _encode_run(record)
    return {
        key.RUN_ID: record.run_id,
        key.SCHEMA_HASH: record.hash,
        key.SCHEMA_PART: record.part,
        key.SCHEMA_PARTS: record.parts,
        key.SCHEMA_JSON: record.json,
    }


def decode(span: EndedSpan, attributes: Mapping[str, Any] | None = None) -> Record:
    """Read the record that a span of ours stands for; attributes that we do not know are ignored.

    Args:
        span: The ended span.
        attributes: Read these in place of the span's own.

    Raises:
        DecodeError: The span is not one of ours, lacks a part, or has one that cannot be.
    """
    found = span.attributes if attributes is None else attributes
    facts = _facts(span)
    # The first question is what spares most spans the second.
    if type(found) is not dict and found is not None and not isinstance(found, Mapping):
        raise DecodeError("the attributes of a span are a mapping")
    if found is not None and key.MODULE_POSITION in found:
        return _decode_module(facts, found)
    reader = _Reader(found)
    run_id = reader.text(key.RUN_ID)
    if key.STEP_NAME in reader.attributes:
        return _decode_step(facts, run_id, reader)
    if key.SCHEMA_PART in reader.attributes:
        return SchemaPart(
            facts=facts,
            run_id=run_id,
            hash=reader.text(key.SCHEMA_HASH),
            part=reader.integer(key.SCHEMA_PART),
            parts=reader.integer(key.SCHEMA_PARTS),
            json=reader.text(key.SCHEMA_JSON),
        )
    return _decode_run(facts, run_id, reader)


def decode_structure(span: EndedSpan) -> SchemaPart | None:
    """Read the structure that a module span carries, where it fitted there."""
    reader = _Reader(span.attributes)
    if key.SCHEMA_OUTPUT_JSON not in reader.attributes:
        return None
    return SchemaPart(
        facts=_facts(span),
        run_id=reader.text(key.RUN_ID),
        hash=reader.text(key.SCHEMA_OUTPUT_HASH),
        part=1,
        parts=1,
        json=reader.text(key.SCHEMA_OUTPUT_JSON),
    )


def encode_diff(diff: SchemaDiff) -> Attributes:
    """Return what a person reads of a schema's change, each list cut at the size budget."""
    found: Attributes = {}
    for name, count, entries in (
        (key.SCHEMA_ADDED, key.SCHEMA_ADDED_COUNT, diff.added),
        (key.SCHEMA_REMOVED, key.SCHEMA_REMOVED_COUNT, diff.removed),
        (key.SCHEMA_RETYPED, key.SCHEMA_RETYPED_COUNT, tuple(map(str, diff.retyped))),
    ):
        if entries:
            # A long one is cut as a name is, so that it does not hide those behind it.
            shown = (bounded(entry, MAX_NAME_BYTES) for entry in entries)
            found[name] = tuple(within_budget(shown))
            found[count] = len(entries)
    return found


def texts_of(value: object) -> tuple[str, ...] | None:
    """Return a list of texts, also one that became a JSON text, as some stores keep lists."""
    if type(value) is str and value.startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list | tuple) or not all(type(part) is str for part in value):
        return None
    return tuple(value)


def checked_context(context: Mapping[str, Any] | None) -> dict[str, Scalar]:
    """Return a user's context as a record can hold it; numpy's scalars become Python's.

    Raises:
        TypeError: A key is no text, or a value no number, truth value or text.
        ValueError: There are more than MAX_CONTEXT_ENTRIES, or a number has over 64 bits.
    """
    if context is None:
        return {}
    if len(context) > MAX_CONTEXT_ENTRIES:
        raise ValueError(
            f"a timing's context has at most {MAX_CONTEXT_ENTRIES} entries, found {len(context)}"
        )
    checked: dict[str, Scalar] = {}
    for name, given in context.items():
        if type(name) is not str or not name:
            raise TypeError(f"a key of a timing's context is text, found {type(name).__name__}")
        is_numpy = type(given).__module__ == "numpy" and getattr(given, "shape", None) == ()
        value = given.item() if is_numpy else given
        if not isinstance(value, bool | int | float | str):
            raise TypeError(
                f"the timing's context entry {name!r} is a {type(value).__name__}; "
                "give a number, a truth value or text"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"the timing's context entry {name!r} is a number of over 64 bits")
        checked[bounded(name, MAX_NAME_BYTES)] = value
    return checked


def _encode_module(record: ModuleExecution) -> Attributes:
    found: Attributes = {
        key.RUN_ID: record.run_id,
        key.MODULE_NAME: record.module_name,
        key.EXPERIMENT_NAME: record.experiment_name,
        key.EXPERIMENT_PATH: record.experiment_path,
        key.MODULE_POSITION: record.position,
        key.OPERATOR_TYPE: record.operator_type,
        key.SNAPSHOT_ID: record.snapshot_id,
    }
    if record.input is not None:
        found[key.SCHEMA_INPUT_ID] = record.input.id
        found[key.SCHEMA_INPUT_HASH] = record.input.hash
    if record.output is not None:
        found[key.SCHEMA_OUTPUT_ID] = record.output.id
        found[key.SCHEMA_OUTPUT_HASH] = record.output.hash
    if record.rows is not None:
        found[key.OUTPUT_ROWS] = record.rows
    if record.columns is not None:
        found[key.OUTPUT_COLUMNS] = record.columns
    if record.error_type is not None:
        found[key.ERROR_TYPE] = record.error_type
    return found


_MODULE_KEYS = (
    key.RUN_ID,
    key.MODULE_NAME,
    key.EXPERIMENT_NAME,
    key.EXPERIMENT_PATH,
    key.MODULE_POSITION,
    key.OPERATOR_TYPE,
    key.SNAPSHOT_ID,
    key.SCHEMA_INPUT_ID,
    key.SCHEMA_INPUT_HASH,
    key.SCHEMA_OUTPUT_ID,
    key.SCHEMA_OUTPUT_HASH,
    key.OUTPUT_ROWS,
    key.OUTPUT_COLUMNS,
    key.ERROR_TYPE,
)
_MODULE_TYPES = (str, str, str, str, int, str, str, *[str] * 4, int, int, str)
_OPTIONAL_FROM = _MODULE_KEYS.index(key.SCHEMA_INPUT_ID)


@lru_cache(maxsize=64)
def _misfit(types: tuple[type, ...]) -> int | None:
    """Return the place of the first value whose type is wrong; few combinations ever occur."""
    for place, (found, expected) in enumerate(zip(types, _MODULE_TYPES, strict=True)):
        is_absent = found is NoneType and place >= _OPTIONAL_FROM
        if found is not expected and not is_absent:
            return place
    for one, other in ((7, 8), (9, 10)):
        if types[one] is not types[other]:
            return one if types[one] is NoneType else other
    return None


def _decode_module(facts: SpanFacts, attributes: Mapping[str, Any]) -> ModuleExecution:
    values: tuple[Any, ...] = tuple(map(attributes.get, _MODULE_KEYS))
    misfit = _misfit(tuple(map(type, values)))
    if misfit is not None:
        expected = "text" if _MODULE_TYPES[misfit] is str else "a whole number"
        raise _wrong(_MODULE_KEYS[misfit], expected, values[misfit])
    input_id, input_hash, output_id, output_hash = values[_OPTIONAL_FROM : _OPTIONAL_FROM + 4]
    # The keys stand in the order of the record's fields.
    return ModuleExecution._make(
        (
            facts,
            *values[:_OPTIONAL_FROM],
            None if input_id is None else SchemaReference(input_id, input_hash),
            None if output_id is None else SchemaReference(output_id, output_hash),
            *values[_OPTIONAL_FROM + 4 :],
        )
    )


def _encode_step(record: StepExecution) -> Attributes:
    found: Attributes = {
        key.RUN_ID: record.run_id,
        key.MODULE_NAME: record.module_name,
        key.EXPERIMENT_NAME: record.experiment_name,
        key.EXPERIMENT_PATH: record.experiment_path,
        key.STEP_NAME: record.step_name,
        key.STEP_SOURCE: record.source,
    }
    for name, value in record.context_items:
        found[key.STEP_CONTEXT_PREFIX + name] = value
    if record.error_type is not None:
        found[key.ERROR_TYPE] = record.error_type
    return found


def _decode_step(facts: SpanFacts, run_id: str, reader: _Reader) -> StepExecution:
    return StepExecution(
        facts=facts,
        run_id=run_id,
        module_name=reader.text(key.MODULE_NAME),
        experiment_name=reader.text(key.EXPERIMENT_NAME),
        experiment_path=reader.text(key.EXPERIMENT_PATH),
        step_name=reader.text(key.STEP_NAME),
        source=reader.one_of(key.STEP_SOURCE, ("step", "user")),
        context_items=reader.prefixed(key.STEP_CONTEXT_PREFIX),
        error_type=reader.optional_text(key.ERROR_TYPE),
    )


def _encode_run(record: RunExecution) -> Attributes:
    found: Attributes = {
        key.RUN_ID: record.run_id,
        key.RUN_RESULT: record.result,
        key.CONFIG_HASH: record.config_hash,
        key.SEQUENCE: record.sequence,
        key.ENGINE: record.engine,
        key.EXPERIMENT_COUNT: record.experiment_count,
    }
    if record.name is not None:
        found[key.RUN_NAME] = record.name
    if record.error_type is not None:
        found[key.ERROR_TYPE] = record.error_type
    return found


def _decode_run(facts: SpanFacts, run_id: str, reader: _Reader) -> RunExecution:
    return RunExecution(
        facts=facts,
        run_id=run_id,
        name=reader.optional_text(key.RUN_NAME),
        result=reader.one_of(key.RUN_RESULT, ("success", "error", "cancelled")),
        config_hash=reader.text(key.CONFIG_HASH),
        sequence=reader.texts(key.SEQUENCE),
        engine=reader.text(key.ENGINE),
        experiment_count=reader.integer(key.EXPERIMENT_COUNT),
        error_type=reader.optional_text(key.ERROR_TYPE),
    )


_ID_OR_NONE = (int, NoneType)


def _facts(span: EndedSpan) -> SpanFacts:
    context, parent, start, end = span.context, span.parent, span.start_time, span.end_time
    if context is None or start is None or end is None:
        raise DecodeError("a span without identity or times cannot become a record")
    trace_id, span_id = context.trace_id, context.span_id
    around = None if parent is None else parent.span_id
    if not (
        type(trace_id) is type(span_id) is type(start) is type(end) is int
        and type(around) in _ID_OR_NONE
    ):
        raise DecodeError("the ids and times of a span are whole numbers")
    # The shift is 0 for two numbers of 63 bits alone.
    if not 0 < span_id < 2**64 or (start | end) >> 63:
        raise DecodeError("an id or a time of the span is out of range")
    return SpanFacts(
        _trace_hex(trace_id),
        f"{span_id:016x}",
        None if around is None else _parent_hex(around),
        start,
        end,
    )


@lru_cache(maxsize=16)
def _trace_hex(trace_id: int) -> str:
    if not 0 < trace_id < 2**128:
        raise DecodeError("the trace id of the span is out of range")
    return f"{trace_id:032x}"


@lru_cache(maxsize=64)
def _parent_hex(span_id: int) -> str:
    if not 0 < span_id < 2**64:
        raise DecodeError("the id of the span's parent is out of range")
    return f"{span_id:016x}"


class _Reader:
    """Typed access to a span's attributes."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: Mapping[str, Any] | None) -> None:
        self.attributes: Mapping[str, Any] = {} if attributes is None else attributes

    def text(self, name: str) -> str:
        value = self.attributes.get(name)
        if type(value) is not str:
            raise _wrong(name, "text", value)
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            raise DecodeError(f"span attribute {name!r}: expected one of {', '.join(choices)}")
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self.attributes else None

    def integer(self, name: str) -> int:
        value = self.attributes.get(name)
        if type(value) is not int:
            raise _wrong(name, "a whole number", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.attributes.get(name)
        found = texts_of(value)
        if found is None:
            raise _wrong(name, "a list of texts", value)
        return found

    def prefixed(self, prefix: str) -> ContextItems:
        found = []
        for name, value in self.attributes.items():
            if type(name) is str and name.startswith(prefix):
                if not isinstance(value, bool | int | float | str):
                    raise _wrong(f"{prefix}*", "a number, a truth value or text", value)
                found.append((name[len(prefix) :], value))
        return tuple(found)


def _wrong(name: str, expected: str, value: object) -> DecodeError:
    found = "nothing" if value is None else type(value).__name__
    return DecodeError(f"span attribute {name!r}: expected {expected}, found {found}")
