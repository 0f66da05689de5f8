"""The distinct values of a column, numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]


class Levels:
    """The values that a column has, in order where they have one, missing last as one more.

    Pandas alone does this: scikit-learn's encoders refuse mixed types and some missing values.
    """

    def __init__(self, column: pd.Series[Any]) -> None:
        """Learn from a column.

        Raises:
            DataError: Its values cannot be compared at all, such as lists.
        """
        codes, values = _factorized(column)
        self._values: pd.Index[Any] = pd.Index(values, dtype=column.dtype)
        self._has_missing = bool((codes == -1).any())
        self.count = len(self._values) + self._has_missing
        self._table = pd.Series(self._values).reindex(range(self.count))
        self.frequencies = np.bincount(
            np.where(codes == -1, len(self._values), codes), minlength=self.count
        )

    def codes(self, column: pd.Series[Any], method: str) -> Codes:
        """Return the number of each value.

        Raises:
            DataError: There are values that were not there when the levels were learnt.
        """
        codes = self._values.get_indexer(pd.Index(column)).astype(np.int64)
        if self._has_missing:
            codes[column.isna().to_numpy()] = len(self._values)
        unknown = int((codes == -1).sum())
        if unknown:
            raise DataError(
                f"{method}: column {column.name!r} has {unknown} values of {len(column)} that "
                "the Preprocessor was not fitted to"
            )
        return codes

    def values(self, codes: NDArray[Any], index: pd.Index[Any]) -> pd.Series[Any]:
        """Return the value of each number; what is not a number becomes missing.

        Numbers are rounded and kept within range, since synthesizers give any float.
        """
        floats = codes.astype(np.float64)
        nearest = np.clip(np.round(floats), 0, max(self.count - 1, 0))
        positions = np.where(np.isnan(floats), -1, nearest).astype(np.int64)
        return self._table.reindex(positions).set_axis(index)

    def most_frequent(self) -> pd.Series[Any]:
        """Return the values that are there most often; none where all are missing."""
        observed = self.frequencies[: len(self._values)]
        if not observed.size:
            return self._table.iloc[:0]
        return self._table.iloc[np.flatnonzero(observed == observed.max())]


def _factorized(column: pd.Series[Any]) -> tuple[Codes, Any]:
    try:
        return pd.factorize(column, sort=True)
    except TypeError:
        pass  # No order among the values, such as dates among texts.
    try:
        return pd.factorize(column)
    except TypeError:
        raise DataError(
            f"column {column.name!r} holds values that cannot be compared, such as lists; "
            "make them text before the Preprocessor"
        ) from None
