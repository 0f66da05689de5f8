"""The store by itself: schemas that it does not know, and what stays bounded."""

from __future__ import annotations

import gc

from petsard_otel import Attribute, Schema
from petsard_otel.records import ModuleExecution, SchemaReference, SpanFacts
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


def test_a_structure_that_never_came_is_known_by_its_hash() -> None:
    """A trace that lost its schema spans still tells which schema it was."""
    store = StatusStore(10, 10, 10)
    store.add(execution(SchemaReference("w", "abc")))

    assert store.snapshots()[0].metadata_after == OpaqueSchema("w", "unknown", "abc")
    assert store.changes() == ()


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
