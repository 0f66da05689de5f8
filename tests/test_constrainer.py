"""The Constrainer from outside: which rows it keeps, draws and reports."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsard_otel import Executor, Status
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.constrainer import ConstrainerAdapter
from petsard_otel.modules.constraints.conditions import parse
from petsard_otel.schema import Attribute, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

CARS = Path(__file__).parents[1] / "examples" / "cars.csv"
"""A small real table."""

PEOPLE = pd.DataFrame(
    {
        "age": [10, 20, 70, None],
        "hours-per-week": [10, 40, 50, 60],
        "race": ["White", "Black", None, "White"],
        "income": [">50K", "<=50K", ">50K", ">50K"],
        "hired": pd.to_datetime(["2020-01-01", "2021-01-01", "", "2019-06-01"]),
        "seen": pd.to_datetime(["2020-01-01", "2021-01-01", "", "2019-06-01"]).tz_localize(
            "Asia/Taipei"
        ),
        "days": [400, 1, 1, 1],
        "Miles per G": [1, 2, 3, 4],
        "size": pd.Categorical(["S", "L", None, "S"]),
        "code": pd.Categorical([1, 2, None, 1]),
        "is new": [True, False, True, True],
        "rank": pd.array([1, None, 0, 4], dtype="Int64"),
        "2020": [5, 6, 7, 8],
    }
)


class Sequence:
    """The least that a Status needs of a configuration."""

    def __init__(self, *sequence: str) -> None:
        self.sequence = list(sequence)


class Made:
    """A module whose work is done; as a Synthesizer or Preprocessor, with its model."""

    def __init__(self, result: Any, model: Any = None, schema: Schema | None = None) -> None:
        table = result["train"] if isinstance(result, dict) else result
        self.result = result
        self.schema = schema or Schema.from_dataframe(table, "data")
        self.synthesizer = self.processor = model

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


class Counter:
    """Draws 0, 1, 2, ...: rows that a test can tell apart."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.next = 0

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Draw the next numbers."""
        self.drawn.append(num_rows)
        self.next += num_rows
        return counted(self.next - num_rows, self.next)


class Doubling:
    """A processor that takes the halving of `n` back."""

    def inverse_transform(self, data: pd.DataFrame) -> pd.DataFrame:
        """Double `n`."""
        return data.assign(n=data["n"] * 2)


def counted(start: int, stop: int) -> pd.DataFrame:
    """Return a row for each number: the number, its parity, and its parity among tens."""
    numbers = np.arange(start, stop)
    return pd.DataFrame(
        {
            "n": numbers,
            "parity": np.where(numbers % 2, "odd", "even"),
            "is_tenth": numbers % 10 == 0,
        }
    )


def status_of(modules: Mapping[str, Made]) -> Status:
    """Return a Status after these modules have run, and before a Constrainer."""
    status = Status(Sequence(*modules, "Constrainer"))
    for module, made in modules.items():
        status.put(module, "e", made)
    return status


def constrain(modules: Mapping[str, Made], **parameters: Any) -> ConstrainerAdapter:
    """Run a Constrainer behind these modules."""
    adapter = ConstrainerAdapter("c", parameters)
    adapter.run(adapter.set_input(status_of(modules)))
    return adapter


def resampled(data: pd.DataFrame, **parameters: Any) -> pd.DataFrame:
    """Return the rows that the Constrainer keeps of synthetic rows, drawing no more."""
    modules = {"Loader": Made(data), "Synthesizer": Made(data, Nothing(data))}
    result = constrain(modules, max_trials=1, **parameters).get_result()
    assert isinstance(result, pd.DataFrame)
    return result


def validated(data: pd.DataFrame, **parameters: Any) -> dict[str, Any]:
    """Return what the Constrainer finds in a table."""
    result = constrain({"Loader": Made(data)}, **parameters).get_result()
    assert isinstance(result, dict)
    return result


class Nothing:
    """Draws no rows."""

    def __init__(self, data: pd.DataFrame) -> None:
        self.data = data

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Draw a table without rows."""
        return self.data.head(0)


CONDITIONS = [
    ("age >= 18 & age <= 65", [1]),
    ("age>=18&age<=65", [1]),
    ("age\n  >= 18", [1, 2]),
    ("age > -5", [0, 1, 2]),
    ("age >= 1.5e1", [1, 2]),
    ("age != 20", [0, 2]),
    ("hours-per-week >= 20 & hours-per-week <= 50", [1, 2]),
    ("income == '<=50K' | (age > 50 & hours-per-week < 60)", [1, 2]),
    ("age > 50 & hours-per-week < 60 | income == '<=50K'", [1, 2]),
    ("age > 15 & (hours-per-week > 45 | income == '<=50K')", [1, 2]),
    ("race == 'White'", [0, 3]),
    ('race == "White"', [0, 3]),
    ("'White' == race", [0, 3]),
    ("race != 'White'", [1]),
    ("race IS 'White'", [0, 3]),
    ("race IS NOT 'White'", [1, 2]),
    ("race IS pd.NA", [2]),
    ("race IS NOT pd.NA", [0, 1, 3]),
    ("(race != 'White') == (income == '>50K')", []),
    ("(race == 'White') == (income == '>50K')", [0, 1, 3]),
    ("hired >= DATE(2020-01-01)", [0, 1]),
    ("hired >= DATE('2020-01-01')", [0, 1]),
    ("DATE(2020-01-01) <= hired", [0, 1]),
    ("seen >= DATE(2020-01-01)", [0, 1]),
    ("DATE(2020-01-01) <= seen", [0, 1]),
    ("hired + days > DATE(2021-01-01)", [0, 1]),
    ("days + hired > DATE(2021-01-01)", [0, 1]),
    ("age + days > 100", [0]),
    ("(age + days + 1) > 100", [0]),
    ("Miles per G > 2", [2, 3]),
    ("Miles per G IS NOT pd.NA", [0, 1, 2, 3]),
    ("size == 'S'", [0, 3]),
    ("size >= 'S'", [0, 3]),
    ("code >= 2", [1]),
    ("is new & age > 5", [0, 2]),
    ("rank & days > 0", [0, 3]),
    ("rank > 0", [0, 3]),
    ("rank != 4", [0, 2]),
    ("rank IS NOT pd.NA", [0, 2, 3]),
    ("2020 > 6", [2, 3]),
]


