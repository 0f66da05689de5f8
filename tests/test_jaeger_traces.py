"""A trace asked of a Jaeger: which answers are taken, and what is said of all others."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from petsard_otel.exceptions import DecodeError, SourceError
from petsard_otel.telemetry.otlp.jaeger_json import jaeger_data
from petsard_otel.telemetry.otlp.json_lines import json_line
from petsard_otel.telemetry.otlp.sources import read_source
from petsard_otel.telemetry.otlp.spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE = "0102030405060708090a0b0c0d0e0f10"

PAGE = (200, "<!doctype html><title>Jaeger UI</title>")
"""What Jaeger's pages answer to every path that they do not know."""

OWN_JSON = {
    "data": [
        {
            "traceID": TRACE,
            "spans": [
                {
                    "traceID": TRACE,
                    "spanID": "11",
                    "operationName": "Loader[cars]",
                    "references": [
                        {"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "33"},
                        {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "22"},
                    ],
                    "startTime": 1796000000123456,
                    "duration": 7,
                    "tags": [
                        {"key": "otel.scope.name", "type": "string", "value": "petsard_otel"},
                        {"key": "otel.scope.version", "type": "string", "value": "1.0"},
                        {"key": "span.kind", "type": "string", "value": "server"},
                        {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                        {"key": "error", "type": "bool", "value": True},
                        {"key": "rows", "type": "int64", "value": 406},
                        {"key": "share", "type": "float64", "value": 2},
                        {"key": "is_good", "type": "bool", "value": False},
                        {"key": "raw", "type": "binary", "value": "AAE="},
                        {"key": "names", "type": "string", "value": '["a","b"]'},
                    ],
                    "processID": "p1",
                    "warnings": None,
                }
            ],
            "processes": {
                "p1": {
                    "serviceName": "petsard",
                    "tags": [{"key": "host", "type": "string", "value": "h"}],
                }
            },
        }
    ]
}
"""The older API's answer."""


class Answering:
    """A server that answers paths as it was told, and any other with the page."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                status, text = outer.answers.get(self.path, PAGE)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if 300 <= status < 400:
                    self.send_header("Location", "/login")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait until it has."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def jaeger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Start a server; no proxy stands before it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Answering()
    yield server
    server.close()


def chunk(name: str) -> str:
    """Return a part of the newer API's answer."""
    data = TracesData()
    inside = data.resource_spans.add().scope_spans.add()
    inside.spans.add(trace_id=bytes.fromhex(TRACE), span_id=bytes(range(8)), name=name)
    return f'{{"result":{json_line(data)}}}'


def test_the_newer_api_is_asked_and_may_answer_in_parts(jaeger: Answering) -> None:
    """A stream of documents, one after the other; the older API is not asked."""
    jaeger.answers[f"/api/v3/traces/{TRACE}"] = (200, f"{chunk('a')}\n{chunk('b')}\n")
    spans = read_source(f"http://{jaeger.host}/trace/{TRACE}")
    assert [span.name for span in spans] == ["a", "b"]
    assert jaeger.asked == [(f"/api/v3/traces/{TRACE}", None)]


@pytest.mark.parametrize("newer", [PAGE, (404, "404 page not found"), (501, "")])
def test_the_older_api_is_asked_where_there_is_no_newer_one(
    jaeger: Answering, newer: tuple[int, str]
) -> None:
    """A page, or nothing, in the place of the newer one."""
    jaeger.answers[f"/api/v3/traces/{TRACE}"] = newer
    jaeger.answers[f"/api/traces/{TRACE}"] = (200, json.dumps(OWN_JSON))
    (span,) = read_source(f"http://{jaeger.host}/trace/{TRACE}")
    assert span.name == "Loader[cars]"
    assert [path for path, _ in jaeger.asked] == [
        f"/api/v3/traces/{TRACE}",
        f"/api/traces/{TRACE}",
    ]


@pytest.mark.parametrize(
    "path", ["trace/{}", "api/traces/{}", "api/v3/traces/{}", "trace/{}/", "trace/{}?uiFind=x#y"]
)
def test_paths_before_a_trace_and_passwords_go_along(jaeger: Answering, path: str) -> None:
    """A Jaeger behind a path of its own and a password."""
    jaeger.answers[f"/team/jaeger/api/v3/traces/{TRACE}"] = (200, chunk("a"))
    url = f"http://ada:s3cret@{jaeger.host}/team/jaeger/{path.format(TRACE.upper())}"
    assert len(read_source(url)) == 1
    basic = "Basic " + b64encode(b"ada:s3cret").decode()
    assert jaeger.asked == [(f"/team/jaeger/api/v3/traces/{TRACE}", basic)]


def test_a_short_id_has_its_zeros_back(jaeger: Answering) -> None:
    """As Jaeger shows ids that begin with zeros."""
    jaeger.answers["/api/v3/traces/" + "0" * 31 + "a"] = (200, chunk("a"))
    assert len(read_source(f"http://{jaeger.host}/trace/a")) == 1


@pytest.mark.parametrize(
    ("newer", "older", "said"),
    [
        ((404, ""), (404, '{"errors": []}'), f"has no trace {TRACE}; one that has just ended"),
        ((404, ""), (200, '{"data": []}'), f"has no trace {TRACE}; one that has just ended"),
        ((200, '{"result":{"resourceSpans":[]}}'), (404, ""), f"has no trace {TRACE}; one that"),
        (PAGE, PAGE, "expected JSON of Jaeger's query API, found something else"),
        ((200, "[" * 100_000), (200, '{"data": "Jane Roe"}'), "expected JSON of Jaeger's query"),
        ((200, '{"result": {"patient": "Jane Roe"}}'), PAGE, "expected JSON of Jaeger's query"),
        ((401, "Jane Roe"), PAGE, "401 unauthorized; put user and password into the URL"),
        ((302, ""), PAGE, "302 found; what redirects may be a page to log in at"),
        ((503, "Jane Roe"), PAGE, "503 service unavailable"),
    ],
)
def test_any_other_answer_is_an_error_in_plain_words(
    jaeger: Answering, newer: tuple[int, str], older: tuple[int, str], said: str
) -> None:
    """What was expected, what was found, what to do; no password and nothing of an answer."""
    jaeger.answers[f"/api/v3/traces/{TRACE}"] = newer
    jaeger.answers[f"/api/traces/{TRACE}"] = older
    with pytest.raises(SourceError) as caught:
        read_source(f"http://ada:s3cret@{jaeger.host}/trace/{TRACE}")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"Jaeger at 'http://{jaeger.host}'")
    assert "s3cret" not in str(caught.value)
    assert "Jane" not in str(caught.value)


def test_a_jaeger_that_is_not_there_is_an_error(jaeger: Answering) -> None:
    """It says where nobody answered."""
    jaeger.close()
    with pytest.raises(SourceError) as caught:
        read_source(f"http://ada:s3cret@{jaeger.host}/trace/{TRACE}")
    assert str(caught.value) == (
        f"Jaeger at 'http://{jaeger.host}' gave no trace: connection refused; "
        "is it running, and the address right?"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:s3cret@host/search",
        f"http://ada:s3cret@host/trace/{TRACE}0",
        "http://ada:s3cret@host/trace/last",
        f"http://ada:s3cret@[::1/trace/{TRACE}",
        "HTTP://ada:s3cret@",
    ],
)
def test_a_url_of_no_trace_is_an_error(url: str) -> None:
    """It says what a trace's URL looks like, and quotes no password."""
    with pytest.raises(SourceError, match=r"such as http://localhost:16686/trace/<id>") as caught:
        read_source(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"ada:s3cret@host:16686/trace/{TRACE}",
        f"http:/ada:s3cret@host/trace/{TRACE}",
        f"jaeger+http://ada:s3cret@host/trace/{TRACE}",
    ],
)
def test_a_url_that_is_taken_for_a_path_is_quoted_without_its_password(url: str) -> None:
    """Its scheme was left out or misspelt, so a file is looked for."""
    with pytest.raises(SourceError, match="there is no file ") as caught:
        read_source(url)
    assert "s3cret" not in str(caught.value)


