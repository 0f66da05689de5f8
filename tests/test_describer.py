"""The Describer from outside: its figures about tables that can be checked by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.describer import DescriberAdapter

CARS = str(Path(__file__).parent.parent / "examples" / "cars.csv")

TABLE = pd.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, None, 6.0],
        "kind": ["a", "b", None, "a", "a"],
        "flag": [True, False, True, True, True],
        "day": pd.to_datetime(["2020-01-01"] * 5),
    }
)


class FakeStatus:
    """What the Describer asks a Status for."""

    def __init__(self, **results: Any) -> None:
        self.results = results

    def get_data_by_module(self, modules: str) -> dict[str, pd.DataFrame]:
        """Return the tables that a module made."""
        result = self.results.get(modules, {})
        if isinstance(result, pd.DataFrame):
            return {modules: result}
        return {f"{modules}_{part}": table for part, table in result.items()}


def describe(parameters: dict[str, Any], **tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Run one Describer on tables."""
    source = "Loader" if len(tables) == 1 else ["Loader", "Synthesizer"]
    adapter = DescriberAdapter("figures", {"source": source, **parameters})
    adapter.run(tables)
    return adapter.get_result()


def rows(table: pd.DataFrame) -> dict[Any, Any]:
    """Return a table as plain values by row key, missing ones left out."""
    return {
        key: {name: value for name, value in row.items() if not pd.isna(value)}
        for key, row in table.to_dict("index").items()
    }


# One table


def test_figures_of_one_table_by_hand() -> None:
    """Every figure, by its name in PETsARD and in its granularity."""
    methods = [
        *("row_count", "col_count", "global_na_count", "mean", "median", "std", "var", "min"),
        *("max", "kurtosis", "skew", "q1", "q3", "iqr", "range", "percentile", "col_na_count"),
        *("nunique", "cov", "corr"),
    ]
    result = describe({"describe_method": methods, "percentile": 0.07}, data=TABLE)
    assert rows(result["global"]) == {0: {"row_count": 5, "col_count": 4, "na_count": 2}}
    assert result["columnwise"].index.names == ["column"]
    columns = rows(result["columnwise"])
    assert columns["size"] == pytest.approx(
        {
            "mean": 3,
            "median": 2.5,
            "std": math.sqrt(14 / 3),
            "var": 14 / 3,
            "min": 1,
            "max": 6,
            "kurtosis": 1.5,
            "skew": 1.1903401282789947,
            "q1": 1.75,
            "q3": 3.75,
            "iqr": 2,
            "range": 5,
            "7.0 th percentile": 1.21,
            "na_count": 1,
        }
    )
    assert columns["kind"] == {"na_count": 1, "nunique": 2}
    assert columns["day"] == {"na_count": 0}
    assert (columns["flag"]["mean"], columns["flag"]["nunique"]) == (0.8, 2)
    pairs = rows(result["pairwise"])
    assert list(pairs) == [("size", "size"), ("flag", "size"), ("flag", "flag")]
    assert pairs[("size", "size")] == pytest.approx({"cov": 14 / 3, "corr": 1})
    assert pairs[("flag", "size")] == pytest.approx(
        {"cov": 1 / 3, "corr": 1 / math.sqrt(14 / 3) * 2 / 3}
    )


def test_default_figures() -> None:
    """Where nothing is named PETsARD's list is computed."""
    result = describe({}, data=TABLE)
    assert list(result) == ["global", "columnwise", "pairwise"]
    assert list(result["global"].columns) == ["row_count", "col_count", "na_count"]
    assert list(result["columnwise"].columns) == [
        *("mean", "median", "std", "min", "max", "kurtosis", "skew", "q1", "q3"),
        *("na_count", "nunique"),
    ]
    assert list(result["pairwise"].columns) == ["corr"]
    assert list(result["columnwise"].index) == ["size", "kind", "flag", "day"]


def test_only_what_is_asked_for() -> None:
    """A granularity without a figure is left out, and so are columns that no figure fits."""
    result = describe({"describe_method": "mean"}, data=TABLE)
    assert list(result) == ["columnwise"]
    assert rows(result["columnwise"]) == {"size": {"mean": 3}, "flag": {"mean": 0.8}}


