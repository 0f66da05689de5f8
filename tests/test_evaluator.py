"""The Evaluator from outside: what its scores say about tables whose quality is known."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.evaluation import fidelity as evaluation_fidelity
from petsard_otel.modules.evaluation import privacy as evaluation_privacy
from petsard_otel.modules.evaluation import scores as evaluation_scores
from petsard_otel.modules.evaluation import utility as evaluation_utility
from petsard_otel.modules.evaluator import EvaluatorAdapter

CARS = str(Path(__file__).parent.parent / "examples" / "cars.csv")

ORI = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "a", "b", "b"]})
SYN = pd.DataFrame({"size": [1.0, 2.0, 3.0, 8.0], "kind": ["a", "a", "a", "b"]})


class FakeStatus:
    """What the Evaluator asks a Status for."""

    def __init__(self, **results: Any) -> None:
        self.status = results
        self.sequence = [*results, "Evaluator"]

    def get_result(self, module: str) -> Any:
        """Return what a module made."""
        return self.status[module]

    def get_pre_module(self, module: str) -> str | None:
        """Return the module before another one."""
        position = self.sequence.index(module)
        return self.sequence[position - 1] if position else None


def evaluate(parameters: dict[str, Any], **tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Run one Evaluator on tables."""
    adapter = EvaluatorAdapter("quality", parameters)
    adapter.run(tables)
    return adapter.get_result()


def rows(table: pd.DataFrame) -> dict[Any, Any]:
    """Return a table as plain values by row key, NaN as None."""
    return {
        key: {name: None if pd.isna(value) else value for name, value in row.items()}
        for key, row in table.to_dict("index").items()
    }


def metrics(result: dict[str, pd.DataFrame], column: str) -> dict[str, float]:
    """Return the scores of one model by metric."""
    table = result["global"]
    return dict(zip(table["metric"].tolist(), table[column].tolist(), strict=True))


def labelled(size: int, seed: int) -> pd.DataFrame:
    """Make rows whose label follows from their numbers."""
    generator = np.random.default_rng(seed)
    width, height = generator.random(size), generator.random(size)
    return pd.DataFrame(
        {
            "width": width,
            "height": np.where(generator.random(size) < 0.05, np.nan, height),
            "shade": generator.choice(["dark", "light"], size),
            "area": width * height,
            "large": np.where(width * height > 0.25, "yes", "no"),
        }
    )


# Fidelity


def test_fidelity_scores_by_hand() -> None:
    """The three granularities hold the scores that the formulas give on four rows."""
    result = evaluate({"method": "fidelity"}, ori=ORI, syn=SYN)
    assert rows(result["global"]) == {
        "result": {"Score": 0.75, "Column Shapes": 0.75, "Column Pair Trends": 0.75}
    }
    assert rows(result["columnwise"]) == {
        "size": {"Property": "Column Shapes", "Metric": "KSComplement", "Score": 0.75},
        "kind": {"Property": "Column Shapes", "Metric": "TVComplement", "Score": 0.75},
    }
    assert rows(result["pairwise"]) == {
        ("size", "kind"): {
            "Property": "Column Pair Trends",
            "Metric": "ContingencySimilarity",
            "Score": 0.75,
            "Real Correlation": None,
            "Synthetic Correlation": None,
        }
    }
    assert result["columnwise"].index.names == ["column"]
    assert result["pairwise"].index.names == ["column1", "column2"]


def test_correlations_are_compared_by_their_difference() -> None:
    """Opposite correlations score 0, whatever the columns' own distributions are."""
    ori = pd.DataFrame({"x": [1, 2, 3], "y": [1, 2, 3]})
    syn = pd.DataFrame({"x": [1, 2, 3], "y": [3, 2, 1]})
    pair = rows(evaluate({}, ori=ori, syn=syn)["pairwise"])[("x", "y")]
    assert pair["Metric"] == "CorrelationSimilarity"
    assert pair["Real Correlation"] == pytest.approx(1)
    assert pair["Synthetic Correlation"] == pytest.approx(-1)
    assert pair["Score"] == pytest.approx(0)


def test_labels_and_pairs_that_have_nothing_in_common() -> None:
    """No common label, or no common pair of labels among many, scores 0."""
    numbers = list(range(40))
    ori = pd.DataFrame({"k": ["a", "b"] * 20, "x": map(str, numbers), "y": map(str, numbers)})
    shifted = [*numbers[1:], 0]
    syn = ori.assign(k=["c", "d"] * 20, y=list(map(str, shifted)))
    result = evaluate({}, ori=ori, syn=syn)
    assert result["columnwise"]["Score"].to_dict() == pytest.approx({"k": 0, "x": 1, "y": 1})
    assert result["pairwise"]["Score"].tolist() == pytest.approx([0, 0, 0])


def test_a_correlation_with_a_constant_is_left_out() -> None:
    """What has no correlation has no score, and does not spoil the mean."""
    ori = pd.DataFrame({"x": [1, 2, 3], "y": [5, 5, 5], "z": [1, 2, 3]})
    result = evaluate({}, ori=ori, syn=ori)
    scores = result["pairwise"]["Score"]
    assert scores.isna().to_dict() == {("x", "y"): True, ("x", "z"): False, ("y", "z"): True}
    assert result["global"]["Score"].item() == 1


