"""PETsARD's logging set up as it wants it, and the host's left as it was."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import is_petsard
from petsard_otel.logs import has_left
from petsard_otel.telemetry.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable


class NameKeeping(logging.Formatter):
    """Formats as PETsARD's formatter does, and gives a record back with the name that it had."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        # Whoever asks for the format is told PETsARD's.
        self.__dict__.update(vars(formatter))
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """Format a record for PETsARD's log."""
        name = record.name
        try:
            return self._formatter.format(record)
        finally:
            record.name = name


_lock = threading.RLock()


def keep_handlers(
    wrapped: Callable[..., Any],
    instance: object,  # noqa: ARG001  wrapt hands it over
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call what sets up PETsARD's logging, and put back the handlers of others that it removed."""
    guard = Guard()
    root, own = logging.getLogger(), logging.getLogger("PETsARD")
    with _lock:
        of_root = list(root.handlers)
        of_host: list[logging.Handler] = []
        with guard:
            of_host = [handler for handler in own.handlers if not _is_petsards(handler)]
        try:
            return wrapped(*args, **kwargs)
        finally:
            with guard:
                _put_back(root, of_root)
                _put_back(own, of_host)
                for handler in own.handlers:
                    _keep_names(handler)


def _put_back(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    kept = [handler for handler in handlers if not has_left(handler)]
    added = [handler for handler in logger.handlers if handler not in handlers]
    if logger.handlers != [*kept, *added]:
        logger.handlers = [*kept, *added]


def _keep_names(handler: logging.Handler) -> None:
    formatter = getattr(handler, "formatter", None)
    if formatter is None or isinstance(formatter, NameKeeping) or not _is_petsards(handler):
        return
    handler.setFormatter(NameKeeping(formatter))


def _is_petsards(handler: logging.Handler) -> bool:
    formatter = getattr(handler, "formatter", None)
    return isinstance(formatter, NameKeeping) or is_petsard(handler) or is_petsard(formatter)


def _renew_lock() -> None:
    """Free the child of a fork from a lock that a thread of its parent held."""
    global _lock  # noqa: PLW0603  there is one for the process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
