"""The metrics of a run: names, units, buckets, attributes, exemplars, and what they add up to."""

from __future__ import annotations

import gc
import random
import weakref
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from opentelemetry import context as context_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, AlwaysRecordSampler

from petsard_otel import Config, Executor, Schema, Status
from petsard_otel.telemetry import privacy

from .conftest import Pipeline, Recorded, ReportAdapter, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from petsard_otel.executor import Progress

SECONDS = (
    0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200,
)  # fmt: skip
ROWS = (0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


class Measured:
    """A meter provider and what it measured."""

    def __init__(self, *views: View) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], views=views, shutdown_on_exit=False)

    @property
    def metrics(self) -> dict[str, Any]:
        """Our metrics by name."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            if scope.scope.name == "petsard_otel"
            for metric in scope.metrics
        }

    def points(self, name: str) -> Sequence[Any]:
        """Give the points of a metric; none where it has not been recorded."""
        metric = self.metrics.get(name)
        return () if metric is None else list(metric.data.data_points)

    @property
    def active(self) -> list[int]:
        """How many runs are under way."""
        return [point.value for point in self.points("petsard.run.active")]


@pytest.fixture
def measured() -> Measured:
    """Give a provider of the test's own."""
    return Measured()


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give a pipeline of two splits, with steps, a change of schema, and tables."""
    path = tmp_path / "people.csv"
    path.write_text("age,city\n" + "".join(f"{20 + n},{'ab'[n % 2]}\n" for n in range(20)))
    return {
        "Loader": {"people": {"filepath": str(path)}},
        "Splitter": {"half": {"train_split_ratio": 0.5, "num_samples": 2, "random_state": 1}},
        "Preprocessor": {"encode": {"method": "default"}},
    }


def labels(point: Any) -> tuple[Any, ...]:
    """Give what tells a point's series from the others of its metric."""
    names = ("petsard.module.name", "petsard.experiment.name", "petsard.engine", "error.type")
    assert set(point.attributes) <= set(names)
    return tuple(point.attributes.get(name) for name in names if name in point.attributes)


LOADER, SPLITTER, PREPROCESSOR = (
    ("Loader", "people", "builtin"),
    ("Splitter", "half", "builtin"),
    ("Preprocessor", "encode", "builtin"),
)


def test_what_a_run_measures(measured: Measured, config: dict[str, Any]) -> None:
    """Five metrics, each with its unit, its buckets and its few attributes."""
    Executor(config, meter_provider=measured.provider).run()

    metrics = measured.metrics
    assert {name: metric.unit for name, metric in metrics.items()} == {
        "petsard.module.duration": "s",
        "petsard.module.rows": "{row}",
        "petsard.run.active": "{run}",
        "petsard.run.duration": "s",
        "petsard.schema.changes": "{change}",
    }
    durations = measured.points("petsard.module.duration")
    assert {labels(point): point.count for point in durations} == {
        LOADER: 1,
        SPLITTER: 2,
        PREPROCESSOR: 2,
    }
    assert {point.explicit_bounds for point in durations} == {SECONDS}
    rows = measured.points("petsard.module.rows")
    assert {labels(point): (point.count, point.sum, point.max) for point in rows} == {
        LOADER: (1, 20, 20),
        SPLITTER: (2, 20, 10),
        PREPROCESSOR: (2, 20, 10),
    }
    assert {point.explicit_bounds for point in rows} == {ROWS}
    changes = measured.points("petsard.schema.changes")
    assert [(labels(point), point.value) for point in changes] == [(PREPROCESSOR, 2)]
    assert metrics["petsard.schema.changes"].data.is_monotonic
    (run,) = measured.points("petsard.run.duration")
    assert (labels(run), run.count, run.explicit_bounds) == (("builtin",), 1, SECONDS)
    (active,) = measured.points("petsard.run.active")
    assert (labels(active), active.value) == (("builtin",), 0)
    assert not metrics["petsard.run.active"].data.is_monotonic


