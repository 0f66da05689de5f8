"""Why a request did not arrive, in plain words, and what can be done about it. No answer is quoted.

Knows the libraries that send by the errors they raise, and imports neither before one is raised.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import Enum, auto
from http.client import HTTPException, responses
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import grpc
    import requests


class Remedy(Enum):
    """What can be done where a request did not arrive."""

    SPLIT = auto()
    """It is too large: try its halves."""
    SKIP = auto()
    """It was not liked: go on with the next."""
    RETRY = auto()
    """The receiver is busy: try again soon."""
    WAIT = auto()
    """The receiver is not there: try again, unless the process is about to end."""
    STOP = auto()
    """The receiver will not take the next one either."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request did not arrive."""

    text: str
    remedy: Remedy
    retry_after_seconds: float | None = None
    is_unserved: bool = False
    """Whether the receiver does not know this signal."""


REFUSED = Problem("connection refused", Remedy.WAIT)
UNRESOLVED = Problem("the name of the host does not resolve", Remedy.WAIT)
UNREACHABLE = Problem("the host cannot be reached", Remedy.WAIT)
TIMED_OUT = Problem("timed out", Remedy.WAIT)
NO_TLS = Problem("no TLS connection could be agreed on", Remedy.WAIT)
UNSENT = Problem("there were too many to send in time", Remedy.STOP)
TOO_LARGE = Problem("the request is too large", Remedy.SPLIT)
HUNG_UP = Problem("the connection was closed", Remedy.RETRY, retry_after_seconds=0)
"""What a receiver does to a connection that it has kept for long enough, so try at once."""

PAGE = Problem("what answered is a web page, no receiver", Remedy.STOP)
NO_GRPC = Problem("what answered does not speak gRPC", Remedy.STOP)

_OF_DETAILS = {
    "parsing http/2": NO_GRPC,
    "http1.x": NO_GRPC,
    "refused": REFUSED,
    "dns": UNRESOLVED,
    "resolv": UNRESOLVED,
    "handshake": NO_TLS,
    "ssl": NO_TLS,
    "unreachable": UNREACHABLE,
    "timed out": TIMED_OUT,
    "timeout": TIMED_OUT,
    "reset": HUNG_UP,
    "closed": HUNG_UP,
    "failed to connect": UNREACHABLE,
}
"""What gRPC's own words for an unavailable receiver mean; the first that is found counts."""

_SIZE_WORDS = ("larger than max", "too large")
"""How receivers say that a request is too large where their status leaves it open."""


def problem_of_call(error: grpc.RpcError) -> Problem:
    """Say why a gRPC call failed."""
    # What a call raises is an error and a call at once, which its type does not say.
    call = cast("grpc.Call", error)
    code, details = call.code().name, (call.details() or "").lower()
    if code in {"DEADLINE_EXCEEDED", "CANCELLED"}:
        return TIMED_OUT
    if code in {"RESOURCE_EXHAUSTED", "OUT_OF_RANGE"} and _is_about_size(details):
        return TOO_LARGE
    if code == "UNAVAILABLE":
        for words, problem in _OF_DETAILS.items():
            if words in details:
                return problem
    text = f"{code.lower().replace('_', ' ')} (gRPC)"
    if code in {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "ABORTED", "DATA_LOSS"}:
        return Problem(text, Remedy.RETRY)
    if code in {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"}:
        return Problem(text, Remedy.STOP, is_unserved=code == "UNIMPLEMENTED")
    return Problem(text, Remedy.SKIP)


def problem_of_response(response: requests.Response) -> Problem | None:
    """Say what an answer over HTTP means; None for one that means success."""
    status = response.status_code
    if 200 <= status < 300:
        # Sites that show the same page for every path say yes to a request as well.
        return PAGE if response.headers.get("Content-Type", "").startswith("text/html") else None
    if status == 413 or (status == 400 and _is_about_size(response.text[:1000].lower())):
        return TOO_LARGE
    text = f"{status} {responses[status].lower()}" if status in responses else f"HTTP {status}"
    if status in {408, 429, 502, 503, 504}:
        after = response.headers.get("Retry-After", "").strip()
        # The other form, a date, is left to pauses of our own.
        return Problem(text, Remedy.RETRY, float(after) if after.isdecimal() else None)
    # What redirects is a page to log in at, not a receiver.
    if status < 400 or status in {401, 403, 404, 405, 407}:
        return Problem(text, Remedy.STOP, is_unserved=status in {404, 405})
    return Problem(text, Remedy.SKIP)


def problem_of_error(error: Exception) -> Problem:
    """Say why an HTTP request had no answer."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return NO_TLS
    if isinstance(error, requests.exceptions.Timeout):
        return TIMED_OUT
    for cause in _causes(error):
        if isinstance(cause, ConnectionRefusedError):
            return REFUSED
        if isinstance(cause, socket.gaierror):
            return UNRESOLVED
        if isinstance(cause, ConnectionError):
            return HUNG_UP
        if isinstance(cause, TimeoutError):
            return TIMED_OUT
        if isinstance(cause, HTTPException):
            return Problem("what answered does not speak HTTP", Remedy.STOP)
    if isinstance(error, requests.exceptions.ConnectionError):
        return UNREACHABLE
    return Problem(f"no request could be made ({type(error).__name__})", Remedy.STOP)


def _causes(error: BaseException) -> list[BaseException]:
    """Return what the system said, which the libraries wrap several times."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _is_about_size(words: str) -> bool:
    return any(size in words for size in _SIZE_WORDS)
