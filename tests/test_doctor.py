"""What `petsard-otel doctor` says of environments and receivers, all of them real."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent import futures
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from rich.console import Console

from petsard_otel import ConfigError
from petsard_otel.doctor.doctor import examine, guarded
from petsard_otel.doctor.findings import SECTIONS, Examination, Finding
from petsard_otel.doctor.petsard import unmet
from petsard_otel.doctor.providers import exported_share
from petsard_otel.doctor.report import ExaminationReport
from petsard_otel.doctor.versions import Installed, agreement

from .http_servers import http_server
from .otlp_receivers import SERVICES, grpc_receiver, http_receiver, slow_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = [sys.executable, "-m", "petsard_otel", "doctor"]

PAGE = (Path(__file__).parent.parent / "docs" / "doctor.md").read_text()

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy")


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment without what a doctor looks at."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PETSARD_OTEL_", "PYTHON", "TRACEPARENT"))
        and name not in {"FORCE_COLOR", "NO_COLOR"}
        and name.lower() not in PROXIES
    }
    return {**kept, "COLUMNS": "80", **more}


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env=environment(**variables),
    )


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the variables of this process to some, and no other that a doctor looks at."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)

    def set_to(**given: str) -> None:
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    return set_to


def told(examination: Examination, *sections: str) -> dict[str, tuple[str, str, str | None]]:
    """Give state, text and remedy by check, times and trace ids replaced."""
    found = {}
    for finding in examination.findings:
        if finding.section in sections:
            text = re.sub(r"[\d.]+ (µs|ms|s)\)", "TIME)", finding.text)
            text = re.sub(r"[0-9a-f]{32}", "TRACE", text)
            found[finding.check] = (finding.state, text, finding.remedy)
    return found


def problems(examination: Examination) -> list[str]:
    """Give the checks that found something wrong."""
    return [found.check for found in examination.problems]


NOT_TRIED = ("not tried", "not tried", None)


# Receivers.


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.usefixtures("variables")
def test_a_receiver_that_takes_everything(protocol: str) -> None:
    """Every step is told, and what arrives is a span that says nothing of anybody."""
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve() as (url, receiver):
        found = examine(url, protocol)
    port = int(url.rpartition(":")[2])
    assert told(found, "receiver") == {
        "dns": ("ok", "127.0.0.1", None),
        "tcp": ("ok", f"port {port} answers (TIME)", None),
        "tls": ("ok", "none, as the URL says", None),
        "traces auth": ("ok", "none asked for", None),
        "traces test": ("ok", "one span is accepted (TIME), trace TRACE", None),
        "metrics auth": ("ok", "none asked for", None),
        "metrics test": ("ok", "a request without metrics is accepted (TIME)", None),
    }
    assert problems(found) == []
    ((request,),) = (receiver.traces,)
    (resource,) = request.resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [
        ("service.name", "petsard")
    ]
    (scope,) = resource.scope_spans
    assert scope.scope.name == "petsard_otel"
    assert list(scope.scope.attributes) == []
    (span,) = scope.spans
    assert (span.name, list(span.attributes), list(span.events)) == ("petsard doctor", [], [])
    assert span.trace_id.hex() in next(
        finding.text for finding in found.findings if finding.check == "traces test"
    )
    assert receiver.points == {}


@pytest.mark.parametrize(("protocol", "mood"), [("grpc", "UNIMPLEMENTED"), ("http/protobuf", 404)])
@pytest.mark.usefixtures("variables")
def test_a_receiver_that_takes_no_metrics_is_fine(protocol: str, mood: Any) -> None:
    """So is Jaeger, and nothing is wrong."""
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve(metrics=[mood]) as (url, _):
        found = examine(url, protocol)
    said = {"grpc": "unimplemented (gRPC)", "http/protobuf": "404 not found"}[protocol]
    assert told(found, "receiver")["metrics test"] == (
        *("ok", f"{said}: it takes no metrics, as Jaeger; that is no failure", None),
    )
    assert problems(found) == []


def test_metrics_that_were_asked_for_are_missed(variables: Callable[..., None]) -> None:
    """Who names metrics hears that they are not taken."""
    with http_receiver(metrics=[404]) as (url, _):
        variables(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
                  OTEL_TRACES_EXPORTER="otlp", OTEL_METRICS_EXPORTER="otlp")  # fmt: skip
        found = examine()
    assert problems(found) == ["metrics test"]
    assert told(found, "receiver")["metrics test"] == (
        "problem",
        "404 not found: an HTTP server, but none that takes metrics at /v1/metrics",
        "correct the host, the port and the path; OTLP over HTTP is usually on port 4318",
    )


@pytest.mark.parametrize(
    ("protocol", "mood", "said"),
    [
        ("grpc", "UNAUTHENTICATED", "unauthenticated (gRPC)"),
        ("grpc", "PERMISSION_DENIED", "permission denied (gRPC)"),
        ("http/protobuf", 401, "401 unauthorized"),
        ("http/protobuf", 403, "403 forbidden"),
    ],
)
def test_credentials_that_are_missing_or_wrong(
    protocol: str, mood: Any, said: str, variables: Callable[..., None]
) -> None:
    """The variable is named, and what is in it is not."""
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve(traces=[mood], metrics=[mood]) as (url, receiver):
        without = examine(url, protocol)
        variables(OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20hunter2")
        given = examine(url, protocol)
    assert told(without, "receiver")["traces auth"] == (
        "problem",
        f"{said}: no header with credentials is sent",
        "`export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN`, as your receiver has it",
    )
    assert told(given, "receiver")["traces auth"] == (
        "problem",
        f"{said}: not with what the headers authorization say",
        "correct OTEL_EXPORTER_OTLP_HEADERS: name=value, a space in the value is %20",
    )
    assert told(given, "receiver")["traces test"] == NOT_TRIED
    assert problems(given) == ["traces auth", "metrics auth"]
    assert "hunter2" not in json.dumps(given.to_dict())
    assert receiver.headers["traces"]["authorization"] == "Bearer hunter2"


def test_credentials_that_are_taken_are_told_by_name(variables: Callable[..., None]) -> None:
    """The names of headers are said, and where they come from."""
    with http_receiver() as (url, _):
        variables(OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-key=hunter2,a=b")
        found = examine(url, "http/protobuf")
    (auth,) = [finding for finding in found.findings if finding.check == "traces auth"]
    assert (auth.state, auth.text) == ("ok", "accepted with headers a, x-key")
    assert auth.sources == ("OTEL_EXPORTER_OTLP_TRACES_HEADERS",)
    (traces,) = [f for f in found.findings if (f.section, f.check) == ("export", "traces")]
    assert traces.sources == (*("--endpoint", "--protocol", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),)


@pytest.mark.usefixtures("variables")
def test_a_port_where_nobody_listens() -> None:
    """What comes after is not tried, and the remedy is to start one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = examine(f"http://127.0.0.1:{port}")
    assert told(found, "receiver") == {
        "dns": ("ok", "127.0.0.1", None),
        "tcp": (
            "problem",
            f"port {port} of 127.0.0.1 refuses: nothing listens there",
            "start the receiver, or correct the host and the port (gRPC 4317, HTTP 4318)",
        ),
        "tls": NOT_TRIED,
        "traces auth": NOT_TRIED,
        "traces test": NOT_TRIED,
        "metrics auth": NOT_TRIED,
        "metrics test": NOT_TRIED,
    }


