"""Warnings and errors as people should see them: one tidy line each, on stderr."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from petsard_otel.reports.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

LOGGER = "petsard_otel"
"""The logger whose warnings are shown; other libraries' logging is theirs."""


class Notices(logging.Handler):
    """Writes notices to a console; also what our own loggers and Python's `warnings` say."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.before_each: Callable[[], None] = _nothing
        self._console = console

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take our loggers' and Python's warnings while the block runs."""
        logger = logging.getLogger(LOGGER)
        logger.addHandler(self)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = self._show_warning
                yield
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record of our loggers."""
        self.warning(record.getMessage())

    def info(self, message: str) -> None:
        """Say what is good to know."""
        self._say(Text(_tidy(message), style="dim"))

    def warning(self, message: str) -> None:
        """Say what a reader of the results should know, in one line."""
        self._say(Text.assemble(("warning: ", "yellow"), _tidy(message)))

    def error(self, message: str) -> None:
        """Say why the command did not do what it was asked to; lines of the message are kept."""
        text = "\n  ".join(visible(line) for line in message.strip().splitlines())
        self._say(Text.assemble(("petsard-otel: error: ", "bold red"), text))

    def _say(self, text: Text) -> None:
        self.before_each()
        self._console.print(text, soft_wrap=True)

    def _show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Stand in for `warnings.showwarning`."""
        self.warning(f"{category.__name__}: {message}")


def _tidy(message: str) -> str:
    return visible(" ".join(message.split()))


def _nothing() -> None:
    """Do nothing."""
