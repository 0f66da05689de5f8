"""What the Collector has accepted is delivered, whatever ends it and whoever is away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from petsard_otel import Executor, configure

from .otlp_files import spans_in
from .servers import ROOT, Collector, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from petsard_otel.telemetry.setup import Configuration

DEMO = ROOT / "examples" / "pipeline.yaml"


def ids_in(collector: Collector) -> list[tuple[int, int]]:
    """Give the ids of the spans in a Collector's file."""
    return [span.ids for span in spans_in(collector.folder / "files" / "traces.jsonl")]


def delivered(configuration: Configuration) -> int:
    """Count what the client was told to have been accepted."""
    assert configuration.delivery is not None
    return configuration.delivery.delivered


@pytest.mark.parametrize("end", [Collector.stop, Collector.kill])
def test_what_waits_for_a_backend_outlives_the_collector(
    start_collector: Callable[..., Collector],
    end: Callable[[Collector], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The backend is away, the Collector ends and starts again, and each span comes out once."""
    monkeypatch.chdir(ROOT)
    port = free_port()
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=f"127.0.0.1:{port}")
    configuration = configure(collector.grpc)
    executor = Executor(DEMO)
    executor.run()
    configuration.shutdown(30)
    assert delivered(configuration) == 57

    end(collector)
    collector.start()
    backend = Collector(["file"], tmp_path / "backend")
    backend.environment["COLLECTOR_GRPC_PORT"] = str(port)
    backend.start()
    try:
        wait_until(lambda: len(ids_in(backend)) >= 57, "57 spans at the backend")
        collector.stop()
        found = ids_in(backend)
    finally:
        backend.stop()

    assert len(found) == len(set(found)) == 57
    timings = executor.status.get_timing_records()
    assert {(int(timing.trace_id, 16), int(timing.span_id, 16)) for timing in timings} < set(found)


def test_a_collector_that_is_killed_in_the_middle_of_runs(
    start_collector: Callable[..., Collector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed again and again while runs send: what it had accepted is there at the end."""
    monkeypatch.chdir(ROOT)
    # As fast as may be, so that something is always on its way.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    port = free_port()
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=f"127.0.0.1:{port}")
    backend = Collector(["file"], tmp_path / "backend")
    backend.environment["COLLECTOR_GRPC_PORT"] = str(port)
    backend.start()
    configuration = configure(collector.grpc)
    made: set[tuple[int, int]] = set()

    def run() -> None:
        for _ in range(12):
            executor = Executor(DEMO)
            executor.run()
            made.update(
                (int(timing.trace_id, 16), int(timing.span_id, 16))
                for timing in executor.status.get_timing_records()
            )

    runs = threading.Thread(target=run)
    try:
        runs.start()
        for _ in range(3):
            runs.join(0.7)
            collector.kill()
            collector.start()
        runs.join()
        configuration.shutdown(30)
        accepted = delivered(configuration)
        wait_until(lambda: len(set(ids_in(backend))) >= accepted, f"{accepted} spans")
        collector.stop()
        found = ids_in(backend)
    finally:
        backend.stop()

    assert len(made) == 12 * 56
    assert accepted > 100
    # Each run's own span is not among its timings.
    foreign = {ids for ids in found if ids not in made}
    assert len(foreign) <= 12
    assert len(set(found)) >= accepted
