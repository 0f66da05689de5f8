"""The Preprocessor: its configuration, its defaults, what it hands on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.preprocessor import PreprocessorAdapter
from petsard_otel.schema import Attribute, Schema, resolve_prediction

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"


class PipelineBefore:
    """A Status in which one module has run."""

    def __init__(self, module: str | None, result: Any) -> None:
        self._module = module
        self._result = result

    def get_pre_module(self, module: str) -> str | None:
        """Return the module that has run."""
        assert module == "Preprocessor"
        return self._module

    def get_result(self, module: str) -> Any:
        """Return its result."""
        assert module == self._module
        return self._result

    def get_metadata(self, module: str) -> Schema:
        """Return its table's schema."""
        assert module == self._module
        table = self._result["train"] if module == "Splitter" else self._result
        return Schema.from_dataframe(table, "cars")


def table() -> pd.DataFrame:
    """Make a table with a column of each family, and a missing value in two of them."""
    return pd.DataFrame(
        {
            "n": [1.0, 3.0, 2.0, np.nan, 2.0],
            "c": ["x", "y", None, "x", "y"],
            "b": [True, False, True, True, False],
            "t": pd.to_datetime([f"2024-01-0{day}" for day in (1, 2, 3, 1, 2)]),
            "d": pd.to_timedelta([1, 2, 1, 2, 1], unit="D"),
        }
    )


def processed(data: pd.DataFrame, parameters: dict[str, Any]) -> PreprocessorAdapter:
    """Run one experiment on a table."""
    adapter = PreprocessorAdapter("demo", parameters)
    adapter.run({"data": data, "metadata": Schema.from_dataframe(data, "cars")})
    return adapter


@pytest.mark.parametrize("parameters", [{"method": "default"}, {"method": "custom"}, {}])
def test_defaults_go_by_the_type_of_the_column(parameters: dict[str, Any]) -> None:
    """Numbers are filled and scaled, times scaled, all else is dropped where missing, encoded."""
    adapter = processed(table(), parameters)
    result = adapter.get_result()
    assert result.index.tolist() == [0, 1, 3, 4]
    assert result["n"].tolist() == pytest.approx([-np.sqrt(2), np.sqrt(2), 0.0, 0.0])
    assert result["t"].mean() == pytest.approx(0.0)
    for name in ("c", "b", "d"):
        assert result[name].between(0, 1).all()
    assert set(result.dtypes.astype(str)) == {"float64"}


def test_the_configuration_changes_single_columns() -> None:
    """What is not configured keeps its default; "none" and nothing switch a column's step off."""
    adapter = processed(
        table(),
        {
            "sequence": ["missing", "scaler"],
            "config": {
                "missing": {"n": {"method": "missing_simple", "value": 9}, "c": None},
                "scaler": {"n": "none", "t": "None"},
            },
        },
    )
    result = adapter.get_result()
    assert result["n"].tolist() == [1.0, 3.0, 2.0, 9.0, 2.0]
    assert result["c"].isna().tolist() == [False, False, True, False, False]
    assert result["t"].tolist() == table()["t"].tolist()


def test_steps_may_stand_beside_the_method() -> None:
    """PETsARD's older form, without `config`, and its demo, `config` with `method: default`."""
    inside = {"method": "default", "config": {"encoder": {"c": "encoder_onehot"}}}
    beside = {"encoder": {"c": "encoder_onehot"}}
    pd.testing.assert_frame_equal(
        processed(table(), inside).get_result(), processed(table(), beside).get_result()
    )
    assert list(processed(table(), beside).get_result()) == ["n", "b", "t", "d", "c_1"]


def test_discretizing_takes_the_place_of_encoding() -> None:
    """Numbers and times become bins, everything else labels."""
    result = processed(table(), {"sequence": ["missing", "discretizing"]}).get_result()
    assert result["c"].tolist() == [0, 1, 0, 1]
    assert result["n"].tolist() == [0.0, 4.0, 2.0, 2.0]
    assert result["t"].tolist() == [0.0, 4.0, 0.0, 4.0]


@pytest.mark.parametrize("method", ["outlier_lof", "outlier_isolationforest"])
def test_one_outlier_method_for_all_columns(method: str) -> None:
    """The short form and one column's setting are the same: the method looks at all columns."""
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["a", "b"])
    data.loc[3] = [40.0, 40.0]
    short = processed(data, {"sequence": ["outlier"], "outlier": method}).get_result()
    long = processed(data, {"sequence": ["outlier"], "outlier": {"b": method}}).get_result()
    assert 3 not in short.index
    pd.testing.assert_frame_equal(short, long)
    none = processed(data, {"sequence": ["outlier"], "outlier": {"a": "none", "b": "none"}})
    assert 3 in none.get_result().index


