"""The program that test_environments.py starts: one pipeline in one environment, told as JSON.

Run as `environment_program.py OPTIONS` in a folder of its own, where it leaves `answers.json` and,
where the host has an exporter, `spans.jsonl`. It runs the pipeline twice, and once more with a
module that fails.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from opentelemetry import baggage
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from petsard_otel import Executor, Schema, SchemaDiff, Status, configure, step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import ReadableSpan

    from petsard_otel.executor import Progress

WIDTH = 200

CONFIG = {
    "Loader": {
        "people": {
            "filepath": "people.csv",
            # One cell is no number, so the Loader logs, and whoever listens runs inside it.
            "schema": {"id": "people", "attributes": {"age": {"type": "int"}}},
        },
        "wide": {"filepath": "wide.csv"},
    },
    "Splitter": {"half": {"num_samples": 2, "train_split_ratio": 0.5, "random_state": 1}},
    "Synthesizer": {"given": {"method": "custom_data", "filepath": "synthetic.csv"}},
}


class ModuleError(RuntimeError):
    """What a module fails by."""


class ChildError(RuntimeError):
    """What a forked child dies by."""


PROBLEM = ModuleError("could not convert string to float: 'Jane Roe'")


def write_tables() -> None:
    """Write what the pipeline reads."""
    rows = [f"{age},{age * 1.5},x{age % 3}" for age in range(20, 40)]
    Path("people.csv").write_text("\n".join(["age,income,city", "unknown,1.5,x1", *rows]))
    names = ",".join(f"column_{number:03}" for number in range(WIDTH))
    cells = ",".join(str(number) for number in range(WIDTH))
    Path("wide.csv").write_text("\n".join([names, *[cells] * 4]))
    Path("synthetic.csv").write_text("age,town\n21,y\n22,\n23,y\n")


class Inside(logging.Handler):
    """What a host does inside a module: it listens to the log, and the Loader logs."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Callable[[], object] | None = None
        self.warnings: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        # Here and not in `emit`, which holds a lock that a forked child would lose.
        if record.name.startswith("petsard_otel.modules"):
            if self.work is not None:
                self.work()
        else:
            self.warnings.append(record.getMessage())
        return False


# What a module may do to the process.


def fail() -> NoReturn:
    """Fail."""
    raise PROBLEM


def lose_way() -> NoReturn:
    """Fail as nothing else here does."""
    raise ChildError


def in_child(path: str) -> None:
    """Work in a child process."""
    with step_span("work"):
        Path(path).write_text("done")


def start_process(method: str) -> Callable[[], None]:
    """Give the work that starts a child process and waits for it."""

    def work() -> None:
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=in_child, args=("child.txt",))
        process.start()
        process.join()
        answers["child"] = [process.exitcode, Path("child.txt").read_text()]

    return work


def fork_and(leave: Callable[[], object]) -> Callable[[], None]:
    """Give the work that forks, whose child leaves in its own way."""

    def work() -> None:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            leave()
        _, code = os.waitpid(child, 0)
        answers["child"] = [os.waitstatus_to_exitcode(code)]

    return work


def fork_beside_a_reader() -> None:
    """Fork again and again while another thread asks the Status; the children open steps."""
    status: Status = answers["status"]
    is_done = threading.Event()

    def ask() -> None:
        while not is_done.is_set():
            status.get_timing_records()

    reader = threading.Thread(target=ask)
    reader.start()
    codes = set()
    for number in range(10):
        child = os.fork()
        if child == 0:
            # One that waits for a lock of its parent's waits for ever.
            signal.alarm(30)
            in_child(f"child_{number}.txt")
            os._exit(0)
        codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    is_done.set()
    reader.join()
    answers["child"] = sorted(codes)


def look_around() -> None:
    """Look at the context that a module sees, and let another library make a span."""
    span = trace_api.get_current_span().get_span_context()
    answers["inside"] = {
        "trace_id": f"{span.trace_id:032x}",
        "trace_state": span.trace_state.to_header(),
        "baggage": dict(baggage.get_all()),
    }
    with trace_api.get_tracer("library").start_as_current_span("query"):
        pass


WORK: dict[str, Callable[[], object]] = {
    "multiprocessing fork": start_process("fork"),
    "multiprocessing spawn": start_process("spawn"),
    "multiprocessing forkserver": start_process("forkserver"),
    "fork, os._exit": fork_and(lambda: os._exit(7)),
    "fork, sys.exit": fork_and(lambda: sys.exit(3)),
    "fork, exception": fork_and(lose_way),
    "fork beside a reader": fork_beside_a_reader,
    "look around": look_around,
}


# What a host may have.


