"""A run's exported spans into a store: the trace is the record. Knows no SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.telemetry.encoding import decode, decode_structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.encoding import EndedSpan


def replay(spans: Iterable[EndedSpan], store: StatusStore) -> None:
    """Add the spans of one run to an empty store, which then answers as the live one did.

    Args:
        spans: All spans of the run, in any order.
        store: Where they go.

    Raises:
        DecodeError: A span is not one of ours, or was damaged.
    """
    for span in sorted(spans, key=_ending):
        structure = decode_structure(span)
        if structure is not None:
            store.add(structure)
        store.add(decode(span))


def _ending(span: EndedSpan) -> tuple[int, int]:
    """Order spans as they ended: of those that ended together, the inner one first."""
    return (span.end_time or 0, -(span.start_time or 0))
