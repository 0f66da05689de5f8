"""PETsARD's logging set up as it wants it, and the host's left as it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class NameKeeping(logging.Formatter):
    """Formats as PETsARD's formatter does, and gives a record back with the name that it had."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """Format a record for PETsARD's log."""
        name = record.name
        try:
            return self._formatter.format(record)
        finally:
            record.name = name


def keep_handlers(
    wrapped: Callable[..., Any],
    instance: object,  # noqa: ARG001  wrapt hands it over
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call what sets up PETsARD's logging, and put back the handlers of others that it removed."""
    root, own = logging.getLogger(), logging.getLogger("PETsARD")
    of_root = list(root.handlers)
    of_host = [handler for handler in own.handlers if not _is_petsards(handler)]
    try:
        return wrapped(*args, **kwargs)
    finally:
        _put_back(root, of_root)
        _put_back(own, of_host)
        for handler in own.handlers:
            if handler.formatter is not None and _is_petsards(handler):
                handler.setFormatter(_keeping(handler.formatter))


def _put_back(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    added = [handler for handler in logger.handlers if handler not in handlers]
    if logger.handlers != [*handlers, *added]:
        logger.handlers = [*handlers, *added]


def _keeping(formatter: logging.Formatter) -> NameKeeping:
    return formatter if isinstance(formatter, NameKeeping) else NameKeeping(formatter)


def _is_petsards(handler: logging.Handler) -> bool:
    if isinstance(handler.formatter, NameKeeping):
        return True
    classes = (type(handler), type(handler.formatter))
    return any(cls.__module__.partition(".")[0] == "petsard" for cls in classes)
