"""Categories to numbers and back: `encoder_label`, `encoder_uniform`, `encoder_onehot`.

A missing value is one more category.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.modules.processing.levels import Levels
from petsard_otel.modules.processing.processor import Attributes, Columns, ColumnStep, Step
from petsard_otel.schema import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INDICATOR_THRESHOLD = 0.5
"""From here on an indicator that a synthesizer made counts as set."""


class EncodeLabel(ColumnStep):
    """Number the categories from 0, in their order."""

    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return an attribute of whole numbers."""
        return Attribute(attribute.name, "int64")

    def fit_column(self, column: pd.Series[Any]) -> None:
        """Learn the categories."""
        self._levels = Levels(column)

    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the number of each category."""
        return pd.Series(self._levels.codes(column, self.method), index=column.index)

    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the category of each number, the nearest where there is none of that number."""
        return self._levels.values(_floats(column), column.index)


class EncodeUniform(ColumnStep):
    """Give each category a part of [0, 1] as wide as it is frequent, and draw from it evenly."""

    def __init__(self, method: str, column: str, seed: tuple[int, ...]) -> None:
        super().__init__(method, column)
        self._seed = seed

    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return an attribute of fractions."""
        return Attribute(attribute.name, "float64")

    def fit_column(self, column: pd.Series[Any]) -> None:
        """Learn the categories and their parts, the most frequent first."""
        self._levels = Levels(column)
        counts = self._levels.frequencies
        self._order = np.argsort(-counts, kind="stable")
        self._uppers = np.cumsum(counts[self._order]) / max(counts.sum(), 1)
        self._ranks = np.argsort(self._order)

    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a number out of each category's part; the same ones at every call."""
        ranks = self._ranks[self._levels.codes(column, self.method)]
        uppers = self._uppers[ranks]
        lowers = np.concatenate([[0.0], self._uppers])[ranks]
        shares = np.random.default_rng(self._seed).random(len(column))
        return pd.Series(lowers + shares * (uppers - lowers), index=column.index)

    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the category in whose part each number lies, or the nearest."""
        floats = _floats(column)
        ranks = np.searchsorted(self._uppers, floats, side="right")
        codes = self._order[np.clip(ranks, 0, len(self._order) - 1)].astype(np.float64)
        return self._levels.values(np.where(np.isnan(floats), np.nan, codes), column.index)


class EncodeOneHot(Step):
    """Replace a column by indicators, at the end of the table, of all its categories but one.

    The indicators are numbered, since the name of a column is public and a category is not. A
    column of one category gets one indicator, never set, so that no table loses all columns.
    """

    def __init__(self, column: str, prefix: str) -> None:
        self.column = column
        self._prefix = prefix
        self._names: list[str] = []

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes with one that stands for all indicators."""
        if self.column not in attributes:
            return attributes
        kept = {name: value for name, value in attributes.items() if name != self.column}
        name = f"{self._prefix}*"
        return {**kept, name: Attribute(name, "int64")}

    def fit(self, columns: Columns) -> None:
        """Learn the categories."""
        if self.column in columns:
            self._levels = Levels(columns[self.column])
            count = max(self._levels.count, 2)
            self._names = [f"{self._prefix}{code}" for code in range(1, count)]

    def transform(self, columns: Columns) -> Columns:
        """Return the table with the indicators in the place of the column."""
        if self.column not in columns:
            return columns
        column = columns[self.column]
        codes = self._levels.codes(column, "encoder_onehot")
        kept = {name: value for name, value in columns.items() if name != self.column}
        for code, name in enumerate(self._names, start=1):
            kept[name] = pd.Series((codes == code).astype(np.int64), index=column.index)
        return kept

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table with the column; the largest indicator that is set tells its value."""
        if not self._names:
            return columns
        index = columns[self._names[0]].index
        indicators = np.column_stack([_floats(columns[name]) for name in self._names])
        unknown = np.isnan(indicators).all(axis=1)
        indicators = np.nan_to_num(indicators, nan=0.0)
        is_set = indicators.max(axis=1) >= INDICATOR_THRESHOLD
        codes = np.where(is_set, indicators.argmax(axis=1) + 1.0, 0.0)
        codes[unknown] = np.nan
        names = set(self._names)
        kept = {name: column for name, column in columns.items() if name not in names}
        return {**kept, self.column: self._levels.values(codes, index)}


def indicator_prefixes(encoded: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    """Return, for each column to be encoded, how the names of its indicators begin.

    No other column's name looks like one of the indicators, and no prefix begins another, so
    that `<prefix>*` stands for these indicators alone.
    """
    taken, others = set(encoded), list(names)
    prefixes = {}
    for column in encoded:
        prefix, number = f"{column}_", 2
        while _is_taken(prefix, column, others, taken):
            prefix = f"{column}_{number}_"
            number += 1
        prefixes[column] = prefix
    return prefixes


def _is_taken(prefix: str, column: str, names: list[str], encoded: set[str]) -> bool:
    for name in names:
        if name == column:
            continue
        # All prefixes that another column could get begin with its name and this.
        if name in encoded and f"{name}_".startswith(prefix):
            return True
        rest = name[len(prefix) :] if name.startswith(prefix) else ""
        if rest.isdigit() or rest.endswith("*"):
            return True
    return False


def _floats(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
