"""A trace out of a Jaeger: as OTLP from its newer API, else put together from its older one."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from petsard_otel.exceptions import DecodeError, SourceError
from petsard_otel.telemetry.otlp.jaeger_json import jaeger_data
from petsard_otel.telemetry.otlp.json_lines import traces_data
from petsard_otel.telemetry.sending.problems import problem_of_error, problem_of_response
from petsard_otel.telemetry.sending.senders import as_it_is
from petsard_otel.telemetry.sending.targets import found_url, is_web_url, without_password

if TYPE_CHECKING:
    import requests
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

CONNECT_SECONDS = 5.0
"""How long a Jaeger may take to be reached."""

SILENCE_SECONDS = 20.0
"""How long it may say nothing."""

TOTAL_SECONDS = 120.0
"""How long an answer may take as a whole."""

_PATH = re.compile(r"(.*?)/(?:trace|api/traces|api/v3/traces)/([0-9A-Fa-f]{1,32})/?")
_CHUNK_BYTES = 1 << 16


class _Place(NamedTuple):
    """A trace in a Jaeger: the URL of its pages, and which trace."""

    base: str
    trace_id: str


def read_trace(url: str) -> list[TracesData]:
    """Return a trace that a Jaeger has.

    Args:
        url: What its page shows, `http://host:16686/trace/<id>`, or one of its query APIs,
            `/api/traces/<id>` and `/api/v3/traces/<id>`; before these a path of its own, and user
            and password before the host.

    Raises:
        SourceError: There is no Jaeger, or it does not have the trace.
    """
    place = _place(url)
    shown = f"Jaeger at {without_password(place.base)!r}"
    session = _session(url)
    try:
        found = None
        for path, read in (("api/v3/traces", _otlp), ("api/traces", _jaeger)):
            status, body = _answer(session, f"{place.base}/{path}/{place.trace_id}", shown)
            if status == 200:
                found = read(body)
            if found:
                return found
    finally:
        session.close()
    if status == 404 or found == []:
        raise SourceError(
            f"{shown} has no trace {place.trace_id}; one that has just ended may take some "
            "seconds to get there, so try again"
        )
    raise SourceError(
        f"{shown} gave no trace: expected JSON of Jaeger's query API, found something else; "
        "is it a Jaeger, and the path before /trace/ right?"
    )


def _place(url: str) -> _Place:
    """Take a URL apart.

    Raises:
        SourceError: It is not of a trace in a Jaeger; its password is not quoted.
    """
    found = _PATH.fullmatch(urlsplit(url).path) if is_web_url(url) else None
    if found is None:
        raise SourceError(
            "expected the URL of a trace in a Jaeger, such as "
            f"http://localhost:16686/trace/<id> {found_url(url)}"
        )
    parts = urlsplit(url)
    return _Place(f"{parts.scheme}://{parts.netloc}{found[1]}", found[2].lower().rjust(32, "0"))


def _session(url: str) -> requests.Session:
    import requests

    session = requests.Session()
    if urlsplit(url).username is None:
        # Else requests takes a password from ~/.netrc.
        session.auth = as_it_is
    session.headers["Accept"] = "application/json"
    return session


def _answer(session: requests.Session, url: str, shown: str) -> tuple[int, bytes]:
    """Return status and body of an answer; the body of none but a successful one.

    Raises:
        SourceError: There was none, or one that asks for something else.
    """
    deadline = time.monotonic() + TOTAL_SECONDS
    try:
        with session.get(
            url, timeout=(CONNECT_SECONDS, SILENCE_SECONDS), stream=True, allow_redirects=False
        ) as response:
            status = response.status_code
            if status not in {200, 400, 404, 405, 501}:
                problem = problem_of_response(response)
                text = f"HTTP {status}" if problem is None else problem.text
                raise SourceError(f"{shown} gave no trace: {text}{_remedy(status)}")
            body = bytearray()
            for chunk in response.iter_content(_CHUNK_BYTES) if status == 200 else ():
                body += chunk
                if time.monotonic() > deadline:
                    raise SourceError(f"{shown} gave no trace: timed out")
            return status, bytes(body)
    except (OSError, ValueError) as error:
        text = problem_of_error(error).text
        raise SourceError(
            f"{shown} gave no trace: {text}; is it running, and the address right?"
        ) from None


def _remedy(status: int) -> str:
    if status in {401, 403}:
        return "; put user and password into the URL, http://user:password@host/trace/<id>"
    if 300 <= status < 400:
        return "; what redirects may be a page to log in at: name the Jaeger itself"
    return ""


def _otlp(body: bytes) -> list[TracesData] | None:
    """Read OTLP, one or several documents of it; None where it is something else."""
    found = []
    try:
        for document in _documents(body):
            result = document.get("result", document) if isinstance(document, dict) else None
            found.append(traces_data(result))
    except DecodeError:
        return None
    return [data for data in found if data.resource_spans]


def _jaeger(body: bytes) -> list[TracesData] | None:
    """Read Jaeger's own JSON; None where it is something else."""
    try:
        (document,) = _documents(body)
        return jaeger_data(document)
    except (DecodeError, ValueError):
        return None


def _documents(body: bytes) -> list[Any]:
    """Return the JSON documents that stand one after the other.

    Raises:
        DecodeError: It is something else; nothing of it is quoted.
    """
    found = []
    reader = json.JSONDecoder()
    try:
        text = body.decode().strip()
        while text:
            document, end = reader.raw_decode(text)
            found.append(document)
            text = text[end:].lstrip()
    except (ValueError, RecursionError):
        raise DecodeError("no JSON") from None
    return found
