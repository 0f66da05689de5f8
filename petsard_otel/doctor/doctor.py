"""The whole examination, part by part. What a part fails by is a finding, too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from petsard_otel.doctor.findings import PROBLEM, SECTIONS, Examination, Finding
from petsard_otel.doctor.variables import (
    check_batching,
    check_variables,
    findings_of_variables,
    set_aside,
    unusable,
    variables_set,
)
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.targets import route_of
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def _say_nothing(message: str) -> None:
    """Say nothing."""


def examine(
    endpoint: str | None = None,
    protocol: str | None = None,
    tell: Callable[[str], None] = _say_nothing,
) -> Examination:
    """Examine this process's environment, and what it would send to.

    Nothing is changed: variables that cannot be used are set aside only while this runs.

    Args:
        endpoint: Base URL of an OTLP receiver, as `configure()` takes it.
        protocol: `grpc` or `http/protobuf`.
        tell: Is told what is going on.

    Raises:
        ConfigError: The endpoint and the protocol cannot be used together.
    """
    with _Silence(), set_aside(variables_set()):
        route_of("traces", endpoint, protocol)
    with _Silence():
        return Examination(__version__, tuple(_ordered(_parts(endpoint, protocol, tell))))


def _parts(
    endpoint: str | None, protocol: str | None, tell: Callable[[str], None]
) -> Iterator[Finding]:
    tell("looking at the variables")
    refused = unusable(variables_set(), [check_variables])
    with set_aside(refused):
        # Its limits are read when it is first imported.
        yield from guarded("versions", _import_sdk)
        candidates = [name for name in variables_set() if name not in refused]
        refused |= unusable(candidates, [check_batching])
    yield from guarded("variables", lambda: findings_of_variables(refused))
    with set_aside(refused):
        yield from _looked_at(endpoint, protocol, tell)


def _looked_at(
    endpoint: str | None, protocol: str | None, tell: Callable[[str], None]
) -> Iterator[Finding]:
    from petsard_otel.doctor.exports import Exports
    from petsard_otel.doctor.history import findings_of_history
    from petsard_otel.doctor.petsard import findings_of_petsard
    from petsard_otel.doctor.privacy import findings_of_privacy
    from petsard_otel.doctor.providers import Provider, findings_of_provider
    from petsard_otel.doctor.receivers import findings_of_receivers
    from petsard_otel.doctor.versions import versions

    yield from guarded("versions", versions)
    exports: list[Exports] = []

    def provider() -> Iterator[Finding]:
        found = Provider(endpoint)
        exports.append(Exports(found, endpoint, protocol))
        yield from findings_of_provider(found)

    yield from guarded("provider", provider)
    for found in exports:
        yield from found.findings
        tell("sending a test span")
        yield from guarded("receiver", lambda: findings_of_receivers(found.targets))  # noqa: B023
    yield from guarded("petsard", findings_of_petsard)
    yield from guarded("privacy", findings_of_privacy)
    yield from guarded("history", findings_of_history)


def _import_sdk() -> Iterator[Finding]:
    import opentelemetry.sdk.trace  # noqa: F401  what it reads on the way is what this is for

    yield from ()


def guarded(section: str, part: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a part finds, and where it fails, that it does."""
    guard = Guard()
    with guard:
        yield from part()
    if guard.first is not None:
        yield Finding(
            section,
            "examination",
            PROBLEM,
            f"could not be looked at: {guard.first}",
            "report it to the makers of petsard-otel, with these lines",
        )


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    order = list(SECTIONS)
    return sorted(findings, key=lambda finding: order.index(finding.section))


class _Silence:
    """Keeps what libraries log to themselves while a part runs: it would be told twice."""

    def __init__(self) -> None:
        self._former = logging.root.manager.disable

    def __enter__(self) -> None:
        logging.disable(logging.CRITICAL)

    def __exit__(self, *exc: object) -> None:
        logging.disable(self._former)
