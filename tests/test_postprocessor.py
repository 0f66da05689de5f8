"""The Postprocessor: a synthetic table in the form that the Preprocessor was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.postprocessor import PostprocessorAdapter
from petsard_otel.modules.preprocessor import PreprocessorAdapter
from petsard_otel.schema import Attribute, Schema

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"


class PipelineBefore:
    """A Status in which a Preprocessor and a Synthesizer have run."""

    def __init__(self, made: pd.DataFrame, preprocessor: PreprocessorAdapter, schema: Any) -> None:
        self._made = made
        self._preprocessor = preprocessor
        self._schema = schema

    def get_pre_module(self, module: str) -> str:
        """Return the module that has run."""
        assert module == "Postprocessor"
        return "Synthesizer"

    def get_result(self, module: str) -> pd.DataFrame:
        """Return its result."""
        assert module == "Synthesizer"
        return self._made

    def get_processor(self) -> Any:
        """Return the Preprocessor's steps."""
        return self._preprocessor.processor

    def get_preprocessor_input_schema(self) -> Any:
        """Return what the Preprocessor was given."""
        return self._schema


def there_and_back(
    data: pd.DataFrame, parameters: dict[str, Any], schema: Schema | None = None
) -> PostprocessorAdapter:
    """Process a table, and take that back as if a synthesizer had made the same one."""
    given = Schema.from_dataframe(data, "cars") if schema is None else schema
    before = PreprocessorAdapter("demo", parameters)
    before.run({"data": data, "metadata": given})
    adapter = PostprocessorAdapter("demo", {"method": "default"})
    status = PipelineBefore(before.get_result(), before, given)
    adapter.run(adapter.set_input(status))  # type: ignore[arg-type]
    return adapter


def test_the_schema_is_that_of_the_preprocessors_input() -> None:
    """Types, order of columns, missing values and the schema's id come back on real data."""
    data = pd.read_csv(CARS, parse_dates=["Year"])
    schema = Schema.from_dataframe(data, "cars")
    adapter = there_and_back(data, {"method": "default"})
    assert adapter.get_metadata() == schema
    assert adapter.get_metadata() is adapter.get_metadata()
    result = adapter.get_result()
    assert list(result) == list(data)
    assert result.dtypes.tolist() == data.dtypes.tolist()
    assert len(result) == 390
    assert result.isna().sum()[["Miles_per_Gallon", "Horsepower"]].tolist() == [8, 6]
    assert result["Origin"].tolist() == data["Origin"][result.index].tolist()


def test_other_steps_give_the_same_schema() -> None:
    """Indicators become their column again, and bins their middles, in the place they had."""
    data = pd.read_csv(CARS, parse_dates=["Year"])
    schema = Schema.from_dataframe(data, "cars")
    one_hot = {"config": {"encoder": {"Origin": "encoder_onehot", "Name": "encoder_label"}}}
    assert there_and_back(data, one_hot).get_metadata() == schema
    assert there_and_back(data, {"sequence": ["missing", "discretizing"]}).get_metadata() == schema


def test_what_was_declared_is_restored() -> None:
    """Precision, categories and logical types come from the schema that the Preprocessor had."""
    data = pd.DataFrame({"price": [1.25, 2.5, 4.0], "kind": ["x", "y", "x"]})
    schema = Schema.of(
        "shop",
        [
            Attribute("price", "float64", precision=2),
            Attribute("kind", "string", category=True, logical_type="code"),
        ],
    )
    adapter = there_and_back(data, {}, schema)
    assert adapter.get_metadata() == schema
    assert adapter.get_result()["price"].tolist() == [1.25, 2.5, 4.0]


def test_a_declared_type_that_differs_is_cast_to() -> None:
    """The schema that the Preprocessor was given has the last word on types."""
    data = pd.DataFrame({"n": [1.0, 2.0, 3.0], "t": ["2024-01-01"] * 3})
    schema = Schema.of("t", [Attribute("n", "int32"), Attribute("t", "datetime")])
    adapter = there_and_back(data, {"sequence": ["missing"]}, schema)
    assert adapter.get_metadata() == schema
    assert adapter.get_result()["n"].tolist() == [1, 2, 3]


def test_without_a_schema_the_processors_own_counts() -> None:
    """A Status that knows no schema does not keep the table from coming back."""
    data = pd.DataFrame({"n": [1, 2, 3]})
    before = PreprocessorAdapter("demo", {})
    before.run({"data": data, "metadata": Schema.from_dataframe(data, "cars")})
    adapter = PostprocessorAdapter("demo", {})
    status = PipelineBefore(before.get_result(), before, None)
    adapter.run(adapter.set_input(status))  # type: ignore[arg-type]
    assert adapter.get_metadata() == Schema.from_dataframe(data, "cars")


def test_a_synthesizers_table_is_left_alone() -> None:
    """The Synthesizer's result is read again by the Reporter."""
    data = pd.DataFrame({"n": [1.0, None, 3.0], "c": ["x", "y", "x"]})
    before = PreprocessorAdapter("demo", {})
    before.run({"data": data, "metadata": Schema.from_dataframe(data, "t")})
    made = pd.DataFrame({"n": np.linspace(-1, 1, 6), "c": np.linspace(0, 1, 6)})
    kept = made.copy(deep=True)
    adapter = PostprocessorAdapter("demo", {})
    adapter.run(
        {"data": made, "preprocessor": before.processor, "original_schema": before.get_metadata()}
    )
    pd.testing.assert_frame_equal(made, kept)
    assert adapter.get_result()["n"].isna().sum() == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "custom"}, "method: unknown method 'custom'; Valid: default"),
        ({"metod": "default"}, "metod: unknown key 'metod'; did you mean 'method'? Valid: method"),
    ],
)
def test_mistakes_are_found_before_anything_runs(parameters: dict[str, Any], message: str) -> None:
    """There is one key, with one value."""
    with pytest.raises(ConfigError) as error:
        PostprocessorAdapter("demo", parameters)
    assert str(error.value) == f"Postprocessor[demo].{message}"


def test_nothing_can_be_asked_before_the_run() -> None:
    """Result and schema are there once the module has run."""
    adapter = PostprocessorAdapter("demo", {})
    with pytest.raises(UnexecutedError, match="Postprocessor has not run"):
        adapter.get_result()
    with pytest.raises(UnexecutedError, match="Postprocessor has not run"):
        adapter.get_metadata()


def test_a_pipeline_ends_with_the_schema_that_it_began_with() -> None:
    """From a run of the Executor, with a step of its own in the timing."""
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": str(CARS)}},
            "Preprocessor": {"demo": {"method": "default"}},
            "Synthesizer": {"demo": {"method": "default"}},
            "Postprocessor": {"demo": {"method": "default"}},
        },
        engine="builtin",
    )
    executor.run()
    status = executor.status
    assert status.get_metadata("Postprocessor") == status.get_metadata("Loader")
    (result,) = executor.get_result().values()
    assert set(result["Origin"].dropna()) <= {"USA", "Europe", "Japan"}
    timing = status.get_timing_report_data(steps=True)
    steps = timing[timing["module_name"] == "Postprocessor"]["step_name"]
    assert "inverse_transform" in set(steps)
