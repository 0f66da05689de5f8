"""Wide tables, odd names, odd results, many experiments: all arrive, and nothing grows.

What arrives is read from the bytes that an OTLP exporter would send.
"""

from __future__ import annotations

import datetime as dt
import decimal
import gc
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext
from pandas.api.extensions import ExtensionArray, ExtensionDtype

from petsard_otel import Attribute, Executor, Schema, Status
from petsard_otel.schema import NO_DIFF, OpaqueSchema, diff
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.replay import replay

from .conftest import Pipeline, Recorded, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMITS = (1000, 5000, 10_000)

ODD_NAMES = [
    "",
    " ",
    "\0",
    "a\0b",
    "a\nb\r\tc",
    "naïve",
    "nai\u0308ve",
    "😀👩‍👩‍👧",
    "שלום",
    "\u202eabc",
    "\ufeff",
    "\uffff",
    "\u2028",
    "None",
    "{'a': 1}",
    'a"b\\c',
    "a#2",
    "Origin_*",
    "petsard.run.id",
    "x" * 10_000,
    "é" * 5_000,
]


@dataclass(frozen=True)
class Sent:
    """A span as it was read from the bytes that were sent."""

    name: str
    context: Any
    parent: Any
    attributes: dict[str, Any]
    start_time: int
    end_time: int
    instrumentation_scope: Any


def value_of(found: Any) -> Any:
    """Read one OTLP value."""
    kind = found.WhichOneof("value")
    assert kind is not None, "a value was lost on the way"
    if kind == "array_value":
        return tuple(value_of(entry) for entry in found.array_value.values)  # noqa: PD011  OTLP's
    return getattr(found, kind)


def sent(recorded: Recorded) -> Iterator[Sent]:
    """Send all that was recorded, read it back, and see that it keeps to the size budget."""
    data = encode_spans(recorded.exported).SerializeToString()
    for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert span.ByteSize() <= 32 * 1024
                assert len(span.attributes) < 40
                assert all(pair.value.ByteSize() <= 2048 + 400 for pair in span.attributes)
                attributes = {pair.key: value_of(pair.value) for pair in span.attributes}
                assert max(map(size, attributes.values())) <= 2048
                ids = [
                    int.from_bytes(i, "big")
                    for i in (span.trace_id, span.span_id, span.parent_span_id)
                ]
                yield Sent(
                    span.name,
                    SpanContext(ids[0], ids[1], is_remote=True),
                    SpanContext(ids[0], ids[2], is_remote=True) if ids[2] else None,
                    attributes,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    InstrumentationScope(scope.scope.name),
                )


def size(value: Any) -> int:
    """Count the bytes of an attribute."""
    if isinstance(value, tuple):
        return sum(map(size, value))
    return len(value.encode()) if isinstance(value, str) else 8


def arrived(status: Status, recorded: Recorded) -> list[Sent]:
    """Give what was sent, having seen that it says all that the Status itself says."""
    spans = list(sent(recorded))
    assert len(spans) == len(recorded.exported)
    store = StatusStore(*LIMITS)
    replay(spans, store, status.run_id)
    summary = status.get_status_summary()

    assert store.snapshots() == status.get_snapshots()
    assert store.timings() == status.get_timing_records()
    assert store.changes() == status.get_change_history()
    assert store.evicted() == summary["evicted"]
    assert store.failed_modules == summary["failed_modules"]
    assert store.trace_id == summary["trace_id"]
    assert store.duration_seconds == summary["duration_seconds"]
    assert store.last_change == summary["last_change"]
    assert len(status.get_timing_report_data(steps=True)) == len(store.timings())
    return spans


def run(config: dict[str, Any], recorded: Recorded) -> tuple[Executor, list[Sent]]:
    """Run a configuration as a user does, and see that all of it arrives."""
    executor = Executor(config, tracer_provider=recorded.provider)
    executor.run()
    return executor, arrived(executor.status, recorded)


def structure_of(spans: list[Sent]) -> Schema:
    """Read the first structure in a trace, from one attribute or from parts."""
    for span in spans:
        if "petsard.schema.output.json" in span.attributes:
            return Schema.from_json("t", span.attributes["petsard.schema.output.json"])
    parts = [span.attributes for span in spans if span.name == "schema"]
    parts.sort(key=lambda part: int(part["petsard.schema.part"]))
    return Schema.from_json("t", "".join(part["petsard.schema.json"] for part in parts))


# Columns.


