"""Each receiver, step by step: DNS, TCP, TLS, credentials, and a request that it accepts.

Each step that is reached is told, with what to do where it fails; the later ones are not tried.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from petsard_otel.doctor.answers import try_signal
from petsard_otel.doctor.findings import NOTE, OK
from petsard_otel.doctor.steps import reach
from petsard_otel.doctor.ways import Way, place_of
from petsard_otel.telemetry.sending.environment import setting
from petsard_otel.telemetry.sending.targets import GRPC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from petsard_otel.doctor.findings import Finding
    from petsard_otel.doctor.ways import Place
    from petsard_otel.telemetry.sending.targets import Target

ALL_SECONDS = 4.0
"""How long all of it may take; who speaks what is asked for afterwards, for less than a second."""


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


def _go(place: Place, targets: list[Target], deadline: float) -> list[Finding]:
    way = Way(place, targets[0].shown)
    _look_at_url(way, targets)
    if place.is_own_kind:
        way.add("address", OK, "a name of gRPC's own, so only a request can tell")
    else:
        reach(way, deadline)
    for target in targets:
        if way.is_open:
            way.is_open = try_signal(way, target, deadline)
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