@pytest.mark.parametrize(
    "table",
    [
        TABLE.iloc[:0],
        TABLE.iloc[:1],
        pd.DataFrame(),
        TABLE[["kind"]],
        pd.DataFrame({"x": [np.nan, np.nan], "y": [1.0, 1.0]}),
        pd.DataFrame({"x": [np.inf, 1.0, -np.inf, 2.0]}),
    ],
)
def test_tables_with_little_in_them(table: pd.DataFrame) -> None:
    """No rows, no columns, no numbers or no values: figures are missing, nothing fails."""
    result = describe({}, data=table)
    assert rows(result["global"])[0]["row_count"] == len(table)
    assert list(result["columnwise"].index) == list(table.columns)
    pairs = describe({"describe_method": ["cov", "corr"]}, data=table)["pairwise"]
    assert list(pairs.columns) == ["cov", "corr"]
    assert pairs.index.names == ["column1", "column2"]


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-100, 100), st.none() | st.sampled_from("abc")),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=30)
def test_counts_are_right_whatever_the_types(cells: list[tuple[Any, ...]]) -> None:
    """Plain, nullable and object columns give the same figures."""
    plain = pd.DataFrame(cells, columns=["x", "k"])
    nullable = plain.astype({"x": "Int64", "k": "string"})
    objects = plain.astype("object")
    figures = [rows(describe({}, data=table)["columnwise"]) for table in (plain, nullable, objects)]
    if plain["x"].notna().any():
        assert figures[0] == figures[1] == figures[2]
    missing = sum(x is None for x, _ in cells)
    assert figures[1]["x"]["na_count"] == missing
    assert figures[1]["k"]["nunique"] == len({k for _, k in cells if k is not None})


def test_pairs_without_a_figure_are_left_out() -> None:
    """A column without values has no covariance, a constant one has no correlation."""
    table = pd.DataFrame({"x": [np.nan, np.nan], "y": [1.0, 1.0], "z": [1.0, 2.0]})
    pairs = rows(describe({"describe_method": ["cov", "corr"]}, data=table)["pairwise"])
    assert pairs == {
        ("y", "y"): {"cov": 0},
        ("z", "y"): {"cov": 0},
        ("z", "z"): pytest.approx({"cov": 0.5, "corr": 1}),
    }


def test_lists_and_repeated_names_are_refused() -> None:
    """The error names the column, and quotes no cell."""
    with pytest.raises(DataError, match="column 'a' holds lists, dicts or other values") as caught:
        describe({}, data=pd.DataFrame({"a": [["secret"]]}))
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="several columns of one name: a;"):
        describe({}, data=pd.DataFrame([[1, 2]], columns=["a", "a"]))


# Two tables


def test_comparison_by_hand() -> None:
    """Each statistic of both tables, the change in parts of the base, and the means of these."""
    result = describe(
        {"stats_method": ["mean", "min", "nunique", "jsdivergence"]},
        base=pd.DataFrame({"x": [0, 4], "k": ["a", "b"]}),
        target=pd.DataFrame({"x": [2.0, 4.0], "k": ["a", "a"]}),
    )
    half_lost = 0.5 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(2) + math.log(1 / 0.75))
    assert list(result) == ["columnwise", "global"]
    assert rows(result["columnwise"]) == {
        "x": pytest.approx(
            {
                "mean_base": 2,
                "mean_target": 3,
                "mean_pct_change": 0.5,
                "min_base": 0,
                "min_target": 2,
                "jsdivergence": math.log(2) / 2,
            }
        ),
        "k": pytest.approx(
            {
                "nunique_base": 2,
                "nunique_target": 1,
                "nunique_pct_change": -0.5,
                "jsdivergence": half_lost,
            }
        ),
    }
    divergence = (math.log(2) / 2 + half_lost) / 2
    assert rows(result["global"]) == {
        0: pytest.approx(
            {
                "Score": divergence / 3,
                "mean_pct_change": 0.5,
                "nunique_pct_change": -0.5,
                "jsdivergence": divergence,
            }
        )
    }


def test_comparison_by_difference() -> None:
    """With `diff` a base of 0 is no obstacle, and the sign says which way."""
    result = describe(
        {"method": "compare", "stats_method": ["min", "max"], "compare_method": "diff"},
        base=pd.DataFrame({"x": [0, -4]}),
        target=pd.DataFrame({"x": [1, -6]}),
    )
    assert rows(result["columnwise"])["x"] == {
        "min_base": -4,
        "min_target": -6,
        "min_diff": -2,
        "max_base": 0,
        "max_target": 1,
        "max_diff": 1,
    }
    assert rows(result["global"]) == {0: {"Score": -0.5, "min_diff": -2, "max_diff": 1}}


