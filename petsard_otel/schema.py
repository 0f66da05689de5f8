"""The structure of a table: frozen, hashed by content, comparable. Holds no cell values.

Knows nothing of OpenTelemetry or PETsARD; pandas only inside `Schema.from_dataframe`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import timezone
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

HASH_LENGTH = 32
"""Hexadecimal digits of a schema hash: 128 bits of a SHA-256."""

MAX_LABEL_BITS = 10_000
"""A column label that is a larger number is named by its type: Python does not write it out."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column: its name and type, never its values.

    `type` is one of `int8` to `uint64`, `float32`, `float64`, `boolean`, `string`, `date`,
    `datetime` (with a zone: `datetime[UTC]`), `timedelta`, `decimal`, `object`, or the name of a
    foreign dtype; of PETsARD's schemas it is PETsARD's own name, such as `int` or `str`. `category`
    marks a column with few distinct values; `type` is then theirs. `precision` counts decimals,
    `width` the digits of a zero-padded number, `format` says how dates are written.
    """

    name: str
    type: str
    nullable: bool = False
    category: bool = False
    logical_type: str | None = None
    precision: int | None = None
    format: str | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        if not self.name.isascii():
            object.__setattr__(self, "name", _well_formed(self.name))

    @property
    def type_attr(self) -> Mapping[str, bool | int | str]:
        """The properties of the type under the names that PETsARD gives them."""
        properties: dict[str, bool | int | str] = {
            "category": self.category,
            "nullable": self.nullable,
        }
        for name in _OPTIONAL_PROPERTIES:
            value = getattr(self, name)
            if value is not None:
                properties[name] = value
        return MappingProxyType(properties)

    @property
    def type_label(self) -> str:
        """The type with everything that qualifies it, nullability aside, for people."""
        parts = [self.type]
        if self.category:
            parts.append("category")
        if self.logical_type is not None:
            parts.append(self.logical_type)
        for name in _OPTIONAL_PROPERTIES:
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name} {value}")
        return " ".join(parts)

    def to_dict(self) -> dict[str, str | bool | int]:
        """Return the canonical form: defaults are left out."""
        form: dict[str, str | bool | int] = {"name": self.name, "type": self.type}
        if self.nullable:
            form["nullable"] = True
        if self.category:
            form["category"] = True
        if self.logical_type is not None:
            form["logical_type"] = self.logical_type
        for name in _OPTIONAL_PROPERTIES:
            value = getattr(self, name)
            if value is not None:
                form[name] = value
        return form

    @classmethod
    def from_dict(cls, form: Any) -> Attribute:
        """Read the canonical form.

        Raises:
            ValueError: The form is not canonical.
        """
        if not isinstance(form, dict):
            raise ValueError(f"expected an object for an attribute, found {type(form).__name__}")
        for key, value in form.items():
            expected = _ATTRIBUTE_FORM.get(key)
            if expected is None or type(value) is not expected:
                raise ValueError(f"unexpected member {key!r} in an attribute")
        if "name" not in form or "type" not in form:
            raise ValueError("an attribute lacks its name or its type")
        return cls(**form)


_ATTRIBUTE_FORM = {
    "name": str,
    "type": str,
    "nullable": bool,
    "category": bool,
    "logical_type": str,
    "precision": int,
    "format": str,
    "width": int,
}

_OPTIONAL_PROPERTIES = ("precision", "format", "width")
"""What qualifies a type where it is given."""


@dataclass(frozen=True, eq=False)
class Schema:
    """The structure of one table: its columns, in order. Immutable; copies are the same object.

    `hash` identifies the structure alone: two loads of one file are equal in it. `id` says where
    the table came from, such as the stem of its file. Two schemas are equal when both agree.
    """

    id: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @classmethod
    def of(cls, id: str, attributes: Iterable[Attribute]) -> Schema:
        """Build a schema from attributes in their order.

        Raises:
            ValueError: Two attributes have one name.
        """
        ordered = list(attributes)
        by_name = {attribute.name: attribute for attribute in ordered}
        if len(by_name) != len(ordered):
            raise ValueError("two attributes of a schema have the same name")
        return cls(id, by_name)

    @classmethod
    def from_dataframe(cls, data: pd.DataFrame, id: str) -> Schema:
        """Read the structure off a table. Cost: one pass over the cells for missing values.

        A column label that is not a string is named by its text; a label of a type we do not
        know by its type alone; the second column of one name gets `#2` behind it.
        """
        nullable = data.isna().any(axis=0).to_list()
        attributes: dict[str, Attribute] = {}
        repeats: dict[str, int] = {}
        for position, label in enumerate(data.columns):
            name = unique_name(label_name(label), attributes, repeats)
            type_name, is_category = _column_type(data.iloc[:, position])
            attributes[name] = Attribute(name, type_name, bool(nullable[position]), is_category)
        return cls(id, attributes)

    @classmethod
    def from_json(cls, id: str, text: str) -> Schema:
        """Read what `json` gives.

        Raises:
            ValueError: The text is not the canonical form of a schema.
        """
        try:
            form = json.loads(text)
        except RecursionError:
            raise ValueError("the text is nested too deeply for a schema") from None
        if not isinstance(form, dict) or list(form) != ["attributes"]:
            raise ValueError("expected an object with the one member 'attributes'")
        if not isinstance(form["attributes"], list):
            raise ValueError("expected a list of attributes")
        schema = cls.of(id, (Attribute.from_dict(entry) for entry in form["attributes"]))
        if schema.json != text:
            raise ValueError("the text is another than the canonical one of the same schema")
        return schema

    @cached_property
    def json(self) -> str:
        """The structure as canonical JSON: the same text for the same structure, always."""
        form = {"attributes": [attribute.to_dict() for attribute in self.attributes.values()]}
        text = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
        if _has_surrogates(text):
            return json.dumps(form, ensure_ascii=True, separators=(",", ":"))
        return text

    @cached_property
    def hash(self) -> str:
        """The identity of the structure: 32 hexadecimal digits."""
        return hashlib.sha256(self.json.encode()).hexdigest()[:HASH_LENGTH]

    def renamed(self, id: str) -> Schema:
        """Return the same structure under another id; what is computed is kept."""
        if id == self.id:
            return self
        copy = Schema(id, self.attributes)
        for name in ("json", "hash"):
            if name in self.__dict__:
                copy.__dict__[name] = self.__dict__[name]
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return self is other or (self.id == other.id and self.hash == other.hash)

    def __hash__(self) -> int:
        return hash((self.id, self.hash))

    def __copy__(self) -> Schema:
        return self

    def __deepcopy__(self, memo: object) -> Schema:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Schema, (self.id, dict(self.attributes)))

    def __repr__(self) -> str:
        return f"Schema(id={self.id!r}, fields={len(self.attributes)}, hash={self.hash!r})"


@dataclass(frozen=True)
class OpaqueSchema:
    """A schema that we cannot read: a mock, or a class that we do not know.

    Two are equal when `id` and `hash` agree. `type_name` is "unknown" where only these came with
    a trace. `reference` is the object itself where it is still at hand.
    """

    id: str
    type_name: str = field(compare=False)
    hash: str
    reference: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that both schemas have, with what it was and what it became."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """How one schema differs from another. False when they have the same structure."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[FieldChange, ...] = ()
    nullability: tuple[FieldChange, ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.added or self.removed or self.retyped or self.nullability or self.reordered
        )

    def inverse(self) -> SchemaDiff:
        """Return the difference in the other direction, but for the order of its entries."""
        return SchemaDiff(
            self.removed,
            self.added,
            tuple(FieldChange(c.name, c.after, c.before) for c in self.retyped),
            tuple(FieldChange(c.name, c.after, c.before) for c in self.nullability),
            self.reordered,
        )