def test_the_sums_are_the_timing_report_s(
    measured: Measured, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What a dashboard adds up over two runs is what their Statuses say locally."""
    statuses = []
    for _ in range(2):
        executor = Executor(config, meter_provider=measured.provider)
        executor.run()
        statuses.append(executor.status)

    report = pd.concat([status.get_timing_report_data() for status in statuses])
    timing = report.groupby("module_name")["duration_seconds"].sum()
    durations = measured.points("petsard.module.duration")
    assert {labels(point)[0]: point.sum for point in durations} == pytest.approx(
        timing.to_dict(), rel=1e-12
    )
    (run,) = measured.points("petsard.run.duration")
    runs = [status.get_status_summary()["duration_seconds"] for status in statuses]
    assert (run.count, run.sum) == (2, pytest.approx(sum(runs), rel=1e-12))
    assert caplog.records == []


def test_an_empty_table_has_a_size(measured: Measured, cars: Schema) -> None:
    """No rows are not the same as no table."""
    status = Status(Pipeline("Loader", "Reporter"), meter_provider=measured.provider)
    status.put("Loader", "a", TableAdapter(cars, pd.DataFrame({"a": []})))
    status.put("Reporter", "b", ReportAdapter())

    (rows,) = measured.points("petsard.module.rows")
    assert (labels(rows), rows.count, rows.sum) == (("Loader", "a", "builtin"), 1, 0)


def exemplars(measured: Measured) -> dict[str, list[tuple[int, int]]]:
    """Give the spans that each metric's values lead to; a reader hands each of them out once."""
    return {
        name: [
            (e.trace_id, e.span_id) for point in metric.data.data_points for e in point.exemplars
        ]
        for name, metric in measured.metrics.items()
    }


def identity(recorded: Recorded, name: str) -> tuple[int, int]:
    """Give the trace id and the span id of an exported span."""
    context = recorded.spans[name].context
    return context.trace_id, context.span_id


def test_a_value_leads_to_its_span(
    measured: Measured, recorded: Recorded, config: dict[str, Any]
) -> None:
    """An exemplar names the very span of the module, or of the run, that was measured."""
    del config["Splitter"]
    Executor(config, tracer_provider=recorded.provider, meter_provider=measured.provider).run()

    run, loader, preprocessor = (
        identity(recorded, name)
        for name in ("petsard run", "Loader[people]", "Preprocessor[encode]")
    )
    assert exemplars(measured) == {
        "petsard.module.duration": [loader, preprocessor],
        "petsard.module.rows": [loader, preprocessor],
        "petsard.schema.changes": [],
        "petsard.run.active": [],
        "petsard.run.duration": [run],
    }


def test_metrics_draw_nothing_from_the_hosts_random_numbers(
    measured: Measured, cars: Schema, scaled: Schema
) -> None:
    """A module that seeds `random` makes of it what it would without us."""
    Status(Pipeline("Loader"), meter_provider=measured.provider).put("Loader", "a", ReportAdapter())
    random.seed(0)
    for _ in range(20):
        status = Status(Pipeline("Loader", "Preprocessor"), meter_provider=measured.provider)
        with status.running(Config("Loader: {a: {}}"), "builtin"):
            status.put("Loader", "a", TableAdapter(cars))
            status.put("Preprocessor", "b", TableAdapter(scaled))

    assert random.random() == 0.8444218515250481  # noqa: S311  it keeps no secret
    assert sum(p.value for p in measured.points("petsard.schema.changes")) == 20


def test_a_value_of_a_status_alone_leads_to_its_span(
    measured: Measured, recorded: Recorded, cars: Schema, scaled: Schema
) -> None:
    """`put` without an Executor makes a span of its own, which is nobody's current one."""
    status = Status(
        Pipeline("Loader", "Preprocessor"),
        tracer_provider=recorded.provider,
        meter_provider=measured.provider,
    )
    with recorded.provider.get_tracer("host").start_as_current_span("host"):
        status.put("Loader", "a", TableAdapter(cars))
        status.put("Preprocessor", "b", TableAdapter(scaled))

    loader, preprocessor = (identity(recorded, name) for name in ("Loader[a]", "Preprocessor[b]"))
    assert exemplars(measured) == {
        "petsard.module.duration": [loader, preprocessor],
        "petsard.module.rows": [loader, preprocessor],
        "petsard.schema.changes": [],
    }


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, AlwaysRecordSampler(ALWAYS_OFF)])
def test_a_span_that_is_not_sent_is_no_example(
    sampler: Any, measured: Measured, recorded: Recorded, config: dict[str, Any]
) -> None:
    """Dropped or recorded only, under a sampled span of the host's: no value leads anywhere."""
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    with recorded.provider.get_tracer("host").start_as_current_span("host"):
        Executor(config, tracer_provider=provider, meter_provider=measured.provider).run()

    assert exemplars(measured) == {
        "petsard.module.duration": [],
        "petsard.module.rows": [],
        "petsard.schema.changes": [],
        "petsard.run.active": [],
        "petsard.run.duration": [],
    }


def test_a_failure_has_its_class(measured: Measured, config: dict[str, Any]) -> None:
    """The module that failed and its run say what ended them; what finished does not."""
    config["Preprocessor"]["encode"] = {
        "method": "custom",
        "config": {"scaler": {"x": "scaler_log"}},
    }
    with pytest.raises(Exception, match="x"):
        Executor(config, meter_provider=measured.provider).run()

    error = "petsard_otel.exceptions.DataError"
    assert {labels(p): p.count for p in measured.points("petsard.module.duration")} == {
        LOADER: 1,
        SPLITTER: 1,
        (*PREPROCESSOR, error): 1,
    }
    assert {labels(p) for p in measured.points("petsard.module.rows")} == {LOADER, SPLITTER}
    assert [labels(p) for p in measured.points("petsard.run.duration")] == [("builtin", error)]
    assert measured.points("petsard.schema.changes") == ()
    assert measured.active == [0]