def test_a_file_may_have_a_colon_and_an_at_in_its_name(tmp_path: Path) -> None:
    """What is there is no URL, and is called by its name."""
    path = tmp_path / "a:b@c.jsonl"
    path.write_text("")
    with pytest.raises(SourceError, match=r"a:b@c\.jsonl"):
        read_source(path)


def test_jaegers_own_json_is_read_as_otlp() -> None:
    """Tags that stand for parts of a span go there; zeros that ids had come back."""
    (data,) = jaeger_data(OWN_JSON)
    (span,) = spans_of(data)
    assert (span.context.trace_id, span.context.span_id) == (int(TRACE, 16), 0x11)
    assert span.parent is not None
    assert (span.parent.span_id, [link.span_id for link in span.links]) == (0x22, [0x33])
    assert (span.name, span.kind, span.status_code) == ("Loader[cars]", 2, 2)
    assert (span.start_time, span.end_time) == (1796000000123456000, 1796000000123463000)
    assert span.instrumentation_scope == ("petsard_otel", "1.0")
    assert span.resource == {"service.name": "petsard", "host": "h"}
    assert span.attributes == {
        "rows": 406,
        "share": 2.0,
        "is_good": False,
        "raw": b"\0\1",
        "names": '["a","b"]',
    }


@pytest.mark.parametrize("document", [[], {}, {"data": 1}, {"data": [{"spans": [1]}]}])
def test_other_json_is_not_jaegers(document: Any) -> None:
    """An error of ours, with nothing of it."""
    with pytest.raises(DecodeError, match=r"no JSON of Jaeger's|not as Jaeger has it"):
        jaeger_data(document)
