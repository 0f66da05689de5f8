"""Parameters of a built-in module: pydantic models, whose errors become our ConfigError."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from petsard_otel.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Parameters(BaseModel):
    """Base of every module's parameters: unknown keys are errors, types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


ParametersT = TypeVar("ParametersT", bound=Parameters)


def read_parameters(
    parameters: type[ParametersT], module: str, experiment: str, given: Mapping[str, Any]
) -> ParametersT:
    """Validate what the configuration gives one experiment.

    Raises:
        ConfigError: Names module, experiment and key, and the nearest valid key where the key is
            unknown.
    """
    try:
        return parameters.model_validate(dict(given))
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False)
        # A misspelt key makes two mistakes: it is unknown, and the right one is missing.
        first = min(mistakes, key=lambda mistake: mistake["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"]) or None
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            valid = [field.alias or name for name, field in parameters.model_fields.items()]
            message = unknown_name("key", str(first["loc"][0]), valid)
        else:
            message = first["msg"].removeprefix("Value error, ")
            if first["type"] == "missing":
                message = "is required, and not given"
            elif not isinstance(first["input"], dict | list):
                message += f" (found {first['input']!r})"
        raise ConfigError(message, module=module, experiment=experiment, key=key) from None


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> str:
    """Say that `name` is not one of the valid ones, and which is nearest."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}; {hint}Valid: {', '.join(names)}"


def needs_petsard(method: str, module: str, experiment: str) -> ConfigError:
    """Return the error for a method that PETsARD has and the built-in modules do not."""
    return ConfigError(
        f"method {method!r} needs PETsARD itself; "
        'install it with: pip install "petsard-otel[petsard]"',
        module=module,
        experiment=experiment,
        key="method",
    )
