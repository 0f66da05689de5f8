"""Runs that are kept while somebody interferes: each ends as it would have, and says it once."""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petsard_otel import Executor, Status, configure
from petsard_otel.exceptions import HistoryError
from petsard_otel.history import database, journal, journals, write_ahead_log
from petsard_otel.history.database import MIGRATIONS, open_to_read, open_to_write
from petsard_otel.history.reading import open_history

from .conftest import Pipeline, TableAdapter
from .kept_runs import held, kept_in, messages, run, said, small_pipeline, spans
from .otlp_receivers import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel import Schema
    from petsard_otel.executor import Progress

NOT_KEPT = "this run is not kept, or not to its end: "


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a pipeline of eight spans."""
    return small_pipeline(tmp_path)


def is_free(path: Path) -> bool:
    """Tell whether a database can be written at once."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


# Somebody else writes.


@pytest.mark.parametrize("when", ["written before", "not yet opened"])
def test_somebody_who_writes_for_seconds_delays_a_run_once(
    when: str, history: Path, config: Path
) -> None:
    """By a quarter of a second at most, and what could not be written is, when that is over."""
    run(config)
    if when == "not yet opened":
        journals.journal_at(history).close()
    delays = []
    for _ in range(4):
        begun = time.monotonic()
        run(config)
        plain = time.monotonic() - begun
        with held(history, 3):
            begun = time.monotonic()
            executor = run(config)
            delays.append(time.monotonic() - begun - plain)
            assert len(messages(history)) % 8 == 0
        run_id = executor.status.run_id
        assert eventually(lambda run_id=run_id: has_run(history, run_id))
        kept = Status.load(run_id, history=history)
        assert kept.get_snapshots() == executor.status.get_snapshots()
        if delays[-1] < 0.35:
            break
        if when == "not yet opened":
            journals.journal_at(history).close()
    # Others may have the machine at the moment, so the best counts.
    assert min(delays) < 0.35


def has_run(path: Path, run_id: str) -> bool:
    """Tell whether a run has been written to its end."""
    with open_history(path) as found:
        return any((one.run_id, one.state) == (run_id, "completed") for one in found.runs())


def test_a_process_that_ends_while_somebody_writes_loses_nothing(config: Path) -> None:
    """It waits for what it has still to write."""
    path = config.parent / "runs.db"
    program = (
        "import sys; from petsard_otel import Executor, configure\n"
        "configure(history=sys.argv[1])\n"
        "e = Executor(sys.argv[2], engine='builtin'); input(); e.run(); print(e.status.run_id)\n"
    )
    open_to_write(path).close()
    script = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, str(path), str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with held(path, 2.5):
        out, err = script.communicate("\n", timeout=60)
    assert (script.returncode, err) == (0, "")
    assert len(spans(path, out.strip())) == 8


