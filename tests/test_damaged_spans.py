"""Spans that were damaged, or are others': a clear rejection, no crash, never half a record."""

from __future__ import annotations

import json
import random
import tracemalloc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from petsard_otel import Attribute, Config, Executor, Schema, Status, step_span
from petsard_otel.exceptions import DecodeError
from petsard_otel.records import ModuleExecution, RunExecution, SchemaPart, StepExecution
from petsard_otel.schema import OpaqueSchema
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.encoding import decode
from petsard_otel.telemetry.replay import replay

from .conftest import Recorded, TableAdapter

if TYPE_CHECKING:
    from pathlib import Path

OURS = InstrumentationScope("petsard_otel")
THEIRS = InstrumentationScope("sqlalchemy")

WIDE = Schema.of(
    "wide", [Attribute(f"column {n:03}", "float64", nullable=True) for n in range(150)]
)
NARROW = Schema.of("wide", [Attribute("a", "int64"), Attribute("größe", "string")])


@dataclass(frozen=True)
class Told:
    """A span as a reader of a back end might hand it on: each part may be anything."""

    name: str
    context: Any
    parent: Any
    attributes: Any
    start_time: Any
    end_time: Any
    instrumentation_scope: Any = OURS

    def having(self, **changes: Any) -> Told:
        """Give the same span with other attributes; `...` takes one away."""
        attributes = {**self.attributes}
        for name, value in changes.items():
            key = name.replace("__", ".")
            if value is ...:
                attributes.pop(key)
            else:
                attributes[key] = value
        return replace(self, attributes=attributes)


def told(recorded: Recorded) -> list[Told]:
    """Give what a provider exported."""
    return [
        Told(
            span.name,
            span.context,
            span.parent,
            dict(span.attributes),
            span.start_time,
            span.end_time,
            span.instrumentation_scope,
        )
        for span in recorded.exported
    ]


def trace() -> tuple[Status, list[Told]]:
    """Record a run with every kind of span in it."""
    recorded = Recorded()
    config = Config("Loader: {a: {}}\nSplitter: {s: {}}\nEvaluator: {e: {}}")
    status = Status(config, tracer_provider=recorded.provider)
    with pytest.raises(ValueError, match="x"), status.running(config, "builtin"):
        for module, schema in (("Loader", WIDE), ("Splitter", NARROW)):
            with status.executing(module, "a", "TableAdapter"):
                with step_span("load"):
                    pass
                status.put(module, "a", TableAdapter(schema))
        status.start_timing("Loader", "a", "own", {"n": 1, "x": float("nan"), "ok": True})
        status.end_timing("Loader", "a", "own")
        with status.executing("Evaluator", "e", "EvaluatorAdapter"):
            raise ValueError("x")
    return status, told(recorded)


STATUS, TRACE = trace()
KINDS = {
    "module": next(span for span in TRACE if span.name == "Splitter[a]"),
    "step": next(span for span in TRACE if span.name == "Loader.load"),
    "timing": next(span for span in TRACE if span.name == "Loader.own"),
    "run": next(span for span in TRACE if span.name == "petsard run"),
    "schema": next(span for span in TRACE if span.name == "schema"),
}


def new_store() -> StatusStore:
    """Give an empty store."""
    return StatusStore(1000, 5000, 10000)


def answers(store: StatusStore) -> str:
    """Give all that a store can be asked, as text, in which a NaN is equal to another."""
    return repr(
        (
            store.snapshots(),
            store.timings(),
            store.changes(),
            store.run,
            store.trace_id,
            store.failed_modules,
            store.duration_seconds,
            store.totals(),
            store.evicted(),
        )
    )


EMPTY = answers(new_store())


def rebuilt(spans: list[Told], run_id: str | None = None) -> str:
    """Give the answers of a store that was rebuilt from spans."""
    store = new_store()
    replay(spans, store, run_id)
    return answers(store)


WHOLE = rebuilt(TRACE)


def with_span(one: Told) -> list[Told]:
    """Give the trace with one span in the place of the one that has its id."""
    return [one if span.context == one.context else span for span in TRACE]


def refusal(spans: list[Told], run_id: str | None = None) -> str:
    """Give the error with which spans are refused, having seen that the store is untouched."""
    store = new_store()
    with pytest.raises(DecodeError) as caught:
        replay(spans, store, run_id)
    assert answers(store) == EMPTY
    replay(TRACE, store)
    assert answers(store) == WHOLE
    return str(caught.value)


