"""The figures of the Describer: of one table, or of two side by side. Knows no configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from petsard_otel.modules.evaluation.tables import (
    align,
    as_codes,
    as_numbers,
    check_names,
    family,
    is_missing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Figures = pd.Series[Any]

GLOBAL_METHODS = ("row_count", "col_count", "global_na_count")
"""What is said of a table as a whole."""

COLUMN_METHODS: dict[str, Callable[[pd.DataFrame], Figures]] = {
    "mean": lambda numbers: numbers.mean(),
    "median": lambda numbers: numbers.median(),
    "std": lambda numbers: numbers.std(),
    "var": lambda numbers: numbers.var(),
    "min": lambda numbers: numbers.min(),
    "max": lambda numbers: numbers.max(),
    "kurtosis": lambda numbers: numbers.kurt(),
    "skew": lambda numbers: numbers.skew(),
    "q1": lambda numbers: numbers.quantile(0.25),
    "q3": lambda numbers: numbers.quantile(0.75),
    "iqr": lambda numbers: numbers.quantile(0.75) - numbers.quantile(0.25),
    "range": lambda numbers: numbers.max() - numbers.min(),
}
"""What is said of each column of numbers."""

DESCRIBE_METHODS = (
    *GLOBAL_METHODS,
    *COLUMN_METHODS,
    "percentile",
    "col_na_count",
    "nunique",
    "cov",
    "corr",
)
"""Everything that can be said of one table."""

STATS_METHODS = ("mean", "std", "median", "min", "max", "nunique", "jsdivergence")
"""Everything that two tables can be compared in."""


def describe(
    data: pd.DataFrame, methods: Sequence[str], percentile: float | None = None
) -> dict[str, pd.DataFrame]:
    """Describe one table.

    Booleans count as the numbers 0 and 1; dates are not numbers. Infinite values are
    left out. Nothing is rounded.

    Returns:
        Of `global` (one row), `columnwise` (a row for each column that one of the methods fits)
        and `pairwise` (a row for each pair, and each column with itself) what was asked for.

    Raises:
        DataError: Two columns have one name, or a column holds lists or dicts.
    """
    check_names("data", data)
    parts = {
        "global": _describe_table(data, methods),
        "columnwise": _describe_columns(data, data, methods, percentile),
        "pairwise": _describe_pairs(_numbers(data, data), methods),
    }
    return {granularity: part for granularity, part in parts.items() if part is not None}


def compare(
    base: pd.DataFrame, target: pd.DataFrame, methods: Sequence[str], compare_method: str
) -> dict[str, pd.DataFrame]:
    """Compare two tables, `target` to `base`.

    `compare_method` is `diff`, or `pct_change`: the difference in parts of the absolute value in
    `base`, NaN where that is 0. `jsdivergence` is the Jensen-Shannon divergence (in nats, 0 to
    ln 2) between the frequencies of the values of two columns, numbers or labels.

    Returns:
        `columnwise`, and `global`: the mean of each comparison over the columns, and as `Score`
        the mean of these means. Signs are kept, so that differences may cancel.

    Raises:
        DataError: The tables have other columns, or types that cannot be compared.
    """
    aligned = align({"base": base, "target": target})
    columns = [label for label in base.columns if family(base[label]) in ("number", "label")]
    figures = [method for method in methods if method != "jsdivergence"]
    described = [_describe_columns(table, base, figures, None) for table in (base, target)]
    compared: dict[str, Any] = {}
    for method in methods:
        if method == "jsdivergence":
            compared[method] = [
                _js_divergence(aligned["base"][label], aligned["target"][label])
                for label in columns
            ]
            continue
        first, second = (
            frame[method].reindex(columns).astype("float64")
            for frame in described
            if frame is not None
        )
        difference = second - first
        if compare_method == "pct_change":
            difference = difference / first.abs().where(first != 0)
        compared[f"{method}_base"] = first
        compared[f"{method}_target"] = second
        compared[f"{method}_{compare_method}"] = difference
    columnwise = pd.DataFrame(compared, index=pd.Index(columns, name="column"))
    return {"columnwise": columnwise, "global": _means(columnwise, compare_method)}


def _means(columnwise: pd.DataFrame, compare_method: str) -> pd.DataFrame:
    compared = [
        name
        for name in columnwise.columns
        if name == "jsdivergence" or name.endswith(f"_{compare_method}")
    ]
    means = columnwise[compared].mean()
    return pd.DataFrame([{"Score": means.mean(), **means}])


def _js_divergence(base: Figures, target: Figures) -> float:
    """Return the divergence of Lin, IEEE Transactions on Information Theory 37 (1991)."""
    known = [column[~is_missing(column)].to_numpy() for column in (base, target)]
    if not all(values.size for values in known):
        return float("nan")
    _, codes = np.unique(np.concatenate(known), return_inverse=True)
    size = int(codes.max()) + 1
    first, second = (
        np.bincount(part, minlength=size) / part.size for part in np.split(codes, [known[0].size])
    )
    middle = (first + second) / 2
    divergence = rel_entr(first, middle).sum() + rel_entr(second, middle).sum()
    return max(0.0, float(divergence) / 2)


def _numbers(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that are numbers in `reference`, and booleans as 0 and 1."""
    numbers: dict[Any, npt.NDArray[np.float64]] = {}
    for label, column in reference.items():
        if family(column) == "number":
            numbers[label] = as_numbers(table[label], "number")
        elif pd.api.types.infer_dtype(column, skipna=True) == "boolean":
            as_number: Any = table[label].astype(object).map({True: 1.0, False: 0.0})
            numbers[label] = as_number.to_numpy(dtype="float64")
    return pd.DataFrame(numbers, index=table.index)


