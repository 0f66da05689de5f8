"""Runs of elsewhere, added to a history."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from petsard_otel import Status
from petsard_otel.exceptions import HistoryError
from petsard_otel.history.importing import Imported, ImportedRun, import_runs
from petsard_otel.history.reading import open_history
from petsard_otel.history.unsent import runs_with_unsent

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

ROOT = Path(__file__).parent.parent

_PROGRAM = """
import os, sys, time
from petsard_otel import Executor, configure
from petsard_otel.modules.preprocessor import PreprocessorAdapter

def die(*_):
    time.sleep(1.2)  # a sign of life is given every half second
    os._exit(9)

configure(history="kept.db")
if sys.argv[1] == "die":
    PreprocessorAdapter.run = die
Executor("cars.yaml", engine="builtin").run()
"""

_PIPELINE = f"""
Loader:
  cars:
    filepath: {ROOT}/examples/cars.csv
Preprocessor:
  default:
    method: default
Describer:
  cars:
    method: describe
    source: Loader
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a history of two runs: the older one ended, the newer one died in its Preprocessor."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "cars.yaml").write_text(_PIPELINE)
    for way, code in (("live", 0), ("die", 9)):
        command = [sys.executable, "-c", _PROGRAM, way]
        assert subprocess.run(command, cwd=folder, check=False).returncode == code
    return folder / "kept.db"


def messages_of(history: Path, run: str) -> list[TracesData]:
    """Give a run as an export has it."""
    with open_history(history) as found:
        return list(found.traces_data(found.find(run)))


def answers(history: Path, run: str) -> tuple[Any, ...]:
    """Give what can be asked of a run: all of it is to be the same after an import."""
    status = Status.load(run, history=history)
    with open_history(history) as found:
        summary = found.find(run)
        return (
            summary,
            found.open_executions(summary),
            found.timings(summary),
            sorted(found.spans(summary)),
            status.get_snapshots(),
            status.get_change_history(),
            status.get_timing_report_data(steps=True).to_dict(),
            status.get_status_summary(),
        )


