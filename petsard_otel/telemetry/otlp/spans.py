"""OTLP messages as spans that can be read like the SDK's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData


class Identity(NamedTuple):
    """Who a span is."""

    trace_id: int
    span_id: int
    trace_state: str = ""
    flags: int = 0


class Scope(NamedTuple):
    """Whose span it is."""

    name: str
    version: str


class OtlpSpan(NamedTuple):
    """A span, under the names that the SDK's own spans have.

    `kind` and `status_code` are OTLP's numbers, times nanoseconds since the epoch; `end_time` is
    None for one that has not ended.
    """

    name: str
    kind: int
    context: Identity
    parent: Identity | None
    start_time: int
    end_time: int | None
    attributes: dict[str, Any]
    links: tuple[Identity, ...]
    status_code: int
    status_message: str
    instrumentation_scope: Scope
    resource: dict[str, Any]


def spans_of(data: TracesData) -> Iterator[OtlpSpan]:
    """Yield every span of a message, in its order."""
    for resource_spans in data.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = Scope(scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                yield _span(span, scope, resource)


def _span(span: Span, scope: Scope, resource: dict[str, Any]) -> OtlpSpan:
    trace_id = int.from_bytes(span.trace_id, "big")
    parent_id = int.from_bytes(span.parent_span_id, "big")
    return OtlpSpan(
        name=span.name,
        kind=span.kind,
        context=Identity(
            trace_id, int.from_bytes(span.span_id, "big"), span.trace_state, span.flags
        ),
        parent=Identity(trace_id, parent_id) if parent_id else None,
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano or None,
        attributes=_attributes(span.attributes),
        links=tuple(
            Identity(
                int.from_bytes(link.trace_id, "big"),
                int.from_bytes(link.span_id, "big"),
                link.trace_state,
                link.flags,
            )
            for link in span.links
        ),
        status_code=span.status.code,
        status_message=span.status.message,
        instrumentation_scope=scope,
        resource=resource,
    )


def _attributes(entries: Any) -> dict[str, Any]:
    found = {}
    for entry in entries:
        value = entry.value
        # Most are texts, and asking which kind a value is takes as long as all else.
        found[entry.key] = value.string_value or _value(value)
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple([entry.string_value or _value(entry) for entry in value.array_value.values])
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)
