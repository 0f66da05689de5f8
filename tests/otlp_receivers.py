"""Real OTLP receivers on loopback, kind or in a bad mood, for several test files."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections import Counter
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .http_servers import http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: dict[str, tuple[Any, Any]] = {
    "traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    "logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
}

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


class Receiver:
    """What came to an endpoint, and how it answers.

    Attributes:
        limit: Requests of more bytes are refused for their size.
        refusal: How HTTP refuses them: a status and a text.
        moods: Answers to the next requests of a signal, an HTTP status or the name of a gRPC
            status each; the last one stays, and without any all is well.
    """

    def __init__(self, limit: int | None = None, **moods: list[Any]) -> None:
        self.limit = limit
        self.refusal = (413, b"")
        self.moods = moods
        self.requests: dict[str, list[Any]] = {signal: [] for signal in MESSAGES}
        self.headers: dict[str, dict[str, str]] = {}
        self.attempts: Counter[str] = Counter()

    @property
    def traces(self) -> list[Any]:
        """All requests with spans."""
        return self.requests["traces"]

    @property
    def all_spans(self) -> list[Any]:
        """All spans as they came."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def spans(self) -> dict[str, Any]:
        """All spans by name."""
        return {span.name: span for span in self.all_spans}

    @property
    def bodies(self) -> list[str]:
        """The text of all log records as they came."""
        return [
            record.body.string_value
            for request in self.requests["logs"]
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def points(self) -> dict[str, list[Any]]:
        """All metric data points by metric."""
        found: dict[str, list[Any]] = {}
        for request in self.requests["metrics"]:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        found.setdefault(metric.name, []).extend(data.data_points)
        return found

    def take(self, signal: str, body: bytes, headers: dict[str, str]) -> Any:
        """Keep a request, or give the answer that refuses it."""
        self.attempts[signal] += 1
        self.headers[signal] = headers
        moods = self.moods.get(signal, [])
        mood = moods.pop(0) if len(moods) > 1 else next(iter(moods), None)
        if mood in {None, 200}:
            self.requests[signal].append(MESSAGES[signal][0].FromString(body))
            return None
        return mood


@contextmanager
def http_receiver(
    limit: int | None = None, *, path: str = "", hangs_up: bool = False, **moods: list[Any]
) -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over HTTP, under a path.

    Who hangs up closes a connection after each answer, unannounced.
    """
    receiver = Receiver(limit, **moods)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            signal = self.path.removeprefix(f"{path}/v1/")
            length = int(self.headers["Content-Length"])
            if receiver.limit is not None and length > receiver.limit:
                receiver.attempts[signal] += 1
                status, text = receiver.refusal
                self.close_connection = True
            else:
                body = self.rfile.read(length)
                encoding = self.headers["Content-Encoding"]
                if encoding == "gzip":
                    body = gzip.decompress(body)
                elif encoding == "deflate":
                    body = zlib.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, text = receiver.take(signal, body, headers) or 200, b""
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "30")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            self.close_connection |= hangs_up

        def log_message(self, *args: Any) -> None:
            pass

    with http_server(Handler) as port:
        yield f"http://127.0.0.1:{port}", receiver


@contextmanager
def grpc_receiver(limit: int | None = None, **moods: list[Any]) -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over gRPC, which itself refuses what is larger than the limit."""
    receiver = Receiver(limit, **moods)
    options = [] if limit is None else [("grpc.max_receive_message_length", limit)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=options)
    for signal, service in SERVICES.items():

        def answer(body: bytes, context: Any, signal: str = signal) -> bytes:
            headers = {entry.key: str(entry.value) for entry in context.invocation_metadata()}
            mood = receiver.take(signal, body, headers)
            if mood is not None:
                context.abort(getattr(grpc.StatusCode, mood), "not today")
            message: bytes = MESSAGES[signal][1]().SerializeToString()
            return message

        handler: Any = grpc.unary_unary_rpc_method_handler(answer)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", receiver
    finally:
        server.stop(None).wait()


@contextmanager
def slow_receiver(behaviour: str) -> Iterator[str]:
    """Listen, and answer too slowly: `silent`, or `dripping` a byte at a time."""
    is_over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            while behaviour == "dripping" and not is_over.wait(0.2):
                try:
                    connection.sendall(b"H")
                except OSError:
                    break
            is_over.wait()

    def listen(listener: socket.socket) -> None:
        while not is_over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        threads = [threading.Thread(target=listen, args=(listener,))]
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            is_over.set()
            for thread in threads:
                thread.join()


def eventually(condition: Any, timeout_seconds: float = 10) -> bool:
    """Wait until something holds."""
    end = time.monotonic() + timeout_seconds
    # Once is enough: what holds now and then need not hold a moment later.
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
