"""The reversible steps: what they make, that they come back, and that they are predicted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from petsard_otel.exceptions import DataError, UnexecutedError
from petsard_otel.modules.preprocessor import PreprocessorAdapter, read_plan
from petsard_otel.schema import Attribute, Schema, resolve_prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.modules.processing.processor import Processor

LEGITIMATE_REFUSALS = (
    "leaves none of",
    "cannot do with missing values",
    "at least one numeric column",
    "has no value in any",
)
"""What a generated table may be refused for; any other refusal is a bug."""

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False, width=32)
TIMES = st.datetimes(
    dt.datetime.fromisoformat("1800-01-01"), dt.datetime.fromisoformat("2200-01-01")
).map(lambda time: time.replace(microsecond=0, fold=0))
LABELS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["A", "A_", "A_1", "A_*", "A_1_", "A_2_1", "A_B", "Origin", "Origin_x"]),
    st.integers(0, 3),
    st.just(("x", 1)),
    st.none(),
    st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 3)),
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
    "date": (maybe(TIMES.map(dt.datetime.date)), as_dtype("object")),
    "timedelta": (
        maybe(st.integers(0, 10**9).map(lambda seconds: dt.timedelta(seconds=seconds))),
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
    "mixed": (maybe(st.sampled_from([1, "b", dt.date(2020, 1, 1)])), as_dtype("object")),
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
            method = draw(
                st.sampled_from(suitable_methods(step, attribute, is_reversible=is_reversible))
            )
            config[step][name] = method
            if method == "encoder_onehot":
                del current[name]
            elif step in {"encoder", "scaler"} and method != "none":
                current[name] = Attribute(name, "float64")
    return {"sequence": sequence, "config": config}


def suitable_methods(step: str, attribute: Attribute, *, is_reversible: bool) -> list[str]:
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
    parameters = draws.draw(configurations(Schema.from_dataframe(data, "t"), is_reversible=True))
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
        fitted_to = old
        both = old.notna().to_numpy() & new.notna().to_numpy()
        old, new = old[both], new[both]
        if old.dtype.kind == "f":
            # What a scaler loses is relative to the largest value it was fitted to.
            scale = float(fitted_to.abs().max()) if fitted_to.notna().any() else 0.0
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


def one_step(step: str, data: pd.DataFrame, methods: Mapping[str, Any]) -> Processor:
    """Fit one step with the methods given, and with none for the other columns."""
    names = Schema.from_dataframe(data, "t").attributes
    config = {step: {**dict.fromkeys(names, "none"), **methods}}
    return fitted(data, {"sequence": [step], "config": config})


def there_and_back(step: str, data: pd.DataFrame, methods: Mapping[str, Any]) -> list[list[Any]]:
    """Return the values of the first column, changed and then as they were."""
    processor = one_step(step, data, methods)
    changed = processor.transform(data)
    back = processor.inverse_transform(changed)
    return [changed.iloc[:, 0].tolist(), back.iloc[:, 0].tolist()]


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        ("scaler_standard", [-1.0, -1.0, 1.0, 1.0]),
        ("scaler_zerocenter", [-2.0, -2.0, 2.0, 2.0]),
        ("scaler_minmax", [0.0, 0.0, 1.0, 1.0]),
        ("scaler_log", [0.0, 0.0, np.log(5), np.log(5)]),
        ("scaler_log1p", [np.log(2), np.log(2), np.log(6), np.log(6)]),
    ],
)
def test_scalers_scale_and_come_back(method: str, changed: list[float]) -> None:
    """Each scaler gives the figures of its formula, and the integers come back as integers."""
    data = pd.DataFrame({"a": [1, 1, 5, 5]})
    found, back = there_and_back("scaler", data, {"a": method})
    assert found == pytest.approx(changed)
    assert back == [1, 1, 5, 5]
    assert all(type(value) is int for value in back)


def test_scalers_scale_times() -> None:
    """Days are scaled like numbers, and come back as days from whatever a synthesizer gives."""
    data = pd.DataFrame({"day": pd.to_datetime(["1970-01-01", "1972-01-01", ""])})
    processor = one_step("scaler", data, {"day": "scaler_minmax"})
    changed = processor.transform(data)
    assert changed["day"].tolist()[:2] == pytest.approx([0.0, 1.0])
    assert np.isnan(changed["day"][2])
    back = processor.inverse_transform(pd.DataFrame({"day": [0.5001, 0.0]}))
    assert back["day"].tolist() == [pd.Timestamp("1971-01-01"), pd.Timestamp("1970-01-01")]
    assert back["day"].dtype == data["day"].dtype


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("scaler_log", "column 'a' has 2 values that are not above 0; take another scaler"),
        ("scaler_log1p", "column 'a' has 1 values that are not above -1; take another scaler"),
    ],
)
def test_logarithms_refuse_what_has_none(method: str, message: str) -> None:
    """The error names the column and how many values are too low, but no value."""
    with pytest.raises(DataError) as error:
        one_step("scaler", pd.DataFrame({"a": [-1.0, 0.0, 4.0]}), {"a": method})
    assert str(error.value) == f"{method}: {message}"


def test_infinite_values_are_refused() -> None:
    """An infinite value would make every scaled value missing."""
    data = pd.DataFrame({"a": [1.0, np.inf, -np.inf]})
    with pytest.raises(DataError, match="column 'a' has 2 infinite values"):
        one_step("scaler", data, {"a": "scaler_standard"})


def test_a_date_far_away_comes_back() -> None:
    """The last day that Python knows stands for "never" in many tables."""
    days = [dt.date(9999, 12, 31), dt.date(1, 1, 1), dt.date(2024, 2, 29)]
    data = pd.DataFrame({"day": pd.Series(days, dtype=object)})
    _, back = there_and_back("scaler", data, {"day": "scaler_standard"})
    assert back == days


def test_days_five_centuries_apart_come_back() -> None:
    """As days: more nanoseconds lie between the first and the last than 63 bits can count."""
    days = pd.date_range("1700-01-01", "2200-01-01", freq="1111D").astype("datetime64[ns]")
    data = pd.DataFrame({"day": days})
    processor = one_step("scaler", data, {"day": "scaler_standard"})
    back = processor.inverse_transform(processor.transform(data))
    assert back["day"].tolist() == days.tolist()
    between = processor.inverse_transform(pd.DataFrame({"day": [0.1234]}))["day"]
    assert between.tolist() == between.dt.normalize().tolist()


def test_a_column_whose_values_have_all_been_dropped_stays_missing() -> None:
    """Objects that an earlier step left no value of can still be scaled, to nothing."""
    data = pd.DataFrame({"a": [True, None], "b": [None, "x"]}, dtype=object)
    parameters = {
        "sequence": ["missing", "scaler"],
        "missing": {"a": "none"},
        "scaler": {"a": "scaler_standard"},
    }
    processor = fitted(data, parameters)
    assert processor.transform(data)["a"].isna().tolist() == [True]


def test_what_lies_beyond_a_type_becomes_its_limit() -> None:
    """A synthesizer may give values far outside; they end at the type's first or last value."""
    data = pd.DataFrame(
        {
            "i": pd.Series([0, 100], dtype="int8"),
            "u": pd.Series([0, 2**63], dtype="uint64"),
            "t": pd.to_datetime(["2000-01-01", "2001-01-01"]).astype("datetime64[ns]"),
        }
    )
    processor = one_step("scaler", data, dict.fromkeys("iut", "scaler_minmax"))
    back = processor.inverse_transform(
        pd.DataFrame([[9.0, 9.0, 9e9], [-9.0, -9.0, -9e9]], columns=["i", "u", "t"])
    )
    assert back["i"].tolist() == [127, -128]
    assert back["u"].tolist() == [2**64 - 2048, 0]
    assert [time.year for time in back["t"]] == [2262, 1677]
    assert back.dtypes.tolist() == data.dtypes.tolist()


