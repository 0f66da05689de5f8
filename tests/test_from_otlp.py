"""A Status out of OTLP answers as the live one did, question by question."""

from __future__ import annotations

import gzip
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from petsard_otel import Attribute, Executor, Schema, Status, configure
from petsard_otel.exceptions import (
    ConfigError,
    DataError,
    DecodeError,
    PetsardOtelError,
    SourceError,
    UnexecutedError,
)
from petsard_otel.history.reading import open_history
from petsard_otel.telemetry.otlp.json_lines import json_line

from .conftest import Pipeline, Recorded, ReportAdapter, TableAdapter
from .observed import answers, assert_equal_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from petsard_otel.executor import Progress

ROOT = Path(__file__).parent.parent


class Observed:
    """A history and an exporter that see the same runs."""

    def __init__(self, folder: Path) -> None:
        self.history = folder / "runs.db"
        self._exported = InMemorySpanExporter()
        self._configuration = configure(history=self.history)
        self._configuration.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exported))

    def run(
        self,
        config: Path | dict[str, Any],
        error: type[BaseException] | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Status:
        """Run a pipeline, which may be expected to end with an error."""
        executor = Executor(config, engine="builtin")
        if error is None:
            executor.run(progress)
        else:
            with pytest.raises(error):
                executor.run(progress)
        return executor.status

    @property
    def data(self) -> TracesData:
        """All spans so far, as they were sent."""
        return sent(self._exported.get_finished_spans())

    def close(self) -> None:
        """End both."""
        self._configuration.shutdown()


def sent(spans: Any) -> TracesData:
    """Return spans as an exporter sends them."""
    return TracesData.FromString(encode_spans(spans).SerializeToString())


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observed]:
    """Give a place where runs are both kept and exported."""
    observed = Observed(tmp_path)
    yield observed
    observed.close()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Write a small table."""
    path = tmp_path / "people.csv"
    pd.DataFrame(
        {"age": [20 + n % 40 for n in range(60)], "city": ["Taipei", "Tainan"] * 30}
    ).to_csv(path, index=False)
    return path


def check(observed: Observed, live: Status, folder: Path) -> None:
    """See that each way back gives the answers of the live Status."""
    lines = folder / "traces.jsonl"
    lines.write_text(json_line(observed.data) + "\n")
    with open_history(observed.history) as history:
        messages = list(history.traces_data(history.find(live.run_id)))
    kept = "".join(f"{json_line(data)}\n" for data in messages)
    for source in (lines, str(lines), observed.data.SerializeToString(), kept.encode()):
        assert_equal_answers(Status.from_otlp(source, run_id=live.run_id), live)
    assert_equal_answers(Status.load(live.run_id, observed.history), live)


def test_a_whole_pipeline_with_two_splits(observed: Observed, tmp_path: Path) -> None:
    """Every module, two splits and two synthesizers, steps within."""
    text = (ROOT / "examples/pipeline.yaml").read_text()
    config = tmp_path / "pipeline.yaml"
    config.write_text(
        text.replace("examples/cars.csv", str(ROOT / "examples/cars.csv")).replace(
            "build/demo/", f"{tmp_path}/out/"
        )
    )
    live = observed.run(config)
    assert len(live.get_snapshots()) == 25
    assert live.get_change_history()
    check(observed, live, tmp_path)


def test_wide_tables_whose_schemas_come_in_parts(observed: Observed, tmp_path: Path) -> None:
    """Structures that fit on no span are put together again."""
    names = [f"Spalte größer {number}" for number in range(900)]
    pd.DataFrame(np.zeros((4, 900)), columns=names).to_parquet(tmp_path / "wide.parquet")
    live = observed.run(
        {
            "Loader": {"wide": {"filepath": str(tmp_path / "wide.parquet")}},
            "Splitter": {"half": {"train_split_ratio": 0.5}},
        }
    )
    assert "petsard.schema.parts" in str(observed.data)
    check(observed, live, tmp_path)


def test_a_run_that_fails(observed: Observed, people: Path, tmp_path: Path) -> None:
    """State, failed module, and what there was before."""
    live = observed.run(
        {
            "Loader": {"people": {"filepath": str(people)}},
            "Splitter": {"half": {"train_split_ratio": 0.5}},
            "Preprocessor": {
                "none": {"method": "custom", "sequence": ["scaler"], "config": {"scaler": {}}},
                "wrong": {
                    "method": "custom",
                    "sequence": ["scaler"],
                    "config": {"scaler": {"city": "scaler_standard"}},
                },
            },
            "Synthesizer": {"copula": {"method": "default"}},
        },
        DataError,
    )
    assert live.get_status_summary()["state"] == "failed"
    check(observed, live, tmp_path)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_run_that_is_cancelled(
    number: int, observed: Observed, people: Path, tmp_path: Path
) -> None:
    """Before anything was done, and between two modules."""

    def interrupt(progress: Progress) -> None:
        if progress.number == number:
            raise KeyboardInterrupt

    live = observed.run(
        {
            "Loader": {"people": {"filepath": str(people)}},
            "Splitter": {"twice": {"train_split_ratio": 0.5, "num_samples": 2}},
            "Describer": {"people": {"method": "describe", "source": "Loader"}},
        },
        KeyboardInterrupt,
        interrupt,
    )
    assert live.get_status_summary()["state"] == "cancelled"
    check(observed, live, tmp_path)


def test_one_of_several_runs_is_chosen_by_its_id(
    observed: Observed, people: Path, tmp_path: Path
) -> None:
    """Without one the error names them all; a run that is not there is an error as well."""
    config = {"Loader": {"people": {"filepath": str(people)}}}
    first, second = observed.run(config), observed.run(config)
    path = tmp_path / "traces.jsonl"
    path.write_text(json_line(observed.data))

    for live in (first, second):
        check(observed, live, tmp_path)
    with pytest.raises(SourceError) as caught:
        Status.from_otlp(path)
    assert str(caught.value) == (
        f"there are 2 runs in {str(path)!r}; say which by run_id=:\n"
        f"  {first.run_id}\n  {second.run_id}"
    )
    with pytest.raises(SourceError, match=r"there is no run 'other' in .*; there are:"):
        Status.from_otlp(path, run_id="other")


def test_steps_of_a_users_own_come_back_with_their_numbers(
    observed: Observed, people: Path, tmp_path: Path
) -> None:
    """Outside of a module, with a context of each type that travels."""
    executor = Executor({"Loader": {"people": {"filepath": str(people)}}}, engine="builtin")
    executor.run()
    live = executor.status
    live.start_timing("Loader", "people", "check", {"rows": 60, "share": 0.5, "is_good": True})
    live.end_timing("Loader", "people", "check", {"late": 1})
    assert len(live.get_timing_report_data()) == 2
    check(observed, live, tmp_path)


def test_what_is_to_be_recorded_is_not_asked(
    observed: Observed, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that would stop a run keeps nobody from looking at one."""
    executor = Executor({"Loader": {"people": {"filepath": str(people)}}}, engine="builtin")
    executor.run()
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "everything")
    found = Status.load(executor.status.run_id, observed.history)
    assert found.get_status_summary()["state"] == "completed"


