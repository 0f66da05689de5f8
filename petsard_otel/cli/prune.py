"""`petsard-otel prune`: old runs out of a history."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from petsard_otel.cli.consoles import console_on
from petsard_otel.cli.exit_codes import BAD_USAGE, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.exceptions import ConfigError, HistoryError

if TYPE_CHECKING:
    from argparse import Namespace

    from petsard_otel.cli.interrupts import Interrupts


def prune(options: Namespace, interrupts: Interrupts) -> int:
    """Remove runs, say which, and return the exit code."""
    notices = Notices(console_on(sys.stderr))
    with notices.installed():
        try:
            interrupts.check()
            return _prune(options, notices)
        except (ConfigError, HistoryError) as error:
            notices.error(str(error))
            return BAD_USAGE


def _prune(options: Namespace, notices: Notices) -> int:
    from petsard_otel.history.place import existing_place
    from petsard_otel.history.pruning import DEFAULT_AGE_SECONDS, DEFAULT_BYTES
    from petsard_otel.history.pruning import prune as remove

    found = remove(
        existing_place(options.history),
        DEFAULT_AGE_SECONDS if options.max_age is None else options.max_age,
        DEFAULT_BYTES if options.max_size is None else options.max_size,
        removes_unsent=options.unsent,
        is_trial=options.dry_run,
    )
    count = len(found.runs)
    runs = "no run" if not count else "1 run" if count == 1 else f"{count} runs"
    if options.dry_run:
        notices.info(f"{runs} would be removed; --dry-run removes nothing")
    elif not count:
        notices.info(f"no run removed; {megabytes(found.bytes_after)} in use")
    else:
        notices.info(
            f"{runs} removed; {megabytes(found.bytes_before)} before, "
            f"{megabytes(found.bytes_after)} now"
        )
    if found.kept_unsent:
        kept = "1 more has" if found.kept_unsent == 1 else f"{found.kept_unsent} more have"
        notices.info(
            f"{kept} spans that no collector has accepted: `petsard-otel push` sends them, "
            "--unsent removes them"
        )
    return SUCCESS


def megabytes(size_bytes: int) -> str:
    """Return a size for people."""
    return f"{size_bytes / 1e6:,.1f} MB"
