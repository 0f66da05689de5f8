"""From where signals go to the providers that bring them there.

Imported by `configure()` alone, and only where something is sent or printed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import EXPORT_QUEUE_SIZE
from petsard_otel.telemetry.sending.delivery import Delivery
from petsard_otel.telemetry.sending.environment import number, read, whole_number
from petsard_otel.telemetry.sending.exporters import (
    CountedLogs,
    CountedSpans,
    DeliveredLogs,
    DeliveredMetrics,
    DeliveredSpans,
    encode_metric_parts,
    has_exponential_buckets,
)
from petsard_otel.telemetry.sending.quiet import hush_libraries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    from petsard_otel.telemetry.sending.exporters import Arrears
    from petsard_otel.telemetry.sending.report import Report
    from petsard_otel.telemetry.sending.targets import Route

_BATCH_SIZE = 512
"""The SDK's own default."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How a batch processor collects."""

    queue_size: int
    batch_size: int
    delay_millis: int

    @classmethod
    def of(cls, prefix: str, delay_millis: int) -> Batching:
        """Read the variables, `OTEL_BSP_*` for spans and `OTEL_BLRP_*` for log records.

        Raises:
            ConfigError: One of them has a value that it cannot have.
        """
        queue = whole_number(f"{prefix}_MAX_QUEUE_SIZE") or EXPORT_QUEUE_SIZE
        batch = whole_number(f"{prefix}_MAX_EXPORT_BATCH_SIZE") or min(_BATCH_SIZE, queue)
        if batch > queue:
            raise ConfigError(
                f"{prefix}_MAX_EXPORT_BATCH_SIZE is at most {prefix}_MAX_QUEUE_SIZE, {queue} "
                f"(found {batch})"
            )
        # The SDK reads it and does without; a wrong value is a mistake all the same.
        whole_number(f"{prefix}_EXPORT_TIMEOUT")
        return cls(queue, batch, whole_number(f"{prefix}_SCHEDULE_DELAY") or delay_millis)


class Pipelines:
    """The ways of all signals. Making it checks everything and starts nothing."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        report: Report,
        note_accepted: Callable[[Sequence[ReadableSpan], str], None] | None = None,
        arrears: Arrears | None = None,
    ) -> None:
        """Check what the variables say.

        Args:
            routes: Where each signal goes.
            report: Says what did not arrive.
            note_accepted: Is told which spans a receiver has accepted, and its endpoint.
            arrears: What earlier runs could not send.

        Raises:
            ConfigError: A variable has a value that it cannot have.
        """
        self._arrears = arrears
        self._traces, self._metrics = routes["traces"], routes["metrics"]
        self._logs = routes.get("logs")
        self._span_batching = Batching.of("OTEL_BSP", delay_millis=5000)
        self._log_batching = Batching.of("OTEL_BLRP", delay_millis=1000)
        self._interval_millis = _millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)
        self._timeout_millis = _millis("OTEL_METRIC_EXPORT_TIMEOUT", 30_000)
        self._span_delivery = self._log_delivery = self._metric_exporter = None
        if self._traces.target is not None:
            self._span_delivery = Delivery(self._traces.target, encode_spans, report, note_accepted)
        if self._metrics.target is not None:
            delivery = Delivery(self._metrics.target, encode_metric_parts, report)
            self._metric_exporter = DeliveredMetrics(delivery)
        if self._logs is not None and self._logs.target is not None:
            self._log_delivery = Delivery(self._logs.target, encode_logs, report)
        hush_libraries()

    def attach_to(self, provider: TracerProvider) -> None:
        """Have a provider's spans sent, printed or both."""
        batching = self._span_batching
        if self._span_delivery is not None:
            sending = BatchSpanProcessor(
                DeliveredSpans(self._span_delivery, self._arrears),
                batching.queue_size,
                batching.delay_millis,
                batching.batch_size,
            )
            provider.add_span_processor(CountedSpans(self._span_delivery, sending))
        if self._traces.is_printed:
            printing = BatchSpanProcessor(ConsoleSpanExporter(out=sys.stdout))
            provider.add_span_processor(printing)

    def meter_provider(self, resource: Resource) -> MeterProvider | None:
        """Make a provider whose metrics are sent, printed or both; None for neither."""
        readers: list[MetricReader] = [
            PeriodicExportingMetricReader(exporter, self._interval_millis, self._timeout_millis)
            for exporter in (
                self._metric_exporter,
                ConsoleMetricExporter(out=sys.stdout) if self._metrics.is_printed else None,
            )
            if exporter is not None
        ]
        if not readers:
            return None
        return MeterProvider(
            readers,
            resource=resource,
            shutdown_on_exit=False,
            # To choose among a bucket's examples where buckets are exponential, the SDK draws from
            # the `random` module's generator, which modules seed.
            exemplar_filter=AlwaysOffExemplarFilter() if has_exponential_buckets() else None,
        )

    def logger_provider(self, resource: Resource) -> LoggerProvider | None:
        """Make a provider whose log records are sent, printed or both; None for neither."""
        is_printed = self._logs is not None and self._logs.is_printed
        if self._log_delivery is None and not is_printed:
            return None
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        batching = self._log_batching
        if self._log_delivery is not None:
            sending = BatchLogRecordProcessor(
                DeliveredLogs(self._log_delivery),
                batching.delay_millis,
                batching.batch_size,
                max_queue_size=batching.queue_size,
            )
            provider.add_log_record_processor(CountedLogs(self._log_delivery, sending))
        if is_printed:
            printing = BatchLogRecordProcessor(ConsoleLogRecordExporter(out=sys.stdout))
            provider.add_log_record_processor(printing)
        return provider


def _millis(variable: str, default: float) -> float:
    return number((variable, read(variable)), "milliseconds") or default