@pytest.mark.usefixtures("variables")
def test_a_name_that_is_none() -> None:
    """DNS is where it ends."""
    found = examine("http://collector.invalid:4317")
    state, text, remedy = told(found, "receiver")["dns"]
    assert (state, remedy) == ("problem", "correct the host in the URL")
    assert text.startswith("the name 'collector.invalid' does not resolve: ")
    assert told(found, "receiver")["tcp"] == NOT_TRIED


@contextmanager
def black_hole() -> Iterator[str]:
    """Listen with a queue that is full, so that a further connection waits for ever."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_black_hole_costs_less_than_five_seconds(protocol: str) -> None:
    """From the start of the command to its end; the step that got no answer is named."""
    with black_hole() as address:
        begun = time.monotonic()
        found = doctor("--endpoint", f"http://{address}", "--protocol", protocol)
        took = time.monotonic() - begun
    assert found.returncode == 1
    assert found.stderr == ""
    port = address.rpartition(":")[2]
    assert f"✗ TCP           port {port} of 127.0.0.1 does not answer within 2 s\n" in found.stdout
    assert "  → see that no firewall drops it, and that the host and the port are right\n" in (
        found.stdout
    )
    assert took < 5


@pytest.mark.parametrize("behaviour", ["silent", "dripping"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.usefixtures("variables")
def test_a_server_that_does_not_answer(behaviour: str, scheme: str, protocol: str) -> None:
    """It takes a connection and says nothing, or nothing whole: an end is made all the same."""
    with slow_receiver(behaviour) as url:
        begun = time.monotonic()
        found = examine(url.replace("http", scheme), protocol)
        took = time.monotonic() - begun
    assert took < 4.5
    (wrong,) = problems(found)
    assert wrong == ("tls" if scheme == "https" else "traces test")
    assert told(found, "receiver")["metrics test"] == NOT_TRIED


@pytest.mark.usefixtures("variables")
def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver may take half a minute; the doctor does not."""
    is_over = threading.Event()

    def resolve_late(*_: Any, **__: Any) -> list[Any]:
        is_over.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    begun = time.monotonic()
    found = examine("http://collector.example:4317")
    is_over.set()
    assert time.monotonic() - begun < 3
    assert told(found, "receiver")["dns"][:2] == (
        "problem",
        "the name 'collector.example' does not resolve: no answer within 2.0 s",
    )


@contextmanager
def closing() -> Iterator[str]:
    """Take connections and close each at once."""
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                listener.accept()[0].close()
            except TimeoutError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.usefixtures("variables")
def test_a_server_that_closes_at_once(protocol: str) -> None:
    """No remedy can be known but the receiver's own log."""
    with closing() as url:
        found = examine(url, protocol)
        secured = examine(url.replace("http", "https"), protocol)
    assert told(found, "receiver")["traces test"] == (
        *("problem", "the connection was closed", "see the receiver's log"),
    )
    assert told(secured, "receiver")["tls"] == (
        "problem",
        "the receiver closed the connection in the handshake",
        f"if it speaks no TLS on this port, name it {url}",
    )


@pytest.mark.usefixtures("variables")
def test_there_is_no_route() -> None:
    """A network that is not there is told apart from a port that is closed."""
    # A broadcast address cannot be connected to, whatever network a machine has.
    found = examine("http://255.255.255.255:4317")
    state, text, _ = told(found, "receiver")["tcp"]
    assert (state, text) == ("problem", "there is no route to 255.255.255.255")


# Mistakes.


