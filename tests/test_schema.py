"""The structure of tables: reading it, identity, comparison."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsard_otel import Attribute, Schema, SchemaDiff
from petsard_otel.schema import FieldChange, diff, label_name, resolve_prediction

attributes = st.builds(
    Attribute,
    name=st.text(max_size=8),
    type=st.sampled_from(["int64", "float64", "string", "datetime[UTC]"]),
    nullable=st.booleans(),
    category=st.booleans(),
    logical_type=st.none() | st.text(max_size=3),
    precision=st.none() | st.integers(0, 9),
)
schemas = st.lists(attributes, max_size=6, unique_by=lambda a: a.name).map(
    lambda found: Schema.of("t", found)
)


def test_a_table_is_read_column_by_column() -> None:
    """Types, nullability and categories are read off a table, whatever pandas stores them in."""
    table = pd.DataFrame(
        {
            "whole": [1, 2],
            "small": np.array([1, 2], dtype="int8"),
            "real": [1.5, None],
            "text": ["a", None],
            "flag": [True, False],
            "nullable whole": pd.array([1, None], dtype="Int64"),
            "kind": pd.Categorical(["x", "y"]),
            "when": [pd.Timestamp("2020-01-01"), pd.NaT],
            "zoned": pd.to_datetime(["2020-01-01", "2020-01-02"], utc=True),
            "day": [dt.date(2020, 1, 1), None],
            "money": [decimal.Decimal(1), decimal.Decimal(2)],
            "arrow": pd.array([1.0, 2.0], dtype="double[pyarrow]"),
            "mixed": [1, "a"],
        }
    )

    found = Schema.from_dataframe(table, "t")

    assert [(a.name, a.type, a.nullable, a.category) for a in found.attributes.values()] == [
        ("whole", "int64", False, False),
        ("small", "int8", False, False),
        ("real", "float64", True, False),
        ("text", "string", True, False),
        ("flag", "boolean", False, False),
        ("nullable whole", "int64", True, False),
        ("kind", "string", False, True),
        ("when", "datetime", True, False),
        ("zoned", "datetime[UTC]", False, False),
        ("day", "date", True, False),
        ("money", "decimal", False, False),
        ("arrow", "float64", False, False),
        ("mixed", "object", False, False),
    ]


def test_the_text_of_a_dtype_never_becomes_a_type() -> None:
    """A sparse column's dtype holds a cell; the type is that of its cells."""
    table = pd.DataFrame(
        {
            "diagnosis": pd.arrays.SparseArray(["HIV", "HIV", "none"], fill_value="HIV"),
            "count": pd.arrays.SparseArray([0, 0, 1]),
            "month": pd.PeriodIndex(["2020-01"] * 3, freq="M"),
        }
    )

    found = Schema.from_dataframe(table, "t")

    assert [a.type for a in found.attributes.values()] == ["object", "int64", "period[M]"]
    assert "HIV" not in found.json


def test_labels_that_are_no_text_get_a_name() -> None:
    """Each column has a name of its own, even for equal, numeric or unknown labels."""
    table = pd.DataFrame([[1, 2, 3, 4, 5]], columns=["a", "a", 0, ("x", 1), None])

    assert list(Schema.from_dataframe(table, "t").attributes) == [
        "a", "a#2", "0", "(x, 1)", "None",
    ]  # fmt: skip


def test_a_label_of_an_unknown_type_is_named_by_its_type() -> None:
    """The text of an object we do not know never becomes a name."""

    class Patient:
        def __str__(self) -> str:
            return "Jane Roe"

        __repr__ = __str__

    assert label_name(Patient()) == "<Patient>"
    assert label_name(pd.Timestamp("2020-01-01")) == "2020-01-01T00:00:00"
    assert label_name(np.int64(3)) == "3"


def test_identity_is_the_structure_and_not_the_origin() -> None:
    """Two tables of one structure share a hash, whatever they are called and hold."""
    one = Schema.from_dataframe(pd.DataFrame({"a": [1], "b": ["x"]}), "one")
    two = Schema.from_dataframe(pd.DataFrame({"a": [7], "b": ["secret"]}), "two")

    assert one.hash == two.hash == "4332a011c578cf2173f8ad9e62c7cc48"
    assert one != two
    assert one == two.renamed("one")


def test_order_is_part_of_the_structure() -> None:
    """Columns in another order are another schema."""
    a, b = Attribute("a", "int64"), Attribute("b", "int64")

    assert Schema.of("t", [a, b]).hash != Schema.of("t", [b, a]).hash


