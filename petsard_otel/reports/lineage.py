"""What each module execution of a run did to the schema: for people, and whole for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from petsard_otel.reports.naming import differences
from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.terminal import diff_lines
from petsard_otel.reports.wording import shortened, word
from petsard_otel.schema import NO_DIFF, Schema, SchemaDiff, diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from petsard_otel.records import ExecutionSnapshot
    from petsard_otel.schema import Attribute, FieldChange, OpaqueSchema

MAX_COLUMNS = 50
"""Columns of an output that are listed before it is said how many more there are."""

MAX_BLOCKS = 200
"""Executions, equal ones counted once, that are shown for people."""

SHORT_HASH = 8
"""Digits of a schema's hash that are shown."""

COLUMN_COLUMNS = (
    "module_name",
    "experiment_name",
    "experiment_path",
    "snapshot_id",
    "input_hash",
    "output_hash",
    "position",
    "column",
    "type",
    "nullable",
    "change",
    "type_before",
    "nullable_before",
)
"""What machines are told of a column of an output, and of one that is not in it any more."""


@dataclass(frozen=True, slots=True)
class Form:
    """Executions of one module and experiment that did the same to the same schema."""

    first: ExecutionSnapshot
    count: int
    told_apart_by: str


def forms(snapshots: Sequence[ExecutionSnapshot]) -> list[Form]:
    """Put together what did the same, in the order of the sequence.

    A module that is run for every split does the same each time.
    """
    alike: dict[tuple[object, ...], list[ExecutionSnapshot]] = {}
    for snapshot in snapshots:
        alike.setdefault(_identity(snapshot), []).append(snapshot)
    rivals: dict[tuple[str, str], list[ExecutionSnapshot]] = {}
    for group in alike.values():
        rivals.setdefault((group[0].module_name, group[0].experiment_name), []).append(group[0])
    names: dict[str, str] = {}
    for firsts in rivals.values():
        told = differences([first.experiment_path for first in firsts])
        names |= {first.snapshot_id: name for first, name in zip(firsts, told, strict=True)}
    found = [Form(group[0], len(group), names[group[0].snapshot_id]) for group in alike.values()]
    return sorted(found, key=lambda form: form.first.sequence_position)


def _identity(snapshot: ExecutionSnapshot) -> tuple[object, ...]:
    return (
        snapshot.module_name,
        snapshot.experiment_name,
        _hash_of(snapshot.metadata_before),
        _hash_of(snapshot.metadata_after),
        snapshot.error_type,
    )


def _hash_of(schema: Schema | OpaqueSchema | None) -> str | None:
    return None if schema is None else schema.hash


def lineage_list(
    snapshots: Sequence[ExecutionSnapshot], *, with_columns: bool = False
) -> RenderableType:
    """Return for each execution its columns in and out, and the difference.

    Args:
        snapshots: The executions; equal ones are shown once, and counted.
        with_columns: Add each column of the output.
    """
    blocks: list[RenderableType] = []
    everything = forms(snapshots)
    for number, form in enumerate(everything[:MAX_BLOCKS]):
        if with_columns and number:
            blocks.append("")
        blocks += _block(form)
        output = form.first.metadata_after
        if with_columns and isinstance(output, Schema):
            blocks.append(Padding(_columns_table(output, form.first.metadata_before), (1, 0, 0, 2)))
    if len(everything) > MAX_BLOCKS:
        blocks.append(Text(f"and {len(everything) - MAX_BLOCKS:,} more", style="dim"))
    if not blocks:
        return Text("no module execution", style="dim")
    return Group(*blocks)


def _block(form: Form) -> Iterator[RenderableType]:
    snapshot = form.first
    title = Text(f"{word(snapshot.module_name)}[{shortened(snapshot.experiment_name)}]", "bold")
    if form.told_apart_by:
        title.append(f" ({shortened(form.told_apart_by)})", style="not bold dim")
    before, after = snapshot.metadata_before, snapshot.metadata_after
    title.append("  ", style="not bold")
    if snapshot.status != "success":
        if before is not None:
            title.append(f"{_shape(before)} -> ", style="not bold")
        title.append(f"no output: {shortened(snapshot.error_type or snapshot.status)}", style="red")
    elif _hash_of(before) == _hash_of(after):
        title.append(f"{_shape(after)}, unchanged" if after else "no table", style="not bold dim")
    elif before is None:
        title.append(f"-> {_shape(after)}", style="not bold")
    else:
        title.append(f"{_shape(before)} -> {_shape(after)}", style="not bold")
    if form.count > 1:
        title.append(f"  ({form.count:,} times)", style="not bold dim")
    yield title
    yield from diff_lines(difference(snapshot))


def _shape(schema: Schema | OpaqueSchema | None) -> str:
    if schema is None:
        return "no table"
    short = schema.hash[:SHORT_HASH]
    if not isinstance(schema, Schema):
        return f"a schema known by its hash alone ({word(short)})"
    count = len(schema.attributes)
    return f"{count:,} column{'' if count == 1 else 's'} ({word(short)})"