def test_the_trace_that_is_damaged_here_is_whole() -> None:
    """What is rebuilt from it is what the Status itself says, down to the ids."""
    store = new_store()
    replay(TRACE, store)

    assert store.snapshots() == STATUS.get_snapshots()
    assert repr(store.timings()) == repr(STATUS.get_timing_records())
    assert store.changes() == STATUS.get_change_history()
    assert store.failed_modules == ("Evaluator",)
    assert {type(decode(span)) for span in TRACE} == {
        ModuleExecution, StepExecution, RunExecution, SchemaPart,
    }  # fmt: skip


oddities = st.sampled_from(
    [None, b"x", 1.5, float("nan"), True, 0, -1, 10**12, 2**70, "", "zz", "\ud800", "0" * 32,
     (), ("a", 1), ["a"], [["a"]], {"a": {"b": 1}}, {1, 2}, object()]
)  # fmt: skip


@st.composite
def damaged_spans(draw: st.DrawFn) -> Told:
    """Take a real span and damage one or more of its parts."""
    span = draw(st.sampled_from(TRACE))
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from(["drop", "change", "add", "foreign keys", "field"]))
        if part == "field":
            field = draw(st.sampled_from(["attributes", "start_time", "end_time", "parent"]))
            value = draw(oddities)
            changed: dict[str, Any] = {field: None if field == "parent" else value}
            span = replace(span, **changed)
            continue
        if part == "foreign keys":
            kind = draw(st.sampled_from([*KINDS.values()]))
            changes = kind.attributes
        else:
            keys = sorted(span.attributes, key=str) if isinstance(span.attributes, dict) else []
            key = draw(st.sampled_from([*keys, "petsard.step.context.n", "petsard.new.key", 7]))
            changes = {key: draw(oddities)}
        if isinstance(span.attributes, dict):
            attributes = {**span.attributes, **changes}
            if part == "drop":
                attributes = {k: v for k, v in attributes.items() if k not in changes}
            span = replace(span, attributes=attributes)
    return span


@given(damaged_spans())
def test_a_damaged_span_is_a_record_or_a_decode_error(span: Told) -> None:
    """Whatever became of a span, it is read or refused; nothing else comes out."""
    try:
        found = decode(span)
    except DecodeError as error:
        assert str(error)  # noqa: PT017  a message is all that is asked for
    else:
        assert isinstance(found, ModuleExecution | StepExecution | RunExecution | SchemaPart)


