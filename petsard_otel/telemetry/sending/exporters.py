"""What the SDK's processors and readers hand their items to, and what counts these beforehand.

Imported by `configure()` alone, where something is to be sent.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from petsard_otel.telemetry.sending.environment import choice, read
from petsard_otel.telemetry.sending.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics.export import Metric, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from petsard_otel.telemetry.sending.delivery import Delivery
    from petsard_otel.telemetry.sending.senders import Request

TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"

HISTOGRAMS = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

MetricPart: TypeAlias = "tuple[ResourceMetrics, ScopeMetrics, Metric]"
"""A metric, and what it stands under."""


class Arrears(Protocol):
    """What earlier runs could not send."""

    def send_through(self, delivery: Delivery[ReadableSpan]) -> None:
        """Send some of it on a way that has just proved to be open."""


class DeliveredSpans(SpanExporter):
    """Takes spans from a batch processor."""

    def __init__(self, delivery: Delivery[ReadableSpan], arrears: Arrears | None = None) -> None:
        self._delivery = delivery
        self._arrears = arrears

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; where they arrive, some of what earlier runs could not send."""
        is_sent = self._delivery.send(spans)
        if is_sent and self._arrears is not None:
            self._arrears.send_through(self._delivery)
        return SpanExportResult.SUCCESS if is_sent else SpanExportResult.FAILURE


class CountedSpans(SpanProcessor):
    """Counts the spans that ought to arrive, on their way to a batch processor."""

    def __init__(self, delivery: Delivery[ReadableSpan], then: BatchSpanProcessor) -> None:
        self._delivery = delivery
        self._then = then

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span, if it is to be sent."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._delivery.expect()
            with Quiet():
                self._then.on_end(span)

    def shutdown(self) -> None:
        """Send what is left."""
        self._then.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what there is."""
        return self._then.force_flush(timeout_millis)


class DeliveredLogs(LogRecordExporter):
    """Takes log records from a batch processor."""

    def __init__(self, delivery: Delivery[ReadableLogRecord]) -> None:
        self._delivery = delivery

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send log records."""
        is_sent = self._delivery.send(batch)
        return LogRecordExportResult.SUCCESS if is_sent else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Do nothing: whoever made the delivery ends it."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return true: nothing waits here."""
        return True


class CountedLogs(LogRecordProcessor):
    """Counts the log records that ought to arrive, on their way to a batch processor."""

    def __init__(
        self, delivery: Delivery[ReadableLogRecord], then: BatchLogRecordProcessor
    ) -> None:
        self._delivery = delivery
        self._then = then

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Count a log record."""
        self._delivery.expect()
        with Quiet():
            self._then.on_emit(log_record)

    def shutdown(self) -> None:
        """Send what is left."""
        self._then.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what there is."""
        return self._then.force_flush(timeout_millis)


class DeliveredMetrics(MetricExporter):
    """Takes metrics from a periodic reader. A forked process sends none: it has its parent's."""

    def __init__(self, delivery: Delivery[MetricPart]) -> None:
        super().__init__(_temporality(), _aggregation())
        self._delivery = delivery
        self._process = os.getpid()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send metrics."""
        if self._process != os.getpid():
            return MetricExportResult.SUCCESS
        parts = [
            (resource, scope, metric)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        self._delivery.expect(len(parts))
        is_sent = self._delivery.send(parts)
        return MetricExportResult.SUCCESS if is_sent else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: whoever made the delivery ends it."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return true: nothing waits here."""
        return True


def encode_metric_parts(parts: Sequence[MetricPart]) -> Request:
    """Put metrics back under their scopes and resources, and these into a request."""
    resources: dict[int, tuple[ResourceMetrics, list[ScopeMetrics]]] = {}
    scopes: dict[int, list[Metric]] = {}
    for resource, scope, metric in parts:
        _, inside = resources.setdefault(id(resource), (resource, []))
        if id(scope) not in scopes:
            scopes[id(scope)] = []
            inside.append(replace(scope, metrics=scopes[id(scope)]))
        scopes[id(scope)].append(metric)
    return encode_metrics(
        MetricsData([replace(found, scope_metrics=inside) for found, inside in resources.values()])
    )


def _temporality() -> dict[type, AggregationTemporality] | None:
    preference = choice((TEMPORALITY, read(TEMPORALITY)), ("cumulative", "delta", "lowmemory"))
    if preference in {None, "cumulative"}:
        return None
    delta = AggregationTemporality.DELTA
    found: dict[type, AggregationTemporality] = {Counter: delta, Histogram: delta}
    return {**found, ObservableCounter: delta} if preference == "delta" else found


def _aggregation() -> dict[type, Aggregation] | None:
    return (
        {Histogram: ExponentialBucketHistogramAggregation()} if has_exponential_buckets() else None
    )


def has_exponential_buckets() -> bool:
    """Tell whether the environment asks for exponential histograms."""
    kinds = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
    return choice((HISTOGRAMS, read(HISTOGRAMS)), kinds) == kinds[1]
