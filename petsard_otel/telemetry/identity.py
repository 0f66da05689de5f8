"""Who says it: the instrumentation scope of our spans and metrics. A leaf."""

from __future__ import annotations

from petsard_otel.version import __version__

SCHEMA_URL = f"https://petsard-otel.dev/schemas/{__version__}"
"""Names the version of the attribute keys; put on the scope of every span and metric."""
