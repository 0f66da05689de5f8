"""Constraints on a whole table: values are as frequent as they are in the original one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from petsard_otel.exceptions import DataError
from petsard_otel.modules.constraints.columns import column_of
from petsard_otel.modules.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.bool_]
    Counts = NDArray[np.int64]


def _as_tuple(given: object) -> object:
    return tuple(given) if isinstance(given, list) else (given,)


class ProportionRule(Parameters):
    """Every value, or every combination of values, keeps its share of the rows.

    In mode `missing` what counts is whether values are missing. `tolerance` is how far a share
    may lie from the one in the original table, as a difference of shares.
    """

    fields: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    mode: Literal["all", "missing"]
    tolerance: float = Field(default=0.1, ge=0, le=1)

    def quota(self, data: pd.DataFrame, original: pd.DataFrame, num_rows: int) -> Quota:
        """Count what `data` has and may have, where `num_rows` rows are wanted in the end.

        Raises:
            DataError: A column is not there, or holds numbers or dates, which have no shares, or
                the original has no rows.
        """
        if len(original) == 0:
            raise DataError(
                "there are no proportions to keep: no row of the original table keeps the other "
                "constraints; loosen those, or leave field_proportions out"
            )
        keys = pd.concat([self._keys(original), self._keys(data)], ignore_index=True)
        groups = keys.groupby(list(keys.columns), dropna=False, sort=False).ngroup().to_numpy()
        known, codes = groups[: len(original)], groups[len(original) :]
        values = int(groups.max()) + 1
        shares = np.bincount(known, minlength=values) / len(original)
        least = np.floor(np.round((shares - self.tolerance) * num_rows, 9)).astype(np.int64)
        most = np.ceil(np.round((shares + self.tolerance) * num_rows, 9)).astype(np.int64)
        wanted = shares * num_rows
        return Quota(codes, np.clip(least, 0, None), np.clip(most, None, num_rows), wanted)

    def __str__(self) -> str:
        fields = self.fields[0] if len(self.fields) == 1 else list(self.fields)
        return f"{fields} (mode={self.mode}, tolerance={self.tolerance})"

    def _keys(self, data: pd.DataFrame) -> pd.DataFrame:
        columns = [column_of(data, name) for name in self.fields]
        if self.mode == "missing":
            return pd.DataFrame({i: column.isna() for i, column in enumerate(columns)})
        for column in columns:
            if column.dtype.kind in "iufcmM":
                raise DataError(
                    f"field_proportions keeps the shares of categories; column {column.name!r} "
                    f"is of type {column.dtype}; declare it as text in the Loader's schema"
                )
        return pd.DataFrame({i: column.astype(object) for i, column in enumerate(columns)})


@dataclass(frozen=True, slots=True)
class Quota:
    """The value of each row, as a code, and how many rows each value must, may and should have."""

    codes: NDArray[Any]
    least: Counts
    most: Counts
    wanted: NDArray[np.float64]

    def excess(self) -> Rows:
        """Tell which rows come after as many of their value as there may be."""
        excess: Rows = ranks(self.codes) >= self.most[self.codes]
        return excess

    def lacking(self) -> int:
        """Count the values that too few rows have."""
        counts = np.bincount(self.codes, minlength=len(self.least))
        return int(np.count_nonzero(counts < self.least))


class Choice(NamedTuple):
    """Rows that were chosen, and those that a later choice among more rows may still need."""

    chosen: pd.DataFrame
    useful: pd.DataFrame
    is_complete: bool


def choose(
    data: pd.DataFrame, rules: Sequence[ProportionRule], original: pd.DataFrame, num_rows: int
) -> Choice:
    """Choose at most `num_rows` rows so that every rule is kept as far as the rows allow.

    No value gets more rows than a rule lets it have. Among equals, earlier rows are chosen. The
    choice is complete where it has all rows that were wanted and no value has too few.
    """
    if data.empty or not rules:
        return Choice(data.head(num_rows), data, len(data) >= num_rows)
    quotas = [rule.quota(data, original, num_rows) for rule in rules]
    codes = pd.DataFrame({number: quota.codes for number, quota in enumerate(quotas)})
    cells = codes.groupby(list(codes.columns), sort=False).ngroup().to_numpy()
    counts, is_complete = _counts(
        codes.groupby(cells).first(), np.bincount(cells), quotas, num_rows
    )
    rank = ranks(cells)
    limit = np.min([quota.most[quota.codes] for quota in quotas], axis=0)
    return Choice(data[rank < counts[cells]], data[rank < limit], is_complete)


def ranks(codes: NDArray[Any]) -> NDArray[Any]:
    """Return how many earlier rows have the same code, for each row."""
    column = pd.Series(codes)
    return column.groupby(column).cumcount().to_numpy()


def _counts(
    cells: pd.DataFrame, available: NDArray[Any], quotas: Sequence[Quota], num_rows: int
) -> tuple[NDArray[Any], bool]:
    """Decide how many rows to take of each cell, a cell being one value for each rule.

    In this order of weight: no value gets more rows than it may, there are as many rows and as
    few values that fall short as can be, and shares are near those of the original. That is an
    integer linear program over the cells' counts, then each value's shortfall and its distance.
    """
    takes = [
        sparse.csr_array(
            (np.ones(len(cells)), (cells[number], np.arange(len(cells)))),
            shape=(len(quota.most), len(cells)),
        )
        for number, quota in enumerate(quotas)
    ]
    members = sparse.vstack(takes)
    least, most, wanted = (
        np.concatenate([getattr(quota, name) for quota in quotas])
        for name in ("least", "most", "wanted")
    )
    same, none = sparse.eye_array(len(least)), sparse.csr_array((len(least), len(least)))
    # A row more or less changes one distance for each rule, so that it outweighs them all.
    weight = len(quotas) + 1
    solved = milp(
        np.repeat([-weight, weight, 1.0], [len(cells), len(least), len(least)]),
        integrality=np.repeat([1, 0], [len(cells), 2 * len(least)]),
        bounds=Bounds(0, np.concatenate([available, least, np.full(len(least), np.inf)])),
        constraints=[
            LinearConstraint(sparse.hstack([members, same, none]), least, np.inf),
            LinearConstraint(sparse.hstack([members, none, none]), -np.inf, most),
            LinearConstraint(sparse.hstack([members, none, same]), wanted, np.inf),
            LinearConstraint(sparse.hstack([members, none, -same]), -np.inf, wanted),
            LinearConstraint(
                np.repeat([1.0, 0.0], [len(cells), 2 * len(least)])[np.newaxis], -np.inf, num_rows
            ),
        ],
    )
    counts = np.rint(solved.x[: len(cells)]).astype(np.int64)
    is_complete = counts.sum() == num_rows and bool((members @ counts >= least).all())
    return counts, bool(is_complete)
