"""A comparison of two runs: as people read it, and by column for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from petsard_otel.records import KILLED
from petsard_otel.reports.lineage import diff_document
from petsard_otel.reports.moments import local_text
from petsard_otel.reports.naming import differences
from petsard_otel.reports.noise import MIN_DURATIONS
from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.run_list import run_row
from petsard_otel.reports.terminal import STATE_STYLES, diff_lines
from petsard_otel.reports.wording import format_duration, shortened, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from petsard_otel.records import RunSummary
    from petsard_otel.reports.comparison import Comparison, Execution, Pair, Times
    from petsard_otel.reports.rules import Breach

MAX_PAIRS = 100
"""Executions that are shown for people; of more, those that differ come first, then the longest."""

MAX_DIFFERENCES = 50
"""Differences of schemas and of rows that are listed for people, equal ones counted once."""

MAX_PATH_LENGTH = 200
"""Characters of an experiment path that are shown where it has to name one execution."""

PAIR_COLUMNS = (
    "module_name",
    "experiment_name",
    "experiment_path",
    "number",
    "presence",
    "a_status",
    "b_status",
    "a_seconds",
    "b_seconds",
    "difference_seconds",
    "difference_ratio",
    "noise_seconds",
    "judgement",
    "schema_changed",
    "a_output_hash",
    "b_output_hash",
    "rows_changed",
    "a_rows",
    "b_rows",
    "columns_changed",
    "a_columns",
    "b_columns",
)
"""What machines are told of an execution in both runs."""

_JUDGEMENTS = {"slower": "bold red", "faster": "green", "within noise": "dim"}


# For people.


def comparison_page(comparison: Comparison, ids: Mapping[str, str]) -> list[RenderableType]:
    """Return the parts of a page: the two runs, the times, then what else differs.

    Args:
        comparison: What was found.
        ids: A short id for each run's.
    """
    page: list[RenderableType] = [Group(_runs(comparison, ids), *_run_lines(comparison))]
    if comparison.pairs:
        page.append(Group(_times_table(comparison), _noise_line(comparison)))
    page.append(_differences_list(comparison))
    return page


def _runs(comparison: Comparison, ids: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for label, run in (("A", comparison.a.run), ("B", comparison.b.run)):
        table.add_row(
            Text(label, style="bold"),
            ids[run.run_id],
            Text(shortened(run.name or "-"), overflow="fold"),
            local_text(run.started_ns),
            Text(word(run.state), style=STATE_STYLES.get(run.state, "")),
        )
    return table


def _run_lines(comparison: Comparison) -> Iterator[Text]:
    """Say what differs in the two as a whole."""
    a, b = comparison.a, comparison.b
    if a.run.run_id == b.run.run_id:
        yield Text("A and B are the same run", style="yellow")
        return
    if a.run.name != b.run.name:
        yield Text("different pipelines", style="yellow")
    if comparison.has_config_changed is None:
        yield Text("whether the configurations differ is not known", style="yellow")
    elif comparison.has_config_changed:
        yield Text("different configurations", style="yellow")
    else:
        yield Text("the same configuration", style="dim")
    if comparison.has_engine_changed:
        yield Text(f"engine: {word(a.run.engine)} -> {word(b.run.engine)}", style="yellow")
    if comparison.has_sequence_changed:
        before, after = (" > ".join(word(name) for name in one.sequence) for one in (a, b))
        yield Text(f"sequence of A: {before}\nsequence of B: {after}", style="yellow")


def _times_table(comparison: Comparison) -> Table:
    total = comparison.total
    table = ruled_table(has_footer=True)
    table.add_column("Module", no_wrap=True, footer="whole run")
    table.add_column("Experiment", overflow="fold", min_width=8)
    table.add_column("A", justify="right", no_wrap=True, footer=_run_time(comparison.a.run))
    table.add_column("B", justify="right", no_wrap=True, footer=_run_time(comparison.b.run))
    table.add_column("Change", justify="right", no_wrap=True, footer=_percent(total))
    table.add_column("", no_wrap=True, footer=_judged(total))
    names = _names(comparison.pairs)
    shown = _most_telling(comparison.pairs)
    for pair in shown:
        times = pair.times
        table.add_row(
            Text(word(pair.subject.module_name)),
            names[id(pair)],
            _time(pair.a),
            _time(pair.b),
            _percent(times),
            _verdict(pair),
        )
    if len(comparison.pairs) > len(shown):
        table.add_row("", f"and {len(comparison.pairs) - len(shown):,} more", style="dim")
    return table


def _names(pairs: Sequence[Pair]) -> dict[int, Text]:
    """Name each pair's experiment so that no two of one module look alike."""
    alike: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        subject = pair.subject
        alike.setdefault((subject.module_name, subject.experiment_name), []).append(pair)
    names = {}
    for group in alike.values():
        told = differences([pair.subject.experiment_path for pair in group])
        for pair, difference in zip(group, told, strict=True):
            name = Text(shortened(pair.subject.experiment_name))
            if difference:
                name.append(f" ({shortened(difference)})", style="dim")
            names[id(pair)] = name
    return names


