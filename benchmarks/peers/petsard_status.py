"""PETsARD's own Status: what it does where ours records a module execution.

`put` and the pair of `start_timing` and `end_timing` are called by hand with a schema of 14
columns, since in a run its timing records nothing at all.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import logging
import math
import sys
import types
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from benchmarks.measure import bytes_per_call, is_quick, report, seconds_per_call

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_INSTALLED = frozenset({"anonymeter", "sdmetrics", "torch", "xgboost"})
"""What `import petsard` imports and nothing measured here touches: 4 GB that are not installed."""


class _Hollow(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _HollowFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Offers a hollow module for each of `NOT_INSTALLED`, and for what is below it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if name.partition(".")[0] in NOT_INSTALLED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Hollow(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave the module hollow."""


sys.meta_path.insert(0, _HollowFinder())

import pandas as pd  # noqa: E402 (PETsARD comes after its hollow modules, and brings pandas)
from petsard.metadater.metadater import SchemaMetadater  # noqa: E402
from petsard.status import Status, TimingRecord  # noqa: E402


@dataclass
class _Config:
    """As much of PETsARD's Config as its Status reads."""

    sequence: list[str] = field(default_factory=lambda: ["Loader", "Preprocessor"])


class _Adapter:
    """A module that has run and has a schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def get_metadata(self) -> Any:
        return self._schema


def _table(columns: int) -> pd.DataFrame:
    return pd.DataFrame({f"column_{number:04}": [0.5, 1.5, math.nan] for number in range(columns)})


def _schema(columns: int) -> Any:
    return SchemaMetadater.from_data(_table(columns), enable_stats=False)


def _fresh_status(adapter: _Adapter) -> Status:
    status = Status(_Config())
    status.put("Loader", "cars", adapter)
    return status


def _execution(status: Status, adapter: _Adapter) -> None:
    status.start_timing("Preprocessor", "default", "run")
    status.put("Preprocessor", "default", adapter)
    status.end_timing("Preprocessor", "default", "run")


def _put_figures(*, quick: bool) -> dict[str, float]:
    """Record executions in a new Status, past its 1,000 snapshots, and at 5,000."""
    adapter = _Adapter(_schema(14))
    status = _fresh_status(adapter)
    calls = 40  # 21 batches of them stay below 1,000 snapshots
    figures = {
        "petsard.put": seconds_per_call(lambda: _execution(status, adapter), calls=calls),
    }
    while len(status.snapshots) < status.max_snapshots:
        _execution(status, adapter)
    figures["petsard.put_past_1000"] = seconds_per_call(
        lambda: _execution(status, adapter), calls=calls
    )
    for _ in range(0 if quick else 3000):
        _execution(status, adapter)
    figures["petsard.put_at_5000"] = seconds_per_call(
        lambda: _execution(status, adapter), calls=calls
    )
    status = _fresh_status(adapter)
    figures["petsard.bytes_per_put"] = bytes_per_call(
        lambda: _execution(status, adapter), calls=300
    )
    return figures


def _diff_figure(*, quick: bool) -> dict[str, float]:
    schema, table = _schema(1000), _table(1000)
    return {
        "petsard.diff_1000": seconds_per_call(
            lambda: SchemaMetadater.diff(schema, table), calls=1, batches=5 if quick else 15
        )
    }


def _timing_figure(*, quick: bool) -> dict[str, float]:
    """Ask for 10,000 timing records."""
    status = Status(_Config())
    start = datetime(2026, 1, 1)  # noqa: DTZ001 (PETsARD's own records have no zone)
    status.timing_records.extend(
        TimingRecord(
            f"timing_{number:06}",
            "Preprocessor",
            "default",
            "run",
            start,
            start + timedelta(seconds=1),
            1.0,
            {"source": "logging", "status": "completed"},
        )
        for number in range(10_000)
    )
    return {
        "petsard.timing_10000": seconds_per_call(
            status.get_timing_report_data, calls=1, batches=10 if quick else 30
        )
    }


def main() -> None:
    """Measure and report."""
    quick = is_quick(__doc__ or "")
    logging.getLogger("PETsARD").setLevel(logging.WARNING)
    report(
        {**_put_figures(quick=quick), **_diff_figure(quick=quick), **_timing_figure(quick=quick)},
        {"petsard": version("petsard"), "pandas": pd.__version__},
    )


if __name__ == "__main__":
    main()
