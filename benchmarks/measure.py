"""How one script measures: batches, the quickest of them, and JSON on standard output.

Times are the processor's, not those of the clock on the wall: what is measured here computes and
does not wait. What slows a batch down is then mostly what else the machine does, so the quickest
one counts. Imports nothing but the standard library: every peer's environment can run it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ATTRIBUTES: Mapping[str, str | int] = {
    "petsard.run.id": "01j9c2e7k3w8r5",
    "petsard.module.name": "Preprocessor",
    "petsard.module.position": 2,
    "petsard.experiment.name": "default",
    "petsard.experiment.path": "Loader[cars]_Preprocessor[default]",
    "petsard.operator.type": "PreprocessorAdapter",
    "petsard.snapshot.id": "01j9c2e7k3w8r5-000002",
    "petsard.schema.input.hash": "8f14e45fceea167a5a36dedd4bea2543",
    "petsard.schema.output.hash": "c9f0f895fb98ab9159f51fd0297e236d",
    "petsard.schema.output.field_count": 14,
    "petsard.output.rows": 406,
    "petsard.output.columns": 14,
}
"""What the span of a module execution carries, for peers that only make the span."""


def is_quick(description: str) -> bool:
    """Read a script's command line: `--quick` measures less, for a first look."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    return bool(parser.parse_args().quick)


def seconds_per_call(call: Callable[[], object], *, calls: int, batches: int = 20) -> float:
    """Return the mean time of one call in the quickest of the batches; the first one warms up."""
    means = []
    for _ in range(batches + 1):
        start = time.process_time()
        for _ in range(calls):
            call()
        means.append((time.process_time() - start) / calls)
    return min(means[1:])


def seconds_of_each(call: Callable[[Any], object], arguments: list[Any], *, batch: int) -> float:
    """Do the same where every call needs an argument of its own."""
    times = []
    for argument in arguments:
        start = time.process_time()
        call(argument)
        times.append(time.process_time() - start)
    return quickest(times, batch)


def quickest(times: list[float], batch: int) -> float:
    """Return the least mean of consecutive batches of times."""
    return min(
        sum(times[first : first + batch]) / batch
        for first in range(0, len(times) - batch + 1, batch)
    )


def bytes_per_call(call: Callable[[], object], *, calls: int) -> float:
    """Return how much memory one call leaves allocated."""
    tracemalloc.start()
    try:
        for _ in range(10):
            call()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(calls):
            call()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / calls


def report(figures: Mapping[str, float], versions: Mapping[str, str]) -> None:
    """Print what was measured, and with which versions, as the one line of the script."""
    print(
        json.dumps(
            {"figures": figures, "versions": {"python": platform.python_version(), **versions}}
        )
    )