def test_labels_are_numbered_in_order_with_missing_last() -> None:
    """Labels count from 0 in the order of the values; a missing value has the last number."""
    data = pd.DataFrame({"a": ["pear", "apple", None, "fig"]})
    found, back = there_and_back("encoder", data, {"a": "encoder_label"})
    assert found == [2, 0, 3, 1]
    assert back[:2] == ["pear", "apple"]
    assert pd.isna(back[2])


def test_labels_take_the_nearest_of_what_a_synthesizer_gives() -> None:
    """Any float becomes a label: rounded, kept within range, or missing."""
    data = pd.DataFrame({"a": ["x", "y", "z"]})
    processor = one_step("encoder", data, {"a": "encoder_label"})
    back = processor.inverse_transform(pd.DataFrame({"a": [-3.0, 0.6, 99.0, np.nan]}))
    assert back["a"].tolist()[:3] == ["x", "y", "z"]
    assert pd.isna(back["a"][3])


def test_uniform_parts_are_as_wide_as_categories_are_frequent() -> None:
    """The most frequent category has the first part of [0, 1]; 0.75 begins the second here."""
    data = pd.DataFrame({"a": ["x", "y", "y", "y"]})
    processor = one_step("encoder", data, {"a": "encoder_uniform"})
    changed = processor.transform(data)["a"]
    assert 0.75 <= changed[0] < 1.0
    assert changed[1:].between(0.0, 0.75, inclusive="left").all()
    assert changed.nunique() == 4
    back = processor.inverse_transform(pd.DataFrame({"a": [0.0, 0.7499, 0.75, 1.0, 1.2, -0.1]}))
    assert back["a"].tolist() == ["y", "y", "x", "x", "x", "y"]


