"""The Reporter's `save_validation`: what the Constrainer found when it checked data."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from petsard_otel.modules.parameters import read_parameters
from petsard_otel.modules.reporting.files import report_path, write_csv
from petsard_otel.modules.reporting.results import (
    DEFAULT_OUTPUT,
    PATH_COLUMN,
    ReporterParameters,
    path_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from petsard_otel.status import Status

logger = logging.getLogger(__name__)

MAX_DETAIL_ROWS = 10
"""Rows shown of those that violate one rule."""

SUMMARY_METRICS = ("total_rows", "passed_rows", "failed_rows", "pass_rate", "is_fully_compliant")
"""The rows of a summary."""

VIOLATION_COLUMNS = (
    "Constraint Type",
    "Rule",
    "Failed Count",
    "Fail Rate",
    "Violation Examples",
    "Error Message",
)
"""The columns of the violations file."""

_MARKER = "__violated_"


class SaveValidationParameters(ReporterParameters):
    """Parameters of `save_validation`."""

    include_details: bool = True


class SaveValidation:
    """Writes each validation in up to three files: summary, violations, details."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = read_parameters(
            SaveValidationParameters, "Reporter", experiment, parameters
        )

    def collect(self, status: Status) -> dict[str, Any]:
        """Take the validations of the current experiment path, and earlier reports."""
        path = status.get_full_expt()
        found = status.get_validation_result() or {}
        validations = [
            Validation(module, path[module], source, path_name(_up_to(path, module)), result)
            for module, results in found.items()
            if module in path
            for source, result in _by_source(results)
        ]
        return {"validations": validations, "reports": status.get_report()}

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write `{output}_[Validation]_..._summary.csv`, `..._violations.csv`, `..._details.csv`.

        A file holds every experiment path validated so far, told apart by its last column.
        """
        validations: list[Validation] = input["validations"]
        if not validations:
            logger.warning("no validation on this experiment path; no file is written")
        reports: dict[str, pd.DataFrame] = {}
        for validation in validations:
            stem = self._stem(validation, is_only=len(validations) == 1)
            for kind, table in self._tables(validation.result).items():
                table[PATH_COLUMN] = validation.full_name
                name = f"{stem}_{kind}"
                report = _appended(input["reports"].get(name), table, validation.full_name)
                write_csv(report, report_path(self._parameters.output, f"{stem}_{kind}"))
                reports[name] = report
        return reports

    def _stem(self, validation: Validation, *, is_only: bool) -> str:
        """Return what follows `output`: nothing where that names the one validation already."""
        if is_only and self._parameters.output != DEFAULT_OUTPUT:
            return ""
        source = "" if validation.source is None else f"Source[{validation.source}]_"
        return f"_[Validation]_{source}{validation.module}[{validation.experiment}]"

    def _tables(self, result: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
        violations = result["constraint_violations"]
        tables = {"summary": summary_table(result), "violations": violations_table(violations)}
        details = result.get("violation_details")
        if self._parameters.include_details and details is not None and not details.empty:
            tables["details"] = details_table(details, violations)
        return tables


@dataclass(frozen=True, slots=True)
class Validation:
    """One check of one table; `source` names the table where the Constrainer checked several."""

    module: str
    experiment: str
    source: str | None
    full_name: str
    result: Mapping[str, Any]


def summary_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return how many rows passed, one metric a row."""
    values = [result[metric] for metric in SUMMARY_METRICS]
    values[SUMMARY_METRICS.index("pass_rate")] = f"{result['pass_rate']:.6f}"
    return pd.DataFrame({"Metric": SUMMARY_METRICS, "Value": pd.Series(values, dtype=object)})


def violations_table(violations: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return how many rows violate each rule, and the index labels of a few of them."""
    rows = [
        (
            constraint_type,
            rule,
            found.get("failed_count", 0),
            f"{found.get('fail_rate', 0):.6f}",
            ", ".join(str(label) for label in found.get("violation_examples", ())) or "-",
            found.get("error", ""),
        )
        for constraint_type, rules in violations.items()
        for rule, found in rules.items()
    ]
    return pd.DataFrame(rows, columns=list(VIOLATION_COLUMNS))


def details_table(
    details: pd.DataFrame, violations: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the first rows that violate each rule, under the name of the rule."""
    markers = [name for name in details.columns if str(name).startswith(_MARKER)]
    plain = details.drop(columns=markers)
    parts = []
    for marker in markers:
        rows = plain[details[marker].astype(bool)].head(MAX_DETAIL_ROWS)
        constraint_type, rule = _rule_of(marker, violations)
        front = pd.DataFrame(
            {"Constraint Type": constraint_type, "Rule": rule}, index=rows.index
        ).assign(**{"Violation Index": range(1, len(rows) + 1)})
        parts.append(pd.concat([front, rows], axis=1))
    return pd.concat(parts, ignore_index=True) if parts else plain.head(MAX_DETAIL_ROWS)


def _rule_of(marker: str, violations: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Find the rule that a column such as `__violated_field_constraints_rule0__` marks."""
    marked = marker.removeprefix(_MARKER).removesuffix("__")
    for constraint_type, rules in violations.items():
        if marked == constraint_type:
            return constraint_type, constraint_type
        if marked.startswith(f"{constraint_type}_"):
            label = marked.removeprefix(f"{constraint_type}_")
            number = re.fullmatch(r"rule(\d+)", label)
            if number is not None:
                label = f"Rule {int(number[1]) + 1}"
            named = (rule for rule in rules if rule == label or rule.startswith(f"{label}:"))
            return constraint_type, next(named, label)
    return marked, marked


def _by_source(result: Mapping[str, Any]) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    if "constraint_violations" in result:
        yield None, result
    else:
        yield from result.items()


def _up_to(path: Mapping[str, str], last: str) -> Iterator[tuple[str, str]]:
    for module, experiment in path.items():
        yield module, experiment
        if module == last:
            return


def _appended(earlier: pd.DataFrame | None, table: pd.DataFrame, full_name: str) -> pd.DataFrame:
    """Put the table below those of other experiment paths."""
    if earlier is None:
        return table
    kept = earlier[earlier[PATH_COLUMN] != full_name]
    return pd.concat([kept.astype(object), table.astype(object)], ignore_index=True)
