"""The built-in modules, on pandas and scikit-learn. Imported when one is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from petsard_otel.adapter import Adapter


def create_adapter(module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
    """Make the adapter of one module with one experiment's parameters; nothing is run or read.

    Raises:
        ConfigError: A parameter is unknown, missing or of the wrong type.
    """
    room = import_module(f"petsard_otel.modules.{module.lower()}")
    return cast("Adapter", getattr(room, f"{module}Adapter")(experiment, parameters))
