"""The Synthesizer from outside: what it draws is like what it learnt."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.api.types import is_integer_dtype

from petsard_otel import Executor, Status
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.copula import GaussianCopula, correlation, normal_scores, read_column
from petsard_otel.modules.synthesizer import SynthesizerAdapter
from petsard_otel.schema import Attribute, Schema

CARS = Path(__file__).parents[1] / "examples" / "cars.csv"
"""A small real table."""

MIXED = pd.DataFrame(
    {
        "count": [1, 2, 2, 3, 5, 8],
        "small": pd.array([1, 2, None, 4, 5, 6], dtype="UInt8"),
        "price": [0.5, 1.25, np.nan, 2.0, 2.75, 4.0],
        "narrow": np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype="float32"),
        "text": ["a", "b", None, "a", "c", "a"],
        "string": pd.array(["x", None, "y", "x", "y", "x"], dtype="string"),
        "origin": pd.Categorical(["USA", "USA", "Japan", None, "USA", "Japan"]),
        "grade": pd.Categorical(["lo", "hi", "lo", "mid", "hi", "hi"], ["lo", "mid", "hi"]),
        "flag": [True, False, True, True, False, True],
        "known": pd.array([True, None, False, True, True, None], dtype="boolean"),
        "day": pd.to_datetime(["2020-01-01", "2020-01-03", "", "2021-05-01", "2022-01-01", ""]),
        "moment": pd.date_range("2024-03-30", periods=6, freq="7h", tz="Europe/Berlin"),
        "took": pd.to_timedelta([1, 2, 3, None, 5, 6], unit="min"),
        "date": [dt.date(2020, 1, day) for day in range(1, 7)],
        "same": [7] * 6,
        "empty": [np.nan] * 6,
        "nothing": [None] * 6,
        "mixed": [1, "a", 2.5, "a", None, 1],
    }
)
"""A column of every type that a Loader can make, and some that it cannot."""


LONG = dt.timedelta(days=9999)


class Sequence:
    """The least that a Status needs of a configuration."""

    def __init__(self, *sequence: str) -> None:
        self.sequence = list(sequence)


class Made:
    """A module whose work is done."""

    def __init__(self, result: Any, schema: Schema) -> None:
        self.result = result
        self.schema = schema

    def set_input(self, status: Status) -> dict[str, Any]:
        """Need nothing."""
        return {}

    def run(self, input: dict[str, Any]) -> None:
        """Do nothing."""

    def get_result(self) -> Any:
        """Return what it made."""
        return self.result

    def get_metadata(self) -> Schema:
        """Return its schema."""
        return self.schema


def synthesize(
    data: pd.DataFrame, schema: Schema | None = None, **parameters: Any
) -> SynthesizerAdapter:
    """Run a Synthesizer behind a Loader that made `data`."""
    status = Status(Sequence("Loader", "Synthesizer"))
    status.put("Loader", "data", Made(data, schema or Schema.from_dataframe(data, "data")))
    adapter = SynthesizerAdapter("syn", parameters)
    adapter.run(adapter.set_input(status))
    return adapter


def test_columns_dtypes_and_schema_are_those_of_the_input() -> None:
    """The synthetic table has the very schema of the training rows."""
    schema = Schema.from_dataframe(MIXED, "mixed")
    adapter = synthesize(MIXED, schema, random_state=0)
    synthetic = adapter.get_result()
    assert synthetic.dtypes.to_dict() == MIXED.dtypes.to_dict()
    assert list(synthetic.columns) == list(MIXED.columns)
    assert synthetic.index.equals(pd.RangeIndex(6))
    assert adapter.get_metadata() is schema


def test_the_training_rows_are_not_changed() -> None:
    """What the Status handed out is as it was, to the last cell."""
    before = MIXED.copy(deep=True)
    synthesize(MIXED, random_state=0)
    pd.testing.assert_frame_equal(MIXED, before)


def test_what_a_schema_declares_is_carried_over() -> None:
    """A declared category and precision outlive a column elsewhere that changes."""
    data = pd.DataFrame({"code": [1, 2], "text": ["a", None]})
    schema = Schema.of(
        "data",
        [
            Attribute("code", "int64", category=True, precision=0),
            Attribute("text", "string", nullable=True),
        ],
    )
    synthetic = synthesize(data, schema, sample_num_rows=1, random_state=0)
    assert synthetic.get_metadata().attributes["code"] is schema.attributes["code"]
    assert synthetic.get_metadata().attributes["text"] == Attribute("text", "string")


@pytest.mark.parametrize(("given", "rows"), [(None, 6), (0, 6), (1, 1), (250, 250)])
def test_sample_num_rows(given: int | None, rows: int) -> None:
    """As many rows as asked for; none or 0 stands for as many as there were."""
    assert len(synthesize(MIXED, sample_num_rows=given).get_result()) == rows


def test_a_seed_decides_what_is_drawn() -> None:
    """One seed, one table; another seed, or a second draw, another one."""
    first = synthesize(MIXED, random_state=5)
    again = synthesize(MIXED, random_state=5)
    other = synthesize(MIXED, random_state=6)
    pd.testing.assert_frame_equal(first.get_result(), again.get_result())
    assert not first.get_result().equals(other.get_result())
    assert first.synthesizer is not None
    assert again.synthesizer is not None
    second = first.synthesizer.sample(6)
    assert not second.equals(first.get_result())
    pd.testing.assert_frame_equal(second, again.synthesizer.sample(6))


@pytest.mark.parametrize("column", list(MIXED.columns))
def test_one_row_is_drawn_as_it_is(column: str) -> None:
    """A table of one row has nothing else to draw."""
    row = MIXED[[column]].head(1)
    drawn = GaussianCopula().fit(row).sample(1)
    assert drawn.dtypes.to_dict() == row.dtypes.to_dict()
    assert drawn[column].dropna().tolist() == row[column].dropna().tolist()


def test_a_constant_column_stays_constant() -> None:
    """A column of one value beside others takes that value in every row."""
    synthetic = synthesize(MIXED, sample_num_rows=50).get_result()
    assert synthetic["same"].tolist() == [7] * 50
    assert synthetic["empty"].isna().all()
    assert synthetic["nothing"].isna().all()


def test_values_keep_to_the_grid_they_were_on() -> None:
    """Whole days, thousands and cents come out as such, inside the range that was seen."""
    data = pd.DataFrame(
        {
            "day": pd.to_datetime(["2020-01-01", "2020-01-03", "2020-02-02", "2021-05-01"]),
            "salary": [21_500, 30_500, 42_500, 90_500],
            "price": [1.99, 0.5, 12.25, 3.1],
            "whole": [1.0, np.nan, 30.0, 12.0],
        }
    )
    synthetic = GaussianCopula(1).fit(data).sample(500)
    assert (synthetic["day"] == synthetic["day"].dt.normalize()).all()
    assert (synthetic["salary"] % 1000 == 500).all()
    assert (synthetic["price"].round(2) == synthetic["price"]).all()
    assert (synthetic["whole"].dropna() % 1 == 0).all()
    for column in data:
        assert synthetic[column].min() >= data[column].min()
        assert synthetic[column].max() <= data[column].max()
    assert synthetic["salary"].nunique() > 10


@pytest.mark.parametrize(
    "values",
    [
        np.array([-(2**63), 2**63 - 1, 5], dtype="int64"),
        np.array([0, 2**64 - 1, 5], dtype="uint64"),
        np.array([-128, 127], dtype="int8"),
    ],
)
def test_integers_at_the_limits_of_their_type_do_not_overflow(
    values: np.ndarray[Any, np.dtype[Any]],
) -> None:
    """The least and the greatest integer of a type are drawn, and none beyond them."""
    drawn = GaussianCopula(0).fit(pd.DataFrame({"n": values})).sample(2000)["n"]
    numbers = [int(value) for value in drawn]
    assert drawn.dtype == values.dtype
    assert min(numbers) >= int(values.min())
    assert max(numbers) <= int(values.max())
    middle = (int(values.min()) + int(values.max())) / 2
    assert any(number < middle for number in numbers)
    assert any(number > middle for number in numbers)


def test_categories_are_as_frequent_as_they_were() -> None:
    """Shares of a rare and a frequent category, and of missing values, come out again."""
    text = ["rare"] * 50 + ["usual"] * 800 + ["other"] * 100 + [None] * 50
    drawn = GaussianCopula(3).fit(pd.DataFrame({"text": text})).sample(20_000)["text"]
    shares = drawn.value_counts(normalize=True)
    assert drawn.isna().sum() == 1000
    assert shares["rare"] == pytest.approx(50 / 950, abs=0.005)
    assert shares["usual"] == pytest.approx(800 / 950, abs=0.01)
    assert shares["other"] == pytest.approx(100 / 950, abs=0.01)


@pytest.mark.parametrize(
    ("missing", "rows", "expected"), [(1, 1000, 1), (1, 10, 1), (999, 10, 9), (500, 10, 5)]
)
def test_some_values_are_missing_where_some_were(missing: int, rows: int, expected: int) -> None:
    """A column that was nullable is so in every draw, and never wholly empty."""
    data = pd.DataFrame({"x": [np.nan] * missing + [1.0] * (1000 - missing)})
    for seed in range(5):
        drawn = GaussianCopula(seed).fit(data).sample(rows)
        assert drawn["x"].isna().sum() == expected


def test_correlations_are_kept() -> None:
    """Linear, inverse, stepped and equal columns stay so; independent ones stay independent."""
    random = np.random.default_rng(0)
    x = random.normal(size=4000)
    data = pd.DataFrame(
        {
            "x": x,
            "near": np.exp(x + random.normal(size=4000) / 3),
            "inverse": -x + random.normal(size=4000) / 3,
            "steps": np.digitize(x, [-1, 0, 1]),
            "flag": x > 0,
            "same_flag": x > 0,
            "apart": random.normal(size=4000),
        }
    )
    data.loc[random.random(4000) < 0.3, "near"] = np.nan
    before = data.rank().corr()
    after = GaussianCopula(1).fit(data).sample(20_000).rank().corr()
    assert np.abs(before.to_numpy() - after.to_numpy()).max() < 0.1
    assert after["flag"]["same_flag"] > 0.99


def test_cars_keep_their_correlations() -> None:
    """On a real table, no correlation of two numbers is off by more than 0.15."""
    cars = pd.read_csv(CARS)
    synthetic = GaussianCopula(0).fit(cars).sample(5000)
    off = cars.corr(numeric_only=True) - synthetic.corr(numeric_only=True)
    assert np.abs(off.to_numpy()).max() < 0.15
    assert set(synthetic["Origin"]) == {"USA", "Japan", "Europe"}


def test_a_correlation_matrix_is_always_positive_definite() -> None:
    """Equal and opposite columns, more columns than rows, and gaps still give a usable one."""
    random = np.random.default_rng(0)
    few = random.normal(size=(5, 20))
    scores = np.column_stack([few, few[:, 0], -few[:, 1]])
    scores[0, 3] = scores[4, 7] = np.nan
    matrix = correlation(scores)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    assert np.diag(matrix) == pytest.approx(np.ones(22))
    assert matrix[0, 20] > 0.999


def test_normal_scores_put_ties_in_the_middle_of_their_share() -> None:
    """Half zeros and half ones are at the quartiles of the normal distribution."""
    shares = np.array([[0.0], [0.0], [1.0], [1.0], [np.nan]])
    assert normal_scores(shares)[:, 0] == pytest.approx(
        [-0.67449, -0.67449, 0.67449, 0.67449, np.nan], abs=1e-5, nan_ok=True
    )


def columns() -> st.SearchStrategy[pd.Series[Any]]:
    """Give columns of several types, with missing values where the type has them."""
    texts = st.text(max_size=5)
    moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001 - naive columns are meant
    kinds: dict[str, tuple[st.SearchStrategy[Any], bool]] = {
        "int64": (st.integers(-(2**63), 2**63 - 1), False),
        "uint8": (st.integers(0, 255), False),
        "Int64": (st.integers(-(2**53), 2**53), True),
        "float64": (st.floats(-1e100, 1e100), True),
        "float32": (st.floats(-1e10, 1e10, width=32), True),
        "bool": (st.booleans(), False),
        "boolean": (st.booleans(), True),
        "string": (texts, True),
        "category": (texts, True),
        "datetime64[ns]": (moments, True),
        "datetime64[us, UTC]": (moments, True),
        "timedelta64[us]": (st.timedeltas(-LONG, LONG), True),
        "object": (st.one_of(texts, st.integers(), st.tuples(st.booleans())), True),
    }

    def of(dtype: str) -> st.SearchStrategy[pd.Series[Any]]:
        values, has_missing = kinds[dtype]
        cells = st.one_of(st.none(), values) if has_missing else values
        return st.lists(cells, min_size=1, max_size=30).map(
            lambda cells: pd.Series(cells, dtype=dtype, name="x")
        )

    return st.sampled_from(sorted(kinds)).flatmap(of)


@given(column=columns())
def test_numbers_of_a_column_become_its_values_again(column: pd.Series[Any]) -> None:
    """What a column is read as gives the column back, but for integers beyond 2**53 steps."""
    marginal, numbers = read_column(column)
    values = marginal.values(np.nan_to_num(numbers), column.isna().to_numpy())
    assert values.dtype == column.dtype
    assert values.isna().tolist() == column.isna().tolist()
    known = [int(value) for value in column.dropna()] if is_integer_dtype(column) else []
    if known and max(known) - min(known) > 2**53:
        pairs = zip(values.dropna(), known, strict=True)
        assert all(abs(int(a) - b) <= 2**11 for a, b in pairs)
    else:
        assert values.dropna().tolist() == column.dropna().tolist()


@settings(max_examples=50)
@given(column=columns(), rows=st.integers(2, 40), seed=st.integers(0, 99))
def test_drawn_columns_are_like_the_learnt_ones(
    column: pd.Series[Any], rows: int, seed: int
) -> None:
    """Dtype, range, levels and whether values are missing come out of any column."""
    drawn = GaussianCopula(seed).fit(column.to_frame()).sample(rows)["x"]
    assert drawn.dtype == column.dtype
    assert len(drawn) == rows
    is_missing = column.isna()
    if is_missing.any():
        assert drawn.isna().any()
        assert drawn.isna().all() == is_missing.all()
    else:
        assert not drawn.isna().any()
    present, learnt = drawn.dropna(), column.dropna()
    if column.dtype.kind in "iufmM":
        assert present.empty or (present.min() >= learnt.min() and present.max() <= learnt.max())
    else:
        assert set(present) <= set(learnt)


@pytest.mark.parametrize("data", [MIXED.head(0), MIXED[[]], pd.DataFrame()])
def test_a_table_without_rows_or_columns_cannot_be_learnt(data: pd.DataFrame) -> None:
    """The error tells how many there are."""
    with pytest.raises(DataError, match=f"{len(data)} rows and {data.shape[1]} columns"):
        synthesize(data)


def test_infinite_values_are_named_by_column_and_count() -> None:
    """The error names the column and counts, and says what to do."""
    data = pd.DataFrame({"ok": [1.0, 2.0], "ratio": [np.inf, -np.inf]})
    with pytest.raises(DataError, match=r"^column 'ratio' has 2 infinite values; replace or drop"):
        synthesize(data)


def test_values_that_cannot_be_told_apart_are_named_by_column() -> None:
    """A column of lists is a DataError that quotes no cell."""
    data = pd.DataFrame({"tags": [["secret"], ["b"]]})
    with pytest.raises(DataError, match=r"^column 'tags' has values that cannot be") as caught:
        synthesize(data)
    assert "secret" not in str(caught.value)


def test_a_copula_must_be_fitted_first() -> None:
    """Drawing from nothing is refused."""
    with pytest.raises(UnexecutedError, match="must be fitted"):
        GaussianCopula().sample(1)


def test_nothing_can_be_asked_before_the_run() -> None:
    """Result and schema are there only after the run."""
    adapter = SynthesizerAdapter("syn", {})
    with pytest.raises(UnexecutedError, match=r"Synthesizer\[syn\]"):
        adapter.get_result()
    with pytest.raises(UnexecutedError, match=r"Synthesizer\[syn\]"):
        adapter.get_metadata()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"method": "defualt"},
            "Synthesizer[syn].method: unknown method 'defualt'; did you mean 'default'? Valid: def",
        ),
        (
            {"method": "sdv-single_table-ctgan", "batch_size": 3},
            "Synthesizer[syn].method: method 'sdv-single_table-ctgan' needs PETsARD itself",
        ),
        ({"method": "custom_method"}, "Synthesizer[syn].method: method 'custom_method' needs"),
        ({"method": 3}, "Synthesizer[syn].method: expected the name of a method, found int"),
        (
            {"method": "default", "sample_rows": 3},
            "Synthesizer[syn].sample_rows: unknown key 'sample_rows'; did you mean 'sample_num_row",
        ),
        ({"sample_num_rows": "many"}, "Synthesizer[syn].sample_num_rows: "),
        ({"sample_num_rows": -1}, "Synthesizer[syn].sample_num_rows: "),
        ({"random_state": -1}, "Synthesizer[syn].random_state: "),
        ({"use_gpu": "auto"}, "Synthesizer[syn].use_gpu: key 'use_gpu' needs PETsARD itself"),
        ({"method": "custom_data"}, "Synthesizer[syn].filepath: "),
        (
            {"method": "custom_data", "filepath": "a.csv", "random_state": 3},
            "Synthesizer[syn].random_state: unknown key 'random_state'",
        ),
    ],
)
def test_mistakes_in_the_configuration(parameters: dict[str, Any], message: str) -> None:
    """Each is found before anything runs, and named by module, experiment and key."""
    with pytest.raises(ConfigError) as caught:
        SynthesizerAdapter("syn", parameters)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("method", ["default", "Default", "petsard-gaussian_copula"])
def test_names_of_the_built_in_copula(method: str) -> None:
    """PETsARD's own name for its copula, in any case, is the same method."""
    expected = synthesize(MIXED, random_state=1).get_result()
    pd.testing.assert_frame_equal(
        synthesize(MIXED, method=method, random_state=1).get_result(), expected
    )