def test_indicators_are_numbered_at_the_end_of_the_table() -> None:
    """The names of the indicators tell no category; the first category has none."""
    data = pd.DataFrame({"Origin": ["USA", "Japan", "Europe", None], "n": [1, 2, 3, 4]})
    processor = one_step("encoder", data, {"Origin": "encoder_onehot"})
    changed = processor.transform(data)
    assert changed.to_dict("list") == {
        "n": [1, 2, 3, 4],
        "Origin_1": [0, 1, 0, 0],
        "Origin_2": [1, 0, 0, 0],
        "Origin_3": [0, 0, 0, 1],
    }
    assert list(processor.predict().attributes) == ["n", "Origin_*"]
    back = processor.inverse_transform(changed)
    assert list(back) == ["Origin", "n"]
    assert back["Origin"].tolist()[:3] == ["USA", "Japan", "Europe"]
    assert pd.isna(back["Origin"][3])


def test_the_largest_indicator_tells_the_category() -> None:
    """Of what a synthesizer gives the largest indicator counts, from one half upwards."""
    data = pd.DataFrame({"a": ["x", "y", "z"]})
    processor = one_step("encoder", data, {"a": "encoder_onehot"})
    made = pd.DataFrame({"a_1": [0.4, 0.7, 0.6, np.nan], "a_2": [0.3, 0.9, -1.0, np.nan]})
    back = processor.inverse_transform(made)["a"]
    assert back.tolist()[:3] == ["x", "z", "y"]
    assert pd.isna(back[3])


@pytest.mark.parametrize(
    ("names", "encoded", "made"),
    [
        (["A", "B"], ["A"], ["B", "A_1"]),
        (["A", "A_1"], ["A"], ["A_1", "A_2_1"]),
        (["A", "A_2"], ["A"], ["A_2", "A_2_1"]),
        (["A", "A_*"], ["A"], ["A_*", "A_2_1"]),
        (["A", "A_B"], ["A"], ["A_B", "A_1"]),
        (["A", "X", "A_B"], ["A", "X", "A_B"], ["A_2_1", "X_1", "A_B_1"]),
        (["A_", "A", "A_2"], ["A_", "A", "A_2"], ["A__1", "A_3_1", "A_2_1"]),
    ],
)
def test_indicators_keep_clear_of_other_names(
    names: list[str], encoded: list[str], made: list[str]
) -> None:
    """Names of indicators are told from other columns', and from each other's, by their start."""
    data = pd.DataFrame({name: ["x", "y"] for name in names})
    processor = one_step("encoder", data, dict.fromkeys(encoded, "encoder_onehot"))
    changed = processor.transform(data)
    assert list(changed) == made
    actual = Schema.from_dataframe(changed, "t")
    assert resolve_prediction(processor.predict(), actual).hash == actual.hash
    pd.testing.assert_frame_equal(processor.inverse_transform(changed), data)


