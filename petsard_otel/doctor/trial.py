"""One request of each signal, sent as the runs' own are.

It is recognised by its name and scope, and says nothing of this machine, its data or any run.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from petsard_otel.attributes import SCOPE_NAME
from petsard_otel.telemetry.identity import SCHEMA_URL, new_span_id, new_trace_id
from petsard_otel.telemetry.sending.delivery import Delivery
from petsard_otel.telemetry.sending.problems import TIMED_OUT, UNSENT
from petsard_otel.telemetry.sending.quiet import hush_libraries
from petsard_otel.telemetry.sending.report import Report
from petsard_otel.telemetry.sending.senders import as_it_is
from petsard_otel.telemetry.setup import resource_in_force
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from petsard_otel.telemetry.sending.problems import Problem
    from petsard_otel.telemetry.sending.senders import Request
    from petsard_otel.telemetry.sending.targets import Target

SPAN_NAME = "petsard doctor"


class Outcome(NamedTuple):
    """What came of a request."""

    problem: Problem | None
    """None where it was accepted."""
    seconds: float
    trace_id: str
    """Of the test span, 32 hexadecimal digits."""


def try_out(target: Target, seconds: float) -> Outcome:
    """Send one span; of metrics and log records a request without any, which leaves no trace.

    Args:
        target: Where to.
        seconds: How long it may take.
    """
    span = test_span()
    report = Report()
    patient = replace(target, timeout_seconds=min(target.timeout_seconds, seconds))
    delivery: Delivery[ReadableSpan] = Delivery(patient, _ENCODERS[target.signal], report)
    hush_libraries()
    begun = time.monotonic()
    sending = threading.Thread(target=delivery.send, args=([span],), daemon=True)
    sending.start()
    sending.join(seconds)
    is_late = sending.is_alive()
    is_accepted = bool(delivery.delivered) and not is_late
    delivery.stop()
    problem = None if is_accepted else (delivery.problem or (TIMED_OUT if is_late else UNSENT))
    trace_id = 0 if span.context is None else span.context.trace_id
    return Outcome(problem, time.monotonic() - begun, f"{trace_id:032x}")


def shows_a_page(target: Target, seconds: float) -> bool:
    """Tell whether a browser would be shown a page at an endpoint: then it is no receiver's.

    Sites that show the same page for every path, as Jaeger's does, say yes to a request as well.
    """
    import requests

    try:
        response = requests.get(
            target.endpoint,
            auth=as_it_is,
            timeout=seconds,
            headers=dict(target.headers),
            verify=target.certificate,
            allow_redirects=False,
            stream=True,
        )
    except (OSError, ValueError):
        return False
    with response:
        kind = response.headers.get("Content-Type", "")
        return response.status_code == 200 and kind.startswith("text/html")


def test_span() -> ReadableSpan:
    """Make a span of the least length whose resource is a service's name."""
    now = time.time_ns()
    return ReadableSpan(
        SPAN_NAME,
        context=SpanContext(
            new_trace_id(), new_span_id(), is_remote=False, trace_flags=TraceFlags(1)
        ),
        resource=Resource({SERVICE_NAME: resource_in_force(None).attributes[SERVICE_NAME]}),
        instrumentation_scope=InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL),
        start_time=now - 1,
        end_time=now,
    )


def _no_metrics(spans: Sequence[ReadableSpan]) -> Request:
    """Make a request of metrics that has a resource and nothing else: some refuse an empty one."""
    resource: Any = encode_spans(spans).resource_spans[0].resource
    return ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(resource=resource)])


def _no_logs(spans: Sequence[ReadableSpan]) -> Request:
    """Make a request of log records that has a resource and nothing else."""
    resource: Any = encode_spans(spans).resource_spans[0].resource
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource)])


_ENCODERS: dict[str, Any] = {
    "traces": encode_spans,
    "metrics": _no_metrics,
    "logs": _no_logs,
}
