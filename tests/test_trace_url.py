"""The URL that leads to a run's trace, from the command line and by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from petsard_otel import ConfigError
from petsard_otel.telemetry.sending.trace_url import is_jaeger, trace_url, trace_url_template

from .http_servers import http_server
from .otlp_receivers import grpc_receiver, http_receiver, slow_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE = "0af7651916cd43dd8448eb211c80319c"

SERVICES = b'{"data":["jaeger","petsard"],"total":2,"limit":0,"offset":0,"errors":null}'

NO_SERVICES = b'{"data":null,"total":0,"limit":0,"offset":0,"errors":null}'

OWN_ADDRESS = "127.86.16.31"
"""One of this machine's sixteen million, where nobody else has a Jaeger."""


@contextmanager
def serving(
    body: bytes, status: int = 200, address: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[tuple[int, list[str]]]:
    """Answer each GET with one body and each POST with nothing; give the port and the GETs."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http_server(Handler, address) as port:
        yield port, asked


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a pipeline of one module from the command line."""
    (folder / "people.csv").write_text("age\n1\n2\n")
    (folder / "pipeline.yaml").write_text("Loader:\n  people: {filepath: people.csv}\n")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("OTEL_", "PETSARD_OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", "run", "pipeline.yaml", *arguments],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        cwd=folder,
        env={**kept, **variables},
    )


def test_the_last_line_is_the_url_of_the_trace(tmp_path: Path) -> None:
    """It is as the variable says, of the very trace that arrived, in one piece however narrow."""
    with grpc_receiver() as (url, receiver):
        found = run(
            tmp_path,
            *("--endpoint", url),
            PETSARD_OTEL_TRACE_URL="https://grafana.example/explore?left=%7B%7D&q={trace_id}&x={}",
            COLUMNS="20",
        )
    trace_id = receiver.spans["petsard run"].trace_id.hex()
    assert found.returncode == 0
    assert found.stderr.splitlines()[-2:] == [
        f"3 spans sent to {url} (trace {trace_id})",
        f"https://grafana.example/explore?left=%7B%7D&q={trace_id}&x={{}}",
    ]
    assert "grafana" not in found.stdout


def test_a_password_in_the_template_is_not_printed() -> None:
    """Whoever may see the trace has it anyhow; a log that the URL is printed to has not."""
    template = "https://ann:s3cret@traces.example:8443/%40team/{trace_id}?q=a%40b#{trace_id}"

    url = trace_url("0" * 32, "http://localhost:4317", template)

    assert url == f"https://traces.example:8443/%40team/{'0' * 32}?q=a%40b#{'0' * 32}"


def test_a_jaeger_on_this_machine_is_found(tmp_path: Path) -> None:
    """Without the variable Jaeger's own port is looked at, without a proxy."""
    with (
        serving(b"", address=(OWN_ADDRESS, 0)) as (port, _),
        serving(SERVICES, address=(OWN_ADDRESS, 16686)) as (_, asked),
    ):
        found = run(
            tmp_path,
            *("--endpoint", f"http://{OWN_ADDRESS}:{port}"),
            *("--protocol", "http/protobuf"),
            http_proxy=f"http://{OWN_ADDRESS}:{port}",
        )
    sent, url = found.stderr.splitlines()[-2:]
    trace_id = sent.removesuffix(")").rpartition(" ")[2]
    assert sent == f"3 spans sent to http://{OWN_ADDRESS}:{port} (trace {trace_id})"
    assert url == f"http://{OWN_ADDRESS}:16686/trace/{trace_id}"
    assert asked == ["/api/services"]