def _most_telling(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that fit into a table, in their order."""

    def rank(pair: Pair) -> tuple[bool, float]:
        is_plain = pair.is_comparable and pair.times.judgement in (None, "within noise")
        return is_plain, -max(pair.times.a_seconds or 0.0, pair.times.b_seconds or 0.0)

    chosen = {id(pair) for pair in sorted(pairs, key=rank)[:MAX_PAIRS]}
    return [pair for pair in pairs if id(pair) in chosen]


def _time(execution: Execution | None) -> str:
    if execution is None or execution.seconds is None:
        return "-"
    return format_duration(execution.seconds)


def _run_time(run: RunSummary) -> str:
    return "-" if run.duration_seconds is None else format_duration(run.duration_seconds)


def _percent(times: Times) -> str:
    # Rounded to a whole number, which has no sign where it is zero.
    return "" if times.ratio is None else f"{round(100 * times.ratio):+d}%"


def _verdict(pair: Pair) -> Text:
    if pair.a is None:
        return Text("only in B", style="yellow")
    if pair.b is None:
        return Text("only in A", style="yellow")
    ends: dict[str, list[str]] = {}
    for label, found in (("A", pair.a), ("B", pair.b)):
        if found.status != "success":
            end = KILLED if found.error_type == KILLED else "failed"
            ends.setdefault(end, []).append(label)
    if ends:
        text = ", ".join(f"{end} in {' and '.join(where)}" for end, where in ends.items())
        return Text(text, style="bold red")
    return _judged(pair.times)


def _judged(times: Times) -> Text:
    judgement = times.judgement or ""
    return Text(judgement, style=_JUDGEMENTS.get(judgement, ""))


def _noise_line(comparison: Comparison) -> Text:
    count = comparison.earlier_count
    runs = "no earlier run" if not count else f"{count} earlier run{'s' if count > 1 else ''}"
    if count < MIN_DURATIONS:
        text = (
            f"no noise is known: there {'are' if count > 1 else 'is'} {runs} of this pipeline "
            f"that completed, and {MIN_DURATIONS} are needed"
        )
    else:
        text = f"noise learnt from {runs} of this pipeline"
        if any(pair.is_comparable and pair.noise_seconds is None for pair in comparison.pairs):
            text += f"; what fewer than {MIN_DURATIONS} of them ran is not judged"
    return Text(text, style="dim")


def _differences_list(comparison: Comparison) -> RenderableType:
    """Return what modules made of another structure or size; equal differences counted once."""
    found: dict[tuple[object, ...], tuple[Pair, int]] = {}
    for pair in comparison.pairs:
        if not (pair.has_schema_changed or pair.have_rows_changed or pair.have_columns_changed):
            continue
        assert pair.a is not None  # noqa: S101  else nothing is compared
        assert pair.b is not None  # noqa: S101
        alike = (
            pair.subject.module_name,
            pair.subject.experiment_name,
            *((side.schema_hash, side.rows, side.columns) for side in (pair.a, pair.b)),
        )
        first, count = found.get(alike, (pair, 0))
        found[alike] = (first, count + 1)
    if not found:
        is_any = any(pair.is_comparable for pair in comparison.pairs)
        text = "the same schemas, rows and columns" if is_any else "no execution succeeded in both"
        if is_any and not all(pair.is_comparable for pair in comparison.pairs):
            text += " in all that succeeded in both"
        return Text(text, style="dim")
    blocks: list[RenderableType] = []
    for pair, count in list(found.values())[:MAX_DIFFERENCES]:
        blocks += _difference(pair, count)
    if len(found) > MAX_DIFFERENCES:
        blocks.append(Text(f"and {len(found) - MAX_DIFFERENCES:,} more", style="dim"))
    return Group(*blocks)


def _difference(pair: Pair, count: int) -> Iterator[RenderableType]:
    subject = pair.subject
    title = Text(f"{word(subject.module_name)}[{shortened(subject.experiment_name)}]", style="bold")
    title.append("  output of B differs from A's", style="not bold dim")
    if count > 1:
        title.append(f"  ({count:,} times)", style="not bold")
    yield title
    if pair.a is None or pair.b is None:
        return
    if pair.have_rows_changed:
        yield Text(f"  ~ rows: {_count(pair.a.rows)} -> {_count(pair.b.rows)}", style="yellow")
    if pair.have_columns_changed:
        before, after = _count(pair.a.columns), _count(pair.b.columns)
        yield Text(f"  ~ columns: {before} -> {after}", style="yellow")
    if pair.has_schema_changed and not pair.diff:
        hashes = (
            "no table" if side.schema_hash is None else word(side.schema_hash[:8])
            for side in (pair.a, pair.b)
        )
        yield Text(f"  ~ schema: {' -> '.join(hashes)}", style="yellow")
    yield from diff_lines(pair.diff)


def _count(number: int | None) -> str:
    return "none" if number is None else f"{number:,}"


def breach_lines(broken: Sequence[Breach], most: int = 20) -> list[str]:
    """Say which rules are broken and where, in lines of plain text."""
    places = "in one place" if len(broken) == 1 else f"in {len(broken):,} places"
    lines = [f"B breaks the rules of --fail-on {places}:"]
    lines += [
        f"{breach.rule}: {_where(breach.execution)}: {breach.reason}" for breach in broken[:most]
    ]
    if len(broken) > most:
        lines.append(f"and {len(broken) - most:,} more")
    return lines


def _where(execution: Execution | None) -> str:
    if execution is None:
        return "the run"
    number = f" #{execution.number}" if execution.number > 1 else ""
    return f"{shortened(execution.experiment_path, MAX_PATH_LENGTH)}{number}"


# For machines.


def pair_row(pair: Pair) -> dict[str, Any]:
    """Return an execution in both runs by column."""
    a, b, times, subject = pair.a, pair.b, pair.times, pair.subject
    return {
        "module_name": subject.module_name,
        "experiment_name": subject.experiment_name,
        "experiment_path": subject.experiment_path,
        "number": subject.number,
        "presence": "added" if a is None else "removed" if b is None else "both",
        "a_status": None if a is None else a.status,
        "b_status": None if b is None else b.status,
        "a_seconds": None if a is None else a.seconds,
        "b_seconds": None if b is None else b.seconds,
        **_times_row(times),
        "schema_changed": pair.has_schema_changed,
        "a_output_hash": None if a is None else a.schema_hash,
        "b_output_hash": None if b is None else b.schema_hash,
        "rows_changed": pair.have_rows_changed,
        "a_rows": None if a is None else a.rows,
        "b_rows": None if b is None else b.rows,
        "columns_changed": pair.have_columns_changed,
        "a_columns": None if a is None else a.columns,
        "b_columns": None if b is None else b.columns,
    }


def _times_row(times: Times) -> dict[str, Any]:
    return {
        "difference_seconds": times.difference_seconds,
        "difference_ratio": times.ratio,
        "noise_seconds": times.noise_seconds,
        "judgement": times.judgement,
    }


def comparison_document(comparison: Comparison, broken: Sequence[Breach]) -> dict[str, Any]:
    """Return all of a comparison as one object."""
    return {
        "a": {**run_row(comparison.a.run), "sequence": list(comparison.a.sequence)},
        "b": {**run_row(comparison.b.run), "sequence": list(comparison.b.sequence)},
        "config_changed": comparison.has_config_changed,
        "engine_changed": comparison.has_engine_changed,
        "sequence_changed": comparison.has_sequence_changed,
        "result_changed": comparison.a.run.state != comparison.b.run.state,
        "total": {
            "a_seconds": comparison.total.a_seconds,
            "b_seconds": comparison.total.b_seconds,
            **_times_row(comparison.total),
        },
        "earlier_runs": comparison.earlier_count,
        "executions": [
            {**pair_row(pair), "diff": diff_document(pair.diff) if pair.diff else None}
            for pair in comparison.pairs
        ],
        "broken_rules": [
            {
                "rule": breach.rule,
                "experiment_path": None
                if breach.execution is None
                else breach.execution.experiment_path,
                "number": None if breach.execution is None else breach.execution.number,
                "reason": breach.reason,
            }
            for breach in broken
        ],
    }
