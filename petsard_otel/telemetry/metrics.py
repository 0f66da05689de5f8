"""The instruments of section "Metrics" of the README. Uses the OpenTelemetry API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from petsard_otel import attributes as key
from petsard_otel.settings import Settings
from petsard_otel.telemetry.identity import SCHEMA_URL
from petsard_otel.telemetry.privacy import Privacy
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from petsard_otel.telemetry.encoding import Attributes

DURATION_BOUNDARIES = [
    0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200,
]  # fmt: skip
"""Buckets in seconds, from a fast Loader to half a day of training."""

ROW_BOUNDARIES = [0, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
"""Buckets in rows."""

_NO_SPAN = set_span_in_context(INVALID_SPAN, Context())
"""Counters have no exemplars: to choose among several, the SDK draws from the `random` module's
generator, and a module that seeded it would have other results."""


class Metrics:
    """The instruments of one meter provider. Thread-safe, as the provider's instruments are."""

    def __init__(self, provider: MeterProvider) -> None:
        # One gate for all runs, the strictest: what a run may opt into is never on a metric.
        self._admit = Privacy(Settings()).admit
        self.is_idle = type(provider).__module__.startswith("opentelemetry.metrics")
        """Whether the provider is the API's own, which records nothing."""
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
        context: Context | None = None,
    ) -> None:
        """Record one module execution.

        Args:
            module: The module.
            experiment: The experiment, without a Splitter's suffix: each name is a time series.
            engine: Whose module it was.
            duration_seconds: How long it took.
            rows: The size of the table that it made, where it made one.
            has_changed_schema: Whether its output had another schema than its input.
            error_type: The class of the exception that ended it.
            context: Where its span is the current one, for exemplars; else the current context.
        """
        attributes = self._admit(
            {key.MODULE_NAME: module, key.EXPERIMENT_NAME: experiment, key.ENGINE: engine}
        )
        if has_changed_schema:
            self._schema_changes.add(1, attributes, _NO_SPAN)
        if rows is not None:
            self._module_rows.record(rows, attributes, context)
        self._module_duration.record(
            duration_seconds, self._with_error(attributes, error_type), context
        )

    def run_started(self, engine: str) -> None:
        """Count a run as under way; `run_ended` takes it back."""
        self._run_active.add(1, self._admit({key.ENGINE: engine}), _NO_SPAN)

    def run_ended(
        self,
        engine: str,
        duration_seconds: float | None,
        error_type: str | None,
        context: Context | None = None,
    ) -> None:
        """Count a run that `run_started` counted as over.

        Args:
            engine: The same as at its start.
            duration_seconds: How long it took; None where that is not known, or not ours to say.
            error_type: The class of the exception that ended it.
            context: Where its span is the current one, for exemplars; else the current context.
        """
        attributes = self._admit({key.ENGINE: engine})
        self._run_active.add(-1, attributes, _NO_SPAN)
        if duration_seconds is not None:
            self._run_duration.record(
                duration_seconds, self._with_error(attributes, error_type), context
            )

    def _with_error(self, attributes: Attributes, error_type: str | None) -> Attributes:
        if error_type is None:
            return attributes
        return self._admit({**attributes, key.ERROR_TYPE: error_type})


_of_provider: WeakKeyDictionary[MeterProvider, Metrics] = WeakKeyDictionary()


def metrics_of(provider: MeterProvider) -> Metrics:
    """Return the provider's instruments, made once: that takes longer than recording a module."""
    # No lock: a fork could leave it held. Of two that are made at once, one is kept.
    found = _of_provider.get(provider)
    return _of_provider.setdefault(provider, Metrics(provider)) if found is None else found
