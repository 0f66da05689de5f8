"""The store by itself: schemas that come in parts, and what stays bounded."""

from __future__ import annotations

import gc

import pytest

from petsard_otel import Attribute, Schema
from petsard_otel.records import ModuleExecution, SchemaPart, SchemaReference, SpanFacts
from petsard_otel.schema import OpaqueSchema
from petsard_otel.store import StatusStore

FACTS = SpanFacts("0" * 31 + "1", "0" * 15 + "2", None, 10, 30)


def execution(output: SchemaReference | None, number: int = 1) -> ModuleExecution:
    """Make a record of an execution."""
    return ModuleExecution(
        facts=FACTS,
        run_id="r",
        module_name="Loader",
        experiment_name="a",
        experiment_path="Loader[a]",
        position=0,
        operator_type="LoaderAdapter",
        snapshot_id=f"snapshot_r_{number:06d}",
        input=None,
        output=output,
        rows=None,
        columns=None,
        error_type=None,
    )


def parts_of(schema: Schema, count: int) -> list[SchemaPart]:
    """Cut a schema's JSON into parts."""
    size = -(-len(schema.json) // count)
    texts = [schema.json[n * size : (n + 1) * size] for n in range(count)]
    return [SchemaPart(FACTS, "r", schema.hash, n, count, t) for n, t in enumerate(texts, 1)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 0, 2, 1)])
def test_parts_may_come_in_any_order(order: tuple[int, ...]) -> None:
    """A structure is whole when its last part is there; a part that comes twice does no harm."""
    schema = Schema.of("w", [Attribute(f"c{n}", "float64") for n in range(30)])
    store = StatusStore(10, 10, 10)
    found = parts_of(schema, 3)
    for number in order:
        store.add(found[number])
    store.add(execution(SchemaReference("w", schema.hash)))

    assert store.snapshots()[0].metadata_after == schema


def test_a_structure_that_never_came_is_known_by_its_hash() -> None:
    """A trace that lost its schema spans still tells which schema it was."""
    store = StatusStore(10, 10, 10)
    store.add(execution(SchemaReference("w", "abc")))

    assert store.snapshots()[0].metadata_after == OpaqueSchema("w", "unknown", "abc")
    assert store.changes() == ()


def test_a_structure_that_is_not_what_its_hash_says_is_not_taken() -> None:
    """A damaged part never becomes a schema."""
    schema = Schema.of("w", [Attribute("a", "int64")])
    store = StatusStore(10, 10, 10)
    with pytest.raises(ValueError, match="does not have the hash"):
        store.add(SchemaPart(FACTS, "r", "0" * 32, 1, 1, schema.json))


def test_unfinished_structures_do_not_pile_up() -> None:
    """Parts whose others never come are let go, the oldest first."""
    store = StatusStore(10, 10, 10)
    first = Schema.of("w", [Attribute("first", "int64")])
    one, two = parts_of(first, 2)
    store.add(one)
    for number in range(100):
        store.add(SchemaPart(FACTS, "r", f"{number:032}", 1, 2, "{"))
    store.add(two)
    store.add(execution(SchemaReference("w", first.hash)))

    assert isinstance(store.snapshots()[0].metadata_after, OpaqueSchema)


def test_a_schema_lives_as_long_as_its_snapshot() -> None:
    """The store keeps no schema alive that no snapshot holds."""
    store = StatusStore(1, 0, 10)

    def add(number: int) -> None:
        schema = Schema.of("w", [Attribute(f"c{number}", "int64")])
        store.add(execution(store.remember(schema), number))

    for number in range(50):
        add(number)
    gc.collect()

    alive = [found for found in gc.get_objects() if type(found) is Schema and found.id == "w"]
    # The snapshot's own, and the one that the next execution is compared with.
    assert len(alive) <= 2
