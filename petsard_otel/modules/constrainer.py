"""The Constrainer: draws rows until enough of them keep all constraints, or checks a table."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.constraints.parameters import read_constrainer_parameters
from petsard_otel.modules.constraints.resampling import resample
from petsard_otel.modules.constraints.validation import validate
from petsard_otel.modules.processing.schema import conformed
from petsard_otel.modules.synthesizer import carried_schema
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.modules.processing.processor import Processor
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

SOURCE_ALIASES = {"control": "validation", "ori": "train", "train": "ori", "validation": "control"}
"""Other names of a Splitter's parts in `source`."""


class Sampler(Protocol):
    """What can draw rows: a fitted synthesizer."""

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Draw so many new rows."""


class ConstrainerAdapter:
    """Enforces constraints where a Synthesizer can draw more rows, else checks them.

    A table named by `source` is checked. What is checked is not changed: the result then is what
    was found.
    """

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self._parameters = read_constrainer_parameters(experiment, parameters)
        self._result: pd.DataFrame | dict[str, Any] | None = None
        self._validation: dict[str, Any] | None = None
        self._schema: Schema | None = None

    def set_input(self, status: Status) -> dict[str, Any]:
        """Take the table to constrain, or those to check, and what can draw more rows.

        Raises:
            ConfigError: There is no such table, or nothing to draw from.
        """
        module = status.get_pre_module("Constrainer")
        data = None if module is None else _table(status, module)
        if module is None or not isinstance(data, pd.DataFrame):
            raise self._error("the module before the Constrainer must make a table")
        original = _original(status)
        return {
            "data": data,
            "schema": status.get_metadata(module),
            "sources": {name: self._source(status, name) for name in self._parameters.source or ()},
            "original": data if original is None else original,
            "sampler": self._sampler(status),
            "restore": _restoring(status),
        }

    def run(self, input: dict[str, Any]) -> None:
        """Draw or check.

        Raises:
            DataError: A table lacks what a constraint needs, or no row keeps the constraints.
        """
        data: pd.DataFrame = input["data"]
        original: pd.DataFrame = input["original"]
        self._schema = input["schema"]
        if input["sampler"] is not None:
            with step_span("resample"):
                self._result = self._resample(data, original, input["sampler"], input["restore"])
            self._schema = carried_schema(input["schema"], data, self._result)
            return
        with step_span("validate"):
            sources: dict[str, pd.DataFrame] = input["sources"]
            found = {
                name: {**validate(table, self._parameters, original), "source_name": name}
                for name, table in sources.items()
            }
            self._validation = found or validate(data, self._parameters, original)
            self._result = sources or self._validation

    def get_result(self) -> pd.DataFrame | dict[str, Any]:
        """Return the rows that keep the constraints, or what a check found.

        Where `source` names the tables to check, it is those, and what was found is to be had
        from `get_validation_result`.
        """
        if self._result is None:
            raise UnexecutedError(f"Constrainer[{self._experiment}] has not run yet")
        return self._result

    def get_validation_result(self) -> dict[str, Any] | None:
        """Return what a check found, for each source where `source` is given; else None."""
        return self._validation

    def get_metadata(self) -> Schema:
        """Return the schema of the result; where nothing was drawn, of the table given."""
        if self._schema is None:
            raise UnexecutedError(f"Constrainer[{self._experiment}] has not run yet")
        return self._schema

    def _resample(
        self,
        data: pd.DataFrame,
        original: pd.DataFrame,
        sampler: Sampler,
        restore: Callable[[pd.DataFrame], pd.DataFrame],
    ) -> pd.DataFrame:
        # Drawing moves a generator on: with one of its own, what one Constrainer experiment
        # draws does not hang on the experiments before it.
        own = copy.deepcopy(sampler)
        return resample(
            data, self._parameters, original, lambda num_rows: restore(own.sample(num_rows))
        )

    def _sampler(self, status: Status) -> Sampler | None:
        """Return what to draw from; None where the table is to be checked."""
        if self._parameters.method == "validate" or self._parameters.source is not None:
            return None
        sampler: Sampler | None = None
        if "Synthesizer" in status.status:
            sampler = status.get_synthesizer()
        if sampler is None and self._parameters.method == "resample":
            raise self._error(
                "method 'resample' needs a Synthesizer that can draw rows, which one of method "
                "custom_data cannot; use method 'validate'",
                "method",
            )
        return sampler

    def _source(self, status: Status, name: str) -> pd.DataFrame:
        """Return the table that `source` calls `Module` or `Module.part`."""
        module, _, part = name.partition(".")
        tables = status.get_data_by_module([module])
        if not part and tables:
            return next(iter(tables.values()))
        for key in (part, SOURCE_ALIASES.get(part, part)):
            for found in (f"{module}_{key}", key):
                if found in tables:
                    return tables[found]
        known = ", ".join(tables) or ", ".join(status.status)
        raise self._error(f"there is no table {name!r} on this experiment path; {known}", "source")

    def _error(self, message: str, key: str | None = None) -> ConfigError:
        return ConfigError(message, module="Constrainer", experiment=self._experiment, key=key)


def _table(status: Status, module: str) -> Any:
    """Return a module's result; of a Splitter's, the training rows."""
    result = status.get_result(module)
    return result["train"] if module == "Splitter" else result


def _restoring(status: Status) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what does to drawn rows what the Postprocessor, if one ran, did to its input."""
    if "Postprocessor" not in status.status:
        return lambda data: data
    processor: Processor = status.get_processor()
    schema = status.get_preprocessor_input_schema() or processor.input_schema
    return lambda data: conformed(processor.inverse_transform(data), schema)


def _original(status: Status) -> Any:
    """Return the real rows that the synthetic ones are to be like, in the same form."""
    if "Preprocessor" in status.status and "Postprocessor" not in status.status:
        return _table(status, "Preprocessor")
    for module in ("Splitter", "Loader"):
        if module in status.status:
            return _table(status, module)
    return None
