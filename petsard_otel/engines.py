"""Whose modules run: the built-in ones or PETsARD's, by one interface."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from petsard_otel.adapter import predicts_schema
from petsard_otel.config import MODULES
from petsard_otel.exceptions import ConfigError
from petsard_otel.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from petsard_otel.adapter import Adapter
    from petsard_otel.config import Config, Execution

ENGINES = ("auto", "builtin", "petsard")
"""Whose modules run: PETsARD's where it is installed, the built-in ones, or PETsARD's."""

IMPORT_FAILURES = (
    ImportError,
    AttributeError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""How importing PETsARD fails where something that it needs is missing, broken or another's."""

PETSARD_EXTRA = 'pip install "petsard-otel[petsard]"'
"""How to install PETsARD with all that it needs."""

_logger = logging.getLogger(__name__)


class Engine(Protocol):
    """Makes the modules of a run, and what they are run with."""

    name: str
    """`builtin` or `petsard`."""

    def create(self, module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
        """Make the adapter of one module with one experiment's parameters; nothing is run.

        Raises:
            ConfigError: The parameters cannot be used.
        """

    def status(self, config: Config, **providers: Any) -> Status:
        """Make the Status of a run."""

    def around(self, status: Status) -> AbstractContextManager[None]:
        """Return what is held around a run."""

    def predict(self, status: Status, execution: Execution, adapter: Adapter) -> None:
        """Predict the schema that a module will produce, where that can be done."""


class BuiltinEngine:
    """The modules of this package, and their Status."""

    name = "builtin"

    def create(self, module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
        """Make a built-in module's adapter.

        Raises:
            ConfigError: The parameters cannot be used.
        """
        from petsard_otel.modules import create_adapter

        return create_adapter(module, experiment, parameters)

    def status(self, config: Config, **providers: Any) -> Status:
        """Make a plain Status."""
        return Status(config, **providers)

    def around(self, status: Status) -> AbstractContextManager[None]:
        """Return nothing to speak of: built-in modules open their steps themselves."""
        return nullcontext()

    def predict(self, status: Status, execution: Execution, adapter: Adapter) -> None:
        """Let a module predict that can."""
        if predicts_schema(adapter):
            status.predict(execution.module, adapter)


def engine_called(name: str) -> Engine:
    """Return an engine; `auto` is PETsARD's where PETsARD is installed and can be imported.

    Raises:
        ConfigError: There is no such engine, or PETsARD is asked for and cannot be had.
    """
    if name not in ENGINES:
        raise ConfigError(f"engine is one of {', '.join(ENGINES)} (found {name!r})")
    if name == "builtin" or (name == "auto" and petsard_version() is None):
        return BuiltinEngine()
    try:
        # Its modules are imported here: seconds, which a built-in run need not wait for.
        from petsard_otel.petsard.engine import PetsardEngine

        engine = PetsardEngine()
    except IMPORT_FAILURES as error:
        problem = _problem(error)
        if name == "petsard":
            raise ConfigError(problem) from error
        _logger.warning("%s. The built-in modules run", problem)
        return BuiltinEngine()
    if name == "auto":
        _logger.info(why_petsard())
    return engine


def modules_added_to_petsard(engine: str) -> list[str]:
    """Return the modules whose adapters somebody put beside PETsARD's, which imported it."""
    room = sys.modules.get("petsard.adapter")
    if room is None or engine == "builtin":
        return []
    names = [name.removesuffix("Adapter") for name in vars(room) if name.endswith("Adapter")]
    return [name for name in names if name not in {*MODULES, "Base", ""}]


def why_petsard() -> str:
    """Say why `auto` took PETsARD's modules."""
    return (
        f"PETsARD {petsard_version()} is installed, so its modules run; "
        "engine 'builtin' takes the built-in ones"
    )


def petsard_version() -> str | None:
    """Return the version of PETsARD that is installed, None where none is."""
    try:
        return metadata.version("petsard")
    except metadata.PackageNotFoundError:
        return None


def _problem(error: Exception) -> str:
    version = petsard_version()
    if version is None:
        return (
            "engine 'petsard' needs PETsARD, which is not installed; "
            f"with Python 3.10 or 3.11: {PETSARD_EXTRA}"
        )
    missing = f"{type(error).__name__}: {error}"
    return f"PETsARD {version} is installed, but cannot be imported ({missing}); {PETSARD_EXTRA}"
