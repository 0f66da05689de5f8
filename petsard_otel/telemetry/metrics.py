"""The instruments of section "Metrics" of the README. Uses the OpenTelemetry API alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from petsard_otel import attributes as key
from petsard_otel.telemetry.identity import SCHEMA_URL
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

DURATION_BOUNDARIES = [
    0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200,
]  # fmt: skip
"""Buckets in seconds, from a fast Loader to half a day of training."""

ROW_BOUNDARIES = [0, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
"""Buckets in rows."""


class Metrics:
    """The instruments of one meter provider. Thread-safe, as the provider's instruments are."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(key.SCOPE_NAME, __version__, SCHEMA_URL)
        self._module_duration = meter.create_histogram(
            key.METRIC_MODULE_DURATION,
            unit="s",
            description="How long module executions took.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES,
        )
        self._run_duration = meter.create_histogram(
            key.METRIC_RUN_DURATION,
            unit="s",
            description="How long runs took.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES,
        )
        self._module_rows = meter.create_histogram(
            key.METRIC_MODULE_ROWS,
            unit="{row}",
            description="Rows of the tables that modules produced.",
            explicit_bucket_boundaries_advisory=ROW_BOUNDARIES,
        )
        self._run_active = meter.create_up_down_counter(
            key.METRIC_RUN_ACTIVE, unit="{run}", description="Runs under way."
        )
        self._schema_changes = meter.create_counter(
            key.METRIC_SCHEMA_CHANGES,
            unit="{change}",
            description="Module executions whose output had another schema than their input.",
        )

    def module_ended(
        self,
        *,
        module: str,
        experiment: str,
        engine: str,
        duration_seconds: float,
        rows: int | None,
        has_changed_schema: bool,
        error_type: str | None,
    ) -> None:
        """Record one module execution, while its span is the current one, for exemplars."""
        attributes = {
            key.MODULE_NAME: module,
            key.EXPERIMENT_NAME: experiment,
            key.ENGINE: engine,
        }
        if has_changed_schema:
            self._schema_changes.add(1, attributes)
        if rows is not None:
            self._module_rows.record(rows, attributes)
        if error_type is not None:
            attributes[key.ERROR_TYPE] = error_type
        self._module_duration.record(duration_seconds, attributes)

    def run_started(self, engine: str) -> None:
        """Count a run as under way."""
        self._run_active.add(1, {key.ENGINE: engine})

    def run_ended(self, engine: str, duration_seconds: float, error_type: str | None) -> None:
        """Record a run, which is no longer under way."""
        self._run_active.add(-1, {key.ENGINE: engine})
        attributes = {key.ENGINE: engine}
        if error_type is not None:
            attributes[key.ERROR_TYPE] = error_type
        self._run_duration.record(duration_seconds, attributes)


_lock = threading.Lock()
_of_provider: WeakKeyDictionary[MeterProvider, Metrics] = WeakKeyDictionary()


def metrics_of(provider: MeterProvider) -> Metrics:
    """Return the provider's instruments, made once: a second set would be a conflict."""
    with _lock:
        found = _of_provider.get(provider)
        if found is None:
            found = _of_provider[provider] = Metrics(provider)
        return found
