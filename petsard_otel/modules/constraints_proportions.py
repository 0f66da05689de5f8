"""Constraints on a whole table: values are as frequent as they are in the original one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field

from petsard_otel.exceptions import DataError
from petsard_otel.modules.constraints_columns import column_of
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
            DataError: A column is not there, or holds numbers or dates, which have no shares.
        """
        keys = pd.concat([self._keys(original), self._keys(data)], ignore_index=True)
        groups = keys.groupby(list(keys.columns), dropna=False, sort=False).ngroup().to_numpy()
        known, codes = groups[: len(original)], groups[len(original) :]
        values = int(groups.max()) + 1
        shares = np.bincount(known, minlength=values) / max(len(original), 1)
        least = np.floor(np.round((shares - self.tolerance) * num_rows, 9)).astype(np.int64)
        most = np.ceil(np.round((shares + self.tolerance) * num_rows, 9)).astype(np.int64)
        return Quota(codes, np.clip(least, 0, None), np.clip(most, None, num_rows))

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
                    f"is of type {column.dtype}; declare it as a category in the Loader's schema"
                )
        return pd.DataFrame({i: column.astype(object) for i, column in enumerate(columns)})


@dataclass(frozen=True, slots=True)
class Quota:
    """The value of each row, as a code, and how many rows each value must and may have."""

    codes: NDArray[Any]
    least: Counts
    most: Counts

    def excess(self) -> Rows:
        """Tell which rows come after as many of their value as there may be."""
        excess: Rows = self._ranks() >= self.most[self.codes]
        return excess

    def needed(self) -> Rows:
        """Tell which rows belong to the first of their value that there must be."""
        needed: Rows = self._ranks() < self.least[self.codes]
        return needed

    def lacking(self) -> int:
        """Count the values that too few rows have."""
        counts = np.bincount(self.codes, minlength=len(self.least))
        return int(np.count_nonzero(counts < self.least))

    def _ranks(self) -> NDArray[Any]:
        codes = pd.Series(self.codes)
        return codes.groupby(codes).cumcount().to_numpy()


def trimmed(
    data: pd.DataFrame, rules: Sequence[ProportionRule], original: pd.DataFrame, num_rows: int
) -> pd.DataFrame:
    """Drop the rows that no choice of `num_rows` rows needs, so that no value has too many.

    Rows of values that may else fall short come first and are kept before others; apart from
    that, earlier rows come before later ones.
    """
    needed = np.zeros(len(data), dtype=np.bool_)
    for rule in rules:
        needed |= rule.quota(data, original, num_rows).needed()
    data = data.iloc[np.argsort(~needed, kind="stable")]
    for rule in rules:
        data = data[~rule.quota(data, original, num_rows).excess()]
    return data


def are_kept(
    data: pd.DataFrame, rules: Sequence[ProportionRule], original: pd.DataFrame, num_rows: int
) -> bool:
    """Tell whether no value has too few rows."""
    return not any(rule.quota(data, original, num_rows).lacking() for rule in rules)
