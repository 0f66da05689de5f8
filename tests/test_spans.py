"""The spans that leave: names, kinds, parents, links, attributes, sizes; and their way home."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)

from petsard_otel import Attribute, Config, Schema, Status, step_span
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.replay import replay

from .conftest import Pipeline, Recorded, ReportAdapter, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = Config("Loader: {cars: {}}\nSplitter: {s: {num_samples: 2}}\nEvaluator: {e: {}}")


def run_pipeline(status: Status, cars: Schema, scaled: Schema) -> None:
    """Do what an Executor does, with modules whose work is done."""
    with status.running(CONFIG, "builtin"):
        for module, experiment, adapter in (
            ("Loader", "cars", TableAdapter(cars)),
            ("Splitter", "s_[2-1]", TableAdapter(scaled)),
            ("Evaluator", "e", ReportAdapter()),
        ):
            with status.executing(module, experiment, type(adapter).__name__):
                with step_span("fit"):
                    pass
                status.put(module, experiment, adapter)


def observed(status: Status) -> dict[str, Any]:
    """Give all that a Status observed, apart from ids and times."""
    summary = status.get_status_summary()
    for name in ("run_id", "trace_id", "duration_seconds", "last_snapshot", "last_change"):
        del summary[name]
    return {
        "summary": summary,
        "snapshots": [
            (
                s.module_name,
                s.experiment_name,
                s.experiment_path,
                s.metadata_before,
                s.metadata_after,
                s.operator_type,
                s.sequence_position,
                s.status,
                s.rows,
                s.columns,
            )
            for s in status.get_snapshots()
        ],
        "changes": [
            (c.module_name, c.experiment_name, c.kind, c.before_hash, c.after_hash, c.diff)
            for c in status.get_change_history()
        ],
        "timings": [
            (t.module_name, t.experiment_name, t.step_name, t.source, t.status, t.experiment_path)
            for t in status.get_timing_records()
        ],
    }


def test_a_run_is_one_trace(recorded: Recorded, cars: Schema, scaled: Schema) -> None:
    """Names, kinds, parents and links make a trace that reads well unopened."""
    status = Status(CONFIG, tracer_provider=recorded.provider)

    run_pipeline(status, cars, scaled)

    spans = recorded.spans
    assert sorted(spans) == [
        "Evaluator.fit",
        "Evaluator[e]",
        "Loader.fit",
        "Loader[cars]",
        "Splitter.fit",
        "Splitter[s]",
        "petsard run",
    ]
    run, loader, splitter = spans["petsard run"], spans["Loader[cars]"], spans["Splitter[s]"]
    assert run.kind is SpanKind.SERVER
    assert run.parent is None
    assert {span.kind for name, span in spans.items() if name != "petsard run"} == {
        SpanKind.INTERNAL
    }
    assert {span.parent.span_id for span in (loader, splitter)} == {run.context.span_id}
    assert spans["Loader.fit"].parent.span_id == loader.context.span_id
    assert loader.links == ()
    assert [link.context.span_id for link in splitter.links] == [loader.context.span_id]
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}
    assert {span.context.trace_id for span in spans.values()} == {run.context.trace_id}
    assert {span.attributes["petsard.run.id"] for span in spans.values()} == {status.run_id}
    assert {span.instrumentation_scope.name for span in spans.values()} == {"petsard_otel"}


def test_spans_nest_in_time_whatever_the_clock_does(
    recorded: Recorded, cars: Schema, scaled: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall clock that is set back in the middle of a run puts no span outside its parent."""
    hours = iter(range(1_000, 0, -1))
    monkeypatch.setattr("time.time_ns", lambda: next(hours) * 3_600_000_000_000)
    run_pipeline(Status(CONFIG, tracer_provider=recorded.provider), cars, scaled)

    spans = {span.context.span_id: span for span in recorded.exported}
    inner = [span for span in spans.values() if span.parent is not None]
    assert len(inner) == 6
    for span in inner:
        around = spans[span.parent.span_id]
        assert around.start_time <= span.start_time <= span.end_time <= around.end_time


