"""Which versions are installed, and whether OpenTelemetry's packages agree with each other."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SDK = "opentelemetry-sdk"

EXPORTERS = ("opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http")

SHOWN = {
    "opentelemetry-api": "API",
    SDK: "SDK",
    "opentelemetry-exporter-otlp": "OTLP exporters",
    "opentelemetry-instrumentation": "instrumentation",
    "grpcio": "gRPC",
}
"""Packages whose versions are told, and what a person calls them."""

_OURS = "opentelemetry-"


class Installed(NamedTuple):
    """An installed distribution."""

    version: str
    requires: tuple[str, ...] = ()
    """Its requirements as its metadata have them."""


def versions() -> Iterator[Finding]:
    """Tell the versions of what is in force, and whether they go together."""
    yield Finding(
        "versions",
        "petsard-otel",
        OK,
        f"petsard-otel {__version__} on {platform.python_implementation()} "
        f"{platform.python_version()}",
    )
    yield agreement(installed_packages())


def installed_packages() -> dict[str, Installed]:
    """Return OpenTelemetry's distributions, and gRPC's, by canonical name."""
    found: dict[str, Installed] = {}
    for distribution in metadata.distributions():
        # Of a distribution without metadata there is no name.
        canonical = canonicalize_name(distribution.metadata["Name"] or "")
        if canonical.startswith(_OURS) or canonical in SHOWN:
            # The first on the path is the one that is imported.
            found.setdefault(
                canonical, Installed(distribution.version, tuple(distribution.requires or ()))
            )
    return found


def agreement(installed: Mapping[str, Installed]) -> Finding:
    """Tell whether OpenTelemetry's packages are of versions that go together."""
    text = ", ".join(
        f"{shown} {installed[name].version}" for name, shown in SHOWN.items() if name in installed
    )
    conflicts = [*_unmet(installed), *_apart(installed)]
    if not conflicts:
        return Finding("versions", "opentelemetry", OK, f"{text}; they agree")
    sdk = installed.get(SDK)
    wanted = "" if sdk is None else f"=={sdk.version}"
    return Finding(
        "versions",
        "opentelemetry",
        PROBLEM if sdk is not None else NOTE,
        f"{text}; {'; '.join(dict.fromkeys(conflicts))}",
        f'pip install --upgrade "opentelemetry-api{wanted}" "{SDK}{wanted}" '
        f'"opentelemetry-exporter-otlp{wanted}"',
    )


def _unmet(installed: Mapping[str, Installed]) -> Iterator[str]:
    """Yield what OpenTelemetry's packages require of each other and do not have."""
    for name, distribution in sorted(installed.items()):
        for text in distribution.requires:
            try:
                wanted = Requirement(text)
                is_for_us = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
                other = installed.get(canonicalize_name(wanted.name))
                if not is_for_us or not wanted.name.startswith(_OURS):
                    continue
                has_it = other is not None and wanted.specifier.contains(
                    other.version, prereleases=True
                )
            except (InvalidRequirement, InvalidVersion):
                continue
            if not has_it:
                have = "which is missing" if other is None else f"not {other.version}"
                yield f"{name} needs {wanted.name}{wanted.specifier}, {have}"


def _apart(installed: Mapping[str, Installed]) -> Iterator[str]:
    """Yield exporters of another version than the SDK."""
    sdk = installed.get(SDK)
    for name in EXPORTERS:
        exporter = installed.get(name)
        if sdk is not None and exporter is not None and exporter.version != sdk.version:
            yield f"{name} is {exporter.version}, the SDK {sdk.version}"
