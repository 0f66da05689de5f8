"""PETsARD's own Executor in scripts that know nothing of us."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import petsard.adapter
import petsard.executor
import petsard.status
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode
from petsard.metadater.metadater import SchemaMetadater

import petsard_otel
from petsard_otel import PETsARDInstrumentor, Schema, Status
from petsard_otel.config import Config
from petsard_otel.petsard.steps import STEPS

from ..otlp_receivers import http_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..conftest import Recorded

PIPELINE = """
Loader:
  people: {{filepath: {path}}}
Splitter:
  holdout: {{num_samples: 2, train_split_ratio: 0.75}}
Preprocessor:
  encode:
    method: custom
    sequence: [encoder]
    config: {{encoder: {{city: encoder_onehot, work: encoder_uniform, joined: encoder_uniform}}}}
Synthesizer:
  copula: {{method: default}}
Postprocessor:
  decode: {{method: default}}
Reporter:
  data: {{method: save_data, source: Postprocessor}}
"""


@pytest.fixture
def recorded(recorded: Recorded) -> Iterator[Recorded]:
    """Have PETsARD instrumented with a provider of the test's own."""
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.provider)
    yield recorded
    instrumentor.uninstrument()


def test_every_module_execution_is_a_span_with_its_true_names(
    recorded: Recorded, people: Path
) -> None:
    """Names are the configuration's, in the order in which modules ended; the run is last."""
    petsard.Executor(PIPELINE.format(path=people)).run()
    ended = [span for span in recorded.exported if "." not in span.name]
    assert [span.name for span in ended] == [
        "Loader[people]",
        "Splitter[holdout]",
        "Preprocessor[encode]",
        "Synthesizer[copula]",
        "Postprocessor[decode]",
        "Reporter[data]",
        "Splitter[holdout]",
        "Preprocessor[encode]",
        "Synthesizer[copula]",
        "Postprocessor[decode]",
        "Reporter[data]",
        "petsard run",
    ]
    run = ended[-1]
    assert run.kind is SpanKind.SERVER
    assert {key: run.attributes[key] for key in run.attributes if key != "petsard.run.id"} == {
        "petsard.run.result": "success",
        "petsard.config.hash": Config(PIPELINE.format(path=people)).hash,
        "petsard.sequence": (
            "Loader",
            "Splitter",
            "Preprocessor",
            "Synthesizer",
            "Postprocessor",
            "Reporter",
        ),
        "petsard.engine": "petsard",
        "petsard.experiment.count": 2,
    }
    assert [span.attributes["petsard.experiment.path"] for span in ended[1:7:5]] == [
        "Loader[people]_Splitter[holdout_[2-1]]",
        "Loader[people]_Splitter[holdout_[2-2]]",
    ]
    for span in ended[:-1]:
        assert span.parent.span_id == run.context.span_id
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
    by_id = {span.context.span_id: span.name for span in ended}
    assert [by_id[link.context.span_id] for span in ended[:-1] for link in span.links] == [
        "Loader[people]",
        "Splitter[holdout]",
        "Preprocessor[encode]",
        "Synthesizer[copula]",
        "Postprocessor[decode]",
    ] * 2


