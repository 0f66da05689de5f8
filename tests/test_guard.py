"""Our own failures stay ours: held back, counted, told once, and told without a cell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import NoOpMeter, NoOpMeterProvider

from petsard_otel import Executor, Status
from petsard_otel.telemetry.guard import Guard

from .conftest import Pipeline, TableAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel import Schema


def test_the_first_failure_is_told_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    """One line names class and place; the others are counted."""
    guard = Guard()
    for _ in range(3):
        with guard:
            raise ValueError("could not convert string to float: 'Jane Roe'")

    assert guard.errors == 3
    assert len(caplog.messages) == 1
    assert "ValueError at " in caplog.messages[0]
    assert "test_guard.py:" in caplog.messages[0]
    assert "Jane Roe" not in caplog.text


def test_an_interrupt_goes_through() -> None:
    """Nobody's ^C is swallowed."""
    guard = Guard()
    with pytest.raises(KeyboardInterrupt), guard:
        raise KeyboardInterrupt
    assert guard.errors == 0


class BrokenMeters(NoOpMeterProvider):
    """A meter provider whose instruments fail when they are used."""

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        return BrokenMeter("broken")


class BrokenMeter(NoOpMeter):
    """A meter that makes instruments that fail."""

    def create_histogram(self, *args: Any, **kwargs: Any) -> Any:
        return None


def test_broken_metrics_never_reach_the_pipeline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run's results are there, the failure is in the summary and once in the log."""
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\n")
    executor = Executor({"Loader": {"t": {"filepath": str(path)}}}, meter_provider=BrokenMeters())

    executor.run()

    assert len(executor.get_result()["Loader[t]"]) == 2
    summary = executor.status.get_status_summary()
    assert (summary["state"], summary["total_snapshots"]) == ("completed", 1)
    assert summary["telemetry_errors"] == 2
    ours = [r for r in caplog.records if r.name.startswith("petsard_otel")]
    assert [record.levelno for record in ours] == [logging.WARNING]


def test_a_result_that_cannot_be_had_twice_does_not_fail_put(cars: Schema) -> None:
    """`get_result` that raises when we look at the shape is our problem, not the caller's."""

    class Once(TableAdapter):
        def get_result(self) -> Any:
            raise RuntimeError("gone")

    status = Status(Pipeline("Loader"))
    status.put("Loader", "a", Once(cars))

    assert status.get_status_summary()["telemetry_errors"] == 1
    assert [t.module_name for t in status.get_timing_records()] == ["Loader"]
    assert status.get_snapshots()[0].metadata_after is cars
