"""PETsARD, and whoever uses it, find their own objects, results and logs as without us."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from typing import TYPE_CHECKING, Any

import pandas as pd
import petsard
import petsard.adapter
import petsard.config
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from petsard.processor import Processor

from petsard_otel import PETsARDInstrumentor, Status
from petsard_otel.petsard import convention, host_logging, instrumented, steps, timing_lines

from .conftest import seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOADER = "Loader: {p: {filepath: people.csv}}\n"

ONE_HOT = (
    "Preprocessor: {o: {method: custom, sequence: [encoder],"
    " config: {encoder: {city: encoder_onehot}}}}\n"
)


class CustomAdapter(petsard.adapter.BaseAdapter):  # type: ignore[misc]
    """A module of somebody's own; what it does is set by a test."""

    do: Callable[[Any, Any], pd.DataFrame]
    asked = 0

    def set_input(self, status: Any) -> dict[str, Any]:
        before = status.get_pre_module("Custom")
        return {"table": status.get_result(before), "status": status}

    def _run(self, input: dict[str, Any]) -> None:
        self.table = type(self).do(input["table"], input["status"])

    def get_result(self) -> pd.DataFrame:
        type(self).asked += 1
        return self.table


@pytest.fixture
def custom(monkeypatch: pytest.MonkeyPatch) -> type[CustomAdapter]:
    """Put a module beside PETsARD's."""
    cls = type("CustomAdapter", (CustomAdapter,), {"do": staticmethod(lambda table, _: table[:7])})
    monkeypatch.setattr(petsard.adapter, "CustomAdapter", cls, raising=False)
    return cls


@pytest.fixture
def exported(people: Path) -> Iterator[InMemorySpanExporter]:  # noqa: ARG001  the file is there
    """Have PETsARD instrumented, and give what is exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource.get_empty())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


def sent(exporter: InMemorySpanExporter) -> str:
    """Give all that was exported as text."""
    return "".join(span.to_json() for span in exporter.get_finished_spans())


def test_nobody_s_adapter_is_asked_for_its_result(
    exported: InMemorySpanExporter, custom: type[CustomAdapter]
) -> None:
    """PETsARD asks for the last result once, and so it stays; the one table held is described."""
    executor = petsard.Executor(LOADER + "Custom: {c: {}}\n")
    executor.run()
    assert custom.asked == 1
    snapshot = executor.status.get_snapshots("Custom")[0]
    assert (snapshot.rows, snapshot.columns) == (7, 6)
    assert snapshot.metadata_after.hash == snapshot.metadata_before.hash
    assert exported.get_finished_spans()


def test_methods_can_be_pickled_and_copied_during_a_run(
    exported: InMemorySpanExporter, custom: type[CustomAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker processes are given bound methods; what is wrapped behaves as what it wraps."""
    found: list[Any] = []
    splitter = petsard.adapter.SplitterAdapter({"num_samples": 1})

    def look(table: pd.DataFrame, status: Any) -> pd.DataFrame:
        processor = Processor(metadata=status.get_metadata("Loader"), config={})
        for method in (processor.transform, splitter.set_input, Processor.transform):
            found.append(pickle.loads(pickle.dumps(method)).__name__)  # noqa: S301  our own
            copied = copy.deepcopy(method)
            assert copied.__name__ == method.__name__
        assert copy.deepcopy(processor.fit).__self__ is not processor
        return table

    monkeypatch.setattr(custom, "do", staticmethod(look))
    petsard.Executor(LOADER + "Custom: {c: {}}\n").run()
    assert found == ["transform", "set_input", "transform"]
    assert exported.get_finished_spans()