def test_canonical_json_leaves_defaults_out() -> None:
    """What is on a span reads well and is the same for the same structure."""
    schema = Schema.of(
        "t", [Attribute("größe", "float64", nullable=True, precision=2), Attribute("b", "string")]
    )

    assert schema.json == (
        '{"attributes":[{"name":"größe","type":"float64","nullable":true,"precision":2},'
        '{"name":"b","type":"string"}]}'
    )


@given(schemas)
def test_json_is_lossless(schema: Schema) -> None:
    """A schema read back from its JSON is the same schema."""
    back = Schema.from_json("t", schema.json)

    assert back == schema
    assert back.attributes == schema.attributes
    assert schema.json.encode()


@given(schemas)
def test_copies_are_equal(schema: Schema) -> None:
    """Copies are the same object, and a pickled schema comes back equal."""
    assert copy.deepcopy(schema) is schema
    assert pickle.loads(pickle.dumps(schema)) == schema  # noqa: S301  our own bytes


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"attributes":{}}',
        '{"attributes":[1]}',
        '{"attributes":[{"name":"a"}]}',
        '{"attributes":[{"name":"a","type":"t","nullable":1}]}',
        '{"attributes":[{"name":"a","type":"t","mean":1.0}]}',
        '{"attributes":[{"name":"a","type":"t"},{"name":"a","type":"t"}]}',
        '{"attributes":[{"name":"a","ty',
    ],
)
def test_damaged_json_is_refused(text: str) -> None:
    """What is not the canonical form becomes an error, never half a schema."""
    with pytest.raises(ValueError, match=r".+"):
        Schema.from_json("t", text)


def test_a_schema_cannot_be_changed() -> None:
    """Neither the schema nor what it is made of can be written to."""
    made = {"a": Attribute("a", "int64")}
    schema = Schema("t", made)
    made["b"] = Attribute("b", "int64")

    assert list(schema.attributes) == ["a"]
    with pytest.raises(TypeError):
        schema.attributes["c"] = Attribute("c", "int64")  # type: ignore[index]
    with pytest.raises(AttributeError):
        schema.id = "u"  # type: ignore[misc]


def test_a_difference_says_what_became_of_each_field() -> None:
    """Added, removed, retyped, nullability and order are told apart."""
    before = Schema.of(
        "t",
        [
            Attribute("a", "int64"),
            Attribute("b", "string", nullable=True),
            Attribute("c", "float64"),
            Attribute("d", "string"),
        ],
    )
    after = Schema.of(
        "t",
        [
            Attribute("c", "float64"),
            Attribute("a", "float64"),
            Attribute("b", "string"),
            Attribute("e", "string", category=True),
        ],
    )

    assert diff(before, after) == SchemaDiff(
        added=("e",),
        removed=("d",),
        retyped=(FieldChange("a", "int64", "float64"),),
        nullability=(FieldChange("b", "nullable", "required"),),
        reordered=True,
    )


@given(schemas, schemas)
def test_a_difference_is_empty_exactly_for_equal_structures(one: Schema, two: Schema) -> None:
    """Whatever tells two structures apart is in their difference."""
    assert bool(diff(one, two)) == (one.hash != two.hash)


@given(schemas, schemas)
def test_a_difference_turns_round(one: Schema, two: Schema) -> None:
    """The difference in the other direction is the inverse."""
    forward, backward = diff(one, two).inverse(), diff(two, one)

    assert set(forward.added) == set(backward.added)
    assert set(forward.removed) == set(backward.removed)
    assert set(forward.retyped) == set(backward.retyped)
    assert set(forward.nullability) == set(backward.nullability)
    assert forward.reordered == backward.reordered


def test_a_prediction_with_a_wildcard_takes_the_columns_that_came() -> None:
    """One-hot columns are predicted without knowing the categories."""
    predicted = Schema.of("t", [Attribute("a", "float64"), Attribute("Origin_*", "float64")])
    actual = Schema.of(
        "t",
        [
            Attribute("a", "float64"),
            Attribute("Origin_USA", "float64"),
            Attribute("Origin_Japan", "float64"),
        ],
    )

    assert resolve_prediction(predicted, actual) == actual
    wrong = Schema.of("t", [Attribute("a", "float64"), Attribute("Other_x", "float64")])
    assert resolve_prediction(predicted, wrong).hash != wrong.hash


def test_type_attr_has_the_names_that_petsard_uses() -> None:
    """Scripts that read `type_attr` go on working."""
    assert dict(Attribute("a", "float64", nullable=True, precision=2).type_attr) == {
        "category": False,
        "nullable": True,
        "precision": 2,
    }


def test_lone_surrogates_can_still_be_sent() -> None:
    """A column name that is no valid Unicode still has JSON that can be encoded."""
    schema = Schema.of("t", [Attribute("\ud800", "string")])

    assert json.loads(schema.json.encode())["attributes"][0]["name"] == "\ud800"