def test_ten_thousand_columns_arrive(recorded: Recorded, tmp_path: Path) -> None:
    """A very wide table passes through a run, and its whole structure is in the trace, once."""
    names = [f"Spalte größer {number}" for number in range(10_000)]
    pd.DataFrame(np.zeros((3, 10_000)), columns=names).to_parquet(tmp_path / "t.parquet")

    executor, spans = run(
        {
            "Loader": {"a": {"filepath": str(tmp_path / "t.parquet")}},
            "Splitter": {"s": {"train_split_ratio": 0.5}},
        },
        recorded,
    )

    assert list(structure_of(spans).attributes) == names
    snapshot = executor.status.get_snapshots("Splitter")[0]
    assert (snapshot.rows, snapshot.columns) == (2, 10_000)
    described = [span.attributes["petsard.schema.hash"] for span in spans if span.name == "schema"]
    assert len(set(described)) == 1
    assert len(described) > 100


def test_odd_column_names_of_a_file_arrive(recorded: Recorded, tmp_path: Path) -> None:
    """Whatever a file calls its columns can be read in the trace, letter by letter."""
    table = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in ODD_NAMES})
    table.to_parquet(tmp_path / "t.parquet")

    executor, spans = run(
        {
            "Loader": {"a": {"filepath": str(tmp_path / "t.parquet")}},
            "Preprocessor": {"p": {"method": "default"}},
            "Synthesizer": {"s": {"method": "default", "sample_num_rows": 5}},
        },
        recorded,
    )

    assert list(structure_of(spans).attributes) == ODD_NAMES
    assert [s.columns for s in executor.status.get_snapshots()] == [len(ODD_NAMES)] * 3
    assert next(iter(executor.get_result().values())).columns.to_list() == ODD_NAMES


def test_a_long_name_does_not_hide_the_others(recorded: Recorded, cars: Schema) -> None:
    """Of a change a person reads every name that fits, the long ones cut."""
    names = ["x" * 10_000, "\0", "é" * 5_000, "short", "\ud800"]
    status = Status(Pipeline("Loader", "Splitter"), tracer_provider=recorded.provider)
    status.put("Loader", "a", TableAdapter(cars))
    after = Schema.of("t", [*cars.attributes.values(), *(Attribute(n, "int64") for n in names)])
    status.put("Splitter", "a", TableAdapter(after))

    added = arrived(status, recorded)[-1].attributes["petsard.schema.added"]

    assert [name[:5] for name in added] == ["xxxxx", "\0", "ééééé", "short", "?"]
    assert status.get_change_history()[-1].diff.added == tuple(names)


class Hostile:
    """An object of which every question fails."""

    def fail(self, *args: Any) -> Any:
        raise RuntimeError("asked")

    __repr__ = __str__ = __len__ = __bool__ = __iter__ = __getitem__ = __getattr__ = fail
    __format__ = fail
    shape = columns = property(fail)


class Masked(Hostile):
    """One that does not even tell its class."""

    __class__ = property(Hostile.fail)


