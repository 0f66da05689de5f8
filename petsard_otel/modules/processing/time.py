"""Times as distances from another column's: `scaler_timeanchor`, `encoder_datediff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError
from petsard_otel.modules.processing.numbers import NumberLine, kind_of
from petsard_otel.modules.processing.processor import Attributes, Columns, Step, named
from petsard_otel.schema import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_SECONDS = 86400.0
"""The length of a day."""

MAX_MICROSECONDS = 1e17
"""The longest distance, some 3,000 years: beyond it lies no date."""

UNIT_SECONDS = {
    "D": DAY_SECONDS,
    "S": 1.0,
    "days": DAY_SECONDS,
    "weeks": 7 * DAY_SECONDS,
    "months": 30.44 * DAY_SECONDS,
    "years": 365.25 * DAY_SECONDS,
}
"""The length of PETsARD's units; months and years are averages."""


class TimeDistance(Step):
    """Replace times in some columns by their distance from the time in another column.

    The other column stays as it is. Text is read as ISO dates, and comes back as those.
    """

    def __init__(
        self,
        method: str,
        reference: str,
        targets: Sequence[str],
        unit: str,
        *,
        is_whole_days: bool = False,
        is_absolute: bool = False,
    ) -> None:
        self.method = method
        self._reference = reference
        self._targets = targets
        self._unit_seconds = UNIT_SECONDS[unit]
        self._is_whole_days = is_whole_days
        self._is_absolute = is_absolute
        self._kinds: dict[str, str | None] = {}
        self._dtypes: dict[str, Any] = {}
        self._lines: dict[str, NumberLine] = {}
        self._formats: dict[str, str] = {}

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes, those of the columns made of floats."""
        wrong = [
            name
            for name in (self._reference, *self._targets)
            if name not in attributes or _family(attributes[name]) is None
        ]
        if wrong:
            raise DataError(f"{self.method} needs dates or times, which are not in {named(wrong)}")
        reference = attributes[self._reference]
        changed = {}
        for name in self._targets:
            if _family(attributes[name]) != _family(reference):
                raise DataError(
                    f"{self.method}: of columns {name!r} and {self._reference!r} one has a time "
                    "zone and the other has none; make them alike before the Preprocessor"
                )
            is_nullable = attributes[name].nullable or reference.nullable
            changed[name] = Attribute(name, "float64", is_nullable)
        return {**attributes, **changed}

    def fit(self, columns: Columns) -> None:
        """Learn the types of the columns, and how exact their times are."""
        for name in self._targets:
            column = columns[name]
            times = _times(column, self.method)
            self._kinds[name] = kind_of(column)
            self._dtypes[name] = column.dtype
            self._lines[name] = NumberLine(times)
            observed = times.dropna()
            is_daily = bool((observed == observed.dt.normalize()).all())
            self._formats[name] = "%Y-%m-%d" if is_daily else "%Y-%m-%dT%H:%M:%S"

    def transform(self, columns: Columns) -> Columns:
        """Return the table with distances in the place of times."""
        reference = _times(columns[self._reference], self.method)
        changed: Columns = {}
        for name in self._targets:
            distance = _times(columns[name], self.method) - reference
            seconds = distance.dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
            if self._is_whole_days:
                seconds = np.floor(seconds / DAY_SECONDS) * DAY_SECONDS
            if self._is_absolute:
                seconds = np.abs(seconds)
            changed[name] = pd.Series(seconds / self._unit_seconds, index=columns[name].index)
        return {**columns, **changed}

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table with times, of the types they had.

        A distance whose sign was dropped is taken as one into the future.
        """
        reference = _times(columns[self._reference], self.method)
        changed: Columns = {}
        for name, line in self._lines.items():
            distances = columns[name].to_numpy(dtype=np.float64, na_value=np.nan)
            microseconds = np.clip(
                np.round(distances * self._unit_seconds * 1e6), -MAX_MICROSECONDS, MAX_MICROSECONDS
            )
            missing = np.isnan(microseconds)
            length = np.where(missing, 0, microseconds).astype("timedelta64[us]")
            length[missing] = np.timedelta64("NaT", "us")
            times = reference + pd.Series(length, index=reference.index)
            exact = line.to_column(line.to_floats(times), times.index)
            changed[name] = self._as_before(name, exact)
        return {**columns, **changed}

    def _as_before(self, name: str, times: pd.Series[Any]) -> pd.Series[Any]:
        result = times
        if self._kinds[name] == "date":
            result = pd.Series(times.dt.date, dtype=object).where(times.notna(), None)
        elif self._kinds[name] is None:
            result = times.dt.strftime(self._formats[name])
        return result.astype(self._dtypes[name])


def _family(attribute: Attribute) -> str | None:
    """Return what times can be told from each other: with a zone, without one, or no times."""
    if attribute.category:
        return None
    if attribute.type.startswith("datetime["):
        return "zoned"
    return "plain" if attribute.type in {"date", "datetime", "string"} else None


def _times(column: pd.Series[Any], method: str) -> pd.Series[Any]:
    """Return dates, times or text as pandas' own times, to the microsecond."""
    try:
        if kind_of(column) is None:
            times = pd.to_datetime(column, format="ISO8601")
        else:
            times = pd.to_datetime(column.astype(object) if column.dtype.kind == "O" else column)
        # In nanoseconds a distance of three centuries would not fit.
        return times.dt.as_unit("us")
    except (TypeError, ValueError):
        raise DataError(
            f"{method}: column {column.name!r} holds something that is not a date such as "
            "2024-12-31; give it the type of a date in the Loader"
        ) from None
