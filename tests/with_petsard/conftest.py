"""What the tests with PETsARD itself share: tables, configurations, seeds, a clean PETsARD."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from petsard_otel.petsard.instrumentor import PETsARDInstrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure(config: pytest.Config) -> None:
    """Let PETsARD and what it imports warn; a warning of ours stays an error."""
    config.addinivalue_line("filterwarnings", "ignore")
    config.addinivalue_line("filterwarnings", "error:::petsard_otel")


def make_people(rows: int) -> pd.DataFrame:
    """Make a table with each kind of column, some cells missing, and the same every time."""
    generator = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "age": generator.integers(18, 90, rows),
            "city": generator.choice(["Aalborg", "Bergen", "Chur"], rows),
            "income": generator.lognormal(10, 1, rows).round(2),
            "hours": generator.normal(40, 8, rows).round(1),
            "work": pd.Series(generator.choice(["public", "private", ""], rows)).replace("", None),
            "joined": pd.date_range("2020-01-01", periods=rows, freq="D").strftime("%Y-%m-%d"),
        }
    )


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Give a CSV file of 240 people."""
    path = tmp_path / "people.csv"
    make_people(240).to_csv(path, index=False)
    return path


FRESH = np.random.default_rng


def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every generator that PETsARD draws from begin anew, in the same way."""
    import torch

    random.seed(11)
    np.random.seed(11)  # noqa: NPY002  it is this one that PETsARD draws from
    torch.manual_seed(11)
    monkeypatch.setattr(np.random, "default_rng", lambda given=None: FRESH(given or 11))


@pytest.fixture
def instrumented() -> Iterator[PETsARDInstrumentor]:
    """Have PETsARD instrumented during a test."""
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    yield instrumentor
    instrumentor.uninstrument()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, and give the loggers that PETsARD changes back."""
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(), logging.getLogger("PETsARD")]
    found: list[tuple[logging.Logger, list[Any], int]] = [
        (logger, list(logger.handlers), logger.level) for logger in loggers
    ]
    yield
    for logger, handlers, level in found:
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers = handlers
        logger.setLevel(level)