def test_a_module_span_says_what_the_module_did(recorded: Recorded, people: Path) -> None:
    """Schemas before and after, rows and columns; one-hot columns are numbered, not named."""
    petsard.Executor(PIPELINE.format(path=people)).run()
    loader = recorded.spans["Loader[people]"].attributes
    assert loader["petsard.operator.type"] == "LoaderAdapter"
    assert (loader["petsard.output.rows"], loader["petsard.output.columns"]) == (240, 6)
    assert json.loads(loader["petsard.schema.output.json"]) == {
        "attributes": [
            {"name": "age", "type": "int"},
            {"name": "city", "type": "str", "category": True},
            {"name": "income", "type": "float", "precision": 2},
            {"name": "hours", "type": "float", "precision": 1},
            {"name": "work", "type": "str", "nullable": True, "category": True},
            {"name": "joined", "type": "str"},
        ]
    }
    encoded = recorded.spans["Preprocessor[encode]"].attributes
    assert encoded["petsard.schema.input.hash"] == loader["petsard.schema.output.hash"]
    assert encoded["petsard.output.rows"] == 180
    assert encoded["petsard.schema.added"] == ("city_1", "city_2")
    assert encoded["petsard.schema.removed"] == ("city",)
    assert encoded["petsard.schema.retyped"] == (
        "work: str category -> float64",
        "joined: str -> float64",
    )
    drawn = recorded.spans["Synthesizer[copula]"].attributes
    assert drawn["petsard.schema.input.hash"] == encoded["petsard.schema.output.hash"]
    assert drawn["petsard.schema.output.hash"] == encoded["petsard.schema.output.hash"]
    decoded = recorded.spans["Postprocessor[decode]"].attributes
    assert decoded["petsard.schema.output.hash"] == loader["petsard.schema.output.hash"]


def test_the_calls_inside_a_module_are_steps(recorded: Recorded, people: Path) -> None:
    """Each step lies under its module, `fit` and `sample` under `fit_sample`."""
    executor = petsard.Executor(PIPELINE.format(path=people))
    executor.run()
    by_id = {span.context.span_id: span.name for span in recorded.exported}
    steps = [
        (span.name, by_id[span.parent.span_id]) for span in recorded.exported if "." in span.name
    ]
    assert steps[:12] == [
        ("Loader.load", "Loader[people]"),
        ("Splitter.split", "Splitter[holdout]"),
        ("Preprocessor.fit", "Preprocessor[encode]"),
        ("Preprocessor.transform", "Preprocessor[encode]"),
        ("Synthesizer.create", "Synthesizer[copula]"),
        ("Synthesizer.fit", "Synthesizer.fit_sample"),
        ("Synthesizer.sample", "Synthesizer.fit_sample"),
        ("Synthesizer.fit_sample", "Synthesizer[copula]"),
        ("Postprocessor.inverse_transform", "Postprocessor[decode]"),
        ("Reporter.create", "Reporter[data]"),
        ("Reporter.report", "Reporter[data]"),
        ("Splitter.split", "Splitter[holdout]"),
    ]
    assert len(executor.get_timing()) == 11


def test_a_describer_has_each_step_once(recorded: Recorded, people: Path) -> None:
    """What a derived class calls on its base is not a second step."""
    petsard.Executor(
        f"Loader: {{p: {{filepath: {people}}}}}\n"
        "Describer: {d: {method: describe, source: Loader}}\n"
    ).run()
    assert [span.name for span in recorded.exported if "." in span.name] == [
        "Loader.load",
        "Describer.create",
        "Describer.eval",
    ]


def test_questions_that_were_dead_are_answered(
    instrumented: PETsARDInstrumentor,  # noqa: ARG001  it is in force
    tmp_path: Path,
) -> None:
    """Timing, evolution, restoring and the change history work in an unchanged script."""
    for name, text in {"a": "x,y\n1,u\n2,v\n", "b": "x,z\n1.5,u\n2.5,v\n"}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    exec = petsard.Executor("Loader:\n  one: {filepath: a.csv}\n  two: {filepath: b.csv}\n")  # noqa: A001
    assert exec.get_timing().empty
    exec.run()
    assert exec.is_execution_completed()
    timing = exec.get_timing()
    assert list(timing["module_name"]) == ["Loader", "Loader"]
    assert list(timing["experiment_name"]) == ["one", "two"]
    assert (timing["duration_seconds"] > 0).all()
    evolution = exec.status.get_metadata_evolution()
    assert [list(schema.attributes) for schema in evolution] == [["x", "y"], ["x", "z"]]
    (change,) = exec.status.get_change_history()
    assert (change.kind, change.diff.added, change.diff.removed) == ("experiment", ("z",), ("y",))
    first = exec.status.get_snapshots()[0]
    assert type(first.metadata_after) is Schema
    assert list(exec.status.get_metadata().attributes) == ["x", "z"]
    assert exec.status.restore_from_snapshot(first.snapshot_id) is True
    restored = exec.status.get_metadata()
    assert type(restored).__module__ == "petsard.metadater.metadata"
    assert {name: a.type for name, a in restored.attributes.items()} == {"x": "int", "y": "str"}
    assert exec.status.restore_from_snapshot("snapshot_none") is False
    assert exec.status.get_status_summary()["state"] == "completed"
    assert isinstance(exec.status, Status)