@pytest.mark.parametrize(("condition", "rows"), CONDITIONS)
def test_conditions(condition: str, rows: list[int]) -> None:
    """A condition holds in these rows; with a missing value only IS may hold."""
    assert np.flatnonzero(parse(condition).holds(PEOPLE)).tolist() == rows


@pytest.mark.parametrize(("condition", "rows"), CONDITIONS)
def test_conditions_on_arrow_columns(condition: str, rows: list[int]) -> None:
    """It holds in the same rows where columns are backed by Arrow."""
    people = PEOPLE.drop(columns=["size", "code"]).convert_dtypes(dtype_backend="pyarrow")
    people[["size", "code"]] = PEOPLE[["size", "code"]]
    assert np.flatnonzero(parse(condition).holds(people)).tolist() == rows


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "expected a condition, such as age >= 18"),
        ("   ", "expected a condition, such as age >= 18"),
        ("age", "expected a comparison, such as > 0 or IS NOT pd.NA, at character 1"),
        ("age salary", "expected a comparison, such as > 0 or IS NOT pd.NA, at character 1"),
        ("age >> 30", "this cannot be read, at character 6"),
        ("age > 30)", "unmatched ')', at character 9"),
        ("age = 3", "this character means nothing, at character 5"),
        ("age > 'x", "this quote is not closed, at character 7"),
        ("18 <= age <= 65", "comparisons do not chain; join two with &, at character 14"),
        ("age > 3 age < 5", "comparisons do not chain; join two with &, at character 15"),
        ("age == pd.NA", "nothing equals pd.NA; write IS pd.NA, at character 8"),
        ("age > 3 & 'x'", "expected a condition, at character 11"),
        ("hired > DATE(2020-02-30)", "there is no such date, at character 14"),
        ("NOT age > 3", "expected a condition, at character 1"),
        (
            "(age > 3) + 1 > 2",
            "expected a column, a number, a 'text' or a DATE(...), at character 2",
        ),
        ("f(age) > 3", "expected a column, a number, a 'text' or a DATE(...), at character 1"),
        ("__import__('os').getcwd() == 'x'", "this cannot be read, at character 17"),
        ([3], "expected a condition as text, such as 'age >= 18'"),
    ],
)
def test_a_wrong_condition_is_found_before_anything_runs(condition: Any, message: str) -> None:
    """The error names the place of the condition, and the place in it."""
    with pytest.raises(ConfigError) as caught:
        ConstrainerAdapter("c", {"field_constraints": ["age > 1", condition]})
    assert str(caught.value).startswith(f"Constrainer[c].field_constraints.1: {message}")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("agee > 3", "the table has no column 'agee'; did you mean 'age'?"),
        ("race > 3", "'race' and '3' cannot be compared; give both the same type"),
        ("age > 'x'", "'age' and a text cannot be compared; give both the same type"),
        ("hired < 5", "'hired' and '5' cannot be compared; give both the same type"),
        ("race < DATE(2020-01-01)", "'race' and a date cannot be compared; give both the same"),
        ("age + race > 5", "'age' and 'race' cannot be added"),
    ],
)
def test_a_condition_that_does_not_fit_the_table(condition: str, message: str) -> None:
    """The error names the columns and quotes no cell."""
    with pytest.raises(DataError) as caught:
        validated(PEOPLE, field_constraints=[condition])
    assert str(caught.value).startswith(message)
    assert "White" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused() -> None:
    """Which one is meant cannot be known."""
    data = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="2 columns named 'a'"):
        parse("a > 1").holds(data)


@given(text=st.text(max_size=30) | st.text("ab <>=!&|()+'\"ISNOT.pd0DATE-", max_size=30))
def test_reading_any_text_fails_with_a_value_error_at_most(text: str) -> None:
    """Whatever is written, it is read, or refused as a wrong value."""
    try:
        condition = parse(text)
    except ValueError:
        return
    assert condition.text == text


