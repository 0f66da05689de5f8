"""Timings, schema changes and the summary for people, as rich renderables.

Names come from users' data: they are shown, never obeyed. No markup, no control character and no
escape sequence in a name reaches the terminal.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.bar import Bar
from rich.console import Group
from rich.measure import Measurement
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from petsard_otel.records import ChangeRecord, TimingRecord
    from petsard_otel.schema import SchemaDiff

BAR_WIDTH = 5
"""Columns that a full bar takes."""

MAX_NAMES = 10
"""Fields of one kind that a change lists before it says how many more there are."""

MAX_NAME_LENGTH = 60
"""Characters of a name that are shown."""

MAX_WORD_LENGTH = 20
"""Characters that are shown where a short word is expected: a module, a step, a status."""

_STATUS = {"success": ("ok", "green"), "error": ("error", "bold red")}

_CHANGES = {
    "module": "output differs from its input",
    "experiment": "output differs from its previous experiment's",
}

_STATES = {"failed": "bold red", "cancelled": "yellow", "completed": "green"}


def visible(text: object) -> str:
    r"""Return text with every character that does not print replaced by its escape.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in str(text)
    )


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that reads best, with about three digits.

    >>> [format_duration(s) for s in (0.00001234, 0.0123, 1.2345, 65, 7505)]
    ['12.3 µs', '12.3 ms', '1.23 s', '1m 05s', '2h 05m']
    """
    if not seconds:
        return "0 s"
    for unit, scale in (("µs", 1e6), ("ms", 1e3), ("s", 1.0)):
        text = _three_digits(seconds * scale)
        if float(text) < (60 if unit == "s" else 1000):
            return f"{text} {unit}"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h {minutes:02}m"


def _three_digits(number: float) -> str:
    for limit, decimals in ((9.995, 2), (99.95, 1)):
        if number < limit:
            return f"{number:.{decimals}f}"
    return f"{number:.0f}"


# Timings.


def timing_table(records: Sequence[TimingRecord]) -> Table:
    """Return one row for each record, by start, with the steps of a module below it.

    Start is the time since the first one. The share is of what all modules took together, so
    that steps count nothing twice. Where a module ran several times with one experiment, the
    parts of the experiment path that tell the executions apart stand behind its name.
    """
    shown = {record.record_id for record in records}
    steps: dict[str | None, list[TimingRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.start_time_ns):
        parent = record.parent_record_id if record.parent_record_id in shown else None
        steps[parent].append(record)
    outermost = steps[None]
    modules = [record for record in outermost if record.source == "module"] or outermost
    total = sum(record.duration_seconds for record in modules)
    names = _experiment_names(outermost)
    table = _empty_timing_table(len(modules), total)
    first_ns = outermost[0].start_time_ns if outermost else 0
    for depth, record in _nested(steps, None, 0):
        is_step = depth > 0
        share = record.duration_seconds / total if total else 0.0
        table.add_row(
            Text("" if is_step else _word(record.module_name)),
            Text("  " * depth + _word(record.step_name)) if is_step else names[record.record_id],
            format_duration((record.start_time_ns - first_ns) / 1e9),
            format_duration(record.duration_seconds),
            f"{share:.0%}",
            _ShareBar(share),
            _status(record.status),
            style="dim" if is_step else None,
        )
    return table


def _empty_timing_table(executions: int, total: float) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=True,
        header_style="bold",
        footer_style="bold",
    )
    noun = "execution" if executions == 1 else "executions"
    table.add_column("Module", no_wrap=True, footer="total")
    table.add_column("Experiment", overflow="fold", footer=f"{executions} {noun}")
    table.add_column("Start", justify="right", no_wrap=True, style="dim")
    table.add_column("Time", justify="right", no_wrap=True, footer=format_duration(total))
    table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _nested(
    steps: Mapping[str | None, list[TimingRecord]], parent: str | None, depth: int
) -> Iterator[tuple[int, TimingRecord]]:
    for record in steps.get(parent, ()):
        yield depth, record
        yield from _nested(steps, record.record_id, depth + 1)


def _experiment_names(records: Sequence[TimingRecord]) -> dict[str, Text]:
    """Name each record's experiment so that no two of one module look alike."""
    alike: dict[tuple[str, str, str], list[TimingRecord]] = defaultdict(list)
    for record in records:
        alike[record.module_name, record.experiment_name, record.step_name].append(record)
    names = {}
    for group in alike.values():
        for record, difference in zip(group, _differences(group), strict=True):
            name = Text(_short(record.experiment_name))
            if record.source != "module":
                name.append(f": {_word(record.step_name)}")
            if difference:
                name.append(f" ({_short(difference)})", style="dim")
            names[record.record_id] = name
    return names


