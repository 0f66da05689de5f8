"""Our errors as scripts that were written for PETsARD catch them. Imports PETsARD."""

from __future__ import annotations

import petsard.exceptions

from petsard_otel.exceptions import ConfigError, UnexecutedError


class PetsardUnexecutedError(
    UnexecutedError,
    petsard.exceptions.UnexecutedError,  # type: ignore[misc]
    KeyError,
):
    """Something was asked for too early; both packages' error, or PETsARD's KeyError, for it."""

    def __str__(self) -> str:
        return str(self.message)


class PetsardConfigError(
    ConfigError,
    petsard.exceptions.ConfigError,  # type: ignore[misc]
    ValueError,
):
    """There is no such module in the run; both packages' error, or PETsARD's ValueError, for it."""
