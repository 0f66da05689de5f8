"""What a collector that was down did not accept reaches it later, each span once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from petsard_otel.history.reading import open_history
from petsard_otel.history.unsent import runs_with_unsent

from .otlp_files import FileSpan, spans_in
from .servers import ROOT, Collector, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPANS = 57
"""How many the example has."""

# A run of the example whose third Synthesizer never comes back.
KILLED = """
import os, signal, sys, time
from petsard_otel.cli import main
from petsard_otel.modules.synthesizer import SynthesizerAdapter
run, count = SynthesizerAdapter.run, 0
def stop(self, given):
    global count
    count += 1
    if count == 3:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    run(self, given)
SynthesizerAdapter.run = stop
main(["run", sys.argv[1], "--quiet", "--endpoint", sys.argv[2]])
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Give the example in a folder of its own, where its history goes."""
    text = (ROOT / "examples/pipeline.yaml").read_text()
    text = text.replace("examples/", f"{ROOT}/examples/").replace("build/demo", f"{tmp_path}/out")
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return path


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def received(collector: Collector) -> list[FileSpan]:
    """Give the spans in a Collector's file."""
    return spans_in(collector.folder / "files" / "traces.jsonl")


def kept_ids(folder: Path) -> set[tuple[int, int]]:
    """Give the ids of all spans of all runs that are kept."""
    with open_history(folder) as history:
        return {
            (span.context.trace_id, span.context.span_id)
            for run in history.runs()
            for span in history.spans(run)
        }


def test_runs_without_a_collector_are_pushed_to_it_later(
    start_collector: Callable[..., Collector], pipeline: Path
) -> None:
    """Two whole runs and a killed one: every span arrives once, as it was; then nothing is left."""
    folder, port = pipeline.parent, free_port()
    endpoint = f"http://127.0.0.1:{port}"
    for _ in range(2):
        run = command("run", "pipeline.yaml", "--quiet", "--endpoint", endpoint, cwd=folder)
        assert run.returncode == 0
    before = time.time_ns()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "pipeline.yaml", endpoint], cwd=folder, check=False
    )
    after = time.time_ns()
    assert killed.returncode == -signal.SIGKILL
    collector = start_collector("file", COLLECTOR_GRPC_PORT=str(port))

    pushed = command("push", "--endpoint", endpoint, cwd=folder)

    expected = kept_ids(folder)
    assert pushed.returncode == 0, pushed.stderr
    assert f"{len(expected)} spans of 3 runs sent to {endpoint}" in pushed.stderr
    wait_until(lambda: len(received(collector)) >= len(expected), "all spans in the file")
    again = command("push", "--endpoint", endpoint, cwd=folder)
    assert "nothing to send" in again.stderr
    collector.stop()
    found = received(collector)
    assert len(found) == len({span.ids for span in found})
    assert {span.ids for span in found} == expected
    assert 2 * SPANS < len(expected) < 3 * SPANS

    dead = [span for span in found if span.attributes.get("error.type") == "killed"]
    assert sorted(span.name for span in dead) == ["Synthesizer[copula]", "petsard run"]
    for span in dead:
        assert span.status_code == 2
        assert before <= span.start_time < span.end_time <= after
        assert span.attributes["petsard.process.memory"] > 50_000_000
    (run_span,) = (span for span in dead if span.name == "petsard run")
    assert run_span.attributes["petsard.run.result"] == "error"
    ended = [
        span.end_time for span in found if span.parent and span.context.trace_id == run_span.ids[0]
    ]
    assert run_span.end_time >= max(ended)


def test_a_later_run_takes_along_what_an_earlier_one_could_not_send(
    start_collector: Callable[..., Collector], pipeline: Path
) -> None:
    """Nobody has to type anything: the next run that reaches the collector sends both."""
    folder, port = pipeline.parent, free_port()
    endpoint = f"http://127.0.0.1:{port}"
    first = command("run", "pipeline.yaml", "--endpoint", endpoint, cwd=folder)
    assert "none of 57 spans and no metrics reached the collector" in first.stderr
    assert "petsard-otel push" in first.stderr
    collector = start_collector("file", COLLECTOR_GRPC_PORT=str(port))

    second = command("run", "pipeline.yaml", "--endpoint", endpoint, cwd=folder)

    assert f"57 spans sent to {endpoint}" in second.stderr
    wait_until(lambda: len(received(collector)) >= 2 * SPANS, "both runs in the file")
    collector.stop()
    found = received(collector)
    assert len(found) == len({span.ids for span in found}) == 2 * SPANS
    assert {span.ids for span in found} == kept_ids(folder)
    with open_history(folder) as history:
        assert runs_with_unsent(history) == []


def test_a_run_is_pushed_to_another_receiver_as_well(
    start_collector: Callable[..., Collector], pipeline: Path
) -> None:
    """A run by its name goes wherever it is sent, also one that was never meant to be sent."""
    folder = pipeline.parent
    assert command("run", "pipeline.yaml", "--quiet", cwd=folder).returncode == 0
    assert (
        "nothing to send" in command("push", "--endpoint", "http://127.0.0.1:1", cwd=folder).stderr
    )
    collectors = [start_collector("file") for _ in range(2)]
    for collector in collectors:
        pushed = command("push", "--run", "last", "--endpoint", collector.grpc, cwd=folder)
        assert f"57 spans of 1 run sent to {collector.grpc}" in pushed.stderr
        wait_until(lambda at=collector: len(received(at)) >= SPANS, "the run")  # type: ignore[misc]
        collector.stop()
        assert {span.ids for span in received(collector)} == kept_ids(folder)


def test_a_push_to_nobody_says_so_and_can_be_repeated(pipeline: Path) -> None:
    """The exit code is 1, and everything is still there to be sent."""
    folder = pipeline.parent
    endpoint = f"http://127.0.0.1:{free_port()}"
    command("run", "pipeline.yaml", "--quiet", "--endpoint", endpoint, cwd=folder)
    pushed = command("push", "--endpoint", endpoint, cwd=folder)
    assert pushed.returncode == 1
    assert f"none of 57 spans reached the collector at {endpoint}" in pushed.stderr
    with open_history(folder) as history:
        assert [run.run_id for run in runs_with_unsent(history)] == [history.find("last").run_id]
    nowhere = subprocess.run(
        [sys.executable, "-m", "petsard_otel", "push"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("OTEL_")},
    )
    assert nowhere.returncode == 2
    assert "add --endpoint URL" in nowhere.stderr
