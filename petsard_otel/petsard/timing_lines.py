"""Steps out of the lines in which PETsARD's adapters log how long something took.

`TIMING_START|module|step|timestamp`, then `TIMING_END|module|step|timestamp|duration`, or
`TIMING_ERROR|...` with an exception's message behind it, which is not read.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from petsard_otel import attributes as key
from petsard_otel.telemetry.spans import running_module, start_step_in

if TYPE_CHECKING:
    from petsard_otel.telemetry.guard import Guard
    from petsard_otel.telemetry.open_span import OpenSpan

UNKNOWN_ERROR = "_OTHER"
"""The `error.type` of a step that failed, of which the line does not say how."""

_PREFIX = "TIMING_"


class TimingLine(NamedTuple):
    """One such line. Times in seconds; `timestamp` is meant to be one since the epoch."""

    kind: str
    name: str
    step: str
    timestamp: float | None
    duration: float | None

    @classmethod
    def parse(cls, text: str) -> TimingLine | None:
        """Read a line; None for any other text."""
        kind, *fields = text.split("|", 5)
        if not kind.startswith(_PREFIX):
            return None
        kind = kind.removeprefix(_PREFIX)
        if kind not in {"START", "END", "ERROR"} or len(fields) < 3:
            return None
        name, step = fields[0], fields[1]
        duration = _seconds(fields[3]) if len(fields) > 3 else None
        return cls(kind, name, step, _seconds(fields[2]), duration) if step else None


class TimingLines(logging.Handler):
    """Listens to one run's log records, at any level, and makes steps of such lines.

    A step lies where its line says, as far as that is within the module that logged it; a clock
    of another kind is not believed, and the line's own time counts.
    """

    def __init__(self, run_id: str, adapter_file: str, guard: Guard) -> None:
        """Listen.

        Args:
            run_id: Whose records are meant.
            adapter_file: Where PETsARD logs how long each module took, which its span says.
            guard: What keeps our failures from who logs.
        """
        super().__init__(logging.DEBUG)
        self._run_id = run_id
        self._adapter_file = adapter_file
        self._guard = guard
        self._open: dict[tuple[object, ...], list[OpenSpan]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Begin or end a step."""
        with self._guard:
            if type(record.msg) is str and record.msg.startswith(_PREFIX):
                self._take(record)

    def _take(self, record: logging.LogRecord) -> None:
        owner = running_module()
        if owner is None or owner.trace.run_id != self._run_id:
            return
        if record.pathname == self._adapter_file and record.funcName == "run":
            return
        line = TimingLine.parse(record.getMessage())
        if line is None:
            return
        place = (owner.attributes[key.EXPERIMENT_PATH], line.name, line.step)
        if line.kind == "START":
            span = start_step_in(owner, line.step, _ago_ns(line.timestamp, owner))
            self._open.setdefault(place, []).append(span)
        else:
            begun = self._open.get(place)
            _end(line, owner, begun.pop() if begun else None)

    def fail(self, error: BaseException) -> None:
        """End what is open as what an exception ended."""
        opened, self._open = self._open, {}
        for spans in opened.values():
            for span in reversed(spans):
                span.fail(error)


def _end(line: TimingLine, owner: OpenSpan, span: OpenSpan | None) -> None:
    """End a step; one that was begun unseen began as long ago as the line says that it took."""
    ago_ns = _ago_ns(line.timestamp, owner)
    if span is None:
        took_ns = int((line.duration or 0.0) * 1e9)
        span = start_step_in(owner, line.step, min(ago_ns + took_ns, owner.age_ns))
    span.stop(ago_ns)
    if line.kind == "ERROR":
        span.end({key.ERROR_TYPE: UNKNOWN_ERROR}, UNKNOWN_ERROR)
    else:
        span.end({})


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _ago_ns(timestamp: float | None, owner: OpenSpan) -> int:
    """Return how long ago a line says that something was, if it was while `owner` was open."""
    if timestamp is None:
        return 0
    ago_ns = time.time_ns() - int(timestamp * 1e9)
    return ago_ns if 0 <= ago_ns <= owner.age_ns else 0
