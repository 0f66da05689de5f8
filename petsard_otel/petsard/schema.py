"""PETsARD's schemas as ours, without their values, and ours as PETsARD's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from petsard_otel.schema import Attribute, Schema, label_name, unique_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROPERTIES = {"category", "nullable", "precision", "format", "width"}
"""What qualifies a type in PETsARD's schemas, and in ours."""

UNTYPED = "unknown"
"""The type of a column of which PETsARD's schema says none."""


def from_petsard(schema: Any) -> Schema:
    """Return the structure of a `petsard.metadater.metadata.Schema`.

    Names, types and what qualifies them, in their order. Its statistics, default values, values
    that stand for missing ones, constraints and descriptions can hold cells, and stay behind.
    Cost: one pass over the columns.
    """
    attributes: dict[str, Attribute] = {}
    repeats: dict[str, int] = {}
    for label, attribute in schema.attributes.items():
        name = unique_name(label_name(label), attributes, repeats)
        attributes[name] = _attribute(name, attribute)
    identity = schema.id
    return Schema(identity if type(identity) is str else "unknown", attributes)


def to_petsard(schema: Schema, like: Any = None) -> Any:
    """Return a new schema of PETsARD's class with the same structure.

    Args:
        schema: One of ours.
        like: A schema of PETsARD's; what ours does not have is taken from it, column by column,
            but for its statistics.
    """
    from petsard.metadater import metadata

    others = {} if like is None else {label_name(label): label for label in like.attributes}
    attributes: dict[Any, Any] = {}
    for name, attribute in schema.attributes.items():
        given: dict[str, Any] = {
            "type": None if attribute.type == UNTYPED else attribute.type,
            "type_attr": dict(attribute.type_attr),
            "logical_type": attribute.logical_type,
        }
        if name in others:
            other = like.attributes[others[name]]
            properties = other.type_attr if isinstance(other.type_attr, dict) else {}
            unknown = {key: value for key, value in properties.items() if key not in _PROPERTIES}
            given["type_attr"].update(unknown)
            attributes[others[name]] = replace(other, stats=None, **given)
        else:
            attributes[name] = metadata.Attribute(name=name, **given)
    if like is None:
        return metadata.Schema(id=schema.id, attributes=attributes)
    return replace(like, id=schema.id, attributes=attributes, stats=None)


def _attribute(name: str, attribute: Any) -> Attribute:
    given = attribute.type_attr
    properties: Mapping[str, Any] = given if isinstance(given, dict) else {}
    return Attribute(
        name,
        _text(attribute.type) or UNTYPED,
        # What PETsARD takes for granted where nothing is said.
        nullable=bool(properties.get("nullable", True)),
        category=bool(properties.get("category", False)),
        logical_type=_text(attribute.logical_type),
        precision=_whole(properties.get("precision")),
        format=_text(properties.get("format")),
        width=_whole(properties.get("width")),
    )


def _text(value: object) -> str | None:
    return value if type(value) is str else None


def _whole(value: object) -> int | None:
    return value if type(value) is int else None
