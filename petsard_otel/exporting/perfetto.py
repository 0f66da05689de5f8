"""A run as a trace for Perfetto, https://ui.perfetto.dev: nested slices, in its native format.

Its other format, Chrome's JSON, has times in microseconds that the viewer reads as floating-point
numbers: today's date in them is exact to 250 ns only, and slices would no longer nest.
https://perfetto.dev/docs/reference/synthetic-track-event
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from petsard_otel import attributes as key
from petsard_otel.exporting import wire
from petsard_otel.exporting.lanes import lanes_of
from petsard_otel.exporting.spans import (
    KINDS,
    MAX_TIME_NS,
    STATUSES,
    distinct,
    failure,
    id_of,
    name_of,
    plain_text,
    utc_text,
    value_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from petsard_otel.exporting.lanes import Mark
    from petsard_otel.exporting.spans import SpanId
    from petsard_otel.telemetry.otlp.spans import OtlpSpan

_SEQUENCE = 1
"""The sequence of packets that all of ours belong to; events are read of a sequence alone."""

_STATE_CLEARED = 1
"""TracePacket.SEQ_INCREMENTAL_STATE_CLEARED: the sequence begins here, nothing of it is lost."""

_REALTIME, _BOOTTIME = 1, 6
"""BuiltinClock; the second is what times of packets are taken for where nothing is said."""

_TYPES = {"begin": 1, "end": 2}
"""TrackEvent.Type. A moment, which begins and ends, is drawn as its TYPE_INSTANT is; but that one
has what comes in the same moment inside it."""

_Group = tuple[str, str | None]
"""A resource, as JSON, and a run in it: what is shown as one process."""


class _Flows(NamedTuple):
    """The arrows that leave a span, and those that end at it."""

    out: list[int]
    into: list[int]


def perfetto_trace(spans: Iterable[OtlpSpan]) -> Iterator[bytes]:
    """Yield a trace, in pieces that make a file when joined.

    A run is a process, named after its configuration, and its first thread shows the run with its
    modules and their steps inside. What overlaps those without being a part of them, such as what
    several threads did at once, is on further threads, `alongside`. Numbers of processes and
    threads are made up. Foreign spans are on the lanes of the run that they belong to or, where
    they belong to none, in a process named after their service.

    Arrows lead from an execution to those that used its output, as the spans' links have it. All
    attributes are arguments of their slice. A failed span has the category `error`, and its name
    says so, since the name is what a slice is coloured by. What has not ended has no end here.

    Args:
        spans: The spans, in any order.
    """
    everything = distinct(spans)
    if not everything:
        return
    flows = _flows(everything)
    groups = _groups(everything)
    numbers = count(1)
    tracks: list[bytes] = []
    marks: list[tuple[Mark, int]] = []
    for (_, run_id), members in groups.items():
        pid = next(numbers)
        start_ns = members[0].start_time
        tracks.append(_process_packet(start_ns, pid, _process_name(members)))
        for order, lane in enumerate(lanes_of(members)):
            tid = pid if not order else next(numbers)
            name = "alongside" if order else f"run {run_id[:8]}" if run_id else "spans"
            tracks.append(_thread_packet(start_ns, pid, tid, name))
            marks += [(mark, tid) for mark in lane.marks]
    # At one moment what belongs on one track stays in its order: sorting is stable.
    marks.sort(key=lambda found: found[0].time_ns)
    yield _clock_packet(everything[0].start_time)
    yield from tracks
    known = {id_of(span.context) for span in everything}
    for mark, track in marks:
        yield _event_packet(mark, track, flows, known)


def _groups(spans: Sequence[OtlpSpan]) -> dict[_Group, list[OtlpSpan]]:
    """Return what is shown as a process each: the spans of a run, foreign ones in it among them."""
    by_id = {id_of(span.context): span for span in spans}
    runs: dict[SpanId, str | None] = {}
    # Spans of one message share their resource.
    resources: dict[int, str] = {}
    found: dict[_Group, list[OtlpSpan]] = {}
    for span in spans:
        resource = resources.get(id(span.resource))
        if resource is None:
            resource = resources[id(span.resource)] = value_json(span.resource)
        found.setdefault((resource, _run_id(span, by_id, runs)), []).append(span)
    return found


def _run_id(
    span: OtlpSpan, by_id: dict[SpanId, OtlpSpan], runs: dict[SpanId, str | None]
) -> str | None:
    """Return the run that a span says it is of, else that of what is around it in its process."""
    path = []
    run_id = None
    around: OtlpSpan | None = span
    while around is not None and around.resource == span.resource:
        name = id_of(around.context)
        said = around.attributes.get(key.RUN_ID)
        if name in runs or isinstance(said, str):
            run_id = runs.get(name) or said
            break
        # A circle of damaged parents ends here too.
        runs[name] = None
        path.append(name)
        around = None if around.parent is None else by_id.get(id_of(around.parent))
    runs |= dict.fromkeys(path, run_id)
    return run_id


def _process_name(spans: Sequence[OtlpSpan]) -> str:
    for span in spans:
        name = span.attributes.get(key.RUN_NAME)
        if isinstance(name, str) and name:
            return name
    if any(key.RUN_ID in span.attributes for span in spans):
        return "petsard run"
    return str(spans[0].resource.get("service.name") or "other spans")


def _flows(spans: Sequence[OtlpSpan]) -> dict[SpanId, _Flows]:
    """Return the arrows: from each span that is linked to, to the one with the link.

    The viewer tells an arrow's direction by time alone, so there is none where the link leads to
    what began later; it is among the arguments, as every link.
    """
    by_id = {id_of(span.context): span for span in spans}
    found: dict[SpanId, _Flows] = {}
    numbers = count(1)
    for span in spans:
        for link in dict.fromkeys(id_of(link) for link in span.links):
            source = by_id.get(link)
            if source is not None and source.start_time < span.start_time:
                flow = next(numbers)
                found.setdefault(link, _Flows([], [])).out.append(flow)
                found.setdefault(id_of(span.context), _Flows([], [])).into.append(flow)
    return found


def _clock_packet(time_ns: int) -> bytes:
    """Say that the trace's clock shows the time of day, so that the viewer can show dates."""
    clocks = [
        wire.message(1, wire.varint(1, clock), wire.varint(2, _time(time_ns)))
        for clock in (_BOOTTIME, _REALTIME)
    ]
    return _packet(time_ns, wire.varint(13, _STATE_CLEARED), wire.message(6, *clocks))


