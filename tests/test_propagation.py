"""The trace context goes into the environment of child processes, and comes out of it there."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.propagators.textmap import (
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from petsard_otel import Executor, Schema, Status
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.propagation import (
    adopt_environment,
    child_environment,
    context_from_environment,
    context_or_environment,
)

from .conftest import Pipeline, Recorded, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.context import Context

TRACE_ID = 0x0123456789ABCDEF0123456789ABCDEF
SPAN_ID = 0xFEDCBA9876543210
PARENT = f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-01"
ELSEWHERE = "00-11111111111111111111111111111111-2222222222222222-01"

CHILD = """
import json, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from petsard_otel import Executor

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
Executor({"Loader": {"t": {"filepath": sys.argv[1]}}}, tracer_provider=provider).run()
print(json.dumps([
    [span.name, f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}"]
    for span in exporter.get_finished_spans()
]))
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of this process's own context in its environment."""
    for name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def current(context: Context) -> Iterator[None]:
    """Make a context the current one."""
    token = context_api.attach(context)
    try:
        yield
    finally:
        context_api.detach(token)


def under(
    trace_id: int = TRACE_ID, span_id: int = SPAN_ID, flags: int = 1, state: str = ""
) -> Context:
    """Give a context with a span in it."""
    found = SpanContext(
        trace_id,
        span_id,
        is_remote=False,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState.from_header([state]),
    )
    return trace_api.set_span_in_context(NonRecordingSpan(found))


def span_of(context: Context) -> SpanContext:
    """Give the identity of a context's span."""
    return trace_api.get_current_span(context).get_span_context()


def test_a_child_gets_the_current_span_and_baggage() -> None:
    """The three variables stand for what is current, and all else is as it was."""
    with current(baggage.set_baggage("tenant", "north", under(state="vendor=value"))):
        found = child_environment()

    assert (found["TRACEPARENT"], found["TRACESTATE"]) == (PARENT, "vendor=value")
    assert found["BAGGAGE"] == "tenant=north"
    assert found.items() >= os.environ.items()


def test_what_is_stale_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracestate and a baggage of another trace do not reach the child; nothing is changed."""
    stale = {"TRACEPARENT": ELSEWHERE, "TRACESTATE": "old=1", "BAGGAGE": "old=1", "HOME": "/h"}
    with current(under()):
        assert child_environment(stale) == {"TRACEPARENT": PARENT, "HOME": "/h"}
        for name, value in stale.items():
            monkeypatch.setenv(name, value)
        found = child_environment()

    assert stale["TRACESTATE"] == os.environ["TRACESTATE"] == "old=1"
    assert found["TRACEPARENT"] == PARENT
    assert not {"TRACESTATE", "BAGGAGE"} & found.keys()


def test_without_a_span_the_environments_own_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that made no span starts its children under whoever started it."""
    monkeypatch.setenv("TRACEPARENT", ELSEWHERE)
    monkeypatch.setenv("BAGGAGE", "tenant=north")

    found = child_environment()

    assert (found["TRACEPARENT"], found["BAGGAGE"]) == (ELSEWHERE, "tenant=north")
    assert child_environment({}) == {"TRACEPARENT": ELSEWHERE, "BAGGAGE": "tenant=north"}


def test_without_any_context_nothing_is_added() -> None:
    """No trace, no variables."""
    assert child_environment() == dict(os.environ)
    assert child_environment({"HOME": "/h"}) == {"HOME": "/h"}


def test_a_worker_loses_what_it_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's context takes the place of the whole one that the environment had."""
    monkeypatch.setenv("TRACEPARENT", ELSEWHERE)
    monkeypatch.setenv("TRACESTATE", "old=1")
    monkeypatch.setenv("BAGGAGE", "old=1")
    with current(under()):
        carried = child_environment({})

    adopt_environment(carried)

    assert os.environ["TRACEPARENT"] == PARENT
    assert not {"TRACESTATE", "BAGGAGE"} & os.environ.keys()
    assert span_of(context_or_environment()).span_id == SPAN_ID


