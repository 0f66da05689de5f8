"""Runs that are killed at any moment, and what can be said of them afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from petsard_otel import Status
from petsard_otel.exceptions import HistoryError
from petsard_otel.history.reading import open_history
from tests.killed_runs import runs_kept_in, told

ROOT = Path(__file__).parent.parent

KILLS = 200
"""How many runs are killed before they have ended."""

COPIES = 24
"""How many copies are made in the middle of runs."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")


def pipeline(folder: Path, name: str) -> Path:
    """Write a pipeline of all modules on the cars; return its path."""
    text = (ROOT / "examples/pipeline.yaml").read_text()
    text = text.replace("examples/cars.csv", str(ROOT / "examples/cars.csv"))
    path = folder / f"{name}.yaml"
    path.write_text(text.replace("build/demo/", f"{folder}/out/"))
    return path


def kept_in(history: Path) -> list[str]:
    """Return the ids of the runs that are kept; none where the first was killed too early."""
    try:
        with open_history(history) as found:
            return [run.run_id for run in found.runs()]
    except HistoryError:
        return []


def check(history: Path, config: Path, wait_status: int) -> str:
    """Hold what is kept of a run against what it told of itself; return its state."""
    run_id, begun, is_done = told(config)
    if run_id not in kept_in(history):
        assert not begun, "a run whose first module had begun is not kept"
        return "not begun"
    with open_history(history) as found:
        run = found.find(run_id)
        opened = found.open_executions(run)
    status = Status.load(run_id, history=history)
    summary = status.get_status_summary()
    snapshots = status.get_snapshots()
    ended = [found for found in snapshots if found.status == "success"]
    assert summary["state"] == run.state
    assert [snapshot.module_name for snapshot in ended] == begun[: len(ended)]
    assert len(set(status.get_timing_report_data()["record_id"])) == len(snapshots)
    if is_done or run.state == "completed":
        assert run.state == "completed"
        assert (opened, len(ended), run.executions) == ((), 25, 25)
        return "completed"
    assert wait_status != 0
    assert run.state == "killed"
    # All that had ended is there: the one before the last that began, at the least.
    assert len(begun) - 1 <= len(ended) <= len(begun)
    assert summary["total_snapshots"] == len(ended) + len(opened) == run.executions
    assert len(opened) <= 1
    for execution in opened:
        assert execution.module_name == begun[-1]
        assert execution.experiment_path.split("_")[0] == "Loader[cars]"
        assert run.started_ns <= execution.start_time_ns <= execution.last_seen_ns
        assert execution.memory_bytes is not None
        assert execution.memory_bytes > 50_000_000
        assert snapshots[-1].error_type == "killed"
        assert snapshots[-1].module_name == execution.module_name
        assert summary["open_modules"] == opened
    assert run.ended_ns is not None
    assert run.ended_ns <= time.time_ns()
    return "killed"


def test_runs_killed_at_random_moments_leave_all_that_had_ended(tmp_path: Path) -> None:
    """Whatever the moment: what had finished is there, and which module was open, since when."""
    history = tmp_path / "runs.db"
    moments = random.Random(20261127)  # noqa: S311  moments, no secrets
    states: list[str] = []
    opened: set[str] = set()
    with runs_kept_in(history) as runs:
        begun_at = time.monotonic()
        runs.start(pipeline(tmp_path, "whole"))
        assert runs.wait() == 0
        length = time.monotonic() - begun_at
        while states.count("killed") < KILLS:
            config = pipeline(tmp_path, f"run_{len(states)}")
            process = runs.start(config)
            time.sleep(moments.uniform(0.0, length))
            with suppress(ProcessLookupError):  # it may have been quick
                os.kill(process, signal.SIGTERM if len(states) % 4 == 0 else signal.SIGKILL)
            states.append(check(history, config, runs.wait()))
            _, begun, _ = told(config)
            if states[-1] == "killed" and begun:
                opened.add(begun[-1])
            # Machines are not equally quick at all times.
            length *= {"completed": 0.95, "not begun": 1.02}.get(states[-1], 1.0)
            assert len(states) < 4 * KILLS, "most runs are over before they are killed"
    assert opened >= {"Preprocessor", "Synthesizer", "Evaluator"}
    # Many deaths, and the database is whole.
    connection = sqlite3.connect(history)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_copy_of_the_files_at_any_moment_holds_what_had_ended(tmp_path: Path) -> None:
    """As after a power failure: what lies on the disk at one moment can be read."""
    history = tmp_path / "here" / "runs.db"
    moments = random.Random(1127)  # noqa: S311  moments, no secrets
    copied = 0
    with runs_kept_in(history) as runs:
        for number in range(60):
            if copied >= COPIES:
                break
            config = pipeline(tmp_path, f"run_{number}")
            process = runs.start(config)
            for moment in range(3):
                time.sleep(moments.uniform(0.0, 0.3))
                try:
                    os.kill(process, signal.SIGSTOP)
                except ProcessLookupError:
                    break
                try:
                    copy = tmp_path / f"copy_{number}_{moment}"
                    if history.parent.exists():
                        shutil.copytree(history.parent, copy)
                    run_id, begun, _ = told(config)
                finally:
                    with suppress(ProcessLookupError):  # it had ended, and was waited for
                        os.kill(process, signal.SIGCONT)
                if run_id is None or not begun:
                    continue
                copied += 1
                status = Status.load(run_id, history=copy / "runs.db")
                ended = [found for found in status.get_snapshots() if found.status == "success"]
                assert len(begun) - 1 <= len(ended)
                assert [found.module_name for found in ended] == begun[: len(ended)]
            runs.wait()
    assert copied >= COPIES


