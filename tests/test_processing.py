"""The reversible steps: what they make, that they come back, and that they are predicted."""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from petsard_otel.exceptions import DataError, UnexecutedError
from petsard_otel.modules.preprocessor import PreprocessorAdapter, read_plan
from petsard_otel.schema import Attribute, Schema, resolve_prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.modules.processing import Processor

LEGITIMATE_REFUSALS = (
    "leaves none of",
    "cannot do with missing values",
    "at least one numeric column",
    "has no value in any",
)
"""What a generated table may be refused for; any other refusal is a bug."""

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False, width=32)
TIMES = st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1)).map(
    lambda time: time.replace(microsecond=0, fold=0)
)
LABELS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["A", "A_", "A_1", "A_*", "A_1_", "A_2_1", "A_B", "Origin", "Origin_x"]),
    st.integers(0, 3),
    st.just(("x", 1)),
    st.none(),
    st.dates(datetime.date(2020, 1, 1), datetime.date(2020, 1, 3)),
)

Make = "Callable[[list[Any]], pd.Series[Any]]"


def as_dtype(dtype: Any) -> Callable[[list[Any]], pd.Series[Any]]:
    """Return what makes a column of one type."""
    return lambda values: pd.Series(values, dtype=dtype)


def as_berlin_time(values: list[Any]) -> pd.Series[Any]:
    """Make a column of times with a zone that has summer time."""
    times = pd.Series(values, dtype="datetime64[ns]")
    return times.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")


