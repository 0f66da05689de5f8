"""What a server speaks that did not understand what was said to it. Knows no OpenTelemetry."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

from petsard_otel.doctor.connection import connect, speaks_tls

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from petsard_otel.doctor.connection import Address

TLS, HTTP_1, HTTP_2 = "TLS", "HTTP/1.1", "HTTP/2"

PROBE_SECONDS = 0.7
"""How long it may take to find out."""

_HTTP_2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The preface of HTTP/2, and a frame of empty settings."""

_SETTINGS = 4
"""The type of the frame that an HTTP/2 server speaks first."""


def dialects(addresses: Sequence[Address], host: str, *, is_secured: bool) -> frozenset[str]:
    """Return what is spoken at a port: `TLS`, `HTTP/1.1`, `HTTP/2`, or nothing that is known.

    Args:
        addresses: Where.
        host: Its name.
        is_secured: Whether to ask for the two HTTPs over TLS.
    """
    found: set[str] = set()

    def ask(dialect: str) -> None:
        connection = connect(addresses, PROBE_SECONDS)
        if isinstance(connection, OSError):
            return
        connection.settimeout(PROBE_SECONDS)
        if dialect == TLS:
            is_spoken = speaks_tls(connection)
        else:
            is_spoken = _answers(connection, dialect, host, is_secured=is_secured)
        if is_spoken:
            found.add(dialect)

    threads = [
        threading.Thread(target=ask, args=(dialect,), daemon=True)
        for dialect in (TLS, HTTP_1, HTTP_2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROBE_SECONDS)
    return frozenset(found)


def _answers(connection: socket.socket, dialect: str, host: str, *, is_secured: bool) -> bool:
    name = f"[{host}]" if ":" in host else host
    greeting = (
        _HTTP_2_GREETING
        if dialect == HTTP_2
        else f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
    )
    try:
        if is_secured:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2" if dialect == HTTP_2 else "http/1.1"])
            connection = context.wrap_socket(connection)
        connection.sendall(greeting)
        answer = connection.recv(9)
    except (OSError, ValueError):
        return False
    finally:
        connection.close()
    if dialect == HTTP_2:
        return len(answer) > 3 and answer[:2] == b"\0\0" and answer[3] == _SETTINGS
    return answer.startswith(b"HTTP/1.")
