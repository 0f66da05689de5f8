"""The OTEL_* and PETSARD_OTEL_* variables: which are set, which cannot be used, which are misspelt.

Each is judged alone, by the code that reads it, so that all mistakes are told and not the first.
No value of a header, no key and no password is told.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from petsard_otel import settings
from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import Settings
from petsard_otel.telemetry.sending.environment import (
    check_resource_attributes,
    check_sdk_variables,
    read,
)
from petsard_otel.telemetry.sending.targets import HTTP, route_of
from petsard_otel.telemetry.sending.trace_url import trace_url_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PREFIXES = ("OTEL_", "PETSARD_OTEL_")

SIGNALS = ("traces", "metrics", "logs")

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
"""What the SDK knows; it takes its default for any other."""

SAMPLER, SAMPLER_ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"

DISABLED = "OTEL_SDK_DISABLED"

NAMED = {
    "OTEL_PROPAGATORS": "opentelemetry_propagator",
    "OTEL_PYTHON_TRACER_PROVIDER": "opentelemetry_tracer_provider",
    "OTEL_PYTHON_METER_PROVIDER": "opentelemetry_meter_provider",
    "OTEL_PYTHON_LOGGER_PROVIDER": "opentelemetry_logger_provider",
    "OTEL_PYTHON_CONTEXT": "opentelemetry_context",
}
"""Variables that name what some package offers, and what it offers it as."""

NOT_OURS = frozenset({"PETSARD_OTEL_CACHE"})
"""Variables of this project's Makefile."""

_CHANGE = "correct it, or `unset {}`"


def variables_set() -> list[str]:
    """Return the names of our variables and OpenTelemetry's that have a value."""
    return sorted(n for n, v in os.environ.items() if n.startswith(PREFIXES) and v.strip())


@contextmanager
def set_aside(names: Iterable[str]) -> Iterator[None]:
    """Do without some variables while the block runs."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def unusable(names: Iterable[str], checks: Iterable[Callable[[], object]]) -> dict[str, str]:
    """Return the variables that, set alone, one of the checks refuses, and what it says.

    An endpoint is judged with the protocols: which URL can be one depends on them.
    """
    found: dict[str, str] = {}
    everything = variables_set()
    for name in sorted(names, key=_is_endpoint):
        kept = {name}
        if _is_endpoint(name):
            kept |= {other for other in everything if other.endswith("_PROTOCOL")} - found.keys()
        with set_aside(other for other in everything if other not in kept):
            for check in checks:
                try:
                    check()
                except (ConfigError, ValueError, OSError) as error:
                    found[name] = str(error)
                    break
    return found


def _is_endpoint(name: str) -> bool:
    return name.endswith("_ENDPOINT")


def check_variables() -> None:
    """Judge what is set as `configure()` and the command line do, without the SDK.

    Raises:
        ConfigError: A variable has a value that it cannot have.
        ValueError: The same.
    """
    check_sdk_variables()
    check_resource_attributes()
    Settings.from_environment()
    trace_url_template()
    for signal in SIGNALS:
        route_of(signal, None, None)
        # With an endpoint, variables are read that matter only where there is one.
        route_of(signal, "http://localhost:4317", None)
    _check_sampler()
    _check_names()
    _check_files()


def check_batching() -> None:
    """Judge what is set as the SDK's processors and readers do.

    Raises:
        ConfigError: A variable has a value that it cannot have.
    """
    from petsard_otel.telemetry.sending.pipelines import Pipelines
    from petsard_otel.telemetry.sending.report import Report
    from petsard_otel.telemetry.sending.targets import Route

    report = Report()
    routes = {
        "traces": Route(),
        "metrics": route_of("metrics", "http://localhost:4318", HTTP),
        "logs": Route(),
    }
    # Metrics are not sent where OTEL_METRICS_EXPORTER, alone, says so; then nothing is made.
    Pipelines(routes, report)
    for delivery in report.deliveries:
        delivery.stop()


def findings_of_variables(refused: dict[str, str]) -> Iterator[Finding]:
    """Tell what is set, what of it cannot be used, and what looks misspelt.

    Args:
        refused: What `unusable` found.
    """
    for name, reason in sorted(refused.items()):
        remedy = _CHANGE.format(name)
        yield Finding("variables", name, PROBLEM, _bounded(reason), remedy, (name,))
    present = variables_set()
    usable = [name for name in present if name not in refused]
    doubts = [doubt for name in usable for doubt in _doubts(name)]
    yield from doubts
    doubted = {doubt.check for doubt in doubts}
    fine = [name for name in usable if name not in doubted]
    if fine:
        yield Finding("variables", "usable", OK, ", ".join(fine), None, tuple(fine))
    elif not present:
        yield Finding("variables", "usable", OK, "no OTEL_* or PETSARD_OTEL_* variable is set")


def _doubts(name: str) -> Iterator[Finding]:
    """Yield what is odd about a variable that can be used."""
    value = os.environ[name].strip()
    close = get_close_matches(name, _known(), 1, 0.85)
    if name not in _known() and name not in NOT_OURS and close:
        yield Finding(
            "variables",
            name,
            PROBLEM,
            f"nobody reads {name}",
            f"rename it to {close[0]}, if that is what is meant",
            (name,),
        )
    elif name.endswith("CREDENTIAL_PROVIDER"):
        yield Finding(
            "variables",
            name,
            NOTE,
            f"petsard-otel does not read {name}",
            "say it with OTEL_EXPORTER_OTLP_HEADERS or OTEL_EXPORTER_OTLP_CLIENT_KEY",
            (name,),
        )
    elif name == DISABLED and value.lower() not in {"true", "false"}:
        yield Finding(
            "variables",
            name,
            NOTE,
            f"{name} is true or false; what it is set to counts as false",
            f"export {name}=true, or `unset {name}`",
            (name,),
        )


def _known() -> frozenset[str]:
    """Return every variable that we, OpenTelemetry's SDK or its instrumentation read."""
    from opentelemetry import environment_variables as of_api
    from opentelemetry.instrumentation import environment_variables as of_instrumentation
    from opentelemetry.sdk import environment_variables as of_sdk

    rooms = (of_api, of_instrumentation, of_sdk)
    names = {name for room in rooms for name in vars(room) if name.startswith("OTEL_")}
    names |= {f"OTEL_EXPORTER_OTLP_{signal.upper()}_INSECURE" for signal in SIGNALS}
    names |= {str(value) for value in vars(settings).values() if str(value).startswith(PREFIXES)}
    return frozenset(names)


