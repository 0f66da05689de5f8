"""PETsARD's `Executor:` section: where the `PETsARD` logger's records go during a run.

That logger alone is touched, and given back at the end as it was found.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from petsard_otel.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHOICES = {
    "log_output_type": ("stdout", "file", "both"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
}

_FORMAT = "%(asctime)s - %(name)-24s - %(funcName)-30s - %(levelname)-8s - %(message)s"


@dataclass(frozen=True)
class LogOptions:
    """The section's keys, with PETsARD's defaults."""

    log_output_type: str = "file"
    log_level: str = "INFO"
    log_dir: str = "."
    log_filename: str = "PETsARD_{timestamp}.log"

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> LogOptions | None:
        """Check the section; None where there is none, and nothing is logged for us.

        Raises:
            ConfigError: A key is unknown or has a wrong value.
        """
        if not section:
            return None
        valid = [field.name for field in fields(cls)]
        for name, value in section.items():
            if name not in valid:
                raise ConfigError(
                    f"unknown key {name!r}; Valid: {', '.join(valid)}", module="Executor", key=name
                )
            if not isinstance(value, str):
                raise ConfigError(
                    f"expected text, found {type(value).__name__}", module="Executor", key=name
                )
            if "\0" in value:
                raise ConfigError("a path cannot hold a NUL", module="Executor", key=name)
            choices = _CHOICES.get(name)
            if choices is not None and value not in choices:
                raise ConfigError(
                    f"expected one of {', '.join(choices)} (found {value!r})",
                    module="Executor",
                    key=name,
                )
        return cls(**section)


_run: ContextVar[object] = ContextVar("petsard-otel-log-of-run", default=None)
_lock = threading.Lock()
_levels: dict[object, int] = {}
_former_level = logging.NOTSET


@contextmanager
def petsard_log(options: LogOptions | None) -> Iterator[None]:
    """Send the `PETsARD` logger's records of this run where the options say, while it runs.

    Runs in several threads keep their records apart: a record goes to the handlers of the run in
    whose context it is made, and to all where it is made in none.
    """
    if options is None:
        yield
        return
    logger = logging.getLogger("PETsARD")
    run = object()
    handlers = _handlers(options)
    for handler in handlers:
        handler.setLevel(options.log_level)
        handler.addFilter(lambda _: _run.get() in (None, run))
        logger.addHandler(handler)
    _begin(logger, run, logging.getLevelName(options.log_level))
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)
        _end(logger, run)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _begin(logger: logging.Logger, run: object, level: int) -> None:
    """Let the logger pass what any run wants; the first of them notes the host's own level."""
    global _former_level  # noqa: PLW0603  the host has one logger of this name
    with _lock:
        if not _levels:
            _former_level = logger.level
        _levels[run] = level
        logger.setLevel(min(_levels.values()))


def _end(logger: logging.Logger, run: object) -> None:
    """Let the logger pass what the other runs want; the last one gives the host's level back."""
    with _lock:
        del _levels[run]
        logger.setLevel(min(_levels.values(), default=_former_level))


def _handlers(options: LogOptions) -> list[logging.Handler]:
    handlers: list[logging.Handler] = []
    if options.log_output_type in {"file", "both"}:
        folder = Path(options.log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # Local time, as PETsARD's own file names have it.
        timestamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        name = options.log_filename.replace("{timestamp}", timestamp)
        handlers.append(logging.FileHandler(folder / name, encoding="utf-8"))
    if options.log_output_type in {"stdout", "both"}:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
    return handlers
