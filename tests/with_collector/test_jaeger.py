"""What a person finds in the real Jaeger is what the local Status says, also after the worst."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from petsard_otel import Executor, Schema, Status, attributes, configure
from petsard_otel.exceptions import DataError
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.replay import replay

from .backends import CONFIG, Jaeger, Prometheus, get_json, jaeger_binary
from .otlp_files import FileSpan, spans_in
from .servers import COLLECTOR, ROOT, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.util.types import AttributeValue

    from .servers import Collector

DEMO = ROOT / "examples" / "pipeline.yaml"
STORES = sorted((COLLECTOR / "scale" / "jaeger").glob("*.yaml"))
NEWER = {"clickhouse": ("tls", "ttl")}
"""What Jaeger 2.13 does not know yet."""


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    """Start Jaeger with our configuration; it ends with the test."""
    jaeger = Jaeger(tmp_path / "jaeger")
    jaeger.start()
    yield jaeger
    jaeger.stop()


def trace_of(jaeger: Jaeger, trace_id: str, count: int) -> dict[str, Any]:
    """Wait until a trace has a number of spans, and return it as Jaeger's page gets it."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        trace = jaeger.trace(trace_id)
        if trace is None or len(trace["spans"]) < count:
            return False
        found.append(trace)
        return True

    wait_until(is_there, f"{count} spans of {trace_id} in Jaeger")
    return found[-1]


def otlp_spans_of(jaeger: Jaeger, trace_id: str, folder: Path) -> dict[tuple[int, int], FileSpan]:
    """Return the spans of a trace that Jaeger has, under their ids."""
    path = folder / f"{trace_id}.jsonl"
    path.write_text(json.dumps(jaeger.otlp_trace(trace_id)))
    spans = spans_in(path)
    found = {span.ids: span for span in spans}
    assert len(found) == len(spans)
    return found


def as_kept(value: AttributeValue) -> AttributeValue:
    """Return what Badger makes of an attribute: lists are JSON in a text, the rest stays."""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, tuple) else value


def unescaped(value: AttributeValue) -> AttributeValue:
    """Write a list in a text as Python writes it: Jaeger escapes `<`, `>` and `&`."""
    if isinstance(value, str) and value.startswith("["):
        return json.dumps(json.loads(value), separators=(",", ":"))
    return value


def rebuilt(spans: list[FileSpan], status: Status) -> StatusStore:
    """Make a Status's records of the spans in Jaeger."""
    for span in spans:
        for name, value in span.attributes.items():
            if isinstance(value, str) and value.startswith("["):
                span.attributes[name] = tuple(json.loads(value))
    store = StatusStore(1000, 5000, 10_000)
    replay(spans, store, status.run_id)
    return store


def run_recorded(
    collector: Collector, source: Path | dict[str, Any]
) -> tuple[Status, tuple[ReadableSpan, ...]]:
    """Run a pipeline here; return its Status and the spans that it made. It may fail."""
    made = InMemorySpanExporter()
    configuration = configure(collector.grpc)
    configuration.tracer_provider.add_span_processor(SimpleSpanProcessor(made))
    executor = Executor(source)
    try:
        executor.run()
    except (DataError, FileNotFoundError):
        pass
    finally:
        configuration.shutdown(60)
    return executor.status, made.get_finished_spans()


def trace_id_of(status: Status) -> str:
    """Return the id of the trace that a run is in."""
    return str(status.get_status_summary()["trace_id"])


