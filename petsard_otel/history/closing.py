"""Spans that never ended, closed as honestly as can be: when their process was last seen alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from petsard_otel import attributes as key
from petsard_otel.records import KILLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue


def close(
    spans: Iterable[Span], run_id: str, seen_ns: int, memory_bytes: int | None
) -> dict[bytes, Span]:
    """Return the spans of a run that have not ended, ended, by their ids.

    They end when their process was last seen alive, or with the last thing known to have happened
    in them; their status is ERROR, their `error.type` is `killed`. What a span gets at its end
    alone is made up for where it can be known: a module's snapshot id.

    Args:
        spans: All spans of the run.
        run_id: The run.
        seen_ns: When its process was last seen alive.
        memory_bytes: The memory that it had then.
    """
    everything = list(spans)
    opened = [span for span in everything if not span.end_time_unix_nano]
    if not opened:
        return {}
    # A damaged span may be missing among them.
    snapshots = max(_number_in(_text(span, key.SNAPSHOT_ID)) for span in everything)
    # The innermost first: a span lasts at least as long as those inside it.
    opened.sort(key=lambda span: span.start_time_unix_nano, reverse=True)
    inside: dict[bytes, int] = {}
    for span in everything:
        last = max(span.end_time_unix_nano, span.start_time_unix_nano)
        inside[span.parent_span_id] = max(inside.get(span.parent_span_id, 0), last)
    closed = {}
    for span in opened:
        ended = Span()
        ended.CopyFrom(span)
        ended.end_time_unix_nano = max(
            seen_ns, span.start_time_unix_nano + 1, inside.get(span.span_id, 0)
        )
        inside[span.parent_span_id] = max(
            inside.get(span.parent_span_id, 0), ended.end_time_unix_nano
        )
        ended.status.code = Status.STATUS_CODE_ERROR
        _put(ended, key.ERROR_TYPE).string_value = KILLED
        if _has(span, key.MODULE_POSITION):
            snapshots += 1
            _put(ended, key.SNAPSHOT_ID).string_value = f"snapshot_{run_id[:8]}_{snapshots:06d}"
            if not _has(span, key.OPERATOR_TYPE):
                _put(ended, key.OPERATOR_TYPE).string_value = "unknown"
        elif _has(span, key.SEQUENCE):
            _put(ended, key.RUN_RESULT).string_value = "error"
        if memory_bytes is not None and not _has(span, key.STEP_NAME):
            _put(ended, key.PROCESS_MEMORY).int_value = memory_bytes
        closed[span.span_id] = ended
    return closed


def _number_in(snapshot_id: str) -> int:
    number = snapshot_id.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _put(span: Span, name: str) -> AnyValue:
    return span.attributes.add(key=name).value


def _has(span: Span, name: str) -> bool:
    return any(entry.key == name for entry in span.attributes)


def _text(span: Span, name: str) -> str:
    return next((entry.value.string_value for entry in span.attributes if entry.key == name), "")