def formulas() -> st.SearchStrategy[tuple[str, str]]:
    """Give conditions with what they are in Python."""
    atoms = st.tuples(
        st.sampled_from(["a", "b", "c-d"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(-3, 3),
    ).map(lambda atom: (f"{atom[0]} {atom[1]} {atom[2]}", f"row['{atom[0]}'] {atom[1]} {atom[2]}"))

    def joined(
        parts: st.SearchStrategy[tuple[str, str]],
    ) -> st.SearchStrategy[tuple[str, str]]:
        joins = st.sampled_from([("&", "and"), ("|", "or")])
        return st.tuples(parts, joins, parts).map(
            lambda t: (f"{t[0][0]} {t[1][0]} {t[2][0]}", f"{t[0][1]} {t[1][1]} {t[2][1]}")
        ) | parts.map(lambda part: (f"({part[0]})", f"({part[1]})"))

    return st.recursive(atoms, joined, max_leaves=6)


@given(
    formula=formulas(),
    rows=st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=5),
)
def test_precedence_is_that_of_and_or_and_comparisons(
    formula: tuple[str, str], rows: list[tuple[int, int, int]]
) -> None:
    """Comparisons bind tighter than &, & tighter than |, for any nesting."""
    text, python = formula
    data = pd.DataFrame(rows, columns=["a", "b", "c-d"])
    expected = [bool(eval(python, {"row": row})) for _, row in data.iterrows()]  # noqa: S307 - the test's own text
    assert parse(text).holds(data).tolist() == expected


GAPS = pd.DataFrame(
    {
        "job": ["cook", None, "smith", None],
        "pay": [1.0, 2.0, None, None],
        "bonus": [None, 5.0, 6.0, None],
        "title": ["a", "b", None, "d"],
    }
)


@pytest.mark.parametrize(
    ("rules", "column", "expected"),
    [
        ({"job": "delete"}, "title", ["a", None]),
        ({"job": {"delete": ["pay"]}}, "title", ["a", None]),
        ({"job": {"erase": "pay"}}, "pay", [1.0, None, None, None]),
        ({"job": {"erase": ["pay", "bonus"]}}, "bonus", [None, None, 6.0, None]),
        ({"pay": {"copy": "bonus"}}, "bonus", [1.0, 5.0, 6.0, None]),
        ({"pay": {"nan_if_condition": {"title": "a"}}}, "pay", [None, 2.0, None, None]),
        ({"pay": {"nan_if_condition": {"title": ["a", "b"]}}}, "pay", [None] * 4),
        ({"bonus": {"nan_if_condition": {"title": "pd.NA"}}}, "bonus", [None, 5.0, None, None]),
        ({"pay": {"copy": "bonus", "erase": "title"}}, "title", ["a", "b", None, None]),
        ({"pay": {"copy": "bonus"}, "job": "delete"}, "bonus", [1.0, 6.0]),
    ],
)
def test_nan_groups(rules: dict[str, Any], column: str, expected: list[Any]) -> None:
    """Rows without a value are deleted, or mended, as the rule says."""
    before = GAPS.copy(deep=True)
    found = resampled(GAPS, nan_groups=rules)[column].astype(object)
    assert [None if pd.isna(value) else value for value in found] == expected
    pd.testing.assert_frame_equal(GAPS, before)


def test_deletions_come_before_other_rules_for_missing_values() -> None:
    """A value erased by one rule does not delete the row by another."""
    rules = {"job": {"erase": "title"}, "title": "delete"}
    found = resampled(GAPS, nan_groups=rules)
    assert found["title"].fillna("-").tolist() == ["a", "-", "-"]


def test_copying_to_a_column_of_another_type_is_refused() -> None:
    """The error names both columns and their types."""
    with pytest.raises(DataError, match=r"cannot copy 'pay' \(float64\) to 'title' \("):
        resampled(GAPS, nan_groups={"pay": {"copy": "title"}})


SCORES = pd.DataFrame(
    {
        "degree": ["PhD", "PhD", "MSc", "BSc", None, "PhD"],
        "country": ["US", "US", "US", "UK", "US", "UK"],
        "score": [5, 1, 4, 1, 1, None],
    }
)


@pytest.mark.parametrize(
    ("combination", "kept"),
    [
        ([{"degree": "score"}, {"PhD": [4, 5]}], [0, 2, 3, 4]),
        ([{"degree": "score"}, {"PhD": [4, 5, "pd.NA"]}], [0, 2, 3, 4, 5]),
        ([{"degree": "score"}, {"PhD": 1, "MSc": [1, 2]}], [1, 3, 4]),
        ([{"degree": "score"}, {"pd.NA": [5]}], [0, 1, 2, 3, 5]),
        ([{"score": "degree"}, {1: ["BSc"]}], [0, 2, 3, 5]),
        (({("degree", "country"): "score"}, {("PhD", "US"): [1]}), [1, 2, 3, 4, 5]),
    ],
)
def test_field_combinations(combination: Any, kept: list[int]) -> None:
    """Only rows with a listed source value and another target value are dropped."""
    data = SCORES.assign(row=range(6))
    assert resampled(data, field_combinations=[combination])["row"].tolist() == kept


def test_rules_are_enforced_in_a_fixed_order() -> None:
    """Missing values first: a condition sees what they have become."""
    found = resampled(GAPS, field_constraints=["bonus < 3"], nan_groups={"pay": {"copy": "bonus"}})
    assert found["title"].tolist() == ["a"]


def test_enough_rows_are_drawn_and_no_more() -> None:
    """The rows at hand come first, then drawn ones in their order, until the target is met."""
    counter = Counter()
    modules = {"Loader": Made(counted(0, 10)), "Synthesizer": Made(counted(0, 10), counter)}
    adapter = constrain(
        modules, field_constraints=["parity == 'odd'", "n > 5"], target_rows=8, sampling_ratio=1.5
    )
    result = adapter.get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [7, 9, 7, 9, 11, 13, 15, 17]
    assert result.index.equals(pd.RangeIndex(8))
    assert adapter.get_validation_result() is None


def test_drawing_leaves_the_synthesizer_as_it_is() -> None:
    """What one Constrainer draws does not depend on the ones before it."""
    counter = Counter()
    modules = {"Loader": Made(counted(0, 4)), "Synthesizer": Made(counted(0, 4), counter)}
    first = constrain(modules, field_constraints=["n > 20"]).get_result()
    second = constrain(modules, field_constraints=["n > 20"]).get_result()
    assert isinstance(first, pd.DataFrame)
    assert first["n"].tolist() == [21, 22, 23, 24]
    assert isinstance(second, pd.DataFrame)
    assert second["n"].tolist() == [21, 22, 23, 24]
    assert counter.drawn == []


@pytest.mark.parametrize("given", [None, "None"])
def test_as_many_rows_as_before_are_wanted_by_default(given: object) -> None:
    """Without a target, or with PETsARD's text None for it, the number of rows stays."""
    modules = {"Loader": Made(counted(0, 7)), "Synthesizer": Made(counted(0, 7), Counter())}
    adapter = constrain(modules, field_constraints=["parity == 'odd'"], target_rows=given)
    assert len(adapter.get_result()) == 7


def test_drawn_rows_are_restored_where_a_postprocessor_ran() -> None:
    """Constraints see rows in the form that the Postprocessor gives back."""
    raw, restored = counted(0, 3), counted(0, 3).assign(n=[0, 2, 4])
    modules = {
        "Loader": Made(restored),
        "Preprocessor": Made(raw, Doubling()),
        "Synthesizer": Made(raw, Counter()),
        "Postprocessor": Made(restored),
    }
    result = constrain(modules, field_constraints=["n >= 6"]).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [6, 8, 10]
    del modules["Postprocessor"]
    result = constrain(modules, field_constraints=["n >= 6"]).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [6, 7, 8]


def test_drawn_rows_are_rounded_as_the_postprocessor_rounds() -> None:
    """A precision that the Loader's schema declares holds for rows drawn later."""
    raw = pd.DataFrame({"n": [0.5, 1.0]})
    schema = Schema.of("data", [Attribute("n", "float64", precision=1)])

    class Thirds:
        def sample(self, num_rows: int) -> pd.DataFrame:
            return pd.DataFrame({"n": [2 / 3] * num_rows})

    modules = {
        "Loader": Made(raw, schema=schema),
        "Preprocessor": Made(raw, Doubling()),
        "Synthesizer": Made(raw, Thirds()),
        "Postprocessor": Made(raw),
    }
    result = constrain(modules, field_constraints=["n > 1"]).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [1.3, 1.3]


def test_too_few_rows_are_returned_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """After max_trials draws there are what there are; progress is logged every verbose_step."""
    modules = {"Loader": Made(counted(0, 4)), "Synthesizer": Made(counted(0, 4), Counter())}
    with caplog.at_level(logging.INFO, "petsard_otel"):
        adapter = constrain(
            modules, field_constraints=["n == 2"], max_trials=4, sampling_ratio=1, verbose_step=2
        )
    result = adapter.get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [2, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "trial 2: 2 of 4 rows",
        "trial 4: 2 of 4 rows",
        (
            "after 4 draws of 4 rows, the 2 rows that keep the constraints are too few, or not in "
            "the proportions asked for; 4 were wanted"
        ),
    ]


def test_no_row_at_all_is_an_error_that_names_the_worst_rule() -> None:
    """The rule that most rows break is named, with how many."""
    modules = {"Loader": Made(counted(0, 4)), "Synthesizer": Made(counted(0, 4), Counter())}
    with pytest.raises(DataError) as caught:
        constrain(modules, field_constraints=["n > 2", "n < 0"], max_trials=2)
    assert str(caught.value) == (
        "none of 80 rows drawn keeps all constraints; loosen them, above all 'n < 0', which "
        "4 of 4 rows break"
    )


def share_of(data: object, column: str, value: object) -> float:
    """Return how large a part of the rows has this value."""
    assert isinstance(data, pd.DataFrame)
    return float((data[column] == value).mean())


def test_proportions_are_those_of_the_original_table() -> None:
    """Synthetic rows in other proportions are replaced, the rare value's rows all kept."""
    original = pd.DataFrame({"group": ["a"] * 80 + ["b"] * 20})
    skewed = pd.DataFrame({"group": ["a"] * 30 + ["b"] * 70})

    class Skewed:
        def sample(self, num_rows: int) -> pd.DataFrame:
            return pd.DataFrame({"group": np.where(np.arange(num_rows) % 10 < 3, "a", "b")})

    modules = {"Loader": Made(original), "Synthesizer": Made(skewed, Skewed())}
    rule = {"fields": "group", "mode": "all", "tolerance": 0.05}
    result = constrain(modules, field_proportions=[rule]).get_result()
    assert len(result) == 100
    assert share_of(result, "group", "a") == 0.8


def test_proportions_come_from_the_training_rows_of_a_splitter() -> None:
    """Not from the whole table that was loaded."""
    train = pd.DataFrame({"group": ["a"] * 10})
    modules = {
        "Loader": Made(pd.DataFrame({"group": ["b"] * 10})),
        "Splitter": Made({"train": train, "validation": train}),
    }
    rule = {"fields": "group", "mode": "all", "tolerance": 0}
    assert constrain(modules, field_proportions=[rule]).get_result()["is_fully_compliant"]


def test_proportions_of_missing_values_and_of_combinations() -> None:
    """The share of missing numbers, and of pairs of values, is kept as well."""
    original = pd.DataFrame(
        {"x": [1.0, None] * 50, "a": ["p", "q"] * 50, "b": [True] * 50 + [False] * 50}
    )

    class Other:
        def sample(self, num_rows: int) -> pd.DataFrame:
            random = np.random.default_rng(num_rows)
            return pd.DataFrame(
                {
                    "x": np.where(random.random(num_rows) < 0.1, np.nan, 1.0),
                    "a": random.choice(["p", "q"], num_rows),
                    "b": random.random(num_rows) < 0.9,
                }
            )

    modules = {"Loader": Made(original), "Synthesizer": Made(Other().sample(100), Other())}
    result = constrain(
        modules,
        field_proportions=[
            {"fields": "x", "mode": "missing", "tolerance": 0.02},
            {"fields": ["a", "b"], "mode": "all", "tolerance": 0.03},
        ],
    ).get_result()
    assert isinstance(result, pd.DataFrame)
    assert len(result) == 100
    assert result["x"].isna().sum() == 50
    assert result.groupby(["a", "b"]).size().tolist() == [25, 25, 25, 25]


def test_where_rows_are_too_few_there_are_as_many_as_there_may_be() -> None:
    """A value in excess fills up to its bound, not only to its share."""
    original = pd.DataFrame({"group": ["a"] * 80 + ["b"] * 20})
    made = pd.DataFrame({"group": ["a"] * 30 + ["b"] * 70})
    modules = {"Loader": Made(original), "Synthesizer": Made(made, Nothing(made))}
    rule = {"fields": "group", "mode": "all", "tolerance": 0.05}
    result = constrain(modules, field_proportions=[rule], max_trials=1).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["group"].value_counts().to_dict() == {"a": 30, "b": 25}


def test_rows_passed_over_at_first_are_remembered() -> None:
    """A row that only fits together with one drawn later is chosen then."""
    original = pd.DataFrame({"g": ["x", "x", "y", "y"], "h": ["p", "q", "p", "q"]})

    class OneKind:
        def sample(self, num_rows: int) -> pd.DataFrame:
            return pd.DataFrame({"g": ["x"] * num_rows, "h": ["q"] * num_rows})

    made = pd.DataFrame({"g": ["x", "y"], "h": ["p", "p"]})
    modules = {"Loader": Made(original), "Synthesizer": Made(made, OneKind())}
    rules = [{"fields": name, "mode": "all", "tolerance": 0.0} for name in ("g", "h")]
    result = constrain(modules, field_proportions=rules).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result.to_numpy().tolist() == [["y", "p"], ["x", "q"]]


def test_what_other_constraints_rule_out_has_no_share() -> None:
    """Rows that are deleted for a missing value do not count as missing in the original."""
    original = pd.DataFrame({"group": ["a"] * 40 + ["b"] * 20 + [None] * 40})
    made = pd.DataFrame({"group": ["a"] * 10 + ["b"] * 50 + [None] * 40})
    modules = {"Loader": Made(original), "Synthesizer": Made(made, Nothing(made))}
    rules = [{"fields": "group", "mode": "all", "tolerance": 0.0}]
    parameters = {"nan_groups": {"group": "delete"}, "field_proportions": rules}
    result = constrain(modules, target_rows=15, max_trials=1, **parameters).get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["group"].value_counts().to_dict() == {"a": 10, "b": 5}
    modules["Loader"] = Made(original.head(40))
    modules["Synthesizer"] = Made(made.tail(90), Nothing(made))
    with pytest.raises(DataError, match="no row of the original table keeps the other"):
        constrain(modules, field_constraints=["group == 'b'"], field_proportions=rules)


def test_numbers_have_no_proportions() -> None:
    """The error names the column and says what to do."""
    rule = {"fields": "n", "mode": "all"}
    with pytest.raises(DataError, match="column 'n' is of type int64; declare it as text"):
        validated(counted(0, 3), field_proportions=[rule])


@settings(max_examples=15)
@given(
    original=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=20),
    synthetic=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=40),
    tolerance=st.sampled_from([0.0, 0.1, 0.5]),
    target=st.integers(1, 30),
)
def test_no_value_gets_more_rows_than_its_share_and_tolerance(
    original: list[str | None], synthetic: list[str | None], tolerance: float, target: int
) -> None:
    """Whatever there is to choose from, the bound above is kept to the row."""

    class Same:
        def sample(self, num_rows: int) -> pd.DataFrame:
            return pd.DataFrame({"v": pd.Series(synthetic, dtype=object)})

    data = Same().sample(0)
    modules = {
        "Loader": Made(pd.DataFrame({"v": pd.Series(original, dtype=object)})),
        "Synthesizer": Made(data, Same()),
    }
    rule = {"fields": "v", "mode": "all", "tolerance": tolerance}
    try:
        result = constrain(
            modules, field_proportions=[rule], target_rows=target, max_trials=5, verbose_step=0
        ).get_result()
    except DataError:
        return
    assert isinstance(result, pd.DataFrame)
    assert len(result) <= target
    for value in ["a", "b", "c", None]:
        count = sum(
            one is None if value is None else one == value
            for one in result["v"].where(result["v"].notna(), None)
        )
        share = original.count(value) / len(original)
        assert count <= np.ceil(round((share + tolerance) * target, 9))


