"""Looking at runs that are kept, as a user starts it: `run` twice, then every command."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from .test_cli import PIPELINE, on_terminal, petsard_otel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANGED = PIPELINE.replace("num_samples: 2", "num_samples: 3") + (
    "Preprocessor:\n  encode: {method: custom, sequence: [encoder]}\n"
)

BROKEN = """\
Loader:
  people: {filepath: nobody.csv}
"""

COMMANDS = {
    "runs": ["runs"],
    "show": ["show", "last"],
    "timing": ["timing", "last"],
    "timing by": ["timing", "last", "--by", "module"],
    "schema": ["schema", "last"],
    "compare": ["compare", "last~1", "last"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which a pipeline was run twice, changed in between."""
    folder = tmp_path_factory.mktemp("looking")
    (folder / "people.csv").write_text("age,name\n" + "".join(f"{n},p{n}\n" for n in range(20)))
    for text in (PIPELINE, CHANGED):
        (folder / "pipeline.yaml").write_text(text)
        found = petsard_otel("run", "pipeline.yaml", "--quiet", within=folder)
        assert found.returncode == 0, found.stderr
    return folder


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database, and close it, which `sqlite3.connect` in a `with` does not."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def asked(folder: Path, *arguments: str, code: int = 0, stderr: str = "") -> str:
    """Ask, with stdout no terminal; nothing but the answer is said."""
    found = petsard_otel(*arguments, within=folder)
    assert (found.returncode, found.stderr) == (code, stderr)
    return found.stdout


def answer(folder: Path, *arguments: str) -> Any:
    """Ask, and read the JSON that comes where stdout is no terminal."""
    text = asked(folder, *arguments)
    assert text.isascii()
    return json.loads(text)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("format", ["json", "csv", "table"])
def test_every_command_has_every_format_and_says_nothing_else(
    folder: Path, command: str, format: str
) -> None:
    """One document of JSON, CSV with a header, or a table without colours."""
    text = asked(folder, *COMMANDS[command], "--format", format)
    if format == "json":
        assert json.loads(text)
        assert text == asked(folder, *COMMANDS[command])
    elif format == "csv":
        header, *rows = csv.reader(io.StringIO(text))
        assert rows
        assert {len(row) for row in rows} == {len(header)}
    else:
        assert "pipeline" in text or "Loader" in text
        assert "\x1b" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_gets_a_table(folder: Path, command: str) -> None:
    """With colours, no line wider than the terminal."""
    code, written = on_terminal(folder, *COMMANDS[command], COLUMNS="80")
    assert code == 0
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written)
    assert shown != written
    assert max(map(len, shown.splitlines())) <= 80
    assert "{" not in shown


def test_runs_are_listed_the_newest_first(folder: Path) -> None:
    """With what became of them, and whether the configuration is another."""
    newest, oldest = answer(folder, "runs")
    assert newest["name"] == oldest["name"] == "pipeline"
    assert newest["state"] == "completed"
    assert (newest["execution_count"], oldest["execution_count"]) == (7, 3)
    assert (newest["schema_change_count"], oldest["schema_change_count"]) == (3, 0)
    assert (newest["config_changed"], oldest["config_changed"]) == (True, None)
    assert newest["start_time"] > oldest["start_time"]
    assert newest["start_time"].endswith("+00:00")
    assert answer(folder, "runs", "--limit", "1") == [newest]
    assert answer(folder, "runs", "--name", "nobody") == []
    table = asked(folder, "runs", "--format", "table")
    assert newest["run_id"][:8] in table
    assert table.count("pipeline *") == 1


def test_show_is_what_run_printed(folder: Path, tmp_path: Path) -> None:
    """The same table, changes and summary; beside it which pipeline it was, and when."""
    (tmp_path / "people.csv").write_text((folder / "people.csv").read_text())
    (tmp_path / "pipeline.yaml").write_text(CHANGED)
    ran = petsard_otel("run", "pipeline.yaml", "--quiet", within=tmp_path)
    shown = asked(tmp_path, "show", "last", "--format", "table")
    lines = [line for line in ran.stdout.splitlines() if "Duration" not in line]
    assert [line for line in lines if line.rstrip(" ─╭╰╮╯│") not in shown] == []
    assert "Pipeline  pipeline" in shown


def test_show_tells_machines_everything(folder: Path) -> None:
    """The executions with their schemas, and the steps where they are asked for."""
    found = answer(folder, "show", "last", "--steps")
    assert found["state"] == "completed"
    assert found["open_executions"] == []
    assert found["sequence"] == ["Loader", "Splitter", "Preprocessor"]
    assert [each["module_name"] for each in found["executions"]][:3] == [
        "Loader", "Splitter", "Preprocessor",
    ]  # fmt: skip
    assert found["schema_changes"][0]["diff"]["retyped"] == [
        {"name": "name", "before": "string", "after": "float64"}
    ]
    assert {step["step_name"] for step in found["steps"]} >= {"load", "split", "fit"}
    assert "steps" not in answer(folder, "show", "last")