def test_default_is_fidelity() -> None:
    """PETsARD's `default`, a quality report, is fidelity here, and so is no method at all."""
    for parameters in ({}, {"method": "default"}, {"method": "Fidelity"}):
        result = evaluate(parameters, ori=ORI, syn=SYN)
        assert list(result) == ["global", "columnwise", "pairwise"]
        assert result["global"]["Score"].item() == 0.75


def test_missing_labels_are_a_label_and_missing_numbers_are_left_out() -> None:
    """Missing values count where labels are compared, and nowhere else."""
    ori = pd.DataFrame({"kind": ["a", None, "a", None], "size": [1.0, 2.0, np.nan, np.nan]})
    syn = pd.DataFrame({"kind": ["a", "a", "a", "a"], "size": [1.0, 2.0, 1.0, np.inf]})
    scores = evaluate({}, ori=ori, syn=syn)["columnwise"]["Score"]
    assert scores.to_dict() == pytest.approx({"kind": 0.5, "size": 1 - 1 / 6})


def test_a_column_that_lost_all_its_numbers_scores_zero() -> None:
    """A synthetic column without a value is as unlike as can be; two of them are alike."""
    ori = pd.DataFrame({"lost": [1.0, 2.0], "never": [np.nan, np.nan], "kind": ["a", "b"]})
    syn = ori.assign(lost=[np.nan, np.nan])
    scores = evaluate({}, ori=ori, syn=syn)["columnwise"]["Score"]
    assert scores.to_dict() == {"lost": 0, "never": 1, "kind": 1}


