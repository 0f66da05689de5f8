"""Which provider is in force, who owns it, and `configure()` for people who have none.

The rule, in this order: a provider handed over; the one that `configure()` built; the global one,
if somebody set one; else a private one that exports nowhere. Only what was built here is ever
shut down, and the global provider is never set.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import _logs as logs_api
from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    AlwaysRecordSampler,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
)

from petsard_otel.attributes import SCOPE_NAME
from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import LOGS, SHUTDOWN_SECONDS, Settings
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.identity import SCHEMA_URL
from petsard_otel.telemetry.metrics import Metrics, metrics_of
from petsard_otel.telemetry.mirror import StatusSpanProcessor, mirror_of
from petsard_otel.telemetry.recording import SystemIds, recording_provider
from petsard_otel.telemetry.sending.endings import Ending, end_within
from petsard_otel.telemetry.sending.environment import (
    check_resource_attributes,
    check_sdk_variables,
    read,
)
from petsard_otel.telemetry.sending.report import Report
from petsard_otel.telemetry.sending.targets import GRPC, HTTP, route_of
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry._logs import LoggerProvider as AnyLoggerProvider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Tracer

    from petsard_otel.history.run_journal import RunJournal
    from petsard_otel.settings import HistoryChoice
    from petsard_otel.store import StatusStore
    from petsard_otel.telemetry.sending.delivery import Delivery
    from petsard_otel.telemetry.sending.exporters import Arrears

COST_SECONDS = 1.5
"""What sending may cost a process that nobody answers, from the imports to the last word."""

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_private: TracerProvider | None = None
_configured: Configuration | None = None
_kept: HistoryChoice | None = None


@dataclass(frozen=True)
class Instruments:
    """What a run records with. `provider` is None where the one that there is failed."""

    tracer: Tracer
    mirror: StatusSpanProcessor
    metrics: Metrics
    settings: Settings
    provider: trace_api.TracerProvider | None


def instruments(
    tracer_provider: trace_api.TracerProvider | None,
    meter_provider: metrics_api.MeterProvider | None,
    guard: Guard,
    settings: Settings | None = None,
) -> Instruments:
    """Resolve the providers in force now, and make a tracer and instruments of them.

    A provider that fails is treated as one that records nothing. The settings are those of
    `configure()`, where it was called, else the ones handed over.
    """
    tracer: Tracer = trace_api.NoOpTracer()
    mirror = StatusSpanProcessor()
    metrics = None
    provider: trace_api.TracerProvider | None = None
    with guard:
        provider = _provider_in_force() if tracer_provider is None else tracer_provider
        tracer = provider.get_tracer(SCOPE_NAME, __version__, SCHEMA_URL)
        if type(getattr(tracer, "id_generator", None)) is RandomIdGenerator:
            # It draws from the `random` module's generator, which modules seed. The tracer is ours.
            tracer.id_generator = SystemIds()  # type: ignore[attr-defined]
        mirror = mirror_of(provider)
    with guard:
        metrics = metrics_of(_meters_in_force() if meter_provider is None else meter_provider)
    if metrics is None:
        metrics = Metrics(metrics_api.NoOpMeterProvider())
    return Instruments(tracer, mirror, metrics, settings_in_force(settings or Settings()), provider)


def keep_history(choice: HistoryChoice | None) -> HistoryChoice | None:
    """Have the runs of this process kept on disk, or not, whatever else is said.

    Args:
        choice: Whether, or where; None: as something else says.

    Returns:
        What was said before.
    """
    global _kept
    former, _kept = _kept, choice
    return former


def _history_in_force(settings: Settings) -> HistoryChoice:
    return (settings.history or False) if _kept is None else _kept


def journal_of(found: Instruments, store: StatusStore, source: str | None) -> RunJournal | None:
    """Return what keeps a run on disk; None where it is not to be kept.

    Args:
        found: What the run records with.
        store: Its records.
        source: Its configuration's file.
    """
    choice = _history_in_force(found.settings)
    if choice is False:
        return None
    from petsard_otel.history.journals import journal_at
    from petsard_otel.history.place import place_of
    from petsard_otel.history.run_journal import RunJournal
    from petsard_otel.telemetry.otlp.messages import envelope_bytes

    try:
        place = place_of(choice, source)
    except FileNotFoundError:
        _logger.warning(
            "this run is not kept: the current folder is gone; its results are not affected"
        )
        return None
    provider = found.provider
    resource = None
    if provider is not _private:
        # It may be anything, and fail.
        with Guard():
            resource = getattr(provider, "resource", None)
    if not isinstance(resource, Resource):
        resource = resource_in_force(None)
    wants = (
        _configured is not None
        and provider is _configured.tracer_provider
        and _configured.delivery is not None
    )
    envelope = envelope_bytes(
        resource.attributes, resource.schema_url, SCOPE_NAME, __version__, SCHEMA_URL
    )
    return RunJournal(journal_at(place), store, envelope, wants=wants)


def settings_in_force(settings: Settings) -> Settings:
    """Return the settings of `configure()`, where it was called, else the ones given."""
    return settings if _configured is None else _configured.settings


def logger_provider_in_force(settings: Settings) -> AnyLoggerProvider | None:
    """Return where log records go: where `configure()` says, else to the global provider.

    None where nobody asked for logs.
    """
    if _configured is not None and _configured.logger_provider is not None:
        return _configured.logger_provider
    if not settings_in_force(settings).logs:
        return None
    return logs_api.get_logger_provider()


def _meters_in_force() -> metrics_api.MeterProvider:
    if _configured is not None:
        return _configured.meter_provider
    return metrics_api.get_meter_provider()


def _provider_in_force() -> trace_api.TracerProvider:
    if _configured is not None:
        return _configured.tracer_provider
    found = trace_api.get_tracer_provider()
    if isinstance(found, trace_api.ProxyTracerProvider):
        return _private_provider()
    return found


def _private_provider() -> TracerProvider:
    """Return the provider for processes without any: it records all and exports nowhere."""
    global _private  # noqa: PLW0603  one provider for all runs of a process, made when first needed
    with _lock:
        if _private is None:
            _private = recording_provider(ALWAYS_ON, Resource.get_empty())
        return _private


class Configuration:
    """What `configure()` built: the providers of each signal and the way to end them.

    Attributes:
        settings: What may leave the process.
        tracer_provider: Records everything, exports what is sampled.
        meter_provider: Records nothing where metrics are not exported.
        logger_provider: None where logs are not exported.
        report: Says what did not arrive.
    """

    def __init__(
        self,
        settings: Settings,
        tracer_provider: TracerProvider,
        meter_provider: metrics_api.MeterProvider,
        logger_provider: LoggerProvider | None,
        report: Report,
        setup_seconds: float,
    ) -> None:
        self.settings = settings
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self.report = report
        self._last_seconds = min(SHUTDOWN_SECONDS, max(COST_SECONDS - setup_seconds, 0.5))
        self._is_shut_down = False
        endings: list[Callable[[], object]] = [tracer_provider.shutdown]
        if isinstance(meter_provider, MeterProvider):
            endings.append(meter_provider.shutdown)
        if logger_provider is not None:
            endings.append(logger_provider.shutdown)
        self._endings = [Ending(end, may_take_long=bool(report.deliveries)) for end in endings]
        atexit.register(self.shutdown)

    @property
    def delivery(self) -> Delivery[ReadableSpan] | None:
        """How many spans ought to arrive, and how many did; None where none are sent."""
        return self.report.delivery_of("traces")

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Send what is left. Later calls do nothing.

        Args:
            timeout_seconds: How long that may take. Without it so long that a process has spent
                less than two seconds on sending in all.
        """
        global _configured  # noqa: PLW0603  what is shut down is no longer in force
        with _lock:
            if self._is_shut_down:
                return
            self._is_shut_down = True
            if _configured is self:
                _configured = None
        atexit.unregister(self.shutdown)
        seconds = self._last_seconds if timeout_seconds is None else timeout_seconds
        end_within(seconds, self._endings, self.report)


