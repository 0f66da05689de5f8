"""Attributes of spans in OTLP/JSON, past json_format, which takes several times as long.

Only what can be read in one way alone; all else is left to it, to read or to refuse. Pure.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_PLAIN_TYPES = {"stringValue": str, "boolValue": bool}


def taken_attributes(span: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the attributes out of a span's JSON, where all of them are plain; else none."""
    found = span.get("attributes")
    if type(found) is not list or not all(map(_is_plain_entry, found)):
        return []
    del span["attributes"]
    return found


def add_attributes(span: Span, attributes: list[dict[str, Any]]) -> None:
    """Add what was taken.

    Raises:
        ValueError: A number has over 64 bits, or a text cannot be UTF-8.
    """
    for entry in attributes:
        _set(span.attributes.add(key=entry["key"]).value, entry["value"])


def _is_plain_entry(entry: Any) -> bool:
    return (
        type(entry) is dict
        and len(entry) == 2
        and type(entry.get("key")) is str
        and _is_plain(entry.get("value"))
    )


def _is_plain(value: Any) -> bool:
    """Tell whether there is but one way to read a value, a list of such among them."""
    if type(value) is not dict or len(value) != 1:
        return False
    found = value.get("arrayValue")
    if type(found) is dict and len(found) == 1:
        values = found.get("values")
        return type(values) is list and bool(values) and all(map(_is_plain_scalar, values))
    return _is_plain_scalar(value)


def _is_plain_scalar(value: Any) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, found),) = value.items()
    if kind == "intValue":
        return type(found) is int or (type(found) is str and _INTEGER.fullmatch(found) is not None)
    if kind == "doubleValue":
        return type(found) is float and isfinite(found)
    return type(found) is _PLAIN_TYPES.get(kind)


def _set(target: AnyValue, value: dict[str, Any]) -> None:
    """Set what is plain."""
    ((kind, found),) = value.items()
    if kind == "stringValue":
        target.string_value = found
    elif kind == "intValue":
        target.int_value = int(found)
    elif kind == "boolValue":
        target.bool_value = found
    elif kind == "doubleValue":
        target.double_value = found
    else:
        for entry in found["values"]:
            _set(target.array_value.values.add(), entry)