NO_DIFF = SchemaDiff()


def diff(before: Schema, after: Schema) -> SchemaDiff:
    """Compare two structures; the ids take no part. Cost: one pass over both.

    `reordered` is true when the fields that both have stand in another order.
    """
    if before is after or before.hash == after.hash:
        return NO_DIFF
    old, new = before.attributes, after.attributes
    retyped, nullability = [], []
    for name, attribute in new.items():
        previous = old.get(name)
        if previous is None or previous is attribute or previous == attribute:
            continue
        if previous.type_label != attribute.type_label:
            retyped.append(FieldChange(name, previous.type_label, attribute.type_label))
        if previous.nullable != attribute.nullable:
            nullability.append(FieldChange(name, _nullability(previous), _nullability(attribute)))
    return SchemaDiff(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        retyped=tuple(retyped),
        nullability=tuple(nullability),
        reordered=[name for name in old if name in new] != [name for name in new if name in old],
    )


def resolve_prediction(predicted: Schema, actual: Schema) -> Schema:
    """Put the actual columns in the place of every predicted attribute whose name ends in `*`.

    An actual column fits such an attribute when its name begins alike and its type and
    nullability agree; what the prediction names exactly is left to itself.
    """
    exact = {name for name in predicted.attributes if not name.endswith("*")}
    attributes: dict[str, Attribute] = {}
    for name, attribute in predicted.attributes.items():
        if name in actual.attributes or not name.endswith("*"):
            attributes[name] = attribute
            continue
        for column in actual.attributes.values():
            if column.name.startswith(name[:-1]) and column.name not in exact:
                attributes[column.name] = replace(attribute, name=column.name)
    return Schema(predicted.id, attributes)