@pytest.mark.parametrize(
    ("ori", "syn"),
    [
        (pd.Series([1, 2, 3]), pd.Series([1.0, 2.0, 3.0])),
        (pd.Series([1, 2, 3]), pd.Series(["1", "2", "3"])),
        (pd.Series([1.5, None, 3]), pd.Series([1.5, None, 3], dtype="Float64")),
        (pd.Series([1, None, 3], dtype="Int64"), pd.Series([1, None, 3], dtype="object")),
        (pd.Series([1, 2, 2]), pd.Series([1, 2, 2], dtype="category")),
        (pd.Series([1.5, 2.0, 2.0]), pd.Series([Decimal("1.5"), Decimal(2), Decimal(2)])),
        (pd.Series(["a", None, "b"]), pd.Series(["a", None, "b"], dtype="category")),
        (pd.Series(["a", None, "b"], dtype="string"), pd.Series(["a", None, "b"], dtype="object")),
        (pd.Series(["4", "6", None]), pd.Series([4.0, 6.0, None])),
        (pd.Series([4, 6, 6], dtype="category"), pd.Series(["4", "6", "6"])),
        (pd.Series([True, False, True]), pd.Series([1, 0, 1])),
        (pd.Series([True, None, False]), pd.Series([True, None, False], dtype="boolean")),
        (
            pd.Series(pd.to_datetime(["2020-01-01", "NaT", "2021-06-30"])),
            pd.Series(["2020-01-01", None, "2021-06-30"]),
        ),
        (
            pd.Series(pd.to_datetime(["2020-01-01", "2021-06-30"])),
            pd.Series([dt.date(2020, 1, 1), dt.date(2021, 6, 30)]),
        ),
        (pd.Series(pd.to_timedelta([1, 2], unit="h")), pd.Series(["01:00:00", "02:00:00"])),
        (pd.Series([None, None]), pd.Series([np.nan, np.nan])),
        (pd.Series(["a", (1, 2), 3]), pd.Series(["a", (1, 2), 3])),
    ],
)
def test_types_are_aligned_before_comparing(ori: pd.Series[Any], syn: pd.Series[Any]) -> None:
    """The same values score 1, whichever types the two tables hold them in."""
    result = evaluate({}, ori=pd.DataFrame({"c": ori}), syn=pd.DataFrame({"c": syn}))
    assert result["columnwise"]["Score"].tolist() == [1]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(allow_nan=False, width=32),
            st.none() | st.integers(-3, 3),
            st.none() | st.sampled_from(["a", "b", "c"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_a_table_is_like_itself_in_any_order(cells: list[tuple[Any, ...]], random: Any) -> None:
    """Rows in another order score 1 everywhere."""
    shuffled = list(cells)
    random.shuffle(shuffled)
    names = ["real", "whole", "label", "flag"]
    ori, syn = (pd.DataFrame(order, columns=names) for order in (cells, shuffled))
    result = evaluate({}, ori=ori, syn=syn)
    for granularity in ("columnwise", "pairwise"):
        scores = result[granularity]["Score"].dropna()
        assert scores.to_numpy() == pytest.approx(np.ones(len(scores)), abs=1e-6)


def test_columns_that_only_the_synthetic_table_has_are_left_out() -> None:
    """The original decides which columns are compared."""
    result = evaluate({}, ori=ORI, syn=SYN.assign(extra=[1, 2, 3, 4]))
    assert list(result["columnwise"].index) == ["size", "kind"]


def test_large_tables_are_sampled_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits rows and pairs are drawn, as `random_state` says."""
    monkeypatch.setattr(evaluation_fidelity, "PAIR_ROWS", 50)
    monkeypatch.setattr(evaluation_fidelity, "MAX_PAIRS", 4)
    ori, syn = labelled(200, 1), labelled(300, 2)
    first, again, other = (
        evaluate({"random_state": seed}, ori=ori, syn=syn)["pairwise"] for seed in (1, 1, 2)
    )
    assert len(first) == 4
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


# What cannot be compared


@pytest.mark.parametrize(
    ("ori", "syn", "message"),
    [
        (
            {"a": [1], "b": [1], "c": [1]},
            {"b": [1]},
            "table 'syn' lacks 2 of the 3 columns of table 'ori': a, c;",
        ),
        ({"a": [1]}, {"a": []}, "table 'syn' has 0 rows and 1 columns;"),
        ({}, {"a": [1]}, "table 'ori' has 0 rows and 0 columns;"),
        (
            {"a": [1, 2]},
            {"a": ["1", "secret"]},
            "column 'a' holds numbers in table 'ori', and something else in table 'syn';",
        ),
        (
            {"a": pd.to_datetime(["2020-01-01"])},
            {"a": [3]},
            "column 'a' holds moments in table 'ori', and something else in table 'syn';",
        ),
        ({"a": [["secret"]]}, {"a": [["secret"]]}, "column 'a' holds lists, dicts or other values"),
    ],
)
def test_tables_that_cannot_be_compared(ori: Any, syn: Any, message: str) -> None:
    """The error names tables and columns, and quotes no cell."""
    for method in ("fidelity", "privacy"):
        with pytest.raises(DataError) as caught:
            evaluate({"method": method}, ori=pd.DataFrame(ori), syn=pd.DataFrame(syn))
        assert str(caught.value).startswith(message)
        assert "secret" not in str(caught.value)


def test_many_lacking_columns_are_counted() -> None:
    """An error text stays readable, however wide the table is."""
    ori = pd.DataFrame([range(1000)], columns=[f"c{number}" for number in range(1000)])
    with pytest.raises(DataError, match=r"lacks 1000 of the 1000 .* c0, .*c9 and 990 more;"):
        evaluate({}, ori=ori, syn=pd.DataFrame({"other": [1]}))


def test_two_columns_of_one_name_are_refused() -> None:
    """There is no telling which one is meant."""
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="table 'ori' has several columns of one name: a;"):
        evaluate({}, ori=twice, syn=twice)


# Privacy


def test_distances_by_hand() -> None:
    """Distances are in parts of the range; each record's closest one decides."""
    result = evaluate(
        {"method": "privacy"},
        ori=pd.DataFrame({"x": [0.0, 10.0]}),
        syn=pd.DataFrame({"x": [1.0, 4.0]}),
        control=pd.DataFrame({"x": [4.0]}),
    )
    assert rows(result["global"])["result"] == pytest.approx(
        {
            "Score": 1,
            "closer_to_train": 0.5,
            "closer_to_train_expected": 2 / 3,
            "dcr_5th_percentile": 0.115,
            "dcr_5th_percentile_control": 0.4,
            "identical_rows": 0,
            "identical_rows_control": 0,
        }
    )
    assert result["details"].loc[[0.0, 0.5, 1.0]].to_numpy().tolist() == [
        pytest.approx([0.1, 0.4]),
        pytest.approx([0.25, 0.4]),
        pytest.approx([0.4, 0.4]),
    ]


@pytest.mark.parametrize(
    ("ori", "syn", "distance"),
    [
        ({"x": [0.0, 8.0], "k": ["a", "a"]}, {"x": [2.0], "k": ["a"]}, 0.125),
        ({"x": [0.0, 8.0], "k": ["a", "a"]}, {"x": [2.0], "k": ["b"]}, 0.625),
        ({"x": [0.0, 8.0], "k": ["a", None]}, {"x": [8.0], "k": [None]}, 0),
        ({"x": [0.0, None], "k": ["a", "a"]}, {"x": [None], "k": ["a"]}, 0),
        ({"x": [0.0, 8.0], "k": ["a", "a"]}, {"x": [None], "k": ["a"]}, 0.5),
        ({"x": [5.0, 5.0], "k": ["a", "b"]}, {"x": [5.0], "k": ["b"]}, 0),
        ({"k": ["a", "b"]}, {"k": ["c"]}, 1),
        ({"k": ["a"], "m": ["x"], "n": ["z"]}, {"k": ["b"], "m": ["y"], "n": ["z"]}, 2 / 3),
    ],
)
def test_distance_of_numbers_labels_and_missing_values(ori: Any, syn: Any, distance: float) -> None:
    """The distance is the mean over the columns, labels 0 or 1, a missing number at least 0.5."""
    result = evaluate({"method": "privacy"}, ori=pd.DataFrame(ori), syn=pd.DataFrame(syn))
    assert result["details"]["syn_to_ori"].loc[0.0] == pytest.approx(distance)


def test_copied_records_have_no_privacy() -> None:
    """A synthetic table that repeats the training rows scores 0."""
    train, control = labelled(80, 1), labelled(20, 2)
    result = rows(
        evaluate({"method": "privacy"}, ori=train, syn=train.sample(50), control=control)["global"]
    )["result"]
    assert result["Score"] == 0
    assert result["closer_to_train"] == result["identical_rows"] == 1
    assert result["closer_to_train_expected"] == 0.8
    assert result["dcr_5th_percentile"] == 0
    assert result["dcr_5th_percentile_control"] > 0
    assert result["identical_rows_control"] == 0


def test_half_copied_records_have_half_the_privacy() -> None:
    """With tables of one size the score is twice the share that is closer to the control."""
    train, control, new = labelled(300, 1), labelled(300, 2), labelled(300, 3)
    syn = pd.concat([train.iloc[:100], new.iloc[:100]])
    result = rows(evaluate({"method": "privacy"}, ori=train, syn=syn, control=control)["global"])
    assert result["result"]["Score"] == pytest.approx(0.5, abs=0.1)
    assert result["result"]["Score"] == pytest.approx(2 * (1 - result["result"]["closer_to_train"]))
    assert result["result"]["identical_rows"] == 0.5


def test_new_records_have_privacy() -> None:
    """Rows that were never trained on score about 1, whatever the size of the control."""
    train, control, new = labelled(800, 1), labelled(200, 2), labelled(500, 3)
    result = evaluate({"method": "privacy"}, ori=train, syn=new, control=control)["global"]
    assert result["Score"].item() == pytest.approx(1, abs=0.15)


def test_equally_close_records_count_by_their_number() -> None:
    """Where all records are the same, none is closer to the training rows than chance has it."""
    same = pd.DataFrame({"k": ["a"]})
    result = evaluate(
        {"method": "privacy"},
        ori=pd.concat([same] * 3),
        syn=pd.concat([same] * 5),
        control=same,
    )["global"]
    assert result["closer_to_train"].item() == result["closer_to_train_expected"].item() == 0.75
    assert result["Score"].item() == 1


def test_privacy_without_rows_held_back() -> None:
    """The distances are there, what compares with other people's rows is not."""
    result = rows(evaluate({"method": "privacy"}, ori=ORI, syn=SYN)["global"])["result"]
    assert [name for name, value in result.items() if value is None] == [
        "Score",
        "closer_to_train",
        "closer_to_train_expected",
        "dcr_5th_percentile_control",
        "identical_rows_control",
    ]
    assert result["identical_rows"] == 0.5


def test_large_tables_have_their_distances_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits records are drawn; copies are looked for among all of them."""
    monkeypatch.setattr(evaluation_privacy, "RECORD_ROWS", 40)
    monkeypatch.setattr(evaluation_privacy, "QUERY_ROWS", 30)
    monkeypatch.setattr(evaluation_privacy, "BLOCK_CELLS", 400)
    train, control = labelled(80, 1), labelled(20, 2)
    first, again, other = (
        evaluate({"method": "privacy", "random_state": seed}, ori=train, syn=train, control=control)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first["global"], again["global"])
    assert not first["details"].equals(other["details"])
    assert first["global"]["identical_rows"].item() == 1
    assert first["global"]["closer_to_train_expected"].item() == 0.8


# Utility


def test_synthetic_rows_as_good_as_the_original() -> None:
    """The same rows train the same model, which finds what there is to find."""
    ori, control = labelled(400, 1), labelled(200, 2)
    result = evaluate(
        {"method": "mlutility-classification", "target": "large"},
        ori=ori,
        syn=ori,
        control=control,
    )
    original = metrics(result, "ori")
    assert list(original) == [
        "f1_score",
        "roc_auc",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "mcc",
        "pr_auc",
        "tp",
        "tn",
        "fp",
        "fn",
    ]
    assert list(result["global"].columns) == ["metric", "ori", "syn", "diff"]
    assert set(metrics(result, "diff").values()) == {0}
    assert original["accuracy"] > 0.9
    assert sum(metrics(result, "syn")[count] for count in ("tp", "tn", "fp", "fn")) == 200
    assert result["details"].to_dict("index") == {
        "ori": {"rows": 400, "rows_used": 400},
        "syn": {"rows": 400, "rows_used": 400},
        "control": {"rows": 200, "rows_used": 200},
    }


def test_synthetic_rows_that_lost_what_there_was_to_learn() -> None:
    """A target in random order leaves the model to guess."""
    ori, control = labelled(400, 1), labelled(200, 2)
    syn = ori.assign(area=ori["area"].sample(frac=1, random_state=1).to_numpy())
    result = evaluate(
        {"method": "mlutility", "task_type": "reg", "target": "area"},
        ori=ori.drop(columns="large"),
        syn=syn.drop(columns="large"),
        control=control.drop(columns="large"),
    )
    original, synthetic = metrics(result, "ori"), metrics(result, "syn")
    assert original["r2_score"] > 0.9
    assert synthetic["r2_score"] < 0.1
    difference = synthetic["r2_score"] - original["r2_score"]
    assert metrics(result, "diff")["r2_score"] == difference
    assert original["rmse"] < 0.3
    assert synthetic["rmse"] == pytest.approx(1, abs=0.3)


def test_domain_transfer_trains_on_the_synthetic_and_tests_on_the_original() -> None:
    """It needs no rows held back, and has one column of scores."""
    result = evaluate(
        {
            "method": "MLUtility-class",
            "target": "large",
            "experiment_design": "domain_transfer",
            "metrics": ["accuracy", "mcc"],
        },
        ori=labelled(200, 1),
        syn=labelled(400, 2),
    )
    assert result["global"]["metric"].tolist() == ["accuracy", "mcc"]
    assert list(result["global"].columns) == ["metric", "syn_to_ori"]
    assert result["global"]["syn_to_ori"].iloc[0] > 0.9
    assert list(result["details"].index) == ["ori", "syn"]


def test_clusters_of_the_synthetic_rows_fit_the_original() -> None:
    """Two clumps far apart are found in either table; missing values and labels do no harm."""
    generator = np.random.default_rng(1)

    def clumps() -> pd.DataFrame:
        centre = np.repeat([0.0, 100.0], 30)
        table = pd.DataFrame({"x": centre + generator.random(60), "kind": ["a", "b", None] * 20})
        return table.assign(empty=np.nan, y=table["x"].where(table.index % 10 > 0))

    result = evaluate(
        {"method": "mlutility-cluster", "n_clusters": 2},
        ori=clumps(),
        syn=clumps(),
        control=clumps(),
    )
    assert list(metrics(result, "ori")) == ["silhouette_score"]
    assert metrics(result, "ori")["silhouette_score"] > 0.3
    assert metrics(result, "syn")["silhouette_score"] > 0.3


def test_a_number_as_class_and_a_target_of_one_value() -> None:
    """Classes may be numbers, -1 among them; a synthetic target that collapsed is a poor score."""
    ori, control = (
        table.assign(large=np.where(table["large"] == "yes", 1, -1))
        for table in (labelled(300, 1), labelled(100, 2))
    )
    result = evaluate(
        {"method": "mlutility-class", "target": "large", "metrics": ["mcc", "roc_auc", "recall"]},
        ori=ori,
        syn=ori.assign(large=-1.0),
        control=control,
    )
    assert result["details"]["rows_used"].tolist() == [300, 300, 100]
    assert min(metrics(result, "ori").values()) > 0.8
    assert metrics(result, "syn") == {"mcc": 0, "roc_auc": 0.5, "recall": 0}


def test_a_class_that_the_synthetic_rows_lost() -> None:
    """The others are still told apart; what was lost is never predicted."""
    place = np.arange(300) % 3
    table = pd.DataFrame({"x": place + 0.0, "grade": np.array(["low", "mid", "top"])[place]})
    result = evaluate(
        {"method": "mlutility-class", "target": "grade", "metrics": ["recall", "roc_auc"]},
        ori=table,
        syn=table[table["grade"] != "mid"],
        control=table,
    )
    assert metrics(result, "ori") == {"recall": 1, "roc_auc": 1}
    assert metrics(result, "syn")["recall"] == pytest.approx(2 / 3)


def test_a_missing_label_is_something_to_learn_from() -> None:
    """It is not mixed up with any other label."""
    kind = pd.Series(["a", "b", None] * 40, dtype="object")
    table = pd.DataFrame({"kind": kind, "known": kind.notna()})
    result = evaluate(
        {"method": "mlutility-class", "target": "known", "metrics": ["accuracy"]},
        ori=table,
        syn=table,
        control=table,
    )
    assert metrics(result, "syn") == {"accuracy": 1}


def test_rows_without_a_target_are_left_out() -> None:
    """There is nothing to learn from them; missing values elsewhere stay."""
    table = labelled(100, 1)
    missing = table.assign(large=table["large"].where(table.index >= 30))
    details = evaluate(
        {"method": "mlutility-class", "target": "large"}, ori=table, syn=missing, control=table
    )["details"]
    assert details["rows_used"].to_dict() == {"ori": 100, "syn": 70, "control": 100}


def test_columns_of_many_labels_can_be_learnt_from() -> None:
    """More labels than a model tells apart, and some that only the control has, are no error."""
    ori = labelled(600, 1).assign(name=[f"name {number}" for number in range(600)])
    control = labelled(50, 2).assign(name="somebody else")
    for method in ("mlutility-class", "mlutility-reg", "mlutility-cluster"):
        target = {"class": "large", "reg": "area", "cluster": None}[method.split("-")[1]]
        result = evaluate({"method": method, "target": target}, ori=ori, syn=ori, control=control)
        assert (result["global"]["diff"] == 0).all()


def test_utility_of_large_tables_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit rows are drawn, and drawn again the same."""
    monkeypatch.setattr(evaluation_utility, "ROWS", 60)
    tables = {"ori": labelled(200, 1), "syn": labelled(300, 2), "control": labelled(50, 3)}
    first, again = (
        evaluate({"method": "mlutility-reg", "target": "area"}, **tables) for _ in range(2)
    )
    assert first["details"]["rows_used"].tolist() == [60, 60, 50]
    pd.testing.assert_frame_equal(first["global"], again["global"])


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        (
            {"method": "mlutility-class", "target": "larg"},
            {},
            "there is no target column 'larg'; the tables have: width, height, shade, area, large",
        ),
        (
            {"method": "mlutility-class", "target": "width"},
            {},
            "the target column 'width' has 200 different values, and a classification takes 50",
        ),
        (
            {"method": "mlutility-reg", "target": "large"},
            {},
            "the target column 'large' does not hold numbers;",
        ),
        (
            {"method": "mlutility-class", "target": "large"},
            {"large": None},
            "the target column 'large' is missing in all 100 rows of 'syn'",
        ),
        (
            {"method": "mlutility-cluster", "n_clusters": 101},
            {},
            "table 'ori' has 100 rows, fewer than the 101 clusters asked for;",
        ),
    ],
)
def test_targets_that_cannot_be_learnt(
    parameters: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    """The error names the column, counts, and says what to do."""
    ori, syn = labelled(100, 1), labelled(100, 2).assign(**change)
    with pytest.raises(DataError) as caught:
        evaluate(parameters, ori=ori, syn=syn, control=ori)
    assert str(caught.value).startswith(message)


def test_a_target_alone_cannot_be_learnt() -> None:
    """There must be something to predict it from."""
    table = labelled(20, 1)[["large"]]
    with pytest.raises(DataError, match="no column but the target 'large'"):
        evaluate(
            {"method": "mlutility-class", "target": "large"}, ori=table, syn=table, control=table
        )


# Scores


def test_scores_of_two_classes_by_hand() -> None:
    """The second class is the positive one."""
    scores = evaluation_scores.classification_scores(
        np.array([1, 1, 1, 0, 0, 0, 0, 0]),
        np.array([1, 1, 0, 1, 0, 0, 0, 0]),
        np.array([[1 - p, p] for p in (0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.1, 0.1)]),
    )
    assert scores == pytest.approx(
        {
            "tp": 2,
            "tn": 4,
            "fp": 1,
            "fn": 1,
            "accuracy": 6 / 8,
            "tpr": 2 / 3,
            "sensitivity": 2 / 3,
            "recall": 2 / 3,
            "tnr": 4 / 5,
            "specificity": 4 / 5,
            "ppv": 2 / 3,
            "precision": 2 / 3,
            "npv": 4 / 5,
            "fpr": 1 / 5,
            "fnr": 1 / 3,
            "fdr": 1 / 3,
            "for": 1 / 5,
            "informedness": 7 / 15,
            "markedness": 7 / 15,
            "prevalence": 3 / 8,
            "dor": 8,
            "mcc": 7 / 15,
            "f1_score": 2 / 3,
            "f2_score": 2 / 3,
            "f0.5_score": 2 / 3,
            "roc_auc": 14 / 15,
            "pr_auc": 0.5 * (1 + 1) / 3 + 0.5 * (1 + 1) / 3 + 0.5 * (2 / 3 + 3 / 4) / 3,
        }
    )


def test_scores_of_three_classes_add_up_each_against_the_rest() -> None:
    """Counts are over three times the rows, and never negative."""
    true = np.array([0, 0, 1, 2])
    scores = evaluation_scores.classification_scores(true, np.array([0, 1, 1, 2]), np.eye(3)[true])
    assert {name: scores[name] for name in ("tp", "tn", "fp", "fn", "accuracy", "precision")} == {
        "tp": 3,
        "tn": 7,
        "fp": 1,
        "fn": 1,
        "accuracy": 0.75,
        "precision": 0.75,
    }
    assert scores["f1_score"] == pytest.approx((2 * 2 / 3 + 2 / 3 + 1) / 4)
    assert scores["roc_auc"] == scores["pr_auc"] == 1


def test_areas_of_three_classes_are_weighed() -> None:
    """The area under the ROC curve weighs classes by their rows."""
    scores = evaluation_scores.classification_scores(
        np.array([0, 0, 1, 2]),
        np.array([0, 0, 1, 2]),
        np.array([[0.9, 0.1, 0.0], [0.7, 0.0, 0.3], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]),
    )
    assert scores["roc_auc"] == pytest.approx((2 * 1 + 1 + 2 / 3) / 4)


def test_rates_of_a_confusion_matrix_by_hand() -> None:
    """Each rate is a part of its own row or column."""
    assert evaluation_scores.confusion_scores(tp=2, tn=4, fp=3, fn=1) == pytest.approx(
        {
            "tp": 2,
            "tn": 4,
            "fp": 3,
            "fn": 1,
            "tpr": 2 / 3,
            "sensitivity": 2 / 3,
            "recall": 2 / 3,
            "fnr": 1 / 3,
            "tnr": 4 / 7,
            "specificity": 4 / 7,
            "fpr": 3 / 7,
            "ppv": 2 / 5,
            "precision": 2 / 5,
            "fdr": 3 / 5,
            "npv": 4 / 5,
            "for": 1 / 5,
            "prevalence": 3 / 10,
            "dor": 8 / 3,
            "informedness": 2 / 3 + 4 / 7 - 1,
            "markedness": 2 / 5 + 4 / 5 - 1,
        }
    )


def test_scores_of_a_class_that_never_occurs() -> None:
    """An area that needs both classes is missing; rates without a denominator are 0."""
    scores = evaluation_scores.classification_scores(
        np.array([0, 0]), np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]])
    )
    assert np.isnan(scores["roc_auc"])
    assert np.isnan(scores["pr_auc"])
    assert (scores["tpr"], scores["f1_score"], scores["mcc"]) == (0, 0, 0)
    assert scores["dor"] == np.inf
    assert scores["accuracy"] == 1


