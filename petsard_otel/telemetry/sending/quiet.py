"""Keeps to ourselves what the libraries below log about our own sending; the host's stays as it is.

Their records would be a second, third and hundredth line for what one line of ours says.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

LIBRARIES = ("opentelemetry", "requests", "urllib3")
"""Whose loggers may speak of our sending."""

_is_ours: ContextVar[bool] = ContextVar("petsard-otel-sending", default=False)


class Quiet:
    """A context whose warnings and errors, if a library's, are dropped. Enter each but once."""

    __slots__ = ("_token",)

    _token: Token[bool]

    def __enter__(self) -> None:
        self._token = _is_ours.set(True)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _is_ours.reset(self._token)


class _Ours(logging.Filter):
    """Lets through what is not about our sending, and what only somebody who asked would see."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING or not _is_ours.get()


_filter = _Ours()


def hush_libraries() -> None:
    """Have the libraries' loggers ask whose sending a record is about. More than once is once.

    A filter works on the logger itself, not on those below it, so each logger gets it. It comes
    first: theirs that drop repetitions must not count what nobody sees.
    """
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if (
            isinstance(logger, logging.Logger)
            and name.partition(".")[0] in LIBRARIES
            and _filter not in logger.filters
        ):
            logger.filters.insert(0, _filter)
