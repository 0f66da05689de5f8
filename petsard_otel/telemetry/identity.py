"""Who says it: the scope of our spans and metrics, and ids that nobody else draws. A leaf."""

from __future__ import annotations

import random

from petsard_otel.version import __version__

SCHEMA_URL = f"https://petsard-otel.dev/schemas/{__version__}"
"""Names the version of the attribute keys; put on the scope of every span and metric."""

_random = random.SystemRandom()


def new_trace_id() -> int:
    """Draw a trace id.

    From the system, not from the `random` module's generator: a module that seeds that one, as
    synthesizers do, would make the same ids again, and our draws would change its results.
    """
    return _random.getrandbits(128) or 1


def new_span_id() -> int:
    """Draw a span id, from the same source."""
    return _random.getrandbits(64) or 1