@pytest.mark.parametrize(
    ("moods", "variables", "arguments"),
    [
        ([], {"OTEL_TRACES_SAMPLER": "always_off"}, []),
        ([400], {}, []),
        ([], {}, ["--quiet"]),
        ([], {"PETSARD_OTEL_TRACE_URL": "none"}, []),
    ],
    ids=["sampled out", "refused", "quiet", "none"],
)
def test_there_is_no_url_where_there_is_nothing_to_see(
    tmp_path: Path, moods: list[int], variables: dict[str, str], arguments: list[str]
) -> None:
    """A trace that was left out, did not arrive, or is not asked for, has no URL."""
    with http_receiver(traces=moods) as (url, _):
        variables = {"PETSARD_OTEL_TRACE_URL": "http://127.0.0.1:9/{trace_id}", **variables}
        options = ("--endpoint", url, "--protocol", "http/protobuf", *arguments)
        found = run(tmp_path, *options, **variables)
    assert found.returncode == 0
    assert "http://127.0.0.1:9/" not in found.stdout + found.stderr
    assert "/trace/" not in found.stdout + found.stderr


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("http://localhost:16686/trace/", "http://localhost:16686/trace/"),
        ("localhost:16686/trace/{trace_id}", "localhost:16686/trace/{trace_id}"),
        ("ftp://localhost/{trace_id}", "ftp://localhost/{trace_id}"),
        ("http:///{trace_id}", "http:///{trace_id}"),
        ("http://[/{trace_id}", "http://[/{trace_id}"),
        ("http://a/ b/{trace_id}", "http://a/ b/{trace_id}"),
        ("ftp://user:secret@a/{trace_id}?token=secret", "ftp://a/{trace_id}"),
    ],
)
def test_a_template_that_cannot_be_one_is_an_error(
    template: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what was expected and found, and quotes no password."""
    monkeypatch.setenv("PETSARD_OTEL_TRACE_URL", template)
    with pytest.raises(ConfigError) as raised:
        trace_url_template()
    assert str(raised.value) == (
        "PETSARD_OTEL_TRACE_URL is none, or a URL with {trace_id} in it such as "
        f"http://localhost:16686/trace/{{trace_id}} (found {shown!r})"
    )


@pytest.mark.parametrize("arguments", [[], ["--endpoint", "http://127.0.0.1:9"]])
def test_a_bad_template_is_told_before_anything_runs(tmp_path: Path, arguments: list[str]) -> None:
    """It is a bad configuration, whether spans are sent or not."""
    found = run(tmp_path, *arguments, PETSARD_OTEL_TRACE_URL="http://localhost:16686")
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr == (
        "petsard-otel: error: PETSARD_OTEL_TRACE_URL is none, or a URL with {trace_id} in it such "
        "as http://localhost:16686/trace/{trace_id} (found 'http://localhost:16686')\n"
    )


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://127.0.0.1:4317", "127.0.0.1"),
        ("https://127.0.0.1:4318/v1/traces", "127.0.0.1"),
        ("127.0.0.1:4317", "127.0.0.1"),
        ("http://localhost:4317", "localhost"),
        ("http://LOCALHOST", "localhost"),
    ],
)
def test_the_url_has_the_host_that_answered(endpoint: str, host: str) -> None:
    """Where Jaeger answers beside the receiver, its page on that host is told."""
    with serving(SERVICES) as (port, _):
        assert trace_url(TRACE, endpoint, None, port) == f"http://{host}:{port}/trace/{TRACE}"


@pytest.mark.parametrize(
    "endpoint",
    [
        *("http://collector.example:4317", "http://10.0.0.1:4317", "http://127.0.0.1.nip.io:4317"),
        *("unix:/run/otlp.sock", "http://[::1", "http://0.0.0.0:4317", ""),
    ],
)
def test_other_machines_are_not_asked(endpoint: str) -> None:
    """Only an endpoint that is this machine by its name or address has one looked for."""
    with serving(SERVICES) as (port, asked):
        assert trace_url(TRACE, endpoint, None, port) is None
    assert asked == []


@pytest.mark.parametrize("body", [SERVICES, NO_SERVICES])
def test_jaegers_answer_is_known(body: bytes) -> None:
    """One that has just begun knows no service."""
    with serving(body) as (port, _):
        assert is_jaeger("127.0.0.1", port)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (SERVICES, 404),
        (SERVICES, 302),
        (b"<html>", 200),
        (b"[1]", 200),
        (b"[" * 100_000, 200),
        (b'{"data": [1], "total": 1, "errors": null}', 200),
        (b'{"data": ["petsard"]}', 200),
        (SERVICES + b" " * 1_000_000, 200),
    ],
)  # fmt: skip
def test_another_server_is_no_jaeger(body: bytes, status: int) -> None:
    """What else listens there is left alone."""
    with serving(body, status) as (port, _):
        assert not is_jaeger("127.0.0.1", port)


@pytest.mark.parametrize("behaviour", ["silent", "dripping"])
def test_who_does_not_answer_costs_half_a_second(behaviour: str) -> None:
    """The command does not wait for a server that has nothing to say."""
    with slow_receiver(behaviour) as url:
        begun = time.monotonic()
        assert not is_jaeger("127.0.0.1", int(url.rpartition(":")[2]))
        assert time.monotonic() - begun < 1


def test_a_closed_port_is_no_jaeger() -> None:
    """Nothing is there, so nothing is told."""
    with serving(SERVICES) as (port, _):
        pass
    assert not is_jaeger("127.0.0.1", port)