def test_pct_change_of_a_negative_base() -> None:
    """The change is in parts of the absolute value, so that more is always positive."""
    result = describe(
        {"stats_method": ["mean"]},
        base=pd.DataFrame({"x": [-4]}),
        target=pd.DataFrame({"x": [-2]}),
    )
    assert result["columnwise"]["mean_pct_change"].item() == 0.5


def test_missing_values_do_not_diverge() -> None:
    """The divergence is between the values that there are; without any it is missing."""
    base = pd.DataFrame({"k": ["a", None], "x": [1.0, np.nan], "gone": ["a", "b"]})
    target = pd.DataFrame({"k": ["a", "a"], "x": [1.0, 1.0], "gone": [None, None]})
    result = describe({"stats_method": ["jsdivergence"]}, base=base, target=target)
    assert rows(result["columnwise"]) == {
        "k": {"jsdivergence": 0},
        "x": {"jsdivergence": 0},
        "gone": {},
    }


def test_a_table_compared_with_itself() -> None:
    """Nothing changed, in any type of column."""
    result = describe({}, base=TABLE, target=TABLE.astype({"kind": "category", "flag": "int64"}))
    changes = result["columnwise"].filter(regex="change|divergence")
    assert set(changes.fillna(0).to_numpy().ravel()) == {0}
    assert changes.notna().any(axis=1).all()
    assert result["global"]["Score"].item() == 0
    assert list(result["columnwise"].index) == ["size", "kind", "flag"]


def test_tables_of_other_columns_are_refused() -> None:
    """The error names what the target lacks."""
    with pytest.raises(
        DataError, match="table 'target' lacks 1 of the 2 columns of table 'base': k"
    ):
        describe({}, base=TABLE[["size", "kind"]].rename(columns={"kind": "k"}), target=TABLE)


# Configuration


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "Describer[figures].source: is required"),
        (
            {"sourc": "Loader"},
            "Describer[figures].sourc: unknown key 'sourc'; did you mean 'source'?",
        ),
        ({"source": 3}, "Describer[figures].source: expected the name of a module, a list of two,"),
        ({"source": []}, "Describer[figures].source: name one source or two, found 0"),
        ({"source": ["Loader"] * 3}, "Describer[figures].source: name one source or two, found 3"),
        (
            {"source": [1, 2]},
            "Describer[figures].source: a source is the name of a module, such as",
        ),
        (
            {"source": "Lodaer"},
            "Describer[figures].source: unknown module 'Lodaer'; did you mean 'Loader'?",
        ),
        ({"source": "Splitter."}, "Describer[figures].source: name the part of Splitter"),
        (
            {"source": {"base": "Loader", "traget": "Synthesizer"}},
            "Describer[figures].source: unknown role 'traget'; did you mean 'target'?",
        ),
        (
            {"source": {"base": "Loader", "ori": "Synthesizer"}},
            "Describer[figures].source: expected the two roles base and target",
        ),
        (
            {"source": {"base": "Loader", "ori": "Loader", "target": "Synthesizer"}},
            "Describer[figures].source: expected the two roles base and target",
        ),
        (
            {"source": "Loader", "method": "compar"},
            "Describer[figures].method: unknown method 'compar'; did you mean 'compare'?",
        ),
        (
            {"source": "Loader", "method": "compare"},
            "Describer[figures].source: method 'compare' takes 2 sources, found 1",
        ),
        (
            {"source": ["Loader", "Synthesizer"], "method": "describe"},
            "Describer[figures].source: method 'describe' takes 1 source, found 2",
        ),
        (
            {"source": "Loader", "stats_method": ["mean"]},
            "Describer[figures].stats_method: the key is for comparing two sources;",
        ),
        (
            {"source": ["Loader", "Synthesizer"], "describe_method": ["mean"]},
            "Describer[figures].describe_method: the key is for describing one source;",
        ),
        (
            {"source": "Loader", "describe_method": ["maen"]},
            "Describer[figures].describe_method: unknown figure 'maen'; did you mean 'mean'?",
        ),
        (
            {"source": "Loader", "describe_method": []},
            "Describer[figures].describe_method: name at least one figure",
        ),
        (
            {"source": "Loader", "describe_method": "percentile"},
            "Describer[figures].percentile: say which percentile to compute, from 0 to 1",
        ),
        (
            {"source": "Loader", "describe_method": "percentile", "percentile": 95},
            "Describer[figures].percentile: Input should be less than or equal to 1 (found 95",
        ),
        (
            {"source": ["Loader", "Synthesizer"], "stats_method": ["var"]},
            "Describer[figures].stats_method: unknown figure 'var';",
        ),
        (
            {"source": ["Loader", "Synthesizer"], "compare_method": "ratio"},
            "Describer[figures].compare_method: Input should be 'pct_change' or 'diff'",
        ),
        (
            {"source": ["Loader", "Synthesizer"], "summary_method": "max"},
            "Describer[figures].summary_method: Input should be 'mean'",
        ),
    ],
)
def test_mistakes_of_configuration(parameters: dict[str, Any], message: str) -> None:
    """Each is found before anything runs, and says where it is and what to do."""
    with pytest.raises(ConfigError) as caught:
        DescriberAdapter("figures", parameters)
    assert str(caught.value).startswith(message)


