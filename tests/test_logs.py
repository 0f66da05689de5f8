"""Log records of a run that leave with their trace context, and a host that notices nothing."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as context_api
from opentelemetry._logs import LoggerProvider, NoOpLogger
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, AlwaysRecordSampler

from petsard_otel import Executor, step_span
from petsard_otel.modules.loader import LoaderAdapter
from petsard_otel.telemetry import privacy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from petsard_otel.executor import Progress

    from .conftest import Recorded

CELL = "A123456789"
WITHHELD = "(text withheld, it may quote data; PETSARD_OTEL_CAPTURE_LOG_MESSAGES=true sends it)"
LOADER = logging.getLogger("PETsARD.Loader")


class LogOfLoader(LoaderAdapter):
    """A Loader that logs as foreign adapters do, with a cell wherever one can be."""

    def run(self, input: dict[str, Any]) -> None:
        LOADER.debug("looked at %s", CELL)
        LOADER.info(f"first row: {CELL}")
        with step_span("parse"):
            LOADER.warning("odd row %s", CELL, stack_info=True, extra={"row": CELL})
        try:
            float(CELL)
        except ValueError as error:
            LOADER.exception(error)
        LOADER.log(25, CELL, stacklevel=2)
        super().run(input)


class FailingLoader(LoaderAdapter):
    """A Loader that fails, and logs why."""

    def run(self, input: dict[str, Any]) -> None:
        try:
            float(CELL)
        except ValueError:
            LOADER.critical("gave up", exc_info=True)
            raise


class Exported:
    """A logger provider and the records that it exported."""

    def __init__(self) -> None:
        self.exporter: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.provider = SdkLoggerProvider(resource=Resource.get_empty(), shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))

    @property
    def finished(self) -> list[Any]:
        """All records with their scopes, as they were made."""
        return list(self.exporter.get_finished_logs())

    @property
    def records(self) -> list[Any]:
        """The records alone."""
        return [found.log_record for found in self.finished]

    @property
    def bodies(self) -> list[Any]:
        """Their texts."""
        return [record.body for record in self.records]

    @property
    def sent(self) -> bytes:
        """The bytes that an OTLP exporter would send."""
        return bytes(encode_logs(self.finished).SerializeToString())


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[LoggerProvider], None]:
    """Opt in, with a provider of the test's own as the application's; it can be set only once."""

    def set_provider(provider: LoggerProvider) -> None:
        monkeypatch.setenv("PETSARD_OTEL_LOGS", "true")
        monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", provider)

    return set_provider


@pytest.fixture
def exported(use: Callable[[LoggerProvider], None]) -> Exported:
    """Opt in."""
    found = Exported()
    use(found.provider)
    return found


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give a pipeline whose Loader logs, in a folder named for a person."""
    monkeypatch.setattr("petsard_otel.modules.loader.LoaderAdapter", LogOfLoader)
    path = tmp_path / "Jane Roe" / "people.csv"
    path.parent.mkdir()
    path.write_text(f"name,age\n{CELL},34\nB987654321,41\n")
    return {"Loader": {"people": {"filepath": str(path)}}}


@pytest.fixture
def petsard() -> Iterator[logging.Logger]:
    """Give the logger, and give it back as it was."""
    logger = logging.getLogger("PETsARD")
    before = logger.level, logger.propagate, LOADER.level
    yield logger
    logger.level, logger.propagate = before[:2]
    logger.handlers.clear()
    LOADER.setLevel(before[2])
    logger.setLevel(before[0])


def test_records_leave_with_their_trace_context(
    exported: Exported, recorded: Recorded, config: dict[str, Any]
) -> None:
    """Each has its severity, its place in the trace, and a text where the text is ours."""
    executor = Executor(config, tracer_provider=recorded.provider)

    executor.run()

    run, loader = recorded.spans["petsard run"], recorded.spans["Loader[people]"]
    found = [
        (
            record.body,
            record.severity_text,
            record.severity_number.value,
            record.span_id,
            record.attributes.get("petsard.module.name"),
            record.attributes.get("petsard.experiment.name"),
            record.attributes["code.function.name"],
        )
        for record in exported.records
    ]
    inside = (loader.context.span_id, "Loader", "people")
    step = (recorded.spans["Loader.parse"].context.span_id, "Loader", "people")
    around = (run.context.span_id, None, None)
    assert found == [
        ("Starting a run of 1 module executions", "INFO", 9, *around, "run"),
        ("Executing Loader[people]", "INFO", 9, *around, "_execute"),
        (WITHHELD, "INFO", 9, *inside, "run"),
        (WITHHELD, "WARNING", 13, *step, "run"),
        (WITHHELD, "ERROR", 17, *inside, "run"),
        (WITHHELD, "INFO4", 12, *inside, "_execute"),
        ("Completed the run", "INFO", 9, *around, "run"),
    ]
    assert {record.trace_id for record in exported.records} == {run.context.trace_id}
    assert {record.trace_flags.sampled for record in exported.records} == {True}
    assert {r.attributes["petsard.run.id"] for r in exported.records} == {executor.status.run_id}
    assert all(
        run.start_time - 1e6 <= record.timestamp <= run.end_time + 1e6
        for record in exported.records
    )


