"""A table with a sentinel in every type of column that can hold one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from petsard_otel.audit.planting import Planter

if TYPE_CHECKING:
    import pandas as pd

    from petsard_otel.audit.sentinels import Mint

ROWS = 12
"""Rows of the table."""

NUMBER_TYPES: tuple[Any, ...] = (
    *("int8", "int16", "int32", "int64", "uint64", "Int64", "int64[pyarrow]"),
    *("float32", "float64", "Float64"),
)
"""Types of columns of numbers."""


def every_type(mint: Mint, place: str) -> pd.DataFrame:
    """Make a table of many types, each column named for its own, with sentinels among its cells.

    Truth values, small integers, periods and intervals are in it as well, with ordinary cells.
    """
    return Planter(mint).planted(_ordinary(), place)


def _ordinary() -> pd.DataFrame:
    import pandas as pd

    numbers = range(ROWS)
    days = pd.date_range("2020-01-01", periods=ROWS, freq="D")
    hours = pd.date_range("2020-01-01", periods=ROWS, freq="h")
    columns: dict[str, Any] = {
        "text": [f"name {number}" for number in numbers],
        "text_object": pd.Series([f"name {number % 3}" for number in numbers], dtype=object),
        "category": pd.Categorical(["one", "two", "three"] * (ROWS // 3)),
        "category_number": pd.Categorical([1, 2, 3] * (ROWS // 3)),
        "date": [dt.date(2020, 1, 1 + number) for number in numbers],
        "datetime": hours,
        "datetime_zone": hours.tz_localize("Asia/Taipei"),
        "datetime_seconds": hours.astype("datetime64[s]"),
        "day": days,
        "timedelta": pd.timedelta_range("1s", periods=ROWS),
        "decimal": [Decimal(f"{number}.5") for number in numbers],
        "bytes": [b"%d" % number for number in numbers],
        "uuid": [UUID(int=number) for number in numbers],
        "bool": [True, False] * (ROWS // 2),
        "boolean": pd.array([True, None] * (ROWS // 2), dtype="boolean"),
        "period": pd.period_range("2020", periods=ROWS, freq="D"),
        "interval": pd.interval_range(0, ROWS),
    }
    for name in NUMBER_TYPES:
        columns[name] = pd.Series(list(numbers)).astype(name)
    return pd.DataFrame(columns)