@pytest.mark.usefixtures("variables")
def test_the_protocol_is_the_other_one() -> None:
    """The ports 4317 and 4318 are taken for each other, and the remedy says which is which."""
    with http_receiver() as (url, _):
        over_grpc = examine(url, "grpc")
    with grpc_receiver() as (other, _):
        over_http = examine(other, "http/protobuf")
    port, other_port = url.rpartition(":")[2], other.rpartition(":")[2]
    assert told(over_grpc, "receiver")["traces test"] == (
        "problem",
        f"what answered does not speak gRPC: port {port} speaks HTTP/1.1, and the protocol is grpc",
        "`export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`, or the port for gRPC (4317)",
    )
    assert told(over_http, "receiver")["traces test"] == (
        "problem",
        (
            f"what answered does not speak HTTP: port {other_port} speaks HTTP/2, as gRPC, and the "
            "protocol is http/protobuf"
        ),
        "`export OTEL_EXPORTER_OTLP_PROTOCOL=grpc`, or the port for HTTP (4318)",
    )


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.usefixtures("variables")
def test_https_against_a_receiver_without_tls(protocol: str) -> None:
    """The remedy is the URL that works."""
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve() as (url, _):
        found = examine(url.replace("http", "https"), protocol)
    assert told(found, "receiver")["tls"] == (
        "problem",
        "the receiver speaks no TLS, and the URL is https://",
        f"name it {url}",
    )
    assert problems(found) == ["tls"]


def test_an_endpoint_without_a_scheme(variables: Callable[..., None]) -> None:
    """Over gRPC it asks for TLS, which few expect."""
    with grpc_receiver() as (url, _):
        address = url.removeprefix("http://")
        variables(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        found = examine()
    assert told(found, "receiver")["tls"] == (
        "problem",
        "the receiver speaks no TLS, and an endpoint without http:// asks for it",
        f"name it {url}",
    )


@pytest.mark.usefixtures("variables")
def test_a_base_url_with_a_signal_s_path() -> None:
    """It works here, and nowhere else."""
    with http_receiver() as (url, _):
        found = examine(f"{url}/v1/traces", "http/protobuf")
    assert told(found, "receiver")["url"] == (
        "note",
        "a base URL has no /v1/traces at its end: programs add it",
        f"name the receiver {url}",
    )
    assert problems(found) == []


def test_a_signal_s_url_without_its_path(variables: Callable[..., None]) -> None:
    """The variable of one signal is the whole URL."""
    with http_receiver() as (url, receiver):
        receiver.moods["/"] = [404]
        variables(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url,
                  OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")  # fmt: skip
        found = examine()
    assert told(found, "receiver")["traces test"] == (
        "problem",
        "404 not found at /: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is the whole URL",
        f"`export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={url}/v1/traces`",
    )


@pytest.mark.usefixtures("variables")
def test_a_server_that_is_no_receiver() -> None:
    """Some page answers, and knows nothing of spans."""
    with http_receiver(traces=[404], metrics=[404]) as (url, _):
        found = examine(url, "http/protobuf")
    assert problems(found) == ["traces test"]
    assert told(found, "receiver")["traces test"] == (
        "problem",
        "404 not found: an HTTP server, but none that takes traces at /v1/traces",
        "correct the host, the port and the path; OTLP over HTTP is usually on port 4318",
    )


@pytest.mark.parametrize(
    ("answer", "asked"), [("text/html; charset=utf-8", 1), ("application/json", 2)]
)
def test_a_web_site_that_says_yes_to_everything(
    answer: str, asked: int, variables: Callable[..., None], tmp_path: Path
) -> None:
    """As Jaeger's own pages do: no span arrives, though the answer is 200.

    It is asked without a password that the user keeps in ~/.netrc for other programs.
    """
    (tmp_path / ".netrc").write_text("default login alice password NETRCSECRET\n")
    (tmp_path / ".netrc").chmod(0o600)
    variables(NETRC=str(tmp_path / ".netrc"))
    credentials = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self, kind: str = "text/html") -> None:
            credentials.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET(answer)

        def log_message(self, *args: Any) -> None:
            pass

    with http_server(Handler) as port:
        found = examine(f"http://127.0.0.1:{port}", "http/protobuf")
    assert credentials == [None] * asked
    assert problems(found) == ["traces test"]
    assert told(found, "receiver")["traces test"][1:] == (
        "a web site says yes to the request, but it shows a page there: spans are lost",
        "correct the host, the port and the path; OTLP over HTTP is usually on port 4318",
    )
    assert told(found, "receiver")["metrics test"] == NOT_TRIED


def test_a_proxy_whose_password_has_an_at_behind_a_slash(variables: Callable[..., None]) -> None:
    """Nobody can say which part is the host, so none of it is told or looked up."""
    variables(http_proxy="http://SECRET/x@127.0.0.1:3128")

    found = examine("http://localhost:4318")

    assert told(found, "receiver")["proxy"] == (
        "problem",
        "http://... cannot be a proxy's URL",
        "write an @ in its password, its path or its query as %40",
    )
    assert "secret" not in repr(found).lower()


@pytest.mark.parametrize(
    "proxy",
    [
        "us_er:s3cret@127.0.0.1:9",
        "//user:s3cret@127.0.0.1:9",
        "user@corp:s3cret@127.0.0.1:9",
        "http://us er:s3cret@127.0.0.1:9",
        "http://user:s3^cret@127.0.0.1:9",
        "https://user:s3cret@127.0.0.1:9",
    ],
)
@pytest.mark.parametrize("verbosity", ["", "DEBUG"])
def test_grpc_says_nothing_of_a_proxy(proxy: str, verbosity: str) -> None:
    """Its core would quote a proxy's URL that it cannot read, on stderr, with the password."""
    with http_receiver() as (url, _):
        done = doctor(
            *("--endpoint", url, "--protocol", "grpc"), http_proxy=proxy, GRPC_VERBOSITY=verbosity
        )

    assert "cret" not in done.stdout + done.stderr


@pytest.mark.usefixtures("variables")
def test_a_path_and_no_port_over_grpc() -> None:
    """The port is 443 then, and a path is of no use."""
    found = examine("http://127.0.0.1/v1/traces")
    urls = [
        (finding.state, finding.text, finding.remedy)
        for finding in found.findings
        if finding.check == "url"
    ]
    assert urls == [
        (
            "note",
            "gRPC has no use for the path /v1/traces",
            "name the receiver http://127.0.0.1, or send over HTTP",
        ),
        (
            "note",
            "no port is named, so that it is 443",
            "add :4317, where OTLP receivers usually listen",
        ),
    ]


# Proxies.


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_proxy_in_the_way(protocol: str, variables: Callable[..., None]) -> None:
    """The variable is named, without its password; with the remedy the receiver is reached."""
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve() as (url, receiver):
        variables(http_proxy="http://user:hunter2@127.0.0.1:9")
        hindered = examine(url, protocol)
        variables(no_proxy="127.0.0.1")
        free = examine(url, protocol)
    (proxy,) = [finding for finding in hindered.findings if finding.check == "proxy"]
    assert proxy == Finding(
        "receiver",
        "proxy",
        "note",
        "requests go through http://127.0.0.1:9; DNS and TCP are the proxy's",
        "to go without the proxy: `export no_proxy=127.0.0.1`",
        ("http_proxy",),
        f"{url} over {'gRPC' if protocol == 'grpc' else 'HTTP'}",
    )
    assert problems(hindered) == ["tcp"]
    assert told(hindered, "receiver")["tcp"][2] == proxy.remedy
    assert "hunter2" not in json.dumps(hindered.to_dict())
    assert problems(free) == []
    assert receiver.attempts["traces"] == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_proxy_that_serves_nobody(protocol: str, variables: Callable[..., None]) -> None:
    """What the proxy answers is not the receiver's answer, and the remedy is to go around it."""
    with http_receiver() as (proxy, behind):
        behind.moods["http://collector.example:4318/v1/traces"] = [400]
        variables(http_proxy=proxy)
        found = examine("http://collector.example:4318", protocol)
    said = {"grpc": "the host cannot be reached", "http/protobuf": "400 bad request"}[protocol]
    assert told(found, "receiver")["traces test"] == (
        "problem",
        f"{said}, through a proxy",
        "to go without the proxy: `export no_proxy=collector.example`",
    )


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with certificates that vouch for themselves, and their keys."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    for name, host, days in (
        ("good", "localhost", 365),
        ("soon", "localhost", 5),
        ("expired", "localhost", 5),
        ("other", "other.example", 365),
    ):
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-nodes", "-days", str(days), "-subj", f"/CN={host}"),
                *("-addext", f"subjectAltName=DNS:{host}"),
                *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    # It makes none that has expired already, but signs one anew that has.
    expired = ("-in", folder / "expired.pem", "-signkey", folder / "expired.key", "-days", "-1")
    made = ("-out", folder / "signed.pem")
    subprocess.run([openssl, "x509", *expired, *made], check=True, capture_output=True)
    (folder / "signed.pem").replace(folder / "expired.pem")
    return folder


