"""Histories where several things happen at once: forks, signals, removal, damage, failing disks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from petsard_otel import Executor, Status
from petsard_otel.history.reading import open_history
from petsard_otel.history.unsent import runs_with_unsent, unsent

from .kept_runs import kept_in, messages, run, said, small_pipeline
from .otlp_receivers import http_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel.executor import Progress

RUNS = """
import os, sys, time
from pathlib import Path
from petsard_otel import Executor, configure
configure(history=sys.argv[1])
def one():
    executor = Executor(sys.argv[2], engine="builtin")
    executor.run()
    return executor
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a pipeline of eight spans."""
    return small_pipeline(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Name a database for runs."""
    return tmp_path / "kept" / "runs.db"


def python(code: str, history: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that keeps its runs, and forks beside the thread of the heartbeats."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore:This process:DeprecationWarning",
            "-c",
            RUNS + code,
            str(history),
            str(config),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")


@forks
@pytest.mark.parametrize("end", ["sys.exit()", "os.kill(os.getpid(), 9)"])
def test_a_child_keeps_its_runs_when_its_parent_has_gone(
    end: str, history: Path, config: Path
) -> None:
    """SQLite's locks are not inherited: a parent that leaves must not take the child's log away."""
    done = python(
        f"""
one()
here, there = os.pipe()
if os.fork():
    os.read(here, 1)
    {end}
parent = os.getppid()
one()
os.write(there, b".")
while os.getppid() == parent:
    time.sleep(0.01)
for _ in range(3):
    one()
""",
        history,
        config,
    )
    # The child has ended as well: it held what this read from.
    assert done.stderr == ""
    assert len(ended(history)) == 5


def ended(history: Path) -> list[str]:
    """Give the runs that have ended."""
    with open_history(history) as found:
        return [kept.run_id for kept in found.runs() if kept.state == "completed"]


@forks
def test_a_parent_goes_on_writing_after_a_fork_in_a_run(history: Path, config: Path) -> None:
    """What was closed for the fork is opened again at once, as the same process."""
    done = python(
        """
from petsard_otel.modules.preprocessor import PreprocessorAdapter
real = PreprocessorAdapter.run
def forking(self, given):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    real(self, given)
PreprocessorAdapter.run = forking
one()
""",
        history,
        config,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ended(history)) == 1
    assert all(span.end_time_unix_nano for span in messages(history))
    connection = sqlite3.connect(history)
    (processes,) = connection.execute("SELECT count(*) FROM process").fetchone()
    connection.close()
    assert processes == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no timers that interrupt")
def test_a_signal_handler_may_record_amid_a_write(history: Path, config: Path) -> None:
    """It waits for no lock that its own thread holds, and what it recorded is kept."""
    done = python(
        """
import signal
from petsard_otel import step_span
count = 0
def tick(*_):
    global count
    count += 1
    with step_span("checkpoint"):
        pass
signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(10):
    one()
signal.setitimer(signal.ITIMER_REAL, 0)
print(count > 50)
""",
        history,
        config,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    found = [span for span in messages(history) if span.name.endswith("checkpoint")]
    assert found
    assert all(span.end_time_unix_nano for span in messages(history))
    assert len(ended(history)) == 10


def test_a_folder_that_was_removed_is_not_made_again(history: Path, config: Path) -> None:
    """Neither by a sign of life nor by a goodbye, as for a temporary folder."""
    done = python(
        """
import shutil
one()
shutil.rmtree(Path(sys.argv[1]).parent)
time.sleep(1.2)
""",
        history,
        config,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not history.parent.exists()


def test_a_history_that_is_removed_in_a_short_run_is_missed(
    history: Path, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, though no sign of life was due before the end."""

    def remove(progress: Progress) -> None:
        if progress.number == 2:
            shutil.rmtree(history.parent)

    with kept_in(history):
        Executor(config, engine="builtin").run(remove)
    (warning,) = said(caplog)
    assert "has been removed or replaced meanwhile" in warning
    assert not history.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits for files there")
def test_a_run_that_could_not_be_kept_to_its_end_is_not_sent_as_killed(
    history: Path, config: Path
) -> None:
    """All of it has arrived; of what never ended in the history, a later run says nothing."""
    with http_receiver() as (endpoint, receiver):
        done = python(
            f"""
import resource
configure("{endpoint}", protocol="http/protobuf", history=sys.argv[1])
least = resource.getrlimit(resource.RLIMIT_FSIZE)
def fill(progress):
    if progress.number == 2:
        size = os.path.getsize(sys.argv[1] + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, least[1]))
Executor(sys.argv[2], engine="builtin").run(fill)
resource.setrlimit(resource.RLIMIT_FSIZE, least)
""",
            history,
            config,
        )
        assert done.returncode == 0
        assert done.stderr.count("not kept, or not to its end") == 1, done.stderr
        sent = [span.span_id for span in receiver.all_spans]
        assert len(sent) == 8
        assert len(messages(history)) < 8
    with open_history(history) as found:
        left = [span for kept in runs_with_unsent(found) for span in unsent(found, kept)]
    assert {Span.FromString(span.body).status.code for span in left} <= {0}


def test_a_log_that_cannot_be_read_is_not_passed_over(history: Path, config: Path) -> None:
    """In a folder that is closed to us SQLite would show what was there before the log."""
    as_others: list[str] = []
    if os.name == "nt" or os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere")
        as_others = ["setpriv", "--bounding-set=-dac_override"]
    with kept_in(history):
        run(config)
        copy = history.parent.parent / "copy"
        copy.mkdir()
        for name in ("runs.db", "runs.db-wal"):
            shutil.copy(history.parent / name, copy)
    command = [*as_others, sys.executable, "-m", "petsard_otel", "show", "last", "--history"]
    copy.chmod(0o500)
    shown = subprocess.run(
        [*command, str(copy / "runs.db")], capture_output=True, text=True, check=False, timeout=60
    )
    copy.chmod(0o700)
    assert shown.returncode == 2
    assert "copy it and its log, runs.db-wal, into a folder" in shown.stderr
    assert len(Status.load("last", copy / "runs.db").get_snapshots()) == 3


def test_a_killed_run_with_a_gap_can_be_loaded(history: Path, config: Path) -> None:
    """The numbers of snapshots go on after the highest, not after how many there are."""
    with kept_in(history):
        run(config)
    connection = sqlite3.connect(history, isolation_level=None)
    modules = connection.execute("SELECT id FROM span WHERE kind = 'module' ORDER BY id").fetchall()
    connection.execute("DELETE FROM span WHERE id = ?", modules[0])
    last = modules[-1]
    (body,) = connection.execute("SELECT body FROM span WHERE id = ?", last).fetchone()
    span = messages(history)[-1].FromString(body)
    span.end_time_unix_nano = 0
    kept = [entry for entry in span.attributes if entry.key != "petsard.snapshot.id"]
    del span.attributes[:]
    span.attributes.extend(kept)
    connection.execute(
        "UPDATE span SET is_ended = 0, body = ? WHERE id = ?", (span.SerializeToString(), *last)
    )
    connection.execute("UPDATE run SET ended_ns = NULL, result = NULL")
    connection.execute("DELETE FROM span WHERE kind = 'run'")
    connection.close()
    status = Status.load("last", history)
    assert [snapshot.module_name for snapshot in status.get_snapshots()] == [
        "Preprocessor",
        "Postprocessor",
    ]
    assert status.get_snapshots()[-1].snapshot_id.endswith("_000003")


def test_a_span_that_contradicts_another_takes_no_run_with_it(
    history: Path, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A byte of an attribute's name is another: one warning, and all else is shown."""
    with kept_in(history):
        run(config)
    connection = sqlite3.connect(history, isolation_level=None)
    connection.execute(
        "UPDATE span SET body = CAST(replace(body, 'petsard.snapshot.id', 'petsard.snapshoT.id') "
        "AS BLOB) WHERE id = (SELECT min(id) FROM span WHERE kind = 'module')"
    )
    connection.close()
    caplog.clear()
    status = Status.load("last", history)
    assert [snapshot.module_name for snapshot in status.get_snapshots()] == [
        "Preprocessor",
        "Postprocessor",
    ]
    (warning,) = said(caplog)
    assert "is damaged (a span is not as it was written)" in warning


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
def test_an_argument_that_is_no_text_names_no_run(history: Path, config: Path) -> None:
    """As a shell lets one type it."""
    with kept_in(history):
        run(config)
    shown = subprocess.run(
        [sys.executable, "-m", "petsard_otel", "show", b"\xff", "--history", str(history)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 2
    assert b"there is no run" in shown.stderr
    assert b"Traceback" not in shown.stderr
