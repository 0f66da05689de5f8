"""Sending a run's spans from the command line, and saying in one line what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace

from petsard_otel.exceptions import ConfigError
from petsard_otel.history.journals import is_kept
from petsard_otel.telemetry.sending.environment import EXPORT_VARIABLES, read
from petsard_otel.telemetry.sending.trace_url import trace_url, trace_url_template
from petsard_otel.telemetry.setup import configure

if TYPE_CHECKING:
    from petsard_otel.cli.notices import Notices
    from petsard_otel.telemetry.setup import Configuration


@dataclass(frozen=True)
class Export:
    """The sending of one command's telemetry."""

    configuration: Configuration
    url_template: str | None
    """What PETSARD_OTEL_TRACE_URL says."""

    def finish(self, trace_id: str | None, notices: Notices, *, is_quiet: bool) -> None:
        """Send what is left, and say what arrived where; nothing where nothing was recorded.

        Where spans arrived, the last line is the URL that leads to them, if it is known.
        """
        self.configuration.shutdown()
        delivery = self.configuration.delivery
        if trace_id is None:
            return
        note = f" (trace {trace_id})"
        kept = " and `petsard-otel push` sends what is lacking" if is_kept() else ""
        lack = self.configuration.report.sentence(note, aside=f"the results are not affected{kept}")
        if lack is not None:
            notices.warning(lack)
        if is_quiet or delivery is None:
            return
        if lack is None and delivery.delivered:
            notices.info(f"{delivery.delivered} spans sent to {delivery.endpoint}{note}")
        elif lack is None:
            notices.info(
                f"no span sent to {delivery.endpoint}{note}: "
                "the OTEL_* variables leave this run out"
            )
        if delivery.delivered:
            url = trace_url(trace_id, delivery.endpoint, self.url_template)
            if url is not None:
                notices.info(url)


def begin_export(endpoint: str | None, protocol: str | None) -> Export | None:
    """Have telemetry sent to an endpoint, else where the environment says; None where nowhere.

    Where somebody has set a provider up already, as `opentelemetry-instrument` does, and no
    endpoint is given, that one is used and nothing is done here.

    Raises:
        ConfigError: The endpoint, the protocol or a variable cannot be used.
    """
    url_template = trace_url_template()
    if endpoint is None:
        if not any(read(name) for name in EXPORT_VARIABLES):
            if protocol is not None:
                raise ConfigError(
                    "--protocol says how to send; add --endpoint URL, which says where to"
                )
            return None
        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return None
    configuration = configure(endpoint, protocol=protocol)
    # One line at the end says it all.
    configuration.report.claim()
    return Export(configuration, url_template)