def test_a_validation_counts_rows_by_rule() -> None:
    """Every rule is checked against the table as it is; which rows break it is kept apart."""
    found = validated(
        PEOPLE[["age", "race", "income", "rank"]],
        nan_groups={"age": "delete", "race": {"erase": ["rank", "income"]}},
        field_constraints=["age > 0", "age >= 18"],
        field_combinations=[[{"race": "income"}, {"White": [">50K"]}]],
        field_proportions=[{"fields": "race", "mode": "all", "tolerance": 0.0}],
    )
    details = found.pop("violation_details")
    assert found == {
        "total_rows": 4,
        "passed_rows": 1,
        "failed_rows": 3,
        "pass_rate": 0.25,
        "is_fully_compliant": False,
        "constraint_violations": {
            "nan_groups": {
                "age: delete": {"failed_count": 1, "fail_rate": 0.25, "violation_examples": [3]},
                "race: erase (rank, income)": {
                    "failed_count": 1,
                    "fail_rate": 0.25,
                    "violation_examples": [2],
                },
            },
            "field_constraints": {
                "Rule 1: age > 0": {
                    "failed_count": 1,
                    "fail_rate": 0.25,
                    "violation_examples": [3],
                },
                "Rule 2: age >= 18": {
                    "failed_count": 2,
                    "fail_rate": 0.5,
                    "violation_examples": [0, 3],
                },
            },
        },
    }
    assert details.index.tolist() == [0, 2, 3]
    assert details.columns.tolist() == [
        "age",
        "race",
        "income",
        "rank",
        "__violated_nan_groups_age__",
        "__violated_nan_groups_race__",
        "__violated_field_constraints_rule0__",
        "__violated_field_constraints_rule1__",
    ]
    assert details["__violated_field_constraints_rule1__"].tolist() == [True, False, True]