def test_a_synthesizer_needs_a_table_before_it() -> None:
    """As the first module it has nothing to learn."""
    status = Status(Sequence("Synthesizer"))
    with pytest.raises(ConfigError, match="put a Loader before"):
        SynthesizerAdapter("syn", {}).set_input(status)


@pytest.mark.parametrize(("given", "rows"), [(None, 3), (2, 2), (9, 3)])
def test_custom_data_loads_a_file(tmp_path: Path, given: int | None, rows: int) -> None:
    """The synthetic table is the file's, or the first rows of it; nothing is drawn."""
    path = tmp_path / "made.csv"
    path.write_text("a,b\n1,x\n2,y\n3,\n")
    parameters = {"method": "custom_data", "filepath": str(path), "sample_num_rows": given}
    adapter = SynthesizerAdapter("made", parameters)
    adapter.run(adapter.set_input(Status(Sequence("Synthesizer"))))
    loaded = adapter.get_result()
    assert loaded["a"].tolist() == [1, 2, 3][:rows]
    assert loaded["b"].dropna().tolist() == ["x", "y"]
    assert adapter.get_metadata() == Schema.of(
        "made", [Attribute("a", "int64"), Attribute("b", "string", nullable=rows == 3)]
    )
    assert adapter.synthesizer is None


