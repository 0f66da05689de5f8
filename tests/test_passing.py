"""What a module raises, draws and leaves behind reaches the host as it would without us."""

from __future__ import annotations

import dataclasses
import logging
import random
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from petsard_otel import Config, Executor, Status, step_span
from petsard_otel.passing import passing
from petsard_otel.telemetry.guard import Guard

from .conftest import Pipeline, Recorded, TableAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from types import TracebackType

    from petsard_otel import Schema

CONFIG = Config("Loader: {a: {}}")


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """An error to whose attributes nothing can be assigned."""

    code: int


class MuteMeta(type):
    """A metaclass that does not tell the name of its classes."""

    def __getattribute__(cls, name: str) -> Any:
        if name in {"__module__", "__qualname__", "__name__"}:
            raise RuntimeError(f"no {name}")
        return super().__getattribute__(name)


class MuteError(Exception, metaclass=MuteMeta):
    """An error of a class that does not tell its name."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: FrozenError(7),
        lambda: MuteError("x"),
        lambda: StopIteration(3),
        GeneratorExit,
        KeyboardInterrupt,
        lambda: SystemExit(3),
        lambda: ValueError("x"),
    ],
)
def test_an_error_goes_through_as_it_is(make: Callable[[], BaseException], cars: Schema) -> None:
    """The very object, with the chain that it had, whatever it forbids to do with it."""
    error, cause = make(), KeyError("cause")
    with contextless(error, cause):
        status = Status(Pipeline("Loader"))
        with (
            status.running(CONFIG, "builtin"),
            status.executing("Loader", "a", "Broken"),
            step_span("fit"),
        ):
            raise error from cause

    (snapshot,) = status.get_snapshots()
    assert snapshot.status == ("error" if isinstance(error, Exception) else "cancelled")
    assert status.get_status_summary()["telemetry_errors"] == 0
    status.put("Loader", "a", TableAdapter(cars))
    assert len(status.get_snapshots()) == 2


class contextless:  # noqa: N801  it reads as `pytest.raises` does
    """Expects an error as the very object, with nothing chained but its cause.

    `pytest.raises` cannot be used: it comes by a context manager of its own.
    """

    def __init__(self, error: BaseException, cause: BaseException) -> None:
        self.error, self.cause = error, cause

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        assert error is self.error
        assert error.__cause__ is self.cause
        assert error.__context__ is None
        names = []
        while traceback is not None:
            names.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        assert names == ["test_an_error_goes_through_as_it_is"]
        return True


def test_a_block_that_ends_well_runs_what_comes_after() -> None:
    """It is a context manager like any other."""
    seen: list[str] = []

    @passing
    def around(name: str) -> Generator[str]:
        seen.append(f"in {name}")
        try:
            yield name.upper()
        finally:
            seen.append(f"out {name}")

    with around("a") as given:
        seen.append(given)
    assert seen == ["in a", "A", "out a"]


def test_what_comes_after_may_fail() -> None:
    """An error of the manager's own is raised."""

    @passing
    def around() -> Generator[None]:
        try:
            yield
        finally:
            raise KeyError("own")

    with pytest.raises(KeyError, match="own"), around():
        raise ValueError("inner")


def test_a_hosts_provider_draws_nothing_for_us(cars: Schema) -> None:
    """The ids of our spans come from a generator of ours; the host's own spans draw as ever."""
    provider = TracerProvider(shutdown_on_exit=False)
    random.seed(0)
    Status(Pipeline("Loader"), tracer_provider=provider).put("Loader", "a", TableAdapter(cars))

    assert random.random() == 0.8444218515250481  # noqa: S311  it keeps no secret
    random.seed(0)
    host = provider.get_tracer("host").start_span("host").get_span_context()
    assert host.trace_id == 0xE3E70682C2094CAC629F6FBED82C07CD


def test_a_module_may_leave_a_context_attached(recorded: Recorded, cars: Schema) -> None:
    """Its execution is recorded once, in the run's trace, however the module left the context."""
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    foreign = SpanContext(0x1111, 0x2222, is_remote=True, trace_flags=TraceFlags(1))
    before = context_api.get_current()
    with status.running(CONFIG, "builtin"), status.executing("Loader", "a", "Careless"):
        context_api.attach(trace_api.set_span_in_context(NonRecordingSpan(foreign)))
        status.put("Loader", "a", TableAdapter(cars))
    context_api.attach(before)

    run, loader = recorded.spans["petsard run"], recorded.spans["Loader[a]"]
    assert loader.parent.span_id == run.context.span_id
    assert [t.module_name for t in status.get_timing_records()] == ["Loader"]


def test_a_handler_that_raises_is_no_failure_of_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the guard says may be more than a host's own handler can bear."""

    class Furious(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no")

        def handle(self, record: logging.LogRecord) -> bool:
            self.emit(record)
            return True

    (tmp_path / "t.csv").write_text("a\n1\n")
    handler = Furious()
    logging.getLogger("petsard_otel").addHandler(handler)
    try:
        guard = Guard()
        with guard:
            raise ValueError("ours")
        Executor({"Loader": {"t": {"filepath": str(tmp_path / "t.csv")}}}).run()
    finally:
        logging.getLogger("petsard_otel").removeHandler(handler)
    assert guard.errors == 1
    assert caplog.messages == []


def test_a_timing_that_was_not_recorded_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`end_timing` gives its own record, or none."""
    status = Status(Pipeline("Loader"))
    status.start_timing("Loader", "a", "one")
    status.end_timing("Loader", "a", "one")
    status.start_timing("Loader", "a", "two")

    def lost(*_: Any) -> None:
        raise ValueError("lost")

    monkeypatch.setattr("petsard_otel.store.StatusStore.add", lost)
    assert status.end_timing("Loader", "a", "two") is None
