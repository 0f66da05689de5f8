"""The Status of PETsARD's own modules."""

from __future__ import annotations

import logging
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from petsard_otel.convention import readable_schema
from petsard_otel.petsard.convention import PetsardConvention
from petsard_otel.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.convention import Convention
    from petsard_otel.telemetry.guard import Guard

T = TypeVar("T")

_UNHEARD = logging.Logger(  # noqa: LOG001  it is to be in no hierarchy
    "PETsARD.SchemaInferencer", logging.CRITICAL + 1
)
"""A logger that is in no hierarchy, and says nothing."""


def with_petsards_names(method: Callable[..., T]) -> Callable[..., T]:
    """Have a method take the names that PETsARD's Status gives its arguments, too."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> T:
        for theirs, ours in (("expt", "experiment"), ("operator", "adapter")):
            if theirs in kwargs:
                kwargs[ours] = kwargs.pop(theirs)
        return method(*args, **kwargs)

    return call


class PetsardStatus(Status):
    """A Status that reads every adapter as PETsARD's Status does."""

    put = with_petsards_names(Status.put)
    start_timing = with_petsards_names(Status.start_timing)
    end_timing = with_petsards_names(Status.end_timing)

    @property
    def guard(self) -> Guard:
        """The context in which nothing of ours raises during this run."""
        return self._recorder.guard

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
        with self.guard:
            from petsard.metadater.schema_inferencer import SchemaInferencer

            inferencer = SchemaInferencer()
            # It warns of what it does not understand, which is no news to anybody.
            inferencer.logger = _UNHEARD
            predicted = inferencer.infer_preprocessor_output(copy(received), _steps(parameters))
            schema = readable_schema(predicted)
            if schema is not None:
                self.inferred_schemas["Preprocessor"] = schema


def _steps(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Preprocessor's parameters as PETsARD's inferencer reads them."""
    if parameters.get("method") == "default":
        return {"default": {"method": "default"}}
    steps = parameters.get("config", parameters)
    # `outlier: outlier_lof`, which stands for all columns, is nothing to it.
    return {name: columns for name, columns in steps.items() if isinstance(columns, dict)}
