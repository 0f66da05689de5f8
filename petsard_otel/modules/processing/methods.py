"""The steps that a configuration may name, their methods, and the parameters of those."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from petsard_otel.exceptions import ConfigError
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoParameters(Parameters):
    """The parameters of a method that has none."""


class SimpleParameters(Parameters):
    """`missing_simple`."""

    value: bool | int | float | str | datetime | date = 0.0

    @field_validator("value")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("expected a finite value")
        return value


class DateDiffParameters(Parameters):
    """`encoder_datediff`."""

    baseline_date: str
    related_date_list: list[str] = Field(min_length=1)
    diff_unit: Literal["days", "weeks", "months", "years"] = "days"
    absolute_value: bool = False


class TimeAnchorParameters(Parameters):
    """`scaler_timeanchor`: several references are measured from the column, one the other way."""

    reference: str | list[str]
    unit: Literal["D", "S"] = "D"


class KBinsParameters(Parameters):
    """`discretizing_kbins`."""

    n_bins: int = Field(default=5, ge=2)


METHODS: Mapping[str, Mapping[str, type[Parameters]]] = {
    "missing": {
        "missing_drop": NoParameters,
        "missing_mean": NoParameters,
        "missing_median": NoParameters,
        "missing_mode": NoParameters,
        "missing_simple": SimpleParameters,
    },
    "outlier": {
        "outlier_zscore": NoParameters,
        "outlier_iqr": NoParameters,
        "outlier_isolationforest": NoParameters,
        "outlier_lof": NoParameters,
    },
    "encoder": {
        "encoder_uniform": NoParameters,
        "encoder_label": NoParameters,
        "encoder_onehot": NoParameters,
        "encoder_datediff": DateDiffParameters,
    },
    "scaler": {
        "scaler_standard": NoParameters,
        "scaler_minmax": NoParameters,
        "scaler_zerocenter": NoParameters,
        "scaler_log": NoParameters,
        "scaler_log1p": NoParameters,
        "scaler_timeanchor": TimeAnchorParameters,
    },
    "discretizing": {
        "discretizing_kbins": KBinsParameters,
        "encoder_label": NoParameters,
    },
}
"""By step, the methods that it may have, under PETsARD's names."""


@dataclass(frozen=True)
class Method:
    """A method with its parameters; without them its defaults hold."""

    name: str
    parameters: Parameters | None = None


def read_method(given: Any, step: str, experiment: str, key: str) -> Method | None:
    """Read what a configuration says for one column: a name, or a name with parameters.

    Raises:
        ConfigError: The method or a parameter is unknown, or has a wrong value.
    """
    if given is None or (isinstance(given, str) and given.lower() == "none"):
        return None
    parameters = dict(given) if isinstance(given, dict) else {}
    name = parameters.pop("method", None) if isinstance(given, dict) else given
    if not isinstance(name, str):
        raise _error(
            f"expected the name of a method, 'none', or a mapping with the key 'method'; "
            f"valid methods: {', '.join(METHODS[step])}",
            experiment,
            key,
        )
    if name not in METHODS[step]:
        # PETsARD's names begin with the step; people leave that out.
        near = f"{step}_{name}"
        if near in METHODS[step]:
            raise _error(f"unknown method {name!r}; did you mean {near!r}?", experiment, key)
        raise _error(unknown_name("method", name, METHODS[step]), experiment, key)
    if METHODS[step][name] is NoParameters and parameters:
        place = f"{key}.{next(iter(parameters))}"
        raise _error(f"{name} takes no parameters", experiment, place)
    try:
        return Method(
            name, read_parameters(METHODS[step][name], "Preprocessor", experiment, parameters)
        )
    except ConfigError as error:
        place = key if error.key is None else f"{key}.{error.key}"
        raise _error(error.message, experiment, place) from None


def _error(message: str, experiment: str, key: str) -> ConfigError:
    return ConfigError(message, module="Preprocessor", experiment=experiment, key=key)