def test_the_input_is_left_alone_and_runs_are_alike() -> None:
    """The same parameters give the same table, draws included."""
    data = table()
    first, second = processed(data, {}), processed(data, {})
    pd.testing.assert_frame_equal(data, table())
    pd.testing.assert_frame_equal(first.get_result(), second.get_result())
    other = processed(data, {"random_state": 1})
    assert other.get_result()["c"].tolist() != first.get_result()["c"].tolist()


def test_the_schema_keeps_its_id_and_what_was_declared() -> None:
    """Logical types, categories and precision that a step leaves are those of the input."""
    data = pd.DataFrame({"a": [1.005, 2.5, None], "k": ["x", "y", "x"]})
    declared = Schema.of(
        "cars",
        [
            Attribute("a", "float64", nullable=True, precision=1),
            Attribute("k", "string", category=True, logical_type="plate"),
        ],
    )
    adapter = PreprocessorAdapter("demo", {"sequence": ["missing"]})
    predicted = adapter.infer_schema(declared)
    adapter.run({"data": data, "metadata": declared})
    assert adapter.get_metadata() == predicted
    assert adapter.get_metadata() is adapter.get_metadata()
    assert predicted.attributes["a"] == Attribute("a", "float64", precision=1)
    assert predicted.attributes["k"] == declared.attributes["k"]
    assert adapter.get_result()["a"].tolist() == [1.0, 2.5, 1.8]


def test_nullability_is_the_tables_own() -> None:
    """A schema may allow missing values that a table does not have."""
    data = pd.DataFrame({"a": [1.0, 2.0]})
    declared = Schema.of("cars", [Attribute("a", "float64", nullable=True)])
    adapter = PreprocessorAdapter("demo", {"sequence": ["scaler"]})
    adapter.run({"data": data, "metadata": declared})
    assert not adapter.get_metadata().attributes["a"].nullable


def test_a_splitter_gives_its_training_part() -> None:
    """After a Splitter the training rows are processed, after a Loader all of them."""
    data = table()
    adapter = PreprocessorAdapter("demo", {})
    split = {"train": data.iloc[:3], "validation": data.iloc[3:]}
    given = adapter.set_input(PipelineBefore("Splitter", split))  # type: ignore[arg-type]
    assert len(given["data"]) == 3
    given = adapter.set_input(PipelineBefore("Loader", data))  # type: ignore[arg-type]
    assert len(given["data"]) == 5
    assert given["metadata"].id == "cars"
    with pytest.raises(UnexecutedError, match="put a Loader before it"):
        adapter.set_input(PipelineBefore(None, None))  # type: ignore[arg-type]