def test_a_table_that_keeps_everything_is_fully_compliant() -> None:
    """No violation, no details."""
    found = validated(PEOPLE, field_constraints=["days > 0"])
    assert found["is_fully_compliant"] is True
    assert found["pass_rate"] == 1.0
    assert found["constraint_violations"] == {}
    assert found["violation_details"].empty


def test_a_validation_finds_proportions_that_are_off() -> None:
    """Rows too many of a value fail; values with too few rows are counted."""
    original = pd.DataFrame({"v": ["a", "b", "c", "d"] * 10})
    made = pd.DataFrame({"v": ["a"] * 25 + ["b"] * 10 + ["c"] * 5})
    modules = {"Loader": Made(original), "Synthesizer": Made(made)}
    adapter = constrain(
        modules, field_proportions=[{"fields": "v", "mode": "all", "tolerance": 0.1}]
    )
    found = adapter.get_validation_result()
    assert found is not None
    assert found["constraint_violations"] == {
        "field_proportions": {
            "Rule 1: v (mode=all, tolerance=0.1)": {
                "failed_count": 11,
                "fail_rate": 0.275,
                "violation_examples": [14, 15, 16, 17, 18, 19],
                "error": "2 of 4 values have too few rows",
            }
        }
    }
    assert found["passed_rows"] == 29


