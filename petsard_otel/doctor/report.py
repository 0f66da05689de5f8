"""What a terminal and a program are shown of an examination."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from petsard_otel.doctor.findings import NOT_TRIED, NOTE, OK, PROBLEM, SECTIONS
from petsard_otel.reports.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderResult

    from petsard_otel.doctor.findings import Examination, Finding

_MARKS = {
    OK: ("✓", "+", "green"),
    NOTE: ("!", "!", "yellow"),
    PROBLEM: ("✗", "x", "bold red"),
    NOT_TRIED: ("-", "-", "dim"),
}

_INITIALS = frozenset({"dns", "tcp", "tls", "url"})

_ARROW, _ASCII_ARROW = "→", "->"

LABEL_WIDTH = 13
"""Columns of what was looked at; a longer one moves its text."""

MIN_WIDTH = 20
"""Columns of a text, however narrow the terminal is."""


def examination_json(examination: Examination) -> str:
    """Return everything as one JSON object. The text is pure ASCII."""
    return json.dumps(examination.to_dict(), indent=2)


class ExaminationReport:
    """Everything as a terminal shows it, as wide as that is."""

    def __init__(self, examination: Examination) -> None:
        self._examination = examination

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for (section, subject), findings in groupby(self._examination.findings, _block):
            title = Text(SECTIONS[section], style="bold")
            if subject is not None:
                title.append(f" {visible(subject)}", style="not bold")
            yield title
            for finding in findings:
                yield from _lines(finding, console, options)
            yield Text()
        yield _verdict(self._examination, is_ascii=options.ascii_only)


def _block(finding: Finding) -> tuple[str, str | None]:
    return finding.section, finding.subject


def _lines(finding: Finding, console: Console, options: ConsoleOptions) -> Iterator[Text]:
    """Yield a finding's lines, the further ones of its text below its first."""
    mark, plain, style = _MARKS[finding.state]
    name = finding.check.upper() if finding.check in _INITIALS else visible(finding.check)
    label = "" if finding.check in finding.sources else name
    first = Text.assemble((plain if options.ascii_only else mark, style), " ")
    if label:
        first.append(f"{label:<{LABEL_WIDTH}} ")
    text = Text(visible(finding.text), style="dim" if finding.state == NOT_TRIED else "")
    shown = [name for name in finding.sources if name not in finding.text]
    if shown:
        text.append(f" ({', '.join(shown)})", style="dim")
    indent = LABEL_WIDTH + 3 if label else 2
    yield from _wrapped(first, text, indent, console, options)
    if finding.remedy is not None:
        arrow = Text.assemble("  ", (_ASCII_ARROW if options.ascii_only else _ARROW, "cyan"), " ")
        yield from _wrapped(arrow, Text(visible(finding.remedy)), 4, console, options)


def _wrapped(
    first: Text, text: Text, indent: int, console: Console, options: ConsoleOptions
) -> Iterator[Text]:
    """Yield lines of a text behind what stands before the first of them."""
    width = max(options.max_width - max(indent, first.cell_len), MIN_WIDTH)
    before = first
    for line in text.wrap(console, width):
        line.rstrip()
        yield before + line
        before = Text(" " * indent)


def _verdict(examination: Examination, *, is_ascii: bool) -> Text:
    problems, notes = examination.count(PROBLEM), examination.count(NOTE)
    more = f", {_counted(notes, 'note')}" if notes else ""
    state = PROBLEM if problems else OK
    mark, plain, style = _MARKS[state]
    what = _counted(problems, "problem") if problems else "nothing is wrong"
    return Text(f"{plain if is_ascii else mark} {what}{more}", style=f"bold {style}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