def test_an_unknown_category_is_refused() -> None:
    """The error tells how many values are unknown, and quotes none."""
    processor = one_step("encoder", pd.DataFrame({"a": ["x", "y"]}), {"a": "encoder_label"})
    with pytest.raises(DataError) as error:
        processor.transform(pd.DataFrame({"a": ["x", "secret", None]}))
    assert str(error.value) == (
        "encoder_label: column 'a' has 2 values of 3 that the Preprocessor was not fitted to"
    )


def test_errors_name_the_column_whatever_came_before() -> None:
    """A step that follows another one still knows the column's name."""
    data = pd.DataFrame({"a": [1.0, 2.0]})
    methods = {"scaler": {"a": "scaler_minmax"}, "encoder": {"a": "encoder_label"}}
    processor = fitted(data, {"sequence": ["scaler", "encoder"], "config": methods})
    with pytest.raises(DataError, match="encoder_label: column 'a' has 1 values of 1 that"):
        processor.transform(pd.DataFrame({"a": [7.0]}))


def test_lists_are_refused() -> None:
    """What cannot be compared has no categories."""
    with pytest.raises(DataError, match="column 'a' holds values that cannot be compared"):
        one_step("encoder", pd.DataFrame({"a": [[1], [2]]}), {"a": "encoder_uniform"})


def test_bins_come_back_as_their_middles() -> None:
    """Five bins of equal width by default; what comes back is within half a bin."""
    data = pd.DataFrame({"a": [0.0, 1.0, 5.0, 10.0]})
    found, back = there_and_back("discretizing", data, {"a": "discretizing_kbins"})
    assert found == [0.0, 0.0, 2.0, 4.0]
    assert back == [1.0, 1.0, 5.0, 9.0]
    method = {"method": "discretizing_kbins", "n_bins": 2}
    assert there_and_back("discretizing", data, {"a": method}) == [
        [0.0, 0.0, 1.0, 1.0],
        [2.5, 2.5, 7.5, 7.5],
    ]


@settings(max_examples=40)
@given(st.lists(maybe(NUMBERS), min_size=1, max_size=9), st.integers(2, 9))
def test_bins_are_off_by_half_a_bin_at_most(values: list[float | None], n_bins: int) -> None:
    """A binned value comes back within half the width of a bin."""
    data = pd.DataFrame({"a": pd.Series(values, dtype="float64")})
    method = {"method": "discretizing_kbins", "n_bins": n_bins}
    _, back = there_and_back("discretizing", data, {"a": method})
    width = (data["a"].max() - data["a"].min()) / n_bins
    found = pd.Series(back)
    assert found.isna().tolist() == data["a"].isna().tolist()
    if len(data["a"].dropna()):
        assert (found - data["a"]).abs().max() <= width / 2 + 1e-6 * data["a"].abs().max()


def test_outliers_beyond_the_quartiles_are_dropped() -> None:
    """A missing value in the column neither counts nor is dropped; rows keep their labels."""
    data = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan, 99.0, 2.0], "b": list("uvwxyz")})
    changed = one_step("outlier", data, {"a": "outlier_iqr"}).transform(data)
    assert changed["b"].tolist() == ["u", "v", "w", "x", "z"]
    assert changed.index.tolist() == [0, 1, 2, 3, 5]


def test_outliers_beyond_three_deviations_are_dropped() -> None:
    """Of 20 equal values and one far away, that one is beyond; of 3 none can be."""
    data = pd.DataFrame({"a": [0.0] * 20 + [100.0]})
    assert one_step("outlier", data, {"a": "outlier_zscore"}).transform(data)["a"].max() == 0.0
    data = pd.DataFrame({"a": [0.0, 0.0, 100.0]})
    assert len(one_step("outlier", data, {"a": "outlier_zscore"}).transform(data)) == 3


