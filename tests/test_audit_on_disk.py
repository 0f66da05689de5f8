"""The audit of what is on disk: the history's files and rows, exports, and who may read them."""

from __future__ import annotations

import base64
import os
import sqlite3
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from petsard_otel import Executor, configure, step_span
from petsard_otel.audit import exports, rows, stored
from petsard_otel.audit.audit import audit
from petsard_otel.audit.examination import examine
from petsard_otel.audit.exports import Command, other_process
from petsard_otel.audit.kept import KeptRun, KeptRuns
from petsard_otel.audit.owners import open_to_others
from petsard_otel.audit.pages import Log, Pages, changed
from petsard_otel.audit.payloads import Piece
from petsard_otel.audit.pipeline import PlantedExecutor
from petsard_otel.audit.receivers import receiver
from petsard_otel.audit.replay import Scene
from petsard_otel.audit.rows import Rows
from petsard_otel.audit.sentinels import Mint
from petsard_otel.audit.stored import Stored
from petsard_otel.history import database, journal, run_journal, write_ahead_log
from petsard_otel.history.reading import History
from petsard_otel.history.run_journal import RunJournal
from petsard_otel.history.unsent import runs_with_unsent
from petsard_otel.telemetry.setup import keep_history

from .test_audit import HonestAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from petsard_otel import Status
    from petsard_otel.audit.payloads import Payload
    from petsard_otel.audit.sentinels import Sentinel
    from petsard_otel.executor import Progress
    from petsard_otel.telemetry.open_span import OpenSpan

