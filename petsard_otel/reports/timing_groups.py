"""Timings summed: by module, by experiment, or by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.wording import format_duration, shortened, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from petsard_otel.records import TimingRecord

By = Literal["module", "experiment", "step"]

MAX_GROUPS = 200
"""Rows that are shown for people; the longest come first."""

NAMES: dict[By, tuple[str, ...]] = {
    "module": ("module_name",),
    "experiment": ("module_name", "experiment_name"),
    "step": ("module_name", "step_name"),
}
"""What makes a group."""

_FIGURES = ("count", "total_seconds", "mean_seconds", "min_seconds", "max_seconds", "share")

_LABELS = {"module_name": "Module", "experiment_name": "Experiment", "step_name": "Step"}


@dataclass(frozen=True, slots=True)
class Group:
    """How long what belongs together took. `share` is of what all module executions took."""

    names: tuple[str, ...]
    count: int
    total_seconds: float
    mean_seconds: float
    min_seconds: float
    max_seconds: float
    share: float


def timing_groups(records: Sequence[TimingRecord], by: By) -> list[Group]:
    """Sum timings, the longest first.

    By module and by experiment module executions are summed, so that no time is in it twice. By
    step it is steps and what a user timed himself; a step inside another is in both.
    """
    modules = [record for record in records if record.source == "module"]
    total_ns = sum(_duration_ns(record) for record in modules)
    chosen = modules
    if by == "step":
        chosen = [record for record in records if record.source != "module"]
    grouped: dict[tuple[str, ...], list[int]] = {}
    for record in chosen:
        names = tuple(str(getattr(record, name)) for name in NAMES[by])
        grouped.setdefault(names, []).append(_duration_ns(record))
    groups = [
        Group(
            names=names,
            count=len(durations),
            total_seconds=sum(durations) / 1e9,
            mean_seconds=sum(durations) / len(durations) / 1e9,
            min_seconds=min(durations) / 1e9,
            max_seconds=max(durations) / 1e9,
            share=sum(durations) / total_ns if total_ns else 0.0,
        )
        for names, durations in grouped.items()
    ]
    return sorted(groups, key=lambda group: -group.total_seconds)


def _duration_ns(record: TimingRecord) -> int:
    return record.end_time_ns - record.start_time_ns


def group_columns(by: By) -> list[str]:
    """Return what machines are told of a group."""
    return [*NAMES[by], *_FIGURES]


def group_row(group: Group, by: By) -> dict[str, Any]:
    """Return a group by column, for machines."""
    names = dict(zip(NAMES[by], group.names, strict=True))
    return {**names, **{figure: getattr(group, figure) for figure in _FIGURES}}


def groups_table(groups: Sequence[Group], by: By) -> Table:
    """Return one row for each group."""
    table = ruled_table(gap=0)
    table.add_column("Module", no_wrap=True)
    for name in NAMES[by][1:]:
        table.add_column(_LABELS[name], overflow="fold", min_width=12)
    for label in ("Count", "Total", "Mean", "Min", "Max", "Share"):
        table.add_column(label, justify="right", no_wrap=True)
    for group in groups[:MAX_GROUPS]:
        module, *others = group.names
        table.add_row(
            Text(word(module)),
            *(Text(shortened(other)) for other in others),
            f"{group.count:,}",
            format_duration(group.total_seconds),
            format_duration(group.mean_seconds),
            format_duration(group.min_seconds),
            format_duration(group.max_seconds),
            f"{group.share:.0%}",
        )
    if len(groups) > MAX_GROUPS:
        table.add_row(Text(f"and {len(groups) - MAX_GROUPS:,} shorter ones", style="dim"))
    return table
