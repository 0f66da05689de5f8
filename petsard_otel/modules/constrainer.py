"""The Constrainer: draws rows until enough of them keep all constraints, or checks a table."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import yaml
from pydantic import BeforeValidator, Field, PlainValidator, field_validator

from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.constraints_proportions import ProportionRule, select
from petsard_otel.modules.constraints_rows import (
    CombinationRule,
    FieldRule,
    NaNRule,
    read_combination_rule,
    read_field_rule,
    read_nan_rules,
)
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.modules.synthesizer import carried_schema
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from petsard_otel.modules.constraints_rows import RowRule
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

logger = logging.getLogger(__name__)

METHODS = ("auto", "resample", "validate")
"""What `method` takes, in any case of letters."""

CONSTRAINT_KEYS = ("nan_groups", "field_constraints", "field_combinations", "field_proportions")
"""The kinds of constraints, in the order in which they are enforced."""

SOURCE_ALIASES = {"ori": "train", "train": "ori", "control": "validation", "validation": "control"}
"""Other names of a Splitter's parts in `source`."""

MAX_EXAMPLES = 6
"""Index labels that a validation lists for a rule that rows break."""


def _none_text(given: object) -> object:
    """Read the text None, which is how PETsARD's examples write a value that is not set."""
    return None if given == "None" else given


class ConstrainerParameters(Parameters):
    """Parameters of the Constrainer."""

    method: str = "auto"
    source: Annotated[
        tuple[str, ...] | None,
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else _tuple(given)),
    ] = None
    constraints_yaml: str | None = None
    nan_groups: Annotated[tuple[NaNRule, ...], PlainValidator(read_nan_rules)] = ()
    field_constraints: list[Annotated[FieldRule, PlainValidator(read_field_rule)]] = []
    field_combinations: list[Annotated[CombinationRule, PlainValidator(read_combination_rule)]] = []
    field_proportions: list[ProportionRule] = []
    target_rows: Annotated[int | None, BeforeValidator(_none_text)] = Field(default=None, ge=1)
    sampling_ratio: float = Field(default=10.0, gt=0)
    max_trials: int = Field(default=300, ge=1)
    verbose_step: int = Field(default=10, ge=0)

    @field_validator("field_proportions")
    @classmethod
    def _once_each(cls, rules: list[ProportionRule]) -> list[ProportionRule]:
        fields = [rule.fields for rule in rules]
        twice = next((one for one in fields if fields.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"two rules for the same fields: {', '.join(twice)}")
        return rules

    def row_rules(self) -> Iterator[RowRule]:
        """Return the rules on rows in the order in which they are enforced."""
        yield from sorted(self.nan_groups, key=lambda rule: not rule.is_deleting)
        yield from self.field_constraints
        yield from self.field_combinations