def as_text(values: list[Any]) -> pd.Series[Any]:
    """Make a column of text, of the type that this pandas gives it by itself."""
    return pd.Series(["", *values]).iloc[1:]


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Let values be missing."""
    return st.one_of(st.none(), values)


KINDS: Mapping[str, tuple[st.SearchStrategy[Any], Callable[[list[Any]], pd.Series[Any]]]] = {
    "float": (maybe(NUMBERS), as_dtype("float64")),
    "float32": (maybe(NUMBERS), as_dtype("float32")),
    "Float64": (maybe(NUMBERS), as_dtype("Float64")),
    "int": (st.integers(-(10**9), 10**9), as_dtype("int64")),
    "int8": (st.integers(-128, 127), as_dtype("int8")),
    "Int64": (maybe(st.integers(-(10**9), 10**9)), as_dtype("Int64")),
    "uint64": (st.integers(0, 2**40), as_dtype("uint64")),
    "objects": (maybe(st.integers(0, 9)), as_dtype("object")),
    "constant": (st.just(7), as_dtype("int64")),
    "arrow": (maybe(st.integers(-1000, 1000)), as_dtype("int64[pyarrow]")),
    "bool": (st.booleans(), as_dtype("bool")),
    "boolean": (maybe(st.booleans()), as_dtype("boolean")),
    "truths": (maybe(st.booleans()), as_dtype("object")),
    "datetime": (maybe(TIMES), as_dtype("datetime64[ns]")),
    "seconds": (maybe(TIMES), as_dtype("datetime64[s]")),
    "zoned": (maybe(TIMES), as_berlin_time),
    "date": (maybe(TIMES.map(datetime.datetime.date)), as_dtype("object")),
    "timedelta": (
        maybe(st.integers(0, 10**9).map(lambda seconds: datetime.timedelta(seconds=seconds))),
        as_dtype("timedelta64[ns]"),
    ),
    "text": (maybe(st.text("abXY", max_size=2)), as_text),
    "string": (maybe(st.text("abXY", max_size=2)), as_dtype("string")),
    "category": (
        maybe(st.sampled_from(["x", "y", "z"])),
        as_dtype(pd.CategoricalDtype(["z", "y", "x", "w"])),
    ),
    "numbers": (maybe(st.sampled_from([3, 1])), as_dtype(pd.CategoricalDtype([1, 2, 3]))),
    "decimal": (maybe(st.sampled_from([Decimal("1.5"), Decimal(2)])), as_dtype("object")),
    "mixed": (maybe(st.sampled_from([1, "b", datetime.date(2020, 1, 1)])), as_dtype("object")),
    "empty": (st.none(), as_dtype("float64")),
    "nothing": (st.none(), as_dtype("object")),
}
"""Kinds of columns: their values, and how a column is made of them."""


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Make a table of one to five columns; labels of rows and columns may repeat."""
    rows = draw(st.integers(1, 8))
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    columns = []
    for kind in kinds:
        values, make = KINDS[kind]
        column = make(draw(st.lists(values, min_size=rows, max_size=rows)))
        columns.append(column.set_axis(pd.RangeIndex(rows)))
    data = pd.concat(columns, axis=1)
    labels = draw(st.lists(LABELS, min_size=len(kinds), max_size=len(kinds)))
    data.columns = pd.Index(labels, tupleize_cols=False, dtype=object)
    data.index = pd.Index(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    return data


def is_on_a_line(attribute: Attribute) -> bool:
    """Tell whether a column can be scaled."""
    begins = ("int", "uint", "float", "boolean", "date", "timedelta")
    return attribute.type.startswith(begins) and not attribute.category


def is_number(attribute: Attribute) -> bool:
    """Tell whether a column can be filled with 0."""
    return attribute.type.startswith(("int", "uint", "float")) and not attribute.category


@st.composite
def configurations(draw: st.DrawFn, schema: Schema, *, is_reversible: bool) -> dict[str, Any]:
    """Choose steps, and methods that suit the columns; none at all for some of them."""
    steps = ["missing", "encoder", "scaler"]
    if not is_reversible:
        steps.append("outlier")
        if draw(st.booleans()):
            steps.remove("encoder")
    sequence = list(draw(st.permutations(steps)))[: draw(st.integers(1, len(steps)))]
    if not is_reversible and "encoder" not in sequence:
        sequence.append("discretizing")
    config: dict[str, dict[str, str]] = {step: {} for step in sequence}
    current = dict(schema.attributes)
    for step in sequence:
        for name, attribute in list(current.items()):
            method = draw(st.sampled_from(suitable_methods(step, attribute, is_reversible)))
            config[step][name] = method
            if method == "encoder_onehot":
                del current[name]
            elif step in {"encoder", "scaler"} and method != "none":
                current[name] = Attribute(name, "float64")
    return {"sequence": sequence, "config": config}


def suitable_methods(step: str, attribute: Attribute, is_reversible: bool) -> list[str]:
    """Return the methods that a column of this type may have."""
    line = is_on_a_line(attribute)
    if step == "missing":
        return [
            "none",
            "missing_mode",
            *(["missing_mean", "missing_median"] if line else []),
            *(["missing_simple"] if is_number(attribute) else []),
            *([] if is_reversible else ["missing_drop"]),
        ]
    if step == "encoder":
        return ["none", "encoder_uniform", "encoder_label", "encoder_onehot"]
    if step == "discretizing":
        return ["encoder_label", *(["none", "discretizing_kbins"] if line else [])]
    if not line:
        return ["none"]
    if step == "scaler":
        return ["none", "scaler_standard", "scaler_minmax", "scaler_zerocenter"]
    return ["none", "outlier_iqr", "outlier_zscore"]


def fitted(data: pd.DataFrame, parameters: Mapping[str, Any]) -> Processor:
    """Fit a configuration to a table."""
    processor = read_plan("demo", parameters).processor(Schema.from_dataframe(data, "t"))
    processor.fit(data)
    return processor


def refusal(error: DataError) -> None:
    """Drop an example that rightly was refused."""
    if any(text in str(error) for text in LEGITIMATE_REFUSALS):
        reject()
    raise error


@given(st.data())
def test_inverse_transform_gives_back_the_table(draws: st.DataObject) -> None:
    """Values, types, labels and the number of missing values come back, whatever the steps."""
    data = draws.draw(tables())
    parameters = draws.draw(
        configurations(Schema.from_dataframe(data, "t"), is_reversible=True)
    )
    before = data.copy(deep=True)
    try:
        processor = fitted(data, parameters)
    except DataError as error:
        refusal(error)
    middle = processor.transform(data)
    untouched = middle.copy(deep=True)
    result = processor.inverse_transform(middle)

    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_frame_equal(middle, untouched)
    pd.testing.assert_index_equal(result.columns, data.columns)
    pd.testing.assert_index_equal(result.index, data.index)
    for position in range(data.shape[1]):
        old, new = data.iloc[:, position], result.iloc[:, position]
        assert new.dtype == old.dtype
        assert new.isna().sum() == old.isna().sum()
        both = old.notna().to_numpy() & new.notna().to_numpy()
        old, new = old[both], new[both]
        if old.dtype.kind == "f":
            scale = float(old.abs().max()) if len(old) else 0.0
            np.testing.assert_allclose(new, old, rtol=1e-6, atol=1e-6 * scale)
        else:
            assert new.tolist() == old.tolist()


@given(st.data())
def test_the_output_schema_is_as_predicted(draws: st.DataObject) -> None:
    """The prediction from schema and parameters alone has the hash of the schema that comes out.

    Dropped rows can take all missing values of another column with them, and all that tells what
    a column of objects holds; only there may the two differ.
    """
    data = draws.draw(tables())
    schema = Schema.from_dataframe(data, "t")
    parameters = draws.draw(configurations(schema, is_reversible=False))
    adapter = PreprocessorAdapter("demo", parameters)
    predicted = adapter.infer_schema(schema)
    try:
        adapter.run({"data": data, "metadata": schema})
    except DataError as error:
        refusal(error)
    actual = adapter.get_metadata()
    resolved = resolve_prediction(predicted, actual)
    result = adapter.get_result()
    assert actual.id == "t"
    if len(result) == len(data):
        assert resolved.json == actual.json
        assert resolved.hash == actual.hash
        return
    assert list(resolved.attributes) == list(actual.attributes)
    for position, (name, attribute) in enumerate(actual.attributes.items()):
        expected = resolved.attributes[name]
        assert expected.nullable or not attribute.nullable
        if result.dtypes.iloc[position].kind != "O":
            assert replace(expected, nullable=attribute.nullable) == attribute
