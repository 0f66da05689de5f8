"""The Status of PETsARD's own modules."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import readable_schema
from petsard_otel.petsard.convention import PetsardConvention
from petsard_otel.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.convention import Convention


class PetsardStatus(Status):
    """A Status that reads every adapter as PETsARD's Status does."""

    def _convention_for(self, config: Any) -> Convention:
        return PetsardConvention()

    def predict_preprocessor(self, parameters: Mapping[str, Any]) -> None:
        """Have PETsARD's inferencer predict what its Preprocessor will make.

        Args:
            parameters: The experiment's.
        """
        self.inferred_schemas.pop("Preprocessor", None)
        before = self.get_pre_module("Preprocessor")
        received = self.metadata.get(before or "")
        if received is None:
            return
        steps = {k: v for k, v in parameters.items() if k not in {"method", "sequence"}}
        if parameters.get("method") == "default":
            steps = {"default": {"method": "default"}}
        with self._recorder.guard:
            predicted = self.schema_inferencer.infer_preprocessor_output(
                copy(received), steps.get("config", steps)
            )
            schema = readable_schema(predicted)
            if schema is not None:
                self.inferred_schemas["Preprocessor"] = schema