def spans_in(messages: list[TracesData]) -> list[Span]:
    """Give the spans of messages, to be changed in place."""
    return [
        span
        for data in messages
        for resource in data.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def without(messages: list[TracesData], is_unwanted: Callable[[Span], bool]) -> list[TracesData]:
    """Give copies of messages that lack some of their spans."""
    found = []
    for data in messages:
        copy = TracesData.FromString(data.SerializeToString())
        inside = copy.resource_spans[0].scope_spans[0]
        wanted = [span for span in inside.spans if not is_unwanted(span)]
        del inside.spans[:]
        inside.spans.extend(wanted)
        found.append(copy)
    return found


@pytest.mark.parametrize("run", ["last~1", "last"])
def test_an_imported_run_answers_as_the_one_that_was_exported(
    kept: Path, tmp_path: Path, run: str
) -> None:
    """Whether it ended or died: its spans, ids and summary are the same."""
    messages = messages_of(kept, run)

    imported = import_runs(tmp_path / "new.db", messages)

    expected = answers(kept, run)
    assert imported == Imported(
        (ImportedRun(expected[0].run_id, "added", len(expected[3])),), 0, ()
    )
    assert answers(tmp_path / "new.db", "last") == expected


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such modes")
def test_a_history_that_is_made_is_for_its_owner_alone(kept: Path, tmp_path: Path) -> None:
    """As any other."""
    import_runs(tmp_path / "new.db", messages_of(kept, "last"))

    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


def test_several_runs_are_told_apart(kept: Path, tmp_path: Path) -> None:
    """Whatever the order of their spans."""
    messages = [*messages_of(kept, "last"), *messages_of(kept, "last~1")]

    imported = import_runs(tmp_path / "new.db", messages)

    assert [run.outcome for run in imported.runs] == ["added", "added"]
    assert answers(tmp_path / "new.db", "last") == answers(kept, "last")
    assert answers(tmp_path / "new.db", "last~1") == answers(kept, "last~1")


def test_a_run_that_is_there_stays_as_it_is(kept: Path, tmp_path: Path) -> None:
    """Also where the file says otherwise: the first to come is the one that counts."""
    import_runs(tmp_path / "new.db", messages_of(kept, "last~1"))
    before = answers(tmp_path / "new.db", "last")
    changed = messages_of(kept, "last~1")
    for span in spans_in(changed):
        span.name = "forged"

    imported = import_runs(tmp_path / "new.db", changed)

    assert [(run.outcome, run.spans) for run in imported.runs] == [("there", 0)]
    assert answers(tmp_path / "new.db", "last") == before


def test_a_run_of_this_historys_own_is_not_touched(kept: Path) -> None:
    """What was written as it happened is not mended by a file."""
    before = answers(kept, "last")
    (span, *_) = spans_in(messages := messages_of(kept, "last"))
    span.span_id = b"\1" * 8

    imported = import_runs(kept, messages)

    assert [run.outcome for run in imported.runs] == ["there"]
    assert answers(kept, "last") == before


def test_a_run_is_completed_by_what_an_earlier_import_lacked(kept: Path, tmp_path: Path) -> None:
    """Half a file first, then all of it: nothing is there twice."""
    messages = messages_of(kept, "last~1")
    whole = spans_in(messages)
    lacking = {span.span_id for span in whole if not span.parent_span_id or span.kind == 2}
    lacking |= {span.span_id for span in whole[-2:]}
    import_runs(tmp_path / "new.db", without(messages, lambda span: span.span_id in lacking))

    imported = import_runs(tmp_path / "new.db", messages)

    assert [(run.outcome, run.spans) for run in imported.runs] == [("completed", len(lacking))]
    assert answers(tmp_path / "new.db", "last") == answers(kept, "last~1")


def test_a_span_that_was_open_is_completed_by_its_end(kept: Path, tmp_path: Path) -> None:
    """A run may have been exported while it was under way."""
    early = messages_of(kept, "last~1")
    (run,) = (span for span in spans_in(early) if span.kind == 2)
    run.end_time_unix_nano = 0
    import_runs(tmp_path / "new.db", early)
    with open_history(tmp_path / "new.db") as history:
        assert history.find("last").state == "killed"

    imported = import_runs(tmp_path / "new.db", messages_of(kept, "last~1"))

    assert [(run.outcome, run.spans) for run in imported.runs] == [("completed", 1)]
    assert answers(tmp_path / "new.db", "last") == answers(kept, "last~1")


def test_spans_of_other_programs_are_counted_and_passed_over(kept: Path, tmp_path: Path) -> None:
    """A trace out of a back end has them."""
    messages = messages_of(kept, "last")
    for scope in ("requests", ""):
        foreign = messages[0].resource_spans[0].scope_spans.add()
        foreign.scope.name = scope
        foreign.spans.add(name="GET", trace_id=b"\1" * 16, span_id=b"\2" * 8)

    imported = import_runs(tmp_path / "new.db", messages)

    assert imported.foreign == 2
    assert answers(tmp_path / "new.db", "last") == answers(kept, "last")


def test_nothing_of_ours_makes_no_history(tmp_path: Path) -> None:
    """A file of another program's spans leaves no empty database behind."""
    data = TracesData()
    data.resource_spans.add().scope_spans.add().spans.add(name="GET")

    assert import_runs(tmp_path / "new.db", [data]) == Imported((), 1, ())
    assert not (tmp_path / "new.db").exists()


def test_a_damaged_span_is_named_and_the_others_are_kept(kept: Path, tmp_path: Path) -> None:
    """By its id and what is wrong with it, never by what it holds."""
    messages = messages_of(kept, "last~1")
    damaged = next(span for span in spans_in(messages) if span.name == "Describer[cars]")
    for entry in damaged.attributes:
        if entry.key == "petsard.module.position":
            entry.value.string_value = "secret"

    imported = import_runs(tmp_path / "new.db", messages)

    (problem,) = imported.problems
    assert problem.startswith(f"span {damaged.span_id.hex()}: span attribute ")
    assert "petsard.module.position" in problem
    assert "secret" not in problem
    (run,) = imported.runs
    assert (run.outcome, run.spans) == ("added", len(spans_in(messages)) - 1)
    assert Status.load("last", history=tmp_path / "new.db").get_snapshots("Loader")


@pytest.mark.parametrize("run_id", ["", "a" * 31, "A" * 32, "../" * 10 + "ab"])
def test_a_run_without_a_proper_id_is_refused(kept: Path, tmp_path: Path, run_id: str) -> None:
    """Its id is what it is asked for by."""
    messages = messages_of(kept, "last")
    for span in spans_in(messages):
        for entry in span.attributes:
            if entry.key == "petsard.run.id":
                entry.value.string_value = run_id

    imported = import_runs(tmp_path / "new.db", messages)

    assert imported.runs == ()
    assert len(imported.problems) == len(spans_in(messages))


def test_times_of_another_age_are_refused(kept: Path, tmp_path: Path) -> None:
    """A database holds no more than 63 bits."""
    messages = messages_of(kept, "last~1")
    open_span, ended, *_ = spans_in(messages)
    open_span.start_time_unix_nano, open_span.end_time_unix_nano = 2**64 - 1, 0
    ended.end_time_unix_nano = 2**64 - 1

    assert len(import_runs(tmp_path / "new.db", messages).problems) == 2


def test_a_run_that_contradicts_itself_is_refused_and_the_others_are_not(
    kept: Path, tmp_path: Path
) -> None:
    """Two executions with one snapshot: which of them is to be believed?"""
    messages = messages_of(kept, "last~1")
    snapshots = [
        entry.value
        for span in spans_in(messages)
        for entry in span.attributes
        if entry.key == "petsard.snapshot.id"
    ]
    snapshots[0].string_value = snapshots[1].string_value

    imported = import_runs(tmp_path / "new.db", [*messages, *messages_of(kept, "last")])

    assert [run.outcome for run in imported.runs] == ["refused", "added"]
    assert "petsard.snapshot.id" in (imported.runs[0].problem or "")
    with open_history(tmp_path / "new.db") as history:
        assert [run.run_id for run in history.runs()] == [imported.runs[1].run_id]


@pytest.mark.parametrize(
    "damage", ["UPDATE span SET body = x'ff'", "UPDATE run SET envelope = x''"], ids=str
)
def test_a_run_that_is_damaged_there_is_refused_and_left(
    damage: str, kept: Path, tmp_path: Path
) -> None:
    """Nothing of it is overwritten, and the other run is taken in."""
    first, second = messages_of(kept, "last~1"), messages_of(kept, "last")
    path = tmp_path / "there.db"
    import_runs(path, first)
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    before = connection.execute("SELECT * FROM span").fetchall()
    connection.commit()
    imported = import_runs(path, [*first, *second])
    assert [(run.outcome, run.problem) for run in imported.runs] == [
        ("refused", "what is kept of it is damaged"),
        ("added", None),
    ]
    assert connection.execute("SELECT * FROM span").fetchall()[: len(before)] == before
    connection.close()


def test_what_is_imported_is_not_to_be_sent(kept: Path, tmp_path: Path) -> None:
    """Who sent it, or did not, is its own history's matter."""
    import_runs(tmp_path / "new.db", messages_of(kept, "last"))

    with open_history(tmp_path / "new.db") as history:
        assert runs_with_unsent(history) == []


def test_a_database_of_another_program_is_left_alone(kept: Path, tmp_path: Path) -> None:
    """The message says what it is."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (id INTEGER)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(HistoryError, match="is a database of another program"):
        import_runs(path, messages_of(kept, "last"))
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_said(kept: Path, tmp_path: Path) -> None:
    """A file in the place of the folder."""
    (tmp_path / "file").write_text("")

    with pytest.raises(HistoryError, match=r"cannot be written"):
        import_runs(tmp_path / "file" / "new.db", messages_of(kept, "last"))
