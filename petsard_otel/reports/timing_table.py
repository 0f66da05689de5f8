"""Timings for people: a rich table."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.measure import Measurement
from rich.text import Text

from petsard_otel.reports.naming import differences
from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.wording import format_duration, shortened, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from petsard_otel.records import TimingRecord

BAR_WIDTH = 5
"""Columns that a full bar takes."""

MAX_EXECUTIONS = 200
"""Rows of a timing table, steps aside; of more, the longest are shown, failed ones first of all."""

_STATUS = {"success": ("ok", "green"), "error": ("error", "bold red")}


def timing_table(records: Sequence[TimingRecord]) -> Table:
    """Return one row for each record, by start, with the steps of a module below it.

    Start is the time since the first one. The share is of what all modules took together, so
    that steps count nothing twice. Where a module ran several times with one experiment, the
    parts of the experiment path that tell the executions apart stand behind its name.
    """
    nested = _by_parent(records)
    outermost = nested[None]
    modules = [record for record in outermost if record.source == "module"] or outermost
    total = sum(record.duration_seconds for record in modules)
    table = _empty_timing_table(len(modules), total)
    names = _experiment_names(outermost)
    first_ns = outermost[0].start_time_ns if outermost else 0
    nested[None] = _most_telling(outermost)
    for depth, record in _walk(nested, None, 0):
        is_step = depth > 0
        share = record.duration_seconds / total if total else 0.0
        table.add_row(
            Text("" if is_step else word(record.module_name)),
            Text("  " * depth + word(record.step_name)) if is_step else names[record.record_id],
            format_duration((record.start_time_ns - first_ns) / 1e9),
            format_duration(record.duration_seconds),
            f"{share:.0%}",
            _ShareBar(share),
            _status(record.status),
            style="dim" if is_step else None,
        )
    if len(outermost) > len(nested[None]):
        table.add_row("", f"and {len(outermost) - len(nested[None]):,} shorter ones", style="dim")
    return table


def _by_parent(records: Sequence[TimingRecord]) -> dict[str | None, list[TimingRecord]]:
    """Group records by the one they are a step of, None for what has no such record here."""
    known = {record.record_id for record in records}
    nested: dict[str | None, list[TimingRecord]] = {None: []}
    for record in sorted(records, key=lambda record: record.start_time_ns):
        parent = record.parent_record_id if record.parent_record_id in known else None
        nested.setdefault(parent, []).append(record)
    return nested


def _walk(
    nested: Mapping[str | None, list[TimingRecord]], parent: str | None, depth: int
) -> Iterator[tuple[int, TimingRecord]]:
    for record in nested.get(parent, ()):
        yield depth, record
        yield from _walk(nested, record.record_id, depth + 1)


def _most_telling(records: Sequence[TimingRecord]) -> list[TimingRecord]:
    """Return the records that fit into a table, in their order."""
    ranked = sorted(records, key=lambda r: (r.status == "success", -r.duration_seconds))
    chosen = {record.record_id for record in ranked[:MAX_EXECUTIONS]}
    return [record for record in records if record.record_id in chosen]


def _empty_timing_table(executions: int, total: float) -> Table:
    table = ruled_table(has_footer=True)
    noun = "execution" if executions == 1 else "executions"
    table.add_column("Module", no_wrap=True, footer="total")
    table.add_column("Experiment", overflow="fold", footer=f"{executions} {noun}")
    table.add_column("Start", justify="right", no_wrap=True, style="dim")
    table.add_column("Time", justify="right", no_wrap=True, footer=format_duration(total))
    table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _experiment_names(records: Sequence[TimingRecord]) -> dict[str, Text]:
    """Name each record's experiment so that no two of one module look alike."""
    alike: dict[tuple[str, str, str], list[TimingRecord]] = defaultdict(list)
    for record in records:
        alike[record.module_name, record.experiment_name, record.step_name].append(record)
    names = {}
    for group in alike.values():
        paths = [record.experiment_path for record in group]
        for record, difference in zip(group, differences(paths), strict=True):
            name = Text(shortened(record.experiment_name))
            if record.source != "module":
                name.append(f": {word(record.step_name)}")
            if difference:
                name.append(f" ({shortened(difference)})", style="dim")
            names[record.record_id] = name
    return names


class _ShareBar:
    """A bar as long as a share of one, in blocks, or in number signs where the output is ASCII."""

    def __init__(self, share: float) -> None:
        self.share = min(share, 1.0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.ascii_only:
            yield Text("#" * round(self.share * BAR_WIDTH))
        else:
            yield Bar(1.0, 0.0, self.share, width=BAR_WIDTH, color="cyan")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(BAR_WIDTH, BAR_WIDTH)


def _status(status: str) -> Text:
    label, style = _STATUS.get(status, (status, "yellow"))
    return Text(word(label), style=style)
