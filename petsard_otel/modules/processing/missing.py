"""Missing values: filled or dropped, and put back at the rate at which they were found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError
from petsard_otel.modules.processing.levels import Levels
from petsard_otel.modules.processing.numbers import NumberLine, is_number_line, kind_of, restored
from petsard_otel.modules.processing.processor import Attributes, Columns, ColumnStep, Step, named

if TYPE_CHECKING:
    from petsard_otel.schema import Attribute

FillValue = bool | int | float | str | datetime | date
"""What `missing_simple` may be told to put in the place of a missing value."""


class MissingRate:
    """How often a column had no value; takes as many away again, at places set by the seed."""

    def __init__(self, column: pd.Series[Any], seed: tuple[int, ...]) -> None:
        self._rate = float(column.isna().mean()) if len(column) else 0.0
        self._seed = seed

    def put_back(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column with values taken away until the rate is reached.

        Where a column had missing values at all, at least one is put back.
        """
        if self._rate == 0.0 or column.empty:
            return column
        present = np.flatnonzero(column.notna().to_numpy())
        wanted = max(1, round(self._rate * len(column))) - (len(column) - len(present))
        if wanted <= 0:
            return column
        positions = np.arange(len(column))
        generator = np.random.default_rng(self._seed)
        positions[generator.choice(present, size=wanted, replace=False)] = -1
        return column.set_axis(pd.RangeIndex(len(column))).reindex(positions).set_axis(column.index)


class Fill(ColumnStep):
    """`missing_mean`, `missing_median`, `missing_mode`, `missing_simple`.

    Of several modes each missing value gets one at random. A column without any value is filled
    with 0, the empty text, false, 1970 or its first category.
    """

    def __init__(
        self, method: str, column: str, seed: tuple[int, ...], value: FillValue | None = None
    ) -> None:
        super().__init__(method, column)
        self._seed = seed
        self._value = value

    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return the attribute without missing values."""
        if self.method in {"missing_mean", "missing_median"}:
            if not is_number_line(attribute):
                raise DataError(
                    f"{self.method}: column {self.column!r} is of type {attribute.type_label}; "
                    "it needs numbers or times. Take missing_mode or missing_drop"
                )
        elif self.method == "missing_simple" and not _suits(self._value, attribute.type):
            raise DataError(
                f"missing_simple: column {self.column!r} is of type {attribute.type_label}, and "
                f"cannot take a value of type {type(self._value).__name__}; set another 'value'"
            )
        return replace(attribute, nullable=False)

    def fit_column(self, column: pd.Series[Any]) -> None:
        """Find what to fill with: a column of one or, for the mode, several values."""
        self._dtype = column.dtype
        self._rate = MissingRate(column, self._seed)
        if self.method == "missing_simple":
            self._fillers = _constant(self._value, column)
        elif self.method == "missing_mode":
            self._fillers = Levels(column).most_frequent()
        else:
            line = NumberLine(column)
            observed = line.to_floats(column[column.notna()])
            middle = np.mean if self.method == "missing_mean" else np.median
            value = float(middle(observed)) if observed.size else 0.0
            self._fillers = line.to_column(np.array([value]), pd.RangeIndex(1))
        if self._fillers.empty:
            self._fillers = _neutral(column)

    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column with its missing values filled."""
        missing = column.isna().to_numpy()
        if not missing.any():
            return column
        choice = np.random.default_rng(self._seed).integers(
            len(self._fillers), size=int(missing.sum())
        )
        positions = np.arange(len(column))
        positions[missing] = len(column) + choice
        both = pd.concat([column.astype(self._fillers.dtype), self._fillers], ignore_index=True)
        return both.iloc[positions].set_axis(column.index)

    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column with missing values at the rate at which they were found."""
        if isinstance(self._dtype, pd.CategoricalDtype):
            column = restored(column, self._dtype)  # Without a category that was added to fill.
        return self._rate.put_back(column)


class DropMissing(Step):
    """`missing_drop`: drop the rows in which one of the columns has no value."""

    def __init__(self, seeds: dict[str, tuple[int, ...]]) -> None:
        self._seeds = seeds
        self._rates: dict[str, MissingRate] = {}

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes, those of the columns without missing values."""
        return {
            name: replace(attribute, nullable=False) if name in self._seeds else attribute
            for name, attribute in attributes.items()
        }

    def fit(self, columns: Columns) -> None:
        """Remember how often each column has no value."""
        self._rates = {
            name: MissingRate(columns[name], seed)
            for name, seed in self._seeds.items()
            if name in columns
        }

    def transform(self, columns: Columns) -> Columns:
        """Return the table without those rows.

        Raises:
            DataError: No rows would be left.
        """
        missing = {name: columns[name].isna().to_numpy() for name in self._rates}
        dropped = np.logical_or.reduce(list(missing.values()))
        if not dropped.any():
            return columns
        if dropped.all():
            worst = [name for name, rows in missing.items() if rows.all()]
            raise DataError(
                f"missing_drop leaves none of the {len(dropped)} rows"
                + (f": without any value are {named(worst)}" if worst else "")
                + "; set another method for columns with many missing values, such as "
                "missing_simple, or none"
            )
        return {name: column[~dropped] for name, column in columns.items()}

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table with missing values in these columns, at the rates found."""
        return {
            name: self._rates[name].put_back(column) if name in self._rates else column
            for name, column in columns.items()
        }


def _suits(value: FillValue | None, type_name: str) -> bool:
    """Tell whether a column of this type may be filled with this value and keep its type."""
    name = type_name.partition("[")[0]
    if name.startswith(("int", "uint")):
        return not isinstance(value, bool) and isinstance(value, int | float) and value % 1 == 0
    if name.startswith("float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name in {"date", "datetime"}:
        return isinstance(value, date | str)
    return isinstance(value, {"boolean": bool, "string": str}.get(name, object))


def _constant(value: Any, column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a value as a column of one, of the type of `column`."""
    dtype = column.dtype
    kind = kind_of(column)
    if kind in {"integer", "float", "boolean"}:
        return NumberLine(column).to_column(np.array([float(value)]), pd.RangeIndex(1))
    if isinstance(dtype, pd.CategoricalDtype) and value not in dtype.categories:
        dtype = column.cat.add_categories([value]).dtype
    try:
        if kind in {"date", "datetime"}:
            time = pd.Timestamp(value)
            value = time.date() if kind == "date" else time
        return pd.Series([value], dtype=object).astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"missing_simple: column {column.name!r} of type {dtype} cannot take the given value"
        ) from None


def _neutral(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return what fills a column without any value, as a column of one.

    Raises:
        DataError: The column's type does not tell what it would hold.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) and len(dtype.categories):
        return pd.Series(pd.Categorical([dtype.categories[0]], dtype=dtype))
    if isinstance(dtype, pd.StringDtype):
        return pd.Series([""], dtype=dtype)
    if dtype.kind in "iufbmM":
        return NumberLine(column).to_column(np.zeros(1), pd.RangeIndex(1))
    raise DataError(
        f"column {column.name!r} has no value in any of its {len(column)} rows, so there is "
        "nothing to fill it with; take missing_simple, or leave it out in the Loader"
    )
