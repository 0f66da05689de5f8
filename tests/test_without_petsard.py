"""The package where PETsARD is not installed: all of it works but PETsARD's own modules."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import entry_points, requires
from importlib.util import find_spec

import pytest
from packaging.requirements import Requirement

from petsard_otel import ConfigError, Executor, PETsARDInstrumentor
from petsard_otel.petsard.package import _instruments

CONFIG = {"Loader": {"cars": {"filepath": "examples/cars.csv"}}}

NOT_INSTALLED = (
    "engine 'petsard' needs PETsARD, which is not installed; "
    'with Python 3.10 or 3.11: pip install "petsard-otel[petsard]"'
)


def required(extra: str) -> dict[str, Requirement]:
    """Give what the package requires on Python 3.11, with an extra or without any."""
    found = [Requirement(text) for text in requires("petsard-otel") or ()]
    given = {"extra": extra, "python_version": "3.11"}
    return {r.name: r for r in found if r.marker is None or r.marker.evaluate(given)}


def test_nothing_of_petsard_is_here() -> None:
    """This suite runs in an environment without PETsARD and without what only PETsARD needs."""
    assert [name for name in ("petsard", "torch", "sdmetrics", "numba") if find_spec(name)] == []


def test_petsard_comes_by_its_extras_alone() -> None:
    """The plain package requires none of it; `instruments` names the versions that are known."""
    plain = required("")
    assert not plain.keys() & {"petsard", "torch", "sdmetrics", "numba", "xgboost", "anonymeter"}
    assert {"opentelemetry-instrumentation", "wrapt"} <= plain.keys()
    assert {"petsard", "torch", "sdmetrics", "xgboost"} <= required("petsard").keys()
    added = {name: r for name, r in required("instruments").items() if name not in plain}
    (known,) = map(Requirement, _instruments)
    assert {name: r.specifier for name, r in added.items()} == {"petsard": known.specifier}


def test_auto_takes_the_built_in_modules(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said: there is nothing to choose."""
    caplog.set_level(logging.DEBUG, logger="petsard_otel")
    assert Executor(CONFIG).engine == "builtin"
    assert caplog.records == []


def test_the_engine_says_how_to_have_petsard() -> None:
    """In Python it is a ConfigError, on the command line exit code 2."""
    with pytest.raises(ConfigError) as raised:
        Executor(CONFIG, engine="petsard")
    assert str(raised.value) == NOT_INSTALLED
    command = [sys.executable, "-m", "petsard_otel", "run", "--engine", "petsard"]
    found = subprocess.run(
        [*command, "examples/pipeline.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == f"petsard-otel: error: {NOT_INSTALLED}\n"


def test_the_instrumentor_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One line says that there is nothing to instrument."""
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    assert not instrumentor.is_instrumented_by_opentelemetry
    assert "no installed version was found" in caplog.text


def test_opentelemetry_instrument_finds_the_instrumentor() -> None:
    """By the name that switches it off, too."""
    (found,) = entry_points(group="opentelemetry_instrumentor", name="petsard")
    assert found.load() is PETsARDInstrumentor
