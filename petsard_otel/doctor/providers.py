"""Which tracer provider is in force, whose it is, what it leaves out and what it would cut."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from petsard_otel.doctor.findings import NOTE, OK, PROBLEM, Finding
from petsard_otel.doctor.variables import DISABLED, SAMPLER, SAMPLER_ARGUMENT
from petsard_otel.settings import MAX_ATTRIBUTE_BYTES, Settings
from petsard_otel.telemetry.propagation import context_from_environment
from petsard_otel.telemetry.sending.environment import EXPORT_VARIABLES, read
from petsard_otel.telemetry.setup import sampler_in_force, settings_in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ATTRIBUTES = 39
"""How many attributes a span of ours has at most."""

_AUTO = "opentelemetry.instrumentation.auto_instrumentation"
"""What `opentelemetry-instrument` has every process of its import first."""

_LIMITS = {
    "max_span_attributes": (
        "attributes a span",
        MAX_ATTRIBUTES,
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
    ),
    "max_span_attribute_length": (
        "characters an attribute",
        MAX_ATTRIBUTE_BYTES,
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    ),
    "max_links": ("links a span", 1, ("OTEL_SPAN_LINK_COUNT_LIMIT",)),
}
"""The SDK's limits: what they are of, what our spans need, which variables say so."""

_RATIO = re.compile(r"TraceIdRatioBased\{([^}]*)\}")


class Provider:
    """The tracer provider that runs started in this environment record with."""

    def __init__(self, endpoint: str | None) -> None:
        """Find it out; nothing is made that sends.

        Args:
            endpoint: What --endpoint says.
        """
        self.endpoint = endpoint
        self.foreign: Any = trace.get_tracer_provider()
        if isinstance(self.foreign, trace.ProxyTracerProvider):
            self.foreign = None
        self.asking = tuple(name for name in EXPORT_VARIABLES if read(name) is not None)
        """Variables that have something sent, or not sent."""
        unset = Settings()
        self.is_configured = settings_in_force(unset) is not unset

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else's provider records the runs."""
        return self.foreign is not None and self.endpoint is None and not self.is_configured

    @property
    def is_built(self) -> bool:
        """Whether `configure()` builds it."""
        if self.is_foreign:
            return False
        return self.endpoint is not None or self.is_configured or bool(self.asking)


def findings_of_provider(provider: Provider) -> Iterator[Finding]:
    """Tell whose the provider is, how much of the runs it exports and what it would cut."""
    yield _owner(provider)
    yield from _disabled(provider)
    if provider.is_foreign or provider.is_built:
        yield _sampling(provider)
        yield from _parent()
    yield from _limits(provider)


def _owner(provider: Provider) -> Finding:
    def finding(state: str, text: str, remedy: str | None = None, *sources: str) -> Finding:
        return Finding("provider", "owner", state, text, remedy, sources)

    aside = "" if provider.foreign is None else f"; {_class(provider.foreign)} is left alone"
    if provider.endpoint is not None:
        text = f"one that `petsard-otel run` builds with configure(){aside}"
        return finding(OK, text, None, "--endpoint")
    if provider.is_configured:
        return finding(OK, "the one that configure() built in this process")
    if provider.is_foreign:
        by = (
            "opentelemetry-instrument"
            if _AUTO in sys.modules
            else "OTEL_PYTHON_TRACER_PROVIDER"
            if read("OTEL_PYTHON_TRACER_PROVIDER")
            else "somebody in this process"
        )
        names = [type(found).__name__ for found in _exporters(provider.foreign)]
        exports = f", exports by {', '.join(names)}" if names else ", has no exporter that is known"
        text = f"the global one, set by {by}: {_class(provider.foreign)}{exports}"
        return finding(OK if names else NOTE, text)
    if provider.is_built:
        text = (
            "one that `petsard-otel run` builds with configure(); a script of yours has to call "
            "configure() itself"
        )
        return finding(OK, text, None, *provider.asking)
    return finding(
        NOTE,
        "none: runs are recorded by a private one, and nothing is sent",
        "to send: `export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317`, or --endpoint",
    )


def _disabled(provider: Provider) -> Iterator[Finding]:
    if (read(DISABLED) or "").lower() == "true":
        yield Finding(
            "provider",
            "sdk disabled",
            PROBLEM if provider.is_built or provider.is_foreign else NOTE,
            "OpenTelemetry's SDK is switched off: nothing is exported; a Status answers all the "
            "same",
            f"`unset {DISABLED}`",
            (DISABLED,),
        )


