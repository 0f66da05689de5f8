"""pytest fixtures for whoever writes modules: audit a pipeline, try one adapter, read spans.

Switched on by `pytest_plugins = ["petsard_otel.testing"]` in a `conftest.py`. pytest is needed here
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from petsard_otel.audit.search import Searcher
from petsard_otel.audit.sentinels import Mint
from petsard_otel.audit.tables import every_type

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    from petsard_otel.audit.pipeline import AdapterFactory
    from petsard_otel.audit.result import AuditResult


class Sentinels:
    """A table of values that occur nowhere else, and the search for them.

    Attributes:
        table: A table with sentinels in a column of every type; each is named for its type.
    """

    def __init__(self) -> None:
        self._mint = Mint()
        self.table: pd.DataFrame = every_type(self._mint, "the table")

    def text(self) -> str:
        """Make one more sentinel, a text: for a parameter, or for the message of an exception."""
        return self._mint.text("text", "the test")

    def found_in(self, *evidence: bytes | str | Iterable[ReadableSpan]) -> list[str]:
        """Return which sentinels are in bytes, in texts or in ended spans, and how encoded.

        What is found is described by its place: `a text cell of the table, column 1 (str), as
        base64`. Pieces of a text are found as well, from eight letters on.

        Args:
            evidence: What was logged, printed, written or sent; or spans, as exporters get them.
        """
        data = "\n".join(
            part if isinstance(part, str) else "\n".join(span.to_json() for span in part)
            for part in evidence
            if not isinstance(part, bytes)
        ).encode("utf-8", "surrogatepass")
        raw = b"\n".join([data, *(part for part in evidence if isinstance(part, bytes))])
        hits = Searcher(self._mint.sentinels).hits(raw)
        return sorted(f"{hit.sentinel}, as {hit.encoding}" for hit in hits)


class Spans:
    """A tracer provider of one test's own, and the spans that ended on it.

    Attributes:
        provider: For `Executor(..., tracer_provider=...)`.
    """

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        self.provider: TracerProvider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        """All spans, in the order in which they ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """Return the last span of a name, such as `Loader[cars]`.

        Raises:
            AssertionError: There is none.
        """
        found = [span for span in self.ended if span.name == name]
        if not found:
            there = ", ".join(dict.fromkeys(span.name for span in self.ended)) or "none"
            raise AssertionError(f"there is no span {name!r}; there are: {there}")
        return found[-1]


@pytest.fixture
def petsard_audit() -> Callable[..., AuditResult]:
    """Audit a pipeline: `petsard_audit("config.yaml").assert_private()`.

    `adapters={"Synthesizer": MyAdapter}` puts modules of one's own into the place of built-in
    ones; each is called with an experiment's name and its parameters.
    """

    def run(
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        adapters: Mapping[str, AdapterFactory] | None = None,
    ) -> AuditResult:
        from petsard_otel.audit.audit import audit

        return audit(config, adapters)

    return run


@pytest.fixture
def petsard_sentinels() -> Sentinels:
    """Give a table of sentinels for one adapter, and the search for them in what it left."""
    return Sentinels()


@pytest.fixture
def petsard_spans() -> Spans:
    """Give a tracer provider, and the spans that ended on it."""
    return Spans()
