"""The URL that leads to a run's trace: as PETSARD_OTEL_TRACE_URL says, else in a Jaeger found here.

Knows no OpenTelemetry.
"""

from __future__ import annotations

import json
import os
import threading
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from urllib.parse import urlsplit

from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import TRACE_URL
from petsard_otel.telemetry.sending.targets import found_url, is_web_url

PLACE = "{trace_id}"
"""What stands for the trace in a template."""

NOWHERE = "none"
"""In the place of a template: no URL is told, and no Jaeger looked for."""

JAEGER_PORT = 16686
"""Where Jaeger's pages are, unless somebody moved them."""

PROBE_SECONDS = 0.5
"""How long it may take to find out whether a Jaeger answers."""

MAX_ANSWER_BYTES = 1_000_000
"""An answer of more bytes is not looked at."""


def trace_url_template() -> str | None:
    """Return what PETSARD_OTEL_TRACE_URL says, a URL or `none`; None where it says nothing.

    Raises:
        ConfigError: It is no http or https URL, or has no `{trace_id}` in it.
    """
    template = os.environ.get(TRACE_URL, "").strip()
    if not template:
        return None
    if template.lower() == NOWHERE:
        return NOWHERE
    if PLACE not in template or not is_web_url(template):
        raise ConfigError(
            f"{TRACE_URL} is {NOWHERE}, or a URL with {PLACE} in it such as "
            f"http://localhost:{JAEGER_PORT}/trace/{PLACE} {found_url(template)}"
        )
    return template


def trace_url(
    trace_id: str, endpoint: str, template: str | None, jaeger_port: int = JAEGER_PORT
) -> str | None:
    """Return where a trace that was delivered can be seen; None where that is not known.

    Args:
        trace_id: 32 hexadecimal digits.
        endpoint: Where its spans were delivered to.
        template: A URL with `{trace_id}` in it, or `none`; a user and a password in it are left
            out. Without it a Jaeger is looked for, for
            half a second, where the endpoint is on this very machine.
        jaeger_port: Where to look.
    """
    if template == NOWHERE:
        return None
    if template is not None:
        parts = urlsplit(template.replace(PLACE, trace_id))
        # It is printed, and what is printed is kept in logs.
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    host = _own_host(endpoint)
    if host is None or not is_jaeger(host, jaeger_port):
        return None
    return f"http://{f'[{host}]' if ':' in host else host}:{jaeger_port}/trace/{trace_id}"


def is_jaeger(host: str, port: int, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether a Jaeger's pages are served there, over plain HTTP, without any proxy."""
    found: list[bool] = []
    asking = threading.Thread(
        target=lambda: found.append(_answers_as_jaeger(host, port, timeout_seconds)), daemon=True
    )
    asking.start()
    # A server that drips would never let a socket time out.
    asking.join(timeout_seconds)
    return found == [True]


def _answers_as_jaeger(host: str, port: int, timeout_seconds: float) -> bool:
    connection = HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/api/services", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES + 1)
        if response.status != 200 or len(body) > MAX_ANSWER_BYTES:
            return False
        answer = json.loads(body)
    except (OSError, HTTPException, ValueError, RecursionError):
        return False
    finally:
        connection.close()
    if not isinstance(answer, dict) or not {"data", "total", "errors"} <= answer.keys():
        return False
    services = answer["data"]
    return services is None or (
        isinstance(services, list) and all(isinstance(service, str) for service in services)
    )


def _own_host(endpoint: str) -> str | None:
    """Return an endpoint's host where it is this machine by its very name."""
    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
    except ValueError:
        return None
    if host == "localhost":
        return host
    try:
        return host if ip_address(host).is_loopback else None
    except ValueError:
        return None
