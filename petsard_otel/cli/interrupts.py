"""Ctrl-C at any moment, also while a library makes another error of it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Interrupts:
    """Raises KeyboardInterrupt as Python does, and remembers that it did.

    Python itself turns one into a RuntimeError where it strikes a `__set_name__`, which happens
    in a class body: while something is imported.
    """

    def __init__(self) -> None:
        self.has_come = False
        # Under `nohup`, or where somebody handles SIGINT already, that stays as it is.
        self._is_ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._is_ours:
            signal.signal(signal.SIGINT, self._take)

    def check(self) -> None:
        """Raise KeyboardInterrupt where one came, as a library may have swallowed it."""
        if self.has_come:
            raise KeyboardInterrupt

    def end_process(self) -> None:
        """Have a further interrupt end the process on the spot: nothing is left to tidy."""
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        raise KeyboardInterrupt