def test_a_script_may_name_arguments_as_petsard_does(
    instrumented: PETsARDInstrumentor,  # noqa: ARG001  it is in force
    people: Path,
) -> None:
    """`expt` and `operator` are PETsARD's names for an experiment and an adapter."""
    executor = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    status: Any = executor.status
    status.start_timing(module="Loader", expt="p", step="wait")
    assert status.end_timing(module="Loader", expt="p", step="wait").step_name == "wait"
    adapter = executor.config.config.queue[0]
    adapter.run(adapter.set_input(status))
    status.put(module="Loader", expt="p", operator=adapter)
    assert status.get_snapshots()[0].rows == 240
    with pytest.raises(petsard.exceptions.UnexecutedError):
        status.get_metadata("Splitter")
    with pytest.raises(petsard_otel.UnexecutedError):
        status.get_metadata("Splitter")
    with pytest.raises(petsard.exceptions.ConfigError, match="there is no module 'Splitter'"):
        status.get_full_expt("Splitter")


def functions_of_petsard() -> dict[str, Any]:
    """Give everything that instrumenting replaces, by its place."""
    found: dict[str, Any] = {
        "Status in executor": vars(petsard.executor)["Status"],
        "Status in status": vars(petsard.status)["Status"],
    }
    for name in ("__init__", "_setup_logger", "run"):
        found[f"Executor.{name}"] = vars(petsard.executor.Executor)[name]
    for name, cls in vars(petsard.adapter).items():
        if isinstance(cls, type) and "set_input" in vars(cls):
            found[f"{name}.set_input"] = vars(cls)["set_input"]
    for place, names in STEPS.items():
        module, _, cls_name = place.partition(":")
        cls = getattr(sys.modules[module], cls_name)
        found.update({f"{place}.{name}": vars(cls)[name] for name in names})
    return found


def test_uninstrument_gives_back_the_very_functions(people: Path) -> None:
    """After a run everything is what it was, and PETsARD's own Status is back."""
    before = functions_of_petsard()
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    executor = petsard.Executor(PIPELINE.format(path=people))
    inside: list[Any] = []
    executor.run()
    inside.append(functions_of_petsard())
    instrumentor.uninstrument()
    after = functions_of_petsard()
    assert [name for name, found in before.items() if after[name] is not found] == []
    changed = {name for name, found in before.items() if inside[0][name] is not found}
    assert {"Status in executor", "Executor.run", "LoaderAdapter.set_input"} <= changed
    # Steps are wrapped while a run needs them.
    assert not changed & {f"{place}.{name}" for place, names in STEPS.items() for name in names}
    plain = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    plain.run()
    assert type(plain.status) is before["Status in status"]