def test_timing_is_what_run_gives_machines(folder: Path) -> None:
    """The same columns; summed with --by."""
    rows = answer(folder, "timing", "last")
    assert list(rows[0])[:3] == ["record_id", "module_name", "experiment_name"]
    assert len(rows) == 7
    assert len(answer(folder, "timing", "last", "--steps")) > 7
    by_module = answer(folder, "timing", "last", "--by", "module")
    assert {row["module_name"]: row["count"] for row in by_module} == {
        "Loader": 1, "Splitter": 3, "Preprocessor": 3,
    }  # fmt: skip
    assert sum(row["total_seconds"] for row in by_module) == pytest.approx(
        sum(row["duration_seconds"] for row in rows)
    )
    assert sum(row["share"] for row in by_module) == pytest.approx(1.0)
    by_step = answer(folder, "timing", "last", "--by", "step")
    assert {"fit", "split", "load"} <= {row["step_name"] for row in by_step}


def test_schema_shows_a_modules_columns(folder: Path) -> None:
    """Each column of its output, with what became of it."""
    table = asked(folder, "schema", "last", "--module", "Preprocessor", "--format", "table")
    assert re.search(r"Preprocessor\[encode\]  2 columns \(\w{8}\) -> 2 columns \(\w{8}\)", table)
    assert "(3 times)" in table
    assert re.search(r"  name +float64 +required +changed", table)
    text = asked(folder, "schema", "last", "--module", "Preprocessor", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["column"], row["change"], row["type_before"]) for row in rows] == [
        ("age", "", ""), ("name", "changed", "string"),
    ] * 3  # fmt: skip


def test_a_module_that_is_not_in_the_run_is_told_which_are(folder: Path) -> None:
    """Code 2."""
    assert not asked(
        folder, "schema", "last", "--module", "Reporter", code=2,
        stderr="petsard-otel: error: there is no module 'Reporter' in this run; there are: "
        "Loader, Splitter, Preprocessor\n",
    )  # fmt: skip


def test_two_runs_are_compared(folder: Path) -> None:
    """By path: the Loader ran in both, the splits have other names."""
    found = answer(folder, "compare", "last~1", "last")
    assert found["config_changed"] is True
    assert found["sequence_changed"] is True
    assert found["earlier_runs"] == 0
    assert [
        (each["module_name"], each["presence"]) for each in found["executions"]
    ] == [
        ("Loader", "both"),
        ("Splitter", "removed"),
        ("Splitter", "removed"),
        *[("Splitter", "added"), ("Preprocessor", "added")] * 3,
    ]  # fmt: skip


def test_ci_can_gate_on_a_comparison(folder: Path) -> None:
    """Code 1 where a rule is broken, which is said; what could not be compared is said too."""
    found = petsard_otel(
        "compare", "last~1", "last", "--fail-on", "config,failed,schema", within=folder
    )
    assert found.returncode == 1
    assert found.stderr.splitlines() == [
        "warning: 2 executions are in A alone and not compared",
        "warning: 6 executions are in B alone and not compared",
        "petsard-otel: error: B breaks the rules of --fail-on in one place:",
        "  config: the run: B has another configuration than A",
    ]
    assert json.loads(found.stdout)["broken_rules"] == [
        {
            "rule": "config",
            "experiment_path": None,
            "number": None,
            "reason": "B has another configuration than A",
        }
    ]
    same = ["compare", "last", "last", "--fail-on", "schema,rows,config,failed,slower=1%"]
    asked(folder, *same)