def label_name(label: object) -> str:
    """Return the name of a column: its label where that is text, else a faithful text for it.

    Only labels of types that we know are asked for their text: another's may fail, or say more
    than a name.
    """
    cls = type(label)
    if issubclass(cls, str):
        return _well_formed(str.__str__(label))
    if label is None or cls is bool:
        return str(label)
    if issubclass(cls, int):
        is_short = int.bit_length(label) <= MAX_LABEL_BITS  # type: ignore[arg-type]
        return int.__repr__(label) if is_short else "<int>"
    if issubclass(cls, float):
        return float.__repr__(label)
    if issubclass(cls, tuple):
        return "(" + ", ".join(map(label_name, tuple.__iter__(label))) + ")"  # type: ignore[arg-type]
    library = _library_of(cls)
    if library == "numpy" and hasattr(cls, "item"):
        value = label.item()  # type: ignore[attr-defined]
        return f"<{cls.__name__}>" if type(value) is cls else label_name(value)
    if library in {"datetime", "decimal", "pandas"}:
        return str(label.isoformat() if hasattr(cls, "isoformat") else label)  # type: ignore[attr-defined]
    return f"<{cls.__name__}>"


def _library_of(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]


def _well_formed(text: str) -> str:
    """Return a text in which no two surrogates stand for one character, as JSON reads them."""
    if text.isascii() or not _has_surrogates(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def unique_name(name: str, taken: Mapping[str, object], repeats: dict[str, int]) -> str:
    """Return a name that is not taken yet; `repeats` remembers where to go on counting."""
    if name not in taken:
        return name
    number = repeats.get(name, 1) + 1
    while f"{name}#{number}" in taken:
        number += 1
    repeats[name] = number
    return f"{name}#{number}"


def _nullability(attribute: Attribute) -> str:
    return "nullable" if attribute.nullable else "required"


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


_NUMBER_KINDS = {"i": "int", "u": "uint", "f": "float"}

_INFERRED_TYPES = {
    "string": "string",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "datetime64": "datetime",
    "timedelta": "timedelta",
    "timedelta64": "timedelta",
    "decimal": "decimal",
    "integer": "int64",
    "floating": "float64",
    "mixed-integer-float": "float64",
}


def _column_type(column: pd.Series[Any]) -> tuple[str, bool]:
    """Return the name of a column's type, and whether it is categorical."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _column_type(pd.Series(dtype.categories))[0], True
    if isinstance(dtype, pd.StringDtype):
        return "string", False
    if _library_of(type(dtype)) not in {"numpy", "pandas"}:
        # What a foreign dtype says of itself need not be so, and its text may hold values.
        return type(dtype).__name__, False
    kind = getattr(dtype, "kind", "O")
    bits = getattr(dtype, "itemsize", 0) * 8
    if kind == "b":
        return "boolean", False
    if kind in "iuf":
        return f"{_NUMBER_KINDS[kind]}{bits}", False
    if kind == "M":
        zone = getattr(dtype, "tz", None)
        return ("datetime" if zone is None else f"datetime[{_zone_name(zone)}]"), False
    if kind == "m":
        return "timedelta", False
    if kind == "O" and str(dtype) in {"object", "string[pyarrow]"}:
        return _INFERRED_TYPES.get(pd.api.types.infer_dtype(column, skipna=True), "object"), False
    return _extension_name(dtype), False


def _extension_name(dtype: Any) -> str:
    """Return a type's name; of a nested Arrow type its kind alone, without the names inside."""
    import pandas as pd

    text = str(dtype)
    if isinstance(dtype, pd.ArrowDtype):
        kind, _, inside = text.partition("<")
        return f"{kind}[pyarrow]" if ":" in inside else text
    is_known = isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype)
    return text if is_known else type(dtype).__name__


def _zone_name(zone: object) -> str:
    """Return a time zone's name; of one that somebody wrote himself the type's."""
    if type(zone) is timezone:
        # Whoever made it may have called it anything.
        return str(timezone(zone.utcoffset(None)))
    is_known = _library_of(type(zone)) in {"datetime", "dateutil", "pytz", "zoneinfo"}
    return str(zone) if is_known else type(zone).__name__
