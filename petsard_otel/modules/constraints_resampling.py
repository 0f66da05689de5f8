"""Drawing rows again and again until enough of them keep all constraints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pandas as pd

from petsard_otel.exceptions import DataError
from petsard_otel.modules.constraints_proportions import are_kept, trimmed

if TYPE_CHECKING:
    from collections.abc import Callable

    from petsard_otel.modules.constraints_parameters import ConstrainerParameters

logger = logging.getLogger(__name__)


def resample(
    data: pd.DataFrame,
    constraints: ConstrainerParameters,
    original: pd.DataFrame,
    draw: Callable[[int], pd.DataFrame],
) -> pd.DataFrame:
    """Return rows of `data`, and drawn ones where those do not do, that keep all constraints.

    Where `max_trials` draws are not enough, fewer rows are returned and a warning is logged.

    Args:
        data: A table of synthetic rows, the first to be chosen from.
        constraints: The rules, how many rows are wanted, and how many to draw at a time.
        original: The table whose proportions are to be kept.
        draw: Gives so many new rows of the same columns.

    Raises:
        DataError: There are no rows at all that keep the constraints.
    """
    num_rows = constraints.target_rows or len(data)
    rules = constraints.field_proportions
    kept = trimmed(_enforced(data, constraints), rules, original, num_rows)
    for trial in range(constraints.max_trials):
        if len(kept) >= num_rows and are_kept(kept.head(num_rows), rules, original, num_rows):
            break
        drawn = draw(max(1, int(num_rows * constraints.sampling_ratio)))
        together = pd.concat([kept, _enforced(drawn, constraints)], ignore_index=True)
        kept = trimmed(together, rules, original, num_rows)
        if constraints.verbose_step and (trial + 1) % constraints.verbose_step == 0:
            logger.info("trial %d: %d of %d rows", trial + 1, min(len(kept), num_rows), num_rows)
    ...
