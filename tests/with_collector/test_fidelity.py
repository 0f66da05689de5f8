"""What comes out of the real Collector is what the local Status says, over both protocols."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from petsard_otel import Executor, Schema, Status, configure
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.replay import replay

from .otlp_files import FileSpan, spans_in
from .servers import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .servers import Collector

DEMO = ROOT / "examples" / "pipeline.yaml"

both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])


def endpoint_of(collector: Collector, protocol: str) -> str:
    """Give the endpoint for a protocol."""
    return collector.grpc if protocol == "grpc" else collector.http


def arrived(collector: Collector, count: int) -> list[FileSpan]:
    """Wait for a number of spans, and return all that there are."""
    path = collector.folder / "files" / "traces.jsonl"

    def are_there() -> bool:
        try:
            return len(spans_in(path)) >= count
        except json.JSONDecodeError:
            return False  # a line is being written

    wait_until(are_there, f"{count} spans in {path}")
    return spans_in(path)


def check_equal(status: Status, spans: list[FileSpan]) -> None:
    """See that a Status made of the spans answers as the one that ran."""
    store = StatusStore(1000, 5000, 10_000)
    replay(spans, store, status.run_id)
    summary = status.get_status_summary()

    assert store.snapshots() == status.get_snapshots()
    assert store.timings() == status.get_timing_records()
    assert store.changes() == status.get_change_history()
    assert store.failed_modules == summary["failed_modules"]
    assert store.trace_id == summary["trace_id"]
    assert store.duration_seconds == summary["duration_seconds"]


@both_protocols
def test_every_span_and_attribute_arrives(
    start_collector: Callable[..., Collector], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's spans are, one by one, those that the client made."""
    monkeypatch.chdir(ROOT)
    collector = start_collector("privacy", "file")
    made = InMemorySpanExporter()
    configuration = configure(endpoint_of(collector, protocol), protocol=protocol)
    configuration.tracer_provider.add_span_processor(SimpleSpanProcessor(made))
    executor = Executor(DEMO)
    executor.run()
    configuration.shutdown(30)

    spans = arrived(collector, len(made.get_finished_spans()))

    found = {span.ids: span for span in spans}
    assert len(found) == len(spans) == len(made.get_finished_spans()) > 50
    for span in made.get_finished_spans():
        twin = found[span.context.trace_id, span.context.span_id]
        assert twin.name == span.name
        assert twin.kind == span.kind.value + 1
        assert twin.attributes == dict(span.attributes or {})
        assert (twin.start_time, twin.end_time) == (span.start_time, span.end_time)
        assert twin.parent == (
            None
            if span.parent is None
            else type(twin.context)(span.parent.trace_id, span.parent.span_id, is_remote=True)
        )
        assert twin.links == [(link.context.trace_id, link.context.span_id) for link in span.links]
        assert (twin.status_code, twin.status_message) == (span.status.status_code.value, "")
        assert twin.resource == dict(span.resource.attributes)
        assert twin.instrumentation_scope.name == "petsard_otel"
    check_equal(executor.status, spans)
    assert configuration.delivery is not None
    assert configuration.delivery.delivered == len(spans)


@both_protocols
def test_the_command_line_sends_what_it_prints(
    start_collector: Callable[..., Collector], protocol: str
) -> None:
    """Each line of the timing is a span of that id, and lasted as long."""
    collector = start_collector("privacy", "file")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "petsard_otel", "run", str(DEMO), "--steps"),
            *("--format", "json", "--protocol", protocol),
            *("--endpoint", endpoint_of(collector, protocol)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(done.stdout)

    spans = arrived(collector, len(printed) + 1)

    assert len(printed) == 56
    assert f"57 spans sent to {endpoint_of(collector, protocol)}" in done.stderr
    assert len(spans) == 57
    found = {f"{span.context.span_id:016x}": span for span in spans}
    for row in printed:
        span = found[row["span_id"]]
        assert f"{span.context.trace_id:032x}" == row["trace_id"]
        assert (span.end_time - span.start_time) / 1e9 == row["duration_seconds"]
        assert span.attributes["petsard.module.name"] == row["module_name"]
        assert span.attributes["petsard.experiment.name"] == row["experiment_name"]
        assert span.attributes["petsard.experiment.path"] == row["experiment_path"]


def test_a_failure_arrives_and_its_message_does_not(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """The failing module and its run have status ERROR and a class, and no message."""
    collector = start_collector("privacy", "file")
    pd.DataFrame({"a": ["A123456789", "b"]}).to_csv(tmp_path / "t.csv", index=False)
    configuration = configure(collector.grpc)
    executor = Executor(
        {
            "Loader": {
                "kept": {"filepath": str(tmp_path / "t.csv")},
                "typed": {
                    "filepath": str(tmp_path / "t.csv"),
                    "schema": {"id": "t", "attributes": {"a": {"type": "int64"}}},
                },
            }
        }
    )
    with pytest.raises(Exception, match="are no int64"):
        executor.run()
    configuration.shutdown(30)

    arriving = arrived(collector, 5)
    spans = {span.name: span for span in arriving}

    codes = {name: span.status_code for name, span in spans.items()}
    assert codes["petsard run"] == codes["Loader[typed]"] == 2
    assert codes["Loader[kept]"] == 0
    assert spans["petsard run"].attributes["petsard.run.result"] == "error"
    assert "are no int64" not in (collector.folder / "files" / "traces.jsonl").read_text()
    check_equal(executor.status, arriving)


def test_ten_thousand_columns_arrive(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """The whole structure of a very wide table passes, through files that are replayed as well."""
    names = [f"Spalte größer {number}" for number in range(10_000)]
    pd.DataFrame(np.zeros((3, 10_000)), columns=names).to_parquet(tmp_path / "t.parquet")
    collector = start_collector("privacy", "file")
    configuration = configure(collector.grpc)
    executor = Executor(
        {
            "Loader": {"wide": {"filepath": str(tmp_path / "t.parquet")}},
            "Splitter": {"half": {"train_split_ratio": 0.5}},
        }
    )
    executor.run()
    configuration.shutdown(60)
    assert configuration.delivery is not None
    count = configuration.delivery.delivered

    spans = arrived(collector, count)

    assert count == len(spans) > 100
    parts = [span.attributes for span in spans if span.name == "schema"]
    parts.sort(key=lambda part: int(part["petsard.schema.part"]))
    structure = Schema.from_json("t", "".join(part["petsard.schema.json"] for part in parts))
    assert list(structure.attributes) == names
    check_equal(executor.status, spans)

    replayed = start_collector("replay", "file", COLLECTOR_REPLAY=str(collector.folder / "files"))

    again = arrived(replayed, count)
    assert sorted(again, key=lambda span: span.ids) == sorted(spans, key=lambda span: span.ids)
