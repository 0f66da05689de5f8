"""`petsard-otel audit`: proof, on the user's own pipeline, that nothing personal leaves."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from petsard_otel.cli.consoles import console_on, is_live
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.cli.progress import spinner_of
from petsard_otel.cli.streams import stdout_to_stderr
from petsard_otel.exceptions import ConfigError
from petsard_otel.reports.terminal import visible

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from petsard_otel.audit.result import AuditResult
    from petsard_otel.cli.interrupts import Interrupts


def audit(options: Namespace, interrupts: Interrupts) -> int:
    """Audit a pipeline, print what came of it, and return the exit code."""
    errors = console_on(sys.stderr)
    try:
        # What the pipeline's modules print is not the audit's output.
        with stdout_to_stderr():
            result = _audited(options, interrupts, errors)
    except ConfigError as error:
        Notices(errors).error(str(error))
        return BAD_USAGE
    finally:
        if is_live(errors):
            # An interrupt may strike just where something live has hidden it.
            errors.show_cursor()
    _print(result, options)
    return SUCCESS if result.is_private else FAILED


def _audited(options: Namespace, interrupts: Interrupts, console: Console) -> AuditResult:
    """Audit the pipeline; on a terminal, say what is going on in one line that goes away."""
    is_shown = is_live(console) and not options.quiet
    first = _line(f"reading {options.config}")
    live = console.status(first, spinner=spinner_of(console)) if is_shown else None

    def tell(message: str) -> None:
        interrupts.check()
        if live is not None:
            live.update(_line(message))

    with live or nullcontext():
        from petsard_otel.telemetry.sending.environment import check_sdk_variables

        # The SDK fails on some of them as soon as it is imported.
        check_sdk_variables()
        from petsard_otel.audit.audit import audit

        return audit(Path(options.config), tell=tell)


def _print(result: AuditResult, options: Namespace) -> None:
    from petsard_otel.audit.report import audit_json, audit_report

    if options.format == "json":
        sys.stdout.write(f"{audit_json(result)}\n")
        return
    console_on(sys.stdout).print(audit_report(result))


def _line(message: str) -> Text:
    return Text(visible(message), style="dim", no_wrap=True, overflow="ellipsis")
