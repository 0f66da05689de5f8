"""Ended spans into the right store. Uses the OpenTelemetry SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Status, StatusCode

from petsard_otel.attributes import SCOPE_NAME
from petsard_otel.records import SchemaPart
from petsard_otel.telemetry.encoding import decode
from petsard_otel.telemetry.identity import SCHEMA_URL
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    import opentelemetry.trace as trace_api
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from petsard_otel.telemetry.open_span import OpenSpan


_SCOPE = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
_EMPTY_RESOURCE = Resource.get_empty()


class StatusSpanProcessor(SpanProcessor):
    """Turns our own ended spans into records of the run that they belong to.

    It knows the spans that are about to end by their ids, so a foreign span costs a look-up and
    never enters a Status. Nothing raises into the provider. Holds no run alive.
    """

    def __init__(self) -> None:
        self._expected: dict[int, OpenSpan] = {}

    def expect(self, span: OpenSpan) -> None:
        """Be ready for a span of ours that is about to end."""
        self._expected[span.identity.span_id] = span

    def settle(self, span: OpenSpan) -> None:
        """Mirror an ended span that never came: put its attributes into one that did end."""
        if span.identity.span_id in self._expected:
            self.on_end(_readable(span))

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span becomes a record when it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take in a span, if it is one of ours; each is taken once."""
        context = span.context
        expected = None if context is None else self._expected.pop(context.span_id, None)
        if expected is None:
            return
        with expected.trace.guard:
            attributes: Mapping[str, Any] = span.attributes.copy()  # type: ignore[union-attr]
            # A provider with tight limits hands on less than what was set, and our own gate
            # sets less than there is to know.
            if attributes != expected.attributes:
                attributes = expected.attributes
            record = decode(span, attributes)
            # The store has the schema itself, of which these are parts.
            if not isinstance(record, SchemaPart):
                expected.trace.store.add(record)

    def shutdown(self) -> None:
        """Do nothing: a Status outlives the provider."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return true: nothing waits here."""
        return True


_processors: WeakKeyDictionary[TracerProvider, StatusSpanProcessor] = WeakKeyDictionary()


def mirror_of(provider: trace_api.TracerProvider) -> StatusSpanProcessor:
    """Return the provider's mirror; the first time, attach one where the provider takes any."""
    if not isinstance(provider, TracerProvider):
        return StatusSpanProcessor()
    # No lock: a fork could leave it held. Whoever comes second may find it not yet attached, and
    # has its spans settled.
    made = StatusSpanProcessor()
    found = _processors.setdefault(provider, made)
    if found is made:
        provider.add_span_processor(found)
    return found


def _readable(span: OpenSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.identity,
        parent=span.parent,
        resource=_EMPTY_RESOURCE,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
        start_time=span.start_time_ns,
        end_time=span.end_time_ns,
        instrumentation_scope=_SCOPE,
    )
