"""Ending providers in good time, whatever they wait for. Knows no OpenTelemetry."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from petsard_otel.telemetry.sending.report import Report

LAST_WORDS_SECONDS = 0.1
"""How long a call that is cut off may take to come back."""


class Ending:
    """A call to make in the end; one that may take long in a thread that waits for its turn.

    The thread is there from the beginning, since Python 3.12 starts none once it has begun to
    exit. The process does not wait for it.
    """

    def __init__(self, call: Callable[[], object], *, may_take_long: bool) -> None:
        self._call = call
        self._may_begin = threading.Event()
        self._thread = self._started() if may_take_long else None

    def begin(self) -> None:
        """Make the call; where a fork has left the thread behind, in a new one if there can be."""
        self._may_begin.set()
        if self._thread is None:
            self._run()
        elif not self._thread.is_alive():
            try:
                self._thread = self._started()
            except RuntimeError:
                self._run()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the call to return."""
        if self._thread is not None:
            self._thread.join(max(timeout_seconds, 0))

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="petsard-otel-ending", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        self._may_begin.wait()
        with Guard(), Quiet():
            self._call()


def end_within(timeout_seconds: float, endings: Sequence[Ending], report: Report) -> None:
    """Make all calls at once, cut off what is still sending in the end, and say what is lacking."""
    end = time.monotonic() + timeout_seconds
    cut = end - min(LAST_WORDS_SECONDS, timeout_seconds / 2)
    for delivery in report.deliveries:
        delivery.close_by(cut)
    for ending in endings:
        ending.begin()
    for ending in endings:
        ending.join(cut - time.monotonic())
    for delivery in report.deliveries:
        delivery.stop()
    for ending in endings:
        ending.join(end - time.monotonic())
    report.say_at_end()
