"""Runs in a list: what they have in common with, and where they differ from, the one before."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from petsard_otel.reports.moments import local_minute, utc_text
from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.terminal import STATE_STYLES
from petsard_otel.reports.wording import format_duration, shortened, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from petsard_otel.records import RunSummary

SHORTEST_ID = 8
"""Digits of a run's id that are shown at least."""

CHANGED_MARK = "*"
"""Stands at a run whose configuration is another than that of the run before."""

_CHANGED = "another configuration than the run of this name before"

RUN_COLUMNS = (
    "run_id",
    "name",
    "state",
    "start_time",
    "end_time",
    "duration_seconds",
    "execution_count",
    "schema_change_count",
    "failed_modules",
    "error_type",
    "engine",
    "config_hash",
    "trace_id",
)
"""What machines are told of a run."""


def short_ids(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Return for each run's id the beginning of it that no other of these begins with."""
    ordered = sorted({run.run_id for run in runs})
    shared = [_shared_length(one, next_one) for one, next_one in pairwise(ordered)]
    return {
        run_id: run_id[: max(SHORTEST_ID, before + 1, after + 1)]
        for run_id, before, after in zip(ordered, [0, *shared], [*shared, 0], strict=True)
    }


def _shared_length(one: str, other: str) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def configuration_changes(runs: Sequence[RunSummary]) -> dict[str, bool | None]:
    """Tell for each run's id whether its configuration is another than that of the run before.

    Args:
        runs: All runs, the newest first.

    Returns:
        None where there is no run of the same name before, or a hash is missing.
    """
    found: dict[str, bool | None] = {}
    latest: dict[str | None, str | None] = {}
    for run in reversed(runs):
        before = None if run.name is None else latest.get(run.name)
        known = before is not None and run.config_hash is not None
        found[run.run_id] = run.config_hash != before if known else None
        latest[run.name] = run.config_hash
    return found


def run_row(run: RunSummary) -> dict[str, Any]:
    """Return a run by column, for machines."""
    values = {
        **run._asdict(),
        "start_time": utc_text(run.started_ns),
        "end_time": utc_text(run.ended_ns),
        "duration_seconds": run.duration_seconds,
        "execution_count": run.executions,
        "schema_change_count": run.changes,
        "failed_modules": list(run.failed_modules),
    }
    return {column: values[column] for column in RUN_COLUMNS}


def runs_table(
    runs: Sequence[RunSummary],
    ids: Mapping[str, str],
    changed: Mapping[str, bool | None],
    now_ns: int,
    *,
    more: int = 0,
) -> RenderableType:
    """Return one row for each run.

    Args:
        runs: What is shown.
        ids: As `short_ids` gives them.
        changed: As `configuration_changes` tells.
        now_ns: Until when a run that is under way has taken its time.
        more: How many older runs are not shown.
    """
    table = ruled_table()
    table.add_column("Run", no_wrap=True)
    table.add_column("Pipeline", overflow="fold", min_width=8)
    table.add_column("Started", no_wrap=True)
    table.add_column("Time", justify="right", no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("Executions", justify="right", no_wrap=True)
    table.add_column("Changes", justify="right", no_wrap=True)
    for run in runs:
        ended_ns = now_ns if run.ended_ns is None else run.ended_ns
        table.add_row(
            ids[run.run_id],
            _named(run, is_changed=bool(changed.get(run.run_id))),
            local_minute(run.started_ns),
            format_duration(max(ended_ns - run.started_ns, 0) / 1e9),
            Text(word(run.state), style=STATE_STYLES.get(run.state, "")),
            f"{run.executions:,}",
            f"{run.changes:,}",
        )
    notes = []
    if any(changed.get(run.run_id) for run in runs):
        mark = Text(CHANGED_MARK, style="yellow")
        notes.append(mark.append(f"  {_CHANGED}", style="dim"))
    if more:
        older = "1 older run" if more == 1 else f"{more:,} older runs"
        notes.append(Text(f"and {older}; --limit N shows more", style="dim"))
    return Group(table, *notes)


def _named(run: RunSummary, *, is_changed: bool) -> Text:
    name = Text(shortened(run.name or "-"))
    return name.append(f" {CHANGED_MARK}", style="yellow") if is_changed else name