@pytest.mark.parametrize("limits", [(1, 1, 1), (0, 0, 0), (2, 3, 5)])
def test_the_limits_are_those_of_a_status(
    limits: tuple[int, int, int], cars: Schema, scaled: Schema, recorded: Recorded
) -> None:
    """What fell out of the live Status falls out of this one, and is counted alike."""
    live = Status(Pipeline("Loader", "Preprocessor"), *limits, tracer_provider=recorded.provider)
    for experiment in "abc":
        live.put("Loader", experiment, TableAdapter(cars))
        live.put("Preprocessor", experiment, TableAdapter(scaled))
    source = sent(recorded.exported).SerializeToString()
    found = Status.from_otlp(
        source, max_snapshots=limits[0], max_changes=limits[1], max_timings=limits[2]
    )
    assert_equal_answers(found, live)
    with pytest.raises(ConfigError, match="max_changes"):
        Status.from_otlp(source, max_changes=-1)


SEQUENCE = ("Loader", "Splitter", "Preprocessor", "Reporter")
SCHEMAS = [
    Schema.of("cars", [Attribute("a", "int64"), Attribute("b", "string")]),
    Schema.of("cars", [Attribute("a", "float64")]),
    Schema.of("trains", [Attribute("a", "float64")]),
    Schema.of("wide", [Attribute(f"column {number:03}", "float64") for number in range(120)]),
    None,
]