@contextmanager
def secured(protocol: str, folder: Path, name: str) -> Iterator[str]:
    """Serve OTLP over TLS with one of the certificates."""
    if protocol == "grpc":
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        for service in SERVICES.values():
            handler: Any = grpc.unary_unary_rpc_method_handler(lambda *_: b"")
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )
        pair = ((folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        try:
            yield f"https://localhost:{port}"
        finally:
            server.stop(None).wait()
        return

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

        def finish_request(self, request: Any, client_address: Any) -> None:
            with context.wrap_socket(request, server_side=True) as connection:
                super().finish_request(connection, client_address)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    with Server(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_certificate_that_is_verified(
    protocol: str, certificates: Path, variables: Callable[..., None]
) -> None:
    """Its expiry is told, and earlier than in a fortnight it is a note."""
    states = {}
    for name in ("good", "soon"):
        variables(OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificates / f"{name}.pem"))
        with secured(protocol, certificates, name) as url:
            found = examine(url, protocol)
        assert problems(found) == []
        assert told(found, "receiver")["traces test"][0] == "ok"
        states[name] = told(found, "receiver")["tls"]
    state, text, remedy = states["good"]
    assert (state, remedy) == ("ok", None)
    assert re.fullmatch(
        r"TLSv1\.3, certificate verified for localhost, valid until \d{4}-\d\d-\d\d", text
    )
    state, text, remedy = states["soon"]
    assert (state, remedy) == ("note", "renew the receiver's certificate")
    assert text.endswith(": 4 days")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(
    ("name", "is_trusted", "text", "remedy"),
    [
        (
            *("good", False),
            "the receiver's certificate is signed by nobody whom this machine believes",
            (
                "`export OTEL_EXPORTER_OTLP_CERTIFICATE=ca.pem`, the path of the certificate that "
                "signed it"
            ),
        ),
        (
            *("other", True),
            "the receiver's certificate is not for 'localhost'",
            "name the receiver as its certificate does, or have one made for this name",
        ),
        (
            *("expired", True),
            "the receiver's certificate has expired",
            "renew the receiver's certificate",
        ),
    ],
)
def test_a_certificate_that_is_not(
    protocol: str,
    name: str,
    is_trusted: bool,  # noqa: FBT001  a parameter of the test
    text: str,
    remedy: str,
    certificates: Path,
    variables: Callable[..., None],
) -> None:
    """What is wrong with it is told, and no span is sent to whoever it is."""
    if is_trusted:
        variables(OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificates / f"{name}.pem"))
    with secured(protocol, certificates, name) as url:
        found = examine(url, protocol)
    assert told(found, "receiver")["tls"] == ("problem", text, remedy)
    assert told(found, "receiver")["traces test"] == NOT_TRIED


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.usefixtures("variables")
def test_http_against_a_receiver_with_tls(protocol: str, certificates: Path) -> None:
    """The remedy is the URL that works."""
    with secured(protocol, certificates, "good") as url:
        found = examine(url.replace("https", "http"), protocol)
    state, text, remedy = told(found, "receiver")["traces test"]
    assert (state, remedy) == ("problem", f"name it {url}")
    assert text.endswith(": the receiver speaks TLS, and the URL is http://")


def test_grpc_against_tls_without_http_2(
    certificates: Path, variables: Callable[..., None]
) -> None:
    """A web server with TLS cannot be spoken to by gRPC."""
    variables(OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificates / "good.pem"))
    with secured("http/protobuf", certificates, "good") as url:
        found = examine(url, "grpc")
    assert told(found, "receiver")["tls"][:2] == (
        *("problem", "the receiver offers no HTTP/2 over TLS, which gRPC needs"),
    )


