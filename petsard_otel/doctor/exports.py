"""Where each signal is sent and how, and which variable says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import LOGS, TRACE_URL, Settings
from petsard_otel.telemetry.sending.environment import read, setting
from petsard_otel.telemetry.sending.targets import GRPC, route_of, without_password
from petsard_otel.telemetry.sending.trace_url import NOWHERE, trace_url_template
from petsard_otel.telemetry.setup import settings_asked_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from petsard_otel.doctor.providers import Provider
    from petsard_otel.telemetry.sending.targets import Target

_WORDS = (
    "ENDPOINT",
    "PROTOCOL",
    "HEADERS",
    "TIMEOUT",
    "COMPRESSION",
    "CERTIFICATE",
    "CLIENT_KEY",
    "CLIENT_CERTIFICATE",
    "INSECURE",
)
"""The ends of the OTEL_EXPORTER_OTLP_* variables that a target depends on."""


class Exports:
    """What is sent, by signal; and the findings that say so."""

    def __init__(self, provider: Provider, endpoint: str | None, protocol: str | None) -> None:
        self.targets: list[Target] = []
        self.findings: list[Finding] = []
        self._endpoint, self._protocol = endpoint, protocol
        if not (provider.is_built or provider.is_foreign):
            return
        for signal in ("traces", "metrics", "logs"):
            self.findings += self._look_at(signal, is_foreign=provider.is_foreign)
        self.findings += _trace_url()

    def _look_at(self, signal: str, *, is_foreign: bool) -> Iterator[Finding]:
        if signal == "logs" and not _has_logs(is_foreign=is_foreign):
            text = f"not sent; {LOGS}=true would"
            yield Finding("export", signal, OK, text)
            return
        try:
            route = route_of(signal, self._endpoint, self._protocol)
        except ConfigError as error:
            yield Finding(
                "export", signal, PROBLEM, str(error), "correct the variable that it names"
            )
            return
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        if route.left_out is not None:
            yield Finding(
                "export",
                signal,
                NOTE,
                f"{route.left_out} is left out; there are otlp, console and none",
                f"`export {variable}=otlp`",
                (variable,),
            )
        if route.is_printed:
            yield Finding("export", signal, OK, "printed on stdout", None, (variable,))
        if route.target is not None:
            self.targets.append(route.target)
            text = _described(route.target)
            if not is_foreign:
                # Others' exporters have another default.
                text += f", at most {route.target.timeout_seconds:g} s a request"
            yield Finding("export", signal, OK, text, None, self._sources(route.target))
        elif not route.is_printed:
            yield self._unsent(signal, variable, is_foreign=is_foreign)

    def _unsent(self, signal: str, variable: str, *, is_foreign: bool) -> Finding:
        if is_foreign:
            text = "the variables name no endpoint: what the global provider exports is its own"
            return Finding("export", signal, OK, text)
        said = read(variable) is not None
        text = "not sent" if said else "not sent: no endpoint is named for them"
        remedy = f"`export {variable}=otlp`" if signal == "traces" and said else None
        return Finding(
            "export",
            signal,
            NOTE if signal == "traces" else OK,
            text,
            remedy,
            (variable,) if said else (),
        )

    def _sources(self, target: Target) -> tuple[str, ...]:
        """Name the options and variables that a target comes from."""
        given = {"ENDPOINT": self._endpoint, "PROTOCOL": self._protocol}
        variable = f"OTEL_{target.signal.upper()}_EXPORTER"
        sources = [f"--{word.lower()}" for word, value in given.items() if value is not None]
        sources += [variable] if read(variable) is not None else []
        for word in _WORDS:
            name, value = setting(target.signal, word)
            is_used = not (word == "INSECURE" and self._endpoint is not None)
            if value is not None and given.get(word) is None and is_used:
                sources.append(name)
        return tuple(sources)


def _described(target: Target) -> str:
    protocol = "gRPC" if target.protocol == GRPC else "HTTP"
    parts = [f"to {without_password(target.endpoint)} over {protocol}"]
    if target.headers:
        parts.append(f"with headers {', '.join(sorted(name for name, _ in target.headers))}")
    if target.compression != "none":
        parts.append(f"in {target.compression}")
    return ", ".join(parts)


def _has_logs(*, is_foreign: bool) -> bool:
    """Tell whether log records are sent, as `configure()` would."""
    if is_foreign:
        return read(LOGS) is not None and Settings.from_environment().logs
    return settings_asked_for().logs


def _trace_url() -> Iterator[Finding]:
    if read(TRACE_URL) is not None:
        text = "`petsard-otel run` ends with the URL of the trace"
        if trace_url_template() == NOWHERE:
            text = "`petsard-otel run` tells no URL of the trace"
        yield Finding("export", "trace URL", OK, text, None, (TRACE_URL,))
