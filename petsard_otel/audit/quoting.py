"""What a module may do that quotes a cell: errors, log records, attributes, warnings, baggage.

All of it is what careless code does in earnest; none of it may leave the process.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, context, trace
from opentelemetry.trace import Status, StatusCode

if TYPE_CHECKING:
    from petsard_otel.audit.sentinels import Mint

LOGGER = "PETsARD.Audited"
"""What the modules of a replay log on, as PETsARD's own do."""

ELSEWHERE = "/usr/lib/somebody/adapter.py"
"""Where a log record seems to come from: not from this package, whose texts are known."""


class QuotingError(Exception):
    """An error whose text, arguments, notes, causes and contexts quote cells."""


PLANTED_ERRORS: tuple[type[Exception], ...] = (QuotingError,)
"""What the modules of a replay raise."""

if sys.version_info >= (3, 11):

    class QuotingGroup(ExceptionGroup[Exception]):  # noqa: F821  not looked up before Python 3.11
        """A group of errors that quote cells."""

    PLANTED_ERRORS = (QuotingError, QuotingGroup)


def quoting_error(mint: Mint, place: str, table: Any, *, as_group: bool = False) -> Exception:
    """Make an error that quotes cells in every way, over several levels."""
    kind = "exception's message"
    cell = mint.said(kind, f"{place}, its cause")
    cause = ValueError(f"could not convert string to float: {cell!r}")
    cause.__context__ = KeyError(mint.said(kind, f"{place}, the context of its cause"))
    text = mint.said(kind, place)
    number = mint.counted(f"{place}, the message")
    found: Exception = QuotingError(f"row {number} holds {text}", table)
    if as_group and sys.version_info >= (3, 11):
        found = QuotingGroup(mint.said(kind, f"{place}, a group"), [found, cause])
    found.__cause__ = cause
    found.__context__ = OSError(2, mint.said(kind, f"{place}, its context"), "/data/cells.csv")
    if sys.version_info >= (3, 11):
        found.add_note(mint.said("exception's note", place))
    return found


def misbehave(mint: Mint, place: str) -> None:
    """Do with the current span, the log, warnings and baggage what careless code does."""
    _mark_span(trace.get_current_span(), mint, place)
    _log(mint, place)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        warnings.warn(mint.said("warning", place), stacklevel=1)
    carried = baggage.set_baggage("cell", mint.said("baggage", place))
    token = context.attach(carried)
    trace.get_current_span().set_attribute("after", mint.said("attribute", place))
    context.detach(token)


def _mark_span(span: trace.Span, mint: Mint, place: str) -> None:
    """Try every way to add to a span."""

    def text(way: str) -> str:
        return mint.said(f"{way} of the current span", place)

    span.set_attribute("cell", text("attribute"))
    span.set_attribute("petsard.step.name", text("attribute"))
    span.set_attribute("petsard.schema.output.json", text("attribute"))
    span.set_attribute("cells", [text("attribute"), text("attribute")])
    span.set_attribute(text("key"), 1)
    span.set_attributes({"number": mint.counted(place), "ratio": mint.counted(place) / 8})
    span.add_event(text("event"), {"cell": text("event's attribute")})
    span.record_exception(ValueError(text("exception")), {"cell": text("exception's attribute")})
    span.set_status(Status(StatusCode.ERROR, text("status")))
    span.update_name(text("name"))


def _log(mint: Mint, place: str) -> None:
    """Log cells in the text, in the arguments, in an exception and in a field of the record."""
    logger = logging.getLogger(LOGGER)
    error = ValueError(mint.said("logged exception", place))
    for message, arguments, failure in (
        (f"row with {mint.said('log message', place)}", (), None),
        ("row with %s and %d", (mint.said("log argument", place), mint.counted(place)), None),
        ("Executing %s[%s]", ("Loader", mint.said("log argument", place)), None),
        ("cannot convert", (), (type(error), error, None)),
    ):
        extra = {"cell": mint.said("field of a log record", place)}
        record = logger.makeRecord(
            LOGGER, logging.ERROR, ELSEWHERE, 1, message, arguments, failure, "run", extra
        )
        logger.handle(record)
