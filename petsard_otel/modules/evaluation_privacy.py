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

from petsard_otel.modules.evaluation_tables import align, label_columns, number_columns, sample

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
    held_back = tables.get("control", tables["ori"].iloc[:0])
    records, in_train = _records(tables["ori"], held_back, generator)
    space = _Space.of(records)
    queries = min(QUERY_ROWS, max(MIN_QUERY_ROWS, QUERY_CELLS // records.size))
    to_train, closest = space.closest(sample(tables["syn"], queries, generator), in_train)
    control_to_train, _ = space.closest(sample(held_back, queries, generator), in_train)
    expected = float(in_train.mean())
    closer = float(in_train[closest].mean()) if len(held_back) else np.nan
    row = {
        "Score": min(1.0, (1 - closer) / (1 - expected)) if len(held_back) else np.nan,
        "closer_to_train": closer,
        "closer_to_train_expected": expected if len(held_back) else np.nan,
        "dcr_5th_percentile": _quantile(to_train, 0.05),
        "dcr_5th_percentile_control": _quantile(control_to_train, 0.05),
        "identical_rows": _share_contained(tables["syn"], tables["ori"]),
        "identical_rows_control": _share_contained(held_back, tables["ori"]),
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
    ori: pd.DataFrame, held_back: pd.DataFrame, generator: np.random.Generator
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Mix training records and records held back, and tell which are for training.

    The order is random, so that of records at the same distance each is the first as often.
    """
    share = min(1.0, RECORD_ROWS / (len(ori) + len(held_back)))
    drawn = [sample(table, ceil(share * len(table)), generator) for table in (ori, held_back)]
    order = generator.permutation(sum(len(table) for table in drawn))
    return pd.concat(drawn, ignore_index=True).iloc[order], order < len(drawn[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """Records among which the closest one is looked for, each column scaled to a length of 1."""

    records: pd.DataFrame
    low: Floats
    length: Floats

    @classmethod
    def of(cls, records: pd.DataFrame) -> _Space:
        numbers = records[number_columns(records)]
        low = numbers.min().fillna(0).to_numpy()
        length = numbers.max().fillna(0).to_numpy() - low
        return cls(records, low, np.where(length > 0, length, 1.0))

    def closest(
        self, queries: pd.DataFrame, allowed: npt.NDArray[np.bool_]
    ) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Return each query's distance to the closest allowed record, and the closest of all."""
        numbers, labels = self._numbers(self.records), self._labels(self.records)
        query_numbers, query_labels = self._numbers(queries), self._labels(queries)
        # What is 0 everywhere, such as the marks of missing values, adds nothing to a distance.
        used = numbers.any(axis=0) | query_numbers.any(axis=0)
        numbers, query_numbers = numbers[:, used], query_numbers[:, used]
        distances = np.empty(len(queries))
        positions = np.empty(len(queries), dtype=np.intp)
        block_rows = max(1, BLOCK_CELLS // len(self.records))
        for start in range(0, len(queries), block_rows):
            block = slice(start, start + block_rows)
            found = np.zeros((len(query_labels[block]), len(self.records)))
            if numbers.shape[1]:
                found += cdist(query_numbers[block], numbers, "cityblock")
            if labels.shape[1]:
                found += cdist(query_labels[block], labels, "hamming") * labels.shape[1]
            found /= self.records.shape[1]
            positions[block] = found.argmin(axis=1)
            distances[block] = found[:, allowed].min(axis=1)
        return distances, positions

    def _numbers(self, table: pd.DataFrame) -> Floats:
        """Scale the numbers; a missing one is between 0.5 and 1 away from every other number."""
        values = (table[number_columns(self.records)].to_numpy() - self.low) / self.length
        missing = np.isnan(values)
        return np.hstack([np.where(missing, 0.5, values), 0.5 * missing])

    def _labels(self, table: pd.DataFrame) -> Floats:
        return table[label_columns(self.records)].to_numpy(dtype="float64")


def _quantile(distances: Floats, quantile: float) -> float:
    return float(np.quantile(distances, quantile)) if distances.size else float("nan")


def _share_contained(table: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the share of rows that occur, in every cell, among the rows of the other table."""
    if table.empty:
        return float("nan")
    rows = pd.util.hash_pandas_object(table, index=False)
    return float(rows.isin(pd.util.hash_pandas_object(other, index=False)).mean())
