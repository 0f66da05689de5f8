"""The size budget: what may be one attribute, and how larger things are cut."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from petsard_otel.schema import label_name
from petsard_otel.settings import MAX_ATTRIBUTE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def split_text(text: str, size: int = MAX_ATTRIBUTE_BYTES) -> list[str]:
    """Cut a text into parts of at most `size` bytes of UTF-8, never inside a character."""
    data = text.encode()
    parts = []
    start = 0
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(data[start:end].decode())
        start = end
    return parts


def fits(text: str) -> bool:
    """Tell whether a text may be one attribute."""
    return len(text) <= MAX_ATTRIBUTE_BYTES and len(text.encode()) <= MAX_ATTRIBUTE_BYTES


def bounded(text: str, size: int) -> str:
    """Return a name that fits into `size` bytes: itself, or its beginning and its hash.

    What is no text, as a caller may give for a name all the same, is named as a column would be.
    """
    if type(text) is not str:
        text = label_name(text)
    if len(text) * 4 <= size:
        return text if text.isascii() else _encodable(text)
    text = _encodable(text)
    data = text.encode()
    if len(data) <= size:
        return text
    mark = f"~{hashlib.sha256(data).hexdigest()[:16]}"
    return split_text(text, size - len(mark))[0] + mark


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def within_budget(entries: Iterable[str]) -> Iterator[str]:
    """Yield the entries that fit into one attribute together, up to the first that does not."""
    left = MAX_ATTRIBUTE_BYTES
    for entry in entries:
        text = _encodable(entry)
        left -= len(text.encode())
        if left < 0:
            return
        yield text