def test_a_missing_file_of_custom_data_shows_when_it_is_read(tmp_path: Path) -> None:
    """Making the adapter touches no file."""
    adapter = SynthesizerAdapter(
        "made", {"method": "custom_data", "filepath": str(tmp_path / "none.csv")}
    )
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        adapter.run({})


def test_a_pipeline_learns_from_the_training_rows_alone(tmp_path: Path) -> None:
    """Behind a Splitter only the training rows are learnt; fit and sample are timed."""
    path = tmp_path / "numbers.csv"
    pd.DataFrame({"n": range(100), "text": ["a", "b"] * 50}).to_csv(path, index=False)
    executor = Executor(
        {
            "Loader": {"data": {"filepath": str(path)}},
            "Splitter": {"half": {"train_split_ratio": 0.5, "random_state": 1}},
            "Synthesizer": {"a": {"random_state": 1}, "b": {"random_state": 1}},
        },
        engine="builtin",
    )
    executor.run()
    first, second = executor.get_result().values()
    train = executor.status.get_result("Splitter")["train"]
    assert len(first) == len(train) == 50
    assert first["n"].max() <= train["n"].max()
    pd.testing.assert_frame_equal(first, second)
    timing = executor.status.get_timing_report_data(steps=True)
    steps = timing[timing["module_name"] == "Synthesizer"]["step_name"]
    assert steps.tolist() == ["fit", "sample", "run"] * 2
    assert executor.status.get_metadata("Synthesizer") is executor.status.get_metadata("Splitter")
