"""How far a run is, for people: a line for each execution, indented by how deep its path is."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from petsard_otel.reports.terminal import format_duration, visible

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from petsard_otel.executor import Executor, Progress

DRAW_SECONDS = 0.1
"""How often a terminal is drawn on."""

DURATION_WIDTH = 7
"""Columns of a duration."""

BAR_WIDTH = 20
"""Columns of the bar that shows how much of the whole run is done."""

MIN_BAR_WIDTH = 8
"""Columns of the bar where the labels are long."""

KEPT_END = 8
"""Characters at the end of a label that are kept where it is cut, such as `_[10-03]]`."""

_MARKS = {
    "success": ("✓", "+", "green"),
    "error": ("✗", "x", "bold red"),
    "cancelled": ("-", "-", "yellow"),
}


class SilentProgress:
    """Knows what is running, and shows nothing. A context around the run, and its callback."""

    def __init__(self, executor: Executor) -> None:
        self.running: Progress | None = None
        self._executor = executor
        self._former_record: str | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.running is not None:
            self._ended(self.running)

    def __call__(self, progress: Progress) -> None:
        """Take note that an execution begins, so that the one before it has ended."""
        former, self.running = self.running, None if progress.module is None else progress
        if former is not None:
            self._ended(former)
        if self.running is not None:
            self._started(self.running)

    def flush(self) -> None:
        """Write what is held back."""

    def _started(self, progress: Progress) -> None:
        """Show that an execution runs."""

    def _ended(self, progress: Progress) -> None:
        """Show how an execution ended."""

    def _outcome(self, progress: Progress) -> tuple[str, str]:
        """Return an ended execution's status and its duration as text, empty where unknown."""
        for record in reversed(self._executor.status.timing_records):
            if record.source == "module":
                if record.record_id == self._former_record:
                    break
                self._former_record = record.record_id
                return record.status, format_duration(record.duration_seconds)
        return "cancelled", ""


class PlainProgress(SilentProgress):
    """Writes one line when an execution ends: for logs and pipes."""

    def __init__(self, executor: Executor, console: Console) -> None:
        super().__init__(executor)
        self._console = console
        self._width = _label_width(executor)

    def _ended(self, progress: Progress) -> None:
        status, duration = self._outcome(progress)
        digits = len(str(progress.total))
        label = _fitted(_label(progress), self._width)
        line = (
            f"[{progress.number:>{digits}}/{progress.total}] {label} {duration:>{DURATION_WIDTH}}"
        )
        if status != "success":
            line += f"  {status}"
        self._console.print(Text(line), soft_wrap=True)


class LiveProgress(SilentProgress):
    """Keeps one live line at the bottom of a terminal; finished lines scroll away above it."""

    def __init__(self, executor: Executor, console: Console) -> None:
        super().__init__(executor)
        self._console = console
        self._spinner = Spinner(spinner_of(console), style="cyan")
        count = executor.config.execution_count
        rest = max(console.width - 2 * len(str(count)) - DURATION_WIDTH - 7, 2 * MIN_BAR_WIDTH)
        self._width = min(_label_width(executor), rest - MIN_BAR_WIDTH)
        self._bar_width = min(rest - self._width, BAR_WIDTH)
        self._since = 0.0
        self._ended_lines: deque[Text] = deque()
        self._flushing = threading.Lock()
        self._is_over = threading.Event()
        self._drawer = threading.Thread(target=self._draw, daemon=True)
        self._live = Live(
            self,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> None:
        self._live.start()
        self._drawer.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc, traceback)
        self._is_over.set()
        try:
            self._drawer.join()
            self.flush()
        finally:
            self._live.stop()

    def flush(self) -> None:
        """Write the lines of what has ended; safe from any thread."""
        with self._flushing:
            lines = [self._ended_lines.popleft() for _ in range(len(self._ended_lines))]
            if lines:
                self._console.print(Text("\n").join(lines), overflow="ellipsis", no_wrap=True)

    def _draw(self) -> None:
        """Write and draw at intervals, in a thread of its own, so that executions need not wait.

        Rich leaves remains where two threads draw live parts of different heights; this one is
        always one line high.
        """
        while not self._is_over.wait(DRAW_SECONDS):
            self.flush()
            self._live.refresh()

    def _started(self, progress: Progress) -> None:
        self._since = time.monotonic()

    def _ended(self, progress: Progress) -> None:
        status, duration = self._outcome(progress)
        mark, ascii_mark, style = _MARKS.get(status, _MARKS["error"])
        if self._console.options.ascii_only:
            mark = ascii_mark
        line = Text.assemble((mark, style), " ", self._fitted(progress))
        line.append(f" {duration:>{DURATION_WIDTH}}", style="dim")
        if status != "success":
            line.append(f"  {status}", style=style)
        self._ended_lines.append(line)

    def __rich__(self) -> RenderableType:
        """Return the live line."""
        running = self.running
        if running is None:
            return Text()
        minutes, seconds = divmod(int(time.monotonic() - self._since), 60)
        done = running.number - 1
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(
            self._spinner,
            self._fitted(running),
            Text(f"{minutes}:{seconds:02}".rjust(DURATION_WIDTH), style="dim"),
            ProgressBar(running.total, done, width=self._bar_width),
            f"{done}/{running.total}",
        )
        return grid

    def _fitted(self, progress: Progress) -> Text:
        return Text(_fitted(_label(progress), self._width))


def spinner_of(console: Console) -> str:
    """Return the name of a spinner that the console's encoding can show."""
    return "line" if console.options.ascii_only else "dots"


def _label(progress: Progress) -> str:
    """Name an execution, indented by the number of modules before it on its path."""
    depth = len(progress.experiment_path) - 1
    return "  " * depth + visible(f"{progress.module}[{progress.experiment}]")


def _fitted(label: str, width: int) -> str:
    """Pad a label to a number of columns, or cut out of it before its end, which tells splits."""
    if cell_len(label) > width:
        end = label[-KEPT_END:]
        label = f"{set_cell_size(label, width - cell_len(end) - 3)}...{end}"
    return set_cell_size(label, width)


def _label_width(executor: Executor) -> int:
    """Return the length of the longest label of a run."""
    return max(
        2 * depth + cell_len(visible(f"{module}[{experiment}]"))
        for depth, (module, experiments) in enumerate(executor.config.yaml.items())
        for experiment in experiments
    )