# Variables.


def test_all_that_cannot_be_used_is_told_at_once() -> None:
    """Each variable with what was expected; no traceback, and the rest is looked at."""
    found = doctor(
        OTEL_ATTRIBUTE_COUNT_LIMIT="abc",
        OTEL_SPAN_LINK_COUNT_LIMIT="-1",
        OTEL_BSP_MAX_QUEUE_SIZE="-1",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://user:hunter2@[::1",
        OTEL_EXPORTER_OTLP_HEADERS="authorization: hunter2",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        OTEL_EXPORTER_OTLP_CERTIFICATE=__file__,
        OTEL_EXPORTER_OTLP_CLIENT_KEY="/nowhere/hunter.key",
        OTEL_METRICS_EXPORTER="otpl",
        OTEL_PROPAGATORS="tracecontext,foo",
        OTEL_PYTHON_TRACER_PROVIDER="mine",
        OTEL_RESOURCE_ATTRIBUTES="team",
        OTEL_TRACES_SAMPLER="sometimes",
        OTEL_TRACES_SAMPLER_ARG="2",
        OTEL_EXPORTER_OTLP_ENDPONT="http://localhost:4317",
        PETSARD_OTEL_CAPTURE="all",
        PETSARD_OTEL_FIELD_NAME="hashed",
        PETSARD_OTEL_TRACE_URL="http://localhost",
        TRACEPARENT="nonsense",
    )
    assert found.returncode == 1
    assert found.stderr == ""
    assert "Traceback" not in found.stdout
    assert "hunter2" not in found.stdout
    whole = " ".join(found.stdout.split())
    for said in (
        "OTEL_ATTRIBUTE_COUNT_LIMIT is a whole number (found 'abc')",
        "OTEL_SPAN_LINK_COUNT_LIMIT is a whole number (found '-1')",
        "OTEL_BSP_MAX_QUEUE_SIZE is a whole number above 0 (found '-1')",
        "OTEL_EXPORTER_OTLP_ENDPOINT is a URL such as http://localhost:4317 (found 'http://[::1')",
        "OTEL_EXPORTER_OTLP_HEADERS is a list of name=value, and one entry has no such form",
        "OTEL_EXPORTER_OTLP_TIMEOUT is a number of seconds above 0 (found 'soon')",
        "OTEL_EXPORTER_OTLP_CERTIFICATE is the path of a certificate in PEM format, and what is",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY is the path of a file, and there is none at",
        "OTEL_METRICS_EXPORTER is none, otlp or console (found 'otpl')",
        "OTEL_PROPAGATORS names 'foo', which no installed package offers",
        "OTEL_PYTHON_TRACER_PROVIDER names 'mine', which no installed package offers",
        "OTEL_RESOURCE_ATTRIBUTES is a list of key=value (found 'team')",
        "parentbased_traceidratio (found 'sometimes'); the SDK takes parentbased_always_on",
        "OTEL_TRACES_SAMPLER_ARG is a share from 0 to 1 (found '2'); the SDK takes 1",
        "nobody reads OTEL_EXPORTER_OTLP_ENDPONT → rename it to OTEL_EXPORTER_OTLP_ENDPOINT",
        "PETSARD_OTEL_CAPTURE is structure or statistics (found 'all')",
        "nobody reads PETSARD_OTEL_FIELD_NAME → rename it to PETSARD_OTEL_FIELD_NAMES",
        "PETSARD_OTEL_TRACE_URL is none, or a URL with {trace_id} in it",
        "→ correct it, or `unset PETSARD_OTEL_CAPTURE`",
    ):
        assert said in whole
    assert found.stdout.splitlines()[-1].startswith("✗ 18 problems, ")


def test_the_variables_are_as_they_were(variables: Callable[..., None]) -> None:
    """What cannot be used is set aside only for a while."""
    given = {"OTEL_ATTRIBUTE_COUNT_LIMIT": "abc", "OTEL_BSP_MAX_QUEUE_SIZE": "x"}
    variables(**given)
    before = dict(os.environ)
    assert set(given) <= set(problems(examine()))
    assert dict(os.environ) == before


def test_usable_variables_are_named(variables: Callable[..., None]) -> None:
    """A secret among them is not shown."""
    variables(PETSARD_OTEL_FIELD_NAMES_KEY="hunter2", OTEL_SERVICE_NAME="nightly")
    found = examine()
    assert told(found, "variables") == {
        "usable": ("ok", "OTEL_SERVICE_NAME, PETSARD_OTEL_FIELD_NAMES_KEY", None)
    }
    assert "hunter2" not in json.dumps(found.to_dict())


