"""Sentinels into tables: cells and categories are replaced, types and everything else kept."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from petsard_otel.audit.sentinels import Mint

CELLS_PER_COLUMN = 3
"""Cells of one column that are replaced: at most a third of them, but at least one."""

COLUMNS_PER_TYPE = 4
"""Columns of one type that are planted in one table of a replay."""

EVERY_TEXT = "every text and some other cells"
SOME_CELLS = "some cells and categories"
CATEGORIES = "categories alone"
NOTHING = "nothing"
"""What is planted into the tables that are read, the most first."""

_MICROSECONDS = {"s": 1_000_000, "ms": 1000}
_DAY = 86_400_000_000


class Planter:
    """Plants tables, and counts by type the columns in which nothing can be planted."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        self.left_out: Counter[str] = Counter()

    def planted(
        self,
        data: pd.DataFrame,
        place: str,
        *,
        what: str = EVERY_TEXT,
        per_type: int | None = None,
    ) -> pd.DataFrame:
        """Return a table with sentinels in it: as many rows and columns, of the same types.

        Args:
            data: A table; it is not changed.
            place: What made it, such as `Loader[cars]`.
            what: One of `EVERY_TEXT`, `SOME_CELLS`, `CATEGORIES` and `NOTHING`.
            per_type: How many columns of one type get sentinels; all of them without it.
        """
        if what == NOTHING or data.empty:
            return data
        result = data.copy(deep=False)
        for position, kind in _chosen(data, per_type):
            column = data.iloc[:, position]
            found: Any
            at = f"{place}, column {position + 1} ({kind})"
            with warnings.catch_warnings():
                # A cell that does not fit is noticed by the type that comes of it.
                warnings.simplefilter("ignore")
                found = self._column(column, position, at, what)
            if found is None:
                self.left_out[kind] += 1
            else:
                result.isetitem(position, found)
        return result

    def _column(
        self, column: pd.Series[Any], position: int, place: str, what: str
    ) -> pd.Series[Any] | None:
        """Return a column with sentinels in it, None where its type has too few values."""
        import pandas as pd

        if isinstance(column.dtype, pd.CategoricalDtype):
            return self._with_renamed_category(column, place, what)
        if what == EVERY_TEXT and pd.api.types.infer_dtype(column, skipna=True) == "string":
            codes, values = pd.factorize(column)
            counts = Counter(codes.tolist())
            names = self._names([counts[code] for code in range(len(values))], place)
            return _replaced(
                column, column.notna().to_numpy(bool), [names[code] for code in codes if code >= 0]
            )
        renamed = self._with_renamed_value(column, place)
        if what == CATEGORIES:
            return column if renamed is None else renamed
        given = column if renamed is None else renamed
        is_free = column.notna() if renamed is None else (given == column).fillna(value=False)
        rows = _rows(is_free.to_numpy(bool), position)
        before = len(self._mint.sentinels)
        cells = [self._cell(given, row, number, place) for number, row in enumerate(rows)]
        filled = None if any(cell is None for cell in cells) else _replaced(given, rows, cells)
        if filled is None or not rows:
            # What was made and does not fit was never planted.
            del self._mint.sentinels[before:]
            return renamed
        return filled

    def _cell(self, column: pd.Series[Any], row: int, number: int, place: str) -> Any:
        """Make the n-th cell of a column; None where its type has too few values."""
        dtype, mint = column.dtype, self._mint
        kind, size = getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 0)
        if kind in "iu":
            return mint.integer(place, 12 if size == 8 else 9) if size >= 4 else None
        if kind == "f" and size == 4:
            return mint.float32(place)
        if kind == "f":
            # One far off the others, which is recognised however it is rounded; one among them.
            among = (float(column.min()), float(column.max())) if number % 2 else ()
            return mint.float_(place, *among) if size == 8 else None
        if kind in "mM":
            return _time(mint, column, place)
        return mint.cell(column.iloc[row], place)

    def _with_renamed_value(self, column: pd.Series[Any], place: str) -> pd.Series[Any] | None:
        """Rename the most frequent value of a column of texts, so that every part of it has it."""
        import pandas as pd

        if pd.api.types.infer_dtype(column, skipna=True) != "string":
            return None
        frequent = column.value_counts().index[0]
        name = self._mint.text("category", place)
        return _replaced(column, (column == frequent).fillna(value=False).to_numpy(bool), name)

    def _names(self, counts: list[int], place: str) -> list[str]:
        """Make as many texts: the most frequent value's a sentinel, the others share one."""
        frequent = counts.index(max(counts))
        names = [self._mint.text("category", place)] * len(counts)
        if len(counts) > 1:
            shared = self._mint.text("text cell", place)
            names = [names[0] if at == frequent else f"{shared} {at}" for at in range(len(counts))]
        return names

    def _with_renamed_category(
        self, column: pd.Series[Any], place: str, what: str
    ) -> pd.Series[Any] | None:
        categories = column.cat.categories
        counts = column.value_counts()
        if not len(categories) or not counts.iloc[0]:
            return None
        if what == EVERY_TEXT and all(isinstance(category, str) for category in categories):
            return column.cat.rename_categories(
                self._names([int(counts[category]) for category in categories], place)
            )
        frequent = counts.index[0]
        value = frequent.item() if hasattr(frequent, "item") else frequent
        if isinstance(value, str):
            name: Any = self._mint.text("category", place)
        else:
            name = self._mint.cell(value, place)
        if name is None:
            return None
        return column.cat.rename_categories({frequent: name})


