"""How PETsARD's adapters are read: what its own Status would keep of them, and what they made."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import Output, is_petsard, readable_schema
from petsard_otel.petsard.schema import to_petsard
from petsard_otel.schema import Attribute, Schema, label_name

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        if module == "Preprocessor":
            self._numbered = {}
        table = _table(module, adapter)
        word = readable_schema(kept if module in DESCRIBED else _word(adapter))
        if table is None:
            return Output(None, word)
        return self._described(table, word or readable_schema(received), module)

    def native(self, schema: Any, like: Any) -> Any:
        """Return one of our schemas as PETsARD's, which its modules want."""
        if not isinstance(schema, Schema):
            return schema
        return to_petsard(schema, like if is_petsard(like) else None)

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

    def _described(self, table: pd.DataFrame, word: Schema | None, module: str) -> Output:
        """Describe a table's columns by the schema, and by their types where it does not know them.

        PETsARD names one-hot columns after categories, which are cells: they get numbers.
        """
        if word is None:
            return Output(table, Schema.from_dataframe(table, module))
        labels = [label_name(label) for label in table.columns]
        if labels == list(word.attributes):
            return Output(table, word)
        names = [
            label if label in word.attributes else self._name(label, word.attributes)
            for label in labels
        ]
        if names != labels:
            table = table.copy(deep=False)
            table.columns = names
        unknown = [position for position, name in enumerate(names) if name not in word.attributes]
        found = Schema.from_dataframe(table.iloc[:, unknown], word.id).attributes
        known = {**found, **word.attributes}
        return Output(table, Schema(word.id, {name: known[name] for name in names}))

    def _name(self, label: str, described: Mapping[str, Attribute]) -> str:
        """Return how a column may be called that no schema describes."""
        if label in self._numbered:
            return self._numbered[label]
        origins = [name for name in described if label.startswith(f"{name}_")]
        if not origins:
            return label
        origin = max(origins, key=len)
        taken = {*described, *self._numbered.values()}
        number = 1
        while f"{origin}_{number}" in taken:
            number += 1
        return self._numbered.setdefault(label, f"{origin}_{number}")


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
