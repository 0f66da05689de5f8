"""A Gaussian copula for tables of mixed columns, over scikit-learn's QuantileTransformer.

Each column becomes numbers, the numbers normal scores; the scores' correlation is all that is
learnt of how columns belong together. Knows nothing of modules, experiments or configuration.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from sklearn.preprocessing import QuantileTransformer

from petsard_otel.exceptions import DataError, UnexecutedError
from petsard_otel.schema import label_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.floating[Any]]
    Mask = NDArray[np.bool_]

MAX_QUANTILES = 1000
"""Points at which the distribution of a column is remembered."""

MAX_DECIMALS = 6
"""Decimal places up to which a column of real numbers is seen to be rounded."""

MIN_EIGENVALUE = 1e-6
"""The least eigenvalue of a correlation matrix that is sampled from."""

MIN_SCORE_VARIANCE = 0.2
"""The least variance that a column's scores are taken to have, that of a column which is nearly
always the same: below it, chance would pass for correlation."""


class GaussianCopula:
    """Learns a table and draws similar ones: same columns, same dtypes, same share of missing.

    Not thread-safe: each draw moves the random generator on, so that no two are equal.
    """

    def __init__(self, random_state: int | None = None) -> None:
        self._random = np.random.default_rng(random_state)
        self._columns: pd.Index[Any] = pd.Index([])
        self._marginals: list[Marginal] = []
        self._missing_rates: list[float] = []
        self._varying: list[int] = []
        self._quantiles = QuantileTransformer()
        self._root: Numbers = np.empty((0, 0))

    def fit(self, data: pd.DataFrame) -> GaussianCopula:
        """Learn the columns and their correlation.

        Raises:
            DataError: The table has no rows or no columns, or a column cannot be learnt.
        """
        if data.empty:
            raise DataError(
                f"a table of {len(data)} rows and {data.shape[1]} columns cannot be learnt; "
                "check what the modules before the Synthesizer keep"
            )
        read = [read_column(data.iloc[:, position]) for position in range(data.shape[1])]
        numbers = np.column_stack([column for _, column in read])
        self._columns = data.columns
        self._marginals = [marginal for marginal, _ in read]
        self._missing_rates = np.isnan(numbers).mean(axis=0).tolist()
        spread = np.fmax.reduce(numbers, axis=0) > np.fmin.reduce(numbers, axis=0)
        self._varying = np.flatnonzero(spread).tolist()
        if self._varying:
            quantiles = QuantileTransformer(
                n_quantiles=min(MAX_QUANTILES, len(data)), subsample=None
            )
            shares = quantiles.fit_transform(numbers[:, self._varying])
            self._quantiles = quantiles
            self._root = np.linalg.cholesky(correlation(normal_scores(shares)))
        return self

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Draw rows of the fitted table's columns and dtypes.

        Raises:
            UnexecutedError: Nothing has been fitted yet.
        """
        if not self._marginals:
            raise UnexecutedError("a copula must be fitted before it is sampled from")
        numbers = np.zeros((num_rows, len(self._marginals)))
        if self._varying:
            independent = self._random.standard_normal((num_rows, len(self._varying)))
            shares = ndtr(independent @ self._root.T)
            numbers[:, self._varying] = self._quantiles.inverse_transform(shares)
        columns = {
            position: marginal.values(numbers[:, position], self._draw_missing(rate, num_rows))
            for position, (marginal, rate) in enumerate(
                zip(self._marginals, self._missing_rates, strict=True)
            )
        }
        return pd.DataFrame(columns).set_axis(self._columns, axis=1)

    def _draw_missing(self, rate: float, num_rows: int) -> Mask:
        """Choose the rows of a column that are missing.

        Their number is fixed by the rate, and neither none nor all where the rate is neither:
        whether a column is nullable must not hang on the draw.
        """
        count = round(rate * num_rows)
        if 0 < rate < 1 and num_rows > 1:
            count = min(max(count, 1), num_rows - 1)
        missing = np.zeros(num_rows, dtype=np.bool_)
        if count:
            missing[self._random.permutation(num_rows)[:count]] = True
        return missing


def normal_scores(shares: Numbers) -> Numbers:
    """Turn the shares that a QuantileTransformer gives into normal scores; NaN stays NaN.

    It puts equal values in the middle of the shares that they take up, but the least values of a
    column at 0 and the greatest at 1, where the normal quantile is infinite. Put those in the
    middle too.
    """
    present = np.count_nonzero(~np.isnan(shares), axis=0)
    least, greatest = shares == 0, shares == 1
    shares = np.where(least, least.sum(axis=0) / present / 2, shares)
    shares = np.where(greatest, 1 - greatest.sum(axis=0) / present / 2, shares)
    scores: Numbers = ndtri(shares)
    return scores


def correlation(scores: Numbers) -> Numbers:
    """Estimate a positive definite correlation matrix from scores, NaN where one is missing.

    Each pair of columns is judged by the rows that have both. Equal values share one score, so
    that scores vary less than the normal values they stand for and their correlation is too weak;
    covariance over variances, in place of deviations, makes up for that. What is not positive
    definite then is mended in its eigenvalues, which leaves the other columns as they are;
    shrinkage would weaken all of them.
    """
    present = ~np.isnan(scores)
    centred = np.where(present, scores - np.nanmean(scores, axis=0), 0.0)
    pairs = np.maximum(present.T.astype(np.float64) @ present, 1)
    variances = np.maximum(np.nanvar(scores, axis=0), MIN_SCORE_VARIANCE)
    raw = np.clip(centred.T @ centred / pairs / np.outer(variances, variances), -1, 1)
    np.fill_diagonal(raw, 1.0)
    eigenvalues, vectors = np.linalg.eigh(raw)
    definite = (vectors * np.maximum(eigenvalues, MIN_EIGENVALUE)) @ vectors.T
    deviations = np.sqrt(np.diag(definite))
    mended: Numbers = definite / np.outer(deviations, deviations)
    return mended


