"""Parameters of the Constrainer, from its configuration and from a file of constraints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, field_validator

from petsard_otel.documents import read_document_file
from petsard_otel.exceptions import ConfigError
from petsard_otel.modules.constraints.proportions import ProportionRule
from petsard_otel.modules.constraints.rows import (
    CombinationRule,
    FieldRule,
    NaNRule,
    read_combination_rule,
    read_field_rule,
    read_nan_rules,
)
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from petsard_otel.modules.constraints.rows import RowRule

METHODS = ("auto", "resample", "validate")
"""What `method` takes, in any case of letters."""

CONSTRAINT_KEYS = ("nan_groups", "field_constraints", "field_combinations", "field_proportions")
"""The kinds of constraints, in the order in which they are enforced."""


def _unset(given: object) -> object:
    """Read the text None as PETsARD does, whose examples write it for a number not given."""
    return None if given == "None" else given


def _several(given: object) -> object:
    return (
        (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else given
    )


FieldCondition = Annotated[FieldRule, PlainValidator(read_field_rule)]
Combination = Annotated[CombinationRule, PlainValidator(read_combination_rule)]


class ConstrainerParameters(Parameters):
    """Parameters of the Constrainer."""

    method: str = "auto"
    source: Annotated[tuple[str, ...] | None, BeforeValidator(_several)] = None
    constraints_yaml: str | None = None
    nan_groups: Annotated[tuple[NaNRule, ...], PlainValidator(read_nan_rules)] = ()
    field_constraints: list[FieldCondition] = Field(default_factory=list)
    field_combinations: list[Combination] = Field(default_factory=list)
    field_proportions: list[ProportionRule] = Field(default_factory=list)
    target_rows: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_unset)] = None
    sampling_ratio: float = Field(default=10.0, gt=0)
    max_trials: int = Field(default=300, ge=1)
    verbose_step: int = Field(default=10, ge=0)

    @field_validator("field_proportions")
    @classmethod
    def _once_each(cls, rules: list[ProportionRule]) -> list[ProportionRule]:
        fields = [rule.fields for rule in rules]
        twice = next((one for one in fields if fields.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"there are two rules for {', '.join(twice)}; keep one")
        return rules

    def row_rules(self) -> Iterator[RowRule]:
        """Return the rules on rows in the order in which they are enforced."""
        yield from sorted(self.nan_groups, key=lambda rule: not rule.is_deleting)
        yield from self.field_constraints
        yield from self.field_combinations


def read_constrainer_parameters(experiment: str, given: Mapping[str, Any]) -> ConstrainerParameters:
    """Validate the configuration of one Constrainer, with the file that it may name.

    The file is read now: what it holds is configuration, and a mistake in it must show before
    anything runs.

    Raises:
        ConfigError: Names experiment and key, and the file where the mistake is in it.
    """
    path, loaded = _read_file(experiment, given)
    try:
        parameters = read_parameters(
            ConstrainerParameters, "Constrainer", experiment, {**given, **loaded}
        )
    except ConfigError as error:
        if (error.key or "").partition(".")[0] not in loaded:
            raise
        message = f"{path}: {error.key}: {error.message}"
        raise _error(experiment, "constraints_yaml", message) from None
    method = parameters.method.lower()
    if method not in METHODS:
        raise _error(experiment, "method", unknown_name("method", parameters.method, METHODS))
    if method == "resample" and parameters.source is not None:
        message = "names tables to validate; leave it out, or use method 'validate'"
        raise _error(experiment, "source", message)
    return parameters.model_copy(update={"method": method})


def _read_file(experiment: str, given: Mapping[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """Return the constraints from the file that `constraints_yaml` names, if it does."""
    name = given.get("constraints_yaml")
    if not isinstance(name, str):
        return None, {}
    both = [key for key in CONSTRAINT_KEYS if key in given]
    if both:
        message = f"cannot be combined with {', '.join(both)}; put all constraints in one place"
        raise _error(experiment, "constraints_yaml", message)
    # Where Python looks for modules PETsARD looks too: next to the script that was started.
    paths = [Path(directory, name) for directory in ("", *sys.path)]
    # `Path.is_file` raises where a name is too long.
    path = next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113
    if path is None:
        message = f"there is no file {name!r} in {Path.cwd()} or where Python finds modules"
        raise _error(experiment, "constraints_yaml", message)
    try:
        loaded = read_document_file(path).content
    except ConfigError as error:
        raise _error(experiment, "constraints_yaml", str(error)) from None
    if not isinstance(loaded, dict):
        message = f"{path}: expected a mapping with {', '.join(CONSTRAINT_KEYS)}"
        raise _error(experiment, "constraints_yaml", message)
    return path, loaded


def _error(experiment: str, key: str, message: str) -> ConfigError:
    return ConfigError(message, module="Constrainer", experiment=experiment, key=key)