def test_a_variable_that_turns_bad_later_fails_no_script(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read when PETsARD was instrumented is in force."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "everything")
    executor = petsard.Executor(LOADER)
    executor.run()
    assert executor.is_execution_completed()
    assert exported.get_finished_spans()


@pytest.mark.usefixtures("exported")
def test_a_handler_of_an_odd_kind_is_let_be() -> None:
    """Whoever has a level and can handle is a handler to Python."""

    class Odd:
        level = 0

        def handle(self, record: logging.LogRecord) -> None:
            """Take no note."""

        def close(self) -> None:
            """Have nothing to close."""

    odd: Any = Odd()
    logger = logging.getLogger("PETsARD")
    logger.addHandler(odd)
    petsard.Executor(LOADER).run()
    assert odd in logger.handlers


@pytest.mark.usefixtures("exported")
def test_after_a_failed_run_nothing_begins(
    custom: type[CustomAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on by hand has no span of ours around what comes after."""

    def fail(_: Any, __: Any) -> Any:
        raise LookupError

    monkeypatch.setattr(custom, "do", staticmethod(fail))
    executor = petsard.Executor(f"{LOADER}Custom: {{c: {{}}, d: {{}}}}\n")
    with pytest.raises(LookupError):
        executor.run()
    adapter = executor.config.config.get()
    adapter.set_input(executor.status)
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.usefixtures("exported")
def test_a_put_by_hand_inside_a_module_ends_only_its_own(
    custom: type[CustomAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module around it is recorded with all of its time."""

    def load_more(table: pd.DataFrame, status: Any) -> pd.DataFrame:
        inner = petsard.adapter.LoaderAdapter({"filepath": "people.csv"})
        inner.run(inner.set_input(status))
        status.put("Loader", "inner", inner)
        return table

    monkeypatch.setattr(custom, "do", staticmethod(load_more))
    executor = petsard.Executor(LOADER + "Custom: {c: {}}\n")
    executor.run()
    timing = executor.get_timing().set_index("experiment_name")["duration_seconds"]
    assert list(timing.index) == ["p", "inner", "c"]
    assert timing["c"] > timing["inner"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_one_hot_columns_stay_numbers_through_restore_and_other_modules(
    exported: InMemorySpanExporter, custom: type[CustomAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a restored schema, nor one that was set, nor a later module tells a category."""

    def dummies(table: pd.DataFrame, _: Any) -> pd.DataFrame:
        return pd.get_dummies(table.drop(columns="joined"), columns=["work"])

    monkeypatch.setattr(custom, "do", staticmethod(dummies))
    executor = petsard.Executor(f"{LOADER}{ONE_HOT}Custom: {{c: {{}}}}\n")
    executor.run()
    status: Status = executor.status
    snapshot = status.get_snapshots("Preprocessor")[0]
    assert status.restore_from_snapshot(snapshot.snapshot_id)
    assert {"city_Bergen", "city_Chur"} <= set(status.get_metadata("Preprocessor").attributes)
    again = status.status["Custom"]["operator"]
    status.put("Custom", "again", again)
    status.get_schema_lineage()
    known = repr((status.get_snapshots(), status.get_change_history(), status.get_schema_lineage()))
    for cell in ("Bergen", "Chur", "public", "private"):
        assert cell not in known + sent(exported)
    assert {"city_1", "city_2", "work_1", "work_2"} <= set(
        status.get_snapshots("Custom")[0].metadata_after.attributes  # type: ignore[union-attr]
    )


def test_a_line_without_the_prefix_is_no_step(
    exported: InMemorySpanExporter, custom: type[CustomAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is logged with bars in it stays in the log."""

    def talk(table: pd.DataFrame, _: Any) -> pd.DataFrame:
        logging.getLogger("PETsARD.x").info("%s|%s|%s|%s", "END", "row", "Jane Roe", 3)
        logging.getLogger("PETsARD.x").info("END|row|Jane Roe|3")
        return table

    monkeypatch.setattr(custom, "do", staticmethod(talk))
    petsard.Executor(LOADER + "Custom: {c: {}}\n").run()
    assert "Jane Roe" not in sent(exported)


@pytest.mark.usefixtures("people")
def test_a_run_that_was_taken_before_leaves_nothing_wrapped() -> None:
    """`uninstrument()` between taking a method and calling it."""
    before = vars(petsard.adapter.LoaderAdapter)["set_input"]
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    run = petsard.Executor(LOADER).run
    instrumentor.uninstrument()
    run()
    assert vars(petsard.adapter.LoaderAdapter)["set_input"] is before


@pytest.mark.usefixtures("exported")
def test_no_class_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook defines its adapter anew each time that its cell runs."""
    known = []
    for _ in range(3):
        cls = type(
            "CustomAdapter", (CustomAdapter,), {"do": staticmethod(lambda table, _: table[:7])}
        )
        monkeypatch.setattr(petsard.adapter, "CustomAdapter", cls, raising=False)
        petsard.Executor(LOADER + "Custom: {c: {}}\n").run()
        known.append(weakref.ref(cls))
    monkeypatch.undo()
    del cls
    gc.collect()
    assert [each() for each in known] == [None] * 3


BREAKS = [
    (instrumented.InstrumentedStatus, "plan"),
    (instrumented.InstrumentedStatus, "executing"),
    (instrumented.Description, "of"),
    (convention.PetsardConvention, "output"),
    (convention, "readable_schema"),
    (steps.StepPatches, "_wrap"),
    (timing_lines.TimingLines, "_take"),
    (timing_lines, "running_module"),
    (host_logging, "_put_back"),
    (host_logging, "_keep_names"),
]


@pytest.mark.parametrize(("owner", "name"), BREAKS, ids=[name for _, name in BREAKS])
def test_our_own_failure_is_never_the_host_s(
    owner: Any, name: str, people: Path, monkeypatch: pytest.MonkeyPatch, custom: Any
) -> None:
    """Each of our parts broken in turn: PETsARD's run is what it would be."""
    assert people.exists()
    assert custom is petsard.adapter.CustomAdapter
    text = f"{LOADER}{ONE_HOT}Custom: {{c: {{}}}}\n"
    seed(monkeypatch)
    plain = petsard.Executor(text)
    plain.run()
    seed(monkeypatch)
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError("of ours")

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, fail)
        executor = petsard.Executor(text)
        executor.run()
    instrumentor.uninstrument()
    assert executor.is_execution_completed()
    for key, table in plain.get_result().items():
        pd.testing.assert_frame_equal(executor.get_result()[key], table)


def test_a_part_of_petsard_that_there_is_not_leaves_it_whole(
    people: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another PETsARD than we know is not instrumented at all, rather than by half."""
    assert people.exists()
    cls = petsard.executor.Executor
    before = {name: vars(cls)[name] for name in ("__init__", "run")}
    monkeypatch.delattr(cls, "_setup_logger")
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    try:
        assert {name: vars(cls)[name] for name in before} == before
        assert petsard.executor.Status.__module__ == "petsard.status"
        assert "could not record something (AttributeError" in caplog.text
    finally:
        instrumentor.uninstrument()
