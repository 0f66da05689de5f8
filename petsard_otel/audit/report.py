"""What a terminal and a program are shown of an audit."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from petsard_otel.reports.ruled_table import ruled_table
from petsard_otel.reports.terminal import format_duration
from petsard_otel.reports.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

    from petsard_otel.audit.result import AuditResult, Find

MAX_WAYS = 20
"""Ways out that are shown; the others are counted."""

MAX_EXAMPLES = 3
"""Sentinels that are shown of those that took one way out."""

MAX_LENGTH = 160
"""Characters of a place that are shown."""

_ASCII = str.maketrans("✗✓·", "x+|")

NOT_SEARCHED = (
    "Not searched: the files that the Reporter writes and the messages on your own terminal, which "
    "are the pipeline's own product; what modules log for themselves; spans that other libraries "
    "send by a provider of their own."
)
"""What an audit says nothing about."""


def audit_json(result: AuditResult) -> str:
    """Return everything as one JSON object. The text is pure ASCII."""
    return json.dumps(result.to_dict(), indent=2)


def audit_text(result: AuditResult) -> str:
    """Return what a terminal shows as plain text."""
    console = Console(width=100, color_system=None, force_terminal=False, record=False)
    with console.capture() as capture:
        console.print(audit_report(result))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def audit_report(result: AuditResult) -> RenderableType:
    """Return heading, table, finds and verdict."""
    blocks: list[RenderableType] = [_heading(result), Text(), _table(result), Text()]
    return _Blocks([*blocks, *_finds(result), *_verdict(result)])


class _Blocks:
    """Blocks one below the other, in plain letters where the output is ASCII."""

    def __init__(self, blocks: list[RenderableType]) -> None:
        self._blocks = blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for block in self._blocks:
            if options.ascii_only and isinstance(block, Text):
                block.plain = block.plain.translate(_ASCII)
            yield block


def _heading(result: AuditResult) -> Text:
    text = Text.assemble(("Audit of ", "bold"), (visible(result.name), "bold"), "\n")
    text.append(
        " · ".join(f"{name} {value}" for name, value in result.settings.items()), style="dim"
    )
    return text


def _table(result: AuditResult) -> Table:
    table = ruled_table(gap=2, has_footer=True)
    total = sum(row.bytes_searched for row in result.artefacts)
    items = sum(row.items for row in result.artefacts)
    table.add_column("Artefact", no_wrap=True, footer="total")
    table.add_column("Items", justify="right", no_wrap=True, footer=f"{items:,}")
    table.add_column("Bytes searched", justify="right", no_wrap=True, footer=f"{total:,}")
    found = len({find.what for find in result.finds})
    table.add_column("Sentinels found", no_wrap=True, footer=_found(found))
    for row in result.artefacts:
        table.add_row(row.name, f"{row.items:,}", f"{row.bytes_searched:,}", _found(row.sentinels))
    return table


def _found(count: int) -> Text:
    return Text(f"{count:,}", style="bold red") if count else Text("none", style="green")


def _finds(result: AuditResult) -> Iterator[RenderableType]:
    """Yield each way out, with a few of the sentinels that took it."""
    ways: dict[str, list[Find]] = {}
    for find in result.finds:
        ways.setdefault(find.way, []).append(find)
    ranked = sorted(ways.items(), key=lambda entry: -len(entry[1]))
    for way, finds in ranked[:MAX_WAYS]:
        artefacts = ", ".join(dict.fromkeys(find.artefact for find in finds))
        sentinels = _varied({find.what: find for find in reversed(finds)})
        count = f"{len(sentinels):,} sentinel{'s' if len(sentinels) > 1 else ''}"
        yield Text.assemble((f"✗ {_cut(way)}", "bold red"), f" in {artefacts}: {count}")
        for find in sentinels[:MAX_EXAMPLES]:
            text = f"{_cut(find.what)}\n  in {_cut(find.place)}, as {find.encoding}"
            yield _indented(text)
        if len(sentinels) > MAX_EXAMPLES:
            yield _indented(f"and {len(sentinels) - MAX_EXAMPLES:,} more")
    if len(ways) > MAX_WAYS:
        yield Text(f"✗ and {len(ways) - MAX_WAYS} more ways out", style="bold red")
    if ways:
        yield Text()


def _indented(text: str) -> Padding:
    return Padding(Text(text, overflow="fold"), (0, 0, 0, 2), expand=False)


def _varied(sentinels: Mapping[str, Find]) -> list[Find]:
    """Order sentinels so that the first ones are of as many kinds as there are."""
    seen: Counter[str] = Counter()
    ranked = []
    for what, find in sorted(sentinels.items()):
        kind = what.partition(" of ")[0]
        seen[kind] += 1
        ranked.append((seen[kind], find))
    return [find for _, find in sorted(ranked, key=lambda entry: entry[0])]


def _verdict(result: AuditResult) -> Iterator[RenderableType]:
    planted = sum(result.planted.values())
    kinds = len(result.planted)
    took = format_duration(result.duration_seconds)
    yield Text(
        f"{planted:,} sentinels of {kinds} kinds were planted in {result.runs} runs ({took}).",
        style="dim",
    )
    for note in result.notes:
        yield Text(f"{note[0].upper()}{note[1:]}.", style="dim")
    yield Text(NOT_SEARCHED, style="dim")
    yield Text()
    for problem in result.problems:
        yield Text.assemble(("✗ not as it must be: ", "bold red"), problem)
    if result.failure is not None:
        yield Text.assemble(
            ("✗ the pipeline did not come to its end: ", "bold red"), visible(result.failure)
        )
    if result.finds:
        found = len({find.what for find in result.finds})
        places = "one place" if found == 1 else f"{found:,} places"
        yield Text(f"✗ sentinels left, of those planted in {places}", style="bold red")
    elif result.is_private:
        yield Text("✓ nothing that was planted left", style="bold green")
    else:
        yield Text("nothing that was planted was found in what could be searched", style="yellow")


def _cut(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= MAX_LENGTH else f"{shown[: MAX_LENGTH - 3]}..."