def _describe_table(data: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame | None:
    counts = {
        "row_count": {"row_count": len(data)},
        "col_count": {"col_count": data.shape[1]},
        "global_na_count": {"na_count": int(data.isna().any(axis=1).sum())},
    }
    row = {key: count for method in methods for key, count in counts.get(method, {}).items()}
    return pd.DataFrame([row]) if row else None


def _describe_columns(
    table: pd.DataFrame,
    reference: pd.DataFrame,
    methods: Sequence[str],
    percentile: float | None,
) -> pd.DataFrame | None:
    """Describe each column; what it holds, `reference` decides."""
    numbers = _numbers(table, reference)
    figures: dict[str, Figures] = {}
    for method in methods:
        if method in COLUMN_METHODS:
            figures[method] = COLUMN_METHODS[method](numbers)
        elif method == "percentile" and percentile is not None:
            name = f"{round(percentile * 100, 10)} th percentile"
            figures[name] = numbers.quantile(percentile)
        elif method == "col_na_count":
            figures["na_count"] = table.isna().sum().astype("Int64")
        elif method == "nunique":
            labels = [label for label in reference.columns if family(reference[label]) == "label"]
            counts = [len(set(as_codes([table[label].dropna()])[0])) for label in labels]
            figures["nunique"] = pd.Series(counts, index=labels, dtype="Int64")
    if not figures:
        return None
    frame = pd.DataFrame(figures)
    columns = [label for label in table.columns if label in frame.index]
    return frame.reindex(columns).rename_axis("column")


def _describe_pairs(numbers: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame | None:
    chosen = [method for method in methods if method in ("cov", "corr")]
    if not chosen:
        return None
    # Below two rows both are undefined, and numpy warns.
    rows, columns = np.tril_indices(numbers.shape[1] if len(numbers) > 1 else 0)
    index = pd.MultiIndex.from_arrays(
        [numbers.columns[rows], numbers.columns[columns]], names=["column1", "column2"]
    )
    figures = {}
    for method in chosen:
        matrix = np.empty((0, 0))
        if len(rows):
            matrix = (numbers.cov() if method == "cov" else numbers.corr()).to_numpy()
        figures[method] = matrix[rows, columns]
    return pd.DataFrame(figures, index=index).dropna(how="all")
