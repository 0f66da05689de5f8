"""What a table breaks of its constraints. The result holds rows: it is for local use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from petsard_otel.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from petsard_otel.modules.constraints.parameters import ConstrainerParameters
    from petsard_otel.modules.constraints.rows import RowRule

    Rows = NDArray[np.bool_]

MAX_EXAMPLES = 6
"""Index labels that are listed for a rule that rows break."""


def validate(
    data: pd.DataFrame, constraints: ConstrainerParameters, original: pd.DataFrame
) -> dict[str, Any]:
    """Check each rule by itself against the table as it is.

    Returns:
        `total_rows`, `passed_rows`, `failed_rows`, `pass_rate`, `is_fully_compliant`,
        `constraint_violations` (kind of constraint, then rule, then `failed_count`, `fail_rate`
        and `violation_examples`, which are index labels; only rules that are broken) and
        `violation_details`, the rows that fail with one column for each rule that they may break.

    Raises:
        DataError: The table has no rows, or not what a rule needs.
    """
    if len(data) == 0:
        raise DataError("a table without rows cannot be validated")
    failed = np.zeros(len(data), dtype=np.bool_)
    violations: dict[str, dict[str, Any]] = {}
    markers: dict[str, Rows] = {}
    for kind, name, marker, rule in _named_rules(constraints):
        broken = rule.broken(data)
        if broken.any():
            violations.setdefault(kind, {})[name] = _violation(data, broken)
            markers[marker] = broken
            failed |= broken
    for number, proportion in enumerate(constraints.field_proportions):
        quota = proportion.quota(data, original, len(data))
        excess, lacking = quota.excess(), quota.lacking()
        if excess.any() or lacking:
            violation = _violation(data, excess)
            if lacking:
                violation["error"] = f"{lacking} of {len(quota.least)} values have too few rows"
            violations.setdefault("field_proportions", {})[f"Rule {number + 1}: {proportion}"] = (
                violation
            )
        if excess.any():
            markers[f"__violated_field_proportions_rule{number}__"] = excess
            failed |= excess
    count = int(np.count_nonzero(failed))
    return {
        "total_rows": len(data),
        "passed_rows": len(data) - count,
        "failed_rows": count,
        "pass_rate": (len(data) - count) / len(data),
        "is_fully_compliant": not violations,
        "constraint_violations": violations,
        "violation_details": data.assign(**markers)[failed],
    }


def _named_rules(
    constraints: ConstrainerParameters,
) -> Iterator[tuple[str, str, str, RowRule]]:
    """Return kind, name and marking column of each rule on rows, and the rule."""
    for nan_rule in constraints.nan_groups:
        marker = f"__violated_nan_groups_{nan_rule.column}__"
        yield "nan_groups", str(nan_rule), marker, nan_rule
    for kind in ("field_constraints", "field_combinations"):
        rules: list[RowRule] = getattr(constraints, kind)
        for number, rule in enumerate(rules):
            marker = f"__violated_{kind}_rule{number}__"
            yield kind, f"Rule {number + 1}: {rule}", marker, rule


def _violation(data: pd.DataFrame, broken: Rows) -> dict[str, Any]:
    count = int(np.count_nonzero(broken))
    return {
        "failed_count": count,
        "fail_rate": count / len(data),
        "violation_examples": data.index[broken][:MAX_EXAMPLES].tolist(),
    }
