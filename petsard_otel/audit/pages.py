"""What SQLite's files held at any moment, each piece of it once.

A write-ahead log has a whole page for every change of a few bytes. Of a page that is known, what
changed is kept, with what is around it; so nothing that was ever there is left out.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE_BYTES = 4096
"""How a file is cut that does not say how large its pages are."""

CONTEXT_BYTES = 64
"""How much is kept around a change: whatever is a find lies within, in any encoding."""

_SOME_ZEROS = bytes(8)
_ZEROS = re.compile(rb"\x00{9,}")
"""Room that is free. Fewer may be a part of something."""

_HEADER_BYTES = 32
_HEADER_SALT = slice(16, 24)
_FRAME_HEADER_BYTES = 24
_SALT = slice(8, 16)


class Pages:
    """Takes in pages of files, again and again.

    Attributes:
        pieces: What was in them, each piece once.
    """

    def __init__(self) -> None:
        self.pieces: dict[bytes, None] = {}
        self._known: dict[tuple[str, int], bytes] = {}

    def take(self, file: str, number: int, page: bytes) -> None:
        """Take in a page as it is now."""
        known = self._known.get((file, number), b"")
        if page == known:
            return
        self._known[file, number] = page
        parts = changed(known, page) if len(known) == len(page) else (page,)
        self.pieces.update((_ZEROS.sub(_SOME_ZEROS, part), None) for part in parts)

    def take_file(self, file: str, content: bytes) -> None:
        """Take in a whole file as it is now. Its first page has the number 1."""
        for at in range(0, len(content), PAGE_BYTES):
            self.take(file, at // PAGE_BYTES + 1, content[at : at + PAGE_BYTES])


class Log:
    """Reads a write-ahead log while it is written, each frame once.

    https://sqlite.org/fileformat2.html#the_write_ahead_log
    """

    def __init__(self, path: Path, pages: Pages, file: str) -> None:
        """Read nothing yet.

        Args:
            path: The log. SQLite has no locks on it, so it may be opened and closed at any time.
            pages: Takes the pages in.
            file: What pages calls the file that they belong into.
        """
        self._path = path
        self._pages = pages
        self._file = file
        self._header = b""
        self._at = _HEADER_BYTES

    def read(self) -> None:
        """Read what has come since."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            if header != self._header:
                # It was begun anew.
                self._header, self._at = header, _HEADER_BYTES
                self._pages.pieces[header] = None
            length = int.from_bytes(header[8:12], "big")
            file.seek(self._at)
            while len(head := file.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
                page = file.read(length)
                # Behind the last frame may be some of before it was begun anew.
                if head[_SALT] != header[_HEADER_SALT] or len(page) < length:
                    break
                self._pages.take(self._file, int.from_bytes(head[:4], "big"), page)
                self._at += _FRAME_HEADER_BYTES + length


def changed(before: bytes, after: bytes, context: int = CONTEXT_BYTES) -> Iterator[bytes]:
    """Yield what changed, with so many bytes on either side.

    Args:
        before: What was there.
        after: What is there, as many bytes.
        context: How many bytes around a change come with it.
    """
    import numpy as np

    is_other = np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)
    places = np.flatnonzero(is_other)
    if not places.size:
        return
    # Changes whose surroundings touch are one.
    gaps = np.flatnonzero(np.diff(places) > 2 * context)
    firsts = [places[0], *places[gaps + 1]]
    lasts = [*places[gaps], places[-1]]
    for first, last in zip(firsts, lasts, strict=True):
        yield after[max(int(first) - context, 0) : int(last) + context + 1]