# Provider, export, privacy.


@pytest.mark.usefixtures("variables")
def test_without_any_endpoint_nothing_is_sent() -> None:
    """That is fine, and how to change it is said."""
    found = examine()
    assert problems(found) == []
    assert told(found, "provider", "export", "receiver") == {
        "owner": (
            "note",
            "none: runs are recorded by a private one, and nothing is sent",
            "to send: `export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317`, or --endpoint",
        )
    }


def test_each_setting_says_where_it_comes_from(variables: Callable[..., None]) -> None:
    """A signal's own variable comes first, and a password in a URL is left out."""
    with http_receiver() as (url, _):
        variables(
            OTEL_EXPORTER_OTLP_ENDPOINT=url.replace("://", "://user:hunter2@"),
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="2",
            OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="gzip",
            PETSARD_OTEL_LOGS="true",
        )
        found = examine()
    exports = [f for f in found.findings if f.section == "export"]
    common = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL")
    assert [(f.check, f.text, f.sources) for f in exports] == [
        (
            "traces",
            f"to {url}/v1/traces over HTTP, at most 2 s a request",
            (*common, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
        ),
        (
            "metrics",
            f"to {url}/v1/metrics over HTTP, in gzip, at most 3 s a request",
            (*common, "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION"),
        ),
        ("logs", f"to {url}/v1/logs over HTTP, at most 3 s a request", common),
    ]
    assert told(found, "provider")["owner"] == (
        "ok",
        (
            "one that `petsard-otel run` builds with configure(); a script of yours has to call "
            "configure() itself"
        ),
        None,
    )
    assert told(found, "receiver")["logs test"] == (
        *("ok", "a request without log records is accepted (TIME)", None),
    )
    assert "hunter2" not in json.dumps(found.to_dict())
    assert problems(found) == []


@pytest.mark.parametrize(
    ("sampler", "argument", "expected"),
    [
        ("always_on", "", ("ok", "every run is exported", None)),
        (
            *("parentbased_traceidratio", "0.25"),
            (
                "note",
                "25 % of the runs are exported, each whole or not at all",
                (
                    "for all: `unset OTEL_TRACES_SAMPLER`, or "
                    "`export OTEL_TRACES_SAMPLER=parentbased_always_on`"
                ),
            ),
        ),
        (
            *("always_off", ""),
            (
                "problem",
                "no run is exported",
                (
                    "`unset OTEL_TRACES_SAMPLER`, or "
                    "`export OTEL_TRACES_SAMPLER=parentbased_always_on`"
                ),
            ),
        ),
    ],
)
def test_the_sampler_s_consequence(
    sampler: str,
    argument: str,
    expected: tuple[str, str, str | None],
    variables: Callable[..., None],
) -> None:
    """The share of the runs that is exported is told."""
    variables(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)
    with http_receiver() as (url, _):
        assert told(examine(url, "http/protobuf"), "provider")["sampler"] == expected


@pytest.mark.parametrize(
    ("description", "share"),
    [
        ("AlwaysRecordSampler{ParentBased{root:AlwaysOffSampler,remote...}}", 0.0),
        ("TraceIdRatioBased{0.5}", 0.5),
        ("TraceIdRatioBased{half}", None),
        ("Mine", None),
        ("", None),
    ],
)
def test_samplers_are_known_by_their_description(description: str, share: float | None) -> None:
    """A sampler of somebody's own is not guessed at."""
    assert exported_share(description) == share


def test_what_keeps_runs_from_being_exported(variables: Callable[..., None]) -> None:
    """A switched-off SDK and an unsampled parent are told, where something is to be sent."""
    variables(
        OTEL_SDK_DISABLED="true",
        TRACEPARENT="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    )
    with http_receiver() as (url, _):
        found = examine(url, "http/protobuf")
    assert problems(found) == ["sdk disabled", "parent"]
    assert told(found, "provider")["sdk disabled"][2] == "`unset OTEL_SDK_DISABLED`"
    assert told(found, "provider")["parent"] == (
        "problem",
        "runs become part of trace TRACE, which is not sampled, so none is exported",
        "`unset TRACEPARENT`",
    )
    assert problems(examine()) == []


@pytest.mark.parametrize(
    ("traceparent", "propagators", "state"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracecontext", "ok"),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracecontext", "note"),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", "tracecontext", "note"),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage", "note"),
    ],
)
def test_the_parent_is_the_one_that_runs_have(
    traceparent: str, propagators: str, state: str
) -> None:
    """TRACEPARENT is read as runs read it."""
    found = doctor(
        *("--format", "json", "--endpoint", "http://127.0.0.1:1"),
        TRACEPARENT=traceparent,
        OTEL_PROPAGATORS=propagators,
    )

    (parent,) = [f for f in json.loads(found.stdout)["findings"] if f["check"] == "parent"]
    assert parent["state"] == state


def test_the_test_span_is_of_the_service_that_runs_are(variables: Callable[..., None]) -> None:
    """Whichever variable names it."""
    variables(OTEL_RESOURCE_ATTRIBUTES="service.name=lab,secret=x")
    with http_receiver() as (url, receiver):
        examine(url, "http/protobuf")

    (request,) = receiver.requests["traces"]
    (resource,) = request.resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [
        ("service.name", "lab")
    ]