def test_scores_of_a_regression_by_hand() -> None:
    """Errors are in units of the scale, percentages of the true values."""
    scores = evaluation_scores.regression_scores(
        np.array([2.0, 4.0, 6.0]), np.array([2.0, 4.0, 9.0]), 2.0
    )
    assert scores == pytest.approx(
        {"r2_score": -0.125, "mse": 0.75, "rmse": 0.75**0.5, "mae": 0.5, "mape": 50 / 3}
    )
    with_zero = evaluation_scores.regression_scores(np.array([0.0]), np.array([1.0]), 1.0)
    assert with_zero["mape"] == np.inf
    assert np.isnan(with_zero["r2_score"])


def test_one_cluster_scores_minus_one() -> None:
    """A silhouette needs two clusters."""
    points = np.array([[0.0], [1.0], [2.0]])
    scores = evaluation_scores.clustering_scores(points, np.array([0, 0, 0]), 1)
    assert scores == {"silhouette_score": -1}


# Configuration


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"method": "fidelty"},
            "Evaluator[quality].method: unknown method 'fidelty'; did you mean 'fidelity'?",
        ),
        ({"method": 3}, "Evaluator[quality].method: expected the name of a method, found int"),
        (
            {"method": "sdmetrics-qualityreport"},
            "Evaluator[quality].method: method 'sdmetrics-qualityreport' needs PETsARD itself;",
        ),
        (
            {"method": "Anonymeter-Linkability", "aux_cols": []},
            "Evaluator[quality].method: method 'Anonymeter-Linkability' needs PETsARD itself;",
        ),
        ({"method": "mpuccs"}, "Evaluator[quality].method: method 'mpuccs' needs PETsARD itself;"),
        (
            {"method": "custom_method", "module_path": "x.py"},
            "Evaluator[quality].method: method 'custom_method' needs PETsARD itself;",
        ),
        (
            {"method": "describe"},
            "Evaluator[quality].method: method 'describe' is the Describer's;",
        ),
        (
            {"method": "privacy", "random_stat": 1},
            (
                "Evaluator[quality].random_stat: unknown key 'random_stat'; "
                "did you mean 'random_state'?"
            ),
        ),
        ({"random_state": -1}, "Evaluator[quality].random_state: "),
        (
            {"method": "privacy", "target": "a"},
            "Evaluator[quality].target: unknown key 'target'; Valid: method, random_state",
        ),
        (
            {"method": "mlutility"},
            (
                "Evaluator[quality].task_type: name the task of mlutility; "
                "valid: classification, regression, clustering"
            ),
        ),
        (
            {"method": "mlutility", "task_type": "regresion", "target": "a"},
            "Evaluator[quality].task_type: unknown task 'regresion'; did you mean 'regression'?",
        ),
        (
            {"method": "mlutility-regression"},
            "Evaluator[quality].target: name the column that the regression predicts",
        ),
        (
            {"method": "mlutility-class", "target": "a", "metrics": ["accuray"]},
            (
                "Evaluator[quality].metrics: unknown metric of classification 'accuray'; "
                "did you mean 'accuracy'?"
            ),
        ),
        (
            {"method": "mlutility-reg", "target": "a", "metrics": ["accuracy"]},
            "Evaluator[quality].metrics: unknown metric of regression 'accuracy';",
        ),
        (
            {"method": "mlutility-reg", "target": "a", "metrics": []},
            "Evaluator[quality].metrics: name at least one metric, or leave the key out",
        ),
        (
            {"method": "mlutility-class", "target": "a", "resampling": "smote-enn"},
            "Evaluator[quality].resampling: resampling needs PETsARD itself;",
        ),
        (
            {"method": "mlutility-class", "target": "a", "xgb_params": {"max_depth": 3}},
            "Evaluator[quality].xgb_params: XGBoost needs PETsARD itself;",
        ),
        (
            {"method": "mlutility-class", "target": "a", "experiment_design": "transfer"},
            "Evaluator[quality].experiment_design: Input should be 'dual_model_control' or",
        ),
        ({"method": "mlutility-cluster", "n_clusters": 1}, "Evaluator[quality].n_clusters: "),
    ],
)
def test_mistakes_of_configuration(parameters: dict[str, Any], message: str) -> None:
    """Each is found before anything runs, and says where it is and what to do."""
    with pytest.raises(ConfigError) as caught:
        EvaluatorAdapter("quality", parameters)
    assert str(caught.value).startswith(message)


