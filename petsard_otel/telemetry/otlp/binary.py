"""OTLP in Protocol Buffers out of a file: one message or many, and what is left of a torn one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError as MessageError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH_BYTES = 4
"""The Collector's `file` exporter writes before each message how long it is, big-endian."""

_DELIMITED = 2
"""The wire type of what has its length before it."""

_MAX_VARINT_BYTES = 10

_NESTED = {"TracesData": (1, "resource_spans"), "ResourceSpans": (2, "scope_spans"),
           "ScopeSpans": (2, "spans")}  # fmt: skip
"""What of a message may be torn and still be of use: the field that holds the spans."""


class Messages(NamedTuple):
    """The messages of a file, and how many of them were damaged, of which a part may be there."""

    messages: list[TracesData]
    damaged: int


NOTHING = Messages([], 0)


def is_delimited(content: bytes) -> bool:
    """Tell whether lengths stand before the messages, the first one's below 150 MB.

    Neither a message nor a text begins with so small a byte.
    """
    return b"" < content[:1] < b"\t"


def read_binary(content: bytes) -> Messages:
    """Return the messages in a file of protobuf.

    A TracesData and an ExportTraceServiceRequest look alike, and several of them one after the
    other are one.
    """
    found: list[TracesData] = []
    damaged = 0
    for body in _delimited(content) if is_delimited(content) else (content,):
        try:
            data = TracesData.FromString(body)
        except MessageError:
            data = TracesData()
            damaged += 1
            _take_beginning(data, body)
        if data.resource_spans:
            found.append(data)
    return Messages(found, damaged)


def _delimited(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        body = content[at : at + length]
        # What cannot be a message, so that it counts as a damaged one.
        yield body if len(body) == length else body + b"\xff"
        at += length


def _take_beginning(message: Any, body: bytes) -> None:
    """Take in the fields of a torn message up to where it is torn."""
    number, name = _NESTED.get(type(message).__name__, (0, ""))
    for found, field, inner in _fields(body):
        try:
            # Apart, since a failure may leave half of it behind.
            message.MergeFrom(type(message).FromString(field))
        except MessageError:
            if found == number:
                part = getattr(message, name).add()
                _take_beginning(part, inner)
                if not part.ByteSize() or name == "spans":
                    del getattr(message, name)[-1]


def _fields(body: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, whole and content of each field; the last may be torn.

    All fields on the way to a span have a length.
    """
    at = 0
    while at < len(body):
        tag, inside = _varint(body, at)
        length, inside = _varint(body, inside)
        if inside < 0 or tag & 7 != _DELIMITED:
            return
        yield tag >> 3, body[at : inside + length], body[inside : inside + length]
        at = inside + length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends; -1 where it is torn."""
    if at < 0:
        return 0, -1
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at + place >= len(body):
            break
        byte = body[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    return 0, -1