def configure(
    endpoint: str | None = None,
    *,
    service_name: str | None = None,
    protocol: str | None = None,
    sample_ratio: float | None = None,
    capture: str | None = None,
    field_names: str | None = None,
    logs: bool | None = None,
    history: HistoryChoice | os.PathLike[str] | None = None,
) -> Configuration:
    """Set telemetry up for runs of this process that have none.

    The provider that this builds records everything, so that a Status is whole, and exports what
    is sampled. It is used by our runs alone; the global provider is not touched. A second call
    replaces the first, which is shut down.

    Args:
        endpoint: Base URL of an OTLP receiver, such as `http://localhost:4317`. Without it the
            standard OTEL_EXPORTER_OTLP_* and OTEL_*_EXPORTER variables decide, for each signal;
            where they are silent too, nothing is exported.
        service_name: `service.name` of the resource; else OTEL_SERVICE_NAME, else `petsard`.
        protocol: `grpc` or `http/protobuf`. Without it OTEL_EXPORTER_OTLP_PROTOCOL, else
            `http/protobuf` for an endpoint on port 4318 and `grpc` for any other.
        sample_ratio: Export this share of the runs, from 0 to 1; else OTEL_TRACES_SAMPLER.
        capture: `structure` or `statistics`; else PETSARD_OTEL_CAPTURE.
        field_names: `plain` or `hashed`; else PETSARD_OTEL_FIELD_NAMES.
        logs: Whether records of the `PETsARD` logger are exported; else PETSARD_OTEL_LOGS, else
            where OTEL_LOGS_EXPORTER asks for them.
        history: Whether runs are kept on disk, in `.petsard-otel/runs.db` beside their
            configuration, or the path of the database; else PETSARD_OTEL_HISTORY, else they are
            not.

    Returns:
        The configuration; its `shutdown()` sends what is left. It is called at exit as well.

    Raises:
        ConfigError: An argument, or a variable, is not usable.
    """
    global _configured
    begun = time.monotonic()
    if protocol not in {None, GRPC, HTTP}:
        raise ConfigError(f"protocol is grpc or http/protobuf (found {protocol!r})")
    check_resource_attributes()
    check_sdk_variables()
    sampler = sampler_in_force(sample_ratio)
    settings = settings_asked_for(capture, field_names, logs=logs, history=history)
    routes = {
        signal: route_of(signal, endpoint, protocol)
        for signal in ("traces", "metrics", *(["logs"] if settings.logs else []))
    }
    for signal, found in routes.items():
        if found.left_out is not None:
            _logger.warning(
                "OTEL_%s_EXPORTER=%s is left out; there are otlp, console and none",
                signal.upper(),
                found.left_out,
            )
    resource = resource_in_force(service_name)
    tracer_provider = recording_provider(AlwaysRecordSampler(sampler), resource)
    report = Report()
    meter_provider: metrics_api.MeterProvider = metrics_api.NoOpMeterProvider()
    logger_provider = None
    if any(route.target or route.is_printed for route in routes.values()):
        # What sends takes a moment to import.
        from petsard_otel.telemetry.sending.pipelines import Pipelines

        is_kept = _history_in_force(settings) is not False
        pipelines = Pipelines(routes, report, *(_keepers() if is_kept else ()))
        pipelines.attach_to(tracer_provider)
        meter_provider = pipelines.meter_provider(resource) or meter_provider
        logger_provider = pipelines.logger_provider(resource)
    configuration = Configuration(
        settings,
        tracer_provider,
        meter_provider,
        logger_provider,
        report,
        time.monotonic() - begun,
    )
    former, _configured = _configured, configuration
    if former is not None:
        former.shutdown()
        _logger.debug("configure() replaced an earlier configuration")
    return configuration


