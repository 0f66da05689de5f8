"""What a table's own structure does not tell, taken over from the schema that was declared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from petsard_otel.modules.processing.numbers import restored
from petsard_otel.modules.processing.processor import Columns, columns_by_name
from petsard_otel.schema import Schema

if TYPE_CHECKING:
    from petsard_otel.schema import Attribute


def schema_like(data: pd.DataFrame, declared: Schema) -> Schema:
    """Return the structure of a table, with what `declared` adds to it under the same type.

    Types and nullability are the table's own; whether a column is categorical, its logical type
    and its precision are those declared.
    """
    own = Schema.from_dataframe(data, declared.id)
    return Schema.of(
        declared.id,
        (
            replace(declared.attributes[name], nullable=attribute.nullable)
            if name in declared.attributes and declared.attributes[name].type == attribute.type
            else attribute
            for name, attribute in own.attributes.items()
        ),
    )


def rounded(data: pd.DataFrame, declared: Schema) -> pd.DataFrame:
    """Return the table with its floats rounded to the precision that is declared for them."""
    return _with_columns(
        data,
        {
            name: column.round(declared.attributes[name].precision or 0)
            for name, column in columns_by_name(data).items()
            if column.dtype.kind == "f"
            and name in declared.attributes
            and declared.attributes[name].precision is not None
        },
    )


def conformed(data: pd.DataFrame, declared: Schema) -> pd.DataFrame:
    """Return the table with the types and the precision declared, where its values allow."""
    changed = {}
    own = Schema.from_dataframe(data, declared.id).attributes
    for name, column in columns_by_name(data).items():
        attribute = declared.attributes.get(name)
        if attribute is not None and own[name].type != attribute.type:
            dtype = _dtype(attribute)
            if dtype is not None:
                changed[name] = restored(column, dtype)
    return rounded(_with_columns(data, changed), declared)


def _with_columns(data: pd.DataFrame, changed: Columns) -> pd.DataFrame:
    if not changed:
        return data
    frame = pd.DataFrame({**columns_by_name(data), **changed})
    frame.columns = data.columns
    return frame


def _dtype(attribute: Attribute) -> Any:
    """Return pandas' type for one of the simple types; None for others."""
    name = attribute.type
    if attribute.category:
        return None
    if name.startswith(("int", "uint", "float")):
        return np.dtype(name)
    if name == "boolean":
        return np.dtype(bool)
    if name == "string":
        return pd.StringDtype()
    if name.startswith("datetime["):
        return pd.DatetimeTZDtype("ns", name[len("datetime[") : -1])
    return np.dtype("datetime64[ns]") if name == "datetime" else None