def test_the_attributes_of_a_run(recorded: Recorded, cars: Schema, scaled: Schema) -> None:
    """The run span says what was run, and of the configuration only its hash."""
    status = Status(CONFIG, tracer_provider=recorded.provider)
    run_pipeline(status, cars, scaled)

    assert dict(recorded.spans["petsard run"].attributes) == {
        "petsard.run.id": status.run_id,
        "petsard.run.result": "success",
        "petsard.config.hash": CONFIG.hash,
        "petsard.sequence": ("Loader", "Splitter", "Evaluator"),
        "petsard.engine": "builtin",
        "petsard.experiment.count": 2,
    }


def test_the_attributes_of_a_module(recorded: Recorded, cars: Schema, scaled: Schema) -> None:
    """A module span has snapshot and schema data in it, and the change a person looks for."""
    status = Status(CONFIG, tracer_provider=recorded.provider)
    run_pipeline(status, cars, scaled)

    assert dict(recorded.spans["Splitter[s]"].attributes) == {
        "petsard.run.id": status.run_id,
        "petsard.module.name": "Splitter",
        "petsard.experiment.name": "s_[2-1]",
        "petsard.experiment.path": "Loader[cars]_Splitter[s_[2-1]]",
        "petsard.module.position": 1,
        "petsard.operator.type": "TableAdapter",
        "petsard.snapshot.id": f"snapshot_{status.run_id[:8]}_000002",
        "petsard.schema.input.id": "cars",
        "petsard.schema.input.hash": cars.hash,
        "petsard.schema.output.id": "cars",
        "petsard.schema.output.hash": scaled.hash,
        "petsard.schema.output.field_count": 2,
        "petsard.schema.output.json": scaled.json,
        "petsard.schema.removed": ("Name",),
        "petsard.schema.removed.count": 1,
        "petsard.schema.retyped": ("Cylinders: int64 -> float64",),
        "petsard.schema.retyped.count": 1,
        "petsard.output.rows": 3,
        "petsard.output.columns": 1,
    }


def test_a_failure_is_red_and_says_no_more_than_its_class(recorded: Recorded, cars: Schema) -> None:
    """The exception that reaches the caller is the very same; its message stays at home."""
    problem = ValueError("could not convert string to float: 'Jane Roe'")
    status = Status(CONFIG, tracer_provider=recorded.provider)

    with pytest.raises(ValueError, match="Jane Roe") as caught, status.running(CONFIG, "builtin"):
        with status.executing("Loader", "cars", "TableAdapter"):
            status.put("Loader", "cars", TableAdapter(cars))
        with status.executing("Splitter", "s_[2-1]", "SplitterAdapter"), step_span("split"):
            raise problem

    assert caught.value is problem
    for name in ("petsard run", "Splitter[s]", "Splitter.split"):
        span = recorded.spans[name]
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert span.attributes["error.type"] == "ValueError"
        assert span.events == ()
        assert "Jane Roe" not in span.to_json()
    assert recorded.spans["petsard run"].attributes["petsard.run.result"] == "error"
    assert recorded.spans["Loader[cars]"].status.status_code is StatusCode.UNSET
    summary = status.get_status_summary()
    assert (summary["state"], summary["failed_modules"]) == ("failed", ("Splitter",))
    assert [(t.step_name, t.status) for t in status.get_timing_records("Splitter")] == [
        ("split", "error"),
        ("run", "error"),
    ]
    assert status.get_snapshots("Splitter")[0].metadata_before is cars
    assert status.get_result("Loader") is not None


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_a_cancelled_run(
    interrupt: type[BaseException], recorded: Recorded
) -> None:
    """Somebody's ^C is not a failure of the module."""
    status = Status(CONFIG, tracer_provider=recorded.provider)

    with (
        pytest.raises(interrupt),
        status.running(CONFIG, "builtin"),
        status.executing("Loader", "cars", "LoaderAdapter"),
    ):
        raise interrupt

    assert recorded.spans["petsard run"].attributes["petsard.run.result"] == "cancelled"
    assert recorded.spans["Loader[cars]"].attributes["error.type"] == interrupt.__name__
    assert status.get_status_summary()["state"] == "cancelled"
    assert status.get_timing_records()[0].status == "cancelled"


