"""Where each signal goes and how: the arguments of `configure()`, then the OTEL_* variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import EXPORT_TIMEOUT_SECONDS
from petsard_otel.telemetry.sending.environment import (
    choice,
    existing_file,
    headers,
    number,
    read,
    setting,
)

GRPC = "grpc"

HTTP = "http/protobuf"

LONGEST_TIMEOUT_SECONDS = 300
"""A larger OTEL_EXPORTER_OTLP_TIMEOUT is taken for one in milliseconds, which the specification
has, where the Python SDK has seconds."""

_SENT_BY_OTHERS = ("jaeger", "logging", "prometheus", "zipkin")
"""Values of OTEL_*_EXPORTER that other programs in the same environment may be meant by."""

_BEFORE_HOST = re.compile(r"^([^/]*//)?.*@", re.DOTALL)
"""All that may be a user and a password, also where the URL is none for it."""


@dataclass(frozen=True, slots=True)
class Target:
    """An OTLP receiver of one signal."""

    signal: str
    """`traces`, `metrics` or `logs`."""
    protocol: str
    endpoint: str = field(repr=False)
    """What is connected to; over HTTP the whole URL."""
    shown: str
    """The same as a person gave it, without password and query."""
    timeout_seconds: float = EXPORT_TIMEOUT_SECONDS
    compression: str = "none"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_insecure: bool = False
    """Whether gRPC is spoken without TLS."""
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    is_asked_for: bool = True
    """Whether somebody named this signal: else a receiver that does not take it is no failure."""


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with one signal: it is sent, printed, both or neither."""

    target: Target | None = None
    is_printed: bool = False
    left_out: str | None = None
    """Another way of exporting that was named, which is not ours."""


def route_of(signal: str, endpoint: str | None, protocol: str | None) -> Route:
    """Find out where a signal goes.

    Args:
        signal: `traces`, `metrics` or `logs`.
        endpoint: Base URL for every signal; else the variables name one.
        protocol: `grpc` or `http/protobuf`, for every signal; else the variables name it.

    Raises:
        ConfigError: An argument or a variable has a value that it cannot have.
    """
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip().lower() for name in (read(variable) or "").split(",") if name.strip()]
    for name in names:
        if name not in {"none", "otlp", "console", *_SENT_BY_OTHERS}:
            raise ConfigError(f"{variable} is none, otlp or console (found {name!r})")
    own = read(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    common = read("OTEL_EXPORTER_OTLP_ENDPOINT")
    is_sent = "otlp" in names if names else (endpoint or own or common) is not None
    # Who gives an endpoint wants spans there, whatever the environment says.
    is_sent = is_sent or (signal == "traces" and endpoint is not None)
    is_asked_for = signal != "metrics" or "otlp" in names or own is not None
    return Route(
        _target(signal, endpoint, protocol, is_asked_for=is_asked_for) if is_sent else None,
        "console" in names,
        next((name for name in names if name in _SENT_BY_OTHERS), None),
    )


def _target(
    signal: str, endpoint: str | None, protocol: str | None, *, is_asked_for: bool
) -> Target:
    source, found = (
        ("an endpoint", endpoint) if endpoint is not None else setting(signal, "ENDPOINT")
    )
    protocol = (
        protocol
        or choice(setting(signal, "PROTOCOL"), (GRPC, HTTP))
        or (HTTP if _port(found) == 4318 else GRPC)
    )
    if found is None:
        found = "http://localhost:4318" if protocol == HTTP else "http://localhost:4317"
    _check_endpoint(source, found, protocol)
    is_base = source in {"an endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    timeout = number(setting(signal, "TIMEOUT"), "seconds") or EXPORT_TIMEOUT_SECONDS
    return Target(
        signal=signal,
        protocol=protocol,
        endpoint=_signal_url(found, signal) if protocol == HTTP and is_base else found,
        shown=without_password(found),
        timeout_seconds=timeout / 1000 if timeout > LONGEST_TIMEOUT_SECONDS else timeout,
        compression=choice(setting(signal, "COMPRESSION"), ("none", "gzip", "deflate")) or "none",
        headers=headers(setting(signal, "HEADERS")),
        is_insecure=_is_insecure(signal, found, is_given=endpoint is not None),
        certificate=existing_file(setting(signal, "CERTIFICATE")),
        client_key=existing_file(setting(signal, "CLIENT_KEY")),
        client_certificate=existing_file(setting(signal, "CLIENT_CERTIFICATE")),
        is_asked_for=is_asked_for,
    )


def is_ambiguous(url: str) -> bool:
    """Tell whether an `@` follows the host: is it that of a path, or is the host in a password?"""
    _, slashes, rest = url.partition("//")
    return any("@" in part for part in re.split(r"[/?#]", rest if slashes else url)[1:])


def is_web_url(url: str) -> bool:
    """Tell whether a text is an http or https URL that can be read in one way only."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_url and not is_ambiguous(url) and url.isprintable() and " " not in url


def found_url(url: str) -> str:
    """Return how a complaint quotes a URL that cannot be used."""
    hint = "; an @ in a password, a path or a query is written %40" if is_ambiguous(url) else ""
    return f"(found {without_password(url)!r}{hint})"


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without user, password and query.

    Of one that is ambiguous no more than the scheme is left.
    """
    if is_ambiguous(url):
        return f"{url.partition('://')[0]}://..." if "://" in url else "..."
    return re.split(r"[?#]", _BEFORE_HOST.sub(r"\1", url, count=1), maxsplit=1)[0]


def _signal_url(base: str, signal: str) -> str:
    parts = urlsplit(base)
    path = parts.path.removesuffix("/").removesuffix("/v1/traces")
    return urlunsplit(parts._replace(path=f"{path}/v1/{signal}"))


def _is_insecure(signal: str, endpoint: str, *, is_given: bool) -> bool:
    """Tell whether gRPC is spoken in plain: an https URL says no, then the variable decides."""
    scheme = urlsplit(endpoint).scheme
    found = choice(setting(signal, "INSECURE"), ("true", "false"))
    if is_given or scheme == "https" or found is None:
        return scheme == "http"
    return found == "true"


def _port(endpoint: str | None) -> int | None:
    try:
        return None if endpoint is None else urlsplit(endpoint).port
    except ValueError:
        return None


def _check_endpoint(source: str, endpoint: str, protocol: str) -> None:
    is_url = endpoint.startswith(("http://", "https://"))
    # gRPC has other names for receivers, such as host:port; the variables may use them.
    is_name = not is_url and protocol == GRPC and source != "an endpoint" and "@" not in endpoint
    if not is_web_url(endpoint) and not (
        is_name and endpoint.isprintable() and " " not in endpoint
    ):
        raise ConfigError(f"{source} is a URL such as http://localhost:4317 {found_url(endpoint)}")
    if protocol == GRPC and is_url and urlsplit(endpoint).username is not None:
        raise ConfigError(f"{source} cannot hold a user over gRPC; use OTEL_EXPORTER_OTLP_HEADERS")