def test_too_few_rows_of_a_value_break_a_rule_that_no_row_breaks() -> None:
    """All rows pass, and yet the table is not compliant."""
    original = pd.DataFrame({"v": ["a"] * 40 + ["b"] * 40 + ["c"] * 20})
    made = pd.DataFrame({"v": ["a"] * 48 + ["b"] * 47 + ["c"] * 5})
    modules = {"Loader": Made(original), "Synthesizer": Made(made)}
    found = constrain(modules, field_proportions=[{"fields": "v", "mode": "all"}]).get_result()
    assert isinstance(found, dict)
    assert (found["failed_rows"], found["is_fully_compliant"]) == (0, False)


def test_a_row_with_nothing_to_copy_breaks_no_rule() -> None:
    """Only rows that the rule would change break it."""
    found = validated(GAPS, nan_groups={"pay": {"copy": "bonus"}})
    assert found["constraint_violations"]["nan_groups"] == {
        "pay: copy (bonus)": {"failed_count": 1, "fail_rate": 0.25, "violation_examples": [0]}
    }


@pytest.mark.parametrize("method", ["validate", "Validate"])
def test_a_validation_can_be_asked_for_where_rows_could_be_drawn(method: str) -> None:
    """The table is checked as it is and its schema stays."""
    modules = {"Loader": Made(counted(0, 4)), "Synthesizer": Made(counted(0, 4), Counter())}
    adapter = constrain(modules, method=method, field_constraints=["n > 1"])
    result = adapter.get_result()
    assert isinstance(result, dict)
    assert result["failed_rows"] == 2
    assert result is adapter.get_validation_result()
    assert adapter.get_metadata() is modules["Synthesizer"].schema


