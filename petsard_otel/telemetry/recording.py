"""Tracer providers that record everything, whatever the environment says. Uses the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from petsard_otel.telemetry.identity import new_span_id, new_trace_id

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.sampling import Sampler


def recording_provider(sampler: Sampler | None, resource: Resource) -> TracerProvider:
    """Make a provider that cuts nothing off, and that only we end; None: the variables' sampler.

    No environment variable narrows its limits; our own size budget holds anyway.
    """
    unset = SpanLimits.UNSET
    return TracerProvider(
        sampler=sampler,
        resource=resource,
        shutdown_on_exit=False,
        id_generator=SystemIds(),
        span_limits=SpanLimits(
            max_attributes=unset,
            max_events=unset,
            max_links=unset,
            max_span_attributes=unset,
            max_event_attributes=unset,
            max_link_attributes=unset,
            max_attribute_length=unset,
            max_span_attribute_length=unset,
        ),
    )


class SystemIds(IdGenerator):
    """Ids that do not come from the `random` module's generator, which modules seed."""

    def generate_span_id(self) -> int:
        """Draw the id of a span."""
        return new_span_id()

    def generate_trace_id(self) -> int:
        """Draw the id of a trace."""
        return new_trace_id()

    def is_trace_id_random(self) -> bool:
        """Return true: every bit is drawn."""
        return True
