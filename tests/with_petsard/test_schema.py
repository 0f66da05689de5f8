"""PETsARD's schemas as ours, and ours as PETsARD's."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from petsard.metadater.metadata import Attribute as PetsardAttribute
from petsard.metadater.metadata import Schema as PetsardSchema
from petsard.metadater.metadater import SchemaMetadater

from petsard_otel import Attribute, Schema
from petsard_otel.petsard.schema import from_petsard, to_petsard

names = st.text(st.characters(codec="utf-8"), max_size=12)
types = st.sampled_from(["int", "float", "str", "date", "datetime", "float64", "boolean", "own"])
attributes = st.builds(
    Attribute,
    names,
    types,
    nullable=st.booleans(),
    category=st.booleans(),
    logical_type=st.none() | st.sampled_from(["", "email", "standardized"]),
    precision=st.none() | st.integers(0, 15),
    format=st.none() | st.sampled_from(["%Y-%m-%d", ""]),
    width=st.none() | st.integers(0, 9),
)
schemas = st.builds(Schema.of, names, st.lists(attributes, max_size=5, unique_by=lambda a: a.name))


@given(schemas)
def test_there_and_back_is_the_same(schema: Schema) -> None:
    """Nothing of the structure is lost in PETsARD's class; nor in canonical JSON."""
    assert from_petsard(to_petsard(schema)) == schema
    assert Schema.from_json(schema.id, schema.json) == schema


@given(schemas, schemas)
def test_what_is_alike_keeps_its_other_settings(schema: Schema, other: Schema) -> None:
    """The structure is the one schema's, what ours does not have the other's."""
    like = to_petsard(other)
    for attribute in like.attributes.values():
        attribute.na_values = ["?"]
    like.primary_key = ["id"]
    made = to_petsard(schema, like)
    assert from_petsard(made) == schema
    assert made.primary_key == ["id"]
    for name, attribute in made.attributes.items():
        assert attribute.na_values == (["?"] if name in other.attributes else None)
    assert from_petsard(like) == other


def test_no_value_comes_along() -> None:
    """Statistics, defaults, values for missing ones, constraints and descriptions stay behind."""
    table = pd.DataFrame({"salary": [1.25, 98765.5, None], "town": ["Ulm", "Ulm", "Jena"]})
    found = SchemaMetadater.from_data(table, enable_stats=True, id="staff")
    found.attributes["salary"].default_value = 4711
    found.attributes["town"].type_attr["category"] = True
    found.attributes["town"].constraints = {"pattern": "Ulm"}
    found.description = "Jane Roe"
    schema = from_petsard(found)
    assert schema.json == (
        '{"attributes":[{"name":"salary","type":"float","nullable":true,"precision":2},'
        '{"name":"town","type":"str","category":true}]}'
    )
    assert repr(schema) == f"Schema(id='staff', fields=2, hash='{schema.hash}')"


def test_what_ours_does_not_know_of_a_type_is_kept() -> None:
    """A schema that takes the place of another has that one's further properties."""
    like = PetsardSchema("t", attributes={"a": PetsardAttribute("a", "", "int", {"unit": "years"})})
    made = to_petsard(Schema.of("t", [Attribute("a", "float", precision=1)]), like)
    assert made.attributes["a"].type_attr == {
        "category": False,
        "nullable": False,
        "precision": 1,
        "unit": "years",
    }
    assert like.attributes["a"].type == "int"


def test_two_loads_of_one_table_are_equal() -> None:
    """PETsARD's own objects are not: each has the times at which it was made."""
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    first, second = (SchemaMetadater.from_data(table, id="t") for _ in range(2))
    assert first != second
    assert from_petsard(first) == from_petsard(second)


def test_a_later_change_of_petsards_object_changes_nothing() -> None:
    """What was seen stays as it was."""
    found = SchemaMetadater.from_data(pd.DataFrame({"a": [1]}), id="t")
    schema = from_petsard(found)
    found.attributes["a"].type = "str"
    found.attributes["a"].type_attr["category"] = True
    found.attributes["b"] = PetsardAttribute("b", type="int")
    assert schema == Schema.of("t", [Attribute("a", "int")])


def test_odd_schemas_are_read_as_far_as_they_go() -> None:
    """Labels that are no text are named, and what is no type or number is passed over."""
    mixed = {"precision": "two", "width": True}
    listed = PetsardAttribute("2", type="int")
    listed.type_attr = ["nullable"]
    odd: Any = PetsardSchema(
        id=7,
        attributes={
            1: PetsardAttribute(name=1, type=None, type_attr=None),
            "1": PetsardAttribute(name="1", type=int, type_attr=mixed),
            "2": listed,
            ("a", 2): PetsardAttribute(name="a", type="date", type_attr={"nullable": 0}),
        },
    )
    assert from_petsard(odd) == Schema.of(
        "unknown",
        [
            Attribute("1", "unknown", nullable=True),
            Attribute("1#2", "unknown", nullable=True),
            Attribute("2", "int", nullable=True),
            Attribute("(a, 2)", "date"),
        ],
    )
