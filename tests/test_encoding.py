"""Records to span attributes and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from petsard_otel.exceptions import DecodeError
from petsard_otel.records import (
    ModuleExecution,
    RunExecution,
    SchemaPart,
    SchemaReference,
    SpanFacts,
    StepExecution,
)
from petsard_otel.schema import FieldChange, SchemaDiff
from petsard_otel.telemetry.budget import bounded, split_text
from petsard_otel.telemetry.encoding import (
    checked_context,
    decode,
    encode,
    encode_diff,
)

FACTS = SpanFacts("0" * 31 + "1", "0" * 15 + "2", "0" * 15 + "3", 10, 30)

names = st.text(max_size=20)
counts = st.integers(0, 2**62)
facts = st.builds(
    SpanFacts,
    trace_id=st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}"),
    span_id=st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}"),
    parent_span_id=st.none() | st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}"),
    start_time_ns=counts,
    end_time_ns=counts,
)
references = st.none() | st.builds(SchemaReference, id=names, hash=names)
errors = st.none() | names
modules = st.builds(
    ModuleExecution,
    facts=facts,
    run_id=names,
    module_name=names,
    experiment_name=names,
    experiment_path=names,
    position=st.integers(-1, 20),
    operator_type=names,
    snapshot_id=names,
    input=references,
    output=references,
    rows=st.none() | counts,
    columns=st.none() | counts,
    error_type=errors,
)
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | names
steps = st.builds(
    StepExecution,
    facts=facts,
    run_id=names,
    module_name=names,
    experiment_name=names,
    experiment_path=names,
    step_name=names,
    source=st.sampled_from(["step", "user"]),
    context_items=st.dictionaries(names, scalars, max_size=5).map(lambda d: tuple(d.items())),
    error_type=errors,
)
runs = st.builds(
    RunExecution,
    facts=facts,
    run_id=names,
    name=st.none() | names,
    result=st.sampled_from(["success", "error", "cancelled"]),
    config_hash=names,
    sequence=st.lists(names).map(tuple),
    engine=names,
    experiment_count=counts,
    error_type=errors,
)
parts = st.builds(
    SchemaPart, facts=facts, run_id=names, hash=names, part=counts, parts=counts, json=names
)
records = modules | steps | runs | parts


def span_of(record: Any, attributes: dict[str, Any] | None = None) -> ReadableSpan:
    """Make the span that stands for a record."""
    known = record.facts
    parent = known.parent_span_id
    trace_id = int(known.trace_id, 16)
    return ReadableSpan(
        name="a span",
        context=SpanContext(trace_id, int(known.span_id, 16), is_remote=False),
        parent=None if parent is None else SpanContext(trace_id, int(parent, 16), is_remote=False),
        resource=Resource.get_empty(),
        attributes=encode(record) if attributes is None else attributes,
        start_time=known.start_time_ns,
        end_time=known.end_time_ns,
    )


@given(records)
def test_a_record_comes_back_from_its_span(record: Any) -> None:
    """Nothing of a record is lost on the way through a span, ids and times included."""
    assert decode(span_of(record)) == record


def test_the_keys_of_a_module_span_are_these() -> None:
    """A renamed key would break every dashboard and every stored trace."""
    record = ModuleExecution(
        facts=FACTS,
        run_id="r",
        module_name="Loader",
        experiment_name="a",
        experiment_path="Loader[a]",
        position=0,
        operator_type="LoaderAdapter",
        snapshot_id="s",
        input=SchemaReference("i", "ih"),
        output=SchemaReference("o", "oh"),
        rows=3,
        columns=2,
        error_type="ValueError",
    )

    assert encode(record) == {
        "petsard.run.id": "r",
        "petsard.module.name": "Loader",
        "petsard.experiment.name": "a",
        "petsard.experiment.path": "Loader[a]",
        "petsard.module.position": 0,
        "petsard.operator.type": "LoaderAdapter",
        "petsard.snapshot.id": "s",
        "petsard.schema.input.id": "i",
        "petsard.schema.input.hash": "ih",
        "petsard.schema.output.id": "o",
        "petsard.schema.output.hash": "oh",
        "petsard.output.rows": 3,
        "petsard.output.columns": 2,
        "error.type": "ValueError",
    }


def test_the_keys_of_the_other_spans_are_these() -> None:
    """The run's, the step's and the schema's keys are as fixed as the module's."""
    run = RunExecution(FACTS, "r", "p", "error", "h", ("Loader",), "builtin", 2, "KeyError")
    step = StepExecution(FACTS, "r", "m", "e", "m[e]", "fit", "step", (("n", 1),), None)
    part = SchemaPart(FACTS, "r", "h", 1, 2, "{")

    assert encode(run) == {
        "petsard.run.id": "r",
        "petsard.run.result": "error",
        "petsard.config.hash": "h",
        "petsard.sequence": ("Loader",),
        "petsard.engine": "builtin",
        "petsard.experiment.count": 2,
        "petsard.run.name": "p",
        "error.type": "KeyError",
    }
    assert encode(step) == {
        "petsard.run.id": "r",
        "petsard.module.name": "m",
        "petsard.experiment.name": "e",
        "petsard.experiment.path": "m[e]",
        "petsard.step.name": "fit",
        "petsard.step.source": "step",
        "petsard.step.context.n": 1,
    }
    assert encode(part) == {
        "petsard.run.id": "r",
        "petsard.schema.hash": "h",
        "petsard.schema.part": 1,
        "petsard.schema.parts": 2,
        "petsard.schema.json": "{",
    }


@given(records, st.data())
def test_a_damaged_span_is_refused(record: Any, data: st.DataObject) -> None:
    """A span that lost a part, or whose part has another type, is no record or a smaller one."""
    attributes: dict[str, Any] = dict(encode(record))
    victim = data.draw(st.sampled_from(sorted(attributes)))
    if data.draw(st.booleans()):
        del attributes[victim]
    else:
        attributes[victim] = data.draw(st.sampled_from([None, b"x", 1.5, ["a", 1], {"a": 1}]))
    try:
        found = decode(span_of(record, attributes))
    except DecodeError:
        return
    assert encode(found).items() <= {**attributes}.items() | encode(record).items()


def test_a_foreign_span_is_refused_with_a_reason() -> None:
    """A span of another library says what it lacks."""
    record = SchemaPart(FACTS, "r", "h", 1, 2, "{")

    with pytest.raises(DecodeError, match=r"'petsard.run.id': expected text, found nothing"):
        decode(span_of(record, {"http.method": "GET"}))


def test_names_on_a_span_stay_inside_the_budget() -> None:
    """A list of names is cut where the next would not fit, and the count tells the truth."""
    found = encode_diff(SchemaDiff(added=tuple(f"column-{n:04}" for n in range(1000))))

    kept = found["petsard.schema.added"]
    assert isinstance(kept, tuple)
    assert len(kept) == 186
    assert sum(len(name) for name in kept) <= 2048
    assert found["petsard.schema.added.count"] == 1000


def test_a_retyped_field_reads_well() -> None:
    """A person sees what the type was and what it became."""
    found = encode_diff(SchemaDiff(retyped=(FieldChange("a", "int64", "float64"),)))

    assert found == {
        "petsard.schema.retyped": ("a: int64 -> float64",),
        "petsard.schema.retyped.count": 1,
    }


@given(st.text(), st.integers(4, 50))
def test_a_text_in_parts_comes_together_again(text: str, size: int) -> None:
    """Parts are small enough and lose nothing, whatever the characters."""
    found = split_text(text, size)

    assert "".join(found) == text
    assert all(len(part.encode()) <= size for part in found)


@given(st.text(st.characters(), max_size=300), st.integers(64, 600))
def test_a_bounded_name_fits_and_stays_distinct(text: str, size: int) -> None:
    """A long name keeps its beginning, and two long names stay two."""
    found = bounded(text, size)

    assert len(found.encode()) <= size
    assert bounded(found, size) == found
    if len(text.encode(errors="replace")) <= size:
        assert found == text.encode(errors="replace").decode()
    else:
        assert bounded(text + "x", size) != found


def test_a_context_takes_numbers_truth_values_and_text() -> None:
    """Scalars of numpy become Python's; anything else is refused, never turned into text."""
    assert checked_context({"n": np.int64(3), "x": np.float32(0.5), "ok": np.True_, "t": "a"}) == {
        "n": 3,
        "x": 0.5,
        "ok": True,
        "t": "a",
    }
    with pytest.raises(TypeError, match="entry 'rows' is a list"):
        checked_context({"rows": [1]})
    with pytest.raises(TypeError, match="entry 'a' is a ndarray"):
        checked_context({"a": np.array([1])})
    with pytest.raises(ValueError, match="over 64 bits"):
        checked_context({"n": 2**64})
    with pytest.raises(ValueError, match="at most 16 entries, found 17"):
        checked_context({str(n): n for n in range(17)})
    with pytest.raises(TypeError, match="found int"):
        checked_context({1: 1})  # type: ignore[dict-item]
