"""PETsARD's `Executor:` section: where the `PETsARD` logger's records go during a run.

That logger alone is touched, and given back at the end as it was found.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
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
            choices = _CHOICES.get(name)
            if choices is not None and value not in choices:
                raise ConfigError(
                    f"expected one of {', '.join(choices)} (found {value!r})",
                    module="Executor",
                    key=name,
                )
        return cls(**section)


@contextmanager
def petsard_log(options: LogOptions | None) -> Iterator[None]:
    """Send the `PETsARD` logger's records where the options say, while the block runs."""
    if options is None:
        yield
        return
    logger = logging.getLogger("PETsARD")
    handlers = _handlers(options)
    level = logger.level
    logger.setLevel(options.log_level)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


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
