"""DNS, TCP and TLS on the way to a receiver, in words, and what to do where one fails."""

from __future__ import annotations

import errno
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from petsard_otel.doctor.connection import connect, resolve, shake_hands
from petsard_otel.doctor.findings import NOT_TRIED, NOTE, OK, PROBLEM
from petsard_otel.doctor.ways import around
from petsard_otel.reports.wording import format_duration
from petsard_otel.telemetry.sending.targets import GRPC, is_ambiguous, without_password

if TYPE_CHECKING:
    from petsard_otel.doctor.connection import Handshake
    from petsard_otel.doctor.ways import Way

STEP_SECONDS = 2.0
"""How long DNS, TCP and TLS may take, each."""

SOON = timedelta(days=14)
"""A certificate that expires earlier is told of."""


def reach(way: Way, deadline: float) -> None:
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
        if is_ambiguous(place.proxy.url):
            text = f"{shown} cannot be a proxy's URL"
            remedy = "write an @ in its password, its path or its query as %40"
            way.add("proxy", PROBLEM, text, remedy, (place.proxy.variable,))
            way.skip("dns", "tcp", "tls")
            return
        text = f"requests go through {shown}; DNS and TCP are the proxy's"
        way.add("proxy", NOTE, text, around(place), (place.proxy.variable,))
    found = resolve(host, port, min(STEP_SECONDS, deadline - time.monotonic()))
    if isinstance(found, str):
        what = "the proxy's name" if place.proxy else "the name"
        text = f"{what} {host!r} does not resolve: {found}"
        way.add("dns", PROBLEM, text, around(place) or "correct the host in the URL")
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
        way.add("tcp", PROBLEM, text, around(place) or remedy)
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