def _chosen(data: pd.DataFrame, limit: int | None) -> Iterator[tuple[int, str]]:
    """Yield positions and types of the first columns of each type."""
    per_type = data.shape[1] if limit is None else limit
    seen: Counter[str] = Counter()
    for position, dtype in enumerate(data.dtypes):
        kind = str(dtype)
        if kind != "object" and seen[kind] >= per_type:
            continue
        column = data.iloc[:, position].reset_index(drop=True)
        first: Any = column.first_valid_index()
        if first is None:
            continue
        if kind == "object":
            kind = f"object of {type(column[first]).__name__}"
        seen[kind] += 1
        if seen[kind] <= per_type:
            yield position, kind


def _rows(is_free: Any, position: int) -> list[int]:
    """Return the rows whose cells are replaced: not the same ones in each column."""
    present = is_free.nonzero()[0]
    count = min(CELLS_PER_COLUMN, (len(present) + 2) // 3)
    return [
        int(present[(number * len(present) // count + position) % len(present)])
        for number in range(count)
    ]


def _replaced(column: pd.Series[Any], rows: Any, cells: Any) -> pd.Series[Any] | None:
    """Put cells into a copy of a column; None where they do not fit it."""
    import pandas as pd

    copy = column.copy()
    try:
        if isinstance(cells, list):
            cells = pd.Series(cells, dtype=column.dtype).array
        copy.iloc[rows] = cells
    except (TypeError, ValueError, OverflowError):
        return None
    return copy if copy.dtype == column.dtype else None


def _time(mint: Mint, column: pd.Series[Any], place: str) -> Any:
    """Make a moment or a span as precise as a column's: whole days where it has whole days."""
    import numpy as np
    import pandas as pd

    dtype: Any = column.dtype
    unit: Any = getattr(dtype, "unit", None) or (
        np.datetime_data(dtype)[0] if isinstance(dtype, np.dtype) else "us"
    )
    step = _MICROSECONDS.get(unit, 1)
    if dtype.kind == "m":
        span = pd.Timedelta(mint.time_span(place, step))
        return span.as_unit(unit)
    if getattr(dtype, "tz", None) is not None:
        return pd.Timestamp(mint.moment(place, step), tz="UTC").tz_convert(dtype.tz).as_unit(unit)
    is_midnight = bool((column.dropna() == column.dropna().dt.normalize()).all())
    return pd.Timestamp(mint.moment(place, _DAY if is_midnight else step)).as_unit(unit)