class Described:
    """What a Status tells a run's span of its configuration."""

    name = None
    hash = "0"
    experiment_count = 1
    execution_count = 1
    source = None

    def __init__(self) -> None:
        self.sequence = list(SEQUENCE)
        self.executor: dict[str, Any] = {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SEQUENCE),
            st.sampled_from(["one", "two", "[x]_"]),
            st.sampled_from(SCHEMAS),
            st.sampled_from(["put", "put", "put", "report", "fail"]),
        ),
        max_size=8,
    )
)
def test_any_run_is_rebuilt(executions: list[tuple[str, str, Schema | None, str]]) -> None:
    """Whatever modules run in whatever order with whatever schemas, and some of them fail."""
    recorded = Recorded()
    config = Described()
    live = Status(config, tracer_provider=recorded.provider)
    with live.running(config, "builtin"):
        for module, experiment, schema, what in executions:
            adapter: Any = ReportAdapter() if what == "report" else TableAdapter(schema)
            with suppress(ValueError), live.executing(module, experiment, type(adapter).__name__):
                if what == "fail":
                    int("nothing")
                live.put(module, experiment, adapter)
    assert_equal_answers(Status.from_otlp(sent(recorded.exported).SerializeToString()), live)


@cache
def forms_of_a_run() -> list[bytes]:
    """Return a run with a wide schema in each form that a source may have."""
    recorded = Recorded()
    status = Status(Pipeline("Loader", "Splitter"), tracer_provider=recorded.provider)
    for module, schema in zip(("Loader", "Splitter"), SCHEMAS[2:4], strict=True):
        status.put(module, "one", TableAdapter(schema))
    body = sent(recorded.exported).SerializeToString()
    line = json_line(TracesData.FromString(body)).encode()
    return [body, len(body).to_bytes(4, "big") + body, line, gzip.compress(line)]


@given(st.data())
def test_any_damage_gives_a_status_or_an_error_of_ours(data: st.DataObject) -> None:
    """Bytes lost, put in or fallen over, in each form: all questions have answers, or it says."""
    source = bytearray(data.draw(st.sampled_from(forms_of_a_run())))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(source)))
        lost = data.draw(st.integers(0, 2) | st.just(len(source)))
        source[at : at + lost] = data.draw(st.binary(max_size=2))
    with suppress(PetsardOtelError):
        answers(Status.from_otlp(bytes(source)))


def test_it_is_read_and_takes_nothing_in(observed: Observed, people: Path) -> None:
    """Results are in no trace, and nothing can be added."""
    observed.run({"Loader": {"people": {"filepath": str(people)}}})
    status = Status.from_otlp(observed.data.SerializeToString())
    with pytest.raises(UnexecutedError, match="there is no result of Loader"):
        status.get_result("Loader")
    for record in (
        lambda: status.put("Loader", "people", ReportAdapter()),
        lambda: status.start_timing("Loader", "people", "step"),
        lambda: status.executing("Loader", "people", "Adapter"),
        lambda: status.running(Described(), "builtin"),
    ):
        with pytest.raises(PetsardOtelError, match="takes nothing in"):
            record()


