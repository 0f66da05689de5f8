"""PETsARD's own modules under our Executor. Imports PETsARD."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import petsard.adapter
import petsard.exceptions

from petsard_otel.exceptions import ConfigError
from petsard_otel.petsard.observing import logs_timing, observed
from petsard_otel.petsard.status import PetsardStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from petsard_otel.adapter import Adapter
    from petsard_otel.config import Config, Execution
    from petsard_otel.status import Status


class PetsardEngine:
    """Makes PETsARD's adapters, also those that somebody added to `petsard.adapter`."""

    name = "petsard"

    def __init__(self) -> None:
        self._listens = False

    def create(self, module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
        """Make PETsARD's adapter from parameters of its own: PETsARD's take entries out of them.

        Raises:
            ConfigError: PETsARD refuses the parameters.
        """
        cls = getattr(petsard.adapter, f"{module}Adapter", None)
        if cls is None:
            raise ConfigError(
                f"PETsARD has no such module: there is no petsard.adapter.{module}Adapter",
                module=module,
                experiment=experiment,
            )
        try:
            adapter: Adapter = cls(deepcopy(dict(parameters)))
        except Exception as error:
            said = error.message if isinstance(error, petsard.exceptions.PETsARDError) else error
            raise ConfigError(
                f"PETsARD refuses these parameters: {' '.join(str(said).split())} "
                f"({type(error).__name__})",
                module=module,
                experiment=experiment,
            ) from error
        self._listens = self._listens or logs_timing(adapter)
        return adapter

    def status(self, config: Config, **providers: Any) -> Status:
        """Make a Status that reads PETsARD's adapters."""
        return PetsardStatus(config, **providers)

    def around(self, status: Status) -> AbstractContextManager[None]:
        """Return what has PETsARD's steps recorded."""
        if not isinstance(status, PetsardStatus):
            return nullcontext()
        return observed(status, listens=self._listens)

    def predict(self, status: Status, execution: Execution, adapter: Adapter) -> None:
        """Have PETsARD predict what its Preprocessor will make."""
        if execution.module == "Preprocessor" and isinstance(status, PetsardStatus):
            status.predict_preprocessor(execution.parameters)
