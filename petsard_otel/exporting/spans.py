"""What exports share: each span once, and how its parts are shown. Pure."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from petsard_otel import attributes as key
from petsard_otel.records import KILLED, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from petsard_otel.telemetry.otlp.spans import Identity, OtlpSpan

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
"""What OTLP's numbers for a span's kind are called."""

STATUSES = ("unset", "ok", "error")
"""What OTLP's numbers for a span's status are called."""

MAX_TIME_NS = 2**63 - 1
"""The last moment that formats with signed 64-bit times can hold, in the year 2262."""

SpanId = tuple[int, int]
"""Trace and span: who a span is."""


def id_of(identity: Identity) -> SpanId:
    """Return an identity as one that can be looked up."""
    return identity.trace_id, identity.span_id


def distinct(spans: Iterable[OtlpSpan]) -> list[OtlpSpan]:
    """Return each span once, as it began; one that has ended wins over the same one still open."""
    found: dict[SpanId, OtlpSpan] = {}
    for span in spans:
        known = found.get(id_of(span.context))
        if known is None or (known.end_time is None and span.end_time is not None):
            found[id_of(span.context)] = span
    return sorted(found.values(), key=lambda span: span.start_time)


def failure(span: OtlpSpan) -> str | None:
    """Return how a span went wrong, in a few words; None where it did not."""
    error_type = span.attributes.get(key.ERROR_TYPE)
    if isinstance(error_type, str):
        if error_type == KILLED:
            return KILLED
        word = "cancelled" if outcome(error_type) == "cancelled" else "failed"
        return f"{word}: {error_type}"
    return "failed" if name_of(STATUSES, span.status_code) == "error" else None


def name_of(names: Sequence[str], number: int) -> str:
    """Return what a number is called; the number itself where nothing is known of it."""
    return names[number] if 0 <= number < len(names) else str(number)


def utc_text(time_ns: int) -> str:
    """Return nanoseconds since the epoch as ISO 8601, to the nanosecond."""
    seconds, nanoseconds = divmod(min(time_ns, MAX_TIME_NS), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return f"{moment.isoformat()[:19]}.{nanoseconds:09d}+00:00"


def value_json(value: Any) -> str:
    """Return a value as JSON; bytes as base64, and numbers that JSON does not know as text."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def plain_text(value: Any) -> str:
    """Return a value as text: one that JSON has as text without its quotes."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else value_json(value)


def _plain(value: Any) -> Any:
    """Return what JSON has a form for, as OTLP's JSON does it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