def test_what_a_torn_file_has_left_is_used(
    observed: Observed, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run whose last line was cut off, compressed and not: its modules are there."""
    live = observed.run({"Loader": {"people": {"filepath": str(people)}}})
    whole = observed.data
    lines = []
    for span in whole.resource_spans[0].scope_spans[0].spans:
        data = TracesData()
        data.CopyFrom(whole)
        del data.resource_spans[0].scope_spans[0].spans[:]
        data.resource_spans[0].scope_spans[0].spans.append(span)
        lines.append(json_line(data))
    torn = ("\n".join(lines)[:-50]).encode()
    for content in (torn, gzip.compress(torn)):
        status = Status.from_otlp(content)
        assert status.get_snapshots() == live.get_snapshots()
        assert status.get_timing_records() == live.get_timing_records()
        assert status.get_status_summary()["state"] == "running"
    assert len(caplog.messages) == 2
    count = len(lines)
    assert f"1 of {count} lines cannot be read (line {count}: cut off)" in caplog.messages[0]


def test_an_execution_that_comes_twice_is_open_once_and_ended_where_it_has(
    cars: Schema, recorded: Recorded
) -> None:
    """As files put together have it: killed twice, open twice, first open and then ended."""
    live = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    live.put("Loader", "people", TableAdapter(cars))
    ended, opened, killed = (sent(recorded.exported) for _ in range(3))
    (span,) = opened.resource_spans[0].scope_spans[0].spans
    span.end_time_unix_nano = 0
    (span,) = killed.resource_spans[0].scope_spans[0].spans
    span.attributes.add(key="error.type").value.string_value = "killed"
    span.attributes.add(key="petsard.process.memory").value.int_value = 4096

    def open_modules(*parts: TracesData) -> list[tuple[str, int | None]]:
        source = b"".join(part.SerializeToString() for part in parts)
        found = Status.from_otlp(source).get_status_summary()["open_modules"]
        return [(execution.module_name, execution.memory_bytes) for execution in found]

    assert open_modules(killed, killed) == [("Loader", 4096)]
    assert open_modules(opened, opened) == [("Loader", None)]
    assert open_modules(opened, killed) == open_modules(killed, opened) == [("Loader", 4096)]
    assert open_modules(opened, ended) == open_modules(ended, opened) == []


def test_what_has_no_span_of_ours_is_an_error(recorded: Recorded, tmp_path: Path) -> None:
    """It says how many there are of others."""
    with recorded.provider.get_tracer("sqlalchemy").start_as_current_span("SELECT"):
        pass
    path = tmp_path / "theirs.jsonl"
    path.write_text(json_line(sent(recorded.exported)))
    with pytest.raises(SourceError) as caught:
        Status.from_otlp(path)
    assert str(caught.value) == (
        f"there is no span of petsard-otel in {str(path)!r}, but 1 of other programs"
    )


def test_a_damaged_span_of_ours_is_named_with_its_file(
    observed: Observed, people: Path, tmp_path: Path
) -> None:
    """File, span, attribute and type; nothing that it says, not even its name."""
    observed.run({"Loader": {"people": {"filepath": str(people)}}})
    data = observed.data
    for span in data.resource_spans[0].scope_spans[0].spans:
        for entry in span.attributes:
            if entry.key == "petsard.snapshot.id":
                entry.value.int_value = 7
                span_id, span.name = span.span_id.hex(), "Jane Roe"
    path = tmp_path / "traces.pb"
    path.write_bytes(data.SerializeToString())
    with pytest.raises(DecodeError) as caught:
        Status.from_otlp(path)
    assert str(caught.value) == (
        f"{str(path)!r}: span {span_id}: span attribute 'petsard.snapshot.id': "
        "expected text, found int"
    )


def test_a_list_that_a_store_made_a_text_is_a_list(observed: Observed, people: Path) -> None:
    """Jaeger with Badger keeps lists so, and writes `>` as an escape."""
    live = observed.run({"Loader": {"people": {"filepath": str(people)}}})
    data = observed.data
    changed = 0
    for span in data.resource_spans[0].scope_spans[0].spans:
        for entry in span.attributes:
            if entry.key == "petsard.sequence":
                entry.value.string_value = r'["\u004coader"]'
                changed += 1
    assert changed == 1
    assert_equal_answers(Status.from_otlp(data.SerializeToString()), live)


_KILLED = """
import os, sys, time
from petsard_otel import Executor, configure
from petsard_otel.modules.splitter import SplitterAdapter

configure(history="runs.db")
def die(*_):
    time.sleep(1.2)  # a sign of life is given every half second
    os._exit(9)
SplitterAdapter.run = die
Executor(
    {"Loader": {"people": {"filepath": "people.csv"}}, "Splitter": {"half": {}}}, engine="builtin"
).run()
"""


def test_a_killed_run_out_of_an_export_is_the_one_that_is_kept(
    people: Path, tmp_path: Path
) -> None:
    """Closed on the way out of the history: the same answers, the open module among them."""
    assert people.parent == tmp_path
    killed = subprocess.run([sys.executable, "-c", _KILLED], cwd=tmp_path, check=False)
    assert killed.returncode == 9
    kept = Status.load("last", tmp_path / "runs.db")
    with open_history(tmp_path / "runs.db") as history:
        messages = list(history.traces_data(history.find("last")))
    path = tmp_path / "killed.jsonl"
    path.write_text("".join(f"{json_line(data)}\n" for data in messages))

    found = Status.from_otlp(path)

    assert_equal_answers(found, kept)
    assert found.get_status_summary()["state"] == "killed"
    (opened,) = found.get_status_summary()["open_modules"]
    assert (opened.module_name, opened.experiment_name) == ("Splitter", "half_[1-1]")
