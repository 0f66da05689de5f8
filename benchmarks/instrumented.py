"""What instrumenting PETsARD adds to a run of its own Executor, on a table of 10,000 rows.

Plain and instrumented runs alternate in one process, and each instrumented one is compared with
the plain ones around it: PETsARD takes longer to be imported than to run, and the machine's pace
changes by more than what is looked for. Times are the wall's, for that is what a user waits, and
the processor's.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import statistics
import tempfile
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.measure import is_quick, report
from petsard_otel import PETsARDInstrumentor, Status
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROWS = 10_000

SEED = 11

PIPELINE = """
Loader: {people: {filepath: people.csv}}
Splitter: {split: {num_samples: 2, train_split_ratio: 0.8}}
Preprocessor: {default: {method: default}}
Synthesizer: {default: {method: default}}
Postprocessor: {default: {method: default}}
Evaluator: {quality: {method: sdmetrics-qualityreport}}
Reporter:
  data: {method: save_data, source: Postprocessor}
  report: {method: save_report, granularity: [global, columnwise, pairwise]}
"""
"""The Loader once, all that follows for each of two samples: 15 executions."""


class Cost(NamedTuple):
    """What a run took."""

    wall_seconds: float
    cpu_seconds: float


def make_people(rows: int) -> pd.DataFrame:
    """Make a table with each kind of column, some cells missing, and the same every time."""
    generator = np.random.default_rng(SEED)

    def some(values: Any, missing: float) -> pd.Series[Any]:
        return pd.Series(values).mask(generator.random(rows) < missing)

    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 1000, rows), unit="D")
    return pd.DataFrame(
        {
            "age": generator.integers(18, 90, rows),
            "hours": generator.poisson(38, rows),
            "children": some(generator.poisson(1.4, rows), missing=0.1),
            "income": generator.lognormal(10, 1, rows).round(2),
            "balance": some(generator.normal(2000, 800, rows).round(2), missing=0.05),
            "score": generator.uniform(0, 100, rows).round(2),
            "city": generator.choice(["Aalborg", "Bergen", "Chur", "Dijon", "Erfurt"], rows),
            "work": some(generator.choice(["public", "private", "own"], rows), missing=0.15),
            "is_member": generator.choice([True, False], rows),
            "joined": days.strftime("%Y-%m-%d"),
        }
    )


@contextmanager
def in_a_folder() -> Iterator[None]:
    """Work in a temporary folder that holds the table; PETsARD writes logs and results there."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make_people(ROWS).to_csv("people.csv", index=False)
            yield
        finally:
            os.chdir(before)


@contextmanager
def silence() -> Iterator[None]:
    """Send what is printed nowhere: PETsARD and what it uses draw progress bars."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        yield


@contextmanager
def instrumented(*, is_wanted: bool) -> Iterator[None]:
    """Have PETsARD instrumented during the block, where that is wanted."""
    if not is_wanted:
        yield
        return
    PETsARDInstrumentor().instrument()
    try:
        yield
    finally:
        PETsARDInstrumentor().uninstrument()


def begin_anew() -> None:
    """Put back what a former run left behind: random numbers, log files that stay open, garbage."""
    import torch

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  it is this one that PETsARD draws from
    torch.manual_seed(SEED)
    logger = logging.getLogger("PETsARD")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    gc.collect()


def seed_new_generators() -> None:
    """Have the generators that PETsARD makes without a seed begin in the same way every time."""
    fresh = np.random.default_rng
    np.random.default_rng = lambda seed=None: fresh(SEED if seed is None else seed)


def cost_of_run(*, is_instrumented: bool) -> Cost:
    """Run the pipeline once.

    Raises:
        RuntimeError: It was recorded and should not have been, or the other way round.
    """
    with instrumented(is_wanted=is_instrumented), silence():
        from petsard import Executor

        begin_anew()
        wall, cpu = time.perf_counter(), time.process_time()
        executor = Executor(PIPELINE)
        executor.run()
        cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
    status = executor.status
    if isinstance(status, Status) is not is_instrumented:
        raise RuntimeError(f"the run's Status is {type(status)}")
    if is_instrumented and not status.get_snapshots():
        raise RuntimeError("the run was not recorded")
    return cost


def pairs_of_runs(number: int) -> Iterator[tuple[Cost, Cost]]:
    """Run plain, instrumented, plain; yield the mean of the plain ones, and the instrumented.

    The machine's pace drifts by more than what is looked for: from one side to the other of an
    instrumented run it cancels.
    """
    for is_instrumented in (True, False):
        cost_of_run(is_instrumented=is_instrumented)  # compiles and fills caches
    for _ in range(number):
        before, ours, after = (cost_of_run(is_instrumented=each) for each in (False, True, False))
        wall = (before.wall_seconds + after.wall_seconds) / 2
        yield Cost(wall, (before.cpu_seconds + after.cpu_seconds) / 2), ours


def figures_of(name: str, pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the medians of both, and those of instrumented to plain pair by pair."""
    ratios = [ours / plain for plain, ours in pairs]
    return {
        f"instrumented.{name}": statistics.median(ours for _, ours in pairs),
        f"instrumented.{name}_plain": statistics.median(plain for plain, _ in pairs),
        f"instrumented.{name}_ratio": statistics.median(ratios),
        f"instrumented.{name}_ratio_min": min(ratios),
        f"instrumented.{name}_ratio_max": max(ratios),
    }


def main() -> None:
    """Measure and report."""
    quick = is_quick(__doc__ or "")
    seed_new_generators()
    with in_a_folder():
        pairs = list(pairs_of_runs(6 if quick else 16))
    report(
        {
            **figures_of("run", [(a.wall_seconds, b.wall_seconds) for a, b in pairs]),
            **figures_of("cpu", [(a.cpu_seconds, b.cpu_seconds) for a, b in pairs]),
            "instrumented.pairs": len(pairs),
        },
        {"petsard-otel": __version__, "petsard": version("petsard"), "pandas": pd.__version__},
    )


if __name__ == "__main__":
    main()