def test_nothing_can_be_asked_before_the_run() -> None:
    """Result and schema are there once the module has run."""
    adapter = PreprocessorAdapter("demo", {})
    with pytest.raises(UnexecutedError, match="Preprocessor has not run"):
        adapter.get_result()
    with pytest.raises(UnexecutedError, match="Preprocessor has not run"):
        adapter.get_metadata()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"methode": "default"}, "methode: unknown key 'methode'; did you mean 'method'? "),
        ({"method": "defualt"}, "method: unknown method 'defualt'; did you mean 'default'? "),
        ({"sequence": ["mising"]}, "sequence: unknown step 'mising'; did you mean 'missing'? "),
        ({"sequence": []}, "sequence: expected at least one step, and each of them once"),
        ({"sequence": ["scaler", "scaler"]}, "sequence: expected at least one step, and each"),
        ({"sequence": "missing"}, "sequence: Input should be a valid list"),
        (
            {"sequence": ["encoder", "discretizing"]},
            "sequence: 'discretizing' takes the place of 'encoder': give one of them",
        ),
        (
            {"sequence": ["discretizing", "missing"]},
            "sequence: 'discretizing' must be the last step",
        ),
        (
            {"config": {"scalar": {}}},
            "config.scalar: unknown step 'scalar'; did you mean 'scaler'? ",
        ),
        (
            {"config": {}, "missing": {}},
            "missing: give it inside 'config', beside the others",
        ),
        ({"config": {"missing": "missing_mean"}}, "config.missing: expected a mapping of columns"),
        (
            {"config": {"missing": {"a": "mean"}}},
            "config.missing.a: unknown method 'mean'; did you mean 'missing_mean'?",
        ),
        (
            {"encoder": {"a": "encoder_hot"}},
            "encoder.a: unknown method 'encoder_hot'; did you mean 'encoder_onehot'? ",
        ),
        (
            {"scaler": {"a": "encoder_label"}},
            "scaler.a: unknown method 'encoder_label'; Valid: scaler_standard, ",
        ),
        ({"scaler": {"a": 3}}, "scaler.a: expected the name of a method, 'none', or a mapping"),
        ({"scaler": {"a": {"unit": "D"}}}, "scaler.a: expected the name of a method, 'none', or"),
        (
            {"discretizing": {"a": {"method": "discretizing_kbins", "bins": 3}}},
            "discretizing.a.bins: unknown key 'bins'; did you mean 'n_bins'? ",
        ),
        (
            {"discretizing": {"a": {"method": "discretizing_kbins", "n_bins": 1}}},
            "discretizing.a.n_bins: Input should be greater than or equal to 2 (found 1)",
        ),
        (
            {"missing": {"a": {"method": "missing_mean", "value": 3}}},
            "missing.a.value: missing_mean takes no parameters",
        ),
        (
            {"missing": {"a": {"method": "missing_simple", "value": float("nan")}}},
            "missing.a.value: expected a finite value",
        ),
        (
            {"scaler": {"a": {"method": "scaler_timeanchor"}}},
            "scaler.a.reference: is required",
        ),
        (
            {"scaler": {"a": {"method": "scaler_timeanchor", "reference": "b", "unit": "H"}}},
            "scaler.a.unit: Input should be 'D' or 'S' (found 'H')",
        ),
        (
            {"outlier": "outlier_iqr"},
            "outlier: 'outlier_iqr' is set column by column, as in outlier: {column: outlier_iqr}",
        ),
        ({"outlier": "lof"}, "outlier: unknown method 'lof'; "),
        ({"random_state": -1}, "random_state: expected a number from 0 to 4294967295"),
    ],
)
def test_mistakes_are_found_before_anything_runs(parameters: dict[str, Any], message: str) -> None:
    """Each names module, experiment and key, and the nearest valid one."""
    with pytest.raises(ConfigError) as error:
        PreprocessorAdapter("demo", parameters)
    assert str(error.value).startswith(f"Preprocessor[demo].{message}")


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    """Columns are known from data alone, so this is found at the run, and by the prediction."""
    parameters = {"config": {"missing": {"Horsepwer": "missing_mean"}}}
    data = pd.DataFrame({"Horsepower": [1.0], "Origin": ["x"]})
    expected = (
        "config.missing names columns that the table of 2 columns does not have: 'Horsepwer'; "
        "the nearest to 'Horsepwer' is 'Horsepower'"
    )
    with pytest.raises(DataError) as error:
        processed(data, parameters)
    assert str(error.value) == expected
    with pytest.raises(DataError) as error:
        PreprocessorAdapter("demo", parameters).infer_schema(Schema.from_dataframe(data, "t"))
    assert str(error.value) == expected
    anchor = {"scaler": {"Origin": {"method": "scaler_timeanchor", "reference": ["Orign"]}}}
    with pytest.raises(DataError, match="nearest to 'Orign' is 'Origin'"):
        processed(data, anchor)


def test_columns_are_found_by_label_or_by_name() -> None:
    """A label that is a number may be written as such, or as the schema writes it."""
    data = pd.DataFrame({0: [1.0, 5.0], 1: [1.0, 5.0]})
    parameters = {"sequence": ["scaler"], "scaler": {0: "scaler_minmax", "1": "none"}}
    result = processed(data, parameters).get_result()
    assert result[0].tolist() == [0.0, 1.0]
    assert result[1].tolist() == [1.0, 5.0]


def test_a_step_outside_the_sequence_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """PETsARD ignores it in silence; the log says that it is not done."""
    with caplog.at_level(logging.WARNING):
        PreprocessorAdapter("demo", {"sequence": ["missing"], "config": {"scaler": {"a": "none"}}})
    assert caplog.messages == [
        "Preprocessor[demo]: config.scaler is not in the sequence, so it is not done"
    ]


def test_the_configuration_is_left_alone() -> None:
    """Two experiments may share a mapping, as YAML's anchors make them."""
    method = {"method": "discretizing_kbins", "n_bins": 3}
    parameters = {"sequence": ["discretizing"], "config": {"discretizing": {"a": method}}}
    PreprocessorAdapter("one", parameters)
    PreprocessorAdapter("two", parameters)
    assert method == {"method": "discretizing_kbins", "n_bins": 3}


def test_a_pipeline_on_real_data_is_predicted() -> None:
    """From a run of the Executor: the prediction, with the indicators, is what came out."""
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": str(CARS)}},
            "Preprocessor": {
                "demo": {
                    "sequence": ["missing", "outlier", "encoder", "scaler"],
                    "config": {
                        "encoder": {"Origin": "encoder_onehot", "Name": "encoder_label"},
                        "scaler": {"Horsepower": "scaler_log"},
                    },
                }
            },
        },
        engine="builtin",
    )
    executor.run()
    actual = executor.status.get_metadata("Preprocessor")
    predicted = executor.get_inferred_schema("Preprocessor")
    assert predicted is not None
    assert list(predicted.attributes)[-1] == "Origin_*"
    assert list(actual.attributes)[-2:] == ["Origin_1", "Origin_2"]
    assert resolve_prediction(predicted, actual).hash == actual.hash
    timing = executor.status.get_timing_report_data(steps=True)
    steps = timing[timing["module_name"] == "Preprocessor"]["step_name"]
    assert {"fit", "transform"} <= set(steps)