@given(damaged=st.lists(damaged_spans(), min_size=1, max_size=3), in_place=st.booleans())
def test_a_trace_is_taken_whole_or_not_at_all(*, damaged: list[Told], in_place: bool) -> None:
    """After an error the store is as it was, else it has every span of ours."""
    spans = TRACE + damaged
    if in_place:
        spans = [*damaged, *(s for s in TRACE if s.context not in [d.context for d in damaged])]
    store = new_store()
    try:
        replay(spans, store)
    except DecodeError as error:
        assert str(error)  # noqa: PT017  a message is all that is asked for
        assert answers(store) == EMPTY
        return
    records = [decode(span) for span in spans]
    modules = {r.snapshot_id for r in records if isinstance(r, ModuleExecution)}
    timed = {r.facts.span_id for r in records if isinstance(r, ModuleExecution | StepExecution)}
    assert {snapshot.snapshot_id for snapshot in store.snapshots()} == modules
    assert {timing.span_id for timing in store.timings()} == timed
    assert len(store.timings()) == len(timed)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("module", {"petsard__run__id": ...}, "'petsard.run.id': expected text, found nothing"),
        ("module", {"petsard__module__name": 3}, "'petsard.module.name': expected text, found int"),
        ("module", {"petsard__module__position": True},
         "'petsard.module.position': expected a whole number, found bool"),
        ("module", {"petsard__output__rows": 1.0},
         "'petsard.output.rows': expected a whole number, found float"),
        ("module", {"petsard__schema__input__id": ...},
         "'petsard.schema.input.id': expected text, found nothing"),
        ("module", {"petsard__schema__output__hash": "0" * 32},
         "'petsard.schema.output.json': it does not have the hash that is with it"),
        ("module", {"petsard__schema__output__json": NARROW.json[:64]},
         "'petsard.schema.output.json': it holds no schema of ours"),
        ("module", {"petsard__schema__output__json": "[" * 100_000},
         "'petsard.schema.output.json': it holds no schema of ours"),
        ("module", {"petsard__schema__output__json": b"{}"},
         "'petsard.schema.output.json': expected text, found bytes"),
        ("module", {"petsard__module__position": ...}, "'petsard.run.result': expected text"),
        ("step", {"petsard__step__source": "module"},
         "'petsard.step.source': expected one of step, user"),
        ("timing", {"petsard__step__context__n": (1, 2)},
         "'petsard.step.context.*': expected a number, a truth value or text, found tuple"),
        ("run", {"petsard__run__result": "splendid"},
         "'petsard.run.result': expected one of success, error, cancelled"),
        ("run", {"petsard__sequence": "Loader"},
         "'petsard.sequence': expected a list of texts, found str"),
        ("run", {"petsard__experiment__count": "1"},
         "'petsard.experiment.count': expected a whole number, found str"),
        ("schema", {"petsard__schema__part": -1}, "'petsard.schema.part': there is no part -1 of"),
        ("schema", {"petsard__schema__part": 99}, "'petsard.schema.part': there is no part 99 of"),
        ("schema", {"petsard__schema__parts": 10**12},
         "'petsard.schema.parts': another part of the same structure counts differently"),
        ("schema", {"petsard__schema__part": 2},
         "'petsard.schema.json': another span has the same part"),
        ("schema", {"petsard__schema__json": "{"},
         "'petsard.schema.json': it holds no schema of ours"),
    ],
)  # fmt: skip
def test_a_damaged_attribute_is_named(kind: str, changes: dict[str, Any], message: str) -> None:
    """The error says which span and which attribute, and the store stays as it was."""
    found = refusal(with_span(KINDS[kind].having(**changes)))

    assert message in found
    if "schema" not in kind:
        span = KINDS[kind]
        assert found.startswith(f"span {span.context.span_id:016x}: span attribute")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": None}, "a span without an id: a span without identity or times"),
        ({"start_time": None}, "a span without identity or times cannot become a record"),
        ({"end_time": "now"}, "the ids and times of a span are whole numbers"),
        ({"end_time": 1.5}, "the ids and times of a span are whole numbers"),
        ({"end_time": 10**30}, "an id or a time of the span is out of range"),
        ({"start_time": -1}, "an id or a time of the span is out of range"),
        ({"start_time": 20, "end_time": 10}, "it ends before it begins"),
        ({"context": SpanContext(2**128, 1, is_remote=False)}, "the trace id of the span is out"),
        ({"context": SpanContext(1, 0, is_remote=False)}, "an id or a time of the span is out"),
        ({"parent": SpanContext(1, 2**64, is_remote=False)}, "the id of the span's parent is out"),
        ({"attributes": ["petsard.run.id"]}, "the attributes of a span are a mapping"),
        ({"attributes": None}, "'petsard.run.id': expected text, found nothing"),
    ],
)
def test_a_span_that_lost_its_identity_or_its_times_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    """What makes a span a span is checked as its attributes are."""
    module = KINDS["module"]
    spans = [replace(span, **changes) if span is module else span for span in TRACE]

    assert message in refusal(spans)


def test_spans_that_contradict_each_other_are_refused() -> None:
    """One id, one snapshot, one run: two accounts of the same are not chosen from."""
    module, run = KINDS["module"], KINDS["run"]
    other = SpanContext(module.context.trace_id, 77, is_remote=False)

    assert refusal([*TRACE, module.having(petsard__output__rows=4)]).endswith(
        "another span has the same id"
    )
    assert "'petsard.snapshot.id': another span" in refusal(
        [*TRACE, replace(module, context=other)]
    )
    assert "'petsard.run.result': another span" in refusal([*TRACE, replace(run, context=other)])


def test_a_structure_may_not_be_told_in_two_ways() -> None:
    """A part that comes twice with other texts is refused, the same part twice is not."""
    schema = KINDS["schema"]
    other = replace(schema, context=SpanContext(1, 77, is_remote=False))

    assert rebuilt([*TRACE, other]) == WHOLE
    assert "'petsard.schema.json': another span has the same part" in refusal(
        [*TRACE, other.having(petsard__schema__json="{")]
    )


