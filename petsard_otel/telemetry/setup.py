"""Which provider is in force, who owns it, and `configure()` for people who have none.

The rule, in this order: a provider handed over; the one that `configure()` built; the global one,
if somebody set one; else a private one that exports nowhere. Only what was built here is ever
shut down, and the global provider is never set.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    AlwaysRecordSampler,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
)

from petsard_otel.attributes import SCOPE_NAME
from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import (
    EXPORT_QUEUE_SIZE,
    EXPORT_TIMEOUT_SECONDS,
    SHUTDOWN_SECONDS,
)
from petsard_otel.telemetry.identity import SCHEMA_URL, new_span_id, new_trace_id
from petsard_otel.telemetry.metrics import Metrics, metrics_of
from petsard_otel.telemetry.mirror import StatusSpanProcessor, mirror_of
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from petsard_otel.telemetry.guard import Guard

OTEL_TRACES_EXPORTER = "OTEL_TRACES_EXPORTER"
OTEL_METRICS_EXPORTER = "OTEL_METRICS_EXPORTER"

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_private: TracerProvider | None = None
_configured: Configuration | None = None


@dataclass(frozen=True)
class Instruments:
    """What a run records with."""

    tracer: Tracer
    mirror: StatusSpanProcessor
    metrics: Metrics


def instruments(
    tracer_provider: trace_api.TracerProvider | None,
    meter_provider: metrics_api.MeterProvider | None,
    guard: Guard,
) -> Instruments:
    """Resolve the providers in force now, and make a tracer and instruments of them.

    A provider that fails is treated as one that records nothing.
    """
    tracer: Tracer = trace_api.NoOpTracer()
    mirror = StatusSpanProcessor()
    metrics = None
    with guard:
        provider = tracer_provider or _provider_in_force()
        tracer = provider.get_tracer(SCOPE_NAME, __version__, SCHEMA_URL)
        mirror = mirror_of(provider)
    with guard:
        metrics = metrics_of(meter_provider or _meters_in_force())
    if metrics is None:
        metrics = Metrics(metrics_api.NoOpMeterProvider())
    return Instruments(tracer, mirror, metrics)


def _meters_in_force() -> metrics_api.MeterProvider:
    if _configured is not None:
        return _configured.meter_provider
    return metrics_api.get_meter_provider()


def _provider_in_force() -> trace_api.TracerProvider:
    if _configured is not None:
        return _configured.tracer_provider
    found = trace_api.get_tracer_provider()
    if isinstance(found, trace_api.ProxyTracerProvider):
        return _private_provider()
    return found


def _private_provider() -> TracerProvider:
    """Return the provider for processes without any: it records all and exports nowhere."""
    global _private  # noqa: PLW0603  one provider for all runs of a process, made when first needed
    with _lock:
        if _private is None:
            _private = TracerProvider(
                sampler=ALWAYS_ON,
                resource=Resource.get_empty(),
                shutdown_on_exit=False,
                id_generator=_SystemIds(),
                span_limits=_unlimited(),
            )
        return _private


def _unlimited() -> SpanLimits:
    """Return limits that no environment variable narrows; our own size budget holds anyway."""
    unset = SpanLimits.UNSET
    return SpanLimits(
        max_attributes=unset,
        max_events=unset,
        max_links=unset,
        max_span_attributes=unset,
        max_event_attributes=unset,
        max_link_attributes=unset,
        max_attribute_length=unset,
        max_span_attribute_length=unset,
    )


class _SystemIds(IdGenerator):
    """Ids that do not come from the `random` module's generator, which modules seed."""

    def generate_span_id(self) -> int:
        return new_span_id()

    def generate_trace_id(self) -> int:
        return new_trace_id()

    def is_trace_id_random(self) -> bool:
        return True


