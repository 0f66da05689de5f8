"""Timing records as a DataFrame. Imports pandas when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.records import TimingRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

COLUMNS = (
    "record_id",
    "module_name",
    "experiment_name",
    "step_name",
    "start_time",
    "end_time",
    "duration_seconds",
    "source",
    "status",
    "experiment_path",
    "trace_id",
    "span_id",
    "parent_record_id",
)
"""The columns of a timing report, in order; the keys of the contexts follow."""


def timing_frame(records: Sequence[TimingRecord]) -> pd.DataFrame:
    """Return one row for each record, with these columns even where there is none.

    Times are in UTC, in nanoseconds; `duration_seconds` has full precision.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    # Whatever this pandas makes of text: `str` from version 3, which is quickest made from Arrow's
    # own, `object` before.
    text: Any = pd.Series([""]).dtype
    as_text = list if isinstance(text, np.dtype) else pa.array
    values = dict(zip(TimingRecord._fields, zip(*records, strict=True), strict=False))
    start = np.array(values.get("start_time_ns", ()), np.int64)
    end = np.array(values.get("end_time_ns", ()), np.int64)
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name == "start_time":
            columns[name] = pd.DatetimeIndex(start.view("M8[ns]"), tz="UTC")
        elif name == "end_time":
            columns[name] = pd.DatetimeIndex(end.view("M8[ns]"), tz="UTC")
        elif name == "duration_seconds":
            columns[name] = (end - start) / 1e9
        else:
            columns[name] = pd.array(as_text(values.get(name, ())), dtype=text)
    items = values.get("context_items", ())
    for key in dict.fromkeys(key for item in items for key, _ in item):
        if key not in columns:
            columns[key] = [dict(item).get(key) for item in items]
    return pd.DataFrame(columns)
