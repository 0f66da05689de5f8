"""Small runs that are kept on disk, and what lies there of them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from petsard_otel import Executor, configure
from petsard_otel.history import journals
from petsard_otel.history.reading import open_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from petsard_otel import Configuration
    from petsard_otel.telemetry.otlp.spans import OtlpSpan


def small_pipeline(folder: Path) -> Path:
    """Write a pipeline whose modules make steps, schema changes and tables: eight spans."""
    people = folder / "people.csv"
    people.write_text("age,city\n" + "".join(f"{20 + n},{'ab'[n % 2]}\n" for n in range(20)))
    path = folder / "small.yaml"
    path.write_text(
        f"Loader: {{people: {{filepath: {people}}}}}\n"
        "Preprocessor: {p: {method: default}}\n"
        "Postprocessor: {b: {method: default}}\n"
    )
    return path


@contextmanager
def kept_in(path: Path, **arguments: Any) -> Iterator[Configuration]:
    """Keep the runs of a block in a database, and close it."""
    configuration = configure(history=path, **arguments)
    try:
        yield configuration
    finally:
        configuration.shutdown()
        journals.journal_at(path).close()


def run(config: Path, **arguments: Any) -> Executor:
    """Run a pipeline."""
    executor = Executor(config, engine="builtin", **arguments)
    executor.run()
    return executor


def messages(path: Path) -> list[Span]:
    """Give the OTLP Spans in a database, as they lie there."""
    connection = sqlite3.connect(path)
    bodies = connection.execute("SELECT body FROM span ORDER BY id").fetchall()
    connection.close()
    return [Span.FromString(body) for (body,) in bodies]


def spans(path: Path, run_id: str = "last") -> list[OtlpSpan]:
    """Give the spans of a run."""
    with open_history(path) as found:
        return found.spans(found.find(run_id))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what our loggers warned of."""
    return [r.getMessage() for r in caplog.records if r.name.startswith("petsard_otel")]


@contextmanager
def held(path: Path, seconds: float) -> Iterator[None]:
    """Have another process hold the write lock of a database for a while."""
    program = (
        "import sqlite3, sys, time\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print(flush=True)\n"
        "time.sleep(float(sys.argv[2])); c.execute('COMMIT')\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path), str(seconds)], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    yield
    other.wait()
    other.stdout.close()
