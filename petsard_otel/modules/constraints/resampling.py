"""Drawing rows again and again until enough of them keep all constraints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pandas as pd

from petsard_otel.exceptions import DataError
from petsard_otel.modules.constraints.proportions import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from petsard_otel.modules.constraints.parameters import ConstrainerParameters

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
        original: The table whose proportions are to be kept, as far as its rows keep the other
            constraints: what those rule out can have no share.
        draw: Gives so many new rows of the same columns.

    Raises:
        DataError: There are no rows at all that keep the constraints.
    """
    if len(data) == 0:
        raise DataError("a table without rows cannot be constrained")
    num_rows = constraints.target_rows or len(data)
    batch = max(1, int(num_rows * constraints.sampling_ratio))
    rules = constraints.field_proportions
    if rules:
        original = _enforced(original, constraints)
    choice = choose(_enforced(data, constraints), rules, original, num_rows)
    for trial in range(1, constraints.max_trials + 1):
        if choice.is_complete:
            break
        drawn = _enforced(draw(batch), constraints)
        rows = (
            drawn if choice.useful.empty else pd.concat([choice.useful, drawn], ignore_index=True)
        )
        choice = choose(rows, rules, original, num_rows)
        if constraints.verbose_step and trial % constraints.verbose_step == 0:
            logger.info("trial %d: %d of %d rows", trial, len(choice.chosen), num_rows)
    if choice.chosen.empty:
        raise DataError(_why_none(data, constraints, batch))
    if not choice.is_complete:
        logger.warning(
            "after %d draws of %d rows, the %d rows that keep the constraints are too few, or "
            "not in the proportions asked for; %d were wanted",
            constraints.max_trials,
            batch,
            len(choice.chosen),
            num_rows,
        )
    return choice.chosen.reset_index(drop=True)


def _enforced(data: pd.DataFrame, constraints: ConstrainerParameters) -> pd.DataFrame:
    for rule in constraints.row_rules():
        data = rule.enforced(data)
    return data


def _why_none(data: pd.DataFrame, constraints: ConstrainerParameters, batch: int) -> str:
    """Name the rule that most rows break."""
    drawn = constraints.max_trials * batch
    message = f"none of {drawn} rows drawn keeps all constraints; loosen them"
    broken = {str(rule): int(rule.broken(data).sum()) for rule in constraints.row_rules()}
    if not broken:
        return message
    worst = max(broken, key=lambda name: broken[name])
    return f"{message}, above all {worst!r}, which {broken[worst]} of {len(data)} rows break"
