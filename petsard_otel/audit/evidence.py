"""What left the process, or could have, kept as it was until it is searched."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from petsard_otel.reports.tables import timing_csv, timing_json
from petsard_otel.reports.terminal import changes_list, summary_panel, timing_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from petsard_otel.audit.payloads import Payload
    from petsard_otel.executor import Executor
    from petsard_otel.status import Status

LOG_OUTPUT, REPORTS, REPRS = "log output", "reports", "reprs"
"""The artefacts that are text."""

LOGGERS = ("petsard_otel", "PETsARD", "opentelemetry")
"""Loggers on which this package, or what it exports with, may say something."""

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


@dataclass(frozen=True)
class Text:
    """A text that this package made, in an artefact, at a place, during a part of the audit."""

    artefact: str
    place: str
    text: str
    during: str = ""


class Evidence:
    """Requests and texts. Thread-safe: receivers and loggers add to it from threads."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []
        self.texts: list[Text] = []
        self.during = ""
        self._lock = threading.Lock()

    def take_payload(self, payload: Payload) -> None:
        """Keep a request."""
        with self._lock:
            self.payloads.append(replace(payload, during=self.during))

    def take_text(self, artefact: str, place: str, text: str) -> None:
        """Keep a text."""
        with self._lock:
            self.texts.append(Text(artefact, place, text, self.during))

    def take_run(self, executor: Executor) -> None:
        """Keep every report on a run, and what its objects say of themselves."""
        self._take_reports(executor.status)
        self._take_reprs(executor)

    def _take_reprs(self, executor: Executor) -> None:
        status = executor.status
        shown = {
            "the Executor": executor,
            "the Config": executor.config,
            "the Status": status,
            "the summary": status.get_status_summary(),
            "the lineage": status.get_schema_lineage(),
            "the schemas": dict(status.metadata),
            "the predicted schemas": dict(status.inferred_schemas),
            "the snapshots": status.get_snapshots(),
            "the timings": status.get_timing_records(),
            "the changes": status.get_change_history(),
        }
        for place, value in shown.items():
            self.take_text(REPRS, place, f"{value!r}\n{value}")

    def _take_reports(self, status: Status) -> None:
        from rich.console import Console

        records = status.timing_records
        for place, renderable in (
            ("the timing table", timing_table(records)),
            ("the list of changes", changes_list(status.get_change_history())),
            ("the summary's panel", summary_panel(status.get_status_summary())),
        ):
            console = Console(file=StringIO(), width=200, markup=False, emoji=False)
            console.print(renderable)
            self.take_text(REPORTS, place, console.file.getvalue())  # type: ignore[attr-defined]
        self.take_text(REPORTS, "the timings as JSON", timing_json(records))
        self.take_text(REPORTS, "the timings as CSV", timing_csv(records))
        frame = status.get_timing_report_data(steps=True)
        self.take_text(REPORTS, "get_timing_report_data()", frame.to_csv())


class _LogCapture(logging.Handler):
    """Keeps what this package and the exporters log; what modules log is their own."""

    def __init__(self, take: Callable[[str, str, str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with its exception, where it is not a module's."""
        if record.name.startswith("opentelemetry") or record.pathname.startswith(_PACKAGE):
            self._take(LOG_OUTPUT, f"logger {record.name}", self.format(record))


@contextmanager
def captured_logs(evidence: Evidence) -> Iterator[None]:
    """Keep the log output of all levels while the block runs; nothing of it goes elsewhere."""
    handler = _LogCapture(evidence.take_text)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    former = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers = [handler]
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handlers, level, propagate in former:
            logger.handlers = handlers
            logger.setLevel(level)
            logger.propagate = propagate
