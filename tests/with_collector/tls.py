"""A vendor's OTLP intake on loopback: HTTPS, and nobody is let in without a key."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from ..otlp_receivers import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNALS = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
    "/api/v2/otlpmetrics": "metrics",
}


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 that vouches for itself, and its key: PEM files."""

    path: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate and its key in a new folder."""
    folder.mkdir()
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=intake", "-addext"),
            *("subjectAltName=IP:127.0.0.1", "-keyout", str(made.key), "-out", str(made.path)),
        ],
        check=True,
        capture_output=True,
    )
    return made


class Intakes(dict[str, Receiver]):
    """Receivers of one HTTPS server, each under the first part of its path.

    Attributes:
        url: The server's.
        required: By receiver, the headers that a request has to have to be let in.
        unauthorized: How many requests were not let in.
        encodings: The Content-Encoding of each request.
    """

    def __init__(self, required: dict[str, dict[str, str]]) -> None:
        super().__init__({name: Receiver() for name in required})
        self.url = ""
        self.required = required
        self.unauthorized = 0
        self.encodings: set[str | None] = set()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Keep a request, and give the status of the answer."""
        self.encodings.add(headers.get("content-encoding"))
        name, slash, rest = path.removeprefix("/").partition("/")
        if not self.required[name].items() <= headers.items():
            self.unauthorized += 1
            return 401
        mood = self[name].take(SIGNALS[slash + rest], gzip.decompress(body), headers)
        return 200 if mood is None else int(mood)


@contextmanager
def https_intakes(
    certificate: Certificate, required: dict[str, dict[str, str]]
) -> Iterator[Intakes]:
    """Serve OTLP over HTTPS at `/<name>/v1/...` for each name."""
    intakes = Intakes(required)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(intakes.take(self.path, headers, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        intakes.url = f"https://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield intakes
        finally:
            server.shutdown()
            thread.join()