def test_values_that_ask_for_nothing_special_are_taken() -> None:
    """PETsARD's spellings of its own defaults do not need PETsARD."""
    EvaluatorAdapter(
        "quality",
        {
            "method": "mlutility",
            "task_type": "Cluster",
            "target": "ignored",
            "resampling": "None",
            "xgb_params": {},
        },
    )


# Input


def test_input_with_a_splitter() -> None:
    """The training rows are the original, the others the control."""
    train, held_back, syn = ORI.iloc[:3], ORI.iloc[3:], SYN
    status: Any = FakeStatus(
        Loader=ORI, Splitter={"train": train, "validation": held_back}, Synthesizer=syn
    )
    tables = EvaluatorAdapter("quality", {}).set_input(status)
    assert set(tables) == {"ori", "syn", "control"}
    assert tables["ori"] is train
    assert tables["control"] is held_back
    assert tables["syn"] is syn


def test_input_without_a_splitter() -> None:
    """The whole table is the original; checks and reports before the Evaluator are passed over."""
    status: Any = FakeStatus(
        Loader=ORI,
        Synthesizer=SYN,
        Constrainer={"passed": True},
        Describer={"global": ORI},
        Reporter={},
    )
    tables = EvaluatorAdapter("quality", {}).set_input(status)
    assert set(tables) == {"ori", "syn"}
    assert tables["syn"] is SYN


