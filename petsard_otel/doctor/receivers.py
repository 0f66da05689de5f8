"""A receiver, step by step: DNS, TCP, TLS, credentials, and a request that it accepts.

Each step that is reached is told, with what to do where it fails; the later ones are not tried.
"""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from petsard_otel.doctor.connection import Trust, connect, resolve, shake_hands
from petsard_otel.doctor.dialects import HTTP_1, HTTP_2, TLS, dialects
from petsard_otel.doctor.findings import NOT_TRIED, NOTE, OK, PROBLEM, Finding
from petsard_otel.doctor.proxies import grpc_proxy, http_proxy
from petsard_otel.reports.wording import format_duration
from petsard_otel.telemetry.sending.environment import setting
from petsard_otel.telemetry.sending.targets import GRPC, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from petsard_otel.doctor.connection import Address, Handshake
    from petsard_otel.doctor.proxies import Proxy
    from petsard_otel.doctor.trial import Outcome
    from petsard_otel.telemetry.sending.targets import Target

STEP_SECONDS = 2.0
"""How long DNS, TCP and TLS may take, each."""

TRIAL_SECONDS = 3.0
"""How long a request may take."""

ALL_SECONDS = 4.0
"""How long all of it may take; who speaks what is asked for afterwards, for less than a second."""

SOON = timedelta(days=14)
"""A certificate that expires earlier is told of."""

_REFUSED = ("401 ", "403 ", "407 ", "unauthenticated", "permission denied")
"""How the problems begin that are about credentials."""

_ANSWERS = ("3", "4", "5", "HTTP ")
"""How the problems begin that are the status of an answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is connected to for a target."""

    protocol: str
    host: str
    port: int
    is_secured: bool
    has_port: bool
    """Whether the endpoint says which port."""
    trust: Trust
    proxy: Proxy | None
    is_own_kind: bool = False
    """Whether it is a name of gRPC's own, such as unix:path, which only gRPC can connect to."""


@dataclass
class Way:
    """How far one got on the way to a receiver."""

    place: Place
    shown: str
    """The endpoint as it may be shown."""
    findings: list[Finding] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    is_open: bool = True

    def add(
        self,
        check: str,
        state: str,
        text: str,
        remedy: str | None = None,
        sources: Iterable[str] = (),
    ) -> None:
        """Take note of a step; a problem ends the way."""
        subject = f"{self.shown} over {'gRPC' if self.place.protocol == GRPC else 'HTTP'}"
        finding = Finding("receiver", check, state, text, remedy, tuple(sources), subject)
        self.findings.append(finding)
        self.is_open = self.is_open and state != PROBLEM

    def named(self, scheme: str) -> str:
        """Return the endpoint with another scheme."""
        return f"{scheme}://{self.shown.rpartition('://')[2]}"

    def skip(self, *checks: str) -> None:
        """Take note of steps that are not reached."""
        for check in checks:
            self.add(check, NOT_TRIED, "not tried")


def findings_of_receivers(targets: Iterable[Target]) -> Iterator[Finding]:
    """Go the way to each receiver, to all of them at once."""
    ways: dict[tuple[Place, str], list[Target]] = {}
    for target in targets:
        ways.setdefault((place_of(target), target.shown), []).append(target)
    if not ways:
        return
    deadline = time.monotonic() + ALL_SECONDS
    with ThreadPoolExecutor(len(ways)) as pool:
        yield from [
            finding
            for found in pool.map(lambda way: _go(way[0][0], way[1], deadline), ways.items())
            for finding in found
        ]


