"""PETsARD: whether it is there, which engine `auto` takes, and what is instrumented.

PETsARD is not imported: that takes many seconds.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

import petsard_otel
from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.engines import PETSARD_EXTRA, petsard_version
from petsard_otel.telemetry.sending.environment import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

ENTRY_POINTS = "opentelemetry_instrumentor"


def findings_of_petsard() -> Iterator[Finding]:
    """Tell about PETsARD, its engine and its instrumentation."""
    version = petsard_version()
    supported = ", ".join(petsard_otel.PETsARDInstrumentor().instrumentation_dependencies())
    if version is None:
        yield Finding("petsard", "version", OK, "not installed")
        yield Finding("petsard", "engine", OK, "auto takes the built-in modules")
    else:
        yield from _installed(version, supported)
    yield _entry_point()
    yield _active()
    yield from _conflicts()


def _installed(version: str, supported: str) -> Iterator[Finding]:
    wanted = Requirement(supported)
    is_supported = wanted.specifier.contains(version, prereleases=True)
    yield Finding(
        "petsard",
        "version",
        OK if is_supported else PROBLEM,
        f"PETsARD {version}, {'supported' if is_supported else 'not supported'}: "
        f"{wanted.specifier} is",
        None if is_supported else f'pip install "petsard{wanted.specifier}"',
    )
    missing, others = unmet(metadata.requires("petsard-otel") or [], "petsard")
    if missing:
        text = f"PETsARD cannot work without {', '.join(missing)}"
        yield Finding("petsard", "dependencies", PROBLEM, text, PETSARD_EXTRA)
    if others:
        text = f"other versions than PETsARD is known to work with: {', '.join(others)}"
        yield Finding("petsard", "dependencies", NOTE, text, PETSARD_EXTRA)
    if not missing and not others:
        yield Finding("petsard", "dependencies", OK, "all that PETsARD needs is installed")
    text = "auto takes PETsARD's modules, if PETsARD can be imported, which is not tried here"
    yield Finding("petsard", "engine", OK, text)


def unmet(requirements: Iterable[str], extra: str) -> tuple[list[str], list[str]]:
    """Return what an extra requires and is missing, and what is there in another version.

    Args:
        requirements: As a distribution's metadata have them.
        extra: Which of its extras.
    """
    missing, others = [], []
    for text in requirements:
        try:
            wanted = Requirement(text)
            is_of_extra = (
                wanted.marker is not None
                and wanted.marker.evaluate({"extra": extra})
                and not wanted.marker.evaluate({"extra": ""})
            )
            if not is_of_extra or wanted.name == "petsard":
                continue
            found = metadata.version(wanted.name)
            if not wanted.specifier.contains(found, prereleases=True):
                others.append(f"{wanted.name} {found} (wanted {wanted.specifier})")
        except metadata.PackageNotFoundError:
            missing.append(wanted.name)
        except (InvalidRequirement, InvalidVersion):
            continue
    return missing, others


def _entry_point() -> Finding:
    names = {found.name for found in metadata.entry_points(group=ENTRY_POINTS)}
    if "petsard" not in names:
        return Finding(
            "petsard",
            "instrumentor",
            PROBLEM,
            "opentelemetry-instrument does not find the one of petsard-otel",
            "install it anew: `pip install --force-reinstall petsard-otel`",
        )
    switched_off = [name.strip() for name in (read(DISABLED) or "").split(",")]
    if "petsard" in switched_off or "*" in switched_off:
        return Finding(
            "petsard",
            "instrumentor",
            NOTE,
            "opentelemetry-instrument leaves PETsARD out",
            f"take petsard out of {DISABLED}",
            (DISABLED,),
        )
    return Finding("petsard", "instrumentor", OK, "opentelemetry-instrument finds it")


def _active() -> Finding:
    if petsard_otel.PETsARDInstrumentor().is_instrumented_by_opentelemetry:
        return Finding("petsard", "instrumented", OK, "PETsARD is instrumented in this process")
    return Finding("petsard", "instrumented", OK, "PETsARD is not instrumented in this process")


def _conflicts() -> Iterator[Finding]:
    """Tell what keeps the instrumentor from its work, where PETsARD is there at all."""
    from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

    wanted = petsard_otel.PETsARDInstrumentor().instrumentation_dependencies()
    conflict = get_dependency_conflicts(wanted)
    if conflict is not None and conflict.found:
        yield Finding(
            "petsard",
            "conflicts",
            PROBLEM,
            f"PETsARD is not instrumented: it has to be {conflict.required}, and {conflict.found} "
            "is installed",
            f'pip install "{conflict.required}"',
        )
