"""The Reporter's `save_report`: evaluations of every experiment side by side, in one table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator

from petsard_otel.modules.parameters import read_parameters, unknown_name
from petsard_otel.modules.reporting.files import report_path, write_csv
from petsard_otel.modules.reporting.results import (
    PATH_COLUMN,
    Names,
    ReporterParameters,
    path_name,
    table_results,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from petsard_otel.modules.reporting.results import TableResult
    from petsard_otel.status import Status

logger = logging.getLogger(__name__)

GRANULARITIES = {"global": "G", "columnwise": "C", "pairwise": "P", "details": "D", "tree": "T"}
"""What `granularity` takes, and how the compact naming strategy writes it."""

EVALUATING_MODULES = ("Evaluator", "Describer")
"""The modules whose results `save_report` merges."""

_ROW_KEYS = {"columnwise": ["column"], "pairwise": ["column1", "column2"]}


def _known_granularities(given: list[str]) -> list[str]:
    names = list(dict.fromkeys(name.lower() for name in given))
    for name in names:
        if name not in GRANULARITIES:
            raise ValueError(unknown_name("granularity", name, GRANULARITIES))
    return names


class SaveReportParameters(ReporterParameters):
    """Parameters of `save_report`."""

    granularity: Annotated[Names, AfterValidator(_known_granularities)]
    eval: Names | None = None
    naming_strategy: Literal["traditional", "compact"] = "traditional"


class SaveReport:
    """Merges what evaluators and describers found into one table for each granularity.

    The table grows from one experiment path to the next: what an earlier path reported is taken
    back from the Status, and the file is written anew with all of it.
    """

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = read_parameters(SaveReportParameters, "Reporter", experiment, parameters)

    def collect(self, status: Status) -> dict[str, Any]:
        """Take the evaluations of the current experiment path, and earlier reports."""
        results = [result for result in table_results(status) if result.part is not None]
        return {
            "results": [result for result in results if result.module in EVALUATING_MODULES],
            "reports": status.get_report(),
        }

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write `{output}_Reporter[{name}].csv` for each granularity that has results."""
        reports = {}
        for granularity in self._parameters.granularity:
            name = self._report_name(granularity)
            chosen = [r for r in input["results"] if self._is_wanted(r, granularity)]
            if not chosen:
                logger.warning("nothing to report for %s; no file is written", name)
                continue
            report = input["reports"].get(name)
            for result in chosen:
                addition = experiment_report(result, granularity, name)
                keys = [PATH_COLUMN, *row_keys(result.data, granularity)]
                report = addition if report is None else merge_reports(report, addition, keys)
            write_csv(report, self._path(name, granularity))
            reports[name] = report
        return reports

    def _is_wanted(self, result: TableResult, granularity: str) -> bool:
        evaluations = self._parameters.eval
        is_named = evaluations is None or result.experiment in evaluations
        return is_named and result.part == granularity

    def _report_name(self, granularity: str) -> str:
        if self._parameters.eval is None:
            return granularity
        return "-".join(self._parameters.eval) + f"_{granularity}"

    def _path(self, name: str, granularity: str) -> Path:
        output = self._parameters.output
        if self._parameters.naming_strategy == "compact":
            return report_path(output, f".report.Rp.{name}.{GRANULARITIES[granularity]}")
        return report_path(output, f"_Reporter[{name}]")


def experiment_report(result: TableResult, granularity: str, name: str) -> pd.DataFrame:
    """Return one evaluation as rows of the report `name`.

    First the experiment path, then one column for each module, then what tells the rows apart,
    then the measures, with the evaluation's name before theirs.
    """
    evaluated = {
        module: experiment for module, experiment in result.path if module not in EVALUATING_MODULES
    }
    evaluating = {module: name for module, _ in result.path if module in EVALUATING_MODULES}
    front = {
        PATH_COLUMN: path_name({**evaluated, **evaluating}.items()),
        **evaluated,
        **{module: f"[{report}]" for module, report in evaluating.items()},
    }
    rows = _with_row_keys(result.data, granularity)
    measures = rows.columns.difference(row_keys(result.data, granularity), sort=False)
    rows = rows.rename(columns={measure: f"{result.experiment}_{measure}" for measure in measures})
    return pd.concat([pd.DataFrame(front, index=rows.index), rows], axis=1)


def row_keys(data: pd.DataFrame, granularity: str) -> list[str]:
    """Return the names of the columns that tell the rows of one evaluation apart."""
    if granularity in {"details", "tree"}:
        unnamed = "index" if data.index.nlevels == 1 else "level_{}"
        return [
            unnamed.format(level) if name is None else str(name)
            for level, name in enumerate(data.index.names)
        ]
    return _ROW_KEYS.get(granularity, [])


def _with_row_keys(data: pd.DataFrame, granularity: str) -> pd.DataFrame:
    """Return the table with its row keys as its first columns and no index."""
    keys = row_keys(data, granularity)
    if keys and not set(keys) <= set(data.columns):
        data = data.rename_axis(index=keys if len(keys) > 1 else keys[0]).reset_index()
    return data.reset_index(drop=True)


def merge_reports(earlier: pd.DataFrame, later: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Put the rows of one experiment path below those of others.

    Where the earlier report has the path too, the rows are merged by `keys`, those that the keys
    do not tell apart by their order; where both have a measure, the later one counts.
    """
    order = list(dict.fromkeys([*earlier.columns, *later.columns]))
    is_shared = earlier[PATH_COLUMN].isin(later[PATH_COLUMN])
    if is_shared.any():
        later = _updated(earlier[is_shared], later, keys)
        earlier = earlier[~is_shared]
    merged = later if earlier.empty else pd.concat([earlier, later], ignore_index=True)
    return merged[order]


def _updated(earlier: pd.DataFrame, later: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    earlier, later = _by_key(earlier, keys), _by_key(later, keys)
    only_earlier = [column for column in earlier.columns if column not in later.columns]
    rows = later.join(earlier[only_earlier])
    untouched = earlier.loc[~earlier.index.isin(later.index)]
    if not untouched.empty:
        rows = pd.concat([untouched, rows])
    return rows.reset_index(level=keys).reset_index(drop=True)


def _by_key(report: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    position = report.groupby(keys, dropna=False).cumcount()
    return report.set_index([*(report[key] for key in keys), position]).drop(columns=keys)