CONFIG = {
    "Loader": {"people": {"filepath": "people.csv"}},
    "Synthesizer": {"mine": {"method": "mine"}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a small table, as the current one."""
    lines = [f"name {n},{('cook', 'nurse')[n % 2]},{1000 + n}\n" for n in range(12)]
    (tmp_path / "people.csv").write_text("name,job,income\n" + "".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Journals that leak.

CELLS: list[str] = []
"""What a module saw of the tables that it got, for a journal that leaks it."""


class SeesCells(HonestAdapter):
    """Opens a step while a cell is at hand."""

    def leak(self, cell: str, status: Status) -> None:
        CELLS[:] = [cell]
        with step_span("fit"):
            pass


def rename(span: OpenSpan, name: str) -> None:
    """Have a span end under another name than it began with."""
    row, number, body, known = span.kept
    message = Span.FromString(body)
    span.name = message.name = name
    span.kept = row, number, message.SerializeToString(), known


class LeakyJournal(RunJournal):
    """Writes what the gate holds back: a cell, names of columns, the name of a run."""

    def started(self, span: OpenSpan) -> None:
        if span.name == "Synthesizer.fit" and CELLS:
            # What is written of a span at its end is written over this.
            span.name = f"fit {CELLS[0]}"
            super().started(span)
            rename(span, "Synthesizer.fit")
            return
        super().started(span)

    def ended(self, span: OpenSpan) -> None:
        shown = span.shown
        snapshots = self._store.snapshots()
        if "petsard.schema.output.id" in span.attributes and snapshots:
            names = "|".join(snapshots[-1].metadata_after.attributes)  # type: ignore[union-attr]
            span.shown = {**shown, "cells": "".join(CELLS), "names": names}
        super().ended(span)
        span.shown = shown

    def _of_run(self, row: Any, span: OpenSpan, changes: int) -> tuple[Any, ...]:
        shown = span.shown
        span.shown = {**shown, "petsard.run.name": "".join(CELLS)}
        values = super()._of_run(row, span, changes)
        span.shown = shown
        return values


def test_a_journal_that_leaks_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In rows, in spans, in what was written over long since, and in all that is made of it."""
    monkeypatch.setattr(run_journal, "RunJournal", LeakyJournal)
    CELLS.clear()
    result = audit(CONFIG, {"Synthesizer": SeesCells})

    assert result.problems == ()
    found = {
        (find.artefact, find.what.partition(" of ")[0], find.place.rpartition(", ")[2])
        for find in result.finds
    }
    assert ("history", "a text cell", "attribute cells") in found
    assert ("history", "a text cell", "column run.name") in found
    # Only where names are hashed do columns have sentinels for names.
    assert ("history", "a column name", "attribute names") in found
    ways = {find.way for find in result.finds if find.artefact == "exports"}
    assert ways >= {f"export as {name}" for name in ("otlp-json", "csv", "parquet", "perfetto")}
    assert ways >= {f"{name} as json" for name in ("runs", "show", "schema")}
    assert {find.artefact for find in result.finds} == {"history", "exports"}
    assert list(folder.iterdir()) == [folder / "people.csv"]


class LeaksAtTheStart(LeakyJournal):
    """Leaks what is written over alone."""

    ended = RunJournal.ended
    _of_run = RunJournal._of_run  # noqa: SLF001  as it is without the leak


@pytest.mark.usefixtures("folder")
def test_what_was_written_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that the log held for a moment is a find, though no row has it any more."""
    monkeypatch.setattr(run_journal, "RunJournal", LeaksAtTheStart)
    CELLS.clear()
    result = audit(CONFIG, {"Synthesizer": SeesCells})

    assert result.problems == ()
    assert {(find.artefact, find.place) for find in result.finds} == {
        ("history", "the bytes of its files")
    }


# Who may read it.


@pytest.mark.usefixtures("folder")
def test_files_that_others_may_use_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask of the process hides: the audit looks with none, and the run counts."""
    monkeypatch.setattr(database, "_make_file", lambda path, *_: path.touch())
    former = os.umask(0o077)
    try:
        result = audit({"Loader": CONFIG["Loader"]})
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(former)

    assert set(result.problems) == {
        f"history: {name} may be used by others than its owner (its mode is 666)"
        for name in (".gitignore", "runs.db", "runs.db-shm", "runs.db-wal")
    }
    assert not result.is_private
    with pytest.raises(AssertionError, match=r"✗ not as it must be: history: runs.db may be used"):
        result.assert_private()


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_mode_is_told_where_it_lets_others_in(
    tmp_path: Path, mode: int, *, is_told: bool
) -> None:
    """Of files and of the folder itself, with the mode; a folder may be entered by its owner."""
    tmp_path.chmod(0o700)
    (tmp_path / "inner").mkdir(mode=0o700)
    (tmp_path / "inner" / "file").touch()
    (tmp_path / "inner" / "file").chmod(mode)

    told = [f"file may be used by others than its owner (its mode is {mode:o})"]
    assert list(open_to_others(tmp_path)) == (told if is_told else [])
    tmp_path.chmod(0o710)
    assert next(open_to_others(tmp_path)) == (
        f"{tmp_path.name} may be used by others than its owner (its mode is 710)"
    )


def test_what_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    """A history's folder and all its files, where everybody would have every permission."""
    former = os.umask(0)
    try:
        connection = database.open_to_write(tmp_path / "new" / ".petsard-otel" / "runs.db")
        connection.execute("INSERT INTO receiver (endpoint) VALUES ('x')")
        named = database.open_to_write(tmp_path / "own" / "x.db")
    finally:
        os.umask(former)

    made = sorted((tmp_path / "new" / ".petsard-otel").iterdir())
    assert [path.name for path in made] == [".gitignore", "runs.db", "runs.db-shm", "runs.db-wal"]
    assert list(open_to_others(tmp_path / "new" / ".petsard-otel")) == []
    assert list(open_to_others(tmp_path / "own")) == []
    connection.close()
    named.close()


# Whose histories are touched.


@pytest.fixture
def mine(folder: Path) -> Iterator[Path]:
    """Give a history of the user's own, with a run of which no span could be sent."""
    path = folder / "mine" / "runs.db"
    configuration = configure("http://127.0.0.1:9", history=path)
    Executor({"Loader": CONFIG["Loader"]}).run()
    yield path
    configuration.shutdown()


SAID: set[str | None] = set()
"""What modules were told of where runs are kept."""


class SeesVariables(HonestAdapter):
    """Looks where runs are kept."""

    def run(self, input: dict[str, Any]) -> None:
        super().run(input)
        SAID.add(os.environ.get("PETSARD_OTEL_HISTORY"))


def content(path: Path) -> dict[str, list[Any]]:
    """Give everything that a history holds, the signs of life of its processes aside."""
    connection = sqlite3.connect(path)
    found = {
        table: connection.execute(sql).fetchall()
        for table, sql in (
            ("run", "SELECT * FROM run"),
            ("span", "SELECT * FROM span"),
            ("receiver", "SELECT * FROM receiver"),
        )
    }
    connection.close()
    return found


def unsent_runs(path: Path) -> int:
    """Count the runs that are still to be sent."""
    history = History(path)
    try:
        return len(runs_with_unsent(history))
    finally:
        history.close()


def test_a_history_of_the_users_is_left_alone(
    mine: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets no run of the audit's, and the audit's receivers get none of its."""
    monkeypatch.setenv("PETSARD_OTEL_HISTORY", str(folder / "variable.db"))
    keep_history(str(folder / "said.db"))
    before = content(mine)
    assert len(before["run"]) == unsent_runs(mine) == 1
    SAID.clear()
    try:
        audit(CONFIG, {"Synthesizer": SeesVariables}).assert_private()

        assert {None} == SAID
        assert content(mine) == before
        assert unsent_runs(mine) == 1
        assert os.environ["PETSARD_OTEL_HISTORY"] == str(folder / "variable.db")
        assert sorted(path.name for path in folder.iterdir()) == ["mine", "people.csv"]
    finally:
        assert keep_history(None) == str(folder / "said.db")
    # Whoever keeps runs goes on after it.
    configuration = configure(history=mine)
    Executor({"Loader": CONFIG["Loader"]}).run()
    configuration.shutdown()
    assert len(content(mine)["run"]) == 2


@pytest.mark.usefixtures("folder")
def test_what_is_still_to_be_sent_is_sent_and_noted_first(tmp_path: Path) -> None:
    """The audit replaces a configuration; what that one's receiver accepts is not sent again."""
    mine = tmp_path / "mine" / "runs.db"
    accepted: list[Payload] = []
    with receiver("grpc", accepted.append) as endpoint:
        configure(endpoint, history=mine)
        Executor({"Loader": CONFIG["Loader"]}).run()
        audit({"Loader": CONFIG["Loader"]}).assert_private()

    assert {payload.signal for payload in accepted} == {"traces", "metrics"}
    assert unsent_runs(mine) == 0
    assert [database.receiver_key(endpoint)] == [row[1] for row in content(mine)["receiver"]]


# The controls.


class Kept:
    """A history of two runs, kept and followed as an audit does, and what it is searched for."""

    def __init__(self, folder: Path) -> None:
        self.known: list[bytes] = []
        self.mint = Mint()
        self.mint.name("control", "the test")
        self.control: Sentinel = self.mint.sentinels[0]
        self.runs = KeptRuns(folder / "private")
        (folder / "private").mkdir(mode=0o700)
        with self.runs.in_force():
            configuration = configure(history=self.runs.path)
            self.run("the run itself", None)
            self.run("a replay", Scene(every_type=True))
            configuration.shutdown()

    def run(self, during: str, scene: Scene | None) -> None:
        """Run a Loader; copy the history while it is at work."""
        executor = Executor({"Loader": CONFIG["Loader"]})
        run = KeptRun(executor.status.run_id, during, scene)

        def copy(progress: Progress) -> None:
            if progress.module is not None:
                self.runs.copy(run)
                self.known.append(b"".join(self.runs.pages.pieces))

        executor.run(copy)
        self.runs.took(run)

    def problems(self) -> tuple[str, ...]:
        """Give what is wrong with the history."""
        found = Stored(self.runs, self.control)
        examined = examine(found.history(["Loader", "income"]), [], self.control)
        return (*found.problems, *examined.problems)


def test_a_history_that_is_as_it_must_be_has_no_problem(folder: Path) -> None:
    """All runs are there, those that were copied were killed, and sentinels would be found."""
    kept_runs = Kept(folder)
    assert kept_runs.problems() == ()
    assert [copy.run.during for copy in kept_runs.runs.copies] == ["the run itself", "a replay"]


def test_a_history_is_looked_at_while_a_run_is_under_way(folder: Path) -> None:
    """Its files are taken in as they are in the middle of a run, then as they are left."""
    kept_runs = Kept(folder)
    ids = [copy.run.run_id.encode() for copy in kept_runs.runs.copies]

    assert len(ids) == 2
    assert all(run_id in known for known, run_id in zip(kept_runs.known, ids, strict=True))
    assert ids[1] not in kept_runs.known[0]


def test_what_sqlite_cuts_is_searched_in_one_piece(folder: Path) -> None:
    """A span that is larger than a page lies on several; a sentinel in base64 may be cut there."""
    kept_runs = Kept(folder)
    body = Span(name=base64.b64encode(os.urandom(9000)).decode()).SerializeToString()
    connection = sqlite3.connect(kept_runs.runs.path)
    last = connection.execute("SELECT max(id) FROM span").fetchone()[0]
    connection.execute(
        "INSERT INTO span (id, kind, is_ended, at_ns, body) VALUES (?, 'step', 1, 1, ?)",
        (last + 1, body),
    )
    connection.commit()
    connection.close()
    exhibit = Stored(kept_runs.runs, kept_runs.control).history([])

    assert body in exhibit.raw
    assert body[3:].decode() in {piece.value for piece in exhibit.pieces}


def test_a_killed_run_is_searched_as_it_is_shown(folder: Path) -> None:
    """How the copies end, which the runs themselves did not, is a part of the history."""
    kept_runs = Kept(folder)
    exhibit = Stored(kept_runs.runs, kept_runs.control).history([])

    assert [piece.value for piece in exhibit.pieces if piece.place.endswith("error.type")] == [
        "killed",
        "killed",
    ]


def test_texts_of_a_column_are_searched_together() -> None:
    """A cell that is cut into two rows, too short to be told by themselves."""
    values = [Piece("database, column run.name", text) for text in ("gh", 3, "jk")]
    values.append(Piece("database, column span.kind", "run"))

    assert [(piece.place, piece.value) for piece in Rows(values=values).joined] == [
        ("all rows, database, column run.name joined", "ghjk"),
        ("all rows, database, column span.kind joined", "run"),
    ]


def test_a_killed_run_has_its_spans_closed(folder: Path) -> None:
    """A copy made in the middle of a run is read as one whose process is gone."""
    run, messages = rows.killed_run(Kept(folder).runs.copies[0].path)

    assert (run.state, run.error_type) == ("killed", "killed")
    spans = [
        span for m in messages for r in m.resource_spans for s in r.scope_spans for span in s.spans
    ]
    assert [span.name for span in spans] == ["petsard run"]
    assert all(span.end_time_unix_nano for span in spans)


def forget_a_run(self: KeptRuns, run: KeptRun) -> None:
    """Remember another run than there was."""
    self.runs.append(run._replace(run_id="0" * 32) if run.scene is None else run)


def copy_nothing(self: KeptRuns, run: KeptRun) -> None:
    """Copy nothing."""


BREAKS: dict[str, tuple[Any, str, Any, tuple[str, ...]]] = {
    "a run is missing": (
        KeptRuns,
        "took",
        forget_a_run,
        (
            "history: 1 of 2 runs are not in it",
            "history: 1 runs are in it that are not the audit's",
        ),
    ),
    "no copy": (
        KeptRuns,
        "copy",
        copy_nothing,
        ("history: no run was under way when it was copied",),
    ),
    "alive": (
        rows,
        "NO_PROCESS",
        os.getpid(),
        (
            "history: the run itself is running in a copy of when it was under way",
            "history: a replay (every type) is running in a copy of when it was under way",
        ),
    ),
    "a blind log": (
        Log,
        "read",
        lambda _: None,
        ("history: a sentinel put into a database's log was not found",),
    ),
    "blind for spans": (
        stored,
        "taken_apart",
        lambda _: ([], []),
        ("history: a sentinel put into a database's spans was not found",),
    ),
    "blind for tables": (
        Rows,
        "values",
        property(lambda _: [], lambda *_: None),
        ("history: a sentinel put into a database's tables was not found",),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_an_audit_that_does_not_see_a_history_does_not_pass(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever is not looked at is a problem, said in words."""
    owner, attribute, broken, problems = BREAKS[name]
    monkeypatch.setattr(owner, attribute, broken, raising=False)
    assert Kept(folder).problems() == problems


# The commands.


def test_a_sentinel_is_found_in_what_every_command_makes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put into a history comes out in each format; where it does not, it is told."""
    kept_runs = Kept(folder)
    found = Stored(kept_runs.runs, kept_runs.control)
    with other_process(kept_runs.runs.folder) as others:
        found.ask(others)
        exhibit = found.exports(others, ["Loader", "income"])
    assert found.problems == []
    monkeypatch.setattr(exports, "_parquet_text", lambda _: "nothing")
    packed = examine(found.exports(others, []), [], kept_runs.control)

    assert examine(exhibit, [], kept_runs.control).problems == ()
    assert {piece.place.partition(",")[0] for piece in exhibit.controls} == {
        *(f"export as {name}" for name in ("otlp-json", "csv", "parquet", "perfetto")),
        *(
            f"{command} as {name}"
            for command in ("runs", "show", "timing", "schema", "compare")
            for name in ("table", "json", "csv")
        ),
    }
    assert packed.problems == (
        "exports: a sentinel put into export as parquet, a copy was not found",
    )


def test_a_command_that_does_not_work_is_told(tmp_path: Path) -> None:
    """With its exit code, and so is one that was never run; what they printed is kept."""
    missing = ("show", "last", "--history", str(tmp_path / "missing.db"))
    found = [Command("show as json, a run", missing), Command("nothing, a run", ("--version",))]
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    (made / "x").touch(mode=0o640)
    with other_process(tmp_path) as others:
        others.ask(found, made)
        answers = others.answers()
    with other_process(made) as others:
        others.end()
        others.ask(found[:1], made)
        not_run = others.answers()

    assert answers.problems == (
        "exports: show as json, a run ended with exit code 2",
        "exports: x may be used by others than its owner (its mode is 640)",
    )
    assert answers.pieces[0].data.startswith(b"petsard-otel: error: there is no history at ")
    assert answers.pieces[1].data.startswith(b"petsard-otel ")
    assert not_run.problems[0] == "exports: show as json, a run was not run"


def test_commands_are_run_with_no_umask(folder: Path) -> None:
    """What others may not use of what they make is their own doing."""
    (folder / "p.yaml").write_text(
        f"Loader:\n  people: {{filepath: {folder / 'people.csv'}}}\n"
        "Reporter:\n  tables: {method: save_data, source: Loader, output: out}\n"
    )
    run = ("run", str(folder / "p.yaml"), "--history", str(folder / "kept" / "runs.db"))
    with other_process(folder) as others:
        others.ask([Command("run, a configuration", run)], folder / "kept")
        answers = others.answers()

    (table,) = folder.rglob("out*")
    assert stat.S_IMODE(table.stat().st_mode) == 0o666
    assert answers.problems == ()


def test_each_kind_of_run_is_exported(tmp_path: Path) -> None:
    """The pipeline's own and its copies, replays without failures, a failure of each module."""
    runs = [KeptRun("tried", "own"), KeptRun("own", "own")]
    for during, is_renamed in (("a", False), ("b", True), ("c", False), ("d", True)):
        scenes = [
            Scene(renamed=is_renamed),
            Scene(every_type=True, renamed=is_renamed),
            *(
                Scene(renamed=is_renamed, failing=module, way=way)
                for module in ("Loader", "Splitter")
                for way in ("set_input", "run")
            ),
        ]
        runs += [KeptRun(f"{during} {scene} {scene.way}", during, scene) for scene in scenes]

    assert [(run.run_id, run.is_looked_at) for run in exports.chosen(runs, tmp_path)] == [
        ("own", True),
        ("a as it ran run", True),
        ("a every type run", False),
        ("a Loader fails in run run", True),
        ("a Splitter fails in run run", False),
        ("b as it ran run", True),
        ("b every type run", False),
        ("b Loader fails in run run", False),
    ]


# What SQLite's files held.


@given(
    before=st.binary(min_size=300, max_size=300),
    edits=st.lists(st.tuples(st.integers(0, 299), st.binary(min_size=1, max_size=30)), max_size=5),
    context=st.integers(8, 40),
)
def test_whatever_changed_is_kept(
    before: bytes, edits: list[tuple[int, bytes]], context: int
) -> None:
    """Any piece of a page that is no longer than the context was there before, or is kept."""
    page = bytearray(before)
    for at, data in edits:
        page[at : at + len(data)] = data[: 300 - at]
    after = bytes(page)
    pieces = list(changed(before, after, context))

    for at in range(300 - context):
        piece = after[at : at + context]
        assert piece == before[at : at + context] or any(piece in kept for kept in pieces)
    if before == after:
        assert pieces == []


def test_everything_that_was_in_a_log_is_kept(tmp_path: Path) -> None:
    """Also what was written over, and what came before the log was begun anew."""
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    pages = Pages()
    log = Log(tmp_path / "x.db-wal", pages, "x.db")
    for number in range(60):
        text = f"{'text' * 40} {number}."
        connection.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (number % 7, text))
        if number % 3 == 0:
            log.read()
        if number % 20 == 19:
            log.read()
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    log.read()
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    connection.close()

    for number in range(60):
        assert any(f" {number}.".encode() in piece for piece in pages.pieces)
    assert sum(map(len, pages.pieces)) < written / 2


class MarksTheStart(RunJournal):
    """Writes what is written over a moment later: a number in the name of each step."""

    def started(self, span: OpenSpan) -> None:
        name = span.name
        span.name = f"{name} begins {span.start_time_ns}."
        BEGUN.append(span.name)
        super().started(span)
        rename(span, name)


BEGUN: list[str] = []


class OpensSteps(HonestAdapter):
    """Opens steps, for longer than it takes the journal to begin its log anew."""

    def run(self, input: dict[str, Any]) -> None:
        super().run(input)
        for _ in range(60):
            with step_span("fit"):
                time.sleep(0.004)


def test_a_log_is_not_begun_anew_before_it_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the journal moves it into the database, and as long as a run goes on."""
    monkeypatch.setattr(run_journal, "RunJournal", MarksTheStart)
    monkeypatch.setattr(write_ahead_log, "USUAL_LOG_BYTES", 0)
    monkeypatch.setattr(journal, "BEAT_SECONDS", 0.01)
    BEGUN.clear()
    kept_runs = KeptRuns(folder)
    with kept_runs.in_force():
        configuration = configure(history=kept_runs.path)
        executor = PlantedExecutor(CONFIG, {"Synthesizer": OpensSteps})
        executor.run()
        kept_runs.took(KeptRun(executor.status.run_id, "the run itself"))
        configuration.shutdown()

    assert len(BEGUN) > 60
    everything = b"".join(kept_runs.pages.pieces)
    assert [name for name in BEGUN if name.encode() not in everything] == []


def test_free_room_is_left_out() -> None:
    """A long row of zeros is shortened, a short one may be UTF-32."""
    pages = Pages()
    pages.take("x", 1, b"a" + bytes(3) + b"b" + bytes(4000) + b"c")

    assert list(pages.pieces) == [b"a" + bytes(3) + b"b" + bytes(8) + b"c"]
    pages.take("x", 1, b"a" + bytes(3) + b"b" + bytes(4000) + b"c")
    assert len(pages.pieces) == 1
