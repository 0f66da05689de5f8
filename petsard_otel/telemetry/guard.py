"""The one place that swallows an error: our own failure is never the host's failure."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_logger = logging.getLogger(__name__)


class Guard:
    """A context in which nothing of ours raises; the first failure is logged, all are counted.

    Only `Exception` is held back: an interrupt goes through. The log names the class of the
    error and the line, never its message, which may quote a cell. Thread-safe enough: a lost
    count under contention is harmless.

    Attributes:
        errors: How many failures were held back.
        first: The first one's class and line, such as `TypeError at store.py:7`.
    """

    __slots__ = ("errors", "first")

    def __init__(self) -> None:
        self.errors = 0
        self.first: str | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc_type is None:
            return False
        if not issubclass(exc_type, Exception):
            return False
        self.errors += 1
        if self.errors == 1:
            place = "?"
            while traceback is not None:
                frame = traceback.tb_frame
                place = f"{frame.f_code.co_filename}:{traceback.tb_lineno}"
                traceback = traceback.tb_next
            self.first = f"{exc_type.__name__} at {place}"
            # A handler of the host's may raise, too.
            with suppress(Exception):
                _logger.warning(
                    "petsard-otel could not record something (%s); "
                    "the pipeline goes on, further failures of this run are not logged",
                    self.first,
                )
        return True