def _differences(records: Sequence[TimingRecord]) -> list[str]:
    """Tell records of one module and experiment apart, by their paths, else by their number."""
    paths = [_path_parts(record.experiment_path) for record in records]
    if len(set(paths)) < 2:
        return [f"#{number}" if number > 1 else "" for number in range(1, len(records) + 1)]
    common = set(paths[0]).intersection(*paths[1:])
    seen: dict[tuple[str, ...], int] = defaultdict(int)
    differences = []
    for path in paths:
        seen[path] += 1
        parts = [part[part.index("[") + 1 : -1] for part in path if part not in common]
        differences.append(", ".join(parts) + (f" #{seen[path]}" if seen[path] > 1 else ""))
    return differences


def _path_parts(path: str) -> tuple[str, ...]:
    """Cut an experiment path into its `Module[experiment]`s."""
    return tuple(re.findall(r"[A-Za-z]\w*?\[.*?\](?=_[A-Za-z]\w*?\[|$)", path, re.DOTALL))


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
    word, style = _STATUS.get(status, (status, "yellow"))
    return Text(_word(word), style=style)


# Schema changes.


def changes_list(changes: Sequence[ChangeRecord]) -> RenderableType:
    """Return what each change added, removed and altered; equal neighbours are shown once."""
    if not changes:
        return Text("no schema changes", style="dim")
    blocks: list[RenderableType] = []
    for (module, experiment, kind, diff), same in groupby(changes, _identity):
        title = Text(f"{_word(module)}[{_short(experiment)}]", style="bold")
        title.append(f"  {_CHANGES.get(kind) or _word(kind)}", style="not bold dim")
        count = sum(1 for _ in same)
        if count > 1:
            title.append(f"  ({count} times)", style="not bold")
        blocks.append(title)
        blocks += [Padding(line, (0, 0, 0, 2)) for line in _diff_lines(diff)]
    return Group(*blocks)


def _identity(change: ChangeRecord) -> tuple[str, str, str, SchemaDiff]:
    return change.module_name, change.experiment_name, change.kind, change.diff


def _diff_lines(diff: SchemaDiff) -> Iterator[RenderableType]:
    for sign, style, names in (("+", "green", diff.added), ("-", "red", diff.removed)):
        if names:
            yield _signed(sign, style, ", ".join(_listed(names)))
    for change in (*diff.retyped, *diff.nullability)[:MAX_NAMES]:
        before, after = _short(change.before), _short(change.after)
        yield _signed("~", "yellow", f"{_short(change.name)}: {before} -> {after}")
    more = len(diff.retyped) + len(diff.nullability) - MAX_NAMES
    if more > 0:
        yield _signed("~", "yellow", f"and {more} more")
    if diff.reordered:
        yield _signed("~", "yellow", "fields in another order")


def _signed(sign: str, style: str, text: str) -> Table:
    """Put text behind a sign, with its further lines below its first."""
    line = Table.grid(padding=(0, 1))
    line.add_row(Text(sign, style=style), Text(text, overflow="fold"))
    return line


def _listed(names: Sequence[str]) -> list[str]:
    shown = [_short(name) for name in names[:MAX_NAMES]]
    if len(names) > MAX_NAMES:
        shown[-1] += f" and {len(names) - MAX_NAMES} more"
    return shown


def _short(name: object, length: int = MAX_NAME_LENGTH) -> str:
    text = visible(name)
    return text if len(text) <= length else text[: length - 3] + "..."


def _word(word: object) -> str:
    return _short(word, MAX_WORD_LENGTH)


# The summary.


def summary_panel(summary: Mapping[str, Any]) -> Panel:
    """Return the answer of `Status.get_status_summary` in a frame; what it lacks is left out."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for label, text in _summary_rows(summary):
        rows.add_row(label, text)
    state = _word(summary.get("state", "unknown"))
    title = Text(state, style=_STATES.get(state, "bold"))
    return Panel(rows, title=title, title_align="left", box=box.ROUNDED, expand=False)


def _summary_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    if summary.get("failed_modules"):
        failed = ", ".join(_word(module) for module in summary["failed_modules"])
        yield "Failed", Text(failed, style="bold red")
    if "duration_seconds" in summary:
        yield "Duration", Text(format_duration(summary["duration_seconds"]))
    if summary.get("sequence"):
        yield "Sequence", Text(" > ".join(_word(module) for module in summary["sequence"]))
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
        dropped = ", ".join(f"{count} {_word(kind)}" for kind, count in evicted.items())
        yield "Evicted", Text(f"{dropped} (the oldest, at the limits)", style="yellow")
    for key, label in (("run_id", "Run"), ("trace_id", "Trace")):
        if summary.get(key):
            yield label, Text(_short(summary[key]))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
