"""What several test files share: small real adapters, providers that keep their spans."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import settings
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from petsard_otel import Attribute, Schema, Status, configure
from petsard_otel.history.journals import journal_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# These tests run PETsARD itself; `make test-petsard` has an environment for them.
collect_ignore = [] if find_spec("petsard") else ["with_petsard"]

# These start the real Collector; `make test-collector` builds it and says where it is.
if "OTELCOL_BIN" not in os.environ:
    collect_ignore.append("with_collector")

# CI sees the same examples each time; whoever works on the code sees new ones.
settings.register_profile(
    "suite", deadline=None, max_examples=100, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("suite")


class Pipeline:
    """The least that a Status needs of a configuration."""

    def __init__(self, *sequence: str) -> None:
        self.sequence = list(sequence)


class TableAdapter:
    """An adapter whose work is done: it has a table and its schema."""

    def __init__(self, schema: Any, result: Any = None) -> None:
        self.schema = schema
        self.result = pd.DataFrame({"a": [1, 2, 3]}) if result is None else result

    def set_input(self, status: Status) -> dict[str, Any]:
        return {"status": status}

    def run(self, input: dict[str, Any]) -> None:
        assert "status" in input

    def get_result(self) -> Any:
        return self.result

    def get_metadata(self) -> Any:
        return self.schema


class ReportAdapter:
    """An adapter that makes no table."""

    def set_input(self, status: Status) -> dict[str, Any]:
        return {"status": status}

    def run(self, input: dict[str, Any]) -> None:
        assert "status" in input

    def get_result(self) -> dict[str, Any]:
        return {"score": 1.0}


class Recorded:
    """A provider and the spans that it exported."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, resource=Resource.get_empty())
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> dict[str, Any]:
        """The exported spans by name; for two of one name the later."""
        return {span.name: span for span in self.exported}

    @property
    def exported(self) -> list[Any]:
        """All exported spans, as they ended."""
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def recorded() -> Recorded:
    """Give a provider of the test's own."""
    return Recorded()


@pytest.fixture
def cars() -> Schema:
    """Give a narrow schema."""
    return Schema.of(
        "cars",
        [
            Attribute("Name", "string"),
            Attribute("Horsepower", "float64", nullable=True),
            Attribute("Cylinders", "int64"),
        ],
    )


@pytest.fixture
def scaled() -> Schema:
    """Give what a Preprocessor might make of it."""
    return Schema.of(
        "cars", [Attribute("Horsepower", "float64"), Attribute("Cylinders", "float64")]
    )


@pytest.fixture
def table(cars: Schema) -> Callable[..., TableAdapter]:
    """Make adapters that have a table."""

    def make(schema: Any = cars, result: Any = None) -> TableAdapter:
        return TableAdapter(schema, result)

    return make


@pytest.fixture
def history(tmp_path: Path) -> Iterator[Path]:
    """Have this process's runs kept in a database that is closed in the end; give its path."""
    path = tmp_path / "kept" / "runs.db"
    configuration = configure(history=path)
    yield path
    configuration.shutdown()
    journal_at(path).close()