def test_opentelemetry_instrument_is_recognised() -> None:
    """The global provider is its owner's; limits that would cut our spans are told."""
    program = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("opentelemetry-distro is not installed")
    with grpc_receiver() as (url, receiver):
        found = subprocess.run(
            [program, *COMMAND, "--format", "json"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=url,
                OTEL_LOGS_EXPORTER="none",
                OTEL_METRICS_EXPORTER="none",
                OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="64",
                OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="38",
            ),
        )
    told = json.loads(found.stdout)["findings"]
    provider = [(f["check"], f["text"], f["remedy"]) for f in told if f["section"] == "provider"]
    assert provider == [
        (
            "owner",
            (
                "the global one, set by opentelemetry-instrument: "
                "opentelemetry.sdk.trace.TracerProvider, exports by OTLPSpanExporter"
            ),
            None,
        ),
        ("sampler", "every run is exported", None),
        (
            "limits",
            (
                "it keeps 38 attributes a span, and spans of ours have up to 39: what is sent is "
                "cut; a Status is whole"
            ),
            "`export OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=39`, or more",
        ),
        (
            "limits",
            (
                "it keeps 64 characters an attribute, and spans of ours have up to 2,048: what is "
                "sent is cut; a Status is whole"
            ),
            "`export OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=2048`, or more",
        ),
    ]
    assert [f["state"] for f in told if f["check"] == "traces test"] == ["ok"]
    assert list(receiver.spans) == ["petsard doctor"]
    assert found.returncode == 1


def test_what_was_opted_into_is_a_note(variables: Callable[..., None]) -> None:
    """Whoever lets more out is reminded of it."""
    variables(
        PETSARD_OTEL_CAPTURE="statistics",
        PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES="true",
        PETSARD_OTEL_FIELD_NAMES="hashed",
        PETSARD_OTEL_CAPTURE_LOG_MESSAGES="true",
    )
    assert told(examine(), "privacy") == {
        "capture": (
            "note",
            "numeric summaries of columns leave, minimum and maximum among them",
            None,
        ),
        "field names": (
            "note",
            (
                "names of columns leave as hashes, by a key that each process draws, so that no "
                "two processes can be compared"
            ),
            "set PETSARD_OTEL_FIELD_NAMES_KEY to a secret text, to compare them",
        ),
        "exceptions": (
            "note",
            "messages of exceptions leave, and may quote cells",
            "to keep them here: `unset PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES`",
        ),
        "logs": ("ok", "no log record is sent", None),
        "log records": (
            "note",
            "texts of log records leave, and may quote cells",
            "to keep them here: `unset PETSARD_OTEL_CAPTURE_LOG_MESSAGES`",
        ),
    }


# Versions, PETsARD.


@pytest.mark.usefixtures("variables")
def test_the_versions_that_are_installed_agree() -> None:
    """They are told by name."""
    state, text, _ = told(examine(), "versions")["opentelemetry"]
    assert state == "ok"
    assert f"SDK {metadata.version('opentelemetry-sdk')}" in text
    assert text.endswith("; they agree")


def test_versions_that_do_not_agree() -> None:
    """What needs what is told, and the command that mends it."""
    found = agreement(
        {
            "opentelemetry-api": Installed("1.45.2"),
            "opentelemetry-sdk": Installed("1.45.2", ("opentelemetry-api==1.45.2",)),
            "opentelemetry-exporter-otlp-proto-grpc": Installed(
                "1.40.0",
                (
                    "opentelemetry-sdk~=1.40.0",
                    "opentelemetry-proto==1.40.0",
                    'opentelemetry-nothing; extra == "x"',
                    "grpcio<2",
                ),
            ),
        }
    )
    assert found == Finding(
        "versions",
        "opentelemetry",
        "problem",
        "API 1.45.2, SDK 1.45.2; opentelemetry-exporter-otlp-proto-grpc needs opentelemetry-sdk"
        "~=1.40.0, not 1.45.2; opentelemetry-exporter-otlp-proto-grpc needs opentelemetry-proto"
        "==1.40.0, which is missing; opentelemetry-exporter-otlp-proto-grpc is 1.40.0, the SDK "
        "1.45.2",
        'pip install --upgrade "opentelemetry-api==1.45.2" "opentelemetry-sdk==1.45.2" '
        '"opentelemetry-exporter-otlp==1.45.2"',
    )


@pytest.mark.skipif("petsard" in {d.name for d in metadata.distributions()}, reason="PETsARD")
@pytest.mark.usefixtures("variables")
def test_without_petsard() -> None:
    """The built-in modules run, and that is fine."""
    assert told(examine(), "petsard") == {
        "version": ("ok", "not installed", None),
        "engine": ("ok", "auto takes the built-in modules", None),
        "instrumentor": ("ok", "opentelemetry-instrument finds it", None),
        "instrumented": ("ok", "PETsARD is not instrumented in this process", None),
    }


@pytest.mark.parametrize(
    ("version", "state", "text"),
    [
        ("1.10.1", "ok", "PETsARD 1.10.1, supported: <2,>=1.10.0.dev0 is"),
        ("2.0.0", "problem", "PETsARD 2.0.0, not supported: <2,>=1.10.0.dev0 is"),
    ],
)
def test_with_a_petsard(tmp_path: Path, version: str, state: str, text: str) -> None:
    """Its version is judged, and what the instrumentor says of it; it is not imported."""
    (tmp_path / "petsard").mkdir()
    (tmp_path / "petsard" / "__init__.py").write_text("raise SystemExit('imported')\n")
    information = tmp_path / f"petsard-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: petsard\nVersion: {version}\n"
    )
    found = doctor("--format", "json", PYTHONPATH=str(tmp_path))
    findings = json.loads(found.stdout)["findings"]
    petsard = {f["check"]: f for f in findings if f["section"] == "petsard"}
    assert (petsard["version"]["state"], petsard["version"]["text"]) == (state, text)
    assert ("conflicts" in petsard) == (state == "problem")
    assert petsard["engine"]["text"] == (
        "auto takes PETsARD's modules, if PETsARD can be imported, which is not tried here"
    )