def _sampling(provider: Provider) -> Finding:
    if provider.is_foreign:
        sampler = getattr(provider.foreign, "sampler", None)
    else:
        sampler = sampler_in_force(None)
    described = "" if sampler is None else str(sampler.get_description())
    share = exported_share(described)
    sources = tuple(name for name in (SAMPLER, SAMPLER_ARGUMENT) if read(name) is not None)
    remedy = f"`unset {SAMPLER}`, or `export {SAMPLER}=parentbased_always_on`"
    if share is None:
        name = described.partition("{")[0] or "an unknown one"
        return Finding(
            "provider", "sampler", NOTE, f"{name}, which decides what is exported", None, sources
        )
    if share == 1:
        return Finding("provider", "sampler", OK, "every run is exported", None, sources)
    if share == 0:
        return Finding("provider", "sampler", PROBLEM, "no run is exported", remedy, sources)
    text = f"{100 * share:.4g} % of the runs are exported, each whole or not at all"
    return Finding("provider", "sampler", NOTE, text, f"for all: {remedy}", sources)


def exported_share(description: str) -> float | None:
    """Return the share of the runs without a parent that a sampler exports; None where unknown.

    >>> exported_share("ParentBased{root:TraceIdRatioBased{0.25},remoteParentSampled:...}")
    0.25
    """
    for wrapper in ("AlwaysRecordSampler{", "ParentBased{root:"):
        description = description.removeprefix(wrapper)
    if description.startswith("AlwaysOnSampler"):
        return 1.0
    if description.startswith("AlwaysOffSampler"):
        return 0.0
    ratio = _RATIO.match(description)
    try:
        return None if ratio is None else float(ratio[1])
    except ValueError:
        return None


def _parent() -> Iterator[Finding]:
    """Tell which trace the runs become part of, where the environment names one."""
    if read("TRACEPARENT") is None:
        return
    parent = trace.get_current_span(context_from_environment()).get_span_context()
    trace_id = f"{parent.trace_id:032x}"
    if not parent.is_valid:
        text = "TRACEPARENT is no trace context that OTEL_PROPAGATORS reads, and is not looked at"
        yield Finding("provider", "parent", NOTE, text, "`unset TRACEPARENT`", ("TRACEPARENT",))
    elif parent.trace_flags.sampled:
        text = f"runs become part of trace {trace_id}"
        yield Finding("provider", "parent", OK, text, None, ("TRACEPARENT",))
    elif (read(SAMPLER) or "parentbased_").lower().startswith("parentbased_"):
        text = f"runs become part of trace {trace_id}, which is not sampled, so none is exported"
        yield Finding("provider", "parent", PROBLEM, text, "`unset TRACEPARENT`", ("TRACEPARENT",))


def _limits(provider: Provider) -> Iterator[Finding]:
    """Tell which of the SDK's limits would cut spans of ours."""
    if not provider.is_foreign:
        return
    limits = getattr(provider.foreign, "_span_limits", None)
    is_cut = False
    for name, (what, needed, variables) in _LIMITS.items():
        limit = getattr(limits, name, None)
        if not isinstance(limit, int) or limit >= needed:
            continue
        is_cut = True
        sources = tuple(variable for variable in variables if read(variable) is not None)
        remedy = f"`export {(sources or variables)[0]}={needed}`, or more"
        yield Finding(
            "provider",
            "limits",
            PROBLEM,
            f"it keeps {limit} {what}, and spans of ours have up to {needed:,}: what is sent is "
            "cut; a Status is whole",
            remedy,
            sources,
        )
    if not is_cut and limits is not None:
        ours = f"{MAX_ATTRIBUTES} attributes of {MAX_ATTRIBUTE_BYTES:,} bytes"
        text = f"wide enough for spans of ours ({ours})"
        yield Finding("provider", "limits", OK, text)


def _exporters(provider: Any) -> list[Any]:
    """Return an SDK provider's exporters, as far as its processors tell."""
    whole = getattr(provider, "_active_span_processor", None)
    processors = getattr(whole, "_span_processors", ())
    found = (getattr(processor, "span_exporter", None) for processor in processors)
    return [exporter for exporter in found if exporter is not None]


def _class(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
