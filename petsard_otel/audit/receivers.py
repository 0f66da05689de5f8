"""Real OTLP receivers on loopback that keep the exact bytes of every request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc

from petsard_otel.audit.payloads import Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_MESSAGE_BYTES = 1024 * 1024 * 1024

GRACE_SECONDS = 1
"""How long a connection may take to end."""

_SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


@contextmanager
def receiver(protocol: str, take: Callable[[Payload], None]) -> Iterator[str]:
    """Receive on a free port of 127.0.0.1 while the block runs, and yield the endpoint.

    Args:
        protocol: `grpc` or `http/protobuf`.
        take: Called with each request, from several threads.
    """
    serve = _serving_grpc if protocol == "grpc" else _serving_http
    with serve(take) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _serving_grpc(take: Callable[[Payload], None]) -> Iterator[int]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        server = grpc.server(pool, options=options)
        for signal, name in _SERVICES.items():
            handlers = {"Export": _export_handler(signal, take)}
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            # Without a grace the clients, if they are still there, complain on stderr.
            server.stop(GRACE_SECONDS).wait()


def _export_handler(
    signal: str, take: Callable[[Payload], None]
) -> grpc.RpcMethodHandler[Any, Any]:
    """Make what keeps a request's bytes; without a deserializer they arrive as they were sent."""

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = "\n".join(f"{name}: {value!r}" for name, value in context.invocation_metadata())
        take(Payload(signal, "grpc", body, metadata.encode()))
        return b""

    return grpc.unary_unary_rpc_method_handler(export)


@contextmanager
def _serving_http(take: Callable[[Payload], None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signal = self.path.rpartition("/")[2]
            head = f"{self.requestline}\n{self.headers}".encode("utf-8", "surrogateescape")
            take(Payload(signal, "http/protobuf", body, head))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
