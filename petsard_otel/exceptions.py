"""The errors this package raises, one condition each. A leaf: imports nothing of ours."""

from __future__ import annotations


class PetsardOtelError(Exception):
    """Base of every error that this package raises itself."""


class ConfigError(PetsardOtelError):
    """A configuration, or an argument that stands for one, cannot be used as it is.

    The text names the place first, as far as it is known: source file and line, then module,
    experiment and key.
    """

    def __init__(
        self,
        message: str,
        *,
        module: str | None = None,
        experiment: str | None = None,
        key: str | None = None,
        source: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.module = module
        self.experiment = experiment
        self.key = key
        self.source = source
        self.line = line

    def __str__(self) -> str:
        where = []
        if self.source is not None:
            where.append(self.source if self.line is None else f"{self.source}:{self.line}")
        elif self.line is not None:
            where.append(f"line {self.line}")
        if self.module is not None:
            place = self.module
            if self.experiment is not None:
                place += f"[{self.experiment}]"
            if self.key is not None:
                place += f".{self.key}"
            where.append(place)
        return ": ".join([*where, self.message])

    def located(self, source: str | None, line: int | None) -> ConfigError:
        """Return the same error with the file and line added."""
        return ConfigError(
            self.message,
            module=self.module,
            experiment=self.experiment,
            key=self.key,
            source=source,
            line=line,
        )


class UnexecutedError(PetsardOtelError):
    """A result, schema or report was asked for before the module that makes it has run."""


class DataError(PetsardOtelError):
    """A module was given data that it cannot work with. Names columns and counts, never cells."""


class DecodeError(PetsardOtelError):
    """A span is not one of ours, or was damaged on its way, and cannot become a record."""


class HistoryError(PetsardOtelError):
    """A history of runs is not there, cannot be used, or does not hold what was asked for."""


class SourceError(PetsardOtelError):
    """What a run is to be read from cannot be read, or holds no run, or not the one asked for."""


class ExportError(PetsardOtelError):
    """An export cannot be written where it should go; what was there is as it was."""