def test_workers_of_a_pool_get_the_context() -> None:
    """The initializer can be sent to processes that inherit nothing."""
    with (
        current(under()),
        ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=adopt_environment,
            initargs=(child_environment({}),),
        ) as pool,
    ):
        assert pool.submit(os.getenv, "TRACEPARENT").result() == PARENT


def test_the_current_span_comes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is asked only where no span is current, and keeps what is current else."""
    monkeypatch.setenv("TRACEPARENT", ELSEWHERE)
    with current(under()):
        assert span_of(context_or_environment()).span_id == SPAN_ID
    with current(baggage.set_baggage("own", "1")):
        found = context_or_environment()

    assert span_of(found) == SpanContext(
        0x11111111111111111111111111111111,
        0x2222222222222222,
        is_remote=True,
        trace_flags=TraceFlags(1),
    )
    assert span_of(found).is_remote is True
    assert dict(baggage.get_all(found)) == {"own": "1"}


token = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-*/", min_size=1, max_size=10)
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",=")
member_value = st.text(visible, min_size=1, max_size=20)
baggage_value = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    flags=st.integers(0, 255),
    members=st.dictionaries(token.map(lambda name: f"a{name}"), member_value, max_size=4),
    entries=st.dictionaries(token, baggage_value.map(str.strip), max_size=4),
)
def test_what_is_written_is_read_again(
    trace_id: int, span_id: int, flags: int, members: dict[str, str], entries: dict[str, str]
) -> None:
    """Ids, flags, tracestate and baggage are the same on the other side, and the span is remote."""
    state = ",".join(f"{name}={value}" for name, value in members.items())
    context = under(trace_id, span_id, flags, state)
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    with current(context):
        environment = child_environment({})

    found = context_from_environment(environment)

    span = span_of(found)
    assert (span.trace_id, span.span_id, span.trace_flags) == (trace_id, span_id, flags)
    assert span.is_remote is True
    assert dict(span.trace_state) == members
    assert dict(baggage.get_all(found)) == entries


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "TRACEPARENT": st.one_of(st.just(PARENT), st.text(), st.text("0123456789abcdef-")),
            "TRACESTATE": st.text(st.characters(), max_size=600),
            "BAGGAGE": st.one_of(st.text(st.characters()), st.text("a=,;% \t\udcff")),
        },
    )
)
def test_rubbish_in_the_variables_is_passed_over(environ: dict[str, str]) -> None:
    """Whatever the variables hold, there is a context, and it is the given one where it can be."""
    logging.disable(logging.CRITICAL)
    try:
        found = context_from_environment(environ)
    finally:
        logging.disable(logging.NOTSET)

    assert span_of(found).is_valid or environ.get("TRACEPARENT") != PARENT


def test_a_baggage_that_is_no_text_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bytes of a broken locale leave the parent span as it is, and count as no failure."""
    monkeypatch.setenv("TRACEPARENT", PARENT)
    monkeypatch.setenv("BAGGAGE", "name=\udcff")
    guard = Guard()

    assert span_of(context_or_environment(guard)).trace_id == TRACE_ID
    assert (guard.errors, caplog.messages) == (0, [])


class Initials(TextMapPropagator):
    """A propagator of another format, as companies have them."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        (value,) = getter.get(carrier, "x-acme.trace") or ["0-0"]
        trace_id, span_id = (int(part, 16) for part in value.split("-"))
        return trace_api.set_span_in_context(
            NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True)), context
        )

    def inject(
        self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter
    ) -> None:
        span = trace_api.get_current_span(context).get_span_context()
        if span.is_valid:
            setter.set(carrier, "x-acme.trace", f"{span.trace_id:x}-{span.span_id:x}")

    @property
    def fields(self) -> set[str]:
        return {"x-acme.trace"}


@pytest.fixture
def _initials() -> Iterator[None]:
    """Put another propagator in force."""
    former = propagate.get_global_textmap()
    propagate.set_global_textmap(Initials())
    yield
    propagate.set_global_textmap(former)


@pytest.mark.usefixtures("_initials")
def test_the_propagators_in_force_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their fields become variables; those of other formats are not ours to touch."""
    with current(under(10, 11)):
        found = child_environment({"TRACEPARENT": ELSEWHERE, "X_ACME_TRACE": "1-2"})
    assert found == {"TRACEPARENT": ELSEWHERE, "X_ACME_TRACE": "a-b"}

    monkeypatch.setenv("X_ACME_TRACE", "c-d")
    assert span_of(context_or_environment()).trace_id == 12
    assert child_environment({}) == {"X_ACME_TRACE": "c-d"}