def place_of(target: Target) -> Place:
    """Return what is connected to: the endpoint's host and port, else the protocol's own."""
    endpoint = target.endpoint
    is_url = endpoint.startswith(("http://", "https://"))
    rest = endpoint.removeprefix("dns:").lstrip("/") if not is_url else endpoint
    try:
        parts = urlsplit(rest if is_url else f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    is_own_kind = not is_url and (not host or "/" in rest or rest.partition(":")[0] in _GRPC_KINDS)
    trust = Trust(target.certificate, target.client_certificate, target.client_key)
    if target.protocol == GRPC:
        return Place(
            GRPC,
            host,
            port or 443,
            not target.is_insecure,
            port is not None,
            _with_roots(trust, os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")),
            None if is_own_kind else grpc_proxy(host),
            is_own_kind,
        )
    is_secured = parts.scheme == "https"
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return Place(
        target.protocol,
        host,
        port or (443 if is_secured else 80),
        is_secured,
        port is not None,
        _with_roots(trust, bundle),
        http_proxy(endpoint),
    )


_GRPC_KINDS = ("unix", "unix-abstract", "ipv4", "ipv6", "vsock", "xds", "passthrough")


def _with_roots(trust: Trust, bundle: str | None) -> Trust:
    """Believe those whom the libraries believe where no certificate is named."""
    if trust.authorities is not None:
        return trust
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return Trust(bundle or DEFAULT_CA_BUNDLE_PATH, trust.client_certificate, trust.client_key)


def _go(place: Place, targets: list[Target], deadline: float) -> list[Finding]:
    way = Way(place, targets[0].shown)
    _look_at_url(way, targets)
    if place.is_own_kind:
        way.add("address", OK, "a name of gRPC's own, so only a request can tell")
    else:
        _reach(way, deadline)
    for target in targets:
        if way.is_open:
            way.is_open = _try(way, target, deadline)
        else:
            way.skip(f"{target.signal} auth", f"{target.signal} test")
    return way.findings


def _look_at_url(way: Way, targets: list[Target]) -> None:
    """Tell what is odd about an endpoint before anything is connected."""
    for target in targets:
        path = urlsplit(target.shown).path.rstrip("/") if "://" in target.shown else ""
        name, _ = setting(target.signal, "ENDPOINT")
        base = target.shown.rstrip("/").removesuffix(path)
        is_own = name.endswith(f"{target.signal.upper()}_ENDPOINT")
        if way.place.protocol == GRPC and path:
            text = f"gRPC has no use for the path {path}"
            way.add("url", NOTE, text, f"name the receiver {base}, or send over HTTP")
        elif path.endswith(("/v1/traces", "/v1/metrics", "/v1/logs")) and not is_own:
            signal = path.rpartition("/")[2]
            text = f"a base URL has no /v1/{signal} at its end: programs add it"
            way.add(
                "url", NOTE, text, f"name the receiver {base}{path.removesuffix(f'/v1/{signal}')}"
            )
        else:
            continue
        break
    if not way.place.has_port and not way.place.is_own_kind:
        usual = 4317 if way.place.protocol == GRPC else 4318
        text = f"no port is named, so that it is {way.place.port}"
        way.add("url", NOTE, text, f"add :{usual}, where OTLP receivers usually listen")


# DNS, TCP and TLS.


def _reach(way: Way, deadline: float) -> None:
    """Resolve, connect and shake hands, as far as it goes."""
    place = way.place
    host, port = place.host, place.port
    if place.proxy is not None:
        proxy = urlsplit(place.proxy.url if "://" in place.proxy.url else f"//{place.proxy.url}")
        try:
            host, port = proxy.hostname or "", proxy.port or 80
        except ValueError:
            host = ""
        shown = without_password(place.proxy.url)
        text = f"requests go through {shown}; DNS and TCP are the proxy's"
        way.add("proxy", NOTE, text, _around(place), (place.proxy.variable,))
    found = resolve(host, port, min(STEP_SECONDS, deadline - time.monotonic()))
    if isinstance(found, str):
        what = "the proxy's name" if place.proxy else "the name"
        text = f"{what} {host!r} does not resolve: {found}"
        way.add("dns", PROBLEM, text, _around(place) or "correct the host in the URL")
        way.skip("tcp", "tls")
        return
    way.addresses = found
    numbers = list(dict.fromkeys(str(where[0]) for _, where in found))
    shown = ", ".join(numbers[:3]) + (", ..." if numbers[3:] else "")
    way.add("dns", OK, shown if numbers == [host] else f"{host} is {shown}")
    begun = time.monotonic()
    connection = connect(found, min(STEP_SECONDS, deadline - begun))
    if isinstance(connection, OSError):
        text, remedy = _why_no_connection(connection, host, port)
        way.add("tcp", PROBLEM, text, _around(place) or remedy)
        way.skip("tls")
        return
    way.add("tcp", OK, f"port {port} answers ({format_duration(time.monotonic() - begun)})")
    if place.proxy is not None:
        connection.close()
        if place.is_secured:
            way.add("tls", NOT_TRIED, "not tried through the proxy; the request tells")
        return
    if not place.is_secured:
        connection.close()
        way.add("tls", OK, "none, as the URL says")
        return
    seconds = min(STEP_SECONDS, deadline - time.monotonic())
    protocols = ["h2"] if place.protocol == GRPC else ["http/1.1"]
    _judge(way, shake_hands(connection, place.host, place.trust, seconds, protocols))


def _around(place: Place) -> str | None:
    """Say how to reach a place without the proxy."""
    if place.proxy is None:
        return None
    former = os.environ.get(place.proxy.bypass, "").strip()
    hosts = f"{former},{place.host}" if former else place.host
    return f"to go without the proxy: `export {place.proxy.bypass}={hosts}`"


def _why_no_connection(error: OSError, host: str, port: int) -> tuple[str, str]:
    if isinstance(error, ConnectionRefusedError):
        return (
            f"port {port} of {host} refuses: nothing listens there",
            "start the receiver, or correct the host and the port (gRPC 4317, HTTP 4318)",
        )
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return (
            f"port {port} of {host} does not answer within {STEP_SECONDS:g} s",
            "see that no firewall drops it, and that the host and the port are right",
        )
    if error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}:
        return (
            f"there is no route to {host}",
            "see that the network, or the VPN, that leads there is up",
        )
    return f"port {port} of {host}: {error.strerror or error}", "correct the host and the port"


def _judge(way: Way, handshake: Handshake) -> None:
    """Say what came of a TLS handshake."""
    host = way.place.host
    if handshake.error is None:
        left = (handshake.expires or datetime.max.replace(tzinfo=timezone.utc)) - datetime.now(
            timezone.utc
        )
        until = "" if handshake.expires is None else f"{handshake.expires:%Y-%m-%d}"
        text = f"{handshake.version}, certificate verified for {host}, valid until {until}"
        if left < SOON:
            way.add("tls", NOTE, f"{text}: {left.days} days", "renew the receiver's certificate")
        else:
            way.add("tls", OK, text)
        return
    way.add("tls", PROBLEM, *_why_no_tls(handshake.error, way))


def _why_no_tls(error: str, way: Way) -> tuple[str, str]:
    host = way.place.host
    plain = f"name it {way.named('http')}"
    asks = (
        "the URL is https://" if "://" in way.shown else "an endpoint without http:// asks for it"
    )
    prefix = "OTEL_EXPORTER_OTLP_"
    known = {
        "plaintext": (f"the receiver speaks no TLS, and {asks}", plain),
        "expired": (
            "the receiver's certificate has expired",
            "renew the receiver's certificate",
        ),
        "not yet valid": (
            "the receiver's certificate is not valid yet",
            "see that the clocks of this machine and of the receiver are right",
        ),
        "name": (
            f"the receiver's certificate is not for {host!r}",
            "name the receiver as its certificate does, or have one made for this name",
        ),
        "untrusted": (
            "the receiver's certificate is signed by nobody whom this machine believes",
            f"`export {prefix}CERTIFICATE=ca.pem`, the path of the certificate that signed it",
        ),
        "client certificate": (
            "the receiver wants a certificate of the client",
            f"`export {prefix}CLIENT_CERTIFICATE=client.pem {prefix}CLIENT_KEY=client.key`",
        ),
        "no http/2": (
            "the receiver offers no HTTP/2 over TLS, which gRPC needs",
            f"`export {prefix}PROTOCOL=http/protobuf`, and the receiver's port for HTTP",
        ),
        "closed": (
            "the receiver closed the connection in the handshake",
            f"if it speaks no TLS on this port, {plain}",
        ),
        "timed out": (
            f"the receiver does not answer to TLS within {STEP_SECONDS:g} s",
            f"if it speaks no TLS on this port, {plain}",
        ),
    }
    return known.get(
        error,
        (
            f"no TLS connection could be agreed on: {error}",
            f"check {prefix}CERTIFICATE, {prefix}CLIENT_CERTIFICATE and {prefix}CLIENT_KEY",
        ),
    )


# Requests.


def _try(way: Way, target: Target, deadline: float) -> bool:
    """Send a request of a signal, say what came of it, and tell whether it was understood."""
    from petsard_otel.doctor.trial import try_out

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
        return f"{text}, through a proxy", _around(place) or ""
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