def test_a_wide_table_is_described_once_in_parts(recorded: Recorded) -> None:
    """However wide the table, no attribute and no span leaves the size budget."""
    wide = Schema.of("w", [Attribute(f"Spalte größer {n:05}", "float64") for n in range(10_000)])
    narrow = Schema.of("w", [Attribute("a", "float64")])
    status = Status(CONFIG, tracer_provider=recorded.provider)
    with status.running(CONFIG, "builtin"):
        for module, schema in (("Loader", wide), ("Splitter", wide), ("Evaluator", narrow)):
            with status.executing(module, "x", "TableAdapter"):
                status.put(module, "x", TableAdapter(schema))

    spans = recorded.exported
    parts = [span for span in spans if span.name == "schema"]
    loader = next(span for span in spans if span.name == "Loader[x]")
    assert len(parts) == parts[0].attributes["petsard.schema.parts"] > 100
    assert {span.parent.span_id for span in parts} == {loader.context.span_id}
    text = "".join(str(span.attributes["petsard.schema.json"]) for span in parts)
    assert Schema.from_json("w", text) == wide
    assert "petsard.schema.output.json" not in loader.attributes
    assert loader.attributes["petsard.schema.output.field_count"] == 10_000
    for span in spans:
        sizes = {name: size(value) for name, value in span.attributes.items()}
        assert max(sizes.values()) <= 2048
        assert sum(sizes.values()) <= 32 * 1024
        assert len(sizes) < 40
    evaluator = next(span for span in spans if span.name == "Evaluator[x]")
    assert evaluator.attributes["petsard.schema.removed.count"] == 10_000


@pytest.mark.parametrize("width", [2, 300])
def test_a_store_rebuilt_from_the_trace_answers_the_same(
    width: int, recorded: Recorded, cars: Schema
) -> None:
    """Snapshots, timings, changes and the run come back from exported spans, ids included."""
    wide = Schema.of("w", [Attribute(f"column {n}", "float64") for n in range(width)])
    status = Status(CONFIG, tracer_provider=recorded.provider)
    with pytest.raises(ValueError, match="x"), status.running(CONFIG, "builtin"):
        for experiment, schema in (("a", cars), ("b", wide), ("c", cars), ("d", wide)):
            with status.executing("Loader", experiment, "TableAdapter"):
                with step_span("load"):
                    pass
                status.put("Loader", experiment, TableAdapter(schema))
            with status.executing("Splitter", "s", "TableAdapter"):
                status.put("Splitter", "s", TableAdapter(wide))
        status.start_timing("Loader", "a", "own", {"n": 1, "ok": True})
        status.end_timing("Loader", "a", "own", {"x": 0.5})
        with status.executing("Evaluator", "e", "ReportAdapter"):
            raise ValueError("x")
    spans = recorded.exported
    spans.sort(key=lambda span: span.context.span_id)
    store = StatusStore(1000, 5000, 10000)

    replay(spans, store)

    assert store.snapshots() == status.get_snapshots()
    assert store.timings() == status.get_timing_records()
    assert store.changes() == status.get_change_history()
    summary = status.get_status_summary()
    assert store.duration_seconds == summary["duration_seconds"]
    assert store.failed_modules == summary["failed_modules"]
    assert store.trace_id == summary["trace_id"]
    assert store.run is not None
    assert (store.run.run_id, store.run.result) == (status.run_id, "error")
    for rebuilt, live in zip(store.snapshots(), status.get_snapshots(), strict=True):
        assert rebuilt.metadata_after == live.metadata_after
        if isinstance(live.metadata_after, Schema):
            assert isinstance(rebuilt.metadata_after, Schema)
            assert rebuilt.metadata_after.attributes == live.metadata_after.attributes