@pytest.mark.parametrize("method", ["outlier_isolationforest", "outlier_lof"])
def test_rows_apart_in_all_columns_are_dropped(method: str) -> None:
    """Both methods drop the row that is far away, whichever column they are named for."""
    generator = np.random.default_rng(0)
    data = pd.DataFrame(generator.normal(size=(60, 2)), columns=["a", "b"])
    data.loc[7] = [50.0, -50.0]
    data["c"] = "text"
    processor = one_step("outlier", data, {"a": "outlier_iqr", "b": method})
    changed = processor.transform(data)
    assert 7 not in changed.index
    assert len(changed) > 40
    pd.testing.assert_frame_equal(changed, processor.transform(data))


def test_rows_with_missing_values_cannot_be_compared() -> None:
    """The error names the columns, and what to put first."""
    data = pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"outlier_lof cannot do with missing values.*'a'; put"):
        one_step("outlier", data, {"b": "outlier_lof"}).transform(data)


@pytest.mark.parametrize(
    ("method", "filled"),
    [
        ("missing_mean", [1, 2, 6, 3]),
        ("missing_median", [1, 2, 6, 2]),
        ({"method": "missing_simple", "value": 9}, [1, 2, 6, 9]),
    ],
)
def test_missing_numbers_are_filled(method: Any, filled: list[int]) -> None:
    """A nullable integer gets an integer, and as many values are missing again afterwards."""
    data = pd.DataFrame({"a": pd.array([1, 2, 6, None], dtype="Int64")})
    found, back = there_and_back("missing", data, {"a": method})
    assert found == filled
    assert sum(pd.isna(value) for value in back) == 1


def test_a_missing_mode_is_one_of_the_most_frequent() -> None:
    """Where several values are most frequent, each missing one gets any of them."""
    data = pd.DataFrame({"a": ["x", "y", "x", "y", "z", *[None] * 40]})
    found, _ = there_and_back("missing", data, {"a": "missing_mode"})
    assert set(found[5:]) == {"x", "y"}


@pytest.mark.parametrize(
    ("column", "value", "filled"),
    [
        (pd.Series(["a", None]), "none given", "none given"),
        (pd.Series(["a", None], dtype="category"), "b", "b"),
        (pd.Series(pd.to_datetime(["2024-01-01", ""])), "2024-12-31", pd.Timestamp("2024-12-31")),
        (
            pd.Series([dt.date(2024, 1, 1), None], dtype=object),
            dt.date(2024, 12, 31),
            dt.date(2024, 12, 31),
        ),
        (pd.Series([True, None], dtype="boolean"), False, False),
    ],
)
def test_missing_values_are_filled_with_a_given_one(
    column: pd.Series[Any], value: Any, filled: Any
) -> None:
    """The given value is put in, the type stays, and comes back as it was."""
    data = pd.concat([column] + [column.iloc[:1]] * 3, ignore_index=True).to_frame("a")
    processor = one_step("missing", data, {"a": {"method": "missing_simple", "value": value}})
    changed = processor.transform(data)
    assert changed["a"].tolist()[1] == filled
    assert processor.predict().hash == Schema.from_dataframe(changed, "t").hash
    back = processor.inverse_transform(changed)["a"]
    assert back.dtype == column.dtype
    assert back.isna().sum() == 1


def test_a_fill_value_of_the_wrong_type_is_refused() -> None:
    """Before anything is fitted, and without quoting the value."""
    schema = Schema.from_dataframe(pd.DataFrame({"a": ["x", None]}), "t")
    plan = read_plan("demo", {"missing": {"a": "missing_simple"}})
    with pytest.raises(DataError, match="'a' is of type string, and cannot take a value of type f"):
        plan.processor(schema).predict()