class Word(str):
    """Text of a type of its own, that speaks otherwise than it reads."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("asked")

    __repr__ = __str__


def cells_of(*values: Any) -> Any:
    """Put objects into an array without asking them anything."""
    found = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        found[number] = value
    return found


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a", "a", "a#2", "a"], ["a", "a#2", "a#2#2", "a#3"]),
        ([0, -1, 10**30], ["0", "-1", "1" + "0" * 30]),
        ([10**5000, True], ["<int>", "True"]),
        ([1.5, float("nan"), float("inf"), -0.0], ["1.5", "nan", "inf", "-0.0"]),
        ([np.float64(1.5), np.float32(0.5), np.int8(3)], ["1.5", "0.5", "3"]),
        ([np.str_("a"), np.longdouble(1), np.datetime64("2020-01-01")],
         ["a", "<longdouble>", "2020-01-01"]),
        ([None, pd.NA, pd.NaT], ["None", "<NA>", "NaT"]),
        ([("a", 1), ("a", None), ((), ("b",))], ["(a, 1)", "(a, None)", "((), (b))"]),
        ([dt.date(2020, 1, 1), pd.Timestamp("2020-01-01", tz="UTC"), dt.timedelta(1)],
         ["2020-01-01", "2020-01-01T00:00:00+00:00", "1 day, 0:00:00"]),
        ([pd.Period("2020-01"), pd.Interval(0, 1), decimal.Decimal("1.50")],
         ["2020-01", "(0, 1]", "1.50"]),
        ([b"Jane Roe", frozenset({"Jane Roe"}), Hostile(), Hostile()],
         ["<bytes>", "<frozenset>", "<Hostile>", "<Hostile>#2"]),
        ([Word("a"), ..., Masked()], ["a", "<ellipsis>", "<Masked>"]),
        (["\ud800", "\udc00", "😀", "\ud83d\ude00"], ["\ud800", "\udc00", "😀", "😀#2"]),
    ],
)  # fmt: skip
def test_labels_that_are_no_text_have_names(
    labels: list[Any], names: list[str], recorded: Recorded
) -> None:
    """Each column has a name of its own, and no object is asked for its text unless we know it."""
    columns = pd.Index(cells_of(*labels), dtype=object, tupleize_cols=False)
    table = pd.DataFrame(np.zeros((2, len(labels))), columns=columns)
    schema = Schema.from_dataframe(table, "t")
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)

    status.put("Loader", "a", TableAdapter(schema, table))

    assert list(schema.attributes) == names
    assert list(structure_of(arrived(status, recorded)).attributes) == names


@pytest.mark.parametrize("made", [lambda: "a", Hostile])
def test_ten_thousand_columns_of_one_name_are_told_apart_quickly(made: Callable[[], Any]) -> None:
    """The time does not grow with the square of the repetitions."""
    columns = pd.Index(cells_of(made()), dtype=object).repeat(10_000)
    table = pd.DataFrame(np.zeros((1, 10_000)), columns=columns)

    began = time.perf_counter()
    schema = Schema.from_dataframe(table, "t")

    assert len(schema.attributes) == 10_000
    assert list(schema.attributes)[-1].endswith("#10000")
    # With the square it is eight seconds, without it a quarter of one.
    assert time.perf_counter() - began < 4


# Types.


def nested(depth: int) -> pa.DataType:
    """Make a list of lists of lists."""
    return pa.int64() if depth == 0 else pa.list_(nested(depth - 1))


def test_deep_and_wide_types_of_a_file_arrive(recorded: Recorded, tmp_path: Path) -> None:
    """A type as long as a page is in the trace in parts, and no part of a cell with it."""
    wide = pa.struct([(f"field {number}", pa.int64()) for number in range(1000)])
    table = pa.table(
        {
            "struct": pa.array([None, {"field 1": 1}], type=wide),
            "lists": pa.array([None, None], type=nested(20)),
            "map": pa.array([[("Jane Roe", 1)], None], type=pa.map_(pa.string(), pa.int64())),
            "category": pa.array(["Jane Roe", None]).dictionary_encode(),
            "decimal": pa.array([decimal.Decimal("1.50"), None], type=pa.decimal128(38, 2)),
            "bytes": pa.array([b"Jane Roe", None]),
            "nothing": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")

    _, spans = run({"Loader": {"a": {"filepath": str(tmp_path / "t.parquet")}}}, recorded)

    found = structure_of(spans)
    assert list(found.attributes) == table.column_names
    assert all(attribute.nullable for attribute in found.attributes.values())
    assert "Jane Roe" not in str(spans)


class Money(ExtensionDtype):
    """A dtype of another library, which says of itself what it likes."""

    name = "Jane Roe"
    type = object
    kind: Any = "iu"

    @classmethod
    def construct_array_type(cls) -> Any:
        return Purse


class Purse(ExtensionArray):
    """Its array."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    @property
    def dtype(self) -> Money:
        return Money()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, item: Any) -> Any:
        return Purse(self.values[item]) if isinstance(item, slice) else self.values[item]

    def isna(self) -> Any:
        return np.zeros(len(self.values), dtype=bool)

    def copy(self) -> Purse:
        return self


class Zone(dt.tzinfo):
    """A time zone that somebody wrote himself."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=1)

    dst = utcoffset

    def tzname(self, when: dt.datetime | None) -> str:
        return "mine"


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    """Make an array of pyarrow's."""
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