def test_an_unknown_rule_is_bad_usage(folder: Path) -> None:
    """Code 2, with the rules that there are."""
    found = petsard_otel("compare", "last", "last", "--fail-on", "speed", within=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.endswith(
        "error: argument --fail-on: expected a list of schema, rows, config, failed, slower=N%, "
        "such as schema,slower=20% (found 'speed')\n"
    )


def test_the_noise_is_learnt_from_earlier_runs(folder: Path, tmp_path: Path) -> None:
    """Three runs before A suffice; one that was slow beside its noise is told."""
    (tmp_path / "people.csv").write_text((folder / "people.csv").read_text())
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    program = (
        "import sys\nfrom petsard_otel.cli import main\n"
        "for _ in range(int(sys.argv[1])):\n    main(['run', 'pipeline.yaml', '--quiet'])\n"
    )
    slow = (
        "import time\nfrom petsard_otel.modules import loader\n"
        "run = loader.LoaderAdapter.run\n"
        "def slowly(self, given):\n    time.sleep(2)\n    return run(self, given)\n"
        "loader.LoaderAdapter.run = slowly\n"
    )
    for text, count in ((program, "4"), (slow + program, "1")):
        subprocess.run(
            [sys.executable, "-c", text, count], cwd=tmp_path, check=True, capture_output=True
        )
    found = petsard_otel("compare", "last~1", "last", "--fail-on", "slower", within=tmp_path)
    document = json.loads(found.stdout)
    assert document["earlier_runs"] == 3
    assert document["executions"][0]["noise_seconds"] > 0
    assert document["executions"][0]["judgement"] == "slower"
    assert found.returncode == 1
    assert "  slower: Loader[people]: " in found.stderr
    # B is no earlier run, though it was before A.
    assert answer(tmp_path, "compare", "last", "last~1")["earlier_runs"] == 3
    table = asked(tmp_path, "compare", "last~1", "last", "--format", "table")
    assert "noise learnt from 3 earlier runs of this pipeline" in table


def test_a_run_that_failed_shows_where(tmp_path: Path) -> None:
    """And is no success to compare with."""
    (tmp_path / "pipeline.yaml").write_text(BROKEN)
    assert petsard_otel("run", "pipeline.yaml", "-q", within=tmp_path).returncode == 1
    assert answer(tmp_path, "show", "last")["failed_modules"] == ["Loader"]
    shown = asked(tmp_path, "show", "last", "--format", "table")
    assert re.search(r"╭─ failed ─", shown)
    assert "no output: FileNotFoundError" in asked(tmp_path, "schema", "last", "--format", "table")
    found = petsard_otel("compare", "last", "last", "--fail-on", "failed", within=tmp_path)
    assert found.returncode == 1
    assert found.stderr.endswith("  failed: Loader[people]: FileNotFoundError\n")


def test_a_gate_says_what_failed_and_was_not_compared(tmp_path: Path) -> None:
    """Where the last module fails, both runs have all executions: only this warning tells."""
    (tmp_path / "people.csv").write_text("age,name\n1,a\n2,b\n3,c\n")
    good = "Loader:\n  people: {filepath: people.csv}\n"
    for text, code in ((good, 0), (good.replace("people.csv", "nobody.csv"), 1)):
        (tmp_path / "pipeline.yaml").write_text(text)
        ran = petsard_otel("run", "pipeline.yaml", "-q", within=tmp_path)
        assert ran.returncode == code
    asked(
        tmp_path, "compare", "last~1", "last", "--fail-on", "schema,rows,slower",
        stderr="warning: 1 execution did not succeed in both and is not compared\n",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["show", "timing", "schema"])
def test_a_run_that_is_not_there_is_bad_usage(folder: Path, command: str) -> None:
    """Code 2, and how to find out which there are."""
    found = petsard_otel(command, "ffff", within=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("petsard-otel: error: there is no run 'ffff' in ")
    assert "`petsard-otel runs` lists them" in found.stderr


def test_where_there_is_no_history_that_is_said(tmp_path: Path) -> None:
    """Code 2, and what makes one."""
    found = petsard_otel("runs", within=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("petsard-otel: error: there is no history here")


def test_an_empty_history_is_no_mistake(folder: Path, tmp_path: Path) -> None:
    """Nothing is listed."""
    (tmp_path / "runs.db").write_bytes(b"")
    with database(tmp_path / "runs.db") as new:
        with database(folder / ".petsard-otel" / "runs.db") as old:
            old.backup(new)
        for table in ("span", "run"):
            new.execute(f"DELETE FROM {table}")  # noqa: S608  two names of ours
    assert answer(tmp_path, "runs", "--history", "runs.db") == []
    shown = asked(tmp_path, "runs", "--history", "runs.db", "--format", "table")
    assert shown == "no runs\n"


def test_of_a_damaged_history_what_can_be_read_is_shown(folder: Path, tmp_path: Path) -> None:
    """A file that was cut off: the runs are known, their spans are not; nothing is written."""
    kept = (folder / ".petsard-otel" / "runs.db").read_bytes()
    with database(folder / ".petsard-otel" / "runs.db") as connection:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'span'"
        ).fetchone()
    at = (root - 1) * page_bytes
    damaged = kept[:at] + b"\xff" * page_bytes + kept[at + page_bytes :]
    (tmp_path / "runs.db").write_bytes(damaged)
    assert len(answer(tmp_path, "runs", "--history", "runs.db")) == 2
    found = petsard_otel("show", "last", "--history", "runs.db", within=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert re.fullmatch(
        r"warning: '.*runs.db' is damaged \(.*\): what can be read of it is shown, the rest is "
        r"missing\npetsard-otel: error: of the run \w{32} no span is kept that can be read\n",
        found.stderr,
    )
    assert (tmp_path / "runs.db").read_bytes() == damaged


def test_a_table_lists_twenty_runs_unless_more_are_asked_for(folder: Path, tmp_path: Path) -> None:
    """Programs get all of them."""
    with database(tmp_path / "runs.db") as new:
        with database(folder / ".petsard-otel" / "runs.db") as old:
            old.backup(new)
        new.executemany(
            "INSERT INTO run SELECT NULL, ?, process, trace_id, name, config_hash, engine, "
            "started_ns, ended_ns, result, error_type, executions, failed_modules, changes, "
            "envelope FROM run WHERE id = 1",
            [(f"{number:032x}",) for number in range(23)],
        )
    table = asked(tmp_path, "runs", "--history", "runs.db", "--format", "table")
    assert table.count("pipeline") == 20
    assert table.endswith("and 5 older runs; --limit N shows more\n")
    assert len(answer(tmp_path, "runs", "--history", "runs.db")) == 25
    table = asked(tmp_path, "runs", "--history", "runs.db", "--format", "table", "--limit", "24")
    assert table.endswith("and 1 older run; --limit N shows more\n")


def test_old_runs_are_removed_when_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    """By age and size; a trial removes nothing, and what is still to be sent stays."""
    with database(tmp_path / "runs.db") as new:
        with database(folder / ".petsard-otel" / "runs.db") as old:
            old.backup(new)
        new.execute("UPDATE span SET is_wanted = 1 WHERE id = (SELECT max(id) FROM span)")

    def pruned(*arguments: str) -> str:
        found = petsard_otel("prune", *arguments, "--history", "runs.db", within=tmp_path)
        assert (found.returncode, found.stdout) == (0, "")
        return found.stderr

    def count() -> int:
        return len(answer(tmp_path, "runs", "--history", "runs.db"))

    assert re.fullmatch(r"no run removed; 0\.\d MB in use\n", pruned())
    unsent = (
        "1 more has spans that no collector has accepted: `petsard-otel push` sends them, "
        "--unsent removes them\n"
    )
    trial = pruned("--max-age", "0d", "--dry-run")
    assert trial == f"1 run would be removed; --dry-run removes nothing\n{unsent}"
    assert count() == 2
    assert re.fullmatch(
        rf"1 run removed; 0\.\d MB before, 0\.\d MB now\n{re.escape(unsent)}",
        pruned("--max-age", "0d"),
    )
    assert count() == 1
    assert pruned("--max-size", "0MB", "--unsent").startswith("1 run removed; ")
    assert count() == 0

    found = petsard_otel("prune", "--max-age", "old", "--history", "runs.db", within=tmp_path)
    assert found.returncode == 2
    assert "expected an age such as 30d, 12h or 2w (found 'old')" in found.stderr


def test_steps_and_sums_exclude_each_other(folder: Path) -> None:
    """What is asked for is not clear, so that is said."""
    assert not asked(
        folder, "timing", "last", "--by", "module", "--steps", code=2,
        stderr="petsard-otel: error: --steps adds steps to the list of executions, --by sums up; "
        "--by step sums the steps\n",
    )  # fmt: skip


def test_a_name_commands_no_terminal_even_as_csv(folder: Path, tmp_path: Path) -> None:
    """In a file it is as it was, on a terminal its control characters are visible."""
    (tmp_path / "people.csv").write_text((folder / "people.csv").read_text())
    (tmp_path / "p.yaml").write_text('Loader: {"a\\e[2Jb": {filepath: people.csv}}\n')
    assert petsard_otel("run", "p.yaml", "-q", within=tmp_path).returncode == 0
    _, written = on_terminal(tmp_path, "timing", "last", "--format", "csv")
    assert "a\\x1b[2Jb" in written
    assert "\x1b[2J" not in written
    assert "a\x1b[2Jb" in asked(tmp_path, "timing", "last", "--format", "csv")


@pytest.mark.parametrize("arguments", [*COMMANDS.values(), ["compare", "last", "last"]])
def test_nothing_heavy_is_imported(folder: Path, arguments: list[str]) -> None:
    """The answer comes at once: no pandas, no scikit-learn, no gRPC."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "petsard_otel", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "petsard_otel" in loaded
    assert not loaded & {"pandas", "numpy", "sklearn", "scipy", "petsard", "pyarrow", "grpc"}
