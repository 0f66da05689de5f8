"""DNS, TCP and TLS on the way to a receiver, one after the other, none for longer than it may take.

Knows no OpenTelemetry.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = "tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]"
"""What a name resolves to, with the port."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a TLS connection is made with: paths of PEM files."""

    authorities: str | None = None
    """Whose certificates are believed; None for the ones that everybody knows."""
    client_certificate: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of a TLS handshake.

    Attributes:
        error: `plaintext`, `expired`, `not yet valid`, `name`, `untrusted`, `client certificate`,
            `no http/2`, `closed`, `timed out` or another's words; None where all is well.
        version: Such as `TLSv1.3`.
        expires: When the certificate does.
    """

    error: str | None = None
    version: str = ""
    expires: datetime | None = None


def resolve(host: str, port: int, seconds: float) -> list[Address] | str:
    """Return the addresses of a host, or why there are none.

    The system's resolver cannot be told how long it may take, so a thread waits for it.
    """
    found: list[list[Address] | str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found.append(getattr(error, "strerror", None) or "no valid name")
        else:
            found.append([(family, where) for family, _, _, _, where in answers])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    return found[0] if found else f"no answer within {seconds:.1f} s"


def connect(addresses: Sequence[Address], seconds: float) -> socket.socket | OSError:
    """Return a connection to the first address that takes one, or why the last took none."""
    end = time.monotonic() + seconds
    problem: OSError = TimeoutError("timed out")
    for tried, (family, where) in enumerate(addresses):
        share = (end - time.monotonic()) / (len(addresses) - tried)
        if share <= 0:
            break
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(share)
        try:
            connection.connect(where)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    return problem


def shake_hands(
    connection: socket.socket, host: str, trust: Trust, seconds: float, protocols: Sequence[str]
) -> Handshake:
    """Agree on TLS over a connection, which is closed afterwards, and check the certificate.

    Args:
        connection: One that is open.
        host: The name that the certificate has to be for.
        trust: What to make it with.
        seconds: How long it may take.
        protocols: What is to be spoken over it, as ALPN has it: `h2` or `http/1.1`.
    """
    closing = threading.Timer(max(seconds, 0), _abort, (connection,))
    closing.daemon = True
    begun = time.monotonic()
    closing.start()
    try:
        connection.settimeout(max(seconds, 0.01))
        context = _context(trust, protocols)
        with context.wrap_socket(connection, server_hostname=host) as secured:
            found = _agreed(secured, protocols)
    except (OSError, ValueError) as error:
        is_late = time.monotonic() - begun >= seconds
        return Handshake("timed out" if is_late else _reason(error))
    finally:
        closing.cancel()
        connection.close()
    return found


def speaks_tls(connection: socket.socket) -> bool:
    """Tell whether a server answers to TLS, whoever it says it is. Closes the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        # What asks for a certificate of ours speaks it as well.
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
    finally:
        connection.close()


def _agreed(secured: ssl.SSLSocket, protocols: Sequence[str]) -> Handshake:
    if "h2" in protocols and secured.selected_alpn_protocol() != "h2":
        return Handshake("no http/2", secured.version() or "")
    until = (secured.getpeercert() or {}).get("notAfter")
    return Handshake(
        None,
        secured.version() or "",
        datetime.fromtimestamp(ssl.cert_time_to_seconds(until), timezone.utc)
        if isinstance(until, str)
        else None,
    )


def _context(trust: Trust, protocols: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust.authorities is None:
        context.load_default_certs()
    elif Path(trust.authorities).is_dir():
        context.load_verify_locations(capath=trust.authorities)
    else:
        context.load_verify_locations(trust.authorities)
    if trust.client_certificate is not None:
        # Where the key wants a password, that is an error and no question on the terminal.
        context.load_cert_chain(trust.client_certificate, trust.client_key, password=_no_password)
    with suppress(NotImplementedError):
        context.set_alpn_protocols(list(protocols))
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    """Say in a word or two why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return {10: "expired", 9: "not yet valid", 62: "name", 64: "name"}.get(
            error.verify_code, "untrusted"
        )
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if "WRONG_VERSION" in reason or "HTTP_REQUEST" in reason or "RECORD_LAYER" in reason:
            return "plaintext"
        if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason:
            return "client certificate"
        if "NO_APPLICATION_PROTOCOL" in reason:
            return "no http/2"
        if "KEY_VALUES_MISMATCH" in reason:
            return "the client's key is another certificate's"
        return "closed" if "EOF" in reason else reason.lower().replace("_", " ") or "closed"
    if isinstance(error, ConnectionError):
        return "closed"
    return "timed out" if isinstance(error, TimeoutError) else str(error)


def _abort(connection: socket.socket) -> None:
    """End what a socket waits for: a server that drips never lets it time out."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
