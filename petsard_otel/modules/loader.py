"""The Loader: reads one file into a table and applies the schema that is declared for it.

Reading knows files, applying knows columns. Errors name files, lines, columns and counts, never
a cell.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from xml.etree.ElementTree import ParseError as XmlError

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.schema import Attribute, Schema
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.status import Status

    Column = pd.Series[Any]

logger = logging.getLogger(__name__)

NEEDS_PETSARD = 'needs PETsARD itself; install it with: pip install "petsard-otel[petsard]"'
"""What an error says of a key or value that PETsARD takes and this module does not."""

PETSARD_ENDINGS = (".odf", ".ods", ".odt", ".xls", ".xlsb")
"""Endings that PETsARD reads through further packages."""

NAMED_COLUMNS = (".json", ".parquet")
"""Endings of files that have no header that could be left out."""

FIRST_ROW = {"header": None, "names": None, "dtype": None, "nrows": 1}
"""pandas' options for a look at the first row of a file."""


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
        try:
            return self._declare(self._read_yaml(Path(path)))
        except ConfigError as error:
            raise error.located(path, error.line) from None

    def _read_yaml(self, path: Path) -> Any:
        _require_file(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - it is a SafeLoader
        except UnicodeDecodeError:
            raise self._config_error("expected text in UTF-8", key="schema") from None
        except yaml.MarkedYAMLError as error:
            line = None if error.problem_mark is None else error.problem_mark.line + 1
            message = f"not YAML: {error.problem}"
            raise self._config_error(message, key="schema", line=line) from None
        except yaml.YAMLError:
            message = "not YAML: it holds a character that YAML forbids"
            raise self._config_error(message, key="schema") from None

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
            return {str(column): _as_list(values) for column, values in value.items()}
        return _as_list(value)


def _no_benchmark(path: Path) -> Path:
    if path.parts and path.parts[0].lower() == "benchmark:":
        raise ValueError(f"a benchmark:// data set {NEEDS_PETSARD}")
    return path


def _as_list(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


# The declared schema


PETSARD_SCHEMA_KEYS = frozenset(
    {
        *("category_method", "compute_stats", "constraints", "datetime_format", "enable_null"),
        *("enable_optimize_type", "enable_stats", "foreign_keys", "indexes"),
        *("infer_logical_types", "leading_zeros", "nullable_int", "optimize_dtypes"),
        *("parent_schema_id", "primary_key", "sample_size", "schemas", "stage", "width"),
    }
)
"""Keys of PETsARD's schema format that are refused, unless they switch something off."""

KIND_OF_TYPE: Mapping[str, str] = {
    **dict.fromkeys(("int", "integer", "int8", "int16", "int32", "int64"), "int"),
    **dict.fromkeys(("uint8", "uint16", "uint32", "uint64"), "int"),
    **dict.fromkeys(("float", "float16", "float32", "float64"), "float"),
    **dict.fromkeys(("str", "string"), "str"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("date", "datetime", "datetime64", "datetime64[ns]"), "datetime"),
}
"""What each spelling of a declared type, in lower case, makes of a column."""


def _known_keys(given: dict[Any, Any], model: type[Parameters]) -> dict[Any, Any]:
    """Refuse keys that need PETsARD or are none, and drop those that switch something off."""
    for key, value in given.items():
        if key in PETSARD_SCHEMA_KEYS and value is not False:
            raise ValueError(f"the key {key!r} {NEEDS_PETSARD}")
        if key not in PETSARD_SCHEMA_KEYS and key not in model.model_fields:
            raise ValueError(unknown_name("key", str(key), model.model_fields))
    return {key: value for key, value in given.items() if key not in PETSARD_SCHEMA_KEYS}


class AttributeParameters(Parameters):
    """What PETsARD's schema format declares of one column; None leaves it to the data."""

    name: str | None = None
    description: str | None = None
    type: str | None = None
    logical_type: str | None = None
    category: bool | None = None
    nullable: bool | None = None
    precision: int | None = Field(default=None, ge=0)
    format: str | None = None
    na_values: list[Any] | None = None
    default_value: Any = None
    cast_errors: Literal["raise", "coerce", "ignore"] = "coerce"
    null_strategy: Literal["keep", "drop", "fill"] = "keep"

    _na_values = field_validator("na_values", mode="before")(_as_list)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """Take the keys of `type_attr` as if they stood beside it."""
        nested = given.get("type_attr") or {} if isinstance(given, dict) else None
        if not isinstance(nested, dict):
            raise ValueError("expected keys such as `type`; check the indentation")
        twice = sorted(map(str, given.keys() & nested.keys()))
        if twice:
            raise ValueError(f"given both here and in `type_attr`: {', '.join(twice)}")
        outer = {key: value for key, value in given.items() if key != "type_attr"}
        return _known_keys(outer | nested, cls)

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        if value is None or value.lower() in KIND_OF_TYPE:
            return value
        if value.lower() == "category":
            raise ValueError("a category is no type; write `category: true` beside the type")
        valid = ("int", "float", "str", "bool", "date", "datetime")
        raise ValueError(unknown_name("type", value, valid))

    @model_validator(mode="after")
    def _consistent(self) -> AttributeParameters:
        if self.precision is not None and self.kind not in {None, "float", "int"}:
            raise ValueError("`precision` needs a number, such as `type: float`")
        if self.format is not None and self.kind != "datetime":
            raise ValueError("`format` needs `type: date` or `type: datetime`")
        if self.null_strategy == "fill" and self.default_value is None:
            raise ValueError("`null_strategy: fill` needs a `default_value`")
        if self.default_value is not None and self.kind is None:
            raise ValueError("`default_value` needs a `type`")
        if self.default_value is not None and _cast(self.default_cell, self).isna().any():
            raise ValueError(f"`default_value` is no {self.type}")
        return self

    @property
    def kind(self) -> str | None:
        """What the column becomes: int, float, str, bool, datetime; None for what it is."""
        return None if self.type is None else KIND_OF_TYPE[self.type.lower()]

    @property
    def default_cell(self) -> Column:
        """The default value as a column of one cell."""
        return pd.Series([self.default_value], dtype=object)


COLUMN_TYPES: Mapping[str, AttributeParameters] = {
    "category": AttributeParameters.model_validate({"type": "str", "category": True}),
    "datetime": AttributeParameters.model_validate({"type": "datetime"}),
}
"""What the Loader's older key `column_types` declares of a column."""


class SchemaParameters(Parameters):
    """PETsARD's schema format; `fields` is its older name for `attributes`."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    attributes: dict[str, AttributeParameters] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _attributes_by_text(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("expected a mapping with the key `attributes`")
        given = dict(given)
        if "fields" in given and "attributes" not in given:
            given["attributes"] = given.pop("fields")
        if isinstance(given.get("attributes"), dict):
            given["attributes"] = {str(key): each for key, each in given["attributes"].items()}
        return _known_keys(given, cls)

    @field_validator("attributes")
    @classmethod
    def _one_name_each(cls, value: dict[str, AttributeParameters]) -> Any:
        for name, attribute in value.items():
            if attribute.name not in {None, name}:
                raise ValueError(f"{name!r} has another name in its key `name`")
        return value


class SchemaKey(Parameters):
    """A schema under its key, so that errors name the whole path to a mistake."""

    schema_: SchemaParameters = Field(alias="schema")


class UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice in one mapping is an error."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - yaml's signature
    ) -> dict[Any, Any]:
        """Read one mapping."""
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value in seen:
                message = f"the key {key_node.value!r} stands twice"
                raise yaml.MarkedYAMLError(problem=message, problem_mark=key_node.start_mark)
            seen.add(str(key_node.value))
        return super().construct_mapping(node, deep)


def apply_attributes(
    data: pd.DataFrame, attributes: Mapping[str, AttributeParameters]
) -> pd.DataFrame:
    """Return the table with every declared column as it was declared.

    Raises:
        DataError: A column does not fit what is declared of it.
    """
    nothing = pd.Series(np.nan, index=data.index, dtype=object)
    data = data.assign(
        **{name: _apply(data.get(name, nothing), each) for name, each in attributes.items()}
    )
    incomplete = [name for name, each in attributes.items() if each.null_strategy == "drop"]
    data = data.dropna(subset=incomplete).reset_index(drop=True)
    if data.empty:
        raise DataError("`null_strategy: drop` leaves no rows")
    for name, attribute in attributes.items():
        missing = int(data[name].isna().sum())
        if missing and attribute.nullable is False:
            raise DataError(
                f"column {name!r} is declared `nullable: false` and {missing} of {len(data)} "
                "cells are missing; declare `nullable: true`, or a `null_strategy`"
            )
    return data.assign(**{name: _without_mask(data[name]) for name in attributes})


def describe(data: pd.DataFrame, id: str, attributes: Mapping[str, AttributeParameters]) -> Schema:
    """Return the structure of the table with what only the declaration knows."""
    schema = Schema.from_dataframe(data, id)
    return Schema(
        id,
        {
            name: _declared(attribute, attributes[name]) if name in attributes else attribute
            for name, attribute in schema.attributes.items()
        },
    )


def _declared(found: Attribute, declared: AttributeParameters) -> Attribute:
    return dataclasses.replace(
        found,
        nullable=found.nullable if declared.nullable is None else declared.nullable,
        category=found.category if declared.category is None else declared.category,
        logical_type=declared.logical_type,
        precision=declared.precision,
    )


def _apply(column: Column, attribute: AttributeParameters) -> Column:
    if attribute.na_values:
        column = _mask(column, attribute.na_values)
    column = _cast_as_declared(column, attribute)
    if attribute.default_value is not None:
        column = column.fillna(_cast(attribute.default_cell, attribute).iloc[0])
    if attribute.precision is not None and pd.api.types.is_float_dtype(column):
        column = column.round(attribute.precision)
    return column


def _mask(column: Column, na_values: list[Any]) -> Column:
    return column.mask(column.isin([*na_values, *map(str, na_values)]))


def _cast_as_declared(column: Column, attribute: AttributeParameters) -> Column:
    """Cast a column and deal with the cells that cannot be as `cast_errors` says."""
    if attribute.kind is None:
        return column
    cast = _cast(column, attribute)
    present = int(column.notna().sum())
    lost = present - int(cast.notna().sum())
    if lost == 0:
        return cast
    if attribute.cast_errors == "ignore":
        return column
    if attribute.cast_errors == "raise" or lost == present:
        raise DataError(
            f"{lost} of {present} values of column {column.name!r} are no {attribute.type}; "
            "correct the file or declare another type"
        )
    logger.warning(
        "%d of %d values of column %s are no %s and count as missing",
        lost,
        present,
        column.name,
        attribute.type,
    )
    return cast


def _cast(column: Column, attribute: AttributeParameters) -> Column:
    """Cast a column to its declared type; a cell that cannot be cast is missing then."""
    try:
        if attribute.kind == "datetime":
            return _to_datetime(column, attribute.format)
        return CASTS[str(attribute.kind)](column)
    except (TypeError, ValueError):
        return pd.Series(np.nan, index=column.index, dtype=object, name=column.name)


def _to_int(column: Column) -> Column:
    """Round fractions, as PETsARD does; a number that cannot be exact is none."""
    if pd.api.types.is_bool_dtype(column):
        return column.astype("Int64")
    numbers = pd.to_numeric(column, errors="coerce", dtype_backend="numpy_nullable")
    # Text that holds a fraction anywhere is parsed as floats, which are exact up to 2**53 only.
    is_parsed = not pd.api.types.is_numeric_dtype(column)
    limit = 2**53 if is_parsed and pd.api.types.is_float_dtype(numbers) else 2**63
    return numbers.where(numbers.abs() < limit).round().astype("Int64")


def _to_float(column: Column) -> Column:
    return pd.to_numeric(column, errors="coerce").astype("float64")


def _to_text(column: Column) -> Column:
    text = column.astype("string").astype(object).where(column.notna(), np.nan)
    return text.astype(pd.Series([""]).dtype)


def _to_bool(column: Column) -> Column:
    truths = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    return column.astype("string").str.strip().str.lower().map(truths).astype("boolean")


def _to_datetime(column: Column, format: str | None) -> Column:
    """Read numbers as they are written, such as a year, not as a count of nanoseconds."""
    if pd.api.types.is_numeric_dtype(column):
        column = _to_text(_to_int(column))
    return pd.to_datetime(column, errors="coerce", format=format)


CASTS: Mapping[str, Callable[[Column], Column]] = {
    "int": _to_int,
    "float": _to_float,
    "str": _to_text,
    "bool": _to_bool,
}


def _without_mask(column: Column) -> Column:
    """Return pandas' nullable types as plain ones where nothing is missing."""
    if column.dtype in ("Int64", "boolean") and column.notna().all():
        return column.astype("int64" if column.dtype == "Int64" else "bool")
    return column


# Reading


NO_EXCEL = (
    *(zipfile.BadZipFile, zlib.error, XmlError, EOFError),
    *(LookupError, OSError, RuntimeError, ValueError),
)
NO_PARQUET = (pa.ArrowException, LookupError, OSError, TypeError, ValueError)
"""What pandas raises on such files after random bytes were written into them."""


class Source(NamedTuple):
    """A file, and what is known of it before it is read."""

    path: Path
    parameters: LoaderParameters
    attributes: Mapping[str, AttributeParameters]


def read_table(source: Source) -> pd.DataFrame:
    """Read a file by its ending. Missing cells are NaN or NaT; labels are text.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It cannot be read, holds no rows, or lacks a column that is named.
    """
    path = source.path
    _require_file(path)
    with path.open("rb") as file:
        if not file.read(1):
            raise DataError(f"{path} is empty; expected a header and rows")
    data = READERS[path.suffix.lower()](source)
    if data.empty:
        raise DataError(f"{path}: expected a header and rows, found no rows")
    _require_columns(source, data)
    for name, column in data.items():
        if pd.api.types.is_object_dtype(column):
            data = data.assign(**{str(name): column.where(column.notna(), np.nan)})
    return data


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a directory; name the file in it")
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FileNotFoundError(f"there is no file {path}{where}; check the path")


def _require_columns(source: Source, data: pd.DataFrame) -> None:
    names = [name for name, each in source.attributes.items() if each.default_value is None]
    if isinstance(source.parameters.na_values, dict):
        names.extend(source.parameters.na_values)
    for name in names:
        if name not in data.columns:
            raise DataError(f"{source.path}: {unknown_name('column', name, data.columns)}")


def _read_text(source: Source) -> pd.DataFrame:
    """Read .csv or .tsv. A column of declared type stays text, so that casting loses nothing."""
    options = _pandas_options(source)
    options |= {"sep": "\t" if source.path.suffix.lower() == ".tsv" else ","}
    options["dtype"] = {name: str for name, each in source.attributes.items() if each.kind}
    try:
        if source.parameters.header_names is not None:
            _require_width(source, pd.read_csv(source.path, **options | FIRST_ROW))
        # Types that are guessed chunk by chunk would depend on where a chunk ends.
        data: pd.DataFrame = pd.read_csv(source.path, low_memory=False, **options)
    except UnicodeDecodeError:
        raise _not_utf8(source) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{source.path} is empty; expected a header and rows") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{source.path}: {_parser_problem(str(error))}") from None
    # Where rows are longer than the header, pandas takes their first cells for row labels.
    if not data.index.equals(pd.RangeIndex(len(data))):
        raise DataError(
            f"{source.path}: the header names {data.shape[1]} columns and the rows hold more; "
            "name every column"
        )
    return data


def _pandas_options(source: Source) -> dict[str, Any]:
    """Return the options that pandas takes for text and for Excel alike."""
    na_values = source.parameters.na_values
    if na_values is None:
        declared = source.attributes.items()
        na_values = {name: each.na_values for name, each in declared if each.na_values}
    options = {"na_values": na_values, "nrows": source.parameters.nrows}
    if source.parameters.header_names is not None:
        options |= {"header": None, "names": source.parameters.header_names}
    return options


def _require_width(source: Source, first: pd.DataFrame) -> None:
    names = source.parameters.header_names or []
    if len(names) != first.shape[1]:
        raise DataError(
            f"{source.path}: expected {len(names)} columns, one for each of header_names, "
            f"found {first.shape[1]}"
        )


def _not_utf8(source: Source) -> DataError:
    return DataError(f"{source.path}: expected text in UTF-8; save the file again as UTF-8")


def _parser_problem(text: str) -> str:
    """Say what pandas' parser said, but for what could be a cell."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text):
        expected, line, saw = found.groups()
        return f"expected {expected} cells in line {line}, found {saw}; quote cells with commas"
    if found := re.search(r"EOF inside string starting at row (\d+)", text):
        return f"a quote that opens in row {int(found[1])} is never closed"
    return "expected one line of cells for each row; look at the file in an editor"


def _read_excel(source: Source) -> pd.DataFrame:
    """Read the first worksheet."""
    options = _pandas_options(source)
    options["dtype"] = {name: str for name, each in source.attributes.items() if each.kind == "str"}
    try:
        with pd.ExcelFile(source.path, engine="openpyxl") as workbook:
            if not workbook.sheet_names:
                raise DataError(f"{source.path}: expected a worksheet, found none")
            if source.parameters.header_names is not None:
                _require_width(source, pd.read_excel(workbook, **options | FIRST_ROW))
            data: pd.DataFrame = pd.read_excel(workbook, **options)
            return data.rename(columns=str)
    except NO_EXCEL:
        raise DataError(
            f"{source.path}: expected an Excel workbook, found a file that is none, is damaged or "
            "has a password; save it again as .xlsx"
        ) from None


def _read_parquet(source: Source) -> pd.DataFrame:
    """Read a Parquet file; an index that was stored under a name becomes columns."""
    try:
        data = pd.read_parquet(source.path)
    except NO_PARQUET:
        raise DataError(
            f"{source.path}: expected a Parquet file, found a file that is none or is damaged; "
            "write it again"
        ) from None
    named = [name for name in data.index.names if name is not None]
    return _like_text(data.reset_index(level=named).reset_index(drop=True), source)


def _read_json(source: Source) -> pd.DataFrame:
    """Read records, or columns. Not by pandas' reader, which rounds the last digit of numbers."""
    try:
        content = json.loads(source.path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise _not_utf8(source) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{source.path}: expected JSON that is one list of records, cannot read on from "
            f"line {error.lineno}, column {error.colno}"
        ) from None
    cells = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list) or not all(
        isinstance(cell, dict | list) for cell in cells
    ):
        raise DataError(f"{source.path}: expected a list of records, found other JSON")
    try:
        data = pd.DataFrame(content)
    except ValueError:
        raise DataError(f"{source.path}: expected columns of one length") from None
    return _like_text(data.reset_index(drop=True).rename(columns=str), source)


def _like_text(data: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Do for a file that has types what pandas does when it reads text."""
    na_values = source.parameters.na_values or {}
    if isinstance(na_values, list):
        na_values = dict.fromkeys(data.columns, na_values)
    for name in data.columns.intersection(list(na_values)):
        data = data.assign(**{name: _mask(data[name], na_values[name])})
    return data.head(source.parameters.nrows or len(data))


READERS: Mapping[str, Callable[[Source], pd.DataFrame]] = {
    ".csv": _read_text,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".tsv": _read_text,
    ".xlsm": _read_excel,
    ".xlsx": _read_excel,
}
"""What reads a file, by its ending."""