@pytest.mark.parametrize(
    ("column", "type_name", "kind"),
    [
        (pd.Categorical([f"Jane Roe {number}" for number in range(100_000)]), "string", "category"),
        (pd.Categorical([None, None]), "float64", "category"),
        (pd.cut(pd.Series(range(10)), 3), "interval[float64, right]", "category"),
        (pd.period_range("2020", periods=2, freq="M"), "period[M]", "plain"),
        (pd.interval_range(0, 2), "interval[int64, right]", "plain"),
        (pd.arrays.SparseArray(["Jane Roe", "x"], fill_value="Jane Roe"), "object", "plain"),
        (pd.arrays.SparseArray([0.0, np.nan]), "float64", "plain"),
        (Purse([1, 2]), "Money", "plain"),
        (pd.to_datetime(["2020-01-01"]).tz_localize(Zone()), "datetime[Zone]", "plain"),
        (pd.Series([dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))]),
         "datetime[UTC+01:00]", "plain"),
        (cells_of(Hostile(), Masked()), "object", "plain"),
        (arrow([None], pa.list_(pa.int8())),
         "list[pyarrow]", "plain"),
        (pd.Series([], dtype=object), "object", "plain"),
        (np.zeros(2, dtype="complex128"), "Complex128DType", "plain"),
    ],
)  # fmt: skip
def test_every_dtype_has_a_name_that_tells_no_cell(
    column: Any, type_name: str, kind: str, recorded: Recorded
) -> None:
    """Types of pandas and others', at any size, are named; none of their values are."""
    table = pd.DataFrame({"c": column})
    schema = Schema.from_dataframe(table, "t")
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)

    status.put("Loader", "a", TableAdapter(schema, table))

    found = structure_of(arrived(status, recorded)).attributes["c"]
    assert (found.type, found.category) == (type_name, kind == "category")
    assert "Jane Roe" not in schema.json


