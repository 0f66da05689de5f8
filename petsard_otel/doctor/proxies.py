"""Which proxy the variables put between this machine and a receiver, and which variable does."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from petsard_otel.telemetry.sending.senders import GRPC_PROXIES


class Proxy(NamedTuple):
    """A proxy that requests go through."""

    url: str
    variable: str
    bypass: str
    """The variable that lists the hosts that are reached without it."""


def http_proxy(url: str) -> Proxy | None:
    """Return the proxy of a URL as `requests` chooses it; None where there is none."""
    from requests.utils import get_environ_proxies, select_proxy

    found = select_proxy(url, get_environ_proxies(url))
    if not found:
        return None
    names = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    variables = [variant for name in names for variant in (name, name.upper())]
    by = next((name for name in variables if os.environ.get(name)), "the system's settings")
    return Proxy(found, by, "NO_PROXY" if os.environ.get("NO_PROXY") else "no_proxy")


def grpc_proxy(host: str) -> Proxy | None:
    """Return the proxy of a host as gRPC chooses it; None where there is none.

    https://grpc.github.io/grpc/core/md_doc_environment_variables.html
    """
    by = next((name for name in GRPC_PROXIES if os.environ.get(name)), None)
    if by is None or urlsplit(os.environ[by]).scheme != "http":
        return None
    own = "no_grpc_proxy"
    bypass = own if os.environ.get(own) else "no_proxy"
    entries = (entry.strip() for entry in os.environ.get(bypass, "").split(","))
    if any(_is_bypassed(host, entry) for entry in entries if entry):
        return None
    return Proxy(os.environ[by], by, bypass)


def _is_bypassed(host: str, entry: str) -> bool:
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False
