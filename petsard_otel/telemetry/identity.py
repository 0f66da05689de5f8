"""Who says it: the scope of our spans and metrics, and ids that nobody else draws. A leaf."""

from __future__ import annotations

import os
import random

from petsard_otel.version import __version__

SCHEMA_URL = f"https://petsard-otel.dev/schemas/{__version__}"
"""Names the version of the attribute keys; put on the scope of every span and metric."""


_process = os.getpid()


def process_id() -> int:
    """Return this process's id, which costs less than to ask the system each time."""
    return _process


def _note_process() -> None:
    global _process  # noqa: PLW0603  a forked child has another
    _process = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_process)


class _Source(random.Random):
    """A generator of our own, seeded by the system, and anew in each process that is forked.

    Not the `random` module's: a module that seeds that one, as synthesizers do, would make the
    same ids again, and our draws would change its results.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process = process_id()

    def draw(self, bits: int) -> int:
        """Draw a number of so many bits, never 0, which no id may be."""
        if self._process != process_id():
            self.seed()
            self._process = process_id()
        return self.getrandbits(bits) or 1


_source = _Source()


def new_trace_id() -> int:
    """Draw a trace id."""
    return _source.draw(128)


def new_span_id() -> int:
    """Draw a span id."""
    return _source.draw(64)
