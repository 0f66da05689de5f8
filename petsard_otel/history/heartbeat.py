"""A sign of life twice a second while runs are open, in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Heartbeat:
    """Calls `beat` again and again, from `resume` to `rest`. Holds no process back.

    An interrupt may come at any moment of a call. A `threading.Event` would then stay locked for
    ever, a `SimpleQueue` does not.
    """

    def __init__(self, beat: Callable[[], float]) -> None:
        """Do not beat yet.

        Args:
            beat: Returns how many seconds to wait for the next one.
        """
        self._beat = beat
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._rests = False
        self._is_over = False
        self._beating = threading.Lock()

    def resume(self) -> None:
        """Beat from now on; where a process is ending, and starts no thread any more, do not."""
        if self._rests:
            self._calls.put(None)
        # Where an interrupt came as the thread was being started, nobody knows whether it was.
        elif not self._beating.locked():
            with suppress(RuntimeError):
                threading.Thread(target=self._run, name="petsard-otel-history", daemon=True).start()

    def rest(self) -> None:
        """Beat no more until `resume`. Called by `beat`."""
        self._rests = True

    def end(self) -> None:
        """Beat never again."""
        self._is_over = True
        self._calls.put(None)

    def _run(self) -> None:
        if not self._beating.acquire(blocking=False):
            return
        while not self._is_over:
            seconds = self._beat()
            with suppress(Empty):
                self._calls.get(timeout=None if self._rests else seconds)
            self._rests = False