columns = st.sampled_from(
    [
        lambda: [1, 2], lambda: [1.5, None], lambda: ["Jane Roe", None], lambda: [True, False],
        lambda: [None, None], lambda: [b"Jane Roe", 1], lambda: [["Jane Roe"], {"Jane": "Roe"}],
        lambda: [10**30, 1], lambda: [1, "Jane Roe"], lambda: [pd.NA, 1],
        lambda: [decimal.Decimal("1.5"), None], lambda: [dt.date(2020, 1, 1), pd.NaT],
        lambda: pd.Categorical(["Jane Roe", None]), lambda: pd.Categorical([1, 2]),
        lambda: pd.arrays.SparseArray(["Jane Roe", "x"], fill_value="Jane Roe"),
        lambda: pd.period_range("2020", periods=2, freq="D"), lambda: pd.interval_range(0, 2),
        lambda: pd.Series([pd.Timestamp("2020-01-01", tz="UTC"), pd.NaT]),
        lambda: pd.to_timedelta([1, None]),
        lambda: pd.array([1, None], dtype="Int8"), lambda: pd.array(["Jane Roe"] * 2, "string"),
        lambda: arrow(["Jane Roe", None], pa.large_string()),
        lambda: arrow([None] * 2, nested(3)), lambda: Purse(["Jane Roe", 1]),
        lambda: np.zeros(2, dtype="float16"), lambda: np.zeros(2, dtype="complex64"),
    ]
)  # fmt: skip
labels = (
    st.text(st.characters(), max_size=3)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=2)
    | st.dates()
    | st.tuples(st.text(max_size=2), st.integers(0, 2))
    | st.sampled_from(
        ["a", "a#2", "\ud83d\ude00", "😀", np.int8(1), np.float64(1.5), pd.NA, pd.NaT]
    )
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Make a table of any columns under any labels."""
    found = draw(st.lists(st.tuples(labels, columns), max_size=6))
    series = [pd.Series(made()) for _, made in found]
    table = pd.concat(series, axis=1) if series else pd.DataFrame()
    table.columns = pd.Index([label for label, _ in found], dtype=object, tupleize_cols=False)
    return table


@given(tables(), tables())
def test_any_table_has_a_schema(one: pd.DataFrame, two: pd.DataFrame) -> None:
    """Whatever is in a table, its structure can be sent, read back, told apart and compared."""
    before, after = (Schema.from_dataframe(table, "t") for table in (one, two))

    for schema, table in ((before, one), (after, two)):
        assert len(schema.attributes) == table.shape[1]
        assert [attribute.name for attribute in schema.attributes.values()] == [*schema.attributes]
        assert "Jane" not in schema.json
        back = Schema.from_json("t", schema.json.encode().decode())
        assert (back, [*back.attributes.values()]) == (schema, [*schema.attributes.values()])
        assert diff(schema, back) is NO_DIFF
    is_same = [*before.attributes.values()] == [*after.attributes.values()]
    assert is_same == (before.hash == after.hash) == (not diff(before, after))
    forward, backward = diff(before, after), diff(after, before).inverse()
    assert set(forward.added) == set(after.attributes) - set(before.attributes)
    assert set(forward.removed) == set(before.attributes) - set(after.attributes)
    assert {*forward.retyped} == {*backward.retyped}
    assert {*forward.nullability} == {*backward.nullability}
    assert forward.reordered == backward.reordered
    assert forward.inverse().inverse() == forward


# Results.


@pytest.mark.parametrize(
    "made",
    [
        lambda: "text", lambda: b"bytes", lambda: 3, lambda: {"a": 1}, dict, lambda: [1],
        lambda: pd.Series([1]), lambda: np.zeros((2, 2)), lambda: iter([1]),
        lambda: pd.DataFrame, Hostile, Masked, lambda: {"train": Hostile()},
        lambda: {"train": None},
    ],
)  # fmt: skip
def test_a_result_that_is_no_table_has_no_size(
    made: Callable[[], Any], recorded: Recorded, cars: Schema
) -> None:
    """Whatever a module makes, its execution is recorded and its result handed on untouched."""
    result = made()
    status = Status(Pipeline("Loader", "Splitter"), tracer_provider=recorded.provider)

    for module in ("Loader", "Splitter"):
        with status.executing(module, "a", "TableAdapter"):
            status.put(module, "a", TableAdapter(cars, result))

    arrived(status, recorded)
    assert status.get_result("Loader") is result
    assert [(s.rows, s.columns, s.status, s.metadata_after) for s in status.get_snapshots()] == [
        (None, None, "success", cars)
    ] * 2


@pytest.mark.parametrize(
    "made",
    [lambda: "text", dict, lambda: {"a": 1}, lambda: pd.DataFrame({"a": ["Jane Roe"]}), Hostile],
)
def test_a_schema_that_cannot_be_read_is_opaque(
    made: Callable[[], Any], recorded: Recorded
) -> None:
    """A foreign schema is known by an identity alone, here and in the trace."""
    schema = made()
    status = Status(Pipeline("Loader", "Splitter"), tracer_provider=recorded.provider)

    for module in ("Loader", "Splitter"):
        status.put(module, "a", TableAdapter(schema))

    assert "Jane Roe" not in str(arrived(status, recorded))
    assert [type(s.metadata_after) for s in status.get_snapshots()] == [OpaqueSchema] * 2
    assert status.get_metadata("Loader") is schema


# Names.


def test_odd_experiment_names_of_a_configuration_arrive(recorded: Recorded, tmp_path: Path) -> None:
    """Whatever an experiment is called, its name is in the trace, cut where it is too long."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    names = [name for name in ODD_NAMES if name.strip()]

    executor, spans = run(
        {"Loader": {name: {"filepath": str(tmp_path / "t.csv")} for name in names}}, recorded
    )

    found = [s.experiment_name for s in executor.status.get_snapshots()]
    assert found[:-2] == names[:-2]
    assert [name[:100] for name in found[-2:]] == ["x" * 100, "é" * 100]
    assert len(set(found)) == len(names)
    told = [s.attributes["petsard.experiment.name"] for s in spans if s.name.startswith("Loader[")]
    assert told == found
    assert len(executor.get_result()) == len(names)


@pytest.mark.parametrize(
    ("name", "recorded_name"),
    [
        *((name, name) for name in ODD_NAMES[:-2]),
        ("\ud800", "?"),
        (3, "3"),
        (None, "None"),
        (float("nan"), "nan"),
        (b"a", "<bytes>"),
        (("a", 1), "(a, 1)"),
        (np.str_("a"), "a"),
    ],
)
def test_odd_names_of_modules_experiments_and_steps_arrive(
    name: Any, recorded_name: str, recorded: Recorded, cars: Schema
) -> None:
    """Names that a caller makes up are recorded as they are, or as a column would be named."""
    status = Status(Pipeline("Loader", name), tracer_provider=recorded.provider)
    for module, experiment in (("Loader", name), (name, "a"), (name, name)):
        status.put(module, experiment, TableAdapter(cars))
    status.start_timing(name, name, name, {"n": 1, "\0": 2, "\ud800": 3, "k" * 10_000: 4})
    status.end_timing(name, name, name, {f"key {number}": number for number in range(16)})

    arrived(status, recorded)
    assert [(s.module_name, s.experiment_name) for s in status.get_snapshots()] == [
        ("Loader", recorded_name), (recorded_name, "a"), (recorded_name, recorded_name),
    ]  # fmt: skip
    timing = status.get_timing_records()[-1]
    assert (timing.module_name, timing.step_name) == (recorded_name, recorded_name)
    assert len(timing.context) == 20