class Marginal(Protocol):
    """How the values of one column become numbers, and numbers values again."""

    def values(self, numbers: Numbers, missing: Mask) -> pd.Series[Any]:
        """Return the column for these numbers, of the dtype that was read."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A column that is drawn from the values it has: text, categories, booleans, constants.

    The numbers are positions among the sorted values, so that each value takes up an interval of
    shares as wide as it is frequent.
    """

    levels: pd.Series[Any]

    def values(self, numbers: Numbers, missing: Mask) -> pd.Series[Any]:
        """Return the nearest levels."""
        positions = np.where(missing, -1, np.rint(numbers)).astype(np.intp)
        return self.levels.reindex(positions).reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Steps:
    """A column on a grid: integers, dates and times. The numbers count steps from the least.

    Whole dates stay whole dates, and thousands stay thousands. Sums are taken modulo 2**64, which
    is exact for every integer of 64 bits, signed or not.
    """

    dtype: Any
    integer: type[np.int64 | np.uint64]
    least: np.uint64
    step: np.uint64
    last: np.uint64

    def values(self, numbers: Numbers, missing: Mask) -> pd.Series[Any]:
        """Return the nearest points of the grid."""
        steps = np.clip(np.rint(numbers), 0, _float_not_above(int(self.last))).astype(np.uint64)
        integers = (self.least + steps * self.step).view(self.integer)
        return pd.Series(integers).astype(self.dtype).mask(missing)


@dataclass(frozen=True, slots=True)
class Reals:
    """A column of real numbers, rounded as it was."""

    dtype: Any
    decimals: int | None

    def values(self, numbers: Numbers, missing: Mask) -> pd.Series[Any]:
        """Return the numbers, rounded."""
        rounded = numbers if self.decimals is None else np.round(numbers, self.decimals)
        return pd.Series(rounded).astype(self.dtype).mask(missing)


def read_column(column: pd.Series[Any]) -> tuple[Marginal, Numbers]:
    """Return how a column becomes numbers, and its numbers, NaN where a value is missing.

    Raises:
        DataError: Its values cannot be told apart, or some are infinite.
    """
    present = column.notna().to_numpy()
    kind = column.dtype.kind
    if kind in "iuf" and np.isinf(column[present].to_numpy(dtype=np.float64)).any():
        count = np.count_nonzero(np.isinf(column[present].to_numpy(dtype=np.float64)))
        raise DataError(
            f"column {label_name(column.name)!r} has {count} infinite values; "
            "replace or drop them before the Synthesizer"
        )
    try:
        is_constant = column.nunique() < 2
    except TypeError:
        raise DataError(
            f"column {label_name(column.name)!r} has values that cannot be told apart, "
            "such as lists; turn them into text or drop the column"
        ) from None
    if is_constant or kind not in "iumMf":
        return _read_levels(column)
    numbers = np.full(len(column), np.nan)
    if kind == "f":
        reals = Reals(column.dtype, _decimals(column[present]))
        numbers[present] = column[present].to_numpy(dtype=np.float64)
        return reals, numbers
    steps, numbers[present] = _read_steps(column[present])
    return steps, numbers


def _read_levels(column: pd.Series[Any]) -> tuple[Levels, Numbers]:
    codes, found = pd.factorize(column)
    levels = pd.Series(found, dtype=found.dtype)
    # Values of types that have no order among them stay as they appear. Sorting makes `str` of
    # objects that are all text.
    with suppress(TypeError):
        levels = levels.sort_values().astype(levels.dtype)
    positions = np.full(len(levels) + 1, np.nan)
    positions[levels.index] = np.arange(len(levels))
    # A missing value has the code -1, which is the last position: NaN.
    return Levels(levels.reset_index(drop=True)), positions[codes]


def _read_steps(column: pd.Series[Any]) -> tuple[Steps, Numbers]:
    integer = np.uint64 if column.dtype.kind == "u" else np.int64
    integers = column.astype(integer).to_numpy(dtype=integer)
    least = integers.min(keepdims=True).view(np.uint64)
    distances = integers.view(np.uint64) - least
    step = np.gcd.reduce(distances)
    counts = distances // step
    steps = Steps(column.dtype, integer, least[0], step, counts.max())
    return steps, counts.astype(np.float64)


def _decimals(column: pd.Series[Any]) -> int | None:
    """Return the decimal places to which a column is rounded; None where it is not."""
    # In the column's own precision: 0.1 in 32 bits is not rounded when seen in 64.
    values = column.to_numpy()
    with np.errstate(over="ignore"):
        for decimals in range(MAX_DECIMALS + 1):
            if np.array_equal(np.round(values, decimals), values):
                return decimals
    return None


def _float_not_above(integer: int) -> float:
    nearest = float(integer)
    return nearest if int(nearest) <= integer else math.nextafter(nearest, 0.0)