class Exporter(SpanExporter):
    """Writes a line for each span, from whichever process it comes."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._write([line_of(span) for span in spans])
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._write([{"pid": os.getpid(), "name": "SHUTDOWN"}])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        with Path("spans.jsonl").open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))


def line_of(span: ReadableSpan) -> dict[str, Any]:
    """Give what the host sees of a span."""
    attributes = span.attributes or {}
    assert span.context is not None
    return {
        "pid": os.getpid(),
        "name": span.name,
        "trace": f"{span.context.trace_id:032x}",
        "span": f"{span.context.span_id:016x}",
        "parent": None if span.parent is None else f"{span.parent.span_id:016x}",
        "links": len(span.links),
        "attributes": len(attributes),
        "longest": max((len(v) for v in attributes.values() if isinstance(v, str)), default=0),
    }


class Provider(TracerProvider):
    """A host's provider, which counts what is added to it."""

    added = 0

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.added += 1
        super().add_span_processor(span_processor)


class Counting(SpanProcessor):
    """A host's processor, which counts its calls."""

    def __init__(self) -> None:
        self.started = self.ended = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started += 1

    def on_end(self, span: Any) -> None:
        self.ended += 1


class Raising(SpanProcessor):
    """A neighbour on the provider that fails in some of its callbacks."""

    def __init__(self, callbacks: list[str]) -> None:
        self.callbacks = callbacks

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._fail("on_start")

    def _on_ending(self, span: Any) -> None:
        self._fail("_on_ending")

    def on_end(self, span: Any) -> None:
        self._fail("on_end")

    def _fail(self, callback: str) -> None:
        if callback in self.callbacks:
            raise ValueError(callback)


class ForeignSpan(trace_api.Span):
    """A span of another implementation: it has the API's methods and nothing else."""

    def __init__(self, name: str, context: trace_api.SpanContext, *, is_failing: bool) -> None:
        self.name, self.context, self.is_failing = name, context, is_failing

    def get_span_context(self) -> trace_api.SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return True

    def end(self, end_time: int | None = None) -> None:
        if self.is_failing:
            raise ValueError("no telemetry today")
        answers.setdefault("foreign", []).append(self.name)

    def _ignore(self, *args: Any, **options: Any) -> None:
        pass

    set_attribute = set_attributes = add_event = add_link = update_name = _ignore
    set_status = record_exception = _ignore


