"""Rows with outliers, dropped for good: nothing brings them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from petsard_otel.exceptions import DataError
from petsard_otel.modules.processing.numbers import NumberLine, is_number_line
from petsard_otel.modules.processing.processor import Attributes, Columns, Step, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from petsard_otel.modules.processing.numbers import Floats

    Mask = NDArray[np.bool_]

MAX_Z_SCORE = 3.0
"""Standard deviations from the mean beyond which `outlier_zscore` drops a row."""

IQR_FACTOR = 1.5
"""Interquartile ranges beyond the quartiles at which `outlier_iqr` begins to drop rows."""

N_NEIGHBORS = 20
"""Neighbours that `outlier_lof` compares a row with, where there are as many: its default."""


class DropOutliers(Step):
    """`outlier_iqr`, `outlier_zscore`: drop rows where one column has an outlier.

    A missing value is none. The limits of all columns are found before any row is dropped.
    """

    def __init__(self, methods: Mapping[str, str]) -> None:
        self._methods = methods
        self._lines: dict[str, NumberLine] = {}
        self._limits: dict[str, tuple[float, float]] = {}

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes as they are: rows leave, columns stay."""
        for name, method in self._methods.items():
            if name in attributes and not is_number_line(attributes[name]):
                raise DataError(
                    f"{method}: column {name!r} is of type {attributes[name].type_label}; it "
                    "needs numbers or times. Set its outlier to none"
                )
        return attributes

    def fit(self, columns: Columns) -> None:
        """Find, for each column, the limits beyond which a value is an outlier."""
        for name, method in self._methods.items():
            if name not in columns:
                continue
            self._lines[name] = NumberLine(columns[name])
            floats = self._lines[name].to_floats(columns[name])
            observed = floats[~np.isnan(floats)]
            if observed.size:
                find = _iqr_limits if method == "outlier_iqr" else _z_score_limits
                self._limits[name] = find(observed)

    def transform(self, columns: Columns) -> Columns:
        """Return the table without those rows.

        Raises:
            DataError: No rows would be left.
        """
        outlying = np.zeros(_row_count(columns), dtype=bool)
        for name, (lowest, highest) in self._limits.items():
            floats = self._lines[name].to_floats(columns[name])
            outlying |= (floats < lowest) | (floats > highest)
        return _without(columns, outlying, ", ".join(sorted(set(self._methods.values()))))

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table as it is."""
        return columns


class DropOutlyingRows(Step):
    """`outlier_isolationforest`, `outlier_lof`: drop rows that lie apart in all numeric columns."""

    def __init__(self, method: str, seed: int) -> None:
        self.method = method
        self._seed = seed
        self._forest: IsolationForest | None = None

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes as they are: rows leave, columns stay."""
        for attribute in attributes.values():
            if _is_numeric(attribute.type) and not attribute.category:
                return attributes
        raise DataError(f"{self.method} needs at least one numeric column, and there is none")

    def fit(self, columns: Columns) -> None:
        """Grow the forest; the local outlier factor has nothing to learn beforehand."""
        if self.method == "outlier_isolationforest":
            self._forest = IsolationForest(random_state=self._seed).fit(self._table(columns))

    def transform(self, columns: Columns) -> Columns:
        """Return the table without those rows.

        Raises:
            DataError: Values are missing, or no rows would be left.
        """
        table = self._table(columns)
        if self._forest is not None:
            verdicts = self._forest.predict(table)
        elif len(table) < 2:
            return columns
        else:
            neighbors = min(N_NEIGHBORS, len(table) - 1)
            verdicts = LocalOutlierFactor(n_neighbors=neighbors).fit_predict(table)
        return _without(columns, verdicts == -1, self.method)

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table as it is."""
        return columns

    def _table(self, columns: Columns) -> Floats:
        numeric = {name: column for name, column in columns.items() if _is_numeric_dtype(column)}
        incomplete = [name for name, column in numeric.items() if column.isna().any()]
        if incomplete:
            raise DataError(
                f"{self.method} cannot do with missing values, which are in {named(incomplete)}; "
                "put 'missing' before 'outlier' in the sequence, with a method for each of them"
            )
        if not numeric:
            raise DataError(f"{self.method} needs at least one numeric column, and there is none")
        return np.column_stack(
            [NumberLine(column).to_floats(column) for column in numeric.values()]
        )


def _iqr_limits(observed: Floats) -> tuple[float, float]:
    lower, upper = np.quantile(observed, [0.25, 0.75])
    reach = IQR_FACTOR * (upper - lower)
    return float(lower - reach), float(upper + reach)


def _z_score_limits(observed: Floats) -> tuple[float, float]:
    scaler = StandardScaler().fit(observed.reshape(-1, 1))
    lowest, highest = scaler.inverse_transform([[-MAX_Z_SCORE], [MAX_Z_SCORE]]).ravel()
    return float(lowest), float(highest)


def _is_numeric(type_name: str) -> bool:
    return type_name == "boolean" or type_name.startswith(("int", "uint", "float"))


def _is_numeric_dtype(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iufb"


def _row_count(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _without(columns: Columns, outlying: Mask, method: str) -> Columns:
    if not outlying.any():
        return columns
    if outlying.all():
        raise DataError(f"{method} leaves none of the {len(outlying)} rows")
    return {name: column[~outlying] for name, column in columns.items()}