def test_a_record_has_no_other_attributes(exported: Exported, config: dict[str, Any]) -> None:
    """What is not listed here has no place in a record; the logger's name is the scope's."""
    executor = Executor(config)
    executor.run()

    first, *_, error, _, _ = exported.finished
    assert set(first.log_record.attributes) == {
        "petsard.run.id",
        "code.function.name",
        "code.line.number",
    }
    assert first.instrumentation_scope.name == "PETsARD.Executor"
    line = error.log_record.attributes["code.line.number"]
    assert isinstance(line, int)
    assert dict(error.log_record.attributes) == {
        "petsard.run.id": executor.status.run_id,
        "petsard.module.name": "Loader",
        "petsard.experiment.name": "people",
        "code.function.name": "run",
        "code.line.number": line,
        "error.type": "ValueError",
    }
    assert error.instrumentation_scope.name == "PETsARD.Loader"
    assert error.log_record.exception is None
    assert error.log_record.event_name is None


def test_no_cell_and_no_path_is_in_the_bytes(
    exported: Exported, config: dict[str, Any], tmp_path: Path
) -> None:
    """Not from an f-string, an argument, an extra, an exception, a stack, nor by `stacklevel`."""
    config["Executor"] = {"log_dir": str(tmp_path / "s3cr3t"), "log_level": "DEBUG"}
    Executor(config).run()

    assert len(exported.records) == 8
    for sentinel in (CELL, "Jane Roe", "s3cr3t", "first row", "Traceback", ".py", str(tmp_path)):
        assert sentinel.encode() not in exported.sent


class Borrower(LoaderAdapter):
    """A Loader that logs a cell in our own words, in the name of our own code."""

    def run(self, input: dict[str, Any]) -> None:
        LOADER.error("Executing %s[%s]", "Loader", CELL, stacklevel=2)
        LOADER.log(4711123456, "anything")
        super().run(input)


