"""OTLP requests taken apart: each text at its place, and texts that belong together joined."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError, Message
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

_SINGLE = (str, bytes, int, float, Message)
"""What a field holds that has one value."""


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


class Whole(NamedTuple):
    """A span, a log record or a resource: what belongs together."""

    place: str
    time: int
    texts: list[Piece]


def taken_apart(messages: Iterable[Any]) -> tuple[list[Piece], list[Piece]]:
    """Take messages apart.

    Returns:
        Every text, byte string and number, and what texts say that are put one behind the other.
        Within a span, a log record or a resource these are its texts in their order, and by the
        names of their keys. Across all spans: the values of each key, and the parts of wide
        schemas, in the order of time.
    """
    pieces: list[Piece] = []
    wholes: list[Whole] = []
    for message in messages:
        _walk(message, "", pieces, wholes, ())
    return pieces, list(_joined(wholes))


def _joined(wholes: Iterable[Whole]) -> Iterator[Piece]:
    by_key: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for place, time, texts in wholes:
        in_order = "".join(piece.value for piece in texts)
        by_name = "".join(piece.value for piece in sorted(texts, key=lambda p: p.place))
        yield Piece(f"{place}, its texts joined", in_order)
        if by_name != in_order:
            yield Piece(f"{place}, its texts joined by key", by_name)
        for piece in texts:
            by_key[piece.place].append((time, piece.value))
    for key, values in by_key.items():
        if len(values) > 1:
            values.sort(key=lambda entry: entry[0])
            text = "".join(value for _, value in values)
            yield Piece(f"all spans, {key} joined", text)


def _time_of(message: Any) -> int:
    for name in ("start_time_unix_nano", "time_unix_nano"):
        if name in message.DESCRIPTOR.fields_by_name:
            return int(getattr(message, name))
    return 0


def _walk(
    message: Any,
    place: str,
    pieces: list[Piece],
    wholes: list[Whole],
    around: tuple[tuple[int, list[Piece]], ...],
) -> None:
    """Take one message apart.

    Args:
        message: The message.
        place: Where it is.
        pieces: Takes every text, byte string and number.
        wholes: Takes what belongs together.
        around: The wholes that it is in: how long their own places are, and their texts.
    """
    kind = message.DESCRIPTOR.name
    if kind in _WHOLES:
        whole = Whole(place.strip(", "), _time_of(message), [])
        wholes.append(whole)
        around = (*around, (len(place), whole.texts))
    for name, value in _fields(message):
        if isinstance(value, Message):
            at = ", body" if name == "body" else _place_of(value)
            _walk(value, place + at, pieces, wholes, around)
            continue
        if name == "key" and kind == "KeyValue":
            at = f"{place} (the key)"
        else:
            at = place if name.endswith("_value") else f"{place}, {name}"
        pieces.append(Piece(at.strip(", "), value))
        if isinstance(value, str):
            for length, texts in around:
                texts.append(Piece(at[length:].strip(", "), value))


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    for field, value in message.ListFields():
        if isinstance(value, _SINGLE):
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
