"""What the commands that look at a history share: it is opened, asked, and the answer printed."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from petsard_otel.cli.consoles import console_on
from petsard_otel.cli.exit_codes import BAD_USAGE
from petsard_otel.cli.notices import Notices
from petsard_otel.exceptions import HistoryError, PetsardOtelError
from petsard_otel.reports.machine_text import csv_text, json_text
from petsard_otel.reports.wording import visible

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from petsard_otel.cli.interrupts import Interrupts
    from petsard_otel.history.reading import History
    from petsard_otel.records import RunSummary
    from petsard_otel.status import Status


class Question:
    """A history, what is asked of it, and where the answer goes.

    Attributes:
        history: The history, open.
        options: The arguments of the command.
        notices: Where warnings and errors go.
        format: `table`, `json` or `csv`.
    """

    def __init__(self, history: History, options: Namespace, notices: Notices) -> None:
        self.history = history
        self.options = options
        self.notices = notices
        self.format: str = options.format or ("table" if sys.stdout.isatty() else "json")
        self._console = console_on(sys.stdout)

    def status_of(self, run: RunSummary) -> Status:
        """Return the Status of a run, with everything that is kept of it."""
        from petsard_otel.rebuilding import rebuilt

        spans = self.history.spans(run)
        if not spans:
            raise HistoryError(f"of the run {run.run_id} no span is kept that can be read")
        # A span is a snapshot and two changes, or a timing, at most.
        limits = (len(spans), 2 * len(spans), len(spans))
        source = f"the run {run.run_id}"
        return rebuilt(spans, run.run_id, limits, source, self.history.pass_over)

    def show(self, *renderables: RenderableType) -> None:
        """Print for people, an empty line between any two."""
        for number, renderable in enumerate(renderables):
            if number:
                self._console.print()
            self._console.print(renderable)

    def answer(
        self, document: object, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Print for machines.

        Args:
            document: What is printed as JSON.
            columns: The columns of the CSV.
            rows: What is in them; lists become words with spaces between them.
        """
        if self.format == "json":
            sys.stdout.write(json_text(document))
        else:
            joined = (
                {
                    key: " ".join(map(str, value)) if isinstance(value, list | tuple) else value
                    for key, value in row.items()
                }
                for row in rows
            )
            text = csv_text(columns, joined, guards_formulas=True)
            if sys.stdout.isatty():
                # A name must not command the terminal that it is shown in.
                text = "\n".join(visible(line) for line in text.split("\n"))
            sys.stdout.write(text)
        sys.stdout.flush()


def answering(command: Callable[[Question], int]) -> Callable[[Namespace, Interrupts], int]:
    """Make a command of a function that answers a question and returns the exit code."""

    @wraps(command)
    def answered(options: Namespace, interrupts: Interrupts) -> int:
        from petsard_otel.history.reading import open_history

        notices = Notices(console_on(sys.stderr))
        with notices.installed():
            try:
                interrupts.check()
                with open_history(options.history) as history:
                    return command(Question(history, options, notices))
            except PetsardOtelError as error:
                notices.error(str(error))
                return BAD_USAGE

    return answered
