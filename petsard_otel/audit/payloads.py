"""OTLP requests taken apart: each text at its place, and texts that belong together joined."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REQUESTS: dict[str, type[Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
"""The message that each signal is sent in."""

PROTOCOLS = ("grpc", "http/protobuf")
"""How requests may come."""

GZIP_MAGIC = b"\x1f\x8b"

_WHOLES = frozenset({"Span", "LogRecord", "Event", "Metric", "Resource"})
"""Messages whose texts, one behind the other, may make up a value that was cut."""


@dataclass(frozen=True)
class Payload:
    """The body of one request, as it came over the wire.

    `headers` is what came before it: HTTP's header lines, or gRPC's metadata.
    """

    signal: str
    protocol: str
    body: bytes
    headers: bytes = b""
    during: str = ""

    @property
    def message(self) -> Any:
        """The request, None where the bytes are none."""
        body = self.body
        try:
            if body.startswith(GZIP_MAGIC):
                body = gzip.decompress(body)
            elif body.startswith(b"\x78"):
                body = zlib.decompress(body)
            return REQUESTS[self.signal].FromString(body)
        except (DecodeError, OSError, EOFError, zlib.error):
            return None


class Piece(NamedTuple):
    """A text or a number, and where it was."""

    place: str
    value: Any

    @property
    def data(self) -> bytes:
        """The value as bytes; a number's own are searched elsewhere."""
        if isinstance(self.value, bytes):
            return self.value
        return str(self.value).encode("utf-8", "surrogatepass")


def pieces(message: Any) -> list[Piece]:
    """Return every text, byte string and number of a request."""
    return list(_walk(message, ""))


def joined(messages: Iterable[Any]) -> list[Piece]:
    """Return what requests say when texts are put one behind the other.

    Within a span, a log record or a resource: its texts in their order, and by the names of
    their keys. Across all spans: the values of each key, and the parts of wide schemas, in the
    order of time.
    """
    found: list[Piece] = []
    by_key: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for message in messages:
        for place, whole in _wholes(message, ""):
            texts = [piece for piece in _walk(whole, "") if isinstance(piece.value, str)]
            in_order = "".join(piece.value for piece in texts)
            by_name = "".join(piece.value for piece in sorted(texts, key=lambda p: p.place))
            found.append(Piece(f"{place}, its texts joined", in_order))
            if by_name != in_order:
                found.append(Piece(f"{place}, its texts joined by key", by_name))
            time = _time_of(whole)
            for piece in texts:
                by_key[piece.place].append((time, piece.value))
    for key, values in by_key.items():
        if len(values) > 1:
            values.sort(key=lambda entry: entry[0])
            text = "".join(value for _, value in values)
            found.append(Piece(f"all spans, {key} joined", text))
    return found


def _time_of(message: Any) -> int:
    for name in ("start_time_unix_nano", "time_unix_nano"):
        if name in message.DESCRIPTOR.fields_by_name:
            return int(getattr(message, name))
    return 0


def _wholes(message: Any, place: str) -> Iterator[tuple[str, Any]]:
    for _, inner in _fields(message):
        if isinstance(inner, Message):
            at = place + _place_of(inner)
            if inner.DESCRIPTOR.name in _WHOLES:
                yield at.strip(", "), inner
            yield from _wholes(inner, at)


def _walk(message: Any, place: str) -> Iterator[Piece]:
    for name, value in _fields(message):
        if isinstance(value, Message):
            at = ", body" if name == "body" else _place_of(value)
            yield from _walk(value, place + at)
        elif name == "key" and message.DESCRIPTOR.name == "KeyValue":
            yield Piece(f"{place} (the key)".strip(", "), value)
        else:
            shown = "" if name.endswith("_value") else f", {name}"
            yield Piece(f"{place}{shown}".strip(", "), value)


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    for field, value in message.ListFields():
        if isinstance(value, str | bytes | int | float | Message):
            yield field.name, value
        else:
            for entry in value:
                yield field.name, entry


def _place_of(message: Any) -> str:
    """Name a message where that helps a reader."""
    kind = message.DESCRIPTOR.name
    if kind in {"Span", "Metric", "Event"}:
        return f", {kind.lower()} {message.name}"
    if kind == "KeyValue":
        return f", attribute {message.key}"
    return _NAMES.get(kind, "")


_NAMES = {
    "Exemplar": ", exemplar",
    "InstrumentationScope": ", scope",
    "Link": ", link",
    "LogRecord": ", log record",
    "Resource": ", resource",
    "Status": ", status",
}
