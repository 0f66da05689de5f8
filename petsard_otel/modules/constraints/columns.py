"""What conditions and constraints do with columns: find them, add them, compare them."""

from __future__ import annotations

import difflib
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Holds = NDArray[np.bool_]


def column_of(data: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return the one column of this name.

    Raises:
        DataError: There is none, or several.
    """
    count = int((data.columns == name).sum())
    if count == 1:
        return data[name]
    if count > 1:
        raise DataError(f"the table has {count} columns named {name!r}; rename them")
    near = difflib.get_close_matches(name, [str(label) for label in data.columns], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"the table has no column {name!r}{hint}")


def column_or_number(data: pd.DataFrame, text: str) -> Any:
    """Return the column of this name, without categories, or the number that the name is."""
    if text not in data.columns:
        try:
            return float(text)
        except ValueError:
            pass
    column = column_of(data, text)
    return column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column


def add(left: Any, right: Any, names: str) -> Any:
    """Add two values; a number added to a date is days."""
    if _kind(left) == "M" and _kind(right) in "iuf":
        right = pd.to_timedelta(right, unit="D")
    elif _kind(left) in "iuf" and _kind(right) == "M":
        left = pd.to_timedelta(left, unit="D")
    try:
        return left + right
    except TypeError:
        raise DataError(f"{names} cannot be added") from None


def compare(
    compared: Callable[[Any, Any], Any], left: Any, right: Any, data: pd.DataFrame, names: str
) -> Holds:
    """Tell where both values are there and compare so."""
    try:
        result = compared(*_in_one_zone(left, right))
    except TypeError:
        # From None: what pandas says may quote a cell.
        raise DataError(f"{names} cannot be compared; give both the same type") from None
    present = booleans(pd.notna(left), data) & booleans(pd.notna(right), data)
    return booleans(result, data) & present


def _in_one_zone(left: Any, right: Any) -> tuple[Any, Any]:
    """Read a date in the zone of the column that it is compared with."""
    if isinstance(right, pd.Timestamp):
        return left, right.tz_localize(_zone(left))
    if isinstance(left, pd.Timestamp):
        return left.tz_localize(_zone(right)), right
    return left, right


def _zone(value: Any) -> Any:
    return value.dt.tz if isinstance(value, pd.Series) and value.dtype.kind == "M" else None


def is_nonzero(column: pd.Series[Any]) -> Holds:
    """Tell where a column is neither missing nor zero."""
    return compare(operator.ne, column, 0, column.to_frame(), "the column and 0")


def _kind(value: Any) -> str:
    """Return the kind of a column or of one value, as numpy abbreviates it."""
    if isinstance(value, pd.Timestamp):
        return "M"
    return str(np.asarray(value).dtype.kind if isinstance(value, str | float) else value.dtype.kind)


def booleans(result: Any, data: pd.DataFrame) -> Holds:
    """Return plain booleans, one for each row; what is not known is False."""
    if isinstance(result, pd.Series):
        return result.to_numpy(dtype=np.bool_, na_value=False)
    return np.broadcast_to(np.asarray(result, dtype=np.bool_), len(data))