def test_several_sources_are_checked_apart() -> None:
    """Each source has a validation of its own; the result is the tables themselves."""
    train, rest, made = counted(0, 4), counted(4, 6), counted(0, 10)
    modules = {
        "Loader": Made(counted(0, 6)),
        "Splitter": Made({"train": train, "validation": rest}),
        "Synthesizer": Made(made, Counter()),
    }
    sources = ["Splitter", "Splitter.ori", "Splitter.control", "Splitter.train", "Synthesizer"]
    adapter = constrain(modules, source=sources, field_constraints=["n < 5"])
    found = adapter.get_validation_result()
    assert found is not None
    assert {name: one["failed_rows"] for name, one in found.items()} == {
        "Splitter": 0,
        "Splitter.ori": 0,
        "Splitter.control": 1,
        "Splitter.train": 0,
        "Synthesizer": 5,
    }
    assert found["Synthesizer"]["source_name"] == "Synthesizer"
    result = adapter.get_result()
    assert isinstance(result, dict)
    assert result["Splitter.control"] is rest


@pytest.mark.parametrize("source", ["Loader.train", "Evaluator", "Splitter"])
def test_an_unknown_source_is_named(source: str) -> None:
    """The error says which tables there are."""
    with pytest.raises(ConfigError, match=rf"Constrainer\[c\].source: .*'{source}'.*Loader"):
        constrain({"Loader": Made(PEOPLE)}, source=source)


def test_a_table_without_rows_is_neither_checked_nor_constrained() -> None:
    """There is nothing to say about it."""
    empty = counted(0, 0)
    with pytest.raises(DataError, match="without rows cannot be validated"):
        validated(empty, field_constraints=["n > 1"])
    with pytest.raises(DataError, match="without rows cannot be constrained"):
        resampled(empty, field_constraints=["n > 1"])


def test_the_schema_is_the_one_given_where_the_structure_is_the_same() -> None:
    """Resampling keeps the very schema; where a rule makes gaps, only that column changes."""
    schema = Schema.of(
        "data",
        [
            Attribute("n", "int64", category=True),
            Attribute("parity", "string"),
            Attribute("is_tenth", "boolean"),
        ],
    )
    data = counted(0, 10)
    modules = {"Loader": Made(data), "Synthesizer": Made(data, Counter(), schema)}
    assert constrain(modules, field_constraints=["n > 1"]).get_metadata() is schema
    changed = constrain(
        modules, nan_groups={"parity": {"nan_if_condition": {"n": 2}}}
    ).get_metadata()
    assert changed.attributes["n"] is schema.attributes["n"]
    assert changed.attributes["parity"] == Attribute("parity", "string", nullable=True)


def test_nothing_can_be_asked_before_the_run() -> None:
    """Result and schema are there only after the run."""
    adapter = ConstrainerAdapter("c", {})
    with pytest.raises(UnexecutedError, match=r"Constrainer\[c\]"):
        adapter.get_result()
    with pytest.raises(UnexecutedError, match=r"Constrainer\[c\]"):
        adapter.get_metadata()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "resampel"}, "method: unknown method 'resampel'; did you mean 'resample'?"),
        ({"target_row": 3}, "target_row: unknown key 'target_row'; did you mean 'target_rows'?"),
        ({"target_rows": 0}, "target_rows"),
        ({"target_rows": "many"}, "target_rows"),
        ({"max_trials": 0}, "max_trials"),
        ({"sampling_ratio": 0}, "sampling_ratio"),
        ({"verbose_step": -1}, "verbose_step"),
        ({"source": 3}, "source"),
        ({"source": "Loader", "method": "resample"}, "source: names tables to validate; leave"),
        ({"field_constraints": "age > 3"}, "field_constraints"),
        ({"nan_groups": ["job"]}, "nan_groups: expected a mapping from columns to actions"),
        (
            {"nan_groups": {"job": {"ersae": "pay"}}},
            "nan_groups: job: unknown action 'ersae'; did you mean 'erase'? Valid: delete, erase",
        ),
        ({"nan_groups": {"job": "erase"}}, "nan_groups: job.erase: expected the names of columns"),
        ({"nan_groups": {"job": {}}}, "nan_groups: job: expected 'delete' or a mapping"),
        (
            {"nan_groups": {"job": {"delete": "x", "erase": "pay"}}},
            "nan_groups: job: 'delete' leaves nothing to do",
        ),
        ({"nan_groups": {"job": {"copy": "job"}}}, "nan_groups: job.copy: expected other columns"),
        ({"nan_groups": {"job": {"erase": []}}}, "nan_groups: job.erase: expected the names of"),
        (
            {"nan_groups": {"job": {"nan_if_condition": ["pay"]}}},
            "nan_groups: job.nan_if_condition: expected a mapping from columns to values",
        ),
        ({"field_combinations": [{"a": "b"}]}, "field_combinations.0: expected two mappings"),
        (
            {"field_combinations": [[{"a": "b", "c": "d"}, {}]]},
            "field_combinations.0: expected two mappings",
        ),
        ({"field_combinations": [[{"a": 3}, {}]]}, "field_combinations.0: expected names of"),
        (
            {"field_combinations": [[{("a", "b"): "c"}, {"x": ["y"]}]]},
            "field_combinations.0: expected 2 source values in each entry",
        ),
        (
            {"field_combinations": [[{"a": "b"}, {"x": {"y": 1}}]]},
            "field_combinations.0: expected a list of target values",
        ),
        ({"field_proportions": [{"fields": "a"}]}, "field_proportions.0.mode"),
        ({"field_proportions": [{"fields": "a", "mode": "most"}]}, "field_proportions.0.mode"),
        (
            {"field_proportions": [{"fields": "a", "mode": "all", "tolerance": 2}]},
            "field_proportions.0.tolerance",
        ),
        ({"field_proportions": [{"fields": [], "mode": "all"}]}, "field_proportions.0.fields"),
        (
            {"field_proportions": [{"fields": "a", "mode": mode} for mode in ("all", "missing")]},
            "field_proportions: there are two rules for a; keep one",
        ),
    ],
)
def test_mistakes_in_the_configuration(parameters: dict[str, Any], message: str) -> None:
    """Each is found before anything runs, and named by module, experiment and key."""
    with pytest.raises(ConfigError) as caught:
        ConstrainerAdapter("c", parameters)
    assert str(caught.value).startswith(f"Constrainer[c].{message}")


