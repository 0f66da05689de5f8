"""What a terminal shows of a run, as rich renderables: timings, schema changes, the summary.

Names come from users' data: they are shown, never obeyed. No markup, no control character and no
escape sequence in a name reaches the terminal.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from petsard_otel.reports.timing_table import timing_table
from petsard_otel.reports.wording import format_duration, shortened, visible, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from petsard_otel.records import ChangeRecord
    from petsard_otel.schema import SchemaDiff

__all__ = ["changes_list", "format_duration", "summary_panel", "timing_table", "visible"]

MAX_NAMES = 10
"""Fields of one kind that a change lists before it says how many more there are."""

_CHANGES = {
    "module": "output differs from its input",
    "experiment": "output differs from its previous experiment's",
}

STATE_STYLES = {
    "failed": "bold red",
    "killed": "bold red",
    "cancelled": "yellow",
    "running": "cyan",
    "completed": "green",
}
"""The colour of each state that a run may be in."""

_WHERE = {"cancelled": "Stopped in", "killed": "Killed in"}
"""What the modules that did not succeed are called in a run of this state."""


def changes_list(changes: Sequence[ChangeRecord]) -> RenderableType:
    """Return what each change added, removed and altered; equal ones are shown once, and counted.

    A module that is run for every split makes the same change each time.
    """
    if not changes:
        return Text("no schema changes", style="dim")
    blocks: list[RenderableType] = []
    for (module, experiment, kind, diff), count in Counter(map(_identity, changes)).items():
        title = Text(f"{word(module)}[{shortened(experiment)}]", style="bold")
        title.append(f"  {_CHANGES.get(kind) or word(kind)}", style="not bold dim")
        if count > 1:
            title.append(f"  ({count} times)", style="not bold")
        blocks.append(title)
        blocks += diff_lines(diff)
    return Group(*blocks)


def _identity(change: ChangeRecord) -> tuple[str, str, str, SchemaDiff]:
    return change.module_name, change.experiment_name, change.kind, change.diff


def diff_lines(diff: SchemaDiff) -> Iterator[RenderableType]:
    """Yield what was added, removed and altered, each kind behind its sign, two columns in."""
    for sign, style, names in (("+", "green", diff.added), ("-", "red", diff.removed)):
        if names:
            yield _Signed(sign, style, ", ".join(_listed(names)))
    for change in (*diff.retyped, *diff.nullability)[:MAX_NAMES]:
        before, after = shortened(change.before), shortened(change.after)
        yield _Signed("~", "yellow", f"{shortened(change.name)}: {before} -> {after}")
    more = len(diff.retyped) + len(diff.nullability) - MAX_NAMES
    if more > 0:
        yield _Signed("~", "yellow", f"and {more} more")
    if diff.reordered:
        yield _Signed("~", "yellow", "fields in another order")


class _Signed:
    """A text behind a sign, two columns in, its further lines below its first.

    A run may have a thousand of them, and a grid inside a padding takes rich a millisecond each.
    """

    INDENT = 4

    def __init__(self, sign: str, style: str, text: str) -> None:
        self.sign = sign
        self.style = style
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - self.INDENT, 1)
        lines = [self.text]
        if cell_len(self.text) > width:
            wrapped = Text(self.text).wrap(console, width, overflow="fold")
            lines = [line.plain.rstrip() for line in wrapped]
        yield Segment("  ")
        yield Segment(self.sign, console.get_style(self.style))
        for number, line in enumerate(lines):
            yield Segment(f"{' ' * self.INDENT if number else ' '}{line}\n")


def _listed(names: Sequence[str]) -> list[str]:
    shown = [shortened(name) for name in names[:MAX_NAMES]]
    if len(names) > MAX_NAMES:
        shown[-1] += f" and {len(names) - MAX_NAMES} more"
    return shown


def summary_panel(summary: Mapping[str, Any]) -> Panel:
    """Return the answer of `Status.get_status_summary` in a frame; what it lacks is left out.

    `name`, `started` and `engine` may be added, of a run that is looked at later.
    """
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for label, text in _summary_rows(summary):
        rows.add_row(label, text)
    state = word(summary.get("state", "unknown"))
    title = Text(state, style=STATE_STYLES.get(state, "bold"))
    return Panel(rows, title=title, title_align="left", box=box.ROUNDED, expand=False)


def _summary_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    for key, label in (("name", "Pipeline"), ("started", "Started"), ("engine", "Engine")):
        if summary.get(key):
            yield label, Text(shortened(summary[key]))
    if summary.get("failed_modules"):
        failed = ", ".join(word(module) for module in summary["failed_modules"])
        yield _WHERE.get(summary.get("state", ""), "Failed"), Text(failed, style="bold red")
    if "duration_seconds" in summary:
        yield "Duration", Text(format_duration(summary["duration_seconds"]))
    if summary.get("sequence"):
        yield "Sequence", Text(" > ".join(word(module) for module in summary["sequence"]))
    counts = [
        _counted(summary[key], noun)
        for key, noun in (
            ("total_snapshots", "snapshot"),
            ("total_timings", "timing"),
            ("total_changes", "schema change"),
        )
        if key in summary
    ]
    if counts:
        yield "Recorded", Text(", ".join(counts))
    evicted = {kind: count for kind, count in summary.get("evicted", {}).items() if count}
    if evicted:
        dropped = ", ".join(f"{count} {word(kind)}" for kind, count in evicted.items())
        yield "Evicted", Text(f"{dropped} (the oldest, at the limits)", style="yellow")
    for key, label in (("run_id", "Run"), ("trace_id", "Trace")):
        if summary.get(key):
            yield label, Text(shortened(summary[key]))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