_KILLED_AFTER_STATEMENTS = """
import os, signal, sqlite3, sys
from petsard_otel import Executor, configure
from petsard_otel.modules import create_adapter, loader

def killing_after(number):
    def watch(frame, event, called):
        nonlocal number
        is_one = event == "c_return" and called.__name__ == "execute"
        if is_one and isinstance(called.__self__, sqlite3.Connection):
            number -= 1
            if not number:
                os.kill(os.getpid(), signal.SIGKILL)
    return watch

number = status = 1
while status:
    child = os.fork()
    if not child:
        configure(history=f"{sys.argv[1]}/{number}.db")
        sys.setprofile(killing_after(number))
        Executor({"Loader": {"cars": {"filepath": sys.argv[2]}}}, engine="builtin").run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    number += 1
"""


def test_after_every_single_statement_all_ways_of_looking_agree(tmp_path: Path) -> None:
    """Killed between any two writes: no way of looking says that it is over, another that not."""
    subprocess.run(
        [sys.executable, "-c", _KILLED_AFTER_STATEMENTS, tmp_path, ROOT / "examples/cars.csv"],
        check=True,
    )
    states = []
    for number in range(1, len(list(tmp_path.glob("*.db"))) + 1):
        history = tmp_path / f"{number}.db"
        for run_id in kept_in(history):
            with open_history(history) as found:
                run = found.find(run_id)
            summary = Status.load(run_id, history=history).get_status_summary()
            assert (summary["state"], summary["total_snapshots"]) == (run.state, run.executions)
            states.append(run.state)
    # The run was over for the last, which nothing killed, and for few before it.
    assert states[0] == "killed"
    assert states[-1] == "completed"
    assert states == sorted(states, reverse=True)
    assert set(states) == {"completed", "killed"}


ENDS = {
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit": "os._exit(7)",
    "abort": "os.abort()",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_module_that_ends_the_process_is_named(end: str, tmp_path: Path) -> None:
    """From the command line: `show` says which module was open, since when, and the memory."""
    (tmp_path / "pipeline.yaml").write_text(
        f"Loader: {{cars: {{filepath: {ROOT / 'examples/cars.csv'}}}}}\n"
        "Synthesizer: {copula: {method: default}}\n"
    )
    program = (
        "import os, signal, sys, time\n"
        "from petsard_otel.cli import main\n"
        "from petsard_otel.modules import synthesizer\n"
        "def end(self, given):\n"
        "    self.memory = bytearray(200_000_000)\n"
        "    time.sleep(1.2)\n"
        f"    {ENDS[end]}\n"
        "synthesizer.SynthesizerAdapter.run = end\n"
        "main(['run', 'pipeline.yaml', '--engine', 'builtin'])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False
    )
    assert killed.returncode != 0
    shown = subprocess.run(
        [sys.executable, "-m", "petsard_otel", "show", "last", "--format", "table"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "killed in Synthesizer[copula]" in shown.stdout
    assert shown.stderr == ""
    status = Status.load("last", history=tmp_path)
    (execution,) = status.get_status_summary()["open_modules"]
    assert (execution.module_name, execution.experiment_name) == ("Synthesizer", "copula")
    assert execution.memory_bytes > 200_000_000
    assert execution.last_seen_ns - execution.start_time_ns > 500_000_000
    assert [found.status for found in status.get_snapshots()] == ["success", "error"]
    assert status.get_snapshots()[0].rows == 406