def test_utility_needs_rows_held_back() -> None:
    """Without a Splitter, or with one that holds nothing back, there is nothing to test on."""
    adapter = EvaluatorAdapter("quality", {"method": "mlutility-cluster"})
    nothing = ORI.iloc[:0]
    without: Any = FakeStatus(Loader=ORI, Synthesizer=SYN)
    empty: Any = FakeStatus(
        Loader=ORI, Splitter={"train": ORI, "validation": nothing}, Synthesizer=SYN
    )
    for status in (without, empty):
        with pytest.raises(ConfigError, match=r"Evaluator\[quality\].*put a Splitter"):
            adapter.set_input(status)
        assert "control" not in EvaluatorAdapter("quality", {}).set_input(status)


def test_a_synthetic_table_is_needed() -> None:
    """A Splitter before the Evaluator, or nothing at all, leaves nothing to evaluate."""
    split: Any = FakeStatus(Loader=ORI, Splitter={"train": ORI, "validation": SYN})
    with pytest.raises(ConfigError, match="the module before the Evaluator, Splitter, makes no"):
        EvaluatorAdapter("quality", {}).set_input(split)
    constrained: Any = FakeStatus(Loader=ORI, Synthesizer=ORI, Constrainer=SYN)
    assert EvaluatorAdapter("quality", {}).set_input(constrained)["syn"] is SYN


