"""What a schema in PETsARD's format declares of a table, and how it is applied.

Knows columns and no file. Errors name columns and counts, never a cell.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from petsard_otel.exceptions import DataError
from petsard_otel.modules.parameters import Parameters, unknown_name
from petsard_otel.schema import Attribute, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Column = pd.Series[Any]

logger = logging.getLogger(__name__)

NEEDS_PETSARD = 'needs PETsARD itself; install it with: pip install "petsard-otel[petsard]"'
"""What an error says of a key or value that PETsARD takes and this module does not."""

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


def as_list(value: Any) -> list[Any] | None:
    """Read one value, or a list of them, as a list."""
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise ValueError("expected a text or a number, or a list of them")
    return values


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

    _na_values = field_validator("na_values", mode="before")(as_list)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """Take the keys of `type_attr` as if they stood beside it."""
        nested = (given.get("type_attr") or {}) if isinstance(given, dict) else None
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
        if self.default_value is not None and self.cast_errors == "ignore":
            raise ValueError("`default_value` needs a column that is cast; see `cast_errors`")
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


def apply_attributes(
    data: pd.DataFrame, attributes: Mapping[str, AttributeParameters]
) -> pd.DataFrame:
    """Return the table with every declared column as it was declared.

    Raises:
        DataError: A column does not fit what is declared of it.
    """
    nothing = pd.Series(np.nan, index=data.index, dtype=object)
    applied = {name: _apply(data.get(name, nothing), each) for name, each in attributes.items()}
    data = replaced(data, applied)
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
    return replaced(data, {name: _without_mask(data[name]) for name in attributes})


def replaced(data: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return the table with these columns; `assign` takes none that is named `self`."""
    data = data.copy(deep=False)
    for name, column in columns.items():
        data[name] = column
    return data


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
        column = mask(column, attribute.na_values)
    column = _cast_as_declared(column, attribute)
    if attribute.default_value is not None:
        column = column.fillna(_cast(attribute.default_cell, attribute).iloc[0])
    if attribute.precision is not None and pd.api.types.is_float_dtype(column):
        column = column.round(attribute.precision)
    return column


def mask(column: Column, na_values: list[Any]) -> Column:
    """Return the column with these values missing, whether it holds them as numbers or as text."""
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
    plain = pd.Series([""]).dtype
    if column.dtype == plain and pd.api.types.infer_dtype(column) == "string":
        return column
    return column.astype("string").astype(object).where(column.notna(), np.nan).astype(plain)


def _to_bool(column: Column) -> Column:
    truths = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    return column.astype("string").str.strip().str.lower().map(truths).astype("boolean")


def _to_datetime(column: Column, format: str | None) -> Column:
    """Read numbers as they are written, such as a year, not as a count of nanoseconds."""
    if pd.api.types.is_numeric_dtype(column):
        column = _to_text(_to_int(column))
    dates = pd.to_datetime(column, errors="coerce", format=format)
    if not pd.api.types.is_datetime64_any_dtype(dates):
        raise ValueError("the column mixes time zones")
    return dates


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
