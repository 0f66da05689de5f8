"""Our own failures stay ours: held back, counted, told once, and told without a cell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import NoOpMeter, NoOpMeterProvider

from petsard_otel import Executor, Status, step_span
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


FAULTS = {
    "encoding a record": ("petsard_otel.telemetry.recorder", "encode"),
    "encoding a step": ("petsard_otel.telemetry.spans", "encode"),
    "encoding a change": ("petsard_otel.telemetry.recorder", "encode_diff"),
    "decoding": ("petsard_otel.telemetry.mirror", "decode"),
    "the mirror": ("petsard_otel.telemetry.mirror.StatusSpanProcessor", "on_end"),
    "the mirror's start": ("petsard_otel.telemetry.mirror.StatusSpanProcessor", "on_start"),
    "the mirror's answer": ("petsard_otel.telemetry.mirror.StatusSpanProcessor", "settle"),
    "the mirror's promise": ("petsard_otel.telemetry.mirror.StatusSpanProcessor", "expect"),
    "metrics of a module": ("petsard_otel.telemetry.metrics.Metrics", "module_ended"),
    "metrics of a start": ("petsard_otel.telemetry.metrics.Metrics", "run_started"),
    "metrics of a run": ("petsard_otel.telemetry.metrics.Metrics", "run_ended"),
    "the privacy gate": ("petsard_otel.telemetry.privacy.Privacy", "admit"),
    "hashing names": ("petsard_otel.telemetry.privacy.Privacy", "shown"),
    "the store": ("petsard_otel.store.StatusStore", "add"),
    "the store's memory": ("petsard_otel.store.StatusStore", "remember"),
    "comparing schemas": ("petsard_otel.store.StatusStore", "diff"),
    "the size budget": ("petsard_otel.telemetry.spans", "bounded"),
    "the providers": ("petsard_otel.telemetry.recorder", "instruments"),
}
"""What of ours may fail while a module runs, and where it is."""


EXPECTED = {"age": [32, 32, 36], "city": ["b", "a", "b"]}
"""The first rows of the undisturbed result."""


class BrokenInsideError(Exception):
    """A failure of ours, whose message quotes a cell."""


@pytest.fixture
def fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one callback of ours fail each time."""

    def fail(*_: Any, **__: Any) -> Any:
        raise BrokenInsideError("Jane Roe")

    place, name = FAULTS[request.param]
    monkeypatch.setattr(f"{place}.{name}", fail)


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give a pipeline whose modules make steps, a schema change and a table."""
    path = tmp_path / "people.csv"
    path.write_text("age,city\n" + "".join(f"{20 + n},{'ab'[n % 2]}\n" for n in range(20)))
    return {
        "Loader": {"people": {"filepath": str(path)}},
        "Preprocessor": {"p": {"method": "default"}},
        "Synthesizer": {"s": {"method": "default", "random_state": 1}},
        "Postprocessor": {"b": {"method": "default"}},
    }


@pytest.mark.parametrize("fault", sorted(FAULTS), indirect=True)
@pytest.mark.usefixtures("fault")
def test_a_failure_of_ours_never_changes_a_run(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The run's result is the undisturbed one; one warning, without its message; and a count."""
    executor = Executor(config)

    executor.run()

    (path, result), *others = executor.get_result().items()
    assert (path, others) == ("Loader[people]_Preprocessor[p]_Synthesizer[s]_Postprocessor[b]", [])
    assert result.head(3).to_dict("list") == EXPECTED
    assert executor.is_execution_completed()
    summary = executor.status.get_status_summary()
    assert summary["telemetry_errors"] > 0
    ours = [r for r in caplog.records if r.name.startswith("petsard_otel")]
    assert [record.levelno for record in ours] == [logging.WARNING]
    assert "Jane Roe" not in caplog.text
    assert list(executor.status.metadata) == list(config)


@pytest.mark.parametrize("fault", sorted(FAULTS), indirect=True)
@pytest.mark.usefixtures("fault")
def test_a_failure_of_ours_never_hides_a_module_s(cars: Schema) -> None:
    """The very exception that a module raised reaches the caller, untouched."""
    error = KeyError("Jane Roe")
    status = Status(Pipeline("Loader", "Synthesizer"))
    status.put("Loader", "a", TableAdapter(cars))

    with pytest.raises(KeyError) as caught, status.executing("Synthesizer", "s", "Broken"):
        status.start_timing("Synthesizer", "s", "wait", {"attempt": 1})
        status.end_timing("Synthesizer", "s", "wait")
        with step_span("fit"):
            raise error

    assert caught.value is error
    assert (error.args, error.__cause__, error.__context__) == (("Jane Roe",), None, None)
