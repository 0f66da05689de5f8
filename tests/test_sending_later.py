"""What no receiver accepted is kept, and reaches one later, whatever others did in between."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from petsard_otel.history.reading import open_history
from petsard_otel.history.unsent import runs_with_unsent

from .http_servers import http_server
from .kept_runs import kept_in, messages, run, said, small_pipeline
from .otlp_receivers import grpc_receiver, http_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPANS = 8
"""How many a small pipeline has."""


@pytest.fixture
def nobody() -> str:
    """Give an endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a pipeline of eight spans."""
    return small_pipeline(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Name a database for runs."""
    return tmp_path / "runs.db"


def unsent_runs(history: Path, config: Path, endpoint: str, number: int = 1) -> list[str]:
    """Keep runs of which nothing arrives; give their ids."""
    with kept_in(history, endpoint=endpoint, protocol="http/protobuf"):
        return [run(config).status.run_id for _ in range(number)]


def push(
    history: Path, endpoint: str, *arguments: str, protocol: str = "http/protobuf"
) -> subprocess.CompletedProcess[str]:
    """Push as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", "push", "--history", str(history),
         "--endpoint", endpoint, "--protocol", protocol, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
    )  # fmt: skip


def waiting(history: Path) -> list[str]:
    """Give the runs of which something is still to be sent."""
    with open_history(history) as found:
        return [unsent.run_id for unsent in runs_with_unsent(found)]


@contextmanager
def web_site() -> Iterator[tuple[str, list[str]]]:
    """Serve the same page for every path and method, as Jaeger's own port does."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Jaeger UI</title>")

        def log_message(self, *args: object) -> None:
            pass

    with http_server(Handler) as port:
        yield f"http://127.0.0.1:{port}", paths


def test_a_web_page_accepts_no_span(history: Path, config: Path, nobody: str) -> None:
    """It says 200 to everything; what it was sent is still there for a receiver."""
    (run_id,) = unsent_runs(history, config, nobody)
    with web_site() as (endpoint, _):
        pushed = push(history, endpoint)
    assert pushed.returncode == 1
    assert f"none of {SPANS} spans reached the collector at {endpoint}" in pushed.stderr
    assert "what answered is a web page, no receiver" in pushed.stderr
    assert waiting(history) == [run_id]


def test_a_query_stays_behind_the_path(history: Path, config: Path, nobody: str) -> None:
    """An endpoint may have one, such as a token."""
    unsent_runs(history, config, nobody)
    with web_site() as (endpoint, paths):
        push(history, f"{endpoint}/otlp/?token=abc")
    assert set(paths) == {"/otlp/v1/traces?token=abc"}


def test_a_token_in_the_path_of_an_endpoint_is_not_kept(
    history: Path, config: Path, nobody: str
) -> None:
    """Some receivers are told apart by one; whether a receiver has a run is known all the same."""
    token = "s3cret0f1e2d3c4b5a"  # noqa: S105  a sentinel
    unsent_runs(history, config, nobody)
    with (
        http_receiver(path=f"/{token}") as (endpoint, receiver),
        kept_in(history, endpoint=f"{endpoint}/{token}", protocol="http/protobuf") as configuration,
    ):
        run(config)
        configuration.tracer_provider.force_flush()
    # What earlier tests left goes along.
    assert {span.span_id for span in messages(history)} <= {
        span.span_id for span in receiver.all_spans
    }
    assert waiting(history) == []
    for path in history.parent.glob("runs.db*"):
        assert token.encode() not in path.read_bytes()


def test_a_run_that_is_refused_keeps_no_other_back(
    history: Path, config: Path, nobody: str
) -> None:
    """Some refuse what is old: all else arrives, and what does not can be pushed again."""
    first, *others = unsent_runs(history, config, nobody, 3)
    with http_receiver(traces=[400, 200]) as (endpoint, receiver):
        pushed = push(history, endpoint)
        assert pushed.returncode == 1
        assert f"only {2 * SPANS} of {3 * SPANS} spans reached" in pushed.stderr
        assert "400 bad request" in pushed.stderr
        got = {
            entry.value.string_value
            for span in receiver.all_spans
            for entry in span.attributes
            if entry.key == "petsard.run.id"
        }
        assert got == set(others)
        assert waiting(history) == [first]
        assert f"{SPANS} spans of 1 run sent to {endpoint}" in push(history, endpoint).stderr
    assert waiting(history) == []


