"""Spans of ours as OTLP messages, one by one: quick enough for every start and every end."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.trace import Link, SpanContext

MAX_CACHED_ATTRIBUTES = 512
"""Of so many attributes the bytes are kept: most are the same in one execution after the other."""

MAX_CACHED_CHARACTERS = 2_000
"""Longer texts are encoded each time."""

_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200


def begun(
    name: str,
    kind: int,
    identity: SpanContext,
    parent: SpanContext | None,
    start_time_ns: int,
    attributes: Mapping[str, Any],
    links: Sequence[Link],
) -> bytes:
    """Return an OTLP Span that has not ended, serialized.

    Args:
        name: Its name.
        kind: OTLP's number for it.
        identity: Who it is.
        parent: The span around it.
        start_time_ns: Nanoseconds since the epoch.
        attributes: As they may leave.
        links: What it is linked to.
    """
    message = Span(
        trace_id=identity.trace_id.to_bytes(16, "big"),
        span_id=identity.span_id.to_bytes(8, "big"),
        flags=int(identity.trace_flags) | _HAS_IS_REMOTE,
        name=_encodable(name),
        kind=kind,  # type: ignore[arg-type]
        start_time_unix_nano=start_time_ns,
    )
    if parent is not None:
        message.parent_span_id = parent.span_id.to_bytes(8, "big")
        if parent.is_remote:
            message.flags |= _IS_REMOTE
    if identity.trace_state:
        message.trace_state = identity.trace_state.to_header()
    for link in links:
        context = link.context
        message.links.add(
            trace_id=context.trace_id.to_bytes(16, "big"),
            span_id=context.span_id.to_bytes(8, "big"),
            flags=int(context.trace_flags) | _HAS_IS_REMOTE,
        )
    return b"".join((message.SerializeToString(), *_entries(attributes.items())))


def ended(
    begun: bytes,
    known: int,
    end_time_ns: int,
    attributes: Mapping[str, Any],
    *,
    is_error: bool,
) -> bytes:
    """Return an OTLP Span that has ended, serialized.

    Protobuf takes messages that are joined for one: what comes later is added to lists.

    Args:
        begun: As `begun` made it.
        known: How many attributes it began with.
        end_time_ns: Nanoseconds since the epoch.
        attributes: All of them: those that it began with, then those that have come since.
        is_error: Whether its status is ERROR.
    """
    message = Span(end_time_unix_nano=end_time_ns)
    # Also where it is neither: as it is in what exporters send.
    message.status.SetInParent()
    if is_error:
        message.status.code = Status.STATUS_CODE_ERROR
    added = _entries(islice(attributes.items(), known, None))
    return b"".join((begun, *added, message.SerializeToString()))


def envelope_bytes(
    resource: Mapping[str, Any],
    resource_schema_url: str,
    scope: str,
    version: str,
    schema_url: str,
) -> bytes:
    """Return an OTLP TracesData with resource and scope and no span, serialized."""
    data = TracesData()
    found = data.resource_spans.add(schema_url=resource_schema_url)
    _put(found.resource.attributes, resource.items())
    inside = found.scope_spans.add(schema_url=schema_url)
    inside.scope.name, inside.scope.version = scope, version
    return data.SerializeToString()


def _entries(attributes: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """Yield each attribute as it lies in a serialized OTLP Span."""
    for name, value in attributes:
        kind = type(value)
        if kind is int or kind is bool or (kind is str and len(value) <= MAX_CACHED_CHARACTERS):
            yield _known_entry(name, value)
        else:
            yield _entry(name, value)


def _entry(name: str, value: Any) -> bytes:
    span = Span()
    _put(span.attributes, ((name, value),))
    return span.SerializeToString()


# Typed, since a cache takes True and 1 for the same.
_known_entry = lru_cache(MAX_CACHED_ATTRIBUTES, typed=True)(_entry)


def _put(entries: Any, attributes: Iterable[tuple[str, Any]]) -> None:
    for name, value in attributes:
        try:
            target = entries.add(key=name).value
        except UnicodeEncodeError:
            target = entries.add(key=_encodable(name)).value
        _set(target, value)


def _set(target: AnyValue, value: Any) -> None:
    if isinstance(value, str):
        try:
            target.string_value = value
        except UnicodeEncodeError:
            target.string_value = _encodable(value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list | tuple):
        # An array without entries is an array all the same.
        target.array_value.SetInParent()
        for entry in value:
            _set(target.array_value.values.add(), entry)


def _encodable(text: str) -> str:
    """Return a text without the lone surrogates that a name may have and UTF-8 has not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