def difference(snapshot: ExecutionSnapshot) -> SchemaDiff:
    """Return how an output differs from its input; nothing where one of them cannot be read."""
    before, after = snapshot.metadata_before, snapshot.metadata_after
    if isinstance(before, Schema) and isinstance(after, Schema):
        return diff(before, after)
    return NO_DIFF


def _columns_table(output: Schema, received: Schema | OpaqueSchema | None) -> Table:
    table = ruled_table()
    table.add_column("Column", overflow="fold")
    table.add_column("Type", overflow="fold")
    table.add_column("Missing", no_wrap=True)
    table.add_column("", no_wrap=True)
    known = received.attributes if isinstance(received, Schema) else None
    for attribute in list(output.attributes.values())[:MAX_COLUMNS]:
        change = "" if known is None else _change(known.get(attribute.name), attribute)
        table.add_row(
            Text(shortened(attribute.name)),
            Text(shortened(attribute.type_label)),
            "nullable" if attribute.nullable else "required",
            Text(change, style="green" if change == "added" else "yellow"),
        )
    more = len(output.attributes) - MAX_COLUMNS
    if more > 0:
        table.add_row(Text(f"and {more:,} more", style="dim"))
    return table


def _change(before: Attribute | None, after: Attribute) -> str:
    if before is None:
        return "added"
    is_same = before.type_label == after.type_label and before.nullable == after.nullable
    return "" if is_same else "changed"


# For machines.


def lineage_document(snapshots: Sequence[ExecutionSnapshot]) -> dict[str, Any]:
    """Return every execution with the hashes of its schemas, and each schema once, by its hash."""
    schemas: dict[str, list[dict[str, Any]]] = {}
    diffs: dict[tuple[str | None, str | None], dict[str, Any] | None] = {}
    executions = []
    for snapshot in snapshots:
        before, after = snapshot.metadata_before, snapshot.metadata_after
        for schema in (before, after):
            if isinstance(schema, Schema) and schema.hash not in schemas:
                schemas[schema.hash] = [_column(found) for found in schema.attributes.values()]
        pair = (_hash_of(before), _hash_of(after))
        if pair not in diffs:
            is_known = isinstance(before, Schema) and isinstance(after, Schema)
            diffs[pair] = diff_document(difference(snapshot)) if is_known else None
        executions.append(
            {
                "snapshot_id": snapshot.snapshot_id,
                "module_name": snapshot.module_name,
                "experiment_name": snapshot.experiment_name,
                "experiment_path": snapshot.experiment_path,
                "status": snapshot.status,
                "input_hash": pair[0],
                "output_hash": pair[1],
                "diff": diffs[pair],
            }
        )
    return {"executions": executions, "schemas": schemas}


def _column(attribute: Attribute) -> dict[str, Any]:
    return {
        "name": attribute.name,
        "type": attribute.type_label,
        "nullable": attribute.nullable,
    }


def diff_document(difference: SchemaDiff) -> dict[str, Any]:
    """Return a difference as an object of plain lists."""

    def pairs(changes: Sequence[FieldChange]) -> list[dict[str, str]]:
        return [{"name": c.name, "before": c.before, "after": c.after} for c in changes]

    return {
        "added": list(difference.added),
        "removed": list(difference.removed),
        "retyped": pairs(difference.retyped),
        "nullability": pairs(difference.nullability),
        "reordered": difference.reordered,
    }


def column_rows(snapshots: Sequence[ExecutionSnapshot]) -> Iterator[dict[str, Any]]:
    """Yield each column of each output, then those of its input that are not in it any more.

    `change` is `added`, `removed`, `changed` or empty; of an output whose input is not known, it
    is empty everywhere.
    """
    for snapshot in snapshots:
        after = snapshot.metadata_after
        if not isinstance(after, Schema):
            continue
        before = snapshot.metadata_before
        known = before.attributes if isinstance(before, Schema) else None
        shared = {
            "module_name": snapshot.module_name,
            "experiment_name": snapshot.experiment_name,
            "experiment_path": snapshot.experiment_path,
            "snapshot_id": snapshot.snapshot_id,
            "input_hash": _hash_of(before),
            "output_hash": after.hash,
        }
        for position, attribute in enumerate(after.attributes.values(), start=1):
            row = {
                **shared,
                "position": position,
                "column": attribute.name,
                "type": attribute.type_label,
                "nullable": attribute.nullable,
            }
            if known is not None:
                row |= _before(known.get(attribute.name), attribute)
            yield row
        for name, gone in (known or {}).items():
            if name not in after.attributes:
                yield {**shared, "column": name, "change": "removed", **_was(gone)}


def _before(before: Attribute | None, after: Attribute) -> Mapping[str, Any]:
    change = _change(before, after)
    return {"change": change, **({} if before is None or not change else _was(before))}


def _was(attribute: Attribute) -> dict[str, Any]:
    return {"type_before": attribute.type_label, "nullable_before": attribute.nullable}
