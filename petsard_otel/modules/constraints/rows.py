"""Constraints on single rows: read from the configuration, checked, and enforced.

Each kind is read by a function that raises ValueError with what is wrong, as pydantic wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from petsard_otel.exceptions import DataError
from petsard_otel.modules.constraints.columns import column_of
from petsard_otel.modules.constraints.conditions import Condition, parse
from petsard_otel.modules.parameters import unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    Rows = NDArray[np.bool_]

Action = Literal["erase", "copy", "nan_if_condition"]

ACTIONS = ("delete", "erase", "copy", "nan_if_condition")
"""What a rule of `nan_groups` may do."""

MISSING = "pd.NA"
"""How the configuration writes a missing value."""


class RowRule(Protocol):
    """A rule that each row keeps or breaks on its own."""

    def broken(self, data: pd.DataFrame) -> Rows:
        """Tell which rows break the rule: those that `enforced` would drop or change.

        Raises:
            DataError: A column is not there, or has values that the rule cannot deal with.
        """

    def enforced(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return the table without those rows, or with them mended."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A condition that holds for every row that is kept."""

    condition: Condition

    def broken(self, data: pd.DataFrame) -> Rows:
        """Tell where the condition does not hold."""
        return ~self.condition.holds(data)

    def enforced(self, data: pd.DataFrame) -> pd.DataFrame:
        """Drop the rows where it does not hold."""
        return data[~self.broken(data)]

    def __str__(self) -> str:
        return self.condition.text


@dataclass(frozen=True, slots=True)
class CombinationRule:
    """Values that a column may have where others have certain values; all else is free."""

    sources: tuple[str, ...]
    target: str
    allowed: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]

    def broken(self, data: pd.DataFrame) -> Rows:
        """Tell where the sources have listed values and the target has none of theirs."""
        target = column_of(data, self.target)
        columns = [column_of(data, source) for source in self.sources]
        broken = np.zeros(len(data), dtype=np.bool_)
        for values, targets in self.allowed:
            applies = ~_is_in(target, targets)
            for column, value in zip(columns, values, strict=True):
                applies &= _is_in(column, (value,))
            broken |= applies
        return broken

    def enforced(self, data: pd.DataFrame) -> pd.DataFrame:
        """Drop the rows with other values."""
        return data[~self.broken(data)]

    def __str__(self) -> str:
        return f"{', '.join(self.sources)} -> {self.target}"


