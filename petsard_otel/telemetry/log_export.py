"""A run's log records to a logger provider, with trace context. Uses the OpenTelemetry API alone.

A record's text quotes what its author pleased, so only our own texts leave unasked.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry._logs import LogRecord, SeverityNumber

from petsard_otel import attributes as key
from petsard_otel.logs import OWN_RECORD, overheard
from petsard_otel.passing import passing
from petsard_otel.settings import CAPTURE_LOG_MESSAGES, MAX_ATTRIBUTE_BYTES, MAX_NAME_BYTES
from petsard_otel.telemetry.budget import bounded, split_text
from petsard_otel.telemetry.identity import SCHEMA_URL
from petsard_otel.telemetry.open_span import error_type
from petsard_otel.telemetry.spans import current_span

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry._logs import LoggerProvider

    from petsard_otel.telemetry.encoding import Attributes
    from petsard_otel.telemetry.open_span import OpenSpan
    from petsard_otel.telemetry.spans import RunTrace

WITHHELD = f"(text withheld, it may quote data; {CAPTURE_LOG_MESSAGES}=true sends it)"
"""The body of a record whose text stays at home."""

_is_exporting: ContextVar[bool] = ContextVar("petsard-otel-log-export", default=False)


@passing
def exported_logs(provider: LoggerProvider | None, trace: RunTrace, level: str) -> Generator[None]:
    """Export the `PETsARD` logger's records of a run while it runs.

    Args:
        provider: Where they go; None where they go nowhere, and nothing is done.
        trace: The run; records made outside its spans are not its own.
        level: The lowest level that is exported, such as `INFO`.
    """
    if provider is None:
        yield
        return
    with overheard(ExportHandler(provider, trace, level)):
        yield


class ExportHandler(logging.Handler):
    """Makes OpenTelemetry's log records of one run's. Takes no lock, as providers take their own.

    Nothing of ours or the provider's that fails here reaches the code that logs. What a provider
    logs while it takes a record is not exported in its turn.
    """

    def __init__(self, provider: LoggerProvider, trace: RunTrace, level: str) -> None:
        super().__init__(level)
        self._provider = provider
        self._trace = trace

    def handle(self, record: logging.LogRecord) -> bool:
        """Export a record that is made inside a span of this run."""
        with self._trace.guard:
            span = current_span(self._trace)
            if span is None or _is_exporting.get():
                return False
            token = _is_exporting.set(True)
            try:
                self._export(record, span)
            finally:
                _is_exporting.reset(token)
        return True

    def _export(self, record: logging.LogRecord, span: OpenSpan) -> None:
        # The logger's name is the scope's: OpenTelemetry has no attribute for it.
        scope = bounded(record.name, MAX_NAME_BYTES)
        logger = self._provider.get_logger(scope, schema_url=SCHEMA_URL)
        context = context_api.get_current()
        number = severity_number(record.levelno)
        if not logger.enabled(context=context, severity_number=number):
            return
        logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                context=context,
                severity_text=_severity_text(record.levelno),
                severity_number=number,
                body=self._body(record),
                attributes=self._attributes(record, span),
            )
        )

    def _body(self, record: logging.LogRecord) -> str:
        """Return the text, where it is ours or was opted into, cut at the size budget."""
        if not self._trace.privacy.settings.log_messages and not is_own(record):
            return WITHHELD
        text = record.getMessage().encode(errors="replace").decode()
        return next(iter(split_text(text, MAX_ATTRIBUTE_BYTES)), "")

    def _attributes(self, record: logging.LogRecord, span: OpenSpan) -> Attributes:
        """Return where the record was made; never the file, whose path names the user's folders."""
        found: Attributes = {
            key.RUN_ID: self._trace.run_id,
            key.CODE_FUNCTION_NAME: bounded(record.funcName, MAX_NAME_BYTES),
            key.CODE_LINE_NUMBER: record.lineno,
        }
        for name in (key.MODULE_NAME, key.EXPERIMENT_NAME):
            if name in span.attributes:
                found[name] = span.attributes[name]
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            found[key.ERROR_TYPE] = error_type(error)
            found.update(self._trace.privacy.message(error))
        return self._trace.privacy.admit(found)


def is_own(record: logging.LogRecord) -> bool:
    """Tell whether a record's text is one of ours.

    Its place does not say it: with `stacklevel` a module logs in the name of who called it.
    """
    return all(getattr(record, name, None) is mark for name, mark in OWN_RECORD.items())


def _severity_text(level: int) -> str:
    """Return a level's name; of one that has none the nearest of OpenTelemetry's."""
    name = logging.getLevelName(level)
    return (
        severity_number(level).name if name.startswith("Level ") else bounded(name, MAX_NAME_BYTES)
    )


def severity_number(level: int) -> SeverityNumber:
    """Return a level of `logging` on OpenTelemetry's scale.

    >>> severity_number(logging.WARNING)
    <SeverityNumber.WARN: 13>
    """
    if level < logging.DEBUG:
        return SeverityNumber.TRACE if level > logging.NOTSET else SeverityNumber.UNSPECIFIED
    tens = min(level // 10, 5)
    return SeverityNumber(4 * tens + 1 + min(level - 10 * tens, 3))
