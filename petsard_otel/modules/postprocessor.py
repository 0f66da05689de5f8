"""Postprocessor: takes back what the Preprocessor did, on a synthetic table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.modules.processing.schema import conformed, schema_like
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from petsard_otel.modules.processing.processor import Processor
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

MODULE = "Postprocessor"
"""The module's name."""


class PostprocessorParameters(Parameters):
    """PETsARD's one key."""

    method: str = "default"


class PostprocessorAdapter:
    """Run one Postprocessor experiment."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        method = read_parameters(PostprocessorParameters, MODULE, experiment, parameters).method
        if method.lower() != "default":
            message = unknown_name("method", method, ["default"])
            raise ConfigError(message, module=MODULE, experiment=experiment, key="method")
        self.processor: Processor | None = None
        self._result: pd.DataFrame | None = None
        self._metadata: Schema | None = None

    def set_input(self, status: Status) -> dict[str, Any]:
        """Take the table before this module, the Preprocessor's steps, and what it was given."""
        before = status.get_pre_module(MODULE)
        if before is None:
            raise UnexecutedError("Postprocessor needs data: put a Synthesizer before it")
        return {
            "data": status.get_result(before),
            "preprocessor": status.get_processor(),
            "original_schema": status.get_preprocessor_input_schema(),
        }

    def run(self, input: dict[str, Any]) -> None:
        """Take the Preprocessor's steps back, and make the table as its input was declared."""
        processor: Processor = input["preprocessor"]
        original = input["original_schema"] or processor.input_schema
        with step_span("inverse_transform"):
            result = conformed(processor.inverse_transform(input["data"]), original)
        self.processor = processor
        self._result = result
        self._metadata = schema_like(result, original)

    def get_result(self) -> pd.DataFrame:
        """Return the table in the form that the Preprocessor was given."""
        if self._result is None:
            raise UnexecutedError("Postprocessor has not run")
        return self._result

    def get_metadata(self) -> Schema:
        """Return the schema of the table, under the id of the Preprocessor's input."""
        if self._metadata is None:
            raise UnexecutedError("Postprocessor has not run")
        return self._metadata
