"""How alike two tables are, column by column and pair by pair.

The four measures are those of SDMetrics's quality report, written anew on scipy and numpy from
their definitions: https://docs.sdv.dev/sdmetrics/data-metrics/quality. Missing values are a label
of their own, except where a measure needs numbers, which leaves them out.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from petsard_otel.modules.evaluation.tables import align, number_columns, sample

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.int64]

PAIR_ROWS = 50_000
"""Rows of each table at most that pairs of columns are compared on; single columns use all."""

MAX_PAIRS = 5_000
"""Pairs of columns at most; of more (over 100 columns) as many are drawn."""

BINS = 10
"""Bins of equal width into which numbers are cut to be compared with labels."""

SHAPES = "Column Shapes"
"""The property that columns are scored for."""

TRENDS = "Column Pair Trends"
"""The property that pairs of columns are scored for."""


def fidelity(ori: pd.DataFrame, syn: pd.DataFrame, *, random_state: int) -> dict[str, pd.DataFrame]:
    """Score how closely `syn` follows `ori`, from 0 to 1.

    The score of each property is the mean over its columns or pairs, the overall score the mean
    of the two. What cannot be scored (the correlation with a constant) is NaN and left out.

    Returns:
        `global`, `columnwise` and `pairwise`, with the columns of PETsARD's quality report.

    Raises:
        DataError: The tables cannot be compared.
    """
    tables = align({"ori": ori, "syn": syn})
    columnwise = _columnwise(tables["ori"], tables["syn"])
    pairwise = _pairwise(tables["ori"], tables["syn"], np.random.default_rng(random_state))
    scores = {SHAPES: columnwise["Score"].mean(), TRENDS: pairwise["Score"].mean()}
    overall = pd.Series(scores, dtype="float64").mean()
    return {
        "global": pd.DataFrame({"Score": overall, **scores}, index=["result"]),
        "columnwise": columnwise,
        "pairwise": pairwise,
    }


def ks_complement(ori: npt.NDArray[np.float64], syn: npt.NDArray[np.float64]) -> float:
    """Return 1 minus the Kolmogorov-Smirnov statistic: the largest gap between the two CDFs.

    Missing values are left out. Where only one side has values at all, it is 0.
    """
    ori, syn = ori[~np.isnan(ori)], syn[~np.isnan(syn)]
    if not ori.size or not syn.size:
        return float(ori.size == syn.size)
    # The p-value, which nobody asked for, is not defined for every number of rows.
    with np.errstate(all="ignore"):
        return float(1 - ks_2samp(ori, syn, method="asymp").statistic)


def tv_complement(ori: Codes, syn: Codes) -> float:
    """Return 1 minus the total variation distance: half the sum of differences in frequency.

    Codes are non-negative; a missing value has a code like any other.
    """
    size = int(max(ori.max(), syn.max())) + 1
    difference = np.bincount(ori, minlength=size) / ori.size
    difference = difference - np.bincount(syn, minlength=size) / syn.size
    return max(0.0, float(1 - np.abs(difference).sum() / 2))


def _columnwise(ori: pd.DataFrame, syn: pd.DataFrame) -> pd.DataFrame:
    numbers = set(number_columns(ori))
    rows = []
    for label in ori.columns:
        first, second = ori[label].to_numpy(), syn[label].to_numpy()
        if label in numbers:
            rows.append((SHAPES, "KSComplement", ks_complement(first, second)))
        else:
            rows.append((SHAPES, "TVComplement", tv_complement(first + 1, second + 1)))
    index = pd.Index(ori.columns, name="column")
    return pd.DataFrame(rows, columns=["Property", "Metric", "Score"], index=index)


def _pairwise(ori: pd.DataFrame, syn: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    pairs = list(combinations(ori.columns, 2))
    if len(pairs) > MAX_PAIRS:
        chosen = np.sort(generator.choice(len(pairs), MAX_PAIRS, replace=False))
        pairs = [pairs[position] for position in chosen]
    ori, syn = sample(ori, PAIR_ROWS, generator), sample(syn, PAIR_ROWS, generator)
    numbers = set(number_columns(ori))
    binned = _binned(ori, syn)
    rows: list[tuple[str, str, float, float, float]] = []
    for first, second in pairs:
        if first in numbers and second in numbers:
            real = _correlation(ori, first, second)
            synthetic = _correlation(syn, first, second)
            score = 1 - abs(real - synthetic) / 2
            rows.append((TRENDS, "CorrelationSimilarity", score, real, synthetic))
        else:
            joint = _joint(binned[first], binned[second])
            score = tv_complement(joint[: len(ori)], joint[len(ori) :])
            rows.append((TRENDS, "ContingencySimilarity", score, np.nan, np.nan))
    index = pd.MultiIndex.from_tuples(pairs, names=["column1", "column2"]) if pairs else None
    names = ["Property", "Metric", "Score", "Real Correlation", "Synthetic Correlation"]
    table = pd.DataFrame(rows, columns=names, index=index)
    return table.astype(dict.fromkeys(names[2:], "float64"))


def _correlation(table: pd.DataFrame, first: Any, second: Any) -> float:
    """Return Pearson's coefficient over the rows that have both, NaN where it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(table[first].corr(table[second], min_periods=2))


def _binned(ori: pd.DataFrame, syn: pd.DataFrame) -> dict[Any, Codes]:
    """Return every column as non-negative codes, the rows of `ori` before those of `syn`."""
    numbers = set(number_columns(ori))
    binned = {}
    for label in ori.columns:
        values = np.concatenate([ori[label].to_numpy(), syn[label].to_numpy()])
        binned[label] = _bin(values, len(ori)) if label in numbers else values + 1
    return binned


def _bin(values: npt.NDArray[np.float64], ori_rows: int) -> Codes:
    """Cut numbers at the inner edges of the original's bins; missing ones get code 0."""
    known = values[:ori_rows]
    known = known[~np.isnan(known)]
    steps = np.arange(1, BINS) / BINS if known.size else np.empty(0)
    # Not numpy's histogram_bin_edges, which refuses a range narrower than its precision.
    edges = np.sort(known.min(initial=np.inf) * (1 - steps) + known.max(initial=-np.inf) * steps)
    return np.where(np.isnan(values), 0, np.digitize(values, edges) + 1)


def _joint(first: Codes, second: Codes) -> Codes:
    """Return one code for each combination of two."""
    joint = first * (second.max() + 1) + second
    if joint.max() > 4 * joint.size:
        # So many combinations cannot all occur: number those that do.
        joint = pd.factorize(joint)[0]
    return np.asarray(joint, dtype=np.int64)