@dataclass(frozen=True, slots=True)
class NaNChange:
    """One change of `nan_groups`: which column it changes, where, and to what."""

    action: Action
    column: str
    other: str
    values: tuple[Any, ...] = ()

    @property
    def changed(self) -> str:
        """The column that is changed."""
        return self.column if self.action == "nan_if_condition" else self.other

    def rows(self, data: pd.DataFrame) -> Rows:
        """Tell which rows are changed."""
        column, other = column_of(data, self.column), column_of(data, self.other)
        if self.action == "nan_if_condition":
            return _is_in(other, self.values) & column.notna().to_numpy(dtype=np.bool_)
        if self.action == "erase":
            return (column.isna() & other.notna()).to_numpy(dtype=np.bool_)
        return (column.notna() & other.isna()).to_numpy(dtype=np.bool_)

    def made(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return the table with the change."""
        rows = self.rows(data)
        if self.action != "copy":
            return (
                data.assign(**{self.changed: data[self.changed].mask(rows)}) if rows.any() else data
            )
        column, other = data[self.column], data[self.other]
        fits = column.dtype.kind in "iuf" and other.dtype.kind == "f"
        if column.dtype != other.dtype and not fits:
            raise DataError(
                f"nan_groups cannot copy {self.column!r} ({column.dtype}) to {self.other!r} "
                f"({other.dtype}); give both the same type"
            )
        return data.assign(**{self.other: other.where(~rows, column)})


@dataclass(frozen=True, slots=True)
class NaNRule:
    """What is done with a row that lacks the value of a column, or should lack it."""

    column: str
    is_deleting: bool
    changes: tuple[NaNChange, ...] = ()

    def broken(self, data: pd.DataFrame) -> Rows:
        """Tell which rows the rule would delete or change."""
        if self.is_deleting:
            return column_of(data, self.column).isna().to_numpy(dtype=np.bool_)
        broken = np.zeros(len(data), dtype=np.bool_)
        for change in self.changes:
            broken |= change.rows(data)
        return broken

    def enforced(self, data: pd.DataFrame) -> pd.DataFrame:
        """Delete the rows or change them."""
        if self.is_deleting:
            return data[~self.broken(data)]
        for change in self.changes:
            data = change.made(data)
        return data

    def __str__(self) -> str:
        if self.is_deleting:
            return f"{self.column}: delete"
        actions = dict.fromkeys(change.action for change in self.changes)
        named = [
            f"{action} ({', '.join(c.other for c in self.changes if c.action == action)})"
            for action in actions
        ]
        return f"{self.column}: {', '.join(named)}"


def read_field_rule(given: object) -> FieldRule:
    """Read one entry of `field_constraints`."""
    if not isinstance(given, str):
        raise ValueError("expected a condition as text, such as 'age >= 18'")
    return FieldRule(parse(given))


def read_combination_rule(given: object) -> CombinationRule:
    """Read one entry of `field_combinations`: `[{source: target}, {value: [allowed, ...]}]`."""
    match given:
        case [{**fields}, {**conditions}] if len(fields) == 1:
            ((sources, target),) = fields.items()
        case _:
            raise ValueError(
                "expected two mappings, [{source: target}, {source value: [target values]}]"
            )
    names = sources if isinstance(sources, tuple) else (sources,)
    if not names or not isinstance(target, str) or not _are_texts(names):
        raise ValueError("expected names of columns in the first mapping")
    allowed = []
    for value, targets in conditions.items():
        values = value if isinstance(value, tuple) else (value,)
        if len(values) != len(names):
            raise ValueError(f"expected {len(names)} source values in each entry")
        if isinstance(targets, dict):
            raise ValueError("expected a list of target values")
        several = tuple(targets) if isinstance(targets, list | tuple) else (targets,)
        allowed.append((values, several))
    return CombinationRule(names, target, tuple(allowed))


def read_nan_rules(given: object) -> tuple[NaNRule, ...]:
    """Read `nan_groups`: what to do, for each column."""
    if not isinstance(given, dict) or not _are_texts(given):
        raise ValueError("expected a mapping from columns to actions")
    return tuple(_read_nan_rule(column, actions) for column, actions in given.items())


def _read_nan_rule(column: str, given: object) -> NaNRule:
    actions = {given: None} if isinstance(given, str) else given
    if not isinstance(actions, dict) or not actions:
        raise ValueError(f"{column}: expected 'delete' or a mapping from actions to columns")
    for action in actions:
        if action not in ACTIONS:
            raise ValueError(f"{column}: {unknown_name('action', str(action), ACTIONS)}")
    if "delete" in actions:
        if len(actions) > 1:
            raise ValueError(f"{column}: 'delete' leaves nothing to do for another action")
        return NaNRule(column, is_deleting=True)
    changes = [
        change for action, others in actions.items() for change in _read(column, action, others)
    ]
    return NaNRule(column, is_deleting=False, changes=tuple(changes))


def _read(column: str, action: Any, given: object) -> list[NaNChange]:
    """Read what one action does to which columns."""
    action = cast("Action", action)
    if action == "nan_if_condition":
        if not isinstance(given, dict) or not given:
            raise ValueError(f"{column}.{action}: expected a mapping from columns to values")
        pairs = [
            (other, tuple(values) if isinstance(values, list) else (values,))
            for other, values in given.items()
        ]
    else:
        pairs = [(other, ()) for other in (given if isinstance(given, list) else [given])]
    if not pairs or not _are_texts([other for other, _ in pairs]):
        raise ValueError(f"{column}.{action}: expected the names of columns")
    if any(other == column for other, _ in pairs):
        raise ValueError(f"{column}.{action}: expected other columns, found the same")
    return [NaNChange(action, column, other, values) for other, values in pairs]


def _are_texts(names: Iterable[object]) -> bool:
    return all(isinstance(name, str) for name in names)


def _is_in(column: pd.Series[Any], values: tuple[Any, ...]) -> Rows:
    """Tell where a column has one of the values, `pd.NA` meaning that it is missing."""
    is_marker = [isinstance(value, str) and value == MISSING for value in values]
    present = [value for value, is_na in zip(values, is_marker, strict=True) if not is_na]
    found = column.isin(present).to_numpy(dtype=np.bool_)
    return found | column.isna().to_numpy(dtype=np.bool_) if any(is_marker) else found
