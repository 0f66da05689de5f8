"""Small runs as records, for what tabulates and compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.records import ExecutionSnapshot, RunSummary, TimingRecord
from petsard_otel.reports.comparison import side
from petsard_otel.schema import Attribute, Schema

if TYPE_CHECKING:
    from petsard_otel.reports.comparison import Side

START_NS = 1_763_870_706_000_007_000

CARS = Schema.of("cars", [Attribute("Year", "int64"), Attribute("Origin", "string")])
ENCODED = Schema.of("cars", [Attribute("Year", "float64", nullable=True), Attribute("O_1", "int8")])


def run_summary(run_id: str = "a" * 32, **given: Any) -> RunSummary:
    """Give a run that completed in two seconds."""
    fields: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "name": "pipeline",
        "config_hash": "c1",
        "engine": "builtin",
        "state": "completed",
        "error_type": None,
        "started_ns": START_NS,
        "ended_ns": START_NS + 2_000_000_000,
        "executions": 1,
        "failed_modules": (),
        "changes": 0,
    }
    return RunSummary(run_id=run_id, **{**fields, **given})


def snapshot(number: int, path: str = "Loader[cars]", **given: Any) -> ExecutionSnapshot:
    """Give a module execution of this path's last module."""
    module, _, experiment = path.rpartition("_")[2].removesuffix("]").partition("[")
    fields: dict[str, Any] = {
        "module_name": module,
        "experiment_name": experiment,
        "timestamp_ns": START_NS + number * 1_000_000_000,
        "metadata_before": None,
        "metadata_after": CARS,
        "operator_type": f"{module}Adapter",
        "sequence_position": 0,
        "status": "success",
        "error_type": None,
        "rows": 406,
        "columns": 2,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    return ExecutionSnapshot(
        snapshot_id=f"snapshot_{number:06}",
        experiment_path=path,
        span_id=f"{number:016x}",
        **{**fields, **given},
    )


def timing(number: int, seconds: float, path: str = "Loader[cars]", **given: Any) -> TimingRecord:
    """Give how long the execution of this number took."""
    module, _, experiment = path.rpartition("_")[2].removesuffix("]").partition("[")
    fields: dict[str, Any] = {
        "record_id": f"{number:016x}",
        "step_name": "run",
        "source": "module",
        "status": "success",
        "module_name": module,
        "experiment_name": experiment,
    }
    start_ns = START_NS + number * 1_000_000_000
    return TimingRecord(
        start_time_ns=start_ns,
        end_time_ns=start_ns + round(seconds * 1e9),
        experiment_path=path,
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id=f"{number:016x}",
        **{**fields, **given},
    )


def loaded(seconds: float = 1.0, run: RunSummary | None = None, **given: Any) -> Side:
    """Give a run whose one module execution, the Loader's, took so long."""
    return side(
        run_summary() if run is None else run, ("Loader",), [snapshot(1, **given)],
        [timing(1, seconds)],
    )  # fmt: skip
