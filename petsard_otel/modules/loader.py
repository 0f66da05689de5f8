"""The Loader: reads one file into a table and applies the schema that is declared for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationInfo, field_validator

from petsard_otel.documents import read_document_file
from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.loading.files import READERS, Source, read_table, require_file
from petsard_otel.modules.loading.schema import (
    COLUMN_TYPES,
    NEEDS_PETSARD,
    SchemaKey,
    SchemaParameters,
    apply_attributes,
    as_list,
    describe,
)
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

PETSARD_ENDINGS = (".odf", ".ods", ".odt", ".xls", ".xlsb")
"""Endings that PETsARD reads through further packages."""

NAMED_COLUMNS = (".json", ".parquet")
"""Endings of files that have no header that could be left out."""


class LoaderAdapter:
    """Reads one file: the result is the table, its schema carries what was declared.

    `module` is what errors name: another module may load its files through this one.
    """

    def __init__(
        self, experiment: str, parameters: Mapping[str, Any], *, module: str = "Loader"
    ) -> None:
        self._read_parameters = partial(read_parameters, module=module, experiment=experiment)
        self._config_error = partial(ConfigError, module=module, experiment=experiment)
        self._parameters = self._read_parameters(LoaderParameters, given=parameters)
        self._declared: SchemaParameters | None = None
        if not isinstance(self._parameters.schema_, str):
            self._declared = self._declare(self._parameters.schema_ or {})
        self._data: pd.DataFrame | None = None
        self._schema: Schema | None = None

    def set_input(self, status: Status) -> dict[str, Any]:
        """Return nothing: what a Loader needs is in its parameters."""
        return {}

    def run(self, input: dict[str, Any]) -> None:
        """Read the file and apply the schema.

        Raises:
            FileNotFoundError: There is no such file, or no such schema file.
            ConfigError: The schema file is not in PETsARD's format.
            DataError: The file is not what its ending says, or does not fit the schema.
        """
        with step_span("load"):
            declared = self._declared
            if declared is None:
                declared = self._read_schema_file(self._parameters.schema_)
            path = self._parameters.filepath
            data = read_table(Source(path, self._parameters, declared.attributes))
            data = apply_attributes(data, declared.attributes)
            self._schema = describe(data, declared.id or path.stem, declared.attributes)
            self._data = data

    def get_result(self) -> pd.DataFrame:
        """Return the table. Its rows are numbered from 0."""
        if self._data is None:
            raise UnexecutedError("the Loader has not run yet")
        return self._data

    def get_metadata(self) -> Schema:
        """Return the schema of the table."""
        if self._schema is None:
            raise UnexecutedError("the Loader has not run yet")
        return self._schema

    def _read_schema_file(self, path: str) -> SchemaParameters:
        require_file(Path(path))
        try:
            return self._declare(read_document_file(Path(path)).content)
        except ConfigError as error:
            found = self._config_error(error.message, key=error.key or "schema")
            raise found.located(path, error.line) from None

    def _declare(self, schema: Any) -> SchemaParameters:
        """Read a schema and join it with the older key `column_types`."""
        declared = self._read_parameters(SchemaKey, given={"schema": schema}).schema_
        columns = {
            column: COLUMN_TYPES[column_type.lower()]
            for column_type, names in (self._parameters.column_types or {}).items()
            for column in names
        }
        twice = sorted(columns.keys() & declared.attributes.keys())
        if twice:
            message = f"also declared in `schema`: {', '.join(twice)}; keep only the schema's"
            raise self._config_error(message, key="column_types")
        return declared.model_copy(update={"attributes": {**columns, **declared.attributes}})


class LoaderParameters(Parameters):
    """Parameters of the Loader."""

    filepath: Path
    schema_: Any = Field(default=None, alias="schema")
    nrows: int | None = Field(default=None, ge=1)
    column_types: dict[str, list[str]] | None = None
    header_names: list[str] | None = None
    na_values: Any = None

    @field_validator("filepath", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Path:
        if value == "" or not isinstance(value, str | Path):
            raise ValueError("expected the path of a file")
        ending = _no_benchmark(Path(value)).suffix.lower()
        if ending in PETSARD_ENDINGS:
            raise ValueError(f"the file ending {ending!r} {NEEDS_PETSARD}")
        if ending not in READERS:
            raise ValueError(unknown_name("file ending", ending, READERS))
        return Path(value)

    @field_validator("schema_")
    @classmethod
    def _schema_or_path(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, dict | str | Path):
            raise ValueError("expected a schema, or the path of a YAML file that holds one")
        return str(_no_benchmark(Path(value))) if isinstance(value, str | Path) else value

    @field_validator("column_types")
    @classmethod
    def _known_column_types(cls, value: dict[str, list[str]] | None) -> Any:
        for column_type in value or {}:
            if column_type.lower() not in COLUMN_TYPES:
                raise ValueError(unknown_name("column type", column_type, COLUMN_TYPES))
        return value

    @field_validator("header_names")
    @classmethod
    def _distinct(cls, value: list[str] | None, earlier: ValidationInfo) -> list[str] | None:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError("expected one name for each column, none of them twice")
        path = earlier.data.get("filepath")
        if value is not None and path is not None and path.suffix.lower() in NAMED_COLUMNS:
            raise ValueError(f"the columns of a {path.suffix} file have names already")
        return value

    @field_validator("na_values")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(column): as_list(values) for column, values in value.items()}
        return as_list(value)


def _no_benchmark(path: Path) -> Path:
    if path.parts and path.parts[0].lower() == "benchmark:":
        raise ValueError(f"a benchmark:// data set {NEEDS_PETSARD}")
    return path