def _check_sampler() -> None:
    name, argument = read(SAMPLER), read(SAMPLER_ARGUMENT)
    if name is not None and name.lower() not in SAMPLERS:
        raise ConfigError(
            f"{SAMPLER} is {', '.join(SAMPLERS[:-1])} or {SAMPLERS[-1]} (found {name!r}); "
            "the SDK takes parentbased_always_on"
        )
    if argument is None:
        return
    try:
        is_share = 0 <= float(argument) <= 1
    except ValueError:
        is_share = False
    if not is_share:
        raise ConfigError(
            f"{SAMPLER_ARGUMENT} is a share from 0 to 1 (found {argument!r}); the SDK takes 1"
        )


def _check_names() -> None:
    for variable, group in NAMED.items():
        offered = {found.name for found in metadata.entry_points(group=group)} | {"none"}
        given = [name.strip() for name in (read(variable) or "").split(",") if name.strip()]
        for name in given:
            if name not in offered:
                raise ConfigError(f"{variable} names {name!r}, which no installed package offers")


def _check_files() -> None:
    """Check that certificates are such, and keys can be read."""
    for signal in ("", *(f"{signal.upper()}_" for signal in SIGNALS)):
        prefix = f"OTEL_EXPORTER_OTLP_{signal}"
        for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            path = read(f"{prefix}{what}")
            if path is None:
                continue
            try:
                with Path(path).open("rb") as file:
                    file.read(1)
                if what != "CLIENT_KEY":
                    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
            except ssl.SSLError:
                raise ConfigError(
                    f"{prefix}{what} is the path of a certificate in PEM format, and what is at "
                    f"{path!r} is none"
                ) from None
            except OSError as error:
                raise ConfigError(
                    f"{prefix}{what} cannot be read ({error.strerror}): {path!r}"
                ) from None


def _bounded(reason: str, length: int = 300) -> str:
    return reason if len(reason) <= length else f"{reason[: length - 3]}..."
