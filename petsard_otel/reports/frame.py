"""Timing records as a DataFrame. Imports pandas when it is called."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from petsard_otel.records import TimingRecord

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

    start = np.fromiter(map(attrgetter("start_time_ns"), records), np.int64, len(records))
    end = np.fromiter(map(attrgetter("end_time_ns"), records), np.int64, len(records))
    made = {
        "start_time": pd.DatetimeIndex(start.view("M8[ns]"), tz="UTC"),
        "end_time": pd.DatetimeIndex(end.view("M8[ns]"), tz="UTC"),
        "duration_seconds": (end - start) / 1e9,
    }
    columns = {
        name: made[name]
        if name in made
        else pd.array(list(map(attrgetter(name), records)), dtype="str")
        for name in COLUMNS
    }
    contexts = [dict(record.context_items) for record in records if record.context_items]
    for key in dict.fromkeys(key for context in contexts for key in context):
        if key not in columns:
            columns[key] = [dict(record.context_items).get(key) for record in records]
    return pd.DataFrame(columns)
