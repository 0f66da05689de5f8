"""The Synthesizer: makes a synthetic table that is like the training rows, or loads one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.loader import LoaderAdapter
from petsard_otel.modules.parameters import (
    Parameters,
    needs_petsard,
    read_parameters,
    unknown_name,
)
from petsard_otel.schema import Schema
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from petsard_otel.modules.copula import GaussianCopula
    from petsard_otel.status import Status

COPULA_METHODS = ("default", "petsard-gaussian_copula", "petsard-gaussian-copula")
"""Names of the built-in Gaussian copula. PETsARD's own, its default too, takes the same steps."""

METHODS = (*COPULA_METHODS, "custom_data")
"""The methods that are built in, in any case of letters."""

PETSARD_METHODS = ("custom_method", "sdv")
"""What the names of the methods that need PETsARD begin with, up to the first dash."""

PETSARD_KEYS = ("gpu_threshold", "use_gpu")
"""Keys of PETsARD's Gaussian copula that have no meaning here."""


class CustomDataParameters(Parameters):
    """The parameters of `custom_data` that are not the Loader's."""

    method: str
    sample_num_rows: int | None = Field(default=None, ge=0)


class SynthesizerParameters(CustomDataParameters):
    """Parameters of the Gaussian copula."""

    method: str = "default"
    random_state: int | None = Field(default=None, ge=0)


class SynthesizerAdapter:
    """Learns the table of the module before it and draws a synthetic one.

    `synthesizer` is what drew it and can draw more with `sample(num_rows)`; None where the table
    was loaded.
    """

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self.synthesizer: GaussianCopula | None = None
        self._loader: LoaderAdapter | None = None
        self._data: pd.DataFrame | None = None
        self._schema: Schema | None = None
        if self._check_method(parameters.get("method", "default")) == "custom_data":
            ours = {key: parameters[key] for key in parameters if _is_ours(key)}
            theirs = {key: parameters[key] for key in parameters if not _is_ours(key)}
            read = read_parameters(CustomDataParameters, "Synthesizer", experiment, ours)
            self._loader = LoaderAdapter(experiment, theirs, module="Synthesizer")
        else:
            from petsard_otel.modules.copula import GaussianCopula

            self._check_keys(parameters)
            read = read_parameters(SynthesizerParameters, "Synthesizer", experiment, parameters)
            self.synthesizer = GaussianCopula(read.random_state)
        self._num_rows = read.sample_num_rows or None

    def set_input(self, status: Status) -> dict[str, Any]:
        """Take the training rows and their schema; nothing where the table is loaded.

        Raises:
            ConfigError: No module before makes a table.
        """
        if self.synthesizer is None:
            return {}
        module = status.get_pre_module("Synthesizer")
        if module is None:
            raise self._error("there is nothing to learn from; put a Loader before the Synthesizer")
        result = status.get_result(module)
        data = result["train"] if module == "Splitter" else result
        return {"data": data, "schema": status.get_metadata(module)}

    def run(self, input: dict[str, Any]) -> None:
        """Learn and draw, or load.

        Raises:
            DataError: The table cannot be learnt.
        """
        if self._loader is not None:
            self._load(self._loader)
        elif self.synthesizer is not None:
            data: pd.DataFrame = input["data"]
            with step_span("fit"):
                self.synthesizer.fit(data)
            with step_span("sample"):
                self._data = self.synthesizer.sample(self._num_rows or len(data))
            self._schema = carried_schema(input["schema"], data, self._data)

    def get_result(self) -> pd.DataFrame:
        """Return the synthetic table. Its rows are numbered from 0."""
        if self._data is None:
            raise UnexecutedError(f"Synthesizer[{self._experiment}] has not run yet")
        return self._data

    def get_metadata(self) -> Schema:
        """Return the schema of the synthetic table: the input's where the structure is the same."""
        if self._schema is None:
            raise UnexecutedError(f"Synthesizer[{self._experiment}] has not run yet")
        return self._schema

    def _load(self, loader: LoaderAdapter) -> None:
        loader.run({})
        data = loader.get_result()
        self._data = data if self._num_rows is None else data.head(self._num_rows)
        self._schema = carried_schema(loader.get_metadata(), data, self._data)

    def _check_method(self, given: object) -> str:
        if not isinstance(given, str):
            raise self._error(
                f"expected the name of a method, found {type(given).__name__}", "method"
            )
        if given.lower().partition("-")[0] in PETSARD_METHODS:
            raise needs_petsard(given, "Synthesizer", self._experiment)
        if given.lower() not in METHODS:
            raise self._error(unknown_name("method", given, METHODS), "method")
        return given.lower()

    def _check_keys(self, parameters: Mapping[str, Any]) -> None:
        for key in PETSARD_KEYS:
            if key in parameters:
                raise self._error(
                    f"key {key!r} needs PETsARD itself: the built-in copula runs on the CPU. "
                    'Leave the key out, or install: pip install "petsard-otel[petsard]"',
                    key,
                )

    def _error(self, message: str, key: str | None = None) -> ConfigError:
        return ConfigError(message, module="Synthesizer", experiment=self._experiment, key=key)


def carried_schema(schema: Schema, described: pd.DataFrame, result: pd.DataFrame) -> Schema:
    """Return the schema of a table that was made after another's model.

    What can be read off both tables alike stays as `schema` has it, what was declared included.
    Where everything does, that is `schema` itself.

    Args:
        schema: The schema of `described`.
        described: The table that served as a model.
        result: The table that was made, whose columns may differ.
    """
    before = Schema.from_dataframe(described, schema.id)
    after = Schema.from_dataframe(result, schema.id)
    if before.hash == after.hash:
        return schema
    return Schema(
        schema.id,
        {
            name: schema.attributes.get(name, attribute)
            if before.attributes.get(name) == attribute
            else attribute
            for name, attribute in after.attributes.items()
        },
    )


def _is_ours(key: str) -> bool:
    return key in CustomDataParameters.model_fields