class Configuration:
    """What `configure()` built: a tracer provider, a meter provider and the way to end both."""

    def __init__(
        self,
        tracer_provider: TracerProvider,
        meter_provider: metrics_api.MeterProvider,
        delivery: Delivery | None,
    ) -> None:
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.delivery = delivery
        self._is_shut_down = False
        atexit.register(self.shutdown)

    def shutdown(self, timeout_seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send what is left, for at most about `timeout_seconds`. Later calls do nothing."""
        global _configured  # noqa: PLW0603  what is shut down is no longer in force
        with _lock:
            if self._is_shut_down:
                return
            self._is_shut_down = True
            if _configured is self:
                _configured = None
        atexit.unregister(self.shutdown)
        # The exporters' own shutdown waits for their retries, half a minute at worst, so the
        # waiting is done by a thread that the process does not wait for.
        worker = threading.Thread(target=self._shutdown_all, daemon=True)
        worker.start()
        worker.join(timeout_seconds)
        if worker.is_alive() and self.delivery is not None:
            self.delivery.shutdown()

    def _shutdown_all(self) -> None:
        self.tracer_provider.shutdown()
        if isinstance(self.meter_provider, MeterProvider):
            self.meter_provider.shutdown()


class Delivery(SpanExporter):
    """Wraps an exporter, and keeps count of what ought to arrive, what did, and what did not."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self.endpoint = endpoint
        self.sampled = 0
        self.delivered = 0
        self.failed = 0
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand the spans on and count them by the outcome."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Shut the wrapped exporter down, which ends its retries."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the wrapped exporter."""
        return self._exporter.force_flush(timeout_millis)


class _SampledSpans(SpanProcessor):
    """Counts the spans that ought to arrive."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span, if it is to be sent."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._delivery.sampled += 1


def configure(
    endpoint: str | None = None,
    *,
    service_name: str | None = None,
    protocol: str | None = None,
    sample_ratio: float | None = None,
) -> Configuration:
    """Set telemetry up for runs of this process that have none.

    The provider that this builds records everything, so that a Status is whole, and exports what
    is sampled. It is used by our runs alone; the global provider is not touched. A second call
    replaces the first, which is shut down.

    Args:
        endpoint: Base URL of an OTLP receiver, such as `http://localhost:4317`. Without it the
            standard OTEL_EXPORTER_OTLP_* and OTEL_TRACES_EXPORTER variables decide; where they
            are silent too, nothing is exported.
        service_name: `service.name` of the resource; else OTEL_SERVICE_NAME, else `petsard`.
        protocol: `grpc` or `http/protobuf`. Without it OTEL_EXPORTER_OTLP_PROTOCOL, else
            `http/protobuf` for an endpoint on port 4318 and `grpc` for any other.
        sample_ratio: Export this share of the runs, from 0 to 1; else OTEL_TRACES_SAMPLER.

    Returns:
        The configuration; its `shutdown()` sends what is left. It is called at exit as well.

    Raises:
        ConfigError: An argument is not usable.
    """
    global _configured
    target = _export_target(endpoint, protocol)
    resource = Resource.create(
        {SERVICE_NAME: service_name or os.environ.get("OTEL_SERVICE_NAME") or "petsard"}
    )
    provider = TracerProvider(
        sampler=AlwaysRecordSampler(_sampler(sample_ratio)),
        resource=resource,
        shutdown_on_exit=False,
        id_generator=_SystemIds(),
        span_limits=_unlimited(),
    )
    delivery = None
    meters: metrics_api.MeterProvider = metrics_api.NoOpMeterProvider()
    if target is not None:
        exporter, metric_exporter, url = _exporters(*target)
        delivery = Delivery(exporter, url)
        provider.add_span_processor(_SampledSpans(delivery))
        provider.add_span_processor(BatchSpanProcessor(delivery, max_queue_size=_queue_size()))
        if os.environ.get(OTEL_METRICS_EXPORTER, "otlp") != "none":
            meters = MeterProvider(
                [PeriodicExportingMetricReader(metric_exporter)],
                resource=resource,
                shutdown_on_exit=False,
            )
    former, _configured = _configured, Configuration(provider, meters, delivery)
    if former is not None:
        former.shutdown()
        _logger.debug("configure() replaced an earlier configuration")
    return _configured


def _queue_size() -> int | None:
    """Return the room for spans that wait to be sent, None to leave it to the variable."""
    return None if "OTEL_BSP_MAX_QUEUE_SIZE" in os.environ else EXPORT_QUEUE_SIZE


def _sampler(sample_ratio: float | None) -> Sampler:
    if sample_ratio is None:
        return TracerProvider(shutdown_on_exit=False).sampler
    if not 0 <= sample_ratio <= 1:
        raise ConfigError(f"sample_ratio is a share from 0 to 1 (found {sample_ratio!r})")
    return ParentBased(ALWAYS_ON) if sample_ratio == 1 else ParentBasedTraceIdRatio(sample_ratio)


def _export_target(endpoint: str | None, protocol: str | None) -> tuple[str | None, str] | None:
    """Return the endpoint, None where the environment names it, and the protocol; or None."""
    protocol = (
        protocol
        or os.environ.get(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL)
        or os.environ.get(OTEL_EXPORTER_OTLP_PROTOCOL)
    )
    if protocol not in {None, "grpc", "http/protobuf"}:
        raise ConfigError(f"protocol is grpc or http/protobuf (found {protocol!r})")
    if endpoint is not None:
        if not endpoint.startswith(("http://", "https://")):
            raise ConfigError(
                f"an endpoint is a URL such as http://localhost:4317 (found {endpoint!r})"
            )
        port = endpoint.removesuffix("/").rpartition(":")[2].partition("/")[0]
        return endpoint, protocol or ("http/protobuf" if port == "4318" else "grpc")
    named = os.environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or os.environ.get(
        OTEL_EXPORTER_OTLP_ENDPOINT
    )
    chosen = os.environ.get(OTEL_TRACES_EXPORTER, "otlp" if named else "none")
    if chosen.strip() != "otlp":
        if chosen.strip() != "none":
            _logger.warning("configure() sends by otlp alone, not by %s", chosen)
        return None
    default = "http/protobuf" if named and named.rstrip("/").endswith(":4318") else "grpc"
    return None, protocol or default


def _exporters(endpoint: str | None, protocol: str) -> tuple[SpanExporter, Any, str]:
    """Make the two OTLP exporters; each reads from the environment what is not given here."""
    common: dict[str, Any] = {"timeout": EXPORT_TIMEOUT_SECONDS}
    shown = (
        endpoint
        or os.environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
        or os.environ.get(OTEL_EXPORTER_OTLP_ENDPOINT, "http://localhost:4317")
    )
    if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ:
        common = {}
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as GrpcMetricExporter,
        )
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcSpanExporter,
        )

        if endpoint is not None:
            common["endpoint"] = endpoint
            common["insecure"] = endpoint.startswith("http://")
        return GrpcSpanExporter(**common), GrpcMetricExporter(**common), shown
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter as HttpMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter as HttpSpanExporter,
    )

    if endpoint is None:
        return HttpSpanExporter(**common), HttpMetricExporter(**common), shown
    base = endpoint.removesuffix("/").removesuffix("/v1/traces")
    return (
        HttpSpanExporter(endpoint=f"{base}/v1/traces", **common),
        HttpMetricExporter(endpoint=f"{base}/v1/metrics", **common),
        shown,
    )
