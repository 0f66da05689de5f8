"""The Reporter: writes tables, evaluations, schemas, timings and validations to files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from petsard_otel.exceptions import ConfigError
from petsard_otel.modules.parameters import read_parameters, unknown_name
from petsard_otel.modules.reporting.files import report_path, write_csv
from petsard_otel.modules.reporting.results import Names, ReporterParameters, table_results
from petsard_otel.modules.reporting.save_report import SaveReport
from petsard_otel.modules.reporting.save_schema import SaveSchema
from petsard_otel.modules.reporting.save_validation import SaveValidation
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from petsard_otel.modules.reporting.results import ReportMethod, TableResult
    from petsard_otel.status import Status

logger = logging.getLogger(__name__)


class ReporterAdapter:
    """Writes one kind of report on the current experiment path."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        method = parameters.get("method")
        if not isinstance(method, str) or method.lower() not in METHODS:
            message = f"is required, and not given; valid: {', '.join(METHODS)}"
            if method is not None:
                message = unknown_name("method", str(method), METHODS)
            raise ConfigError(message, module="Reporter", experiment=experiment, key="method")
        self._method = METHODS[method.lower()](experiment, parameters)
        self._reports: dict[str, pd.DataFrame] = {}

    def set_input(self, status: Status) -> dict[str, Any]:
        """Collect what the method reports on."""
        return self._method.collect(status)

    def run(self, input: dict[str, Any]) -> None:
        """Write the files."""
        with step_span("report"):
            self._reports = self._method.write(input)

    def get_result(self) -> dict[str, pd.DataFrame]:
        """Return what was written, by the name that `Status.get_report` keeps it under."""
        return self._reports


class SaveDataParameters(ReporterParameters):
    """Parameters of `save_data`."""

    source: Names


class SaveData:
    """Writes each table that the sources made, one file each."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = read_parameters(SaveDataParameters, "Reporter", experiment, parameters)

    def collect(self, status: Status) -> dict[str, Any]:
        """Take the tables of the current experiment path."""
        return {"results": table_results(status)}

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write `{output}_{experiment path}.csv` for each table."""
        results: list[TableResult] = input["results"]
        chosen = [result for result in results if result.comes_from(self._parameters.source)]
        if not chosen:
            logger.warning(
                "no table of %s on this experiment path; no file is written",
                ", ".join(self._parameters.source),
            )
        for result in chosen:
            path = report_path(self._parameters.output, f"_{result.full_name}")
            write_csv(result.data, path)
        return {result.full_name: result.data for result in chosen}


SECONDS_PER_UNIT = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""What `time_unit` takes."""


class SaveTimingParameters(ReporterParameters):
    """Parameters of `save_timing`."""

    module: Names | None = None
    time_unit: Literal["seconds", "minutes", "hours", "days"] = "seconds"


class SaveTiming:
    """Writes how long every module execution took so far."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = read_parameters(SaveTimingParameters, "Reporter", experiment, parameters)

    def collect(self, status: Status) -> dict[str, Any]:
        """Take the timings measured so far, in this run's every experiment."""
        return {"timing": status.get_timing_report_data()}

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write `{output}_[Timing].csv`."""
        timing: pd.DataFrame = input["timing"]
        if self._parameters.module is not None:
            timing = timing[timing["module_name"].isin(self._parameters.module)]
        if timing.empty:
            logger.warning("no timing to report; no file is written")
            return {}
        unit = self._parameters.time_unit
        report = timing.assign(
            duration_seconds=timing["duration_seconds"] / SECONDS_PER_UNIT[unit]
        ).rename(columns={"duration_seconds": f"duration_{unit}"})
        times = {name: _iso_text(report[name]) for name in ("start_time", "end_time")}
        write_csv(report.assign(**times), report_path(self._parameters.output, "_[Timing]"))
        return {"timing_report": report}


def _iso_text(moments: pd.Series[Any]) -> pd.Series[Any]:
    return moments.map(lambda moment: moment.isoformat(), na_action="ignore")


METHODS: Mapping[str, Callable[[str, Mapping[str, Any]], ReportMethod]] = {
    "save_data": SaveData,
    "save_report": SaveReport,
    "save_schema": SaveSchema,
    "save_timing": SaveTiming,
    "save_validation": SaveValidation,
}
"""What `method` takes, in any case, and who does it."""
