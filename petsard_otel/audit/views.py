"""Data as it would be read by somebody who tries every usual encoding.

Each view is what a decoder makes of the pieces of the data that look encoded. A view of a view is
looked at as well, so that base64 within gzip, or within JSON within base64, is read.
"""

from __future__ import annotations

import binascii
import re
import zlib
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_DEPTH = 3
"""How many encodings may lie one within the other."""

MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""How much of one compressed piece is looked at."""

BEFORE_BYTES = 64
"""How much is looked at of what comes before the first sign of an encoding."""

_SEPARATOR = b"\n"

# Eight letters in base64 are at least twelve characters, in hexadecimal sixteen.
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{16,}")
# Each of these begins with what is rare, since that is what `re` looks for fast. What may come
# before, and needed no encoding itself, has a pattern of its own.
_ESCAPES = {
    rb"\x": re.compile(rb"\\x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2}|[!-\[\]-~])*"),
    rb"\u00": re.compile(rb"\\u00[0-9A-Fa-f]{2}(?:\\u00[0-9A-Fa-f]{2}|[!-\[\]-~])*"),
}
_BEFORE_ESCAPE = re.compile(rb"[!-\[\]-~]*\Z")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2}|[0-9A-Za-z._~+-])*")
_BEFORE_PERCENT = re.compile(rb"[0-9A-Za-z._~+-]*\Z")
_WIDE = re.compile(rb"\x00[\x20-\x7e](?:\x00{1,3}[\x20-\x7e]){6,}")
_BEFORE_WIDE = re.compile(rb"[\x20-\x7e]?\Z")
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def views(data: bytes, depth: int = MAX_DEPTH) -> Iterator[tuple[str, bytes]]:
    """Yield data as it is, under no name, then every view of it under the encodings' names."""
    yield "", data
    if depth == 0:
        return
    for encoding, decode in _DECODERS.items():
        decoded = decode(data)
        if len(decoded) < 8:
            continue
        for within, inner in views(decoded, depth - 1):
            yield f"{within} in {encoding}" if within else encoding, inner


def _base64(data: bytes) -> bytes:
    """Decode every run that could be base64, from each of the four places it may begin at."""
    runs = {run.translate(_URL_SAFE) for run in _BASE64.findall(data)}
    return _joined(
        binascii.a2b_base64(piece + b"A" * (-len(piece) % 4))
        for run in runs
        for piece in (run, run[1:], run[2:], run[3:])
    )


def _hexadecimal(data: bytes) -> bytes:
    return _joined(
        bytes.fromhex(piece[: len(piece) // 2 * 2].decode())
        for run in set(_HEX.findall(data))
        for piece in (run, run[1:])
    )


def _percent(data: bytes) -> bytes:
    return _joined(unquote_to_bytes(run) for run in _runs(_PERCENT, _BEFORE_PERCENT, data))


def _escaped(data: bytes) -> bytes:
    r"""Decode text with `\x67` or `\u0067` in it, as `repr` and JSON write some characters."""
    return _joined(
        unquote_to_bytes(run.replace(mark, b"%"))
        for mark, pattern in _ESCAPES.items()
        for run in _runs(pattern, _BEFORE_ESCAPE, data)
    )


def _wide(data: bytes) -> bytes:
    """Read UTF-16 and UTF-32, of either byte order, as what it is without its zeros."""
    return _joined(run.replace(b"\x00", b"") for run in _runs(_WIDE, _BEFORE_WIDE, data))


def _runs(pattern: re.Pattern[bytes], before: re.Pattern[bytes], data: bytes) -> set[bytes]:
    """Return what matches, with a little of what may come before it."""
    found = set()
    for match in pattern.finditer(data):
        start = match.start()
        head = before.search(data, max(start - BEFORE_BYTES, 0), start)
        found.add((head[0] if head else b"") + match[0])
    return found


def _inflated(data: bytes) -> bytes:
    return _joined(_inflate(data[match.start() :]) for match in _COMPRESSED.finditer(data))


def _inflate(data: bytes) -> bytes:
    """Decompress what can be: the beginning of damaged data, nothing of what is none."""
    stream = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    found = []
    for at in range(0, len(data), 256):
        try:
            found.append(stream.decompress(data[at : at + 256], MAX_INFLATED_BYTES))
        except zlib.error:
            break
        if stream.eof or stream.unconsumed_tail:
            break
    return b"".join(found)


def _joined(pieces: Iterable[bytes]) -> bytes:
    return _SEPARATOR.join(pieces)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": _base64,
    "hexadecimal": _hexadecimal,
    "percent encoding": _percent,
    "escapes": _escaped,
    "UTF-16 or UTF-32": _wide,
    "gzip": _inflated,
}
"""What reads an encoding, by the name under which a find in it is shown."""