def size(value: Any) -> int:
    """Count an attribute's bytes."""
    if isinstance(value, tuple):
        return sum(size(part) for part in value)
    return len(value.encode()) if isinstance(value, str) else 8


def test_names_of_any_length_stay_inside_the_budget(recorded: Recorded, cars: Schema) -> None:
    """A long experiment name is cut and stays distinct; the record says the same as the span."""
    status = Status(CONFIG, tracer_provider=recorded.provider)
    for letter in "ab":
        status.put("Loader", "x" * 10_000 + letter, TableAdapter(cars))

    one, two = recorded.exported
    names = [str(span.attributes["petsard.experiment.name"]) for span in (one, two)]
    assert all(len(name.encode()) <= 512 for name in names)
    assert names[0] != names[1]
    assert [s.experiment_name for s in status.get_snapshots()] == names
    assert status.get_full_expt() == {"Loader": "x" * 10_000 + "b"}


def test_text_of_a_users_timing_stays_at_home(recorded: Recorded) -> None:
    """Numbers travel with the span, text is in the local record alone."""
    status = Status(CONFIG, tracer_provider=recorded.provider)
    status.start_timing("Loader", "a", "read", {"file": "Jane Roe.csv", "bytes": 7})
    record = status.end_timing("Loader", "a", "read", {"who": "Jane Roe"})

    span = recorded.spans["Loader.read"]
    assert span.attributes["petsard.step.context.bytes"] == 7
    assert "Jane Roe" not in span.to_json()
    assert record is not None
    assert dict(record.context) == {"bytes": 7, "file": "Jane Roe.csv", "who": "Jane Roe"}


def test_a_users_timing_inside_a_module_is_part_of_it(recorded: Recorded, cars: Schema) -> None:
    """A step that the user times inside a module is counted once, with the module."""
    status = Status(CONFIG, tracer_provider=recorded.provider)
    with status.running(CONFIG, "builtin"), status.executing("Loader", "cars", "TableAdapter"):
        status.start_timing("Loader", "cars", "own")
        record = status.end_timing("Loader", "cars", "own")
        status.put("Loader", "cars", TableAdapter(cars))

    module = status.get_timing_records()[-1]
    assert record is not None
    assert (record.source, record.parent_record_id) == ("step", module.record_id)
    assert list(status.get_timing_report_data()["step_name"]) == ["run"]
    assert list(status.get_timing_report_data(steps=True)["step_name"]) == ["own", "run"]


def test_a_step_outside_a_run_does_nothing() -> None:
    """A module can be used without any telemetry."""
    with step_span("fit"):
        pass
    assert context_api.get_current() == {}


class Raising(SpanProcessor):
    """A neighbour on the provider that fails in each of its callbacks."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise ValueError("start")

    def on_end(self, span: Any) -> None:
        raise ValueError("end")


class Foreign(trace_api.TracerProvider):
    """A provider that has the API's methods and nothing else."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace_api.Tracer:
        return ForeignTracer()


class ForeignTracer(trace_api.Tracer):
    """A tracer whose spans record nothing that we can see."""

    def start_span(self, *args: Any, **kwargs: Any) -> trace_api.Span:
        return NonRecordingSpan(SpanContext(1, 2, is_remote=False))

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def sdk(**options: Any) -> TracerProvider:
    """Make a provider as a user would."""
    return TracerProvider(shutdown_on_exit=False, **options)


def with_neighbour() -> TracerProvider:
    """Make a provider with a neighbour that fails."""
    provider = sdk()
    provider.add_span_processor(Raising())
    return provider


def shut_down() -> TracerProvider:
    """Make a provider whose life is over."""
    provider = sdk()
    provider.shutdown()
    return provider


