"""Preprocessor: makes a table fit for a synthesizer, in steps that can be taken back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.modules.processing.methods import METHODS, Method, read_method
from petsard_otel.modules.processing.plan import GLOBAL_OUTLIER_METHODS, Plan
from petsard_otel.modules.processing.schema import rounded, schema_like
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from petsard_otel.modules.processing.processor import Processor
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

MODULE = "Preprocessor"
"""The module's name."""

PREPROCESSOR_METHODS = ("default", "custom")
"""PETsARD's names. They are the same: `config` says where to leave the defaults, if anywhere."""

DEFAULT_SEQUENCE = ("missing", "outlier", "encoder", "scaler")
"""The steps, in their order, where the configuration does not say."""

_logger = logging.getLogger(__name__)


class PreprocessorParameters(Parameters):
    """PETsARD's keys; the steps themselves may stand in the place of `config`.

    `random_state` is ours: it sets what `encoder_uniform`, `missing_mode`, the isolation forest
    and the places of missing values depend on.
    """

    method: str = "custom"
    sequence: list[str] | None = None
    config: dict[Any, Any] | None = None
    missing: dict[Any, Any] | None = None
    outlier: dict[Any, Any] | str | None = None
    encoder: dict[Any, Any] | None = None
    scaler: dict[Any, Any] | None = None
    discretizing: dict[Any, Any] | None = None
    random_state: int = 0

    @field_validator("random_state")
    @classmethod
    def _seed(cls, seed: int) -> int:
        if not 0 <= seed < 2**32:
            raise ValueError("expected a number from 0 to 4294967295")
        return seed

    @field_validator("sequence")
    @classmethod
    def _valid_sequence(cls, sequence: list[str] | None) -> list[str] | None:
        if sequence is None:
            return None
        for step in sequence:
            if step not in METHODS:
                raise ValueError(unknown_name("step", step, METHODS))
        if not sequence or len(set(sequence)) < len(sequence):
            raise ValueError("expected at least one step, and each of them once")
        if "discretizing" in sequence:
            if "encoder" in sequence:
                raise ValueError("'discretizing' takes the place of 'encoder': give one of them")
            if sequence[-1] != "discretizing":
                raise ValueError("'discretizing' must be the last step")
        return sequence


class PreprocessorAdapter:
    """Run one Preprocessor experiment."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._plan = read_plan(experiment, parameters)
        self.processor: Processor | None = None
        self._result: pd.DataFrame | None = None
        self._metadata: Schema | None = None

    def set_input(self, status: Status) -> dict[str, Any]:
        """Take the table before this module: of a Splitter's the training part."""
        before = status.get_pre_module(MODULE)
        if before is None:
            raise UnexecutedError("Preprocessor needs data: put a Loader before it")
        data = status.get_result(before)
        if before == "Splitter":
            data = data["train"]
        return {"data": data, "metadata": status.get_metadata(before)}

    def run(self, input: dict[str, Any]) -> None:
        """Fit the steps to the table and make the new one."""
        data: pd.DataFrame = input["data"]
        processor = self._plan.processor(schema_like(data, input["metadata"]))
        predicted = processor.predict()
        with step_span("fit"):
            processor.fit(data)
        with step_span("transform"):
            result = rounded(processor.transform(data), predicted)
        self.processor = processor
        self._result = result
        self._metadata = schema_like(result, predicted)

    def get_result(self) -> pd.DataFrame:
        """Return the new table."""
        if self._result is None:
            raise UnexecutedError("Preprocessor has not run")
        return self._result

    def get_metadata(self) -> Schema:
        """Return the schema of the new table, under the id of the input's."""
        if self._metadata is None:
            raise UnexecutedError("Preprocessor has not run")
        return self._metadata

    def infer_schema(self, input_schema: Schema) -> Schema:
        """Predict the schema of the new table; indicators of one column are one `<column>_*`.

        Raises:
            DataError: The configuration asks for what such a table cannot give, as `run` would
                find: a column that is not there, or a method that its type does not suit.
        """
        return self._plan.processor(input_schema).predict()


def read_plan(experiment: str, given: Mapping[str, Any]) -> Plan:
    """Read the configuration of one Preprocessor experiment.

    Raises:
        ConfigError: Names the key, and the nearest valid one where it is unknown.
    """
    parameters = read_parameters(PreprocessorParameters, MODULE, experiment, given)
    if parameters.method.lower() not in PREPROCESSOR_METHODS:
        message = unknown_name("method", parameters.method, PREPROCESSOR_METHODS)
        raise _error(message, experiment, "method")
    place, steps = _steps(parameters, experiment)
    sequence = tuple(parameters.sequence or DEFAULT_SEQUENCE)
    methods: dict[str, dict[Hashable, Method | None]] = {}
    global_outlier = None
    for step, columns in steps.items():
        key = f"{place}{step}"
        if step not in METHODS:
            raise _error(unknown_name("step", str(step), METHODS), experiment, f"{place}{step}")
        if step not in sequence and columns:
            _logger.warning(
                "Preprocessor[%s]: %s is not in the sequence, so it is not done", experiment, key
            )
        if step == "outlier" and isinstance(columns, str):
            global_outlier = _global_outlier(columns, experiment, key)
        elif isinstance(columns, dict):
            methods[step] = {
                column: read_method(method, step, experiment, f"{key}.{column}")
                for column, method in columns.items()
            }
        elif columns is not None:
            raise _error("expected a mapping of columns to methods", experiment, key)
    return Plan(sequence, methods, global_outlier, parameters.random_state)


def _steps(parameters: PreprocessorParameters, experiment: str) -> tuple[str, dict[Any, Any]]:
    """Return what is said for each step, and where it is said: in `config` or beside it."""
    beside = {
        step: getattr(parameters, step) for step in METHODS if step in parameters.model_fields_set
    }
    if "config" not in parameters.model_fields_set:
        return "", beside
    if beside:
        raise _error("give it inside 'config', beside the others", experiment, next(iter(beside)))
    return "config.", parameters.config or {}


def _global_outlier(method: str, experiment: str, key: str) -> str | None:
    if method.lower() == "none":
        return None
    if method.lower() in GLOBAL_OUTLIER_METHODS:
        return method.lower()
    message = (
        f"{method!r} is set column by column, as in outlier: {{column: {method}}}"
        if method in METHODS["outlier"]
        else unknown_name("method", method, GLOBAL_OUTLIER_METHODS)
    )
    raise _error(message, experiment, key)


def _error(message: str, experiment: str, key: str) -> ConfigError:
    return ConfigError(message, module=MODULE, experiment=experiment, key=key)