def test_calling_twice_does_nothing(
    instrumented: PETsARDInstrumentor, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second `instrument()` changes nothing, a second `uninstrument()` neither."""
    once = functions_of_petsard()
    instrumented.instrument()
    PETsARDInstrumentor().instrument()
    assert functions_of_petsard() == once
    executor = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    executor.run()
    assert len(executor.status.get_snapshots()) == 1
    instrumented.uninstrument()
    instrumented.uninstrument()
    assert "already uninstrumented" in caplog.text
    instrumented.instrument()
    again = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    again.run()
    assert len(again.status.get_snapshots()) == 1


def test_what_somebody_else_wrapped_is_left_to_him(people: Path) -> None:
    """A wrapper on top of ours stays, and ours in it lets everything through."""
    original = vars(petsard.executor.Executor)["run"]
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    ours = petsard.executor.Executor.run
    calls = []

    def theirs(self: Any) -> None:
        calls.append(self)
        ours(self)

    petsard.executor.Executor.run = theirs
    try:
        instrumentor.uninstrument()
        assert vars(petsard.executor.Executor)["run"] is theirs
        executor = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
        executor.run()
        assert len(calls) == 1
        assert executor.is_execution_completed()
        assert executor.status.get_snapshots()
    finally:
        petsard.executor.Executor.run = original


def run_script(text: str, folder: Path, *before: str, **variables: str) -> Any:
    """Run a script in a process of its own."""
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.run(
        [*before, sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


BEFORE_AND_AFTER = """
import sys
from petsard_otel import PETsARDInstrumentor
PETsARDInstrumentor().instrument()
assert "petsard" not in sys.modules
PETsARDInstrumentor().uninstrument()
PETsARDInstrumentor().instrument()
from petsard import Executor
executor = Executor("Loader: {p: {filepath: people.csv}}")
executor.run()
print(list(executor.get_timing()["module_name"]), executor.status.get_status_summary()["state"])
"""


def test_it_may_come_before_petsard_is_imported(people: Path) -> None:
    """Instrumenting imports nothing of PETsARD; what is imported later is instrumented."""
    found = run_script(BEFORE_AND_AFTER, people.parent)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "['Loader'] completed\n"


def test_an_executor_from_before_runs_as_it_would(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says that it is not recorded."""
    executor = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    try:
        executor.run()
    finally:
        instrumentor.uninstrument()
    assert executor.is_execution_completed()
    # PETsARD has removed the root's handlers, so that Python itself writes it.
    assert capsys.readouterr().err == (
        "this Executor was made before PETsARD was instrumented; its run is not recorded\n"
    )


def test_a_second_run_does_nothing_as_in_petsard(recorded: Recorded, people: Path) -> None:
    """PETsARD's Executor runs once."""
    executor = petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}")
    executor.run()
    executor.run()
    assert [span.name for span in recorded.exported].count("petsard run") == 1


def test_a_wrong_variable_leaves_petsard_alone(
    people: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The script runs, nothing is recorded, and one line says what is wrong."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hidden")
    before = functions_of_petsard()
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    try:
        assert functions_of_petsard() == before
        petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}").run()
    finally:
        instrumentor.uninstrument()
    assert (
        "PETsARD is not instrumented: PETSARD_OTEL_FIELD_NAMES is plain or hashed (found 'hidden')"
        in caplog.text
    )


class BrokenError(Exception):
    """What a module of the tests raises."""


BROKEN = BrokenError("could not convert 'Jane Roe'")


