"""Synthetic-data pipelines that can be seen: PETsARD's Executor and Status on OpenTelemetry."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from petsard_otel.version import __version__ as __version__

if TYPE_CHECKING:
    from petsard_otel.adapter import Adapter
    from petsard_otel.config import Config
    from petsard_otel.exceptions import ConfigError, UnexecutedError
    from petsard_otel.executor import Executor
    from petsard_otel.petsard.instrumentor import PETsARDInstrumentor
    from petsard_otel.records import ChangeRecord, ExecutionSnapshot, TimingRecord
    from petsard_otel.schema import Attribute, Schema, SchemaDiff
    from petsard_otel.status import Status
    from petsard_otel.telemetry.setup import configure
    from petsard_otel.telemetry.spans import step_span

_HOMES = {
    "Adapter": "adapter",
    "Attribute": "schema",
    "ChangeRecord": "records",
    "Config": "config",
    "ConfigError": "exceptions",
    "ExecutionSnapshot": "records",
    "Executor": "executor",
    "PETsARDInstrumentor": "petsard.instrumentor",
    "Schema": "schema",
    "SchemaDiff": "schema",
    "Status": "status",
    "TimingRecord": "records",
    "UnexecutedError": "exceptions",
    "configure": "telemetry.setup",
    "step_span": "telemetry.spans",
}

__all__ = [
    "Adapter",
    "Attribute",
    "ChangeRecord",
    "Config",
    "ConfigError",
    "ExecutionSnapshot",
    "Executor",
    "PETsARDInstrumentor",
    "Schema",
    "SchemaDiff",
    "Status",
    "TimingRecord",
    "UnexecutedError",
    "configure",
    "step_span",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import petsard_otel` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"petsard_otel.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
