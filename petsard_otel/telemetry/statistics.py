"""Numeric summaries of a table, for those who opted into them: numbers computed from cells."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from petsard_otel import attributes as key
from petsard_otel.schema import label_name
from petsard_otel.settings import MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded, within_budget

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from petsard_otel.telemetry.encoding import Attributes

_SUMMARY = {"mean": "mean", "std": "std", "min": "min", "max": "max"}
_QUARTILES = {"p25": 0.25, "p50": 0.5, "p75": 0.75}


def statistics_of(table: pd.DataFrame, shown_name: Callable[[str], str]) -> Attributes:
    """Return the summaries of a table's numeric columns, one JSON text each.

    Each has the column's name, how many cells are missing, mean, standard deviation, minimum,
    quartiles and maximum; null where there is no such number. As many columns as the size budget
    takes; the others are not looked at. Cost: a few passes over each of those.

    Args:
        table: What a module made.
        shown_name: Gives a column's name as it may leave.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    numeric = [
        position
        for position, dtype in enumerate(table.dtypes)
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and dtype.kind != "c"
    ]
    if not numeric:
        return {}
    summaries = (
        _summary(table.iloc[:, position], shown_name(label_name(table.columns[position])))
        for position in numeric
    )
    return {
        key.OUTPUT_STATISTICS: tuple(within_budget(summaries)),
        key.OUTPUT_STATISTICS_COUNT: len(numeric),
    }


def _summary(column: pd.Series[Any], name: str) -> str:
    found: dict[str, Any] = {
        "name": bounded(name, MAX_NAME_BYTES),
        "missing": int(column.isna().sum()),
    }
    for entry, method in _SUMMARY.items():
        found[entry] = _number(getattr(column, method)())
    for entry, share in _QUARTILES.items():
        found[entry] = _number(column.quantile(share))
    return json.dumps(found, separators=(",", ":"))


def _number(value: Any) -> float | None:
    import pandas as pd

    if pd.isna(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