def test_our_words_cannot_be_borrowed(
    exported: Exported, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text is ours by a mark that nobody else has; a level is told by name, never by number."""
    monkeypatch.setattr("petsard_otel.modules.loader.LoaderAdapter", Borrower)
    Executor(config).run()

    assert exported.bodies[2:4] == [WITHHELD, WITHHELD]
    assert exported.records[3].severity_text == "FATAL4"
    assert CELL.encode() not in exported.sent
    assert b"4711123456" not in exported.sent


def test_texts_are_opted_into(
    exported: Exported, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts leave then, but still no stack, no extra, and of an exception the class alone."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE_LOG_MESSAGES", "true")
    Executor(config).run()

    assert exported.bodies == [
        "Starting a run of 1 module executions",
        "Executing Loader[people]",
        "first row: A123456789",
        "odd row A123456789",
        "could not convert string to float: 'A123456789'",
        "A123456789",
        "Completed the run",
    ]
    assert {name for record in exported.records for name in record.attributes} == {
        "petsard.run.id",
        "petsard.module.name",
        "petsard.experiment.name",
        "code.function.name",
        "code.line.number",
        "error.type",
    }
    for sentinel in ("Jane Roe", "Traceback", ".py"):
        assert sentinel.encode() not in exported.sent


def test_messages_of_exceptions_are_opted_into(
    exported: Exported, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an exception says leaves by its own variable, without the record's text."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES", "true")
    Executor(config).run()

    messages = [record.attributes.get("exception.message") for record in exported.records]
    assert [message for message in messages if message is not None] == [
        "could not convert string to float: 'A123456789'"
    ]
    assert exported.bodies.count(WITHHELD) == 4
    assert b"Traceback" not in exported.sent


def test_a_long_text_is_cut(
    exported: Exported, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No body leaves the size budget, whatever it is made of."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE_LOG_MESSAGES", "true")

    def talk(_: Progress) -> None:
        LOADER.warning("ß" * 5000 + "\ud800")
        LOADER.warning("\ud800")

    Executor(config).run(talk)

    long, short = exported.bodies[1:3]
    assert long == "ß" * 1024
    assert short == "?"


def test_nothing_leaves_unasked(
    exported: Exported,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    petsard: logging.Logger,
) -> None:
    """Without the variable no record leaves, and the logger is not touched during the run."""
    monkeypatch.delenv("PETSARD_OTEL_LOGS")
    before = petsard.level, petsard.handlers, list(petsard.handlers)
    seen: list[Any] = []
    Executor(config).run(lambda _: seen.append((petsard.level, petsard.handlers, [])))

    assert exported.records == []
    assert seen == [before, before]
    assert all(handlers is petsard.handlers for _, handlers, _ in seen)


def test_what_disables_the_sdk_disables_records(
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[LoggerProvider], None],
) -> None:
    """OTEL_SDK_DISABLED is heard here too."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    exported = Exported()
    use(exported.provider)
    executor = Executor(config)

    executor.run()

    assert exported.records == []
    assert executor.status.get_status_summary()["telemetry_errors"] == 0


class Seen(logging.Handler):
    """A handler of the host's, which keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelno, record.getMessage()))


HOSTS: dict[str, dict[str, Any]] = {
    "as Python begins": {"root": "WARNING"},
    "all of it": {"root": "DEBUG"},
    "nothing": {"root": "CRITICAL"},
    "the logger lower": {"root": "ERROR", "PETsARD": "INFO"},
    "the logger higher": {"root": "DEBUG", "PETsARD": "ERROR"},
    "a child lower": {"root": "ERROR", "PETsARD.Loader": "DEBUG"},
    "a child higher": {"root": "INFO", "PETsARD.Loader": "ERROR"},
    "no way up": {"root": "WARNING", "propagate": False},
}
"""Levels that a host may have set."""


@pytest.fixture
def watch(petsard: logging.Logger) -> Iterator[Callable[[dict[str, Any]], dict[str, Seen]]]:
    """Set a host's logging up, with handlers on the root and on the logger."""
    root = logging.getLogger()
    level = root.level
    added: list[tuple[logging.Logger, Seen]] = []

    def set_up(host: dict[str, Any]) -> dict[str, Seen]:
        petsard.propagate = host.get("propagate", True)
        for name in ("root", "PETsARD", "PETsARD.Loader"):
            logging.getLogger(None if name == "root" else name).setLevel(host.get(name, "NOTSET"))
        handlers = {"root": Seen(), "PETsARD": Seen()}
        for logger, handler in ((root, handlers["root"]), (petsard, handlers["PETsARD"])):
            logger.addHandler(handler)
            added.append((logger, handler))
        return handlers

    yield set_up
    root.setLevel(level)
    for logger, handler in added:
        logger.removeHandler(handler)


@pytest.mark.parametrize("section", [None, "DEBUG", "CRITICAL"])
@pytest.mark.parametrize("host", sorted(HOSTS))
def test_the_host_s_handlers_see_what_they_would_without_us(
    host: str,
    section: str | None,
    exported: Exported,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    petsard: logging.Logger,
    watch: Callable[[dict[str, Any]], dict[str, Seen]],
) -> None:
    """Whatever levels the host has, and whatever level the runs want."""
    seen = watch(HOSTS[host])
    loggers = (logging.getLogger(), petsard, LOADER)
    before = [(each.level, list(each.handlers), each.propagate) for each in loggers]
    monkeypatch.setenv("PETSARD_OTEL_LOGS", "false")
    Executor(config).run()
    expected = {name: list(handler.records) for name, handler in seen.items()}
    for handler in seen.values():
        handler.records.clear()
    monkeypatch.setenv("PETSARD_OTEL_LOGS", "true")
    if section is not None:
        config["Executor"] = {"log_level": section, "log_dir": str(tmp_path / "log")}

    Executor(config).run()

    assert {name: handler.records for name, handler in seen.items()} == expected
    assert [(each.level, list(each.handlers), each.propagate) for each in loggers] == before
    if section != "CRITICAL" and HOSTS[host].get("PETsARD.Loader") != "ERROR":
        assert len(exported.records) == (8 if section == "DEBUG" else 7)


def test_no_text_leaves_because_it_looks_like_ours(
    exported: Exported, config: dict[str, Any]
) -> None:
    """A foreign record in the words of one of ours is still foreign."""
    Executor(config).run(lambda _: LOADER.info("Executing %s[%s]", CELL, CELL))

    assert exported.bodies[1] == WITHHELD
    assert CELL.encode() not in exported.sent


def test_every_attribute_passes_the_gate(
    exported: Exported, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken off the list of what may leave is on no record."""
    monkeypatch.delitem(privacy.ALLOWED, "code.line.number")
    Executor(config).run()

    assert {name for record in exported.records for name in record.attributes} == {
        "petsard.run.id",
        "petsard.module.name",
        "petsard.experiment.name",
        "code.function.name",
        "error.type",
    }


@pytest.mark.parametrize("opted_in", ["false", "true"])
def test_warnings_without_any_handler_still_go_to_stderr(
    opted_in: str,
    exported: Exported,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    petsard: logging.Logger,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python writes them there where nobody set logging up, and that stays so."""
    monkeypatch.setenv("PETSARD_OTEL_LOGS", opted_in)
    petsard.propagate = False

    Executor(config).run()

    printed = [line for line in capsys.readouterr().err.splitlines() if CELL in line]
    assert printed[0] == "odd row A123456789"
    assert len(exported.records) == (7 if opted_in == "true" else 0)
    assert not [line for line in printed if "first row" in line]


@pytest.mark.parametrize("taker", ["a log", "nobody"])
def test_warnings_go_nowhere_else(
    taker: str,
    exported: Exported,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    petsard: logging.Logger,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A log of the user's takes them, as any handler does; a host may have switched that off."""
    petsard.propagate = False
    if taker == "a log":
        config["Executor"] = {"log_dir": str(tmp_path)}
    else:
        monkeypatch.setattr(logging, "lastResort", None)

    Executor(config).run()

    assert capsys.readouterr().err == ""
    assert len(exported.records) == 7


def test_what_the_host_changes_meanwhile_stays(
    exported: Exported, config: dict[str, Any], petsard: logging.Logger
) -> None:
    """A level set and a handler added during a run are the host's own."""
    added = Seen()

    def change(progress: Progress) -> None:
        if progress.module is not None:
            petsard.setLevel(logging.ERROR)
            petsard.addHandler(added)

    Executor(config).run(change)

    assert (petsard.level, petsard.handlers) == (logging.ERROR, [added])
    assert [level for _, level, _ in added.records] == [logging.ERROR]
    assert [record.severity_text for record in exported.records] == ["INFO", "ERROR"]


def test_a_failing_module_s_record_says_the_class(
    exported: Exported,
    recorded: Recorded,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    petsard: logging.Logger,
) -> None:
    """The record is the module's, and the logger is given back though the run failed."""
    monkeypatch.setattr("petsard_otel.modules.loader.LoaderAdapter", FailingLoader)
    before = petsard.level, list(petsard.handlers)

    with pytest.raises(ValueError, match=CELL):
        Executor(config, tracer_provider=recorded.provider).run()

    last = exported.records[-1]
    assert (last.severity_text, last.severity_number.value) == ("CRITICAL", 21)
    assert last.attributes["error.type"] == "ValueError"
    assert last.span_id == recorded.spans["Loader[people]"].context.span_id
    assert CELL.encode() not in exported.sent
    assert (petsard.level, petsard.handlers) == before


def test_runs_in_two_threads_keep_their_records_apart(
    exported: Exported, config: dict[str, Any], petsard: logging.Logger
) -> None:
    """Each record has the run, the trace and the experiment that it was made in."""
    inside = threading.Barrier(2)
    executors = {
        name: Executor({"Loader": {name: config["Loader"]["people"]}}) for name in ("left", "right")
    }
    threads = [
        threading.Thread(target=each.run, args=(lambda _: inside.wait(10),))
        for each in executors.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(exported.records) == 14
    for name, executor in executors.items():
        summary = executor.status.get_status_summary()
        found = [
            record
            for record in exported.records
            if record.attributes["petsard.run.id"] == summary["run_id"]
        ]
        assert [record.body for record in found] == [
            "Starting a run of 1 module executions",
            f"Executing Loader[{name}]",
            *[WITHHELD] * 4,
            "Completed the run",
        ]
        assert {f"{record.trace_id:032x}" for record in found} == {summary["trace_id"]}
        assert {
            record.attributes["petsard.experiment.name"]
            for record in found
            if "petsard.experiment.name" in record.attributes
        } == {name}
    assert petsard.handlers == []


def test_records_of_nobody_s_run_stay(exported: Exported, config: dict[str, Any]) -> None:
    """A thread outside the run, and the time after it, are not its own."""

    def elsewhere(_: Progress) -> None:
        thread = threading.Thread(target=LOADER.error, args=("elsewhere",))
        thread.start()
        thread.join()
        token = context_api.attach(context_api.Context())
        LOADER.error("out of context")
        context_api.detach(token)

    executor = Executor(config)
    executor.run(elsewhere)
    LOADER.error("afterwards")

    assert len(exported.records) == 7
    assert executor.status.get_status_summary()["telemetry_errors"] == 0


def test_a_file_has_the_same_records(
    exported: Exported, config: dict[str, Any], tmp_path: Path
) -> None:
    """The Executor section's file and the export take the section's level, and all the text."""
    config["Executor"] = {"log_dir": str(tmp_path), "log_level": "DEBUG"}
    Executor(config).run()

    (log,) = tmp_path.glob("*.log")
    lines = [line for line in log.read_text().splitlines() if " - PETsARD" in line]
    assert len(lines) == len(exported.records) == 8
    assert exported.records[2].severity_text == "DEBUG"
    assert lines[2].endswith(f"looked at {CELL}")


def test_a_sampled_out_run_s_records_say_so(exported: Exported, config: dict[str, Any]) -> None:
    """Sampling is for spans; a record of an unsampled run leaves with the flag that tells it."""
    provider = TracerProvider(sampler=AlwaysRecordSampler(ALWAYS_OFF), shutdown_on_exit=False)
    executor = Executor(config, tracer_provider=provider)
    executor.run()

    trace_id = executor.status.get_status_summary()["trace_id"]
    assert {f"{record.trace_id:032x}" for record in exported.records} == {trace_id}
    assert {record.trace_flags.sampled for record in exported.records} == {False}


class Chatty(LogRecordProcessor):
    """A processor that logs on the very logger it is given records of."""

    def on_emit(self, log_record: Any) -> None:
        LOADER.error("took one")

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def test_what_an_exporter_logs_is_not_exported(exported: Exported, config: dict[str, Any]) -> None:
    """A provider that logs while it takes a record does not call itself."""
    exported.provider.add_log_record_processor(Chatty())
    executor = Executor(config)

    executor.run()

    assert len(exported.records) == 7
    assert executor.status.get_status_summary()["telemetry_errors"] == 0


class ErrorsAlone(NoOpLogger):
    """A logger that wants errors alone, and cannot take anything else."""

    def enabled(self, *, severity_number: Any = None, **_: Any) -> bool:
        return bool(severity_number.value >= 17)

    def emit(self, record: Any = None, **_: Any) -> None:
        if record.severity_number.value < 17:
            raise RuntimeError(CELL)


class PickyLoggers(LoggerProvider):
    """A provider that makes such loggers."""

    def get_logger(self, name: str, *_: Any, **__: Any) -> Any:
        return ErrorsAlone(name)


def test_a_provider_says_what_it_wants(
    config: dict[str, Any], use: Callable[[LoggerProvider], None]
) -> None:
    """No record is made that its logger has said it does not take."""
    use(PickyLoggers())
    executor = Executor(config)

    executor.run()

    assert executor.status.get_status_summary()["telemetry_errors"] == 0


class BrokenLogger(NoOpLogger):
    """A logger that fails."""

    def enabled(self, **_: Any) -> bool:
        return True

    def emit(self, *_: Any, **__: Any) -> None:
        raise RuntimeError(CELL)


class BrokenLoggers(LoggerProvider):
    """A provider that makes such loggers, and at times none."""

    def get_logger(self, name: str, *_: Any, **__: Any) -> Any:
        if name == "PETsARD.Executor":
            raise RuntimeError(CELL)
        return BrokenLogger(name)


def test_a_failing_provider_never_reaches_the_run(
    config: dict[str, Any],
    use: Callable[[LoggerProvider], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The run's result is there; the failure is told once, without its message, and counted."""
    use(BrokenLoggers())
    executor = Executor(config)

    executor.run()

    assert len(executor.get_result()["Loader[people]"]) == 2
    assert executor.status.get_status_summary()["telemetry_errors"] == 7
    ours = [r for r in caplog.records if r.name.startswith("petsard_otel")]
    assert [record.levelno for record in ours] == [logging.WARNING]
    assert CELL not in ours[0].getMessage()


def test_a_text_that_cannot_be_formatted_is_not_looked_at(
    exported: Exported, config: dict[str, Any]
) -> None:
    """Where the text stays at home anyway, an argument's `str()` is never called."""

    class Unprintable:
        def __str__(self) -> str:
            raise ValueError(CELL)

    logging.getLogger("PETsARD").setLevel(logging.CRITICAL)
    executor = Executor(config)
    try:
        executor.run(lambda _: LOADER.error("%s", Unprintable()))
    finally:
        logging.getLogger("PETsARD").setLevel(logging.NOTSET)

    assert exported.bodies[1] == WITHHELD
    assert executor.status.get_status_summary()["telemetry_errors"] == 0