# Input


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Loader", {"data": "all"}),
        (["Loader"], {"data": "all"}),
        ({"data": "Loader"}, {"data": "all"}),
        ("Splitter", {"data": "train"}),
        ("Splitter.validation", {"data": "validation"}),
        (["Splitter.train", "Synthesizer"], {"base": "train", "target": "synthetic"}),
        ({"base": "Loader", "target": "Synthesizer"}, {"base": "all", "target": "synthetic"}),
        ({"syn": "Synthesizer", "ori": "Loader"}, {"base": "all", "target": "synthetic"}),
    ],
)
def test_every_way_to_name_a_source(source: Any, expected: dict[str, str]) -> None:
    """A source is a module, or a part of what it made; two are told apart by role or order."""
    tables = {name: TABLE.copy() for name in ("all", "train", "validation", "synthetic")}
    status: Any = FakeStatus(
        Loader=tables["all"],
        Splitter={"train": tables["train"], "validation": tables["validation"]},
        Synthesizer=tables["synthetic"],
    )
    found = DescriberAdapter("figures", {"source": source}).set_input(status)
    assert set(found) == set(expected)
    for role, name in expected.items():
        assert found[role] is tables[name]


def test_a_source_that_is_not_there() -> None:
    """The error says what there is."""
    status: Any = FakeStatus(Splitter={"train": TABLE, "validation": TABLE})
    with pytest.raises(ConfigError, match=r"no 'Splitter.trian' .* has made: train, validation"):
        DescriberAdapter("figures", {"source": "Splitter.trian"}).set_input(status)
    with pytest.raises(ConfigError, match="no 'Loader' to describe; Loader has made no table"):
        DescriberAdapter("figures", {"source": "Loader"}).set_input(status)


def test_there_is_no_result_before_the_run() -> None:
    """Asking too early is an error that says so."""
    with pytest.raises(UnexecutedError, match=r"Describer\[figures\] has not run yet"):
        DescriberAdapter("figures", {"source": "Loader"}).get_result()


# Whole pipelines


def test_a_pipeline_is_described_and_compared(tmp_path: Path) -> None:
    """Both modes run on a real table, their time is recorded, and the Reporter saves them."""
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": CARS}},
            "Splitter": {"holdout": {"num_samples": 1, "train_split_ratio": 0.8}},
            "Synthesizer": {"copula": {"method": "default"}},
            "Describer": {
                "cars": {"source": "Loader"},
                "change": {"source": {"base": "Splitter.train", "target": "Synthesizer"}},
            },
            "Reporter": {
                "figures": {
                    "method": "save_report",
                    "granularity": ["global", "columnwise", "pairwise"],
                    "eval": "cars",
                    "output": str(tmp_path / "cars"),
                }
            },
        }
    )
    executor.run()
    timing = executor.status.get_timing_report_data(steps=True)
    steps = timing[(timing["module_name"] == "Describer") & (timing["source"] == "step")]
    assert steps["step_name"].tolist() == ["eval", "eval"]
    table = pd.read_csv(tmp_path / "cars_Reporter[cars_global].csv")
    assert table[["cars_row_count", "cars_col_count", "cars_na_count"]].iloc[0].tolist() == [
        406,
        9,
        14,
    ]
    columns = pd.read_csv(tmp_path / "cars_Reporter[cars_columnwise].csv").set_index("column")
    assert columns["cars_mean"]["Cylinders"] == pytest.approx(5.475369)
    assert columns["cars_nunique"]["Origin"] == 3
    pairs = pd.read_csv(tmp_path / "cars_Reporter[cars_pairwise].csv")
    assert pairs[["column1", "column2"]].iloc[1].tolist() == ["Cylinders", "Miles_per_Gallon"]
    assert pairs["cars_corr"].iloc[1] == pytest.approx(-0.775396)
