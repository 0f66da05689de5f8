"""Which provider is in force, and what `configure()` sends where."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from petsard_otel import ConfigError, Executor, Schema, Status, configure

from .conftest import Pipeline, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Receiver:
    """A real OTLP endpoint on loopback that keeps what it gets."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []

    @property
    def spans(self) -> dict[str, Any]:
        """All spans by name."""
        return {
            span.name: span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    @property
    def points(self) -> dict[str, list[Any]]:
        """All metric data points by metric."""
        found: dict[str, list[Any]] = {}
        for request in self.metrics:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        found.setdefault(metric.name, []).extend(data.data_points)
        return found


@pytest.fixture
def http() -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over HTTP."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                receiver.traces.append(ExportTraceServiceRequest.FromString(body))
            else:
                receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def grpc_endpoint() -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over gRPC."""
    receiver = Receiver()

    def traces(request: ExportTraceServiceRequest, _: Any) -> ExportTraceServiceResponse:
        receiver.traces.append(request)
        return ExportTraceServiceResponse()

    def metrics(request: ExportMetricsServiceRequest, _: Any) -> ExportMetricsServiceResponse:
        receiver.metrics.append(request)
        return ExportMetricsServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    for service, export, message in (
        ("trace.v1.TraceService", traces, ExportTraceServiceRequest),
        ("metrics.v1.MetricsService", metrics, ExportMetricsServiceRequest),
    ):
        handler: Any = grpc.unary_unary_rpc_method_handler(
            export,
            request_deserializer=message.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )
        name = f"opentelemetry.proto.collector.{service}"
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"Export": handler}),)
        )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", receiver
    server.stop(None).wait()


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give a small pipeline."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n3,x\n4,y\n")
    return {
        "Loader": {"t": {"filepath": str(path)}},
        "Synthesizer": {"s": {"method": "default", "random_state": 1}},
    }


def test_a_run_arrives_over_http(http: tuple[str, Receiver], config: dict[str, Any]) -> None:
    """Every span of a run is at the endpoint when the configuration is shut down."""
    endpoint, receiver = http
    configuration = configure(endpoint, service_name="nightly", protocol="http/protobuf")
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    assert {"petsard run", "Loader[t]", "Synthesizer[s]", "Synthesizer.fit"} <= set(receiver.spans)
    resource = receiver.traces[0].resource_spans[0].resource
    names = {entry.key: entry.value.string_value for entry in resource.attributes}
    assert names["service.name"] == "nightly"
    ids = {s.span_id for s in executor.status.get_snapshots()}
    assert ids <= {span.span_id.hex() for span in receiver.spans.values()}
    assert configuration.delivery is not None
    assert configuration.delivery.sampled == configuration.delivery.delivered == 6


def test_a_run_arrives_over_grpc(
    grpc_endpoint: tuple[str, Receiver], config: dict[str, Any]
) -> None:
    """The same over gRPC, which is what an endpoint with an unknown port is taken for."""
    endpoint, receiver = grpc_endpoint
    configuration = configure(endpoint)
    Executor(config).run()
    configuration.shutdown()

    assert {"petsard run", "Loader[t]", "Synthesizer[s]"} <= set(receiver.spans)


def test_many_spans_at_once_all_arrive(http: tuple[str, Receiver], cars: Schema) -> None:
    """A burst larger than the SDK's own queue loses nothing."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf")
    status = Status(Pipeline("Loader"))
    for number in range(5000):
        status.put("Loader", f"e{number}", TableAdapter(cars))
    configuration.shutdown(timeout_seconds=60)

    assert configuration.delivery is not None
    assert configuration.delivery.sampled == configuration.delivery.delivered == 5000
    names = {
        attribute.value.string_value
        for request in receiver.traces
        for span in request.resource_spans[0].scope_spans[0].spans
        for attribute in span.attributes
        if attribute.key == "petsard.experiment.name"
    }
    assert len(names) == 5000


def test_metrics_of_a_run_arrive(http: tuple[str, Receiver], config: dict[str, Any]) -> None:
    """Durations, rows and changes are counted by module and experiment."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf")
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    points = receiver.points
    modules = {
        tuple(sorted((a.key, a.value.string_value) for a in point.attributes)): point
        for point in points["petsard.module.duration"]
    }
    loader = modules[
        ("petsard.engine", "builtin"),
        ("petsard.experiment.name", "t"),
        ("petsard.module.name", "Loader"),
    ]
    timing = executor.get_timing().set_index("module_name")["duration_seconds"]
    assert loader.count == 1
    assert loader.sum == pytest.approx(timing["Loader"])
    assert max(loader.explicit_bounds) == 43200
    assert [point.sum for point in points["petsard.module.rows"]] == [4, 4]
    assert [point.count for point in points["petsard.run.duration"]] == [1]
    assert [point.as_int for point in points["petsard.run.active"]] == [0]


def test_a_sampled_out_run_is_still_in_the_status(
    http: tuple[str, Receiver], config: dict[str, Any]
) -> None:
    """What is not exported is recorded all the same."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf", sample_ratio=0.0)
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    assert receiver.spans == {}
    assert len(executor.status.get_snapshots()) == 2


