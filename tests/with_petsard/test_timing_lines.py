"""Steps out of the lines in which custom adapters log their own timing."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import petsard.adapter
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from petsard_otel import Executor, PETsARDInstrumentor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class AnonymizerAdapter(petsard.adapter.BaseAdapter):  # type: ignore[misc]
    """A module of somebody's own, which logs its timing as PETsARD's adapters do."""

    def set_input(self, status: Any) -> dict[str, Any]:
        return {"table": status.get_result("Loader")}

    def _run(self, input: dict[str, Any]) -> None:
        self.table = input["table"].drop(columns="city")
        getattr(self, self.config["how"])()

    def get_result(self) -> Any:
        return self.table

    def log(self, kind: str, step: str, *more: object) -> None:
        fields = (f"TIMING_{kind}", self.module_name, step, *more)
        self._logger.debug("|".join(map(str, fields)))

    def plainly(self) -> None:
        began = time.time()
        self.log("START", "drop", began)
        time.sleep(0.05)
        self.log("END", "drop", time.time(), time.time() - began)
        self._logger.debug("TIMING_START|%s|%s|%s", self.module_name, "lazy", time.time())
        self._logger.debug("TIMING_END|%s|%s|%s", self.module_name, "lazy", time.time())
        logging.getLogger("PETsARD.elsewhere").debug(f"TIMING_START|x|other|{time.time()}")  # noqa: G004  as PETsARD does
        logging.getLogger("PETsARD.elsewhere").debug(f"TIMING_END|x|other|{time.time()}|0")  # noqa: G004

    def badly(self) -> None:
        self.log("START", "drop", time.time())
        self.log("ERROR", "drop", time.time(), 0.1, "could not convert 'Jane Roe'|again")
        self.log("START", "open", time.time())
        raise ValueError("could not convert 'Jane Roe'")

    def oddly(self) -> None:
        time.sleep(0.3)
        self.log("END", "unseen", time.time(), 0.2)
        self.log("START", "late", time.time() - 0.2)
        self.log("END", "late", time.time() - 0.1, 0.1)
        self.log("START", "other clock", time.perf_counter())
        self.log("END", "other clock", time.perf_counter())
        self.log("START", "", time.time())
        self.log("PAUSE", "drop", time.time())
        self.log("START", "no number", "yesterday")
        self.log("END", "no number", "nan", "inf")
        self._logger.debug("TIMING_START|too|few")
        self._logger.debug("TIMING_START|%s|bad arguments|%d", "x", "y")
        self._logger.debug({"TIMING_START": 1})


CONFIG = """
Executor: {{log_output_type: stdout, log_level: {level}}}
Loader: {{people: {{filepath: {path}}}}}
Anonymizer: {{own: {{how: {how}}}}}
"""


@pytest.fixture(params=["engine", "instrumented"])
def run(
    request: pytest.FixtureRequest, people: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, list[Any]]]:
    """Run the module under our Executor, or under PETsARD's; give the Status and the spans."""
    monkeypatch.setattr(petsard.adapter, "AnonymizerAdapter", AnonymizerAdapter, raising=False)

    def run(how: str, level: str = "INFO") -> tuple[Any, list[Any]]:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, resource=Resource.get_empty())
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        text = CONFIG.format(level=level, path=people, how=how)
        instrumentor = PETsARDInstrumentor()
        if request.param == "engine":
            executor: Any = Executor(text, engine="petsard", tracer_provider=provider)
        else:
            instrumentor.instrument(tracer_provider=provider)
            executor = petsard.Executor(text)
        try:
            executor.run()
        except ValueError:
            pass
        finally:
            if request.param == "instrumented":
                instrumentor.uninstrument()
        return executor.status, list(exporter.get_finished_spans())

    return run


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "CRITICAL"])
def test_lines_become_steps_whatever_the_log_level(level: str, run: Callable[..., Any]) -> None:
    """Each pair is a step of the module that logged it; PETsARD's own pair is the module itself."""
    status, spans = run("plainly", level)
    steps = status.get_timing_report_data(steps=True)
    assert list(steps["step_name"]) == ["load", "run", "drop", "lazy", "other", "run"]
    assert list(steps["module_name"]) == ["Loader"] * 2 + ["Anonymizer"] * 4
    assert list(steps["experiment_name"])[2:] == ["own"] * 4
    drop = steps[steps["step_name"] == "drop"].iloc[0]
    assert 0.05 <= drop["duration_seconds"] < 0.5
    assert drop["source"] == "step"
    by_name = {span.name: span for span in spans}
    module = by_name["Anonymizer[own]"]
    assert by_name["Anonymizer.drop"].parent.span_id == module.context.span_id
    assert module.attributes["petsard.output.columns"] == 5
    assert status.get_status_summary()["telemetry_errors"] == 0


def test_the_host_sees_no_line_that_it_did_not_ask_for(
    run: Callable[..., Any], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listening makes debug records; nobody else gets to see them."""
    run("plainly", "INFO")
    printed = capsys.readouterr()
    assert "TIMING" not in caplog.text + printed.out + printed.err
    assert "Completed AnonymizerAdapter execution" in printed.out + printed.err


def test_a_step_that_failed_says_so_and_not_why(run: Callable[..., Any]) -> None:
    """The message in an error line is not read; a step left open ends as its module did."""
    status, spans = run("badly")
    by_name = {span.name: span for span in spans}
    assert by_name["Anonymizer.drop"].attributes["error.type"] == "_OTHER"
    assert by_name["Anonymizer.open"].attributes["error.type"] == "ValueError"
    assert by_name["Anonymizer[own]"].attributes["error.type"] == "ValueError"
    assert "Jane Roe" not in "".join(span.to_json() for span in spans)
    statuses = status.get_timing_report_data(steps=True).set_index("step_name")["status"]
    assert (statuses["drop"], statuses["open"]) == ("error", "error")


def test_odd_lines_are_taken_as_far_as_they_go(run: Callable[..., Any]) -> None:
    """A step lies where its line says, inside its module; what is no such line is none."""
    status, _ = run("oddly")
    steps = status.get_timing_report_data(steps=True)
    steps = steps[steps["module_name"] == "Anonymizer"].set_index("step_name")
    assert list(steps.index) == ["unseen", "late", "other clock", "no number", "run"]
    seconds = steps["duration_seconds"]
    assert seconds["unseen"] == pytest.approx(0.2, abs=0.05)
    assert seconds["late"] == pytest.approx(0.1, abs=0.05)
    assert seconds["other clock"] < 0.05
    assert seconds["no number"] < 0.05
    assert (steps["start_time"] >= steps["start_time"]["run"]).all()
    assert (steps["end_time"] <= steps["end_time"]["run"]).all()
