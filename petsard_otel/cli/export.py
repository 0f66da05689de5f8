"""Sending a run's spans from the command line, and saying in one line what came of it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from petsard_otel.exceptions import ConfigError
from petsard_otel.telemetry.setup import OTEL_TRACES_EXPORTER, configure

if TYPE_CHECKING:
    from petsard_otel.cli.notices import Notices
    from petsard_otel.telemetry.setup import Configuration, Delivery

VARIABLES = (
    OTEL_TRACES_EXPORTER,
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
)
"""Environment variables each of which says that spans are to be sent, or that they are not."""


class _SampledSpans(SpanProcessor):
    """Counts the spans that ought to arrive."""

    def __init__(self) -> None:
        self.count = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span, if it is to be sent."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.count += 1


@dataclass(frozen=True)
class Export:
    """The sending of one command's spans."""

    configuration: Configuration
    delivery: Delivery
    sampled: _SampledSpans

    def finish(self, trace_id: str | None, notices: Notices, *, is_quiet: bool) -> None:
        """Send what is left, and say how many spans arrived where."""
        self.configuration.shutdown()
        expected, delivered = self.sampled.count, self.delivery.delivered
        where = f"{_without_password(self.delivery.endpoint)} (trace {trace_id})"
        if delivered < expected:
            problem = (
                f"only {delivered} of {expected} spans reached the collector at"
                if delivered
                else f"{expected} spans could not be sent to the collector at"
            )
            notices.warning(f"{problem} {where}; the results are not affected")
        elif not is_quiet and expected:
            notices.info(f"{expected} spans sent to {where}")
        elif not is_quiet:
            notices.info(f"no span sent to {where}: the OTEL_* variables leave this run out")


def begin_export(endpoint: str | None, protocol: str | None) -> Export | None:
    """Have spans sent to an endpoint, else where the environment says; None where it does not.

    Where somebody has set a provider up already, as `opentelemetry-instrument` does, and no
    endpoint is given, that one is used and nothing is done here.

    Raises:
        ConfigError: The endpoint, the protocol or a variable cannot be used.
    """
    if endpoint is None:
        if not any(os.environ.get(name) for name in VARIABLES):
            if protocol is not None:
                raise ConfigError(
                    "--protocol says how to send; add --endpoint URL, which says where to"
                )
            return None
        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return None
    _silence_exporters()
    try:
        configuration = configure(endpoint, protocol=protocol)
    except (ValueError, OSError) as error:
        raise ConfigError(f"the OTEL_* variables cannot be used: {error}") from None
    if configuration.delivery is None:
        return None
    sampled = _SampledSpans()
    configuration.tracer_provider.add_span_processor(sampled)
    return Export(configuration, configuration.delivery, sampled)


def _silence_exporters() -> None:
    """Keep the exporters' errors and tracebacks off the terminal, for as long as this process is.

    They are logged from threads, at any time until its end; our one line stands for them.
    """
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