def test_the_standard_variables_name_the_endpoint(
    http: tuple[str, Receiver], config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no endpoint is given, OTEL_EXPORTER_OTLP_* are read."""
    endpoint, receiver = http
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    configuration = configure()
    Executor(config).run()
    configuration.shutdown()

    assert "petsard run" in receiver.spans


def test_without_an_endpoint_nothing_is_exported(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration without a target is local."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    configuration = configure()
    Executor(config).run()

    assert configuration.delivery is None
    configuration.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_collector_costs_little_and_changes_nothing(
    protocol: str, config: dict[str, Any]
) -> None:
    """With nobody listening the run is the same and the end takes at most about two seconds."""
    Executor(config).run()
    configuration = configure("http://127.0.0.1:9", protocol=protocol)
    executor = Executor(config)
    begin = time.perf_counter()
    executor.run()
    configuration.shutdown()
    seconds = time.perf_counter() - begin

    assert seconds < 3
    assert len(executor.status.get_snapshots()) == 2
    assert len(executor.get_result()) == 1


def test_a_script_with_a_dead_collector_ends_in_time(tmp_path: Path) -> None:
    """A process does not hang at its exit either."""
    script = tmp_path / "script.py"
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    script.write_text(
        "from petsard_otel import Executor, configure\n"
        "configure('http://127.0.0.1:9')\n"
        "Executor({'Loader': {'t': {'filepath': 't.csv'}}}).run()\n"
        "print('done')\n"
    )
    begin = time.perf_counter()
    found = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )

    assert (found.returncode, found.stdout) == (0, "done\n")
    assert time.perf_counter() - begin < 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoint": "localhost:4317"}, "an endpoint is a URL such as http://localhost:4317"),
        ({"endpoint": "http://x", "protocol": "thrift"}, "protocol is grpc or http/protobuf"),
        ({"sample_ratio": 2.0}, r"sample_ratio is a share from 0 to 1 \(found 2.0\)"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    """A mistake is told at once."""
    with pytest.raises(ConfigError, match=message):
        configure(**arguments)


def test_a_global_provider_is_used_and_left_alone(tmp_path: Path) -> None:
    """A provider that the application set sees our spans, gets one processor, and stays."""
    script = tmp_path / "script.py"
    script.write_text(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from petsard_otel import Executor

open("t.csv", "w").write("a\\n1\\n2\\n")
config = {"Loader": {"t": {"filepath": "t.csv"}}}
before = Executor(config)
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
before.run()
Executor(config).run()
with trace.get_tracer("host").start_as_current_span("host"):
    pass
names = [span.name for span in exporter.get_finished_spans()]
assert names == ["Loader.load", "Loader[t]", "petsard run"] * 2 + ["host"], names
assert trace.get_tracer_provider() is provider
assert len(provider._active_span_processor._span_processors) == 2
assert len(before.status.get_snapshots()) == 1
print("fine")
"""
    )
    found = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (found.stdout, found.stderr) == ("fine\n", "")


def test_a_provider_that_cannot_be_remembered_still_works(cars: Schema) -> None:
    """A foreign provider without weak references or a hash is used all the same."""

    class Odd:
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no tracer today")

    status = Status(Pipeline("Loader"), tracer_provider=Odd())  # type: ignore[arg-type]
    status.put("Loader", "a", TableAdapter(cars))

    assert len(status.get_snapshots()) == 1
