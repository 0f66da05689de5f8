"""A request of each signal, and in words what the receiver answers to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from petsard_otel.doctor.dialects import HTTP_1, HTTP_2, PROBE_SECONDS, TLS, dialects
from petsard_otel.doctor.findings import OK, PROBLEM
from petsard_otel.doctor.ways import around
from petsard_otel.reports.wording import format_duration
from petsard_otel.telemetry.sending.environment import setting
from petsard_otel.telemetry.sending.problems import PAGE
from petsard_otel.telemetry.sending.targets import GRPC, HTTP

if TYPE_CHECKING:
    from petsard_otel.doctor.trial import Outcome
    from petsard_otel.doctor.ways import Way
    from petsard_otel.telemetry.sending.targets import Target

TRIAL_SECONDS = 3.0
"""How long a request may take."""

_REFUSED = ("401 ", "403 ", "407 ", "unauthenticated", "permission denied")
"""How the problems begin that are about credentials."""

_ANSWERS = ("3", "4", "5", "HTTP ")
"""How the problems begin that are the status of an answer."""


def try_signal(way: Way, target: Target, deadline: float) -> bool:
    """Send a request of a signal, say what came of it, and tell whether it was understood."""
    from petsard_otel.doctor.trial import shows_a_page, try_out

    seconds = max(min(TRIAL_SECONDS, deadline - time.monotonic()), 0.1)
    auth, test = f"{target.signal} auth", f"{target.signal} test"
    try:
        outcome = try_out(target, seconds)
    except (OSError, RuntimeError, ValueError) as error:
        way.skip(auth)
        text = f"no request can be made of what the variables say ({type(error).__name__})"
        way.add(test, PROBLEM, text, "check the variables for certificates and keys")
        return False
    problem = outcome.problem
    names = ", ".join(sorted(name for name, _ in target.headers))
    variable, _ = setting(target.signal, "HEADERS")
    sources = (variable,) if target.headers else ()
    if problem is not None and problem.text.startswith(_REFUSED):
        if problem.text.startswith("407 "):
            text, remedy = "the proxy wants credentials", "put user and password into its URL"
        elif names:
            text = f"{problem.text}: not with what the headers {names} say"
            remedy = f"correct {variable}: name=value, a space in the value is %20"
        else:
            text = f"{problem.text}: no header with credentials is sent"
            remedy = f"`export {variable}=authorization=Bearer%20TOKEN`, as your receiver has it"
        way.add(auth, PROBLEM, text, remedy, sources)
        way.skip(test)
        return True
    is_silent_site = problem is None and target.protocol == HTTP
    if problem == PAGE or (is_silent_site and shows_a_page(target, PROBE_SECONDS)):
        way.skip(auth)
        text = "a web site says yes to the request, but it shows a page there: spans are lost"
        remedy = "correct the host, the port and the path; OTLP over HTTP is usually on port 4318"
        way.add(test, PROBLEM, text, remedy)
        return False
    if problem is None:
        text = f"accepted with headers {names}" if names else "none asked for"
        way.add(auth, OK, text, None, sources)
    else:
        way.skip(auth)
    if problem is None:
        way.add(test, OK, _accepted(target, outcome))
    elif problem.is_unserved and target.signal == "metrics" and not target.is_asked_for:
        way.add(test, OK, f"{problem.text}: it takes no metrics, as Jaeger; that is no failure")
    else:
        way.add(test, PROBLEM, *_why_not_accepted(way, target, outcome))
        return problem.text.startswith(_ANSWERS) or "(gRPC)" in problem.text
    return True


def _accepted(target: Target, outcome: Outcome) -> str:
    took = format_duration(outcome.seconds)
    if target.signal == "traces":
        return f"one span is accepted ({took}), trace {outcome.trace_id}"
    what = "metrics" if target.signal == "metrics" else "log records"
    return f"a request without {what} is accepted ({took})"


def _why_not_accepted(way: Way, target: Target, outcome: Outcome) -> tuple[str, str]:
    """Say what is wrong, and what to do; where nobody understands, ask who speaks what."""
    place, problem = way.place, outcome.problem
    text = "unknown" if problem is None else problem.text
    is_grpc = target.protocol == GRPC
    spoken: frozenset[str] = frozenset()
    if place.proxy is None and way.addresses and not (problem and problem.is_unserved):
        spoken = dialects(way.addresses, place.host, is_secured=place.is_secured)
    if TLS in spoken and not place.is_secured:
        return (
            f"{text}: the receiver speaks TLS, and the URL is http://",
            f"name it {way.named('https')}",
        )
    if is_grpc and HTTP_1 in spoken and HTTP_2 not in spoken:
        return (
            f"{text}: port {place.port} speaks HTTP/1.1, and the protocol is grpc",
            "`export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`, or the port for gRPC (4317)",
        )
    if not is_grpc and HTTP_2 in spoken and HTTP_1 not in spoken:
        return (
            f"{text}: port {place.port} speaks HTTP/2, as gRPC, and the protocol is http/protobuf",
            "`export OTEL_EXPORTER_OTLP_PROTOCOL=grpc`, or the port for HTTP (4318)",
        )
    if problem is not None and problem.is_unserved:
        return _why_unserved(target, text)
    if place.proxy is not None:
        return f"{text}, through a proxy", around(place) or ""
    if text == "timed out":
        return (
            f"no answer within {outcome.seconds:.1f} s",
            "see that the receiver runs, and that it is one for OTLP",
        )
    return text, "see the receiver's log"


def _why_unserved(target: Target, text: str) -> tuple[str, str]:
    if target.protocol == GRPC:
        return (
            f"{text}: the server takes no {target.signal} by OTLP",
            f"name a receiver that does, or `export OTEL_{target.signal.upper()}_EXPORTER=none`",
        )
    path = urlsplit(target.endpoint).path or "/"
    name, value = setting(target.signal, "ENDPOINT")
    usual = f"/v1/{target.signal}"
    if name.endswith(f"{target.signal.upper()}_ENDPOINT") and value and not path.endswith(usual):
        base = target.shown.rstrip("/")
        return (
            f"{text} at {path}: {name} is the whole URL",
            f"`export {name}={base}{usual}`",
        )
    return (
        f"{text}: an HTTP server, but none that takes {target.signal} at {path}",
        "correct the host, the port and the path; OTLP over HTTP is usually on port 4318",
    )