def test_rows_with_missing_values_are_dropped() -> None:
    """Rows leave where any column of that method has no value; others keep theirs."""
    data = pd.DataFrame({"a": ["x", None, "y"], "b": ["x", "y", None], "c": [None, 1.0, 2.0]})
    processor = one_step("missing", data, {"a": "missing_drop", "b": "missing_drop"})
    changed = processor.transform(data)
    assert changed.index.tolist() == [0]
    assert changed["c"].isna().tolist() == [True]


def test_dropping_all_rows_is_refused() -> None:
    """The error counts the rows and names the column without any value."""
    data = pd.DataFrame({"a": [None, None], "b": ["x", "y"]})
    with pytest.raises(
        DataError, match=r"leaves none of the 2 rows: without any value are 'a'; set"
    ):
        one_step("missing", data, {"a": "missing_drop", "b": "missing_drop"})


def test_missing_values_come_back_at_the_rate_found() -> None:
    """A tenth of 20 was missing, so of 200 synthetic rows 20 are, at the same places each time."""
    data = pd.DataFrame({"a": [None, None, *[1.0] * 18], "b": [None, None, *["x"] * 18]})
    processor = one_step("missing", data, {"a": "missing_mean", "b": "missing_drop"})
    made = pd.DataFrame({"a": [1.0] * 200, "b": ["x"] * 200})
    back = processor.inverse_transform(made)
    assert back.isna().sum().tolist() == [20, 20]
    assert back["a"].isna().tolist() != back["b"].isna().tolist()
    pd.testing.assert_frame_equal(back, processor.inverse_transform(made))


def test_at_least_one_missing_value_comes_back() -> None:
    """Of ten synthetic rows one has no value where of a hundred one had none."""
    data = pd.DataFrame({"a": [None, *[1.0] * 99]})
    processor = one_step("missing", data, {"a": "missing_mean"})
    back = processor.inverse_transform(pd.DataFrame({"a": [1.0] * 10}))
    assert back["a"].isna().sum() == 1


def test_another_random_state_puts_missing_values_elsewhere() -> None:
    """What is random follows from the configuration alone."""
    data = pd.DataFrame({"a": [None, *[1.0] * 9]})
    made = pd.DataFrame({"a": [1.0] * 100})
    places = [
        fitted(data, {"sequence": ["missing"], "random_state": seed})
        .inverse_transform(made)["a"]
        .isna()
        .tolist()
        for seed in (0, 0, 1)
    ]
    assert places[0] == places[1] != places[2]


@pytest.mark.parametrize(("unit", "found"), [("D", [1.5, -1.0]), ("S", [129600.0, -86400.0])])
def test_times_are_measured_from_another_column(unit: str, found: list[float]) -> None:
    """One column's times become distances from the other's, which keeps its own."""
    data = pd.DataFrame(
        {
            "end": pd.to_datetime(["2024-01-02 12:00", "2024-02-29 00:00"]),
            "start": pd.to_datetime(["2024-01-01", "2024-03-01"]),
        }
    )
    method = {"method": "scaler_timeanchor", "reference": "start", "unit": unit}
    processor = one_step("scaler", data, {"end": method})
    changed = processor.transform(data)
    assert changed["end"].tolist() == found
    assert changed["start"].tolist() == data["start"].tolist()
    pd.testing.assert_frame_equal(processor.inverse_transform(changed), data)


