"""Protocol Buffers' wire format, as far as a trace for Perfetto needs it. A leaf.

Perfetto's own classes would be a dependency of every user for the sake of one format. What is
written here is read back with them by the tests.
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _LENGTH = 0, 1, 2

_SHORT = [bytes([value]) for value in range(0x80)]
"""Most numbers: they are one byte."""


def varint(number: int, value: int) -> bytes:
    """Return a field that holds a whole number or a truth value; negative ones as int64."""
    return _varint(number << 3 | _VARINT) + _varint(value & (1 << 64) - 1)


def fixed64(number: int, value: int) -> bytes:
    """Return a field of type fixed64."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<Q", value)


def double(number: int, value: float) -> bytes:
    """Return a field of type double."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def message(number: int, *fields: bytes) -> bytes:
    """Return a field that holds a message of these fields."""
    body = b"".join(fields)
    return _varint(number << 3 | _LENGTH) + _varint(len(body)) + body


def text(number: int, value: str) -> bytes:
    """Return a field that holds a text; what cannot be UTF-8, such as half a pair, becomes `?`."""
    return message(number, value.encode("utf-8", "replace"))


def _varint(value: int) -> bytes:
    if value <= 0x7F:
        return _SHORT[value]
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
