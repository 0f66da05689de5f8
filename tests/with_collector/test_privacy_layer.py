"""The Collector's privacy layer lets through what the client promises, whoever sends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from petsard_otel.attributes import OUTPUT_ROWS, OUTPUT_STATISTICS

from .otlp_files import spans_in
from .servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .servers import Collector

CELL = "A123456789"
MISPLACED = {"petsard.step.context.patient": CELL}
"""The context of a timing is a span's; elsewhere nobody may put it."""

RESOURCE = Resource(
    {"service.name": "hospital", "patient": CELL, "process.command_line": CELL, **MISPLACED}
)


def send_careless_span(endpoint: str) -> None:
    """Send what a careless library, or a client that we have not written, might."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = provider.get_tracer("careless", "1", attributes={"patient": CELL, **MISPLACED})
    attributes: dict[str, Any] = {
        "db.query.text": f"patients of {CELL}",
        "petsard.module.name": "Loader",
        "petsard.module.name.2": CELL,
        "petsard.sequence": ["Loader", "Splitter"],
        OUTPUT_ROWS: 406,
        OUTPUT_STATISTICS: [CELL],
        "petsard.step.context.attempt": 2,
        "petsard.step.context.share": 0.5,
        "petsard.step.context.is_last": True,
        "petsard.step.context.text": f"{CELL}\n{CELL}",
        "petsard.step.context.empty": "",
        "petsard.step.context.list": [CELL],
        "petsard.step.context.a.b": 3,
    }
    with (
        pytest.raises(ValueError, match=CELL),
        tracer.start_as_current_span("careless", attributes=attributes) as span,
    ):
        span.add_event("looked at", {"patient": CELL, **MISPLACED})
        raise ValueError(f"could not convert {CELL}")
    provider.shutdown()


def send_careless_metric(endpoint: str) -> None:
    """Send a series for each patient."""
    exporter = OTLPMetricExporter(f"{endpoint}/v1/metrics")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter)], RESOURCE, shutdown_on_exit=False
    )
    meter = provider.get_meter("careless", attributes={"patient": CELL, **MISPLACED})
    counter = meter.create_counter("visits", description=f"Visits of {CELL}")
    counter.add(1, {"patient": CELL, "petsard.module.name": "Loader", **MISPLACED})
    provider.shutdown()


def send_careless_record(endpoint: str) -> None:
    """Send a log record with a cell in its attributes."""
    provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs"))
    )
    provider.get_logger("careless", attributes={"patient": CELL, **MISPLACED}).emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN,
            body="a row was left out",
            attributes={
                "patient": CELL,
                "exception.message": CELL,
                "code.line.number": 7,
                **MISPLACED,
            },
        )
    )
    provider.shutdown()


def test_a_careless_client_sends_no_cell(start_collector: Callable[..., Collector]) -> None:
    """Of all three signals no byte of the cell is left; what is on the list is."""
    collector = start_collector("privacy", "file")
    files = collector.folder / "files"

    send_careless_span(collector.http)
    send_careless_metric(collector.http)
    send_careless_record(collector.http)

    names = ("traces.jsonl", "metrics.jsonl", "logs.jsonl")
    wait_until(lambda: all((files / name).exists() for name in names), "three files")
    wait_until(lambda: all((files / name).read_text().endswith("\n") for name in names), "lines")
    written = {name: (files / name).read_text() for name in names}
    for name, text in written.items():
        assert CELL not in text, name
        assert "patient" not in text, name
        assert "hospital" in text, name
    (span,) = spans_in(files / "traces.jsonl")
    assert span.attributes == {
        "petsard.module.name": "Loader",
        "petsard.sequence": ("Loader", "Splitter"),
        "petsard.output.rows": 406,
        "petsard.step.context.attempt": 2,
        "petsard.step.context.share": 0.5,
        "petsard.step.context.is_last": True,
        "petsard.step.context.text": "",
        "petsard.step.context.empty": "",
        "petsard.step.context.list.0": "",
        "petsard.step.context.a.b": 3,
    }
    assert (span.status_code, span.status_message) == (2, "")
    (metrics,) = json.loads(written["metrics.jsonl"])["resourceMetrics"]
    (point,) = metrics["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"]
    assert point["attributes"] == [
        {"key": "petsard.module.name", "value": {"stringValue": "Loader"}}
    ]
    (logs,) = json.loads(written["logs.jsonl"])["resourceLogs"]
    (record,) = logs["scopeLogs"][0]["logRecords"]
    assert record["body"] == {"stringValue": "a row was left out"}
    assert record["attributes"] == [{"key": "code.line.number", "value": {"intValue": "7"}}]


def test_without_the_layer_the_cell_would_be_there(
    start_collector: Callable[..., Collector],
) -> None:
    """It is the layer that keeps it back, and nothing else."""
    collector = start_collector("file")
    traces = collector.folder / "files" / "traces.jsonl"

    send_careless_span(collector.http)

    wait_until(lambda: traces.exists() and traces.read_text().endswith("\n"), "a line")
    assert traces.read_text().count(CELL) == 16
