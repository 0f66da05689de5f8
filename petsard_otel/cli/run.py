"""`petsard-otel run`: a pipeline with its progress, then what came of it."""

from __future__ import annotations

import sys
import traceback
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from petsard_otel.cli.consoles import console_on, is_live
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, INTERRUPTED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.cli.progress import LiveProgress, PlainProgress, SilentProgress, spinner_of
from petsard_otel.cli.streams import stdout_to_stderr
from petsard_otel.exceptions import ConfigError
from petsard_otel.reports.tables import timing_csv, timing_json
from petsard_otel.reports.terminal import changes_list, summary_panel, timing_table, visible

if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import AbstractContextManager

    from rich.console import Console

    from petsard_otel.cli.interrupts import Interrupts
    from petsard_otel.cli.sending import Export
    from petsard_otel.executor import Executor, Progress
    from petsard_otel.settings import HistoryChoice

MACHINE_FORMATS = {"json": timing_json, "csv": timing_csv}
"""The formats in which stdout holds the timing and nothing else."""


def run(options: Namespace, interrupts: Interrupts) -> int:
    """Run a pipeline, print what came of it, and return the exit code."""
    errors = console_on(sys.stderr)
    notices = Notices(errors)
    try:
        with notices.installed():
            return _run(options, interrupts, errors, notices)
    finally:
        if is_live(errors):
            # An interrupt may strike just where something live has hidden it.
            errors.show_cursor()


def _run(options: Namespace, interrupts: Interrupts, errors: Console, notices: Notices) -> int:
    with stdout_to_stderr() if options.format in MACHINE_FORMATS else nullcontext():
        try:
            with _waiting(errors, options):
                executor, export = _prepare(options)
        except ConfigError as error:
            notices.error(str(error))
            return BAD_USAGE
        if executor.engine == "petsard" and options.engine == "auto" and not options.quiet:
            from petsard_otel.engines import why_petsard

            notices.info(why_petsard())
        progress = _progress(executor, errors, is_quiet=options.quiet)
        notices.before_each = progress.flush
        try:
            failure = _execute(executor, progress, interrupts)
        except OSError as error:
            # No module had begun: what cannot be opened is the log that the YAML names.
            notices.error(f"Executor: the log cannot be written: {error}")
            return BAD_USAGE
    _print_results(executor, options, errors)
    if export is not None:
        trace_id = executor.status.get_status_summary()["trace_id"]
        export.finish(trace_id, notices, is_quiet=options.quiet)
    return _conclude(failure, progress, notices, with_traceback=options.traceback)


def _prepare(options: Namespace) -> tuple[Executor, Export | None]:
    from petsard_otel.telemetry.sending.environment import check_sdk_variables

    # The SDK fails on some of them as soon as it is imported.
    check_sdk_variables()
    from petsard_otel.cli.sending import begin_export
    from petsard_otel.executor import Executor

    _choose_history(options)
    with warnings.catch_warnings():
        # What libraries have to say of each other while they are imported is for their makers.
        warnings.simplefilter("ignore")
        executor = Executor(Path(options.config), engine=options.engine)
    return executor, begin_export(options.endpoint, options.protocol)


def _choose_history(options: Namespace) -> None:
    """Have the run kept beside its configuration, where nothing else is said."""
    from petsard_otel.telemetry.privacy import settings_of_environment
    from petsard_otel.telemetry.setup import keep_history

    if options.no_history and options.history is not None:
        raise ConfigError("--history says where the run is kept, --no-history that it is not")
    said = settings_of_environment().history
    usual: HistoryChoice = True if said is None else said
    keep_history(False if options.no_history else options.history or usual)


def _waiting(console: Console, options: Namespace) -> AbstractContextManager[object]:
    """Show that something is happening: the imports alone take a second or two."""
    if options.quiet or not is_live(console):
        return nullcontext()
    return console.status(
        Text(f"reading {visible(options.config)}", style="dim"),
        spinner=spinner_of(console),
    )


def _progress(executor: Executor, console: Console, *, is_quiet: bool) -> SilentProgress:
    if is_quiet:
        return SilentProgress(executor)
    if is_live(console):
        return LiveProgress(executor, console)
    return PlainProgress(executor, console)


def _execute(
    executor: Executor, progress: SilentProgress, interrupts: Interrupts
) -> BaseException | None:
    """Run it all, and return what ended it early; raise what no module raised."""

    def take(event: Progress) -> None:
        interrupts.check()
        progress(event)

    try:
        with progress:
            executor.run(take)
    except BaseException as error:
        if interrupts.has_come:
            return KeyboardInterrupt()
        if progress.running is None:
            raise
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
    console = console_on(sys.stdout) if as_text is None else errors
    if records:
        if not options.quiet and sys.stdout.isatty():
            console.print()
        if as_text is None:
            console.print(timing_table(records))
            console.print()
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
    running = progress.running
    path = () if running is None else running.experiment_path
    names = [f"{module}[{experiment}]" for module, experiment in path]
    if isinstance(failure, KeyboardInterrupt):
        notices.error(f"interrupted in {names[-1]}" if names else "interrupted")
        return INTERRUPTED
    if with_traceback:
        sys.stderr.writelines(traceback.format_exception(failure))
    message = f"{names[-1]} failed: {type(failure).__name__}: {failure}"
    if len(names) > 1:
        message += f"\non the path {' > '.join(names)}"
    notices.error(message)
    return FAILED