@pytest.mark.parametrize("error", [BROKEN, KeyboardInterrupt("by hand"), SystemExit(3)])
@pytest.mark.parametrize("place", ["_run", "set_input", "get_metadata"])
def test_an_exception_goes_through_as_it_is(
    error: BaseException,
    place: str,
    recorded: Recorded,
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The very same object reaches the caller; the record says where, and not what."""

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(petsard.adapter.SplitterAdapter, place, fail)
    executor = petsard.Executor(PIPELINE.format(path=people))
    with pytest.raises(type(error)) as raised:
        executor.run()
    assert raised.value is error
    assert not executor.is_execution_completed()
    summary = executor.status.get_status_summary()
    is_error = isinstance(error, Exception)
    assert summary["state"] == ("failed" if is_error else "cancelled")
    assert summary["failed_modules"] == ("Splitter",)
    assert summary["telemetry_errors"] == 0
    kind = {
        BrokenError: f"{BrokenError.__module__}.BrokenError",
        KeyboardInterrupt: "KeyboardInterrupt",
        SystemExit: "SystemExit",
    }[type(error)]
    for name in ("Splitter[holdout]", "petsard run"):
        span = recorded.spans[name]
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.attributes["error.type"] == kind
        assert span.events == ()
    assert recorded.spans["Loader[people]"].status.status_code is StatusCode.UNSET
    failed = executor.status.get_snapshots()[-1]
    assert (failed.module_name, failed.experiment_name) == ("Splitter", "holdout_[2-1]")
    assert [span.name for span in recorded.exported if "." not in span.name] == [
        "Loader[people]",
        "Splitter[holdout]",
        "petsard run",
    ]


def test_two_executors_in_two_threads_stay_apart(
    instrumented: PETsARDInstrumentor,  # noqa: ARG001  it is in force
    people: Path,
) -> None:
    """Each Status has its own run's executions, and its own trace."""
    executors = [
        petsard.Executor(
            f"Loader: {{{name}: {{filepath: {people}}}}}\nSplitter: {{s: {{num_samples: 4}}}}"
        )
        for name in ("one", "two")
    ]
    threads = [threading.Thread(target=executor.run) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traces = set()
    for name, executor in zip(("one", "two"), executors, strict=True):
        names = [snapshot.experiment_name for snapshot in executor.status.get_snapshots()]
        assert names == [name, "s_[4-1]", "s_[4-2]", "s_[4-3]", "s_[4-4]"]
        traces.add(executor.status.get_status_summary()["trace_id"])
        paths = {snapshot.experiment_path for snapshot in executor.status.get_snapshots()}
        assert all(path.startswith(f"Loader[{name}]") for path in paths)
    assert len(traces) == 2


def test_the_hosts_handlers_survive(
    instrumented: PETsARDInstrumentor,  # noqa: ARG001  it is in force
    people: Path,
) -> None:
    """The root's handlers and those that the host gave PETsARD's logger are there after it all."""
    heard: list[tuple[str, str]] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append((self.name or "", record.name))

    at_root, at_petsard = Hearing(), Hearing()
    at_root.name, at_petsard.name = "root", "petsard"
    root, own = logging.getLogger(), logging.getLogger("PETsARD")
    root.addHandler(at_root)
    own.addHandler(at_petsard)
    roots = list(root.handlers)
    for section in ("", "Executor: {log_output_type: both, log_level: WARNING}\n"):
        petsard.Executor(f"{section}Loader: {{p: {{filepath: {people}}}}}").run()
        assert root.handlers == roots
        assert at_petsard in own.handlers
    own.warning("heard")
    # PETsARD's formatter cuts names off; what comes after it has them whole.
    logging.getLogger("PETsARD.Loader").warning("heard")
    assert ("root", "PETsARD") in heard
    assert [entry for entry in heard if entry[1] == "PETsARD.Loader"][-2:] == [
        ("petsard", "PETsARD.Loader"),
        ("root", "PETsARD.Loader"),
    ]
    # PETsARD's own handlers are its own business: a console and a file.
    assert [type(handler).__name__ for handler in own.handlers] == [
        "Hearing",
        "FileHandler",
        "StreamHandler",
    ]
    lines = Path(own.handlers[1].baseFilename).read_text()  # type: ignore[attr-defined]
    assert " - Loader                   - " in lines


class TalkativeLoader(petsard.adapter.LoaderAdapter):  # type: ignore[misc]
    """A Loader whose schema holds cells wherever PETsARD's schemas can hold some."""

    def _run(self, input: dict[str, Any]) -> None:
        super()._run(input)
        schema = SchemaMetadater.from_data(self.data, enable_stats=True, id="people")
        schema.description = "Jane Roe"
        schema.attributes["age"].default_value = 4711
        schema.attributes["age"].na_values = [9998]
        schema.attributes["city"].constraints = {"pattern": "Bergen|Chur"}
        schema.attributes["work"].description = "public"
        self.metadata = schema


def test_no_cell_is_in_any_exported_byte(
    recorded: Recorded, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither statistics of PETsARD's schema, nor categories, nor what an exception quotes."""
    executor = petsard.Executor(PIPELINE.format(path=people))
    executor.run()
    monkeypatch.setattr(petsard.adapter, "LoaderAdapter", TalkativeLoader)

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise BROKEN

    # PETsARD's own Synthesizer cannot take a schema with statistics.
    monkeypatch.setattr(petsard.adapter.SynthesizerAdapter, "_run", fail)
    failing = petsard.Executor(PIPELINE.format(path=people))
    with pytest.raises(BrokenError):
        failing.run()
    cells = ("Aalborg", "Bergen", "Chur", "public", "private", "4711", "9998", "Jane Roe")
    of_petsard = repr(failing.status.get_metadata())
    assert [cell for cell in cells if cell not in of_petsard] == []
    sent = encode_spans(recorded.exported).SerializeToString()
    assert b"city_1" in sent
    known = repr([each.status.get_snapshots() for each in (executor, failing)])
    known += repr([each.status.get_change_history() for each in (executor, failing)])
    assert [cell for cell in cells if cell.encode() in sent or cell in known] == []


def test_metrics_go_to_the_provider_that_was_given(people: Path) -> None:
    """Durations and rows of modules, with the engine among their attributes."""
    reader = InMemoryMetricReader()
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument(meter_provider=MeterProvider([reader]))
    try:
        petsard.Executor(f"Loader: {{p: {{filepath: {people}}}}}").run()
    finally:
        instrumentor.uninstrument()
    found: Any = reader.get_metrics_data()
    (scope,) = found.resource_metrics[0].scope_metrics
    points = {metric.name: metric.data.data_points[0] for metric in scope.metrics}
    assert dict(points["petsard.module.duration"].attributes) == {
        "petsard.module.name": "Loader",
        "petsard.experiment.name": "p",
        "petsard.engine": "petsard",
    }
    assert points["petsard.module.rows"].sum == 240
    assert dict(points["petsard.run.duration"].attributes) == {"petsard.engine": "petsard"}


SCRIPT = """
from petsard import Executor
executor = Executor("Loader: {p: {filepath: people.csv}}")
executor.run()
print(len(executor.get_timing()), type(executor.status).__module__)
"""


def test_opentelemetry_instrument_needs_no_line(people: Path) -> None:
    """`opentelemetry-instrument python script.py` on a script that does not know of us."""
    with http_receiver() as (url, receiver):
        found = run_script(
            SCRIPT,
            people.parent,
            str(Path(sys.executable).parent / "opentelemetry-instrument"),
            OTEL_EXPORTER_OTLP_ENDPOINT=url,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_SERVICE_NAME="nightly",
        )
        assert found.returncode == 0, found.stderr
        assert found.stdout == "1 petsard_otel.petsard.instrumented\n"
    assert [span.name for span in receiver.all_spans] == [
        "Loader.load",
        "Loader[p]",
        "petsard run",
    ]
    (resource,) = receiver.traces[0].resource_spans
    names = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
    assert names["service.name"] == "nightly"


def test_it_can_be_switched_off_by_name(people: Path) -> None:
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=petsard leaves PETsARD alone."""
    found = run_script(
        SCRIPT,
        people.parent,
        str(Path(sys.executable).parent / "opentelemetry-instrument"),
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="petsard",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert found.stdout == "0 petsard.status\n"


ONE_LINE = """
import sys
from petsard_otel import PETsARDInstrumentor, configure
configuration = configure(sys.argv[1])
PETsARDInstrumentor().instrument()
"""


def test_one_line_and_configure_send(people: Path) -> None:
    """What `configure()` sets up carries the spans of an instrumented run."""
    with http_receiver() as (url, receiver):
        script = ONE_LINE.replace("sys.argv[1]", repr(url)).replace(
            "configure(", "configure(protocol='http/protobuf', endpoint="
        )
        found = run_script(script + SCRIPT, people.parent)
        assert found.returncode == 0, found.stderr
    assert [span.name for span in receiver.all_spans] == [
        "Loader.load",
        "Loader[p]",
        "petsard run",
    ]
