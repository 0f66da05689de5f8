"""What is connected to for a target, and how far one got on the way there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from petsard_otel.doctor.connection import Trust
from petsard_otel.doctor.findings import NOT_TRIED, PROBLEM, Finding
from petsard_otel.doctor.proxies import grpc_proxy, http_proxy
from petsard_otel.telemetry.sending.targets import GRPC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from petsard_otel.doctor.connection import Address
    from petsard_otel.doctor.proxies import Proxy
    from petsard_otel.telemetry.sending.targets import Target

_GRPC_KINDS = ("unix", "unix-abstract", "ipv4", "ipv6", "vsock", "xds", "passthrough")
"""How names of receivers begin that gRPC alone can connect to."""


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


def _with_roots(trust: Trust, bundle: str | None) -> Trust:
    """Believe those whom the libraries believe where no certificate is named."""
    if trust.authorities is not None:
        return trust
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return Trust(bundle or DEFAULT_CA_BUNDLE_PATH, trust.client_certificate, trust.client_key)


def around(place: Place) -> str | None:
    """Say how to reach a place without the proxy."""
    if place.proxy is None:
        return None
    former = os.environ.get(place.proxy.bypass, "").strip()
    hosts = f"{former},{place.host}" if former else place.host
    return f"to go without the proxy: `export {place.proxy.bypass}={hosts}`"