# Numbers.


@pytest.mark.once
def test_ten_thousand_experiments_of_a_run_arrive(recorded: Recorded, tmp_path: Path) -> None:
    """A run of ten thousand executions is whole in the trace, and within its limits at home."""
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    config = {
        "Loader": {"a": {"filepath": str(tmp_path / "t.csv")}},
        "Constrainer": {f"c{number}": {} for number in range(10_000)},
    }

    executor, spans = run(config, recorded)

    summary = executor.status.get_status_summary()
    assert summary["total_snapshots"] == 10_001
    assert len(executor.status.get_snapshots()) == 1000
    assert len(executor.status.get_timing_records()) == 10_000
    assert summary["evicted"] == {"snapshots": 9001, "changes": 0, "timings": 10_002}
    assert executor.status.get_snapshots()[-1].experiment_name == "c9999"
    assert len({s.attributes.get("petsard.snapshot.id") for s in spans} - {None}) == 10_001
    assert len(executor.get_result()) == 10_000


def other_schema(number: int) -> Schema:
    """Make a schema that no other number makes."""
    return Schema.of("t", [Attribute(f"column {number} {at}", "int64") for at in range(5)])


class Filled:
    """A Status that takes one execution after another."""

    def __init__(self, distinct: int) -> None:
        self.status = Status(Pipeline("Loader", "Splitter"), 500, 500, 500)
        self._result = pd.DataFrame({"a": [1]})
        self._distinct = distinct
        self._same = other_schema(0)
        self._count = 0

    def put(self, count: int) -> float:
        """Record so many executions; return how many seconds it took."""
        began = time.process_time()
        for number in range(self._count, self._count + count):
            schema = self._same if self._distinct == 1 else other_schema(number)
            self.status.put("Splitter", f"e{number}", TableAdapter(schema, self._result))
        self._count += count
        return time.process_time() - began


# Of each distinct schema its hash is remembered, up to ten thousand of them.
@pytest.mark.parametrize(("distinct", "bytes_each"), [(1, 20), (10_000, 160)])
def test_memory_stays_where_it_is(distinct: int, bytes_each: int) -> None:
    """Once the limits are reached, executions leave nothing behind."""
    filled = Filled(distinct)
    filled.put(1_000)
    gc.collect()
    tracemalloc.start()
    try:
        filled.put(1_000)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        filled.put(8_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # A snapshot that stayed would be ten times as large.
    assert after - before < 8_000 * bytes_each
    status = filled.status
    assert (len(status.get_snapshots()), len(status.get_timing_records())) == (500, 500)
    assert len(status.get_change_history()) == (0 if distinct == 1 else 500)
    assert status.get_snapshots()[-1].experiment_name == "e9999"


@pytest.mark.parametrize("distinct", [1, 10_000])
def test_time_stays_where_it_is(distinct: int) -> None:
    """The ten thousandth execution costs what the thousandth did, also where no schema repeats."""
    young, old = Filled(distinct), Filled(distinct)
    young.put(1_000)
    old.put(9_000)

    # In turns, and the best of many: other work on the machine slows both.
    pairs = [(young.put(50), old.put(50)) for _ in range(20)]

    assert min(late for _, late in pairs) < 1.5 * min(early for early, _ in pairs)


@pytest.mark.parametrize("limits", [(0, 0, 0), (1, 1, 1), (3, 2, 1)])
def test_any_limits_are_kept_and_rebuilt(limits: tuple[int, int, int], recorded: Recorded) -> None:
    """However little is kept, it is the newest, and a rebuilt Status keeps the same."""
    status = Status(Pipeline("Loader"), *limits, tracer_provider=recorded.provider)
    for number in range(20):
        status.put("Loader", f"e{number}", TableAdapter(other_schema(number % 7)))
    store = StatusStore(*limits)

    replay(list(sent(recorded)), store)

    assert store.snapshots() == status.get_snapshots()
    assert store.timings() == status.get_timing_records()
    assert store.changes() == status.get_change_history()
    assert store.totals() == {"snapshots": 20, "changes": 19, "timings": 20, "diffs": limits[1]}
    assert (len(store.snapshots()), len(store.changes()), len(store.timings())) == limits