def test_a_run_that_is_over_is_pushed_while_its_process_lives_on(
    history: Path, config: Path, nobody: str
) -> None:
    """As in a notebook: nobody has to wait, or to end it."""
    with (
        kept_in(history, endpoint=nobody, protocol="http/protobuf"),
        http_receiver() as (endpoint, receiver),
    ):
        run(config)
        pushed = push(history, endpoint)
        assert f"{SPANS} spans of 1 run sent to {endpoint}" in pushed.stderr
        assert len(receiver.all_spans) == SPANS


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_damaged_span_keeps_no_other_back(
    history: Path, config: Path, nobody: str, *, is_killed: bool
) -> None:
    """All but itself arrive, of its own run and of those after it."""
    unsent_runs(history, config, nobody, 2)
    connection = sqlite3.connect(history, isolation_level=None)
    if is_killed:
        connection.execute("UPDATE run SET ended_ns = NULL, result = NULL WHERE id = 1")
        connection.execute("UPDATE span SET is_ended = 0 WHERE id < 2 << 40 AND kind = 'run'")
    (damaged,) = connection.execute("SELECT max(id) FROM span WHERE id < 2 << 40").fetchone()
    connection.execute("UPDATE span SET body = x'ffffff' WHERE id = ?", (damaged,))
    connection.close()
    with http_receiver() as (endpoint, receiver):
        pushed = push(history, endpoint)
    assert pushed.returncode == 0, pushed.stderr
    assert "is damaged" in pushed.stderr
    assert "Traceback" not in pushed.stderr
    assert len({span.span_id for span in receiver.all_spans}) == 2 * SPANS - 1


def test_a_later_run_takes_along_what_is_left(
    history: Path, config: Path, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also what a receiver that had just come back did not take at once; nothing is said of it."""
    unsent_runs(history, config, nobody, 2)
    caplog.clear()
    with (
        # The first is the new run's own, the second is what was left.
        http_receiver(traces=[200, 503, 200]) as (endpoint, receiver),
        kept_in(history, endpoint=endpoint, protocol="http/protobuf") as configuration,
    ):
        run(config)
        configuration.tracer_provider.force_flush()
        run(config)
        configuration.tracer_provider.force_flush()
    assert {span.span_id for span in receiver.all_spans} == {
        span.span_id for span in messages(history)
    }
    assert waiting(history) == []
    assert said(caplog) == []


def test_what_cannot_be_noted_is_not_sent_again_and_again(
    history: Path, config: Path, nobody: str
) -> None:
    """A process that cannot write down that a run has arrived sends nothing more beside its own."""
    unsent_runs(history, config, nobody)
    connection = sqlite3.connect(history)
    connection.execute(
        "CREATE TRIGGER refused BEFORE UPDATE OF accepted_by ON span "
        f"WHEN NEW.accepted_by IS NOT NULL AND OLD.id < {2 << 40} "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    connection.commit()
    connection.close()
    with (
        http_receiver() as (endpoint, receiver),
        kept_in(history, endpoint=endpoint, protocol="http/protobuf") as configuration,
    ):
        for _ in range(4):
            run(config)
            configuration.tracer_provider.force_flush()
    arrived = [span.span_id for span in receiver.all_spans]
    known = [span.span_id for span in messages(history)]
    assert len(known) == 5 * SPANS
    # What earlier tests left goes along.
    assert sorted(found for found in arrived if found in known) == sorted(known)


def test_what_is_left_is_sent_in_requests_of_a_megabyte(
    history: Path, config: Path, nobody: str
) -> None:
    """However large its spans are."""
    unsent_runs(history, config, nobody)
    connection = sqlite3.connect(history, isolation_level=None)
    for row, body in connection.execute("SELECT id, body FROM span").fetchall():
        span = Span.FromString(body)
        span.attributes.add(key="padding").value.string_value = "x" * 200_000
        connection.execute("UPDATE span SET body = ? WHERE id = ?", (span.SerializeToString(), row))
    connection.close()
    with (
        http_receiver() as (endpoint, receiver),
        kept_in(history, endpoint=endpoint, protocol="http/protobuf"),
    ):
        run(config)
    assert len({span.span_id for span in receiver.all_spans}) == len(messages(history))
    sizes = [request.ByteSize() for request in receiver.traces]
    assert sum(sizes) > SPANS * 200_000
    assert max(sizes) < 1_000_000


def test_grpc_is_spoken_as_well(history: Path, config: Path, nobody: str) -> None:
    """The same spans, by the same ids."""
    unsent_runs(history, config, nobody)
    with grpc_receiver() as (endpoint, receiver):
        assert push(history, endpoint, protocol="grpc").returncode == 0
    assert {span.span_id for span in receiver.all_spans} == {
        span.span_id for span in messages(history)
    }
