"""Our errors as scripts that were written for PETsARD catch them. Imports PETsARD."""

from __future__ import annotations

import petsard.exceptions

from petsard_otel.exceptions import ConfigError, UnexecutedError


class PetsardUnexecutedError(UnexecutedError, petsard.exceptions.UnexecutedError):  # type: ignore[misc]
    """A result, schema or report was asked for too early; both packages' error for it."""


class PetsardConfigError(ConfigError, petsard.exceptions.ConfigError):  # type: ignore[misc]
    """There is no such module in the run; both packages' error for it."""
