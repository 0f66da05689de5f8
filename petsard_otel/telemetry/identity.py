"""Who says it: the scope of our spans and metrics, and ids that nobody else draws. A leaf."""

from __future__ import annotations

import os
import random

from petsard_otel.version import __version__

SCHEMA_URL = f"https://petsard-otel.dev/schemas/{__version__}"
"""Names the version of the attribute keys; put on the scope of every span and metric."""


class _Source(random.Random):
    """A generator of our own, seeded by the system, and anew in each process that is forked.

    Not the `random` module's: a module that seeds that one, as synthesizers do, would make the
    same ids again, and our draws would change its results.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    def draw(self, bits: int) -> int:
        """Draw a number of so many bits, never 0, which no id may be."""
        if self._process != os.getpid():
            self.seed()
            self._process = os.getpid()
        return self.getrandbits(bits) or 1


_source = _Source()


def new_trace_id() -> int:
    """Draw a trace id."""
    return _source.draw(128)


def new_span_id() -> int:
    """Draw a span id."""
    return _source.draw(64)
