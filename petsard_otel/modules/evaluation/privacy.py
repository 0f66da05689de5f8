"""How close synthetic records come to the records they were made from.

The distance is Gower's (Biometrics 27, 1971): the mean over the columns of the difference in parts
of the column's range, or 0 and 1 for equal and different labels. That synthetic records should be
no closer to the training records than to records held back is the test of Platzer and Reutterer
(Frontiers in Big Data 4, 2021), https://doi.org/10.3389/fdata.2021.679939.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from petsard_otel.modules.evaluation.tables import align, label_columns, number_columns, sample

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

QUERY_ROWS = 2_000
"""Synthetic records at most, and records held back, whose closest record is looked for."""

MIN_QUERY_ROWS = 200
"""As many at least, where there are; wide tables get no more."""

QUERY_CELLS = 3_000_000_000
"""Cells to compare, from which the number of records between these limits follows."""

RECORD_ROWS = 50_000
"""Training records and records held back, taken together, at most, among which it is looked for."""

BLOCK_CELLS = 8_000_000
"""Distances computed at once: 64 MB of them."""

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""The quantiles of the distances that `details` shows."""


def privacy(
    ori: pd.DataFrame,
    syn: pd.DataFrame,
    control: pd.DataFrame | None = None,
    *,
    random_state: int,
) -> dict[str, pd.DataFrame]:
    """Measure the distance of each synthetic record to the closest record of `ori` (DCR).

    `Score` is `min(1, (1 - closer_to_train) / (1 - closer_to_train_expected))`: 1 where synthetic
    records are no closer to `ori` than chance has it, 0 where each is closest to a record of
    `ori`. `closer_to_train_expected` is `ori`'s share of the records in both tables, so that
    tables of equal size give the 2 * (1 - share) of SDMetrics's DCROverfittingProtection.
    Without `control` what needs it is NaN.

    Returns:
        `global`, and as `details` the quantiles of the distances.

    Raises:
        DataError: The tables cannot be compared.
    """
    generator = np.random.default_rng(random_state)
    given = {"ori": ori, "syn": syn}
    tables = align(given if control is None else {**given, "control": control})
    known = tables.get("control", tables["ori"].iloc[:0])
    train, held_back = _records(tables["ori"], known, generator)
    space = _Space.over(train, held_back)
    cells = (len(train) + len(held_back)) * train.shape[1]
    queries = min(QUERY_ROWS, max(MIN_QUERY_ROWS, QUERY_CELLS // cells))
    to_train, shares = space.closest(sample(tables["syn"], queries, generator), train, held_back)
    nothing = held_back.iloc[:0]
    control_to_train, _ = space.closest(sample(held_back, queries, generator), train, nothing)
    closer, expected = float(shares.mean()), len(train) / (len(train) + len(held_back))
    if held_back.empty:
        closer = expected = float("nan")
    row = {
        # In this order: the minimum of a number and NaN is the number, were it the other way.
        "Score": min((1 - closer) / (1 - expected), 1.0),
        "closer_to_train": closer,
        "closer_to_train_expected": expected,
        "dcr_5th_percentile": _quantile(to_train, 0.05),
        "dcr_5th_percentile_control": _quantile(control_to_train, 0.05),
        "identical_rows": _share_contained(tables["syn"], tables["ori"]),
        "identical_rows_control": _share_contained(known, tables["ori"]),
    }
    details = {
        "syn_to_ori": [_quantile(to_train, quantile) for quantile in QUANTILES],
        "control_to_ori": [_quantile(control_to_train, quantile) for quantile in QUANTILES],
    }
    return {
        "global": pd.DataFrame(row, index=["result"]),
        "details": pd.DataFrame(details, index=pd.Index(QUANTILES, name="quantile")),
    }


def _records(
    ori: pd.DataFrame, control: pd.DataFrame, generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the same share of both tables, so that they are `RECORD_ROWS` together at most."""
    share = min(1.0, RECORD_ROWS / (len(ori) + len(control)))
    train = sample(ori, ceil(share * len(ori)), generator)
    return train, sample(control, ceil(share * len(control)), generator)


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """The scale of every column of numbers: where its range begins, and how long it is."""

    low: Floats
    length: Floats

    @classmethod
    def over(cls, train: pd.DataFrame, held_back: pd.DataFrame) -> _Space:
        numbers = pd.concat([train, held_back])[number_columns(train)]
        low = numbers.min().fillna(0).to_numpy()
        length = numbers.max().fillna(0).to_numpy() - low
        return cls(low, np.where(length > 0, length, 1.0))

    def closest(
        self, queries: pd.DataFrame, train: pd.DataFrame, held_back: pd.DataFrame
    ) -> tuple[Floats, Floats]:
        """Return each query's distance to `train`, and the share of `train` in what is closest.

        The share is 1 or 0, but for a query with several closest records.
        """
        records = pd.concat([train, held_back])
        distances, shares = np.empty(len(queries)), np.empty(len(queries))
        block_rows = max(1, BLOCK_CELLS // len(records))
        for start in range(0, len(queries), block_rows):
            block = slice(start, start + block_rows)
            found = self._distances(queries.iloc[block], records)
            distances[block] = found[:, : len(train)].min(axis=1)
            shares[block] = _train_shares(found, len(train))
        return distances, shares

    def _distances(self, queries: pd.DataFrame, records: pd.DataFrame) -> Floats:
        found: Floats = np.zeros((len(queries), len(records)))
        labels = label_columns(records)
        if labels:
            found += cdist(
                queries[labels].to_numpy(float), records[labels].to_numpy(float), "hamming"
            )
            found *= len(labels)
        if self.low.size:
            points, others = self._points(queries), self._points(records)
            # What is 0 everywhere, such as the marks of missing values, adds nothing.
            used = points.any(axis=0) | others.any(axis=0)
            if used.any():
                found += cdist(points[:, used], others[:, used], "cityblock")
        found /= records.shape[1]
        return found

    def _points(self, table: pd.DataFrame) -> Floats:
        """Scale the numbers; a missing one is between 0.5 and 1 away from every other number."""
        values = (table[number_columns(table)].to_numpy() - self.low) / self.length
        missing = np.isnan(values)
        points: Floats = np.hstack([np.where(missing, 0.5, values), 0.5 * missing])
        return points


def _train_shares(distances: Floats, train_rows: int) -> Floats:
    """Return, of the records closest to each query, the share that is for training."""
    to_train = distances[:, :train_rows].min(axis=1)
    to_control = distances[:, train_rows:].min(axis=1, initial=np.inf)
    shares: Floats = (to_train < to_control).astype("float64")
    tied = to_train == to_control
    closest = distances[tied] == to_train[tied, np.newaxis]
    shares[tied] = closest[:, :train_rows].sum(axis=1) / closest.sum(axis=1)
    return shares


def _quantile(distances: Floats, quantile: float) -> float:
    return float(np.quantile(distances, quantile)) if distances.size else float("nan")


def _share_contained(table: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the share of rows that occur, in every cell, among the rows of the other table."""
    if table.empty:
        return float("nan")
    rows = pd.util.hash_pandas_object(table, index=False)
    return float(rows.isin(pd.util.hash_pandas_object(other, index=False)).mean())
