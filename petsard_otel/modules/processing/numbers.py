"""A column of numbers, truth values or times seen as floats, and the way back to its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from petsard_otel.schema import Attribute

    Floats = NDArray[np.float64]

NOT_A_TIME = np.iinfo(np.int64).min
"""How numpy stores a missing time."""

LARGEST_OFFSET = 2**63 - 2048
"""The most ticks between two times that a float can hold and 64 bits can count."""

_KIND_OF_DTYPE = {
    "i": "integer",
    "u": "integer",
    "f": "float",
    "b": "boolean",
    "M": "datetime",
    "m": "timedelta",
}

_KIND_OF_OBJECTS = {
    "integer": "integer",
    "floating": "float",
    "mixed-integer-float": "float",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "datetime64": "datetime",
    "timedelta": "timedelta",
    "timedelta64": "timedelta",
}

_NUMPY_TYPE = {"date": "datetime64", "datetime": "datetime64", "timedelta": "timedelta64"}

_SECONDS_PER_TICK = {"D": 86400.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_NANOSECOND_DAYS = (np.datetime64("1677-09-22"), np.datetime64("2262-04-11"))

_FIRST_YEAR, _LAST_YEAR = "0001-01-01", "9999-12-31"


def is_number_line(attribute: Attribute) -> bool:
    """Tell whether a column of this type can be seen as floats."""
    if attribute.category:
        return False
    name = attribute.type.partition("[")[0]
    return name in {"boolean", "date", "datetime", "timedelta"} or name.startswith(
        ("int", "uint", "float")
    )


class NumberLine:
    """What it takes to turn one column into floats and floats into such a column.

    Numbers and truth values stand for themselves. Times stand for the ticks since the middle of
    them, since a float cannot hold the ticks since 1970; on the way back they are rounded to
    days, seconds, milli- or microseconds where all of them were such units apart. Missing values
    are NaN. Integers, on their way back, are rounded and kept within their type's range.
    """

    def __init__(self, column: pd.Series[Any]) -> None:
        """Learn from a column.

        Raises:
            DataError: The column holds something else.
        """
        kind = kind_of(column)
        if kind is None and column.isna().all():
            kind = "float"  # Objects of which a step before has dropped all that had a value.
        if kind is None:
            raise DataError(f"column {column.name!r} holds neither numbers nor times")
        self._kind = kind
        self._dtype: Any = column.dtype
        self._origin = 0
        self._grid = 1
        if self._kind in _NUMPY_TYPE:
            times, self._zone = _times(column, self._kind)
            self._numpy_type = times.dtype
            self._unit, _ = np.datetime_data(times.dtype)
            ticks = times.view(np.int64)
            observed = ticks[ticks != NOT_A_TIME]
            if observed.size:
                self._grid, self._origin = _grid(observed, self._unit)

    def to_floats(self, column: pd.Series[Any]) -> Floats:
        """Return the column as floats.

        Raises:
            DataError: Values are infinite.
        """
        if self._kind in _NUMPY_TYPE:
            times, _ = _times(column, self._kind)
            if self._unit == "ns" and self._kind == "datetime":
                times = np.clip(times, *_NANOSECOND_DAYS)
            ticks = times.astype(self._numpy_type).view(np.int64)
            floats: Floats = (ticks - self._origin).astype(np.float64)
            floats[ticks == NOT_A_TIME] = np.nan
            return floats
        floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = int(np.isinf(floats).sum())
        if infinite:
            raise DataError(
                f"column {column.name!r} has {infinite} infinite values; "
                "make them finite or missing before the Preprocessor"
            )
        return floats

    def to_column(self, floats: Floats, index: pd.Index[Any]) -> pd.Series[Any]:
        """Return floats as a column of the type that was learnt from."""
        if self._kind not in _NUMPY_TYPE:
            return numbers_as(pd.Series(floats, index=index), self._dtype, self._kind)
        lowest, highest = self._bounds()
        missing = np.isnan(floats)
        steps = np.clip(
            np.round(np.where(missing, 0.0, floats) / self._grid),
            *_safe_limits(
                -((self._origin - lowest) // self._grid), (highest - self._origin) // self._grid
            ),
        )
        ticks = steps.astype(np.int64) * self._grid + self._origin
        ticks[missing] = NOT_A_TIME
        times = ticks.view(self._numpy_type)
        if self._kind == "date":
            return pd.Series(times.astype(object), index=index, dtype=object)
        series: pd.Series[Any] = pd.Series(times, index=index)
        if self._zone is not None:
            series = series.dt.tz_localize("UTC").dt.tz_convert(self._zone)
        return series.astype(self._dtype)

    def _bounds(self) -> tuple[int, int]:
        """Return the first and last tick that the type can hold and pandas can show."""
        if self._kind == "timedelta":
            return -LARGEST_OFFSET, LARGEST_OFFSET
        if self._unit == "ns":
            return pd.Timestamp.min.value, pd.Timestamp.max.value
        first, last = (
            np.array(day, self._numpy_type).astype(np.int64) for day in (_FIRST_YEAR, _LAST_YEAR)
        )
        return int(first), int(last)


def kind_of(column: pd.Series[Any]) -> str | None:
    """Return what a column holds: integer, float, boolean, date, datetime, timedelta or None."""
    dtype = column.dtype
    if dtype.kind == "O" and not isinstance(dtype, pd.CategoricalDtype):
        return _KIND_OF_OBJECTS.get(pd.api.types.infer_dtype(column, skipna=True))
    return _KIND_OF_DTYPE.get(dtype.kind)


def numbers_as(column: pd.Series[Any], dtype: Any, kind: str) -> pd.Series[Any]:
    """Return floats as a column of a number's type, or of the nearest that holds missing values."""
    floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind == "float":
        return pd.Series(floats, index=column.index).astype(dtype)
    if kind == "boolean":
        truths = pd.Series(pd.array(floats >= 0.5, dtype="boolean"), index=column.index)
        return _fitting(truths.mask(np.isnan(floats)), dtype)
    name = f"{'uint' if dtype.kind == 'u' else 'int'}{8 * dtype.itemsize}"
    limits = np.iinfo("int64" if dtype.kind == "O" else name)
    highest = float(limits.max)
    if int(highest) > limits.max:  # The float nearest to the largest 64-bit integer is above it.
        highest = np.nextafter(highest, 0.0)
    rounded = np.clip(np.round(floats), float(limits.min), highest)
    nullable: Any = "UInt64" if dtype.kind == "u" else "Int64"
    return _fitting(pd.Series(rounded, index=column.index).astype(nullable), dtype)


