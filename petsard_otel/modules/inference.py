"""Predicting schemas by PETsARD's own name for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.modules.preprocessor import PreprocessorAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.schema import Schema


class SchemaInferencer:
    """Predicts the Preprocessor's output schema; what `Status.schema_inferencer` returns."""

    def infer_preprocessor_output(
        self, input_schema: Schema, processor_config: Mapping[str, Any]
    ) -> Schema:
        """Predict from a schema and one experiment's parameters.

        Args:
            input_schema: The schema that the Preprocessor will receive.
            processor_config: The experiment's parameters; or the steps alone, without `method`.

        Raises:
            ConfigError: The parameters are not usable.
        """
        parameters = dict(processor_config)
        if "method" not in parameters:
            parameters = {"method": "custom", "config": parameters}
        return PreprocessorAdapter("inferred", parameters).infer_schema(input_schema)