@pytest.mark.usefixtures("_initials")
def test_a_propagator_that_fails_is_held_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The current context stays, the failure is counted, and no value gets into the log."""
    monkeypatch.setenv("X_ACME_TRACE", "Jane Roe")
    guard = Guard()
    with current(baggage.set_baggage("own", "1")):
        found = context_or_environment(guard)
        child = child_environment({"HOME": "/h"})

    assert dict(baggage.get_all(found)) == {"own": "1"}
    assert guard.errors == 1
    assert child == {"HOME": "/h"}
    assert "ValueError" in caplog.text
    assert "Jane Roe" not in caplog.text


def test_propagators_that_are_not_installed_keep_nobody_from_working() -> None:
    """With an OTEL_PROPAGATORS that the API refuses, the environment is handed on as it is."""
    script = (
        "import os; from petsard_otel.telemetry.propagation import *; "
        "assert child_environment() == dict(os.environ); print(context_or_environment())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OTEL_PROPAGATORS": "nowhere", "TRACEPARENT": ELSEWHERE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "{}\n"


def test_a_pipeline_in_a_child_process_is_part_of_the_trace(
    tmp_path: Path, recorded: Recorded
) -> None:
    """The spans of a run that a module starts in a child process are below that module's span."""
    (tmp_path / "t.csv").write_text("age\n1\nunknown\n3\n")
    schema = {"id": "t", "attributes": {"age": {"type": "int"}}}
    told: list[list[str]] = []

    class Listener(logging.Handler):
        """A host that works inside the Loader, when that logs a cell that is no number."""

        def filter(self, record: logging.LogRecord) -> bool:
            child = subprocess.run(
                [sys.executable, "-c", CHILD, str(tmp_path / "t.csv")],
                env=child_environment(),
                capture_output=True,
                text=True,
                check=True,
            )
            told.extend(json.loads(child.stdout))
            return False

    listener = Listener()
    logging.getLogger("petsard_otel").addHandler(listener)
    try:
        Executor(
            {"Loader": {"t": {"filepath": str(tmp_path / "t.csv"), "schema": schema}}},
            tracer_provider=recorded.provider,
        ).run()
    finally:
        logging.getLogger("petsard_otel").removeHandler(listener)

    load, module = recorded.spans["Loader.load"], recorded.spans["Loader[t]"]
    assert [name for name, _, _ in told] == ["Loader.load", "Loader[t]", "petsard run"]
    assert {trace for _, trace, _ in told} == {f"{module.context.trace_id:032x}"}
    assert told[2][2] == f"{load.context.span_id:016x}"
    assert load.parent.span_id == module.context.span_id


def test_a_status_alone_is_begun_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, cars: Schema
) -> None:
    """Without an Executor too, executions and timings are in the trace of who started it."""
    monkeypatch.setenv("TRACEPARENT", f"00-{0xABC:032x}-{0xDEF:016x}-01")
    monkeypatch.setenv("BAGGAGE", "a=b")
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    status.put("Loader", "a", TableAdapter(cars))
    status.start_timing("Loader", "a", "ask")
    status.end_timing("Loader", "a", "ask")
    with status.executing("Loader", "b", "Mine"):
        child = child_environment({})
        status.put("Loader", "b", TableAdapter(cars))

    assert {span.context.trace_id for span in recorded.exported} == {0xABC}
    assert {span.parent.span_id for span in recorded.exported} == {0xDEF}
    inside = recorded.spans["Loader[b]"].context.span_id
    assert child == {"TRACEPARENT": f"00-{0xABC:032x}-{inside:016x}-01", "BAGGAGE": "a=b"}
