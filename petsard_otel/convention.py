"""How a Status reads the adapters that it is handed: the built-in modules', or PETsARD's.

Knows nothing of telemetry. PETsARD's convention is in `petsard_otel.petsard`, and is imported when
the first of its objects comes along.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from petsard_otel.adapter import describes_schema
from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

    from petsard_otel.adapter import Adapter
    from petsard_otel.state import PipelineState


DESCRIBED = ("Loader", "Splitter", "Preprocessor")
"""The modules whose schemas PETsARD hands on to later ones; no other's must be handed on."""


class Output(NamedTuple):
    """What an execution made: its table, with columns named as they may be shown, and its schema.

    `schema` is ours, or what the adapter calls its schema; both are None where there is none.
    """

    table: pd.DataFrame | None
    schema: Any


NO_OUTPUT = Output(None, None)


class Convention(Protocol):
    """What differs between the built-in modules and PETsARD's. One object for each Status."""

    engine: str
    """Whose modules it is for: `builtin` or `petsard`."""

    def leave_former_path(self, state: PipelineState, module: str) -> None:
        """Forget what came after a module that runs again."""

    def keep_schema(self, state: PipelineState, module: str, adapter: Adapter) -> None:
        """Keep the schema that later modules get."""

    def output(self, module: str, adapter: Adapter, kept: Any, received: Any) -> Output:
        """Look at what an execution made, and copy none of it.

        Args:
            module: The module.
            adapter: What was run.
            kept: The schema that later modules get of it.
            received: The schema of what it was given, of ours where it is known.
        """

    def readable(self, schema: Any) -> Schema | None:
        """Return a schema as one of ours, as it may be shown; None where it cannot be read."""

    def native(self, schema: Any, like: Any) -> Any:
        """Return a schema as modules want it; one like `like` where that is of PETsARD's class."""

    def schema_inferencer(self) -> Any:
        """Return what predicts a Preprocessor's output schema."""

    @property
    def unexecuted_error(self) -> type[UnexecutedError]:
        """The error for a question that comes too early."""

    @property
    def config_error(self) -> type[ConfigError]:
        """The error for a question about a module that there is not."""


class BuiltinConvention:
    """How the built-in modules are read, and every adapter that is not PETsARD's."""

    engine = "builtin"

    def leave_former_path(self, state: PipelineState, module: str) -> None:
        """Forget later modules, their checks, and, of another table, the rows split so far."""
        state.drop_validation_result(module)
        if module not in state.status or module not in state.sequence:
            return
        for name in state.sequence[state.position_of(module) + 1 :]:
            state.drop_validation_result(name)
            if state.status.pop(name, None) is not None and name == "Splitter":
                # Another table: its rows have nothing to do with those split so far.
                state.exist_train_indices = []

    def keep_schema(self, state: PipelineState, module: str, adapter: Adapter) -> None:
        """Keep what the adapter says; a module that says nothing has no schema."""
        schema = None
        if describes_schema(adapter):
            with suppress(NotImplementedError):
                schema = adapter.get_metadata()
        if schema is None:
            state.metadata.pop(module, None)
        else:
            state.metadata[module] = schema
        if module == "Preprocessor":
            state.preprocessor_input_schema = state.get_received_schema(module)

    def output(self, module: str, adapter: Adapter, kept: Any, received: Any) -> Output:
        """Return the table that an adapter made, of a split the part that goes on."""
        pandas = sys.modules.get("pandas")
        if pandas is None:
            return Output(None, kept)
        result = adapter.get_result()
        if isinstance(result, dict):
            result = result.get("train")
        return Output(result if isinstance(result, pandas.DataFrame) else None, kept)

    def readable(self, schema: Any) -> Schema | None:
        """Return one that can be read as it is."""
        return readable_schema(schema)

    def native(self, schema: Any, like: Any) -> Any:
        """Return it as it is: these modules work with our schemas."""
        return schema

    def schema_inferencer(self) -> Any:
        """Return the built-in Preprocessor's."""
        from petsard_otel.modules.inference import SchemaInferencer

        return SchemaInferencer()

    @property
    def unexecuted_error(self) -> type[UnexecutedError]:
        """Ours."""
        return UnexecutedError

    @property
    def config_error(self) -> type[ConfigError]:
        """Ours."""
        return ConfigError


def convention_of(thing: object) -> Convention | None:
    """Return PETsARD's convention for one of its objects, None for all others."""
    if not is_petsard(thing):
        return None
    from petsard_otel.petsard.convention import PetsardConvention

    return PetsardConvention()


def is_petsard(thing: object) -> bool:
    """Tell whether an object's class, or one that it derives from, is PETsARD's own."""
    if "petsard" not in sys.modules:
        return False
    return any(_package(cls) == "petsard" for cls in type(thing).__mro__)


def readable_schema(schema: Any) -> Schema | None:
    """Return a schema as one of ours, without its values; None where it cannot be read."""
    if isinstance(schema, Schema):
        return schema
    if not is_petsard(schema) or not isinstance(getattr(schema, "attributes", None), dict):
        return None
    from petsard_otel.petsard.schema import from_petsard

    return from_petsard(schema)


def _package(cls: type) -> str:
    # Read past a metaclass, which may answer something else, or fail.
    module = type.__dict__["__dict__"].__get__(cls).get("__module__")
    return module.partition(".")[0] if type(module) is str else ""
