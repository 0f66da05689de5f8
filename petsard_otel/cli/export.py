"""Sending a run's spans from the command line, and saying in one line what came of it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import trace

from petsard_otel.exceptions import ConfigError
from petsard_otel.telemetry.setup import configure

if TYPE_CHECKING:
    from petsard_otel.cli.notices import Notices
    from petsard_otel.telemetry.setup import Configuration, Delivery

VARIABLES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Environment variables each of which says that spans are to be sent, or that they are not."""


@dataclass(frozen=True)
class Export:
    """The sending of one command's spans."""

    configuration: Configuration
    delivery: Delivery

    def finish(self, trace_id: str | None, notices: Notices, *, is_quiet: bool) -> None:
        """Send what is left, and say how many spans arrived where; nothing where none was made."""
        self.configuration.shutdown()
        if trace_id is None:
            return
        expected, delivered = self.delivery.sampled, self.delivery.delivered
        where = f"{_without_password(self.delivery.endpoint)} (trace {trace_id})"
        if delivered < expected:
            problem = (
                f"only {delivered} of {expected} spans reached the collector at {where}"
                if delivered
                else f"the collector at {where} could not be reached, no span was delivered"
            )
            notices.warning(f"{problem}; the results are not affected")
        elif not is_quiet and delivered:
            notices.info(f"{delivered} spans sent to {where}")
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
    return Export(configuration, configuration.delivery)


def _silence_exporters() -> None:
    """Keep the exporters' errors and tracebacks off the terminal, for as long as this process is.

    They are logged from threads, at any time until its end; our one line stands for them.
    """
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