def restored(column: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    """Return a column as a type that it had, where its values allow; else as it is."""
    if column.dtype == dtype:
        return column
    if isinstance(dtype, pd.CategoricalDtype):
        codes = dtype.categories.get_indexer(pd.Index(column))
        return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype), index=column.index)
    kind = _KIND_OF_DTYPE.get(dtype.kind)
    try:
        if kind in {"integer", "boolean", "float"}:
            return numbers_as(column, dtype, str(kind))
        return column.astype(dtype)
    except (TypeError, ValueError):
        return column


def _fitting(column: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    """Return a nullable column as `dtype`, or with its missing values where those need it."""
    if isinstance(dtype, np.dtype) and dtype.kind != "O" and column.isna().any():
        if dtype.kind == "b":
            return column
        nullable: Any = {"i": "Int", "u": "UInt"}[dtype.kind] + str(8 * dtype.itemsize)
        return column.astype(nullable)
    return column.astype(dtype)


def _times(column: pd.Series[Any], kind: str) -> tuple[NDArray[Any], Any]:
    """Return times as a numpy array of `datetime64` in UTC or `timedelta64`, and their zone."""
    if kind == "date":
        days = np.full(len(column), np.datetime64("NaT", "D"))
        present = column.notna().to_numpy()
        days[present] = column[present].to_numpy().astype("datetime64[D]")
        return days, None
    if not isinstance(column.dtype, np.dtype | pd.DatetimeTZDtype) or column.dtype.kind == "O":
        column = _parsed(column, kind)
    zone = getattr(column.dtype, "tz", None)
    if zone is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(column.to_numpy()), zone


def _parsed(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Return objects, or another library's times, as pandas' own type."""
    if kind == "timedelta":
        return pd.to_timedelta(column.astype(object))
    try:
        return pd.to_datetime(column.astype(object))
    except ValueError:
        raise DataError(
            f"column {column.name!r} mixes times of several zones, or holds something that is "
            "not a time; make it one type before the Preprocessor"
        ) from None


def _grid(ticks: NDArray[np.int64], unit: str) -> tuple[int, int]:
    """Return the ticks of the longest usual unit that all times are apart, and a middle on it."""
    earliest, latest = int(ticks.min()), int(ticks.max())
    # Unsigned, since the first and the last time may be more than 63 bits apart.
    distances = ticks.view(np.uint64) - np.uint64(earliest % 2**64)
    common_divisor = int(np.gcd.reduce(distances))
    lengths = [round(length / _SECONDS_PER_TICK[unit]) for length in _SECONDS_PER_TICK.values()]
    grid = next((n for n in lengths if n >= 1 and common_divisor % n == 0), 1)
    return grid, earliest + (latest - earliest) // 2 // grid * grid


def _safe_limits(lowest: int, highest: int) -> tuple[float, float]:
    """Return limits for floats, so that as integers they are within these ones."""
    return (
        float(max(lowest + int(np.spacing(abs(float(lowest)))), -LARGEST_OFFSET)),
        float(min(highest - int(np.spacing(abs(float(highest)))), LARGEST_OFFSET)),
    )