def test_resampling_needs_something_to_draw_from() -> None:
    """Without a Synthesizer, or with one that only loads, the method is a mistake."""
    for modules in (
        {"Loader": Made(PEOPLE)},
        {"Loader": Made(PEOPLE), "Synthesizer": Made(PEOPLE)},
    ):
        with pytest.raises(ConfigError, match=r"Constrainer\[c\].method: .* needs a Synthesizer"):
            constrain(modules, method="resample")


def test_a_constrainer_needs_a_table_before_it() -> None:
    """As the first module it has nothing to constrain."""
    with pytest.raises(ConfigError, match="must make a table"):
        constrain({})


def test_constraints_may_stand_in_a_file(tmp_path: Path) -> None:
    """The file's constraints are those of the experiment, whose other keys stay its own."""
    path = tmp_path / "rules.yaml"
    path.write_text("field_constraints:\n  - n > 1\nnan_groups:\n  parity: delete\n")
    modules = {"Loader": Made(counted(0, 4)), "Synthesizer": Made(counted(0, 4), Counter())}
    adapter = constrain(modules, constraints_yaml=str(path), target_rows=2)
    result = adapter.get_result()
    assert isinstance(result, pd.DataFrame)
    assert result["n"].tolist() == [2, 3]


def test_a_file_of_constraints_is_found_where_python_finds_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As next to the script that was started."""
    (tmp_path / "rules.yaml").write_text("field_constraints: ['n > 1']\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = constrain({"Loader": Made(counted(0, 4))}, constraints_yaml="rules.yaml")
    assert found.get_result()["failed_rows"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file '{path}' in "),
        ("field_constraints: [a", "{path}:1: not valid YAML: "),
        ("x: !!bool maybe\n", "{path}: "),
        ("[" * 5000, "{path}"),
        ("- a\n", "{path}: expected a mapping with nan_groups, field_constraints, "),
        ("field_constraints: ['a >> 1']\n", "{path}: field_constraints.0: this cannot be read, at"),
        (
            "feild_constraints: []\n",
            "{path}: feild_constraints: unknown key 'feild_constraints'; did",
        ),
        (b"\xff\xfe\xff", "{path}: the file is not UTF-8 text (byte 0)"),
    ],
)
def test_mistakes_in_a_file_of_constraints(
    tmp_path: Path, text: str | bytes | None, message: str
) -> None:
    """Each is found before anything runs, and the file is named."""
    path = tmp_path / "rules.yaml"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        ConstrainerAdapter("c", {"constraints_yaml": str(path)})
    expected = "Constrainer[c].constraints_yaml: " + message.format(path=path)
    assert str(caught.value).startswith(expected)


def test_a_mistake_beside_a_file_of_constraints_is_not_blamed_on_it(tmp_path: Path) -> None:
    """The key is named where it stands."""
    path = tmp_path / "rules.yaml"
    path.write_text("field_constraints: ['n > 1']\n")
    with pytest.raises(ConfigError, match=r"^Constrainer\[c\]\.max_trials: "):
        ConstrainerAdapter("c", {"constraints_yaml": str(path), "max_trials": 0})
    with pytest.raises(ConfigError, match="cannot be combined with nan_groups; put all"):
        ConstrainerAdapter("c", {"constraints_yaml": str(path), "nan_groups": {}})


def test_a_pipeline_keeps_its_constraints() -> None:
    """From a file to constrained rows in the original form, the same ones each time."""
    config = {
        "Loader": {"cars": {"filepath": str(CARS)}},
        "Preprocessor": {"default": {"method": "default"}},
        "Synthesizer": {"copula": {"random_state": 1}},
        "Postprocessor": {"default": {"method": "default"}},
        "Constrainer": {
            "heavy": {
                "nan_groups": {"Horsepower": "delete"},
                "field_constraints": ["Cylinders >= 6 & Origin == 'USA'"],
            },
            "checked": {"method": "validate", "field_constraints": ["Cylinders >= 3"]},
        },
    }
    executor = Executor(config, engine="builtin")
    executor.run()
    heavy, checked = executor.get_result().values()
    restored = executor.status.get_result("Postprocessor")
    assert len(heavy) == len(restored)
    assert heavy["Cylinders"].min() >= 6
    assert set(heavy["Origin"]) == {"USA"}
    assert heavy["Horsepower"].notna().all()
    assert heavy.dtypes.equals(restored.dtypes)
    assert checked["is_fully_compliant"]
    assert executor.status.get_validation_result("Constrainer") is checked
    timing = executor.status.get_timing_report_data(steps=True)
    steps = timing[timing["module_name"] == "Constrainer"]["step_name"]
    assert steps.tolist() == ["resample", "run", "validate", "run"]
    again = Executor(config, engine="builtin")
    again.run()
    pd.testing.assert_frame_equal(next(iter(again.get_result().values())), heavy)