def tags_of(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span's tags under their keys."""
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    assert len(tags) == len(span["tags"])
    return tags


def warnings_in(trace: dict[str, Any]) -> list[Any]:
    """Return everything that Jaeger marks as odd: clocks, ids, missing parents."""
    warnings = [span["warnings"] for span in trace["spans"]]
    return [warning for warning in [*warnings, trace.get("warnings")] if warning]


def outline(trace: dict[str, Any]) -> list[str]:
    """Return the names as Jaeger's page shows them: nested, and in the order of their start."""
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in trace["spans"]:
        parents = [ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"]
        children.setdefault(parents[0] if parents else None, []).append(span)

    def lines(parent: str | None, depth: int) -> Iterator[str]:
        for span in sorted(children.get(parent, []), key=lambda span: int(span["startTime"])):
            yield "  " * depth + str(span["operationName"])
            yield from lines(span["spanID"], depth + 1)

    return list(lines(None, 0))


def test_the_trace_of_the_demo_reads_as_it_ran(
    start_collector: Callable[..., Collector], jaeger: Jaeger
) -> None:
    """`petsard-otel run` sends a trace whose names, order and times tell what it prints."""
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "petsard_otel", "run", str(DEMO), "--steps"),
            *("--format", "json", "--endpoint", collector.grpc),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(done.stdout)
    trace = trace_of(jaeger, printed[0]["trace_id"], 57)

    assert len(trace["spans"]) == 57
    assert warnings_in(trace) == []
    assert {process["serviceName"] for process in trace["processes"].values()} == {"petsard"}
    names = outline(trace)
    assert names[:18] == [
        "petsard run",
        "  Loader[cars]",
        "    Loader.load",
        "  Splitter[holdout]",
        "    Splitter.split",
        "  Preprocessor[encode]",
        "    Preprocessor.fit",
        "    Preprocessor.transform",
        "  Synthesizer[copula]",
        "    Synthesizer.fit",
        "    Synthesizer.sample",
        "  Postprocessor[decode]",
        "    Postprocessor.inverse_transform",
        "  Evaluator[fidelity]",
        "    Evaluator.eval",
        "  Reporter[tables]",
        "    Reporter.report",
        "  Reporter[scores]",
    ]
    assert len(names) == 57
    spans = {span["spanID"]: span for span in trace["spans"]}
    for row in printed:
        span = spans[row["span_id"]]
        assert span["duration"] == pytest.approx(row["duration_seconds"] * 1e6, abs=1)
        assert span["startTime"] == pytest.approx(
            pd.Timestamp(row["start_time"]).timestamp() * 1e6, abs=1
        )
        assert tags_of(span)["petsard.experiment.path"] == row["experiment_path"]
        assert "error" not in tags_of(span)
    (run,) = [span for span in trace["spans"] if span["operationName"] == "petsard run"]
    assert run["references"] == []
    assert tags_of(run) | {"petsard.config.hash": "", "otel.scope.version": ""} == {
        "otel.scope.name": "petsard_otel",
        "otel.scope.version": "",
        "petsard.config.hash": "",
        "petsard.engine": "builtin",
        "petsard.experiment.count": 8,
        "petsard.run.id": tags_of(spans[printed[0]["span_id"]])["petsard.run.id"],
        "petsard.run.name": "pipeline",
        "petsard.run.result": "success",
        "petsard.sequence": '["Loader","Splitter","Preprocessor","Synthesizer","Postprocessor",'
        '"Evaluator","Reporter"]',
        "span.kind": "server",
    }


def test_every_span_and_attribute_is_kept(
    start_collector: Callable[..., Collector],
    jaeger: Jaeger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Jaeger has of a run are the spans that it made, and its Status can be told from them."""
    monkeypatch.chdir(ROOT)
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    status, made = run_recorded(collector, DEMO)
    trace_of(jaeger, trace_id_of(status), len(made))
    found = otlp_spans_of(jaeger, trace_id_of(status), tmp_path)

    assert len(found) == len(made) == 57
    linked = 0
    for span in made:
        twin = found[span.context.trace_id, span.context.span_id]
        assert twin.name == span.name
        assert twin.kind == span.kind.value + 1
        assert (twin.start_time, twin.end_time) == (span.start_time, span.end_time)
        assert (twin.parent and twin.parent.span_id) == (span.parent and span.parent.span_id)
        assert twin.links == [(link.context.trace_id, link.context.span_id) for link in span.links]
        assert (twin.status_code, twin.status_message) == (span.status.status_code.value, "")
        kept = {name: unescaped(value) for name, value in twin.attributes.items()}
        assert kept == {name: as_kept(value) for name, value in (span.attributes or {}).items()}
        assert [type(kept[name]) for name in kept] == [
            type(as_kept(span.attributes[name])) for name in kept if span.attributes
        ]
        assert twin.resource == dict(span.resource.attributes)
        assert twin.instrumentation_scope == ("petsard_otel", "0.1.0")
        for link in twin.links:
            producer, consumer = found[link].attributes, twin.attributes
            linked += 1
            assert consumer["petsard.experiment.path"].startswith(
                producer["petsard.experiment.path"]
            )
            assert (
                consumer["petsard.module.position"] == producer["petsard.module.position"] + 1
                or consumer["petsard.module.name"] == "Reporter"
            )
    assert linked >= 24
    store = rebuilt(list(found.values()), status)
    assert store.snapshots() == status.get_snapshots()
    assert store.timings() == status.get_timing_records()
    assert store.changes() == status.get_change_history()


def test_a_failure_is_seen_without_opening_a_span(
    start_collector: Callable[..., Collector], jaeger: Jaeger, tmp_path: Path
) -> None:
    """The run and the module that failed are marked, and found by that; nothing else is."""
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    pd.DataFrame({"a": ["A123456789", "b"]}).to_csv(tmp_path / "t.csv", index=False)
    table = {"filepath": str(tmp_path / "t.csv")}
    typed = {**table, "schema": {"id": "t", "attributes": {"a": {"type": "int64"}}}}
    good, _ = run_recorded(collector, {"Loader": {"kept": table}})
    bad, made = run_recorded(collector, {"Loader": {"kept": table, "typed": typed}})
    trace_of(jaeger, trace_id_of(good), 3)
    trace = trace_of(jaeger, trace_id_of(bad), len(made))

    assert warnings_in(trace) == []
    assert outline(trace) == [
        "petsard run",
        "  Loader[kept]",
        "    Loader.load",
        "  Loader[typed]",
        "    Loader.load",
    ]
    spans = sorted(trace["spans"], key=lambda span: int(span["startTime"]))
    run, kept, _, typed, load = map(tags_of, spans)
    assert [("error" in tags_of(span)) for span in spans] == [True, False, False, True, True]
    for failed in (run, typed, load):
        assert failed["error"] is True
        assert failed["otel.status_code"] == "ERROR"
        assert failed["error.type"] == "petsard_otel.exceptions.DataError"
    assert run["petsard.run.result"] == "error"
    assert "otel.status_code" not in kept
    assert "A123456789" not in json.dumps(trace)
    assert "otel.status_description" not in json.dumps(trace)
    assert found_by(jaeger, {"error": "true"}) == {trace_id_of(bad)}
    assert found_by(jaeger, {"petsard.run.result": "success"}) == {trace_id_of(good)}
    assert found_by(jaeger, {"petsard.run.id": good.run_id}) == {trace_id_of(good)}
    assert get_json(f"{jaeger.url}/api/services")["data"] == ["petsard"]
    operations = get_json(f"{jaeger.url}/api/operations", service="petsard")["data"]
    assert sorted(operation["name"] for operation in operations) == [
        "Loader.load",
        "Loader[kept]",
        "Loader[typed]",
        "petsard run",
    ]


def found_by(jaeger: Jaeger, tags: dict[str, str]) -> set[str]:
    """Search as Jaeger's page does; return the ids of the traces found."""
    now = time.time_ns() // 1000
    answer = get_json(
        f"{jaeger.url}/api/traces",
        service="petsard",
        tags=json.dumps(tags),
        start=now - 3_600_000_000,
        end=now,
        limit=20,
    )
    return {trace["traceID"] for trace in answer["data"]}


def test_a_wide_table_is_kept_whole(
    start_collector: Callable[..., Collector], jaeger: Jaeger, tmp_path: Path
) -> None:
    """The structure of 10,000 columns comes out of Jaeger in all its parts."""
    names = [f"Spalte größer {number}" for number in range(10_000)]
    pd.DataFrame(np.zeros((3, 10_000)), columns=names).to_parquet(tmp_path / "t.parquet")
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    status, made = run_recorded(
        collector,
        {
            "Loader": {"wide": {"filepath": str(tmp_path / "t.parquet")}},
            "Splitter": {"half": {"train_split_ratio": 0.5}},
        },
    )
    trace = trace_of(jaeger, trace_id_of(status), len(made))
    found = otlp_spans_of(jaeger, trace_id_of(status), tmp_path)

    assert len(found) == len(made) > 100
    assert warnings_in(trace) == []
    (snapshot, *_) = rebuilt(list(found.values()), status).snapshots()
    assert isinstance(snapshot.metadata_after, Schema)
    assert list(snapshot.metadata_after.attributes) == names


@pytest.mark.parametrize("end", [Jaeger.stop, Jaeger.kill])
def test_a_trace_outlives_jaeger(
    start_collector: Callable[..., Collector],
    jaeger: Jaeger,
    end: Callable[[Jaeger], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However Jaeger ends, what it has shown is there when it has started again."""
    monkeypatch.chdir(ROOT)
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    status, made = run_recorded(collector, DEMO)
    trace_of(jaeger, trace_id_of(status), len(made))
    before = otlp_spans_of(jaeger, trace_id_of(status), tmp_path)

    end(jaeger)
    jaeger.start()

    assert otlp_spans_of(jaeger, trace_id_of(status), tmp_path) == before
    assert len(before) == 57
    assert found_by(jaeger, {"petsard.run.name": "pipeline"}) == {trace_id_of(status)}


def test_a_run_while_jaeger_is_away_arrives_later(
    start_collector: Callable[..., Collector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends as ever, the Collector keeps its spans, and Jaeger gets them when it is back."""
    monkeypatch.chdir(ROOT)
    jaeger = Jaeger(tmp_path / "jaeger")
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    status, made = run_recorded(collector, DEMO)
    assert status.get_status_summary()["state"] == "completed"

    jaeger.start()
    try:
        trace = trace_of(jaeger, trace_id_of(status), len(made))
    finally:
        jaeger.stop()

    assert len(trace["spans"]) == len(made) == 57
    assert warnings_in(trace) == []


def foreign_spans() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Give a provider of somebody else's, whose spans are kept until they are sent in one go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "petsard"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def send(collector: Collector, spans: tuple[ReadableSpan, ...]) -> str:
    """Send spans in one request; return the id of their trace."""
    exporter = OTLPSpanExporter(collector.grpc, insecure=True)
    assert exporter.export(spans).name == "SUCCESS"
    exporter.shutdown()
    return f"{spans[0].context.trace_id:032x}"


def test_a_request_of_many_megabytes_arrives(
    start_collector: Callable[..., Collector], jaeger: Jaeger
) -> None:
    """Neither the Collector nor Jaeger has a limit that a large batch runs into."""
    collector = start_collector("jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    provider, made = foreign_spans()
    tracer = provider.get_tracer("theirs")
    with tracer.start_as_current_span("root"):
        for number in range(300):
            tracer.start_span(f"span {number}", attributes={"text": "x" * 30_000}).end()
    trace = trace_of(jaeger, send(collector, made.get_finished_spans()), 301)

    assert len(trace["spans"]) == 301
    assert len(json.dumps(trace)) > 9_000_000


def test_a_span_that_the_store_refuses_holds_nothing_up(
    start_collector: Callable[..., Collector], jaeger: Jaeger
) -> None:
    """A text that is too long for the store's index is cut; it would be sent again for ever."""
    collector = start_collector("jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    provider, made = foreign_spans()
    with provider.get_tracer("theirs").start_as_current_span(
        "n" * 100_000, attributes={"text": "x" * 100_000}
    ) as span:
        span.add_event("exception", {"exception.stacktrace": "y" * 100_000})
    (span,) = trace_of(jaeger, send(collector, made.get_finished_spans()), 1)["spans"]

    assert span["operationName"] == "n" * 1000
    assert tags_of(span)["text"] == "x" * 32_000
    assert "y" * 32_000 in json.dumps(span["logs"])


def test_jaeger_listens_on_this_machine_only(jaeger: Jaeger) -> None:
    """Without JAEGER_LISTEN_HOST no port can be reached from elsewhere."""
    assert jaeger.process is not None
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(jaeger.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="there is no prometheus")
def test_the_monitor_tab_is_filled(
    start_collector: Callable[..., Collector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, errors and durations of the runs, as the tab asks for them, out of Prometheus."""
    monkeypatch.chdir(ROOT)
    jaeger = Jaeger(tmp_path / "jaeger")
    layers = ("privacy", "jaeger", "prometheus", "monitor")
    collector = start_collector(
        *layers, JAEGER_ENDPOINT=jaeger.otlp, COLLECTOR_SPAN_METRICS_INTERVAL="2s"
    )
    prometheus = Prometheus(tmp_path / "prometheus", collector)
    jaeger.environment["PROMETHEUS_URL"] = prometheus.url
    prometheus.start()
    jaeger.start()
    try:
        for count in (2, 4):
            status, _ = run_recorded(collector, DEMO)
            run_recorded(collector, {"Loader": {"gone": {"filepath": str(tmp_path / "gone.csv")}}})
            # What a series begins with is no increase, and durations do not begin with 0.
            wait_for_runs(prometheus, count)

        # One run of two failed, each time; the first of a kind may not have counted.
        assert 0.2 < monitored(jaeger, "errors")["petsard run"] < 0.8
        assert monitored(jaeger, "calls")["petsard run"] > 0
        assert set(monitored(jaeger, "calls")) == {"petsard run"}
        # In milliseconds, as far as the histogram can tell: no bucket ends later than five times
        # its beginning.
        duration = status.get_status_summary()["duration_seconds"] * 1000
        assert duration / 5 < monitored(jaeger, "latencies")["petsard run"] < duration * 5
        assert set(monitored(jaeger, "calls", spanKind="internal")) > {
            "Loader[cars]",
            "Synthesizer[copula]",
            "Synthesizer.fit",
        }
    finally:
        jaeger.stop()
        prometheus.stop()


def wait_for_runs(prometheus: Prometheus, count: int) -> None:
    """Wait until Prometheus has the durations of a number of runs."""
    query = 'sum(jaeger_monitor_duration_milliseconds_count{span_name="petsard run"})'

    def are_there() -> bool:
        found = get_json(f"{prometheus.url}/api/v1/query", query=query)["data"]["result"]
        return [one["value"][1] for one in found] == [str(count)]

    wait_until(are_there, f"{count} runs in Prometheus")


def monitored(jaeger: Jaeger, metric: str, **parameters: str) -> dict[str, float]:
    """Ask for a metric as the Monitor tab does; return the newest value of each operation."""
    answer = get_json(
        f"{jaeger.url}/api/metrics/{metric}",
        service="petsard",
        groupByOperation="true",
        endTs=time.time_ns() // 1_000_000,
        lookback=600_000,
        step=5_000,
        ratePer=600_000,
        **{"spanKind": "server", "quantile": "0.95", **parameters},
    )
    values: dict[str, float] = {}
    for series in answer["metrics"]:
        (operation,) = [
            label["value"] for label in series["labels"] if label["name"] == "operation"
        ]
        points = [point["gaugeValue"]["doubleValue"] for point in series["metricPoints"]]
        numbers = [float(point) for point in points if point != "NaN"]
        if numbers:
            values[operation] = numbers[-1]
    return values


def test_what_the_pages_lift_out_is_recorded() -> None:
    """`ui.json` names keys that there are, and leads to searches that Jaeger's page can read."""
    keys = {value for name, value in vars(attributes).items() if name.isupper()}
    settings = json.loads((COLLECTOR / "jaeger" / "ui.json").read_text())

    for prefix in settings["topTagPrefixes"]:
        assert any(key.startswith(prefix) for key in keys), prefix
    assert [pattern["key"] for pattern in settings["linkPatterns"]] == [
        "petsard.run.name",
        "petsard.config.hash",
        "petsard.schema.output.hash",
    ]
    for pattern in settings["linkPatterns"]:
        assert pattern["key"] in keys
        query = parse_qs(urlsplit(pattern["url"].replace("#", "")).query)
        assert json.loads(query["tags"][0]) == {pattern["key"]: f"{{{pattern['key']}}}"}
        assert query["service"] == ["petsard"]
        assert "lookback" in query


@pytest.mark.parametrize("path", STORES, ids=[path.stem for path in STORES])
def test_a_store_for_many_is_configured(path: Path, tmp_path: Path) -> None:
    """Jaeger reads the file as a whole, and ends for nothing but the store that is not there."""
    settings = yaml.safe_load(path.read_text())
    store = settings["extensions"]["jaeger_storage"]["backends"][path.stem][path.stem]
    for name in NEWER.get(path.stem, ()):
        del store[name]
    config = tmp_path / path.name
    config.write_text(yaml.safe_dump(settings))
    port = free_port()
    done = subprocess.run(
        [jaeger_binary(), "--config", str(config)],
        env={
            "JAEGER_UI_CONFIG": str(COLLECTOR / "jaeger" / "ui.json"),
            "JAEGER_TELEMETRY_PORT": str(free_port()),
            "OPENSEARCH_URL": f"http://127.0.0.1:{port}",
            "OPENSEARCH_PASSWORD": "a-secret",
            "CLICKHOUSE_ADDRESS": f"127.0.0.1:{port}",
            "CLICKHOUSE_PASSWORD": "a-secret",
            "CASSANDRA_ADDRESS": "127.0.0.1",
            "CASSANDRA_PORT": str(port),
            "CASSANDRA_PASSWORD": "a-secret",
            "CASSANDRA_WITHOUT_TLS": "true",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    (reason,) = re.findall(r"^Error: (.*)$", done.stderr, re.MULTILINE)
    assert f"failed to initialize storage '{path.stem}'" in reason
    assert f"dial tcp 127.0.0.1:{port}: connect: connection refused" in reason
    assert "a-secret" not in done.stdout + done.stderr


def test_every_store_is_used_as_the_one_on_disk() -> None:
    """The files differ in the store and in nothing else, and there are three."""
    assert [path.stem for path in STORES] == ["cassandra", "clickhouse", "opensearch"]
    for path in STORES:
        settings = yaml.safe_load(path.read_text())
        del settings["extensions"]["jaeger_storage"]["backends"]
        expected = yaml.safe_load(CONFIG.read_text())
        del expected["extensions"]["jaeger_storage"]["backends"]
        expected["extensions"]["jaeger_query"]["storage"]["traces"] = path.stem
        expected["exporters"]["jaeger_storage_exporter"]["trace_storage"] = path.stem
        assert settings == expected
