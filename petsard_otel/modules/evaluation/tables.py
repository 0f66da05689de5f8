"""Tables made comparable: the same columns, numbers as floats, everything else as codes.

What a column is, a number or a label, the first table decides. Knows nothing of metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.exceptions import DataError
from petsard_otel.schema import label_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    Column = pd.Series[Any]

MISSING_CODE = -1
"""The code of a missing label."""

LISTED_COLUMNS = 10
"""How many columns an error names before it only counts the rest."""

_FAMILIES = {
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "date": "moment",
    "datetime": "moment",
    "datetime64": "moment",
    "timedelta": "duration",
    "timedelta64": "duration",
}


def align(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Bring tables to the columns and types of the first one.

    A column of numbers, dates or durations becomes float64 (dates and durations in seconds,
    missing and infinite values NaN). Any other column becomes int64 codes that mean the same
    label in every table, ascending with the label where labels can be ordered, and
    `MISSING_CODE` for a missing one. `1`, `1.0` and `True` are one label; where one table holds
    text and another does not, labels are compared as text. Columns that the first table does not
    have are left out.

    Raises:
        DataError: A table lacks a column, has no rows, has two columns of one name, or holds
            what cannot be compared with the first table.
    """
    for name, table in tables.items():
        _check_columns(name, table, tables)
    aligned: dict[str, dict[Any, npt.NDArray[Any]]] = {name: {} for name in tables}
    for label in next(iter(tables.values())).columns:
        arrays = _align_column({name: table[label] for name, table in tables.items()})
        for name, array in arrays.items():
            aligned[name][label] = array
    return {name: pd.DataFrame(columns) for name, columns in aligned.items()}


def number_columns(table: pd.DataFrame) -> list[Any]:
    """Return the columns of an aligned table that hold numbers."""
    return [label for label, dtype in table.dtypes.items() if dtype.kind == "f"]


def label_columns(table: pd.DataFrame) -> list[Any]:
    """Return the columns of an aligned table that hold the codes of labels."""
    return [label for label, dtype in table.dtypes.items() if dtype.kind == "i"]


def is_missing(column: Column) -> Column:
    """Tell which values of an aligned column are missing."""
    return column.isna() if column.dtype.kind == "f" else column == MISSING_CODE


def sample(table: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw at most `rows` rows, without putting any back; a smaller table is returned as it is."""
    if len(table) <= rows:
        return table
    return table.iloc[np.sort(generator.choice(len(table), rows, replace=False))]


def column_list(labels: Iterable[object]) -> str:
    """Name columns for an error text, the first few of them where there are many."""
    names = [label_name(label) for label in labels]
    rest = len(names) - LISTED_COLUMNS
    return ", ".join(names[:LISTED_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")


def check_names(name: str, table: pd.DataFrame) -> None:
    """Refuse a table with two columns of one name.

    Raises:
        DataError: Names the columns.
    """
    if not table.columns.is_unique:
        repeated = table.columns[table.columns.duplicated()].unique()
        raise DataError(
            f"table {name!r} has several columns of one name: {column_list(repeated)}; rename them"
        )


def _check_columns(name: str, table: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> None:
    check_names(name, table)
    reference = next(iter(tables))
    lacking = [label for label in tables[reference].columns if label not in table.columns]
    if lacking:
        raise DataError(
            f"table {name!r} lacks {len(lacking)} of the {tables[reference].shape[1]} columns of "
            f"table {reference!r}: {column_list(lacking)}; compare tables of the same columns, "
            "such as the ones before a Preprocessor and after its Postprocessor"
        )
    if table.empty:
        raise DataError(
            f"table {name!r} has {len(table)} rows and {table.shape[1]} columns; "
            "there is nothing to compare"
        )


def family(column: Column) -> str:
    """Return what a column holds: `number`, `moment`, `duration`, or `label` for all else."""
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iuf":
        return "number"
    if kind in "Mm":
        return "moment" if kind == "M" else "duration"
    if column.dtype == object:
        return _FAMILIES.get(pd.api.types.infer_dtype(column, skipna=True), "label")
    return "label"


def as_numbers(column: Column, wanted: str) -> npt.NDArray[np.float64]:
    """Return a column as floats, read as a `number`, a `moment` or a `duration`.

    Missing and infinite values are NaN.

    Raises:
        TypeError, ValueError, OverflowError: It holds something else. The message may quote a
            cell.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if family(column) not in (wanted, "label"):
        raise TypeError(family(column))
    if wanted == "moment":
        moments = pd.to_datetime(column, utc=True, format="mixed")
        numeric: Any = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    elif wanted == "duration":
        numeric = pd.to_timedelta(column).dt.total_seconds()
    else:
        numeric = pd.to_numeric(column)
    numbers: npt.NDArray[np.float64] = numeric.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_codes(columns: Sequence[Column]) -> list[npt.NDArray[np.int64]]:
    """Return columns as codes that mean the same label in each, `MISSING_CODE` for none.

    Raises:
        DataError: They hold values that cannot be compared.
    """
    values = [column.astype(object).reset_index(drop=True) for column in columns]
    kinds = {pd.api.types.infer_dtype(column, skipna=True) for column in values} - {"empty"}
    if "string" in kinds and len(kinds) > 1:
        values = [column.map(_as_text, na_action="ignore") for column in values]
    together = pd.concat(values, ignore_index=True)
    try:
        codes = _factorize(together)
    except TypeError:
        raise DataError(
            f"column {label_name(columns[0].name)!r} holds lists, dicts or other values that "
            "cannot be compared; drop it or turn it into text"
        ) from None
    ends = np.cumsum([len(column) for column in values])
    return np.split(codes, ends[:-1])


def _align_column(parts: Mapping[str, Column]) -> dict[str, npt.NDArray[Any]]:
    reference = next(iter(parts))
    wanted = family(parts[reference])
    if wanted == "label":
        return dict(zip(parts, as_codes(list(parts.values())), strict=True))
    arrays = {}
    for name, column in parts.items():
        try:
            arrays[name] = as_numbers(column, wanted)
        except (TypeError, ValueError, OverflowError):
            # From None: the message of the original error quotes a cell.
            raise DataError(
                f"column {label_name(column.name)!r} holds {wanted}s in table {reference!r}, "
                f"and something else in table {name!r}; give both the same type"
            ) from None
    return arrays


def _factorize(values: Column) -> npt.NDArray[np.int64]:
    try:
        codes, _ = pd.factorize(values, sort=True)
    except TypeError:
        # Labels of several kinds have no order; they can still be told apart.
        codes, _ = pd.factorize(values)
    return np.asarray(codes, dtype=np.int64)


def _as_text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
