"""The sizes and times that are fixed. A leaf."""

from __future__ import annotations

MAX_ATTRIBUTE_BYTES = 2048
"""No attribute is larger than this, in UTF-8: common back ends cut longer ones."""

MAX_NAME_BYTES = 512
"""A module's or experiment's name on a span; a longer one is cut and ends in its hash."""

MAX_DISTINCT_SCHEMAS = 10_000
"""How many wide schemas a run remembers to have described; one beyond may be described again."""

EXPORT_TIMEOUT_SECONDS = 3
"""How long one export may take, where OTEL_EXPORTER_OTLP_TIMEOUT does not say otherwise."""

SHUTDOWN_SECONDS = 1.5
"""How long a process waits at its end for what is still to be sent."""

MAX_CONTEXT_ENTRIES = 16
"""How many entries a user-timed step's context may have."""

EXPORT_QUEUE_SIZE = 16_384
"""How many spans may wait to be sent, where OTEL_BSP_MAX_QUEUE_SIZE does not say otherwise: a
quick pipeline makes more in the five seconds between two batches than the SDK's 2,048."""