def test_what_an_extra_lacks() -> None:
    """What is missing is told apart from what is there in another version."""
    requirements = [
        'petsard>=1.10.1; extra == "petsard"',
        'no-such-package>=1; extra == "petsard"',
        'rich>=1000; extra == "petsard"',
        'pandas; extra == "petsard"',
        'no-such-tool; extra == "dev"',
        "no-such-dependency",
        "not a requirement",
    ]
    others = [f"rich {metadata.version('rich')} (wanted >=1000)"]
    assert unmet(requirements, "petsard") == (["no-such-package"], others)


# The command.


def test_help_and_usage() -> None:
    """Help has examples and fits 80 columns; a bad URL or protocol is bad usage."""
    found = doctor("--help")
    assert found.returncode == 0
    assert "  opentelemetry-instrument petsard-otel doctor\n" in found.stdout
    assert max(map(len, found.stdout.splitlines())) < 80
    for arguments in (
        ["--endpoint", "localhost:4317"],
        ["--protocol", "http"],
        ["--endpoint", "http://user:hunter2@localhost:4317"],
        ["pipeline.yaml"],
    ):
        refused = doctor(*arguments)
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert "hunter2" not in refused.stderr


def test_a_user_in_a_grpc_url_is_bad_usage() -> None:
    """As it is for `run`."""
    with pytest.raises(ConfigError, match="an endpoint cannot hold a user over gRPC"):
        examine("http://user:hunter2@localhost:4317")


def test_nothing_to_send_to_is_quick_and_fine() -> None:
    """The exit code is 0, and the output good in 80 columns."""
    begun = time.monotonic()
    found = doctor()
    assert time.monotonic() - begun < 5
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "✓ nothing is wrong, 1 note"
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in found.stdout


def test_json_is_for_programs() -> None:
    """Its keys are fixed, and it is alone on stdout."""
    found = doctor("--format", "json", OTEL_TRACES_SAMPLER="x")
    assert found.returncode == 1
    assert found.stderr == ""
    told = json.loads(found.stdout)
    assert list(told) == ["petsard_otel", "is_healthy", "problems", "notes", "findings"]
    assert (told["is_healthy"], told["problems"]) == (False, 1)
    for finding in told["findings"]:
        assert list(finding) == [
            *("section", "subject", "check", "state", "text", "remedy", "sources"),
        ]
        assert finding["section"] in SECTIONS
        assert finding["state"] in {"ok", "note", "problem", "not tried"}
        assert finding["state"] != "problem" or finding["remedy"]


@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_the_report_fits_any_terminal(width: int) -> None:
    """Marks are letters where the encoding is ASCII; names are shown and never obeyed."""
    examination = Examination(
        "1.0",
        (
            Finding("versions", "x", "ok", "fine"),
            Finding("receiver", "dns", "problem", "bad\x1b[31m [b]", "do " * 30, ("A_B",), "http"),
            Finding("receiver", "tcp", "not tried", "not tried", None, (), "http"),
        ),
    )
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(ExaminationReport(examination))
    shown = capture.get()
    assert "\x1b" not in shown
    assert "\\x1b[31m" in "".join(shown.split())
    assert " ".join(shown.split()).endswith("✗ 1 problem")
    if width == 80:
        assert shown == (
            "Versions\n"
            "✓ x             fine\n"
            "\n"
            "Receiver http\n"
            "✗ DNS           bad\\x1b[31m [b] (A_B)\n"
            "  → do do do do do do do do do do do do do do do do do do do do do do do do do\n"
            "    do do do do do\n"
            "- TCP           not tried\n"
            "\n"
            "✗ 1 problem\n"
        )


def test_ascii_and_colour() -> None:
    """A terminal that knows neither marks nor colours is served, and one that does as well."""
    plain = doctor(PYTHONIOENCODING="ascii", OTEL_TRACES_SAMPLER="x")
    assert plain.stdout.isascii()
    assert "\n  -> correct it, or `unset OTEL_TRACES_SAMPLER`\n" in plain.stdout
    assert "\x1b[32m" in doctor(FORCE_COLOR="1", TERM="xterm-256color").stdout


# The page.


def test_the_page_has_every_option_section_and_state() -> None:
    """docs/doctor.md is whole."""
    shown = doctor("--help").stdout.partition("options:")[2].partition("examples:")[0]
    options = set(re.findall(r"--[a-z]+", shown)) - {"--help"}
    assert set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE)) == options
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE)) >= set(SECTIONS)
    for state in ("ok", "note", "problem", "not tried"):
        assert f"`{state}`" in PAGE
    for key in ("petsard_otel", "is_healthy", "problems", "notes", "findings", "section",
                "subject", "check", "state", "text", "remedy", "sources"):  # fmt: skip
        assert f"`{key}`" in PAGE


def test_a_part_that_fails_is_told_and_the_others_go_on() -> None:
    """What a part had found before it failed is kept; the failure is told without its message."""

    def part() -> Iterator[Finding]:
        yield Finding("versions", "python", "ok", "3.11")
        raise UnicodeError("SECRET")

    kept, failed = guarded("versions", part)

    assert kept.text == "3.11"
    assert failed.state == "problem"
    assert failed.text.startswith("could not be looked at: UnicodeError at ")
    assert "SECRET" not in failed.text
