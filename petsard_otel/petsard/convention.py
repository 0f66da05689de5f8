"""How PETsARD's adapters are read: what its own Status would keep of them, and what they made."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from petsard_otel.convention import DESCRIBED, Output, is_petsard, readable_schema
from petsard_otel.petsard.patches import provider_of
from petsard_otel.petsard.schema import to_petsard
from petsard_otel.schema import Schema, label_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from petsard_otel.adapter import Adapter
    from petsard_otel.exceptions import ConfigError, UnexecutedError
    from petsard_otel.state import PipelineState

_TABLES = {
    "Loader": "data",
    "Preprocessor": "data_preproc",
    "Synthesizer": "data_syn",
    "Postprocessor": "data_postproc",
    "Constrainer": "constrained_data",
}
"""Where adapters hold what they made; their `get_result()` copies it."""

_OWN_SCHEMAS = ("_updated_metadata", "_updated_schema")
"""Where adapters hold a schema that they do not hand on."""


class PetsardConvention:
    """How PETsARD's adapters are read. Keeps one-hot columns' names to itself."""

    engine = "petsard"

    def __init__(self) -> None:
        self._numbered: dict[str, str] = {}
        self._counts: dict[str, Iterator[int]] = {}

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
        word = readable_schema(kept if module in DESCRIBED else _own_schema(adapter))
        before = readable_schema(received) or readable_schema(_held_input(adapter).get("metadata"))
        if module not in {"Loader", "Splitter"} and before is not None:
            # What a Preprocessor's schema has more than it received are one-hot columns, too.
            described = () if word is None or module == "Preprocessor" else word.attributes
            made = () if table is None else map(label_name, table.columns)
            self._number({*made, *(word.attributes if word else ())}.difference(described), before)
        word = self._shown(word)
        if table is None:
            return Output(None, word)
        return self._described(table, word or before, module)

    def readable(self, schema: Any) -> Schema | None:
        """Return a schema as one of ours, with one-hot columns by their numbers."""
        return self._shown(readable_schema(schema))

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

    def _number(self, labels: Iterable[str], before: Schema) -> None:
        """Give numbers to one-hot columns, which PETsARD names after categories: those are cells.

        Such a column is none that the module received, and has the name of one that it did in
        front. It keeps its number during the run, and no other column gets it.
        """
        for label in sorted(labels):
            if label in before.attributes or label in self._numbered:
                continue
            parts = [index for index, letter in enumerate(label) if letter == "_"]
            origins = (label[:index] for index in reversed(parts))
            origin = next((name for name in origins if name in before.attributes), None)
            if origin is None:
                continue
            counted = self._counts.setdefault(origin, itertools.count(1))
            names = (f"{origin}_{number}" for number in counted)
            self._numbered[label] = next(name for name in names if name not in before.attributes)

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
    """Return the very table that an adapter made, of a split the part that goes on.

    An adapter of somebody's own is not asked: it may draw, or answer once. Of one that does not
    answer as PETsARD's do, it is the one table that it holds and was not given.
    """
    import pandas as pd

    held = _held(adapter)
    name = _TABLES.get(module)
    if _answers_as_petsards(adapter):
        made = held.get(name) if name else None
        if module == "Splitter" and "data" in held:
            made = held["data"][1]["train"]
        return made if isinstance(made, pd.DataFrame) else None
    given = {id(value) for value in _held_input(adapter).values()}
    tables = [value for value in held.values() if isinstance(value, pd.DataFrame)]
    made_here = {id(value): value for value in tables if id(value) not in given}
    return next(iter(made_here.values())) if len(made_here) == 1 else None


def is_own(adapter: object) -> bool:
    """Tell whether PETsARD itself made an adapter's class, not somebody who derived from it."""
    return _is_petsards(type(adapter))


def _answers_as_petsards(adapter: object) -> bool:
    provider = provider_of("get_result", type(adapter))
    return provider is not None and _is_petsards(provider)


def _is_petsards(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "petsard"


def _held(adapter: object) -> dict[str, Any]:
    return getattr(adapter, "__dict__", {})


def _held_input(adapter: object) -> dict[str, Any]:
    given = _held(adapter).get("input")
    return given if isinstance(given, dict) else {}


def _own_schema(adapter: Any) -> Any:
    """Return the schema that an adapter has for what it made, None where it has none."""
    held = _held(adapter)
    for name in _OWN_SCHEMAS:
        if held.get(name) is not None:
            return held[name]
    if held.get("is_custom_data") and "loader_adapter" in held:
        return held["loader_adapter"].get_metadata()
    return _held_input(adapter).get("original_schema")
