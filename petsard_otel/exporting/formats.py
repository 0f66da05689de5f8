"""What a run can be exported as, and what makes each of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from petsard_otel.exporting.perfetto import perfetto_trace
from petsard_otel.exporting.tables import spans_csv, spans_parquet
from petsard_otel.telemetry.otlp.json_lines import json_line
from petsard_otel.telemetry.otlp.spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

Format: TypeAlias = Literal["otlp-json", "csv", "parquet", "perfetto"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""All of them."""

BINARY_FORMATS: frozenset[Format] = frozenset({"parquet", "perfetto"})
"""Those that are not text."""

MAX_LINE_BYTES = 1_000_000
"""How long a line of OTLP/JSON may be, unless one span alone is longer.

Readers hold a line at a time, and some refuse long ones: the Collector's `otlp_json_file` receiver
stops at a mebibyte where nothing else is set.
"""


def exported(format: Format, messages: Iterable[TracesData]) -> Iterator[bytes]:
    """Yield a run in a format, in pieces that make a file when joined.

    Args:
        format: One of FORMATS.
        messages: The run as OTLP.
    """
    if format == "otlp-json":
        for data in messages:
            yield from otlp_json_lines(data)
        return
    spans = (span for data in messages for span in spans_of(data))
    if format == "csv":
        yield from spans_csv(spans)
    elif format == "parquet":
        yield spans_parquet(spans)
    else:
        yield from perfetto_trace(spans)


def otlp_json_lines(data: TracesData) -> Iterator[bytes]:
    """Yield a message as lines of OTLP/JSON, none longer than MAX_LINE_BYTES if that can be."""
    line = json_line(data).encode("utf-8", "replace")
    if len(line) <= MAX_LINE_BYTES or _span_count(data) < 2:
        yield line + b"\n"
        return
    for half in _halves(data):
        yield from otlp_json_lines(half)


def _span_count(data: TracesData) -> int:
    return sum(
        len(scope_spans.spans)
        for resource_spans in data.resource_spans
        for scope_spans in resource_spans.scope_spans
    )


def _halves(data: TracesData) -> tuple[TracesData, TracesData]:
    """Return the first and the second half of the spans, under their resources and scopes."""
    first, second = type(data)(), type(data)()
    left = _span_count(data) // 2
    for resource_spans in data.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            cut = min(left, len(scope_spans.spans))
            left -= cut
            for half, spans in (
                (first, scope_spans.spans[:cut]),
                (second, scope_spans.spans[cut:]),
            ):
                if spans:
                    around = half.resource_spans.add(schema_url=resource_spans.schema_url)
                    around.resource.CopyFrom(resource_spans.resource)
                    inside = around.scope_spans.add(schema_url=scope_spans.schema_url)
                    inside.scope.CopyFrom(scope_spans.scope)
                    inside.spans.extend(spans)
    return first, second
