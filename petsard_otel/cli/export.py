"""`petsard-otel export`: a run's spans for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from petsard_otel.cli.consoles import console_on
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.exceptions import ConfigError, ExportError, HistoryError

if TYPE_CHECKING:
    from argparse import Namespace

    from petsard_otel.cli.interrupts import Interrupts


def export(options: Namespace, interrupts: Interrupts) -> int:
    """Write the export, say where it went, and return the exit code."""
    notices = Notices(console_on(sys.stderr))
    with notices.installed():
        try:
            interrupts.check()
            return _export(options, notices)
        except (ConfigError, HistoryError) as error:
            notices.error(str(error))
            return BAD_USAGE
        except ExportError as error:
            notices.error(str(error))
            return FAILED


def _export(options: Namespace, notices: Notices) -> int:
    from petsard_otel.exporting.formats import BINARY_FORMATS, exported
    from petsard_otel.exporting.writing import write_file, write_stdout
    from petsard_otel.history.reading import open_history

    with open_history(options.history) as history:
        run = history.find(options.run)
        chunks = exported(options.format, history.traces_data(run))
        if options.output is None:
            write_stdout(chunks, is_binary=options.format in BINARY_FORMATS)
        else:
            write_file(chunks, Path(options.output), may_overwrite=options.force)
    if options.output is not None:
        notices.info(f"run {run.run_id} written to {options.output}")
        if options.format == "perfetto":
            notices.info("open it in https://ui.perfetto.dev: it stays in your browser")
    return SUCCESS
