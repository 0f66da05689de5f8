"""OTLP/JSON lines, as the Collector's `file` exporter writes them, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import SpanContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scope(NamedTuple):
    """Whose spans they are."""

    name: str
    version: str


@dataclass(frozen=True)
class FileSpan:
    """A span of a file, under the names that the SDK's own spans have.

    `resource` and `attributes` are mappings, `links` the pairs of trace and span id linked to.
    """

    name: str
    kind: int
    context: SpanContext
    parent: SpanContext | None
    start_time: int
    end_time: int
    attributes: dict[str, Any]
    links: list[tuple[int, int]]
    status_code: int
    status_message: str
    resource: dict[str, Any]
    instrumentation_scope: Scope

    @property
    def ids(self) -> tuple[int, int]:
        """The ids of the trace and of the span."""
        return self.context.trace_id, self.context.span_id


def spans_in(path: Path) -> list[FileSpan]:
    """Return every span of a file, in the order in which they were written."""
    return list(_spans(path)) if path.exists() else []


def _spans(path: Path) -> Iterator[FileSpan]:
    for batch in map(json.loads, path.read_text().splitlines()):
        for resource in batch["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    yield _span(span, scope["scope"], resource["resource"])


def _span(span: dict[str, Any], scope: dict[str, Any], resource: dict[str, Any]) -> FileSpan:
    trace_id = int(span["traceId"], 16)
    parent_id = int(span.get("parentSpanId") or "0", 16)
    return FileSpan(
        name=span["name"],
        kind=span["kind"],
        context=SpanContext(trace_id, int(span["spanId"], 16), is_remote=True),
        parent=SpanContext(trace_id, parent_id, is_remote=True) if parent_id else None,
        start_time=int(span["startTimeUnixNano"]),
        end_time=int(span["endTimeUnixNano"]),
        attributes=_attributes(span),
        links=[
            (int(link["traceId"], 16), int(link["spanId"], 16)) for link in span.get("links", [])
        ],
        status_code=span.get("status", {}).get("code", 0),
        status_message=span.get("status", {}).get("message", ""),
        resource=_attributes(resource),
        instrumentation_scope=Scope(scope.get("name", ""), scope.get("version", "")),
    )


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: _value(entry["value"]) for entry in holder.get("attributes", [])}


def _value(value: dict[str, Any]) -> Any:
    ((kind, found),) = value.items()
    if kind == "arrayValue":
        return tuple(_value(entry) for entry in found.get("values", []))
    return int(found) if kind == "intValue" else found
