"""Which spans can be drawn on one line: nested as they are in truth, overlapping ones apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from petsard_otel.exporting.spans import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from petsard_otel.exporting.spans import SpanId
    from petsard_otel.telemetry.otlp.spans import OtlpSpan

LONGEST_INSTANT_NS = 1
"""What lasts no longer is drawn as a moment: spans of ours for schemas last a nanosecond."""


MAX_DEPTH = 256
"""So many spans around a span are known; deeper ones are drawn apart."""


class Mark(NamedTuple):
    """A span begins, or ends. A mere moment does both at once."""

    time_ns: int
    what: Literal["begin", "end"]
    span: OtlpSpan


class Lane:
    """One line: what was drawn on it, in the order of time, and what is still open on it."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._open: list[OtlpSpan] = []

    def around(self, span: OtlpSpan, ancestors: Sequence[SpanId]) -> tuple[int, bool]:
        """Tell how many of the open spans would stay open around a span, and whether it may come.

        It may come where nothing else is open, or where what is open is around it in its trace too
        and does not end before it: a reader takes what is drawn inside for a part.
        """
        end = _end(span)
        depth = len(self._open)
        while depth:
            top = self._open[depth - 1]
            # What happens at the very end of a span is still inside it.
            is_over = _end(top) <= span.start_time
            if not is_over or (id_of(top.context) in ancestors and _end(top) >= end):
                return depth, id_of(top.context) in ancestors and _end(top) >= end
            depth -= 1
        return 0, True

    def add(self, span: OtlpSpan, depth: int) -> None:
        """Draw a span inside the first `depth` of the open ones; the others have ended."""
        self._close(depth)
        if _end(span) - span.start_time <= LONGEST_INSTANT_NS:
            # Ended at once: what else comes in the same moment is beside it, not inside.
            self.marks += [Mark(span.start_time, "begin", span), Mark(span.start_time, "end", span)]
            return
        self.marks.append(Mark(span.start_time, "begin", span))
        self._open.append(span)

    def finish(self) -> None:
        """End what is open, unless its span is."""
        self._close(0)

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            span = self._open.pop()
            if span.end_time is not None:
                self.marks.append(Mark(span.end_time, "end", span))


def lanes_of(spans: Sequence[OtlpSpan]) -> list[Lane]:
    """Return lanes that hold every span once, as few as the order of their beginnings allows.

    A span goes to its parent's lane where it fits, so that what runs one after the other lies on
    the first lane, and only what overlaps it in time lies on others.
    """
    by_id = {id_of(span.context): span for span in spans}
    ancestors = {name: list(_ancestors(span, by_id)) for name, span in by_id.items()}

    def place(span: OtlpSpan) -> tuple[int, bool, float, int]:
        """Order spans by their beginnings; of those that begin together the outer one is first.

        But what happens at the very end of a span comes before whatever begins then.
        """
        around = ancestors[id_of(span.context)]
        parent = by_id[around[0]] if around else None
        is_last = (
            parent is not None
            and parent.start_time < span.start_time
            and _end(parent) == _end(span) == span.start_time
        )
        return span.start_time, not is_last, -_end(span), len(around)

    lanes = [Lane()]
    home: dict[SpanId, Lane] = {}
    for span in sorted(spans, key=place):
        around = ancestors[id_of(span.context)]
        parents = [home[name] for name in around[:1] if name in home]
        for lane in (*parents, *lanes):
            depth, may_come = lane.around(span, around)
            if may_come:
                break
        else:
            lane, depth = Lane(), 0
            lanes.append(lane)
        lane.add(span, depth)
        home[id_of(span.context)] = lane
    for lane in lanes:
        lane.finish()
    return lanes


def _ancestors(span: OtlpSpan, by_id: dict[SpanId, OtlpSpan]) -> Iterator[SpanId]:
    """Yield the spans around a span, the nearest first; damage may make a circle of them."""
    seen = {id_of(span.context)}
    while span.parent is not None and (name := id_of(span.parent)) in by_id and name not in seen:
        if len(seen) > MAX_DEPTH:
            return
        yield name
        seen.add(name)
        span = by_id[name]


def _end(span: OtlpSpan) -> float:
    """Return when a span ends: never, if it has not; not before it begins, whatever clocks say."""
    return math.inf if span.end_time is None else max(span.end_time, span.start_time)