@pytest.mark.parametrize("seed", range(5))
def test_neither_order_nor_repetition_matters(seed: int) -> None:
    """Batches come in any order, and a repeated export delivers twice."""
    spans = [*TRACE, *TRACE]
    random.Random(seed).shuffle(spans)  # noqa: S311  no secret

    assert rebuilt(spans) == WHOLE


foreign_spans = st.builds(
    Told,
    name=st.text(max_size=8),
    context=st.none() | st.builds(SpanContext, st.integers(), st.integers(), st.booleans()),
    parent=st.none(),
    attributes=st.none()
    | st.sampled_from([span.attributes for span in TRACE])
    | st.dictionaries(
        st.sampled_from(["http.method", "petsard.run.id", "petsard.schema.parts"]), oddities
    ),
    start_time=st.none() | st.integers(),
    end_time=st.none() | st.integers(),
    instrumentation_scope=st.sampled_from([THEIRS, InstrumentationScope("")]),
)


@given(st.lists(foreign_spans, max_size=5))
def test_spans_of_others_are_passed_over(spans: list[Told]) -> None:
    """Whatever another library's span says, even in our words, it changes no answer."""
    assert rebuilt([*spans, *TRACE]) == WHOLE


def test_a_span_without_a_scope_is_known_by_its_run() -> None:
    """A back end that forgets the scope leaves the attributes to tell."""
    bare = [replace(span, instrumentation_scope=None) for span in TRACE]
    foreign = replace(bare[0], attributes={"http.method": "GET"})

    assert rebuilt([*bare, foreign, replace(foreign, attributes=None)]) == WHOLE


def test_a_later_version_may_say_more() -> None:
    """Attributes that this version does not know are no damage."""
    assert rebuilt([span.having(petsard__new="x") for span in TRACE]) == WHOLE


def test_of_several_runs_one_has_to_be_named() -> None:
    """Two runs under one request share a trace, and never mix."""
    _, other = trace()
    both = [*other, *TRACE]
    random.Random(1).shuffle(both)  # noqa: S311  no secret
    run_id = TRACE[0].attributes["petsard.run.id"]

    message = refusal(both)
    assert "'petsard.run.id': the spans are of several runs" in message
    assert run_id in message
    assert rebuilt(both, run_id) == WHOLE
    assert rebuilt([*other[1:], other[0].having(petsard__module__name=3), *TRACE], run_id) == WHOLE
    assert refusal(TRACE, "0" * 32) == f"there is no span of the run {'0' * 32!r}"
    assert "'petsard.run.id'" in refusal([*TRACE, other[0].having(petsard__run__id=3)], run_id)


@pytest.mark.parametrize("lost", range(len(TRACE)))
def test_a_span_that_never_came_is_all_that_is_missing(lost: int) -> None:
    """A trace that lost a span still tells the rest; a structure with a hole is known by hash."""
    store = new_store()
    replay([span for number, span in enumerate(TRACE) if number != lost], store)

    gone = decode(TRACE[lost])
    ids = [timing.span_id for timing in store.timings()]
    assert len(ids) == 6 - isinstance(gone, ModuleExecution | StepExecution)
    assert gone.facts.span_id not in ids
    if isinstance(gone, SchemaPart):
        (loader,) = store.snapshots("Loader")
        assert loader.metadata_after == OpaqueSchema("wide", "unknown", WIDE.hash)
        assert store.changes() == ()


json_members = st.sampled_from(
    ["name", "type", "nullable", "category", "logical_type", "precision", "attributes", "mean"]
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_members, inner, max_size=4),
    max_leaves=10,
)
structures = [WIDE.json, NARROW.json, Schema.of("t", [Attribute("\ud800", "x")]).json, "[" * 10**5]


@given(
    json_values.map(json.dumps)
    | st.lists(json_values, max_size=3).map(lambda found: json.dumps({"attributes": found}))
    | st.builds(
        lambda text, at, new, cut: text[:at] + new + text[at + cut :],
        st.sampled_from(structures),
        st.integers(0, 300),
        st.text(max_size=3)
        | st.sampled_from(['"', "}", "]}", ",", "1e999", "9" * 5000, "\\ud800"]),
        st.integers(0, 9),
    )
)
def test_a_damaged_structure_is_a_schema_or_a_value_error(text: str) -> None:
    """What is read as a schema is written as the same text; all else is a ValueError."""
    try:
        found = Schema.from_json("t", text)
    except ValueError as error:
        assert str(error)  # noqa: PT017  a message is all that is asked for
    else:
        assert found.json == text
        assert Schema.from_json("t", found.json) == found