def test_a_cancelled_run_is_over(measured: Measured, config: dict[str, Any]) -> None:
    """A run counts while it is under way, and no longer after ^C."""
    seen = []

    def interrupt(progress: Progress) -> None:
        seen.extend(measured.active)
        if progress.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Executor(config, meter_provider=measured.provider).run(interrupt)

    assert seen == [1, 1, 1]
    assert measured.active == [0]
    (run,) = measured.points("petsard.run.duration")
    assert labels(run) == ("builtin", "KeyboardInterrupt")


@pytest.mark.parametrize(
    "place",
    [
        "petsard_otel.telemetry.spans.RunTrace.start_run",
        "petsard_otel.telemetry.recorder.Recorder._end_run",
        "petsard_otel.telemetry.metrics.Metrics.run_started",
    ],
)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_no_run_is_left_over_or_counted_twice(
    place: str,
    error: type[BaseException],
    measured: Measured,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever fails or is interrupted where a run begins or ends, it is over after that."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(place, fail)
    executor = Executor(config, meter_provider=measured.provider)

    if error is RuntimeError:
        executor.run()
        assert len(executor.get_result()) == 2
        assert executor.status.get_status_summary()["telemetry_errors"] == 1
    else:
        with pytest.raises(KeyboardInterrupt):
            executor.run()

    assert sum(measured.active) == 0
    assert context_api.get_current() == {}


def test_the_host_s_views_win(config: dict[str, Any]) -> None:
    """Our buckets are advice: an aggregation that the application chose is taken."""
    measured = Measured(
        View(
            instrument_name="petsard.module.duration",
            aggregation=ExplicitBucketHistogramAggregation((1, 2)),
            attribute_keys={"petsard.module.name"},
        ),
        View(
            instrument_name="petsard.module.rows",
            aggregation=ExponentialBucketHistogramAggregation(),
        ),
    )
    Executor(config, meter_provider=measured.provider).run()

    durations = measured.points("petsard.module.duration")
    assert {tuple(point.explicit_bounds) for point in durations} == {(1, 2)}
    assert [dict(point.attributes) for point in durations] == [
        {"petsard.module.name": name} for name in ("Loader", "Splitter", "Preprocessor")
    ]
    assert hasattr(measured.points("petsard.module.rows")[0], "scale")


def test_what_disables_the_sdk_disables_metrics(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_SDK_DISABLED is heard, and changes nothing else."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    measured = Measured()
    executor = Executor(config, meter_provider=measured.provider)

    executor.run()

    assert measured.metrics == {}
    summary = executor.status.get_status_summary()
    assert (summary["total_snapshots"], summary["telemetry_errors"]) == (5, 0)


def test_ten_thousand_experiments(
    measured: Measured, cars: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """The first 2,000 have a series each, the others one together; nothing is lost or logged."""
    status = Status(Pipeline("Loader"), meter_provider=measured.provider)
    adapter = TableAdapter(cars)
    for number in range(10_000):
        status.put("Loader", f"e{number}", adapter)

    points = measured.points("petsard.module.rows")
    assert len(points) == 2001
    assert sum(point.count for point in points) == 10_000
    (rest,) = (point for point in points if "otel.metric.overflow" in point.attributes)
    assert dict(rest.attributes) == {"otel.metric.overflow": True}
    assert rest.count == 8000
    assert caplog.records == []
    assert status.get_status_summary()["telemetry_errors"] == 0


def test_every_attribute_passes_the_gate(
    measured: Measured, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken off the list of what may leave is on no metric."""
    for name in ("petsard.experiment.name", "petsard.engine", "error.type"):
        monkeypatch.delitem(privacy.ALLOWED, name)
    config["Preprocessor"]["encode"] = {
        "method": "custom",
        "config": {"scaler": {"x": "scaler_log"}},
    }
    with pytest.raises(Exception, match="x"):
        Executor(config, meter_provider=measured.provider).run()

    metrics = measured.metrics
    assert {key for m in metrics.values() for p in m.data.data_points for key in p.attributes} == {
        "petsard.module.name"
    }


def test_a_provider_is_not_kept_alive(config: dict[str, Any]) -> None:
    """What was made for a provider goes with it."""
    measured = Measured()
    Executor(config, meter_provider=measured.provider).run()
    provider = weakref.ref(measured.provider)
    measured.provider.shutdown()
    del measured
    gc.collect()

    assert provider() is None
