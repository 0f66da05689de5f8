"""Where the `PETsARD` logger's records go during a run: PETsARD's `Executor:` section, and others.

That logger alone is touched, and given back at the end as it was found.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from petsard_otel.exceptions import ConfigError
from petsard_otel.passing import passing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

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
_relay: _Relay | None = None

OWN_RECORD = {"petsard_otel_own": object()}
"""Given as `extra` to what this package itself says on the `PETsARD` logger: counts and names."""

_HIDDEN = -sys.maxsize
"""A level below that of any handler."""


@passing
def petsard_log(options: LogOptions | None) -> Generator[None]:
    """Send the `PETsARD` logger's records of this run where the options say, while it runs.

    Runs in several threads keep their records apart: a record goes to the handlers of the run in
    whose context it is made, and to all where it is made in none.
    """
    if options is None:
        yield
        return
    run = object()
    handlers = _handlers(options)
    for handler in handlers:
        handler.setLevel(options.log_level)
        handler.addFilter(lambda _: _run.get() in (None, run))
    token = _run.set(run)
    try:
        with _fed(_Listeners(handlers, is_a_log=True)):
            yield
    finally:
        _run.reset(token)
        for handler in handlers:
            handler.close()


@passing
def overheard(handler: logging.Handler) -> Generator[None]:
    """Hand the `PETsARD` logger's records to one more handler, unseen by the host.

    Its level says which records it wants; whose, it has to find out itself.
    """
    try:
        with _fed(_Listeners([handler], is_a_log=False)):
            yield
    finally:
        handler.close()


class _Listeners:
    """The handlers of one run; `is_a_log` where they are what the user reads the log in."""

    def __init__(self, handlers: list[logging.Handler], *, is_a_log: bool) -> None:
        self.handlers = handlers
        self.is_a_log = is_a_log
        self.level = min(handler.level for handler in handlers)


@passing
def _fed(listeners: _Listeners) -> Generator[None]:
    """Have the relay hand records on; the first run installs it, the last removes it."""
    global _relay  # noqa: PLW0603  the host has one logger of this name
    with _lock:
        if _relay is None:
            _relay = _Relay(logging.getLogger("PETsARD"))
        relay = _relay
        relay.serve((*relay.listeners, listeners))
    try:
        yield
    finally:
        with _lock:
            relay.serve(tuple(each for each in relay.listeners if each is not listeners))
            if not relay.listeners:
                relay.remove()
                _relay = None


class _Relay(logging.Handler):
    """Stands before the host's handlers on the `PETsARD` logger while a run wants its records.

    The logger passes what the runs want, and the relay hands it to their handlers. The host's
    handlers, up to the root's, are given the records that they would have without any run; only
    one on a child of this logger, which comes before us, may see more.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.listeners: tuple[_Listeners, ...] = ()
        self._logger = logger
        self._former_level = self._given_level = logger.level
        # A new list, since another thread may be on its way through the old one.
        logger.handlers = [self, *logger.handlers]

    def serve(self, listeners: tuple[_Listeners, ...]) -> None:
        """Hand records to these from now on, and lower the logger's level as far as they want."""
        self.listeners = listeners
        level = self._level_of_host()
        wanted = min((each.level for each in listeners), default=sys.maxsize)
        given = wanted if wanted < self._threshold() else level
        if self._logger.level != given:
            self._logger.setLevel(given)
        self._former_level, self._given_level = level, given

    def remove(self) -> None:
        """Leave the logger, which by now has the host's level."""
        self._logger.handlers = [each for each in self._logger.handlers if each is not self]
        self.close()

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand a record on, and see to it that the host's handlers see no more than ever.

        Takes no lock: each handler has its own.
        """
        is_for_host = record.levelno >= self._threshold() or self._is_of_own_level(record)
        listeners = self.listeners
        for each in listeners:
            for handler in each.handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)
        if not is_for_host:
            # It was made for us; every handler that comes after looks at its level once more.
            record.levelno = _HIDDEN
        elif not any(each.is_a_log for each in listeners) and not self._is_handled(record):
            # Python writes warnings that no handler takes to stderr, and would count us as one.
            last = logging.lastResort
            if last is not None and record.levelno >= last.level:
                last.handle(record)
        return True

    def _level_of_host(self) -> int:
        """Return the level that the host gave the logger, which it may do at any time."""
        is_ours = self._logger.level == self._given_level
        return self._former_level if is_ours else self._logger.level

    def _threshold(self) -> int:
        """Return the level from which on the logger would pass records without any run."""
        parent = self._logger.parent
        return self._level_of_host() or (0 if parent is None else parent.getEffectiveLevel())

    def _is_of_own_level(self, record: logging.LogRecord) -> bool:
        """Tell whether a child of the logger made the record at a level of its own."""
        for logger in self._way(record):
            if logger is self._logger or logger.level:
                return logger is not self._logger
        return False

    def _is_handled(self, record: logging.LogRecord) -> bool:
        """Tell whether the host has a handler on the record's way."""
        return any(each is not self for logger in self._way(record) for each in logger.handlers)

    def _way(self, record: logging.LogRecord) -> Iterator[logging.Logger]:
        """Yield the loggers that a record passes, beginning with the one that it was made on."""
        made_on = self._logger.manager.loggerDict.get(record.name)
        logger: logging.Logger | None = self._logger
        if isinstance(made_on, logging.Logger):
            logger = made_on
        while logger is not None:
            yield logger
            logger = logger.parent if logger.propagate else None


def has_left(handler: logging.Handler) -> bool:
    """Tell whether a handler is a relay of ours that no run wants any more."""
    return isinstance(handler, _Relay) and handler is not _relay


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


def _renew_lock() -> None:
    """Free the child of a fork from a lock that a thread of its parent held."""
    global _lock  # noqa: PLW0603  there is one for the process
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