def test_announced_parts_cost_no_memory() -> None:
    """A span that announces a million million parts is one part and a hole."""
    hostile = [
        replace(KINDS["schema"], context=SpanContext(1, number, is_remote=False)).having(
            petsard__schema__hash=f"{number:032x}", petsard__schema__parts=10**12
        )
        for number in range(1, 301)
    ]
    store = new_store()
    tracemalloc.start()
    try:
        replay([*TRACE, *hostile], store)
        used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answers(store) == WHOLE
    assert peak < 3_000_000
    assert used < 500_000


def test_a_structure_that_comes_back_after_eviction_is_still_known() -> None:
    """However long ago a structure was described, the rebuilt answer is the live one."""
    recorded = Recorded()
    status = Status(Config("Loader: {a: {}}"), max_snapshots=5, tracer_provider=recorded.provider)
    for schema in (WIDE, *[NARROW] * 20, WIDE, NARROW):
        status.put("Loader", "a", TableAdapter(schema))
    store = StatusStore(5, 5000, 10000)

    replay(told(recorded), store)

    assert store.snapshots() == status.get_snapshots()
    assert [type(snapshot.metadata_after) for snapshot in store.snapshots()] == [Schema] * 5
    assert store.changes() == status.get_change_history()
    assert store.evicted() == status.get_status_summary()["evicted"]


def order(store: StatusStore) -> list[str]:
    """Give the ids of what happened in modules, as a store has it."""
    return [
        *(snapshot.snapshot_id for snapshot in store.snapshots()),
        *(change.change_id for change in store.changes()),
        *(timing.span_id for timing in store.timings() if timing.source != "user"),
    ]


@pytest.mark.parametrize("resolution_ns", [1, 16_000_000, 10**12])
@pytest.mark.parametrize("step_back_ns", [0, 10**9])
def test_a_clock_that_jumps_changes_no_order(resolution_ns: int, step_back_ns: int) -> None:
    """Some clocks tick every sixteen milliseconds, and any may be set back during a run."""
    moved = []
    for span in TRACE:
        late = span.name.startswith(("Evaluator", "Splitter"))
        start = span.start_time // resolution_ns * resolution_ns - step_back_ns * late
        moved.append(
            replace(span, start_time=start, end_time=start + span.end_time - span.start_time)
        )
    random.Random(1).shuffle(moved)  # noqa: S311  no secret
    live, store = new_store(), new_store()
    replay(TRACE, live)

    replay(moved, store)

    assert order(store) == order(live)


@pytest.mark.parametrize("late_ns", [10**6, 10**9, -(10**9)])
def test_a_step_stays_inside_its_module(late_ns: int) -> None:
    """A thread that had to wait between its two clocks makes a module too early, or too late."""
    moved = [
        replace(span, start_time=span.start_time - late_ns, end_time=span.end_time - late_ns)
        if span.name == "Splitter[a]"
        else span
        for span in TRACE
    ]
    live, store = new_store(), new_store()
    replay(TRACE, live)

    replay(moved, store)

    assert order(store) == order(live)


def test_a_run_comes_back_out_of_its_hosts_trace(recorded: Recorded, tmp_path: Path) -> None:
    """The spans of a real run are found among the host's, and a damaged one is named."""
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    tracer = recorded.provider.get_tracer("host")
    executor = Executor(
        {"Loader": {"cars": {"filepath": str(tmp_path / "t.csv")}}},
        tracer_provider=recorded.provider,
    )
    with tracer.start_as_current_span("request", attributes={"petsard.run.id": "mine"}):
        executor.run()
        with tracer.start_as_current_span("query"):
            pass
    spans = told(recorded)
    store = new_store()

    replay(spans, store)

    assert {span.name for span in spans} >= {"request", "query", "petsard run", "Loader[cars]"}
    assert store.snapshots() == executor.status.get_snapshots()
    assert store.timings() == executor.status.get_timing_records()
    assert store.run is not None
    assert store.run.run_id == executor.status.run_id
    at = next(number for number, span in enumerate(spans) if span.name == "Loader[cars]")
    spans[at] = spans[at].having(petsard__operator__type=...)
    assert f"span {spans[at].context.span_id:016x}" in refusal(spans)
