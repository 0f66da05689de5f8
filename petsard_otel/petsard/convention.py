"""How PETsARD's adapters are read: what its own Status would keep of them, and what they made."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import Output, is_petsard, readable_schema
from petsard_otel.petsard.schema import to_petsard
from petsard_otel.schema import Schema, label_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from petsard_otel.adapter import Adapter
    from petsard_otel.exceptions import ConfigError, UnexecutedError
    from petsard_otel.state import PipelineState

DESCRIBED = ("Loader", "Splitter", "Preprocessor")
"""The modules whose schemas PETsARD hands on to later ones; no other's must be handed on."""

_TABLES = {
    "Loader": "data",
    "Preprocessor": "data_preproc",
    "Synthesizer": "data_syn",
    "Postprocessor": "data_postproc",
    "Constrainer": "constrained_data",
}
"""Where adapters hold what they made; their `get_result()` copies it."""

_WORDS = ("_updated_metadata", "_updated_schema")
"""Where adapters hold a schema that they do not hand on."""


class PetsardConvention:
    """How PETsARD's adapters are read. Keeps one-hot columns' names to itself."""

    engine = "petsard"

    def __init__(self) -> None:
        self._numbered: dict[str, str] = {}

    def leave_former_path(self, state: PipelineState, module: str) -> None:
        """Forget later modules, and nothing else, as PETsARD's own Status does."""
        if module not in state.status:
            return
        on_path = state.sequence[: state.position_of(module) + 1]
        for name in [name for name in state.status if name not in on_path]:
            del state.status[name]

    def keep_schema(self, state: PipelineState, module: str, adapter: Adapter) -> None:
        """Keep PETsARD's own schema of those modules of which PETsARD keeps it."""
        if module not in DESCRIBED:
            return
        schema = adapter.get_metadata()  # type: ignore[attr-defined]
        if module == "Preprocessor":
            before = state.get_pre_module(module)
            if before is not None and before in state.metadata:
                state.preprocessor_input_schema = state.metadata[before]
        state.set_metadata(module, schema)

    def output(self, module: str, adapter: Adapter, kept: Any, received: Any) -> Output:
        """Return what an adapter made, described by PETsARD's own word as far as that goes."""
        table = _table(module, adapter)
        word = readable_schema(kept if module in DESCRIBED else _word(adapter))
        before = readable_schema(received)
        if module in DESCRIBED:
            self._numbered = {}
        if module == "Preprocessor" and before is not None:
            self._number(() if table is None else table.columns, before)
            self._number(() if word is None else word.attributes, before)
        word = self._shown(word)
        if table is None:
            return Output(None, word)
        return self._described(table, word or before, module)

    def native(self, schema: Any, like: Any) -> Any:
        """Return one of our schemas as PETsARD's, which its modules want."""
        if not isinstance(schema, Schema):
            return schema
        labels = {name: label for label, name in self._numbered.items()}
        true = Schema.of(
            schema.id,
            (replace(a, name=labels.get(a.name, a.name)) for a in schema.attributes.values()),
        )
        return to_petsard(true, like if is_petsard(like) else None)

    def schema_inferencer(self) -> Any:
        """Return PETsARD's, which remembers what it predicted."""
        return self._inferencer

    @cached_property
    def _inferencer(self) -> Any:
        from petsard.metadater.schema_inferencer import SchemaInferencer

        return SchemaInferencer()

    @property
    def unexecuted_error(self) -> type[UnexecutedError]:
        """One that is PETsARD's as well."""
        from petsard_otel.petsard.errors import PetsardUnexecutedError

        return PetsardUnexecutedError

    @property
    def config_error(self) -> type[ConfigError]:
        """One that is PETsARD's as well."""
        from petsard_otel.petsard.errors import PetsardConfigError

        return PetsardConfigError

    def _number(self, labels: Iterable[object], before: Schema) -> None:
        """Give numbers to one-hot columns, which PETsARD names after categories: those are cells.

        Such a column is none that the Preprocessor received, and has the name of one that it did
        in front.
        """
        for label in map(label_name, labels):
            origins = [name for name in before.attributes if label.startswith(f"{name}_")]
            if label in before.attributes or label in self._numbered or not origins:
                continue
            origin = max(origins, key=len)
            taken = {*before.attributes, *self._numbered.values()}
            numbers = (f"{origin}_{number}" for number in itertools.count(1))
            self._numbered[label] = next(name for name in numbers if name not in taken)

    def _shown(self, schema: Schema | None) -> Schema | None:
        """Return a schema with one-hot columns by their numbers."""
        if schema is None or self._numbered.keys().isdisjoint(schema.attributes):
            return schema
        return Schema.of(
            schema.id,
            (
                replace(attribute, name=self._numbered.get(name, name))
                for name, attribute in schema.attributes.items()
            ),
        )

    def _described(self, table: pd.DataFrame, word: Schema | None, module: str) -> Output:
        """Describe a table by a schema, and columns that it does not know by their types."""
        labels = [label_name(label) for label in table.columns]
        names = [self._numbered.get(label, label) for label in labels]
        if names != labels:
            table = table.copy(deep=False)
            table.columns = names
        if word is None:
            return Output(table, Schema.from_dataframe(table, module))
        if names == list(word.attributes):
            return Output(table, word)
        unknown = [position for position, name in enumerate(names) if name not in word.attributes]
        found = Schema.from_dataframe(table.iloc[:, unknown], word.id).attributes
        known = {**found, **word.attributes}
        return Output(table, Schema(word.id, {name: known[name] for name in names}))


def _table(module: str, adapter: Any) -> pd.DataFrame | None:
    """Return the very table that an adapter made, of a split the part that goes on."""
    import pandas as pd

    held = _held(adapter)
    if module == "Splitter" and "data" in held:
        made = held["data"][1]["train"]
    elif module in _TABLES and _TABLES[module] in held:
        made = held[_TABLES[module]]
    elif is_own(adapter):
        # What PETsARD's other modules make are scores and reports.
        return None
    else:
        made = adapter.get_result()
        if isinstance(made, dict):
            made = made.get("train")
    return made if isinstance(made, pd.DataFrame) else None


def is_own(adapter: object) -> bool:
    """Tell whether PETsARD itself made an adapter's class, not somebody who derived from it."""
    return type(adapter).__module__.partition(".")[0] == "petsard"


def _held(adapter: object) -> dict[str, Any]:
    return getattr(adapter, "__dict__", {})


def _word(adapter: Any) -> Any:
    """Return the schema that an adapter has for what it made, None where it has none."""
    held = _held(adapter)
    for name in _WORDS:
        if held.get(name) is not None:
            return held[name]
    if held.get("is_custom_data") and "loader_adapter" in held:
        return held["loader_adapter"].get_metadata()
    return held.get("input", {}).get("original_schema")
