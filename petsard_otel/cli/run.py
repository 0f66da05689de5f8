"""`petsard-otel run`: a pipeline with its progress, then what came of it."""

from __future__ import annotations

import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, INTERRUPTED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.cli.progress import LiveProgress, PlainProgress, SilentProgress
from petsard_otel.cli.streams import stdout_to_stderr
from petsard_otel.exceptions import ConfigError
from petsard_otel.reports.tables import timing_csv, timing_json
from petsard_otel.reports.terminal import changes_list, summary_panel, timing_table, visible

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import TextIO

    from petsard_otel.cli.export import Export
    from petsard_otel.executor import Executor

MACHINE_FORMATS = {"json": timing_json, "csv": timing_csv}
"""The formats in which stdout holds the timing and nothing else."""


def run(options: Namespace) -> int:
    """Run a pipeline, print what came of it, and return the exit code."""
    errors = _console(sys.stderr)
    notices = Notices(errors)
    with notices.installed():
        with stdout_to_stderr() if options.format in MACHINE_FORMATS else nullcontext():
            try:
                executor, export = _prepare(options)
            except ConfigError as error:
                notices.error(str(error))
                return BAD_USAGE
            progress = _progress(executor, errors, is_quiet=options.quiet)
            notices.before_each = progress.flush
            failure = _execute(executor, progress)
        if isinstance(failure, OSError) and progress.running is None:
            # No module had begun: what cannot be opened is the log that the configuration names.
            notices.error(f"Executor: the log cannot be written: {failure}")
            return BAD_USAGE
        _print_results(executor, options, errors)
        if export is not None:
            trace_id = executor.status.get_status_summary()["trace_id"]
            export.finish(trace_id, notices, is_quiet=options.quiet)
        return _conclude(failure, progress, notices, with_traceback=options.traceback)


def _console(stream: TextIO) -> Console:
    return Console(file=stream, markup=False, highlight=False, emoji=False)


def _prepare(options: Namespace) -> tuple[Executor, Export | None]:
    from petsard_otel.cli.export import begin_export
    from petsard_otel.executor import Executor

    executor = Executor(Path(options.config), engine=options.engine)
    return executor, begin_export(options.endpoint, options.protocol)


def _progress(executor: Executor, console: Console, *, is_quiet: bool) -> SilentProgress:
    if is_quiet:
        return SilentProgress(executor)
    # Not `console.is_terminal`, which FORCE_COLOR makes true of a pipe.
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return LiveProgress(executor, console)
    return PlainProgress(executor, console)


def _execute(executor: Executor, progress: SilentProgress) -> BaseException | None:
    """Run it all, and return what ended it early."""
    try:
        with progress:
            executor.run(progress)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001
        # Whatever a module raises ends this command with one line about it.
        return error
    return None


def _print_results(executor: Executor, options: Namespace, errors: Console) -> None:
    status = executor.status
    records = [
        record for record in status.timing_records if options.steps or record.source != "step"
    ]
    as_text = MACHINE_FORMATS.get(options.format)
    if as_text is not None:
        sys.stdout.write(f"{as_text(records).rstrip()}\n")
        sys.stdout.flush()
        if options.quiet:
            return
    console = _console(sys.stdout) if as_text is None else errors
    if as_text is None and records:
        console.print(timing_table(records))
        console.print()
    if records:
        console.print(changes_list(status.get_change_history()))
        console.print()
    console.print(summary_panel(status.get_status_summary()))


def _conclude(
    failure: BaseException | None,
    progress: SilentProgress,
    notices: Notices,
    *,
    with_traceback: bool,
) -> int:
    """Say why a run ended early, if it did, and return the exit code."""
    if failure is None:
        return SUCCESS
    ...