def _keepers() -> tuple[Callable[[Sequence[ReadableSpan], str], None], Arrears]:
    """Return what notes which spans have been accepted, and what sends those that were not."""
    from petsard_otel.history.journals import accept_everywhere, open_places
    from petsard_otel.history.unsent import EarlierRuns

    def note(spans: Sequence[ReadableSpan], endpoint: str) -> None:
        accept_everywhere(
            [span.context.span_id for span in spans if span.context is not None], endpoint
        )

    return note, EarlierRuns(open_places)


def resource_in_force(service_name: str | None) -> Resource:
    """Return the resource of what `configure()` builds."""
    found = Resource.create({SERVICE_NAME: service_name} if service_name else {})
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "petsard"}))
    return found


def settings_asked_for(
    capture: str | None = None,
    field_names: str | None = None,
    *,
    logs: bool | None = None,
    history: HistoryChoice | os.PathLike[str] | None = None,
) -> Settings:
    """Return the settings of what `configure()` builds, from its arguments and the variables.

    Raises:
        ConfigError: One of them has a value that it cannot have.
    """
    place = os.fspath(history) if isinstance(history, os.PathLike) else history
    if not isinstance(place, bool | str | None):
        raise ConfigError(
            f"history is True, False or the path of a database (found {type(history).__name__})"
        )
    if place == "":
        raise ConfigError("history is True, False or the path of a database (found '')")
    if logs is None and read(LOGS) is None and read("OTEL_LOGS_EXPORTER") is not None:
        route = route_of("logs", None, None)
        logs = route.target is not None or route.is_printed
    try:
        return Settings.from_environment().given(
            capture=capture,
            field_names=field_names,
            logs=logs,
            history=place,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def sampler_in_force(sample_ratio: float | None) -> Sampler:
    """Return the sampler of what `configure()` builds: of a share of the runs, else of the SDK."""
    if sample_ratio is None:
        return recording_provider(None, Resource.get_empty()).sampler
    if not 0 <= sample_ratio <= 1:
        raise ConfigError(f"sample_ratio is a share from 0 to 1 (found {sample_ratio!r})")
    return ParentBased(ALWAYS_ON) if sample_ratio == 1 else ParentBasedTraceIdRatio(sample_ratio)


def _renew_lock() -> None:
    """Free the child of a fork from a lock that a thread of its parent held."""
    global _lock  # noqa: PLW0603  there is one for the process
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