def test_several_columns_are_measured_from_their_anchor() -> None:
    """With a list the named column stays, those of the list change, and get no default scaler."""
    data = pd.DataFrame(
        {
            "born": [dt.date(2000, 1, 1), dt.date(2001, 1, 1)],
            "school": pd.Series(["2006-01-01", None], dtype="string"),
            "work": pd.to_datetime(["2020-01-01", "2020-01-03"]).tz_localize(None),
        }
    )
    method = {"method": "scaler_timeanchor", "reference": ["school", "work"]}
    parameters = {"sequence": ["scaler"], "scaler": {"born": method}}
    processor = fitted(data, parameters)
    changed = processor.transform(data)
    assert changed["work"].tolist() == [7305.0, 6941.0]
    assert changed["school"].tolist()[0] == 2192.0
    predicted = processor.predict()
    assert predicted.hash == Schema.from_dataframe(changed, "t").hash
    assert predicted.attributes["school"].nullable
    pd.testing.assert_frame_equal(processor.inverse_transform(changed), data)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(maybe(TIMES), maybe(TIMES)), min_size=1, max_size=6),
    st.sampled_from(["D", "S"]),
    st.sampled_from(["datetime64[ns]", "datetime64[s]", "object"]),
)
@example(
    [(dt.datetime.fromisoformat("1858-01-01"), dt.datetime.fromisoformat("2151-01-01"))],
    "D",
    "datetime64[ns]",
)
def test_times_come_back_from_distances(
    pairs: list[tuple[Any, Any]], unit: str, dtype: str
) -> None:
    """Times to the second come back exactly, unless the time they are measured from is missing."""
    data = pd.DataFrame(
        {
            "end": pd.Series([end for end, _ in pairs], dtype=dtype),
            "start": pd.Series([start for _, start in pairs], dtype="datetime64[s]"),
        }
    )
    if data["end"].isna().all():
        reject()
    method = {"method": "scaler_timeanchor", "reference": "start", "unit": unit}
    processor = one_step("scaler", data, {"end": method})
    changed = processor.transform(data)
    back = processor.inverse_transform(changed)
    known = data.notna().all(axis=1)
    assert back["end"].dtype == data["end"].dtype
    assert back["end"][known].tolist() == data["end"][known].tolist()
    assert back["end"][~known].isna().all()
    assert processor.predict().attributes["end"].type == "float64"


@pytest.mark.parametrize("column", ["start", "end"])
def test_a_distance_is_missing_where_one_of_its_times_is(column: str) -> None:
    """The prediction knows it too."""
    data = pd.DataFrame(
        {"end": pd.to_datetime(["2024-01-02"] * 2), "start": pd.to_datetime(["2024-01-01"] * 2)}
    )
    data.loc[1, column] = pd.NaT
    method = {"method": "scaler_timeanchor", "reference": "start"}
    processor = one_step("scaler", data, {"end": method})
    changed = processor.transform(data)
    assert changed["end"].isna().tolist() == [False, True]
    assert processor.predict().hash == Schema.from_dataframe(changed, "t").hash


def test_date_differences_are_whole_days() -> None:
    """Differences are floored to days, then told in the unit; without sign where asked for."""
    data = pd.DataFrame(
        {
            "start": pd.to_datetime(["2024-01-08 00:00", "2024-01-08 00:00"]),
            "end": pd.to_datetime(["2024-01-22 23:00", "2024-01-01 00:00"]),
        }
    )
    method = {
        "method": "encoder_datediff",
        "baseline_date": "start",
        "related_date_list": ["end"],
        "diff_unit": "weeks",
    }
    processor = one_step("encoder", data, {"start": method})
    changed = processor.transform(data)
    assert changed["end"].tolist() == [2.0, -1.0]
    back = processor.inverse_transform(changed)
    assert back["end"].tolist() == [pd.Timestamp("2024-01-22"), pd.Timestamp("2024-01-01")]
    processor = one_step("encoder", data, {"start": {**method, "absolute_value": True}})
    assert processor.transform(data)["end"].tolist() == [2.0, 1.0]


def test_text_that_is_no_date_is_refused() -> None:
    """The error names the column and quotes nothing."""
    data = pd.DataFrame({"end": ["soon", "2024-01-01"], "start": pd.to_datetime(["2024"] * 2)})
    method = {"method": "scaler_timeanchor", "reference": "start"}
    with pytest.raises(DataError) as error:
        one_step("scaler", data, {"end": method})
    assert str(error.value) == (
        "scaler_timeanchor: column 'end' holds something that is not a date such as 2024-12-31; "
        "give it the type of a date in the Loader"
    )


