"""Runs that are kept on disk: where, by whom they can be read, whole, whatever else happens."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from petsard_otel import ConfigError, Executor, Status, configure
from petsard_otel.exceptions import HistoryError
from petsard_otel.history.database import MIGRATIONS, open_to_read, open_to_write
from petsard_otel.history.journals import journal_at
from petsard_otel.history.place import existing_place, given_place
from petsard_otel.history.pruning import prune
from petsard_otel.history.reading import open_history

ROOT = Path(__file__).parent.parent

PIPELINE = f"""
Loader: {{cars: {{filepath: {ROOT / "examples/cars.csv"}}}}}
Splitter: {{half: {{train_split_ratio: 0.5}}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give a small pipeline in a folder of its own."""
    path = tmp_path / "here" / "small.yaml"
    path.parent.mkdir()
    path.write_text(PIPELINE)
    return path


def command(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
    ],
)
def test_the_command_line_keeps_a_run_beside_its_configuration(
    config: Path, variables: dict[str, str]
) -> None:
    """For its owner alone, and whole, whatever the environment does to telemetry."""
    found = command("run", "here/small.yaml", "-q", cwd=config.parent.parent, **variables)
    assert (found.returncode, found.stderr) == (0, "")
    database = config.parent / ".petsard-otel" / "runs.db"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
    with open_history(config) as kept:
        (run,) = kept.runs()
        spans = {span.name: span for span in kept.spans(run)}
    assert (run.name, run.state, run.executions, run.changes) == ("small", "completed", 2, 0)
    assert spans["Loader[cars]"].attributes["petsard.output.rows"] == 406
    assert spans["petsard run"].attributes["petsard.sequence"] == ("Loader", "Splitter")
    assert spans["petsard run"].resource["service.name"] == "petsard"
    status = Status.load("last", history=config)
    assert [found.rows for found in status.get_snapshots()] == [406, 203]


def test_a_script_keeps_nothing_unasked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where `configure` or the variable says so is a file written."""
    monkeypatch.delenv("PETSARD_OTEL_HISTORY", raising=False)
    Executor(config, engine="builtin").run()
    assert list(config.parent.iterdir()) == [config]
    off = command("run", config.name, "-q", "--no-history", cwd=config.parent)
    assert (off.returncode, list(config.parent.iterdir())) == (0, [config])
    monkeypatch.setenv("PETSARD_OTEL_HISTORY", str(config.parent.parent / "other.db"))
    Executor(config, engine="builtin").run()
    journal_at(config.parent.parent / "other.db").close()
    with open_history(config.parent.parent / "other.db") as kept:
        assert len(kept.runs()) == 1


def test_what_is_kept_is_what_the_live_status_answers(history: Path, config: Path) -> None:
    """Every record, ids included."""
    executor = Executor(config, engine="builtin")
    executor.run()
    live, kept = executor.status, Status.load(executor.status.run_id, history=history)
    assert kept.get_snapshots() == live.get_snapshots()
    assert kept.get_timing_records() == live.get_timing_records()
    assert kept.get_change_history() == live.get_change_history()
    assert kept.get_status_summary() == live.get_status_summary()


@pytest.mark.parametrize("place", ["a-file/runs.db", "a-folder"])
def test_a_history_that_cannot_be_written_is_one_warning(config: Path, place: str) -> None:
    """Results, stdout and exit code are as without."""
    folder = config.parent
    (folder / "a-file").write_text("mine")
    (folder / "a-folder").mkdir()
    (folder / "a-folder" / ".petsard-otel").write_text("mine, too")
    found = command("run", config.name, "-q", "--history", place, cwd=folder)
    assert found.returncode == 0
    (line,) = found.stderr.splitlines()
    assert line.startswith("warning: this run is not kept")
    assert "completed" in found.stdout
    assert (folder / "a-file").read_text() == "mine"


@pytest.mark.parametrize("damage", ["later", "foreign", "no database", "truncated"])
def test_what_is_not_ours_to_write_stays_as_it_is(config: Path, damage: str) -> None:
    """One warning, and the same bytes afterwards; a reader is told what it is."""
    database = config.parent / "runs.db"
    if damage == "no database":
        database.write_bytes(b"Jane Roe, 42\\n" * 1000)
    else:
        connection = open_to_write(database)
        if damage == "later":
            connection.execute("PRAGMA user_version = 99")
        if damage == "foreign":
            connection.execute("PRAGMA application_id = 7")
        connection.close()
    if damage == "truncated":
        os.truncate(database, 700)
    before = database.read_bytes()
    found = command("run", config.name, "-q", "--history", str(database), cwd=config.parent)
    assert found.returncode == 0
    assert found.stderr.count("warning: this run is not kept") == 1
    assert database.read_bytes() == before
    shown = command("runs", "--history", str(database), cwd=config.parent)
    # Of one that is cut short what is left is shown: of this one nothing.
    assert (shown.returncode, shown.stdout) == ((0, "[]\n") if damage == "truncated" else (2, ""))
    assert "Jane Roe" not in shown.stderr + found.stderr
    expected = {
        "later": "a later version",
        "foreign": "another program",
        "no database": "is no history",
        "truncated": "is damaged",
    }
    assert expected[damage] in shown.stderr
    assert database.read_bytes() == before


def test_of_a_database_cut_short_what_can_be_read_is_kept(history: Path, config: Path) -> None:
    """At any length it is a clear error, or what is left of the runs; never another answer."""
    for _ in range(10):
        Executor(config, engine="builtin").run()
    journal_at(history).close()
    whole = history.read_bytes()
    cut = history.with_name("cut.db")
    counts = set()
    for length in range(0, len(whole), 4096):
        cut.write_bytes(whole[:length])
        try:
            with open_history(cut) as kept:
                runs = kept.runs()
                spans = [span for run in runs for span in kept.spans(run)]
        except HistoryError:
            continue
        counts.add(len(spans))
        assert cut.read_bytes() == whole[:length]
    assert max(counts) > 10


def test_many_processes_write_at_once(config: Path) -> None:
    """Nothing is lost, nothing is mixed, and the database is whole."""
    database = config.parent / "runs.db"
    program = (
        "import sys; from petsard_otel import Executor, configure\\n"
        "configure(history=sys.argv[1])\\n"
        "for _ in range(5): Executor(sys.argv[2], engine='builtin').run()\\n"
    ).replace("\\n", "\n")
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(database), str(config)])
        for _ in range(6)
    ]
    assert [process.wait(120) for process in processes] == [0] * 6
    with open_history(database) as kept:
        runs = kept.runs()
        assert {(run.state, run.executions, len(kept.spans(run))) for run in runs} == {
            ("completed", 2, 5)
        }
    assert len(runs) == 30
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_database_that_somebody_else_is_making_is_ours(tmp_path: Path) -> None:
    """Several open a new one at the same moment: none takes it for foreign, none makes it anew."""
    at_once = threading.Barrier(6)

    def opened(path: Path) -> int:
        at_once.wait()
        connection = open_to_write(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
        return int(version)

    with ThreadPoolExecutor(6) as threads:
        for number in range(40):
            path = tmp_path / f"{number}.db"
            assert [*threads.map(opened, [path] * 6)] == [len(MIGRATIONS)] * 6


def test_an_earlier_version_is_brought_up_to_date(history: Path, config: Path) -> None:
    """In one step, with what is in it; one that fails on the way leaves it as it was."""
    Executor(config, engine="builtin").run()
    journal_at(history).close()
    later = (*MIGRATIONS, "ALTER TABLE run ADD COLUMN note TEXT; UPDATE run SET note = 'kept'")
    broken = (*MIGRATIONS, "ALTER TABLE run ADD COLUMN other TEXT; UPDATE absent SET a = 1")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        open_to_write(history, migrations=broken)
    open_to_read(history).close()
    connection = open_to_write(history, migrations=later)
    assert connection.execute("SELECT note FROM run").fetchall() == [("kept",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    connection.close()
    with pytest.raises(HistoryError, match="a later version"):
        open_to_read(history)


def test_a_history_is_found_from_where_one_is(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Here, in a folder around, or the only one below; several below have to be told apart."""
    monkeypatch.delenv("PETSARD_OTEL_HISTORY", raising=False)
    database = given_place(config)
    open_to_write(database).close()
    inside = config.parent / "deep" / "deeper"
    inside.mkdir(parents=True)
    for folder in (config.parent, inside, tmp_path):
        monkeypatch.chdir(folder)
        assert existing_place(None) == database
    (tmp_path / "there").mkdir()
    open_to_write(given_place(tmp_path / "there" / "x.yaml")).close()
    with pytest.raises(HistoryError, match="several histories below"):
        existing_place(None)
    monkeypatch.chdir("/")
    with pytest.raises(HistoryError, match="there is no history at"):
        existing_place("/nowhere/runs.db")


def test_a_history_of_another_type_is_a_config_error() -> None:
    """It says what is expected."""
    with pytest.raises(ConfigError, match="history"):
        configure(history=7)  # type: ignore[arg-type]


def test_old_runs_are_pruned_and_the_file_shrinks(history: Path, config: Path) -> None:
    """The oldest go first, a trial removes nothing, and what is to be sent stays."""
    for _ in range(30):
        Executor(config, engine="builtin").run()
    journal_at(history).close()
    with open_history(history) as kept:
        runs = [run.run_id for run in kept.runs()]
    before = history.stat().st_size
    trial = prune(history, max_bytes=before // 2, is_trial=True)
    assert 5 < len(trial.runs) < 30
    assert history.stat().st_size == before
    connection = open_to_write(history)
    connection.execute("UPDATE span SET is_wanted = 1 WHERE id = (SELECT min(id) FROM span)")
    connection.close()
    found = prune(history, max_bytes=before // 2)
    assert found.kept_unsent == 1
    assert history.stat().st_size < before * 0.8
    with open_history(history) as kept:
        left = [run.run_id for run in kept.runs()]
    assert left[-1] == runs[-1]
    assert left[:-1] == runs[: len(left) - 1]
    assert len(prune(history, max_age_seconds=0, removes_unsent=True).runs) == len(left)


def test_somebody_who_writes_for_long_delays_no_run(history: Path, config: Path) -> None:
    """What cannot be written meanwhile is written later."""
    Executor(config, engine="builtin").run()
    other = sqlite3.connect(history, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    executor = Executor(config, engine="builtin")
    executor.run()
    assert time.monotonic() - begun < 2
    other.execute("COMMIT")
    other.close()
    journal_at(history).close()
    kept = Status.load(executor.status.run_id, history=history)
    assert kept.get_snapshots() == executor.status.get_snapshots()
