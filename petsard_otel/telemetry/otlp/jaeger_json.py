"""The JSON of Jaeger's pages as OTLP; its times are microseconds, so that digits are lost. Pure."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from petsard_otel.exceptions import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCOPE_NAME, _SCOPE_VERSION = "otel.scope.name", "otel.scope.version"
_KIND, _STATUS, _MESSAGE = "span.kind", "otel.status_code", "otel.status_description"
_ERROR, _STATE, _FORMAT = "error", "w3c.tracestate", "internal.span.format"

_PARTS_OF_SPAN = frozenset(
    {_SCOPE_NAME, _SCOPE_VERSION, _KIND, _STATUS, _MESSAGE, _ERROR, _STATE, _FORMAT}
)
"""Tags that stand for what OTLP has in other places than among the attributes."""

_KINDS = {
    "internal": Span.SPAN_KIND_INTERNAL,
    "server": Span.SPAN_KIND_SERVER,
    "client": Span.SPAN_KIND_CLIENT,
    "producer": Span.SPAN_KIND_PRODUCER,
    "consumer": Span.SPAN_KIND_CONSUMER,
}

_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "string": ("string_value", str),
    "bool": ("bool_value", lambda value: value in (True, "true")),
    "int64": ("int_value", int),
    "float64": ("double_value", float),
    "binary": ("bytes_value", b64decode),
}
"""Which of OTLP's values a type of Jaeger's is, and how its JSON is read."""


def jaeger_data(document: Any) -> list[TracesData]:
    """Return the traces in a parsed answer of Jaeger's `/api/traces`, one message each.

    Lists stay the JSON texts that Jaeger has made of them.

    Raises:
        DecodeError: It is something else; nothing of it is quoted.
    """
    if not isinstance(document, dict) or "data" not in document:
        raise DecodeError("no JSON of Jaeger's")
    try:
        return [_data(trace) for trace in document["data"] or ()]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise DecodeError("not as Jaeger has it") from None


def _data(trace: Mapping[str, Any]) -> TracesData:
    data = TracesData()
    for span in trace["spans"]:
        process = trace["processes"][span["processID"]]
        resource_spans = data.resource_spans.add()
        resource = resource_spans.resource.attributes
        resource.add(key="service.name").value.string_value = process["serviceName"]
        _put(resource, process.get("tags") or ())
        tags = {tag["key"]: tag["value"] for tag in span.get("tags") or ()}
        inside = resource_spans.scope_spans.add()
        inside.scope.name = tags.get(_SCOPE_NAME, "")
        inside.scope.version = tags.get(_SCOPE_VERSION, "")
        _fill(inside.spans.add(), span, tags)
    return data


def _fill(message: Span, span: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
    message.trace_id, message.span_id = _id(span["traceID"], 16), _id(span["spanID"], 8)
    message.name = span["operationName"]
    message.trace_state = tags.get(_STATE, "")
    start_ns = int(span["startTime"]) * 1000
    message.start_time_unix_nano = start_ns
    message.end_time_unix_nano = start_ns + int(span["duration"]) * 1000
    message.kind = _KINDS.get(tags.get(_KIND, "internal"), Span.SPAN_KIND_UNSPECIFIED)
    for reference in span.get("references") or ():
        trace_id, span_id = _id(reference["traceID"], 16), _id(reference["spanID"], 8)
        is_parent = reference["refType"] == "CHILD_OF" and trace_id == message.trace_id
        if is_parent and not message.parent_span_id:
            message.parent_span_id = span_id
        else:
            message.links.add(trace_id=trace_id, span_id=span_id)
    _put(message.attributes, (tag for tag in span.get("tags") or () if not _is_part(tag["key"])))
    if tags.get(_ERROR) in (True, "true") or tags.get(_STATUS) == "ERROR":
        message.status.code = Status.STATUS_CODE_ERROR
        message.status.message = tags.get(_MESSAGE, "")
    elif tags.get(_STATUS) == "OK":
        message.status.code = Status.STATUS_CODE_OK


def _is_part(name: str) -> bool:
    return name in _PARTS_OF_SPAN


def _put(entries: Any, tags: Any) -> None:
    for tag in tags:
        name, read = _READERS[tag["type"].lower()]
        setattr(entries.add(key=tag["key"]).value, name, read(tag["value"]))


def _id(text: str, length: int) -> bytes:
    """Return an id of hexadecimal digits; Jaeger leaves out zeros at its beginning."""
    return int(text, 16).to_bytes(length, "big")
