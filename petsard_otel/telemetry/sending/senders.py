"""One OTLP request at a time, over gRPC or HTTP, and what came of it.

The exporters of OpenTelemetry bring the libraries and the encoding, but their sending cannot be
used here: they go on trying where a process wants to end, do not tell why a request was refused,
and draw their pauses from the generator of the `random` module, which changes the results of a
module that seeds it.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from petsard_otel.telemetry.sending.problems import (
    TIMED_OUT,
    Problem,
    problem_of_call,
    problem_of_error,
    problem_of_response,
)
from petsard_otel.telemetry.sending.targets import GRPC
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpc
    import requests

    from petsard_otel.telemetry.sending.targets import Target

_AGENT = f"petsard-otel/{__version__}"

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

GRPC_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""Variables in which gRPC looks for a proxy, the first of them that is set."""

_CHANNEL_OPTIONS = (
    ("grpc.primary_user_agent", _AGENT),
    # A channel that found nobody would look again after up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
)

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}

_VERBOSITY = "GRPC_VERBOSITY"


class Request(Protocol):
    """An OTLP request, as the encoders make them."""

    def ByteSize(self) -> int:  # noqa: N802  protobuf names it
        """Return how many bytes it will be."""

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf names it
        """Return these bytes."""


class Sender(Protocol):
    """Sends requests of one signal to one receiver. One thread at a time, but for `close`."""

    def send(self, request: Request, timeout_seconds: float) -> Problem | None:
        """Send a request; None where it arrived."""

    def close(self) -> None:
        """End what is under way, where that is possible."""


def sender_to(target: Target) -> Sender:
    """Make the sender that a target's protocol asks for. Nothing is connected yet."""
    return GrpcSender(target) if target.protocol == GRPC else HttpSender(target)


class GrpcSender:
    """Sends over a channel of its own."""

    def __init__(self, target: Target) -> None:
        with _little_said():
            import grpc
        self._error = grpc.RpcError
        self._metadata = target.headers
        compression = {
            "none": grpc.Compression.NoCompression,
            "gzip": grpc.Compression.Gzip,
            "deflate": grpc.Compression.Deflate,
        }[target.compression]
        address = _address(target.endpoint)
        options = (*_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", int(_has_proxy_for_grpc())))
        self._channel = (
            grpc.insecure_channel(address, options, compression)
            if target.is_insecure
            else grpc.secure_channel(address, _credentials(target), options, compression)
        )
        self._call: grpc.UnaryUnaryMultiCallable[Request, bytes] = self._channel.unary_unary(
            _METHODS[target.signal], _serialized
        )

    def send(self, request: Request, timeout_seconds: float) -> Problem | None:
        """Send a request; None where it arrived."""
        try:
            self._call(request, timeout=timeout_seconds, metadata=self._metadata)
        except self._error as error:
            return problem_of_call(error)
        except ValueError:
            # The channel was closed meanwhile.
            return TIMED_OUT
        return None

    def close(self) -> None:
        """End what is under way."""
        self._channel.close()


class HttpSender:
    """Sends over a session of its own."""

    def __init__(self, target: Target) -> None:
        import requests

        self._url = target.endpoint
        self._compress = _COMPRESS.get(target.compression)
        self._session = requests.Session()
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": _AGENT}
        if self._compress is not None:
            headers["Content-Encoding"] = target.compression
        self._session.headers.update({**headers, **dict(target.headers)})
        if urlsplit(target.endpoint).username is None:
            # Else requests takes a password from ~/.netrc, and puts it over the headers given.
            self._session.auth = as_it_is
        self._certificate = target.certificate
        if target.client_certificate is not None and target.client_key is not None:
            self._session.cert = (target.client_certificate, target.client_key)
        elif target.client_certificate is not None:
            self._session.cert = target.client_certificate

    def send(self, request: Request, timeout_seconds: float) -> Problem | None:
        """Send a request; None where it arrived."""
        body = _serialized(request)
        try:
            response = self._session.post(
                self._url,
                data=body if self._compress is None else self._compress(body),
                timeout=timeout_seconds,
                # Where the session had it, REQUESTS_CA_BUNDLE would count for more.
                verify=self._certificate,
                allow_redirects=False,
            )
        except (OSError, ValueError) as error:
            return problem_of_error(error)
        return problem_of_response(response)

    def close(self) -> None:
        """Close what is open; a request under way is left to its own end."""
        # urllib3 leaves idle connections to a finalizer, which at exit may have had its turn.
        for adapter in self._session.adapters.values():
            pools: Any = getattr(getattr(adapter, "poolmanager", None), "pools", None)
            for key in () if pools is None else pools.keys():
                pool = pools.get(key)
                if pool is not None:
                    pool.close()
        self._session.close()


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Let a request go without any password that nobody gave for it."""
    return request


def _serialized(request: Request) -> bytes:
    return request.SerializeToString()


def _address(endpoint: str) -> str:
    """Return what gRPC connects to: of a URL its host and port, else a name of gRPC's own."""
    if not endpoint.startswith(("http://", "https://")):
        return endpoint
    return endpoint.partition("://")[2].partition("/")[0].partition("?")[0]


def _credentials(target: Target) -> grpc.ChannelCredentials:
    import grpc

    paths = (target.certificate, target.client_key, target.client_certificate)
    contents = (None if path is None else Path(path).read_bytes() for path in paths)
    return grpc.ssl_channel_credentials(*contents)


def _has_proxy_for_grpc() -> bool:
    """Tell whether the variables name a proxy that gRPC can use.

    Of any other, which it ignores, it would write the URL to stderr, with the password.
    """
    found = next(filter(None, map(os.environ.get, GRPC_PROXIES)), "")
    return found.startswith("http://") and found.isprintable() and " " not in found


@contextmanager
def _little_said() -> Iterator[None]:
    """Import gRPC such that its core writes nothing to stderr, such as each failed handshake.

    It reads this variable once, when it is loaded. A process that has loaded it, or that says
    otherwise, has it as it wants.
    """
    if "grpc" in sys.modules or _VERBOSITY in os.environ:
        yield
        return
    os.environ[_VERBOSITY] = "NONE"
    try:
        yield
    finally:
        del os.environ[_VERBOSITY]
