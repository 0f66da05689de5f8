"""What the tests with the real Collector share. `make test-collector` runs them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .servers import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# `make jaeger` builds Jaeger and says where it is.
collect_ignore = [] if "JAEGER_BIN" in os.environ else ["test_from_otlp.py", "test_jaeger.py"]


@pytest.fixture
def start_collector(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Give a function that starts a Collector with layers; all of them end with the test."""
    started: list[Collector] = []

    def start(*layers: str | Path, **environment: str) -> Collector:
        collector = Collector(layers, tmp_path / f"collector{len(started)}", **environment)
        started.append(collector)
        collector.start()
        return collector

    yield start
    for collector in started:
        collector.stop()