def _process_packet(time_ns: int, pid: int, name: str) -> bytes:
    process = wire.message(3, wire.varint(1, pid), wire.text(6, name))
    return _packet(time_ns, wire.message(60, wire.varint(1, _process_track(pid)), process))


def _thread_packet(time_ns: int, pid: int, tid: int, name: str) -> bytes:
    thread = wire.message(4, wire.varint(1, pid), wire.varint(2, tid), wire.text(5, name))
    return _packet(time_ns, wire.message(60, wire.varint(1, tid), thread))


def _process_track(pid: int) -> int:
    """Return a process's track, which no thread's number can be."""
    return 1 << 32 | pid


def _event_packet(mark: Mark, track: int, flows: dict[SpanId, _Flows], known: set[SpanId]) -> bytes:
    fields = [wire.varint(9, _TYPES[mark.what]), wire.varint(11, track)]
    if mark.what == "begin":
        span = mark.span
        problem = failure(span)
        name = span.name if problem is None else f"{span.name} ({problem})"
        fields += [wire.text(22, category) for category in _categories(span)]
        fields.append(wire.text(23, name))
        fields += [_annotation(4, value, name) for name, value in _arguments(span, known)]
        if id_of(span.context) in flows:
            out, into = flows[id_of(span.context)]
            fields += [wire.fixed64(47, flow) for flow in out]
            fields += [wire.fixed64(48, flow) for flow in into]
            # Where viewers before v22 look for them.
            fields += [wire.varint(36, flow) for flow in out]
            fields += [wire.varint(42, flow) for flow in into]
    return _packet(mark.time_ns, wire.message(11, *fields))


def _categories(span: OtlpSpan) -> Iterator[str]:
    found = span.attributes
    if key.RUN_ID not in found:
        yield "foreign"
    elif key.STEP_NAME in found:
        yield "step"
    elif key.MODULE_NAME in found:
        yield "module"
    else:
        yield "schema" if key.SCHEMA_PART in found else "run"
    if failure(span) is not None:
        yield "error"


def _arguments(span: OtlpSpan, known: set[SpanId]) -> Iterator[tuple[str, Any]]:
    """Yield all that a span says; what its process says of itself beside the outermost alone."""
    if failure(span) is not None:
        yield "name", span.name
    yield from span.attributes.items()
    yield "trace_id", f"{span.context.trace_id:032x}"
    yield "span_id", f"{span.context.span_id:016x}"
    if span.parent is not None:
        yield "parent_span_id", f"{span.parent.span_id:016x}"
    yield "kind", name_of(KINDS, span.kind)
    yield "status", name_of(STATUSES, span.status_code)
    if span.status_message:
        yield "status_message", span.status_message
    yield "start_time", utc_text(span.start_time)
    if span.end_time is not None:
        yield "end_time", utc_text(span.end_time)
    if span.links:
        yield "links", [f"{link.trace_id:032x}-{link.span_id:016x}" for link in span.links]
    yield (
        "scope",
        {"name": span.instrumentation_scope.name, "version": span.instrumentation_scope.version},
    )
    if span.resource and (span.parent is None or id_of(span.parent) not in known):
        yield "resource", span.resource


def _annotation(number: int, value: Any, name: str | None = None) -> bytes:
    """Return a DebugAnnotation: an argument, or an entry of a list, which has no name."""
    fields = [] if name is None else [wire.text(10, name)]
    if isinstance(value, bool):
        fields.append(wire.varint(2, value))
    elif isinstance(value, int):
        fields.append(wire.varint(4, value))
    elif isinstance(value, float) and math.isfinite(value):
        fields.append(wire.double(5, value))
    elif isinstance(value, Mapping) and value:
        fields += [_annotation(11, inner, str(label)) for label, inner in value.items()]
    elif isinstance(value, list | tuple) and value:
        fields += [_annotation(12, inner) for inner in value]
    else:
        # As text: a list without entries, which would be no argument at all, and NaN, which the
        # viewer reads as NULL and fails on.
        fields.append(wire.text(6, value if isinstance(value, str) else plain_text(value)))
    return wire.message(number, *fields)


def _packet(time_ns: int, *fields: bytes) -> bytes:
    """Return a TracePacket, as a Trace has it."""
    return wire.message(1, wire.varint(8, _time(time_ns)), wire.varint(10, _SEQUENCE), *fields)


def _time(time_ns: int) -> int:
    return min(max(time_ns, 0), MAX_TIME_NS)