class ForeignTracer(trace_api.Tracer):
    """A tracer of another implementation."""

    def __init__(self, *, is_failing: bool) -> None:
        self.is_failing, self.count = is_failing, 0

    def start_span(self, name: str, context: Any = None, *_: Any, **__: Any) -> trace_api.Span:
        parent = trace_api.get_current_span(context).get_span_context()
        self.count += 1
        given = trace_api.SpanContext(parent.trace_id or self.count, self.count, is_remote=False)
        return ForeignSpan(name, given, is_failing=self.is_failing)

    def start_as_current_span(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError


class Foreign(trace_api.TracerProvider):
    """A provider of another implementation."""

    def __init__(self, *, is_failing: bool = False) -> None:
        self.tracer = ForeignTracer(is_failing=is_failing)

    def get_tracer(self, *args: Any, **options: Any) -> trace_api.Tracer:
        return self.tracer


class Host:
    """What surrounds the runs, as the options say."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.counting = Counting()
        self.provider: trace_api.TracerProvider | None = None
        kind = options.get("provider")
        if kind == "configure":
            configure("http://127.0.0.1:9", protocol=options["protocol"])
        elif kind == "no-op":
            self.provider = trace_api.NoOpTracerProvider()
        elif kind == "foreign":
            self.provider = Foreign()
        elif kind == "failing foreign":
            self.provider = Foreign(is_failing=True)
        elif kind is not None:
            self.provider = self.sdk(is_concurrent=kind == "concurrent")

    def sdk(self, *, is_concurrent: bool) -> Provider:
        """Make an SDK provider with an exporter, and neighbours as the options say."""
        # The one with threads cannot be shut down at exit: its threads have ended by then.
        provider = Provider(
            active_span_processor=ConcurrentMultiSpanProcessor() if is_concurrent else None,
            shutdown_on_exit=not is_concurrent,
        )
        neighbour = Raising(self.options.get("raises", []))
        if not self.options.get("is_late"):
            provider.add_span_processor(neighbour)
        provider.add_span_processor(self.counting)
        provider.add_span_processor(SimpleSpanProcessor(Exporter()))
        if self.options.get("is_late"):
            # A first span, so that ours is there before the neighbour is.
            status = Status(Executor(CONFIG).config, tracer_provider=provider)
            status.start_timing("Loader", "people", "first")
            status.end_timing("Loader", "people", "first")
            provider.add_span_processor(neighbour)
        if self.options.get("provider") == "shut down":
            provider.shutdown()
        return provider

    def take_over(self) -> None:
        """Make the host's provider the global one."""
        if self.provider is not None and not self.options.get("is_explicit"):
            trace_api.set_tracer_provider(self.provider)

    def surrounding(self) -> AbstractContextManager[object]:
        """Give what is open around a run: a span of the host's, where the options say so."""
        if not self.options.get("is_within"):
            return nullcontext()
        return trace_api.get_tracer("host").start_as_current_span("request")

    def tell(self) -> dict[str, Any]:
        """Make a span of the host's own, and tell what became of the provider."""
        found = trace_api.get_tracer_provider()
        host: dict[str, Any] = {
            "is_global": found is self.provider,
            "is_unset": isinstance(found, trace_api.ProxyTracerProvider),
        }
        if isinstance(self.provider, Provider):
            host |= {
                "added": self.provider.added,
                "started": self.counting.started,
                "ended": self.counting.ended,
            }
            if "raises" not in self.options:
                with self.provider.get_tracer("host").start_as_current_span("host"):
                    pass
        return host


# What is told of a run.

IDS = {
    "snapshot_id", "trace_id", "span_id", "record_id", "parent_record_id", "change_id", "run_id",
    "last_snapshot",
}  # fmt: skip
TIMES = {"timestamp_ns", "start_time_ns", "end_time_ns", "duration_seconds"}


def told(value: Any, ids: dict[str, str], name: str = "") -> Any:
    """Give a value as JSON can hold it, without times, ids numbered as they appear."""
    if name in TIMES:
        assert value >= 0
        return "time"
    if name in IDS and value is not None:
        assert value.strip("0")
        return ids.setdefault(value, f"id {len(ids)}")
    if isinstance(value, Schema):
        return [value.id, value.hash, len(value.attributes)]
    if isinstance(value, SchemaDiff):
        return repr(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): told(entry, ids, str(name)) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [told(entry, ids) for entry in value]
    assert value is None or isinstance(value, bool | int | float | str), value
    return value


def answers_of(executor: Executor) -> dict[str, Any]:
    """Give all that a run answers, as it is the same wherever it ran."""
    status, ids = executor.status, dict[str, str]()
    for record in status.timing_records:
        assert record.start_time_ns <= record.end_time_ns
    found = {
        "summary": status.get_status_summary(),
        "snapshots": status.get_snapshots(),
        "timings": status.get_timing_records(),
        "changes": status.get_change_history(),
        "lineage": status.get_schema_lineage(),
        "evolution": {name: status.get_metadata_evolution(name) for name in CONFIG},
        "structures": [s.json for s in status.get_metadata_evolution() if isinstance(s, Schema)],
        "path": status.get_full_expt(),
        "inferred": status.inferred_schemas,
        "columns": list(executor.get_timing().columns),
        "modules": list(executor.get_timing()["module_name"]),
        "steps": list(status.get_timing_report_data(steps=True)["step_name"]),
        "results": {
            path: table.to_csv(index=False) for path, table in executor.get_result().items()
        },
        "completed": executor.is_execution_completed(),
    }
    return {name: told(value, ids) for name, value in found.items()}


def timed(executor: Executor) -> Callable[[Progress], None]:
    """Give a progress callback that times a step of its own around the first Splitter."""

    def watch(progress: Progress) -> None:
        if progress.number == 2:
            context = {"count": 3, "share": 0.5, "good": True, "who": "somebody"}
            executor.status.start_timing("Splitter", "half", "own", context)
        if progress.number == 3:
            executor.status.end_timing("Splitter", "half", "own", {"late": 1})

    return watch


answers: dict[str, Any] = {"pid": os.getpid()}


def main() -> None:
    """Run the pipeline three times and write down what is answered."""
    options = json.loads(sys.argv[1])
    write_tables()
    inside = Inside()
    logging.getLogger("petsard_otel").addHandler(inside)
    host = Host(options)
    given = host.provider if options.get("is_explicit") else None
    if not options.get("is_between"):
        host.take_over()
    executors = [Executor(CONFIG, tracer_provider=given) for _ in range(3)]
    if options.get("is_between"):
        host.take_over()
    for name, executor, work in zip(
        ("first", "second", "failed"),
        executors,
        (WORK.get(options.get("work", "")), None, fail),
        strict=True,
    ):
        inside.work, inside.warnings = work, []
        answers["status"] = executor.status
        try:
            with host.surrounding():
                executor.run(timed(executor))
        except ModuleError as error:
            answers["is_same_exception"] = error is PROBLEM
            chained = (error.__context__, error.__cause__, *getattr(error, "__notes__", []))
            answers["chained"] = [repr(found) for found in chained]
        answers[name] = answers_of(executor)
        answers[f"{name} ids"] = [record.span_id for record in executor.status.timing_records]
        answers[f"{name} warnings"] = inside.warnings
    del answers["status"]
    answers["host"] = host.tell()
    Path("answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