def disabled() -> TracerProvider:
    """Make a provider as OTEL_SDK_DISABLED makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_SDK_DISABLED", "true")
        return sdk()


@pytest.mark.parametrize(
    "make",
    [
        sdk,
        disabled,
        shut_down,
        with_neighbour,
        lambda: sdk(sampler=ALWAYS_OFF),
        lambda: sdk(sampler=ParentBased(TraceIdRatioBased(0.0))),
        lambda: sdk(span_limits=SpanLimits(max_span_attributes=8)),
        lambda: sdk(span_limits=SpanLimits(max_span_attributes=0)),
        lambda: sdk(span_limits=SpanLimits(max_span_attribute_length=5)),
        lambda: sdk(span_limits=SpanLimits(max_links=0)),
        NoOpTracerProvider,
        Foreign,
    ],
)
@pytest.mark.filterwarnings("ignore:Call to deprecated")
def test_a_status_answers_the_same_with_any_provider(
    make: Callable[[], trace_api.TracerProvider], cars: Schema, scaled: Schema
) -> None:
    """Whatever the environment does to telemetry, the local answers are whole."""
    expected = Status(CONFIG)
    run_pipeline(expected, cars, scaled)
    status = Status(CONFIG, tracer_provider=make())

    run_pipeline(status, cars, scaled)

    found, wanted = observed(status), observed(expected)
    found["summary"].pop("telemetry_errors")
    wanted["summary"].pop("telemetry_errors")
    assert found == wanted
    ids = [record.span_id for record in status.get_timing_records()]
    assert len(set(ids)) == 6
    assert set(ids).isdisjoint({"0" * 16})


def test_an_unsampled_parent_blinds_nobody(cars: Schema, scaled: Schema) -> None:
    """Under a remote parent that is not sampled, the Status still sees all, in that trace."""
    parent = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(0))
    status = Status(CONFIG, tracer_provider=sdk())
    token = context_api.attach(trace_api.set_span_in_context(NonRecordingSpan(parent)))
    try:
        run_pipeline(status, cars, scaled)
    finally:
        context_api.detach(token)

    assert len(status.get_snapshots()) == 3
    assert {s.trace_id for s in status.get_snapshots()} == {f"{0xABC:032x}"}


def test_the_environment_names_the_parent(
    recorded: Recorded, cars: Schema, scaled: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler's TRACEPARENT is where the run belongs, unless a span is current."""
    monkeypatch.setenv("TRACEPARENT", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
    status = Status(CONFIG, tracer_provider=recorded.provider)

    run_pipeline(status, cars, scaled)

    run = recorded.spans["petsard run"]
    assert f"{run.context.trace_id:032x}" == "0123456789abcdef0123456789abcdef"
    assert f"{run.parent.span_id:016x}" == "0123456789abcdef"


def test_foreign_spans_nest_and_stay_out(recorded: Recorded, cars: Schema) -> None:
    """We nest under a foreign span, foreign spans nest under ours, none enters the Status."""
    tracer = recorded.provider.get_tracer("another library")
    status = Status(CONFIG, tracer_provider=recorded.provider)
    with (
        tracer.start_as_current_span("request"),
        status.running(CONFIG, "builtin"),
        status.executing("Loader", "cars", "TableAdapter"),
        tracer.start_as_current_span("query"),
    ):
        status.put("Loader", "cars", TableAdapter(cars))

    spans = recorded.spans
    assert spans["petsard run"].parent.span_id == spans["request"].context.span_id
    assert spans["query"].parent.span_id == spans["Loader[cars]"].context.span_id
    assert len(status.get_timing_records()) == 1


def test_two_runs_on_one_provider_never_mix(recorded: Recorded, cars: Schema) -> None:
    """Two threads that share a provider each see their own executions alone."""
    statuses = [Status(Pipeline("Loader"), tracer_provider=recorded.provider) for _ in range(2)]

    def work(status: Status, name: str) -> None:
        for number in range(200):
            status.put("Loader", f"{name}{number}", TableAdapter(cars))

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(statuses, "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for status, name in zip(statuses, "ab", strict=True):
        assert [s.experiment_name for s in status.get_snapshots()] == [
            f"{name}{number}" for number in range(200)
        ]