def test_there_is_no_result_before_the_run() -> None:
    """Asking too early is an error that says so."""
    with pytest.raises(UnexecutedError, match=r"Evaluator\[quality\] has not run yet"):
        EvaluatorAdapter("quality", {}).get_result()


@pytest.mark.parametrize(
    "parameters",
    [{}, {"method": "privacy"}, {"method": "mlutility-class", "target": "large"}],
)
def test_tables_are_left_as_they_were(parameters: dict[str, Any]) -> None:
    """Later modules get the same tables that the Evaluator got."""
    tables = {"ori": labelled(40, 1), "syn": labelled(40, 2), "control": labelled(40, 3)}
    copies = {name: table.copy() for name, table in tables.items()}
    evaluate(parameters, **tables)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, copies[name])


# Whole pipelines


def test_a_pipeline_is_evaluated_in_every_way(tmp_path: Path) -> None:
    """Each method runs on a real table, its time is recorded, and the Reporter saves it."""
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": CARS}},
            "Splitter": {"holdout": {"num_samples": 1, "train_split_ratio": 0.8}},
            "Synthesizer": {"copula": {"method": "default"}},
            "Evaluator": {
                "fidelity": {"method": "default"},
                "privacy": {"method": "privacy"},
                "utility": {"method": "mlutility-classification", "target": "Origin"},
            },
            "Reporter": {
                "scores": {
                    "method": "save_report",
                    "granularity": ["global", "columnwise", "pairwise"],
                    "eval": "fidelity",
                    "output": str(tmp_path / "cars"),
                }
            },
        }
    )
    executor.run()
    before = "Loader[cars]_Splitter[holdout_[1-1]]_Synthesizer[copula]_Evaluator"
    reports = executor.get_result()
    assert set(reports) == {
        f"{before}[{name}]_Reporter[scores]" for name in ("fidelity", "privacy", "utility")
    }
    timing = executor.status.get_timing_report_data(steps=True)
    steps = timing[(timing["module_name"] == "Evaluator") & (timing["source"] == "step")]
    assert steps["step_name"].tolist() == ["eval", "eval", "eval"]
    saved = pd.read_csv(tmp_path / "cars_Reporter[fidelity_columnwise].csv")
    assert saved["column"].tolist() == list(pd.read_csv(CARS).columns)
    assert saved["fidelity_Score"].between(0.5, 1).sum() >= 8
    pairs = pd.read_csv(tmp_path / "cars_Reporter[fidelity_pairwise].csv")
    assert pairs[["column1", "column2"]].iloc[0].tolist() == ["Name", "Miles_per_Gallon"]
    assert len(pairs) == 36


def test_a_pipeline_without_a_splitter() -> None:
    """Fidelity and privacy need no rows held back."""
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": CARS}},
            "Synthesizer": {"copula": {"method": "default"}},
            "Evaluator": {"fidelity": {"method": "fidelity"}, "privacy": {"method": "privacy"}},
        }
    )
    executor.run()
    results = executor.get_result()
    fidelity = results["Loader[cars]_Synthesizer[copula]_Evaluator[fidelity]"]
    privacy = results["Loader[cars]_Synthesizer[copula]_Evaluator[privacy]"]
    assert 0.5 < fidelity["global"]["Score"].item() < 1
    assert 0 < privacy["global"]["dcr_5th_percentile"].item() < 0.5
    assert executor.status.get_snapshots("Evaluator")[0].metadata_after is None