def test_times_with_and_without_a_zone_are_not_compared() -> None:
    """The distance between them is not known."""
    data = pd.DataFrame(
        {"end": pd.to_datetime(["2024"], utc=True), "start": pd.to_datetime(["2024"])}
    )
    method = {"method": "scaler_timeanchor", "reference": "start"}
    with pytest.raises(DataError, match="'end' and 'start' one has a time zone"):
        one_step("scaler", data, {"end": method})


@pytest.mark.parametrize(
    ("step", "method"),
    [
        ("missing", "missing_mean"),
        ("outlier", "outlier_iqr"),
        ("scaler", "scaler_standard"),
        ("scaler", "scaler_log"),
        ("discretizing", "discretizing_kbins"),
        ("scaler", {"method": "scaler_timeanchor", "reference": "b"}),
    ],
)
def test_a_method_that_does_not_suit_the_type_is_refused(step: str, method: Any) -> None:
    """The prediction finds it already, from the schema alone, and names the column."""
    schema = Schema.of("t", [Attribute("a", "string", category=True), Attribute("b", "datetime")])
    plan = read_plan("demo", {"sequence": [step], "config": {step: {"a": method}}})
    with pytest.raises(DataError, match="'a'"):
        plan.processor(schema).predict()


def test_columns_that_were_not_there_come_last() -> None:
    """What a synthesizer adds is handed on as it is, after the columns that were there."""
    data = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    processor = fitted(data, {})
    made = processor.transform(data).assign(extra=[7, 8])[["extra", "b", "a"]]
    back = processor.inverse_transform(made)
    assert list(back) == ["a", "b", "extra"]
    assert back["extra"].tolist() == [7, 8]


def test_columns_that_are_gone_are_named() -> None:
    """A table without a column that is needed is refused by name."""
    data = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    processor = fitted(data, {})
    with pytest.raises(DataError, match="lacks 1 of the 2 columns that the Preprocessor left: 'b'"):
        processor.inverse_transform(pd.DataFrame({"a": [0.0]}))


def test_columns_without_any_step_get_their_type_back() -> None:
    """A synthesizer's floats become integers, truth values and categories as they were."""
    data = pd.DataFrame(
        {
            "i": [1, 2],
            "b": [True, False],
            "c": pd.Categorical(["x", "y"]),
            "t": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        }
    )
    processor = fitted(data, {"sequence": ["missing"]})
    made = pd.DataFrame(
        {"i": [1.6, 2.4], "b": [0.9, 0.1], "c": ["y", "w"], "t": ["2024-01-01", "2024-01-02"]}
    )
    back = processor.inverse_transform(made)
    assert back.dtypes.tolist() == data.dtypes.tolist()
    assert back["i"].tolist() == [2, 2]
    assert back["b"].tolist() == [True, False]
    assert back["c"].tolist()[0] == "y"
    assert pd.isna(back["c"][1])


def test_an_empty_table_is_refused() -> None:
    """There is nothing to learn from no rows, or from no columns."""
    for data in (pd.DataFrame({"a": []}), pd.DataFrame(index=[0, 1])):
        with pytest.raises(DataError, match="there is nothing to process"):
            fitted(data, {})


def test_an_unfitted_processor_says_so() -> None:
    """Neither direction works before `fit`."""
    processor = read_plan("demo", {}).processor(Schema("t", {"a": Attribute("a", "float64")}))
    with pytest.raises(UnexecutedError, match="has not been fitted"):
        processor.transform(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(UnexecutedError, match="has not been fitted"):
        processor.inverse_transform(pd.DataFrame({"a": [1.0]}))


def test_a_synthetic_table_without_rows_comes_back_without_rows() -> None:
    """No step needs a row to take its change back."""
    data = pd.DataFrame({"a": [1.0, None], "b": ["x", "y"], "t": pd.to_datetime(["2024"] * 2)})
    processor = fitted(
        data, {"sequence": ["missing", "encoder", "scaler"], "encoder": {"b": "encoder_onehot"}}
    )
    back = processor.inverse_transform(processor.transform(data).iloc[:0])
    assert back.shape == (0, 3)
    assert back.dtypes.tolist() == data.dtypes.tolist()