def test_what_waits_is_bounded(
    history: Path, cars: Schema, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody writes for ever, the memory of the host is not ours to fill."""
    monkeypatch.setattr(journal, "MAX_WAITING_BYTES", 20_000)
    status = Status(Pipeline("Loader"))
    status.put("Loader", "a", TableAdapter(cars))
    other = sqlite3.connect(history, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(60):
        status.put("Loader", "a", TableAdapter(cars))
    (line,) = said(caplog)
    assert line.startswith(f"{NOT_KEPT}somebody else has been writing to {str(history)!r} for too")
    other.execute("ROLLBACK")
    other.close()
    assert len(status.get_snapshots()) == 61
    # The next run is kept again.
    again = Status(Pipeline("Loader"))
    again.put("Loader", "a", TableAdapter(cars))
    assert len(spans(history, again.run_id)) == 1


def test_a_run_whose_end_waited_too_long_is_not_sent_as_killed(
    tmp_path: Path, cars: Schema, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was over before its history was given up: nobody may say that it died in a module."""
    monkeypatch.setattr(journal, "MAX_WAITING_BYTES", 60_000)
    path = tmp_path / "runs.db"
    others: list[sqlite3.Connection] = []

    def somebody_writes(progress: Progress) -> None:
        if progress.number == 2 and not others:
            others.append(sqlite3.connect(path, isolation_level=None))
            others[0].execute("BEGIN IMMEDIATE")

    # Where nobody listens, so that all of it is to be sent later.
    with kept_in(path, endpoint="http://127.0.0.1:9", protocol="http/protobuf"):
        Executor(config, engine="builtin").run(somebody_writes)
        assert journals.journal_at(path).is_usable
        status = Status(Pipeline("Loader"))
        for _ in range(60):
            status.put("Loader", "a", TableAdapter(cars))
        others[0].execute("ROLLBACK")
        others[0].close()
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT is_ended, is_wanted FROM span ORDER BY id").fetchall()
    connection.close()
    # The run, the Loader and its step; the run's end is what was lost.
    assert found == [(0, 0), (1, 1), (1, 1)]


# Somebody removes or replaces it.


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_history_removed_in_a_run_is_begun_anew_by_the_next(
    what: str, history: Path, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run that lost it says so once; nothing is brought back that somebody removed."""

    def remove(progress: Progress) -> None:
        if progress.module == "Preprocessor":
            if what == "folder":
                shutil.rmtree(history.parent)
            else:
                for path in history.parent.iterdir():
                    path.unlink()
        if progress.module == "Postprocessor":
            time.sleep(1.2)

    executor = Executor(config, engine="builtin")
    executor.run(remove)
    assert not history.exists()
    assert len(executor.get_result()) == 1
    assert executor.status.get_status_summary()["telemetry_errors"] == 0
    (line,) = said(caplog)
    assert line.startswith(f"{NOT_KEPT}{str(history)!r} has been removed or replaced meanwhile; ")
    again = run(config)
    with open_history(history) as found:
        assert [one.run_id for one in found.runs()] == [again.status.run_id]


def test_another_history_in_its_place_is_not_touched_by_the_old_connection(
    history: Path, config: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its runs nor its log, which SQLite knows by its name alone."""
    other = tmp_path / "other" / "runs.db"
    with kept_in(other):
        first = run(config).status.run_id
    configure(history=history)
    run(config)
    for path in history.parent.iterdir():
        path.unlink()
    shutil.copy(other, history)
    # Somebody else writes to the new one, whose write-ahead log holds what is written.
    writer = open_to_write(history)
    writer.execute("UPDATE run SET name = 'theirs'")
    configuration = configure(history=history)
    second = run(config).status.run_id
    configuration.shutdown()
    journals.journal_at(history).close()
    writer.execute("UPDATE run SET engine = 'theirs' WHERE name = 'theirs'")
    writer.close()
    connection = sqlite3.connect(history)
    rows = connection.execute("SELECT run_id, name, engine FROM run ORDER BY id").fetchall()
    assert rows == [(first, "theirs", "theirs"), (second, "small", "builtin")]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert said(caplog) == []


def test_a_run_in_a_folder_that_is_removed_meanwhile(
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It ends, and so does one that begins there: one warning each, and no folder comes back."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    configuration = configure(history=True)

    def remove(progress: Progress) -> None:
        if progress.module == "Postprocessor":
            shutil.rmtree(tmp_path / "gone")
            time.sleep(0.7)

    text = config.read_text()
    executor = Executor(text, engine="builtin")
    executor.run(remove)
    assert len(executor.get_result()) == 1
    executor = Executor(text, engine="builtin")
    executor.run()
    assert len(executor.get_result()) == 1
    configuration.shutdown()
    place = str(tmp_path / "gone" / ".petsard-otel" / "runs.db")
    assert said(caplog) == [
        f"{NOT_KEPT}{place!r} has been removed or replaced meanwhile; its results are not affected",
        "this run is not kept: the current folder is gone; its results are not affected",
    ]
    assert not (tmp_path / "gone").exists()


def test_a_history_that_could_not_be_written_is_tried_again(
    tmp_path: Path, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the next run, silently as long as nothing has changed."""
    path = tmp_path / "folder" / "runs.db"
    (tmp_path / "folder").write_text("in the way")
    with kept_in(path):
        run(config)
        run(config)
        assert said(caplog) == [
            f"{NOT_KEPT}{str(path)!r} cannot be written: File exists; its results are not affected"
        ]
        (tmp_path / "folder").unlink()
        third = run(config)
    with open_history(path) as found:
        assert [one.run_id for one in found.runs()] == [third.status.run_id]


# Interrupts.


@pytest.mark.skipif(sys.platform == "win32", reason="no timers that interrupt")
# An interrupt as psutil opens a file of /proc leaves that to be closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_moment_leaves_the_history_usable(history: Path, cars: Schema) -> None:
    """It goes through, nothing stays locked, and what was not interrupted is all there."""
    status = Status(Pipeline("Loader"))
    adapter = TableAdapter(cars)
    status.put("Loader", "a", adapter)
    begun = time.perf_counter()
    status.put("Loader", "a", adapter)
    usual = time.perf_counter() - begun
    moments = random.Random(20261127)  # noqa: S311  moments, no secrets
    interrupted, whole = 0, []
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for number in range(600):
            if number % 20 == 0:
                # The first span of a run makes its row, and now and then opens the database.
                status = Status(Pipeline("Loader"))
                if number % 40 == 0:
                    journals.journal_at(history).rest()
            is_whole = False
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, 2 * usual))
                status.put("Loader", f"e{number}", adapter)
                is_whole = True
                signal.setitimer(signal.ITIMER_REAL, 0)
                # One that came as the timer was stopped is raised here.
                time.sleep(0)
            except KeyboardInterrupt:
                interrupted += 1
            if is_whole:
                whole.append(f"Loader[e{number}]")
            # On a busy disk a commit may take many seconds; what is left locked is so for ever.
            if not eventually(lambda: is_free(history), timeout_seconds=60):
                faulthandler.dump_traceback()
                pytest.fail(f"the database stays locked after the interrupt in number {number}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert interrupted > 100
    status.put("Loader", "last", adapter)
    ended = [span.name for span in messages(history) if span.end_time_unix_nano]
    assert set(ended) >= {*whole, "Loader[last]"}
    assert eventually(lambda: threading.active_count() < 12)


# What has no bounds must have some.


def test_a_thousand_runs_cost_no_more_than_ten(history: Path, cars: Schema) -> None:
    """Threads, descriptors and memory of a process stay as they are, however many runs it makes."""
    process = psutil.Process()

    def record(runs: int) -> None:
        for _ in range(runs):
            run_of_one(cars)

    record(200)
    before = (process.num_fds(), threading.active_count(), process.memory_info().rss)
    record(1000)
    after = (process.num_fds(), threading.active_count(), process.memory_info().rss)
    # The heart may be at the log just now, with a connection of its own.
    assert after[0] <= before[0] + 8
    assert after[1] <= before[1]
    assert after[2] - before[2] < 12_000_000
    with open_history(history) as found:
        assert len(found.runs()) == 1200


def run_of_one(schema: Schema) -> None:
    """Record one execution of a run."""
    Status(Pipeline("Loader")).put("Loader", "a", TableAdapter(schema))


def test_a_hundred_histories_are_not_all_open_at_once(
    tmp_path: Path, cars: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that runs pipelines in folders of their own runs out of no descriptors."""
    process = psutil.Process()
    monkeypatch.setenv("PETSARD_OTEL_HISTORY", "true")
    before = process.num_fds(), threading.active_count()
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        run_of_one(cars)
    assert eventually(lambda: threading.active_count() <= before[1] + 6)
    assert process.num_fds() <= before[0] + 20
    for number in range(100):
        place = tmp_path / str(number) / ".petsard-otel" / "runs.db"
        journals.journal_at(place).close()
        assert len(messages(place)) == 1


def test_a_step_timed_after_its_history_was_closed_is_kept(
    tmp_path: Path, config: Path, cars: Schema
) -> None:
    """A run that is over is not forgotten because others have been kept elsewhere since."""
    path = tmp_path / "first.db"
    with kept_in(path):
        executor = run(config)
        for number in range(8):
            configure(history=tmp_path / f"{number}.db")
            run_of_one(cars)
        executor.status.start_timing("Loader", "people", "look back")
        executor.status.end_timing("Loader", "people", "look back")
        assert eventually(lambda: messages(path)[-1].name == "Loader.look back")
        assert eventually(lambda: messages(path)[-1].end_time_unix_nano > 0)


def test_a_tight_loop_keeps_the_log_bounded(
    history: Path, cars: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved into the database beside the run; where it grows too quickly, the run waits."""
    monkeypatch.setattr(write_ahead_log, "USUAL_LOG_BYTES", 500_000)
    monkeypatch.setattr(write_ahead_log, "MAX_LOG_BYTES", 4_000_000)
    status = Status(Pipeline("Loader"))
    log = history.with_name("runs.db-wal")
    sizes = []
    for number in range(6000):
        status.put("Loader", "a", TableAdapter(cars))
        if number % 100 == 0:
            sizes.append(log.stat().st_size)
    # Of some sixty megabytes that have been written.
    assert max(sizes) < 30_000_000
    assert min(sizes[30:]) < 4_100_000
    assert len(messages(history)) == 6000


# Damage, and versions.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database of some runs."""
    folder = tmp_path_factory.mktemp("whole")
    config = small_pipeline(folder)
    with kept_in(folder / "runs.db"):
        for _ in range(12):
            run(config)
    return folder / "runs.db"


def readable(path: Path) -> set[bytes]:
    """Give the spans that can be read, nothing where it is no history any more."""
    try:
        with open_history(path) as found:
            return {
                span.SerializeToString()
                for one in found.runs()
                for data in found.traces_data(one)
                for span in data.resource_spans[0].scope_spans[0].spans
            }
    except HistoryError:
        return set()


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(at=st.integers(0, 10**9), patch=st.binary(min_size=1, max_size=6000))
def test_a_damaged_database_loses_nothing_more_by_a_run(
    at: int,
    patch: bytes,
    whole: Path,
    tmp_path: Path,
    config: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bytes in the middle are another's: what could be read before can be read afterwards."""
    path = tmp_path / "damaged.db"
    for stale in tmp_path.glob("damaged.db*"):
        stale.unlink()
    content = whole.read_bytes()
    at %= len(content)
    path.write_bytes((content[:at] + patch + content[at + len(patch) :])[: len(content)])
    before = readable(path)
    caplog.clear()
    with kept_in(path):
        executor = run(config)
    assert len(executor.get_result()) == 1
    assert executor.status.get_status_summary()["telemetry_errors"] == 0
    assert len([text for text in said(caplog) if text.startswith(NOT_KEPT)]) <= 1
    assert readable(path) >= before


def test_two_processes_that_migrate_at_once_do_it_once(tmp_path: Path, config: Path) -> None:
    """Each finds the later version whole, and what was kept is there."""
    path = tmp_path / "runs.db"
    with kept_in(path):
        run(config)
    program = (
        "import sys; from pathlib import Path\n"
        "from petsard_otel.history.database import MIGRATIONS, open_to_write\n"
        "later = (*MIGRATIONS, 'ALTER TABLE run ADD COLUMN note TEXT; '\n"
        "         \"UPDATE run SET note = coalesce(note, '') || 'x'\")\n"
        "sys.stdin.read(1)\n"
        "open_to_write(Path(sys.argv[1]), migrations=later).close()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    time.sleep(1)
    for other in others:
        assert other.stdin is not None
        other.stdin.close()
    assert [other.wait(60) for other in others] == [0, 0, 0, 0]
    connection = open_to_read(path, versions=len(MIGRATIONS) + 1)
    assert connection.execute("SELECT note FROM run").fetchall() == [("x",)]
    assert connection.execute("SELECT count(*) FROM span").fetchone() == (8,)
    connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_migration_that_is_killed_leaves_the_old_version_whole(
    tmp_path: Path, config: Path
) -> None:
    """Whatever it had done by then."""
    path = tmp_path / "runs.db"
    with kept_in(path):
        run(config)
    program = (
        "import os, sqlite3, sys; from pathlib import Path\n"
        "from petsard_otel.history import database\n"
        "connect = database.connected\n"
        "def connected(*given):\n"
        "    found = connect(*given)\n"
        "    found.create_function('die', 0, lambda: os.kill(os.getpid(), 9))\n"
        "    return found\n"
        "database.connected = connected\n"
        "later = (*database.MIGRATIONS, 'DROP TABLE receiver; DELETE FROM span; SELECT die()')\n"
        "database.open_to_write(Path(sys.argv[1]), migrations=later)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    connection = open_to_write(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("SELECT count(*) FROM receiver").fetchone() == (0,)
    connection.close()
    assert len(spans(path)) == 8


@pytest.mark.parametrize("pragma", ["application_id = 7", "user_version = 3"])
def test_a_database_of_others_without_tables_is_not_taken(pragma: str, tmp_path: Path) -> None:
    """It is marked as somebody's, though nothing is in it yet."""
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="a database of another program; it is left as it is"):
        database.open_to_write(path)
    assert path.read_bytes() == before


def test_an_empty_file_is_made_a_history(tmp_path: Path, config: Path) -> None:
    """As `mktemp` leaves one; until then it holds no run."""
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(HistoryError, match="is empty: no run has been written to it"):
        open_to_read(path)
    with kept_in(path):
        run(config)
    assert len(spans(path)) == 8


def test_a_named_pipe_is_no_history(tmp_path: Path, config: Path) -> None:
    """Nothing waits for its other end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HistoryError, match="is no file"):
        database.open_to_write(tmp_path / "pipe")
    with (
        pytest.raises(HistoryError, match="there is no history at"),
        open_history(tmp_path / "pipe"),
    ):
        pass
    with kept_in(tmp_path / "pipe"):
        assert len(run(config).get_result()) == 1
