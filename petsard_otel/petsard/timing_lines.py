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

    def __init__(self, run_id: str, adapter_file: str) -> None:
        """Listen.

        Args:
            run_id: Whose records are meant.
            adapter_file: Where PETsARD logs how long each module took, which its span says.
        """
        super().__init__(logging.DEBUG)
        self._run_id = run_id
        self._adapter_file = adapter_file
        self._open: dict[tuple[str, str], OpenSpan] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Begin or end a step."""
        if type(record.msg) is not str or not record.msg.startswith((_PREFIX, "%")):
            return
        owner = running_module()
        if owner is None or owner.trace.run_id != self._run_id:
            return
        if record.pathname == self._adapter_file and record.funcName == "run":
            return
        with owner.trace.guard:
            line = TimingLine.parse(record.getMessage())
            if line is not None and line.kind == "START":
                span = start_step_in(owner, line.step, _ago_ns(line.timestamp, owner))
                self._open[line.name, line.step] = span
            elif line is not None:
                self._end(line, owner)

    def _end(self, line: TimingLine, owner: OpenSpan) -> None:
        ago_ns = _ago_ns(line.timestamp, owner)
        span = self._open.pop((line.name, line.step), None)
        if span is None:
            # It was begun unseen: the line says how long it took.
            took_ns = int((line.duration or 0.0) * 1e9)
            span = start_step_in(owner, line.step, min(ago_ns + took_ns, owner.age_ns))
        span.stop(ago_ns)
        if line.kind == "ERROR":
            span.end({key.ERROR_TYPE: UNKNOWN_ERROR}, UNKNOWN_ERROR)
        else:
            span.end({})

    def fail(self, error: BaseException) -> None:
        """End what is open as what an exception ended."""
        while self._open:
            _, span = self._open.popitem()
            span.fail(error)


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
