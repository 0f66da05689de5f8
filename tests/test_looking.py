"""What is shown of runs that are kept, for people and for machines, from records alone."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Group

from petsard_otel.records import OpenExecution, RunSummary
from petsard_otel.reports.comparison import compare, side
from petsard_otel.reports.comparison_table import (
    PAIR_COLUMNS,
    breach_lines,
    comparison_document,
    comparison_page,
    pair_row,
)
from petsard_otel.reports.lineage import (
    COLUMN_COLUMNS,
    column_rows,
    lineage_document,
    lineage_list,
)
from petsard_otel.reports.machine_text import csv_text, json_text
from petsard_otel.reports.moments import clock_text, local_minute
from petsard_otel.reports.rules import breaches, parse_rules
from petsard_otel.reports.run_list import (
    RUN_COLUMNS,
    configuration_changes,
    run_row,
    runs_table,
    short_ids,
)
from petsard_otel.reports.run_page import (
    EXECUTION_COLUMNS,
    execution_rows,
    open_lines,
    page_summary,
    run_document,
)
from petsard_otel.reports.terminal import summary_panel
from petsard_otel.reports.timing_groups import (
    group_columns,
    group_row,
    groups_table,
    timing_groups,
)
from petsard_otel.reports.wording import format_size
from petsard_otel.schema import Attribute, OpaqueSchema, Schema

from .observed_runs import CARS, ENCODED, START_NS, loaded, run_summary, snapshot, timing
from .test_reports import rendered

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold]=1+1,\"'\r\n\u202e"

ID_A, ID_B, ID_C = "a" * 32, "a" * 7 + "b" * 25, "c" * 32


@pytest.fixture(autouse=True)
def _in_taipei(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have people eight hours ahead of UTC."""
    import time

    monkeypatch.setenv("TZ", "Asia/Taipei")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def opened(**given: Any) -> OpenExecution:
    """Give an execution that began a minute after the run and was seen two minutes later."""
    fields: dict[str, Any] = {
        "module_name": "Synthesizer",
        "experiment_name": "copula",
        "experiment_path": "Loader[cars]_Synthesizer[copula]",
        "start_time_ns": START_NS + 60 * 10**9,
        "last_seen_ns": START_NS + 185 * 10**9,
        "memory_bytes": 7_912_000_000,
        "trace_id": "t",
        "span_id": "s",
    }
    return OpenExecution(**{**fields, **given})


def killed(**given: Any) -> RunSummary:
    """Give a run that was killed."""
    return run_summary(state="killed", error_type="killed", **given)


# Runs


def test_the_list_of_runs_fits_80_columns() -> None:
    """When in local time, how long, how it ended; a mark at another configuration."""
    newest_first = [
        run_summary(ID_C, state="failed", config_hash="c2", executions=1234, changes=7),
        run_summary(ID_B, name="other", state="killed"),
        run_summary(ID_A, ended_ns=None, state="running"),
    ]
    shown = rendered(
        runs_table(
            newest_first,
            short_ids(newest_first),
            configuration_changes(newest_first),
            START_NS + 65 * 10**9,
            more=3,
        )
    )
    assert shown == (
        "Run       Pipeline    Started             Time  Result   Executions  Changes\n"
        "────────────────────────────────────────────────────────────────────────────\n"
        "cccccccc  pipeline *  2025-11-23 12:05  2.00 s  failed        1,234        7\n"
        "aaaaaaab  other       2025-11-23 12:05  2.00 s  killed            1        0\n"
        "aaaaaaaa  pipeline    2025-11-23 12:05  1m 05s  running           1        0\n"
        "*  another configuration than the run of this name before\n"
        "and 3 older runs; --limit N shows more"
    )


def test_short_ids_are_as_long_as_they_need_to_be() -> None:
    """Eight digits, or more where two runs begin alike."""
    alike = ["abcdef0123" + "0" * 22, "abcdef0124" + "0" * 22, "f" * 32]
    assert list(short_ids([run_summary(found) for found in alike]).values()) == [
        "abcdef0123",
        "abcdef0124",
        "ffffffff",
    ]


@given(st.lists(st.text("ab", min_size=12, max_size=12), min_size=1, unique=True))
def test_a_short_id_is_the_beginning_of_one_run_alone(found: list[str]) -> None:
    """Whatever the ids are."""
    for run_id, short in short_ids([run_summary(each) for each in found]).items():
        assert [each for each in found if each.startswith(short)] == [run_id]


def test_a_configuration_is_held_against_the_run_of_the_same_name_before() -> None:
    """Another pipeline between them is not; where a hash or a name is missing nothing is said."""
    newest_first = [
        run_summary("5", config_hash="c2"),
        run_summary("4", name="other", config_hash="x"),
        run_summary("3", config_hash="c1"),
        run_summary("2", config_hash="c1"),
        run_summary("1", name=None),
        run_summary("0", name=None),
    ]
    assert configuration_changes(newest_first) == {
        "5": True, "4": None, "3": False, "2": None, "1": None, "0": None,
    }  # fmt: skip


# One run


def test_of_a_killed_run_the_open_module_is_said() -> None:
    """Which, since when, how long, when it was last seen, and its memory."""
    (line,) = open_lines(killed(), [opened()], None, 0)
    assert line.plain == (
        "killed in Synthesizer[copula], running since 12:06:06 (for 2m 05s), "
        "last seen 12:08:11, memory 7.91 GB"
    )


def test_of_a_run_killed_between_two_modules_that_is_said() -> None:
    """After which one, or that there was none."""
    (line,) = open_lines(killed(), [], snapshot(1), 0)
    assert line.plain == "killed between two modules, after Loader[cars], last seen 12:05:08"
    (line,) = open_lines(killed(), [], None, 0)
    assert line.plain == "killed before the first module, last seen 12:05:08"


def test_of_a_running_run_it_is_said_what_it_is_at() -> None:
    """How long until now; what is not known is left out."""
    run = run_summary(state="running", ended_ns=None)
    (line,) = open_lines(run, [opened(memory_bytes=None)], None, START_NS + 190 * 10**9)
    assert line.plain == (
        "running in Synthesizer[copula], since 12:06:06 (for 2m 10s), last seen 12:08:11"
    )
    assert open_lines(run_summary(), [opened()], None, 0) == []


def test_a_moment_on_another_day_has_its_date() -> None:
    """A run may go on over night."""
    assert clock_text(START_NS, START_NS) == "12:05:06"
    assert clock_text(START_NS + 86400 * 10**9, START_NS) == "2025-11-24 12:05:06"
    assert local_minute(START_NS) == "2025-11-23 12:05"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (999_960, "1.00 MB"), (5e7, "50.0 MB"), (3e12, "3000 GB")],
)
def test_a_size_is_in_the_unit_that_reads_best(size: float, text: str) -> None:
    """With about three digits."""
    assert format_size(size) == text


def test_the_summary_of_a_killed_run_says_where() -> None:
    """And which pipeline, when, by whose modules: that is known later and not from the spans."""
    summary = {"state": "failed", "duration_seconds": 9.0, "failed_modules": ("Synthesizer",)}
    assert rendered(summary_panel(page_summary(summary, killed(), 0))) == (
        "╭─ killed ───────────────────────╮\n"
        "│ Pipeline   pipeline            │\n"
        "│ Started    2025-11-23 12:05:06 │\n"
        "│ Engine     builtin             │\n"
        "│ Killed in  Synthesizer         │\n"
        "│ Duration   2.00 s              │\n"
        "╰────────────────────────────────╯"
    )


def test_a_run_is_told_whole_to_machines() -> None:
    """Times in UTC, durations in seconds, and what was open."""
    rows = execution_rows(killed(), [snapshot(1)], [timing(1, 0.25)])
    document = run_document(killed(), ("Loader",), [opened()], (), rows)
    assert document["state"] == "killed"
    assert document["start_time"] == "2025-11-23T04:05:06.000007+00:00"
    assert document["open_executions"] == [
        {
            "module_name": "Synthesizer",
            "experiment_name": "copula",
            "experiment_path": "Loader[cars]_Synthesizer[copula]",
            "start_time": "2025-11-23T04:06:06.000007+00:00",
            "last_seen": "2025-11-23T04:08:11.000007+00:00",
            "memory_bytes": 7_912_000_000,
            "span_id": "s",
        }
    ]
    assert document["executions"] == [
        {
            "run_id": ID_A,
            "snapshot_id": "snapshot_000001",
            "module_name": "Loader",
            "experiment_name": "cars",
            "experiment_path": "Loader[cars]",
            "position": 0,
            "operator_type": "LoaderAdapter",
            "status": "success",
            "error_type": None,
            "start_time": "2025-11-23T04:05:07.000007+00:00",
            "end_time": "2025-11-23T04:05:07.000007+00:00",
            "duration_seconds": 0.25,
            "rows": 406,
            "columns": 2,
            "input_hash": None,
            "output_hash": CARS.hash,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "0000000000000001",
        }
    ]
    assert list(document["executions"][0]) == list(EXECUTION_COLUMNS)


# Timings, summed


TIMINGS = [
    timing(1, 1.0, "Loader[cars]"),
    timing(2, 2.0, "Loader[trucks]"),
    timing(3, 5.0, "Loader[cars]_Synthesizer[copula]"),
    timing(4, 4.0, "Loader[cars]_Synthesizer[copula]", source="step", step_name="fit"),
    timing(5, 0.5, "Loader[cars]", source="user", step_name="download"),
]


def test_timings_are_summed_by_module_without_their_steps() -> None:
    """The longest first; the share is of what all modules took."""
    assert rendered(groups_table(timing_groups(TIMINGS, "module"), "module")) == (
        "Module      Count  Total   Mean    Min    Max Share\n"
        "───────────────────────────────────────────────────\n"
        "Synthesizer     1 5.00 s 5.00 s 5.00 s 5.00 s   62%\n"
        "Loader          2 3.00 s 1.50 s 1.00 s 2.00 s   38%"
    )


def test_timings_are_summed_by_experiment_and_by_step() -> None:
    """Steps are those inside modules and those that a user timed."""
    assert [group_row(group, "experiment") for group in timing_groups(TIMINGS, "experiment")][
        1
    ] == {
        "module_name": "Loader",
        "experiment_name": "trucks",
        "count": 1,
        "total_seconds": 2.0,
        "mean_seconds": 2.0,
        "min_seconds": 2.0,
        "max_seconds": 2.0,
        "share": 0.25,
    }
    steps = timing_groups(TIMINGS, "step")
    assert [(*group.names, group.share) for group in steps] == [
        ("Synthesizer", "fit", 0.5),
        ("Loader", "download", 0.0625),
    ]
    assert group_columns("step")[:3] == ["module_name", "step_name", "count"]


def test_no_timings_make_no_groups() -> None:
    """Nor a division by zero."""
    assert timing_groups([], "module") == []
    assert timing_groups([timing(1, 0.0)], "module")[0].share == 0.0


# Schemas


def test_what_did_the_same_is_shown_once_and_counted() -> None:
    """In the order of the sequence; what is of one experiment and differs is told apart."""
    found = [
        snapshot(1, "Loader[cars]"),
        snapshot(2, "Loader[cars]_Splitter[a]_Encoder[e]", metadata_before=CARS,
                 metadata_after=ENCODED, sequence_position=2),
        snapshot(3, "Loader[cars]_Splitter[b]_Encoder[e]", metadata_before=CARS,
                 metadata_after=ENCODED, sequence_position=2),
        snapshot(4, "Loader[cars]_Splitter[c]_Encoder[e]", metadata_before=CARS,
                 metadata_after=CARS, sequence_position=2),
        snapshot(5, "Loader[cars]_Splitter[c]", metadata_before=CARS, metadata_after=None,
                 status="error", error_type="killed", sequence_position=1),
        snapshot(6, "Reporter[r]", metadata_before=None, metadata_after=None, sequence_position=3),
    ]  # fmt: skip
    before, after = CARS.hash[:8], ENCODED.hash[:8]
    assert rendered(lineage_list(found)) == (
        f"Loader[cars]  -> 2 columns ({before})\n"
        f"Splitter[c]  2 columns ({before}) -> no output: killed\n"
        f"Encoder[e] (a)  2 columns ({before}) -> 2 columns ({after})  (2 times)\n"
        "  + O_1\n"
        "  - Origin\n"
        "  ~ Year: int64 -> float64\n"
        "  ~ Year: required -> nullable\n"
        f"Encoder[e] (c)  2 columns ({before}), unchanged\n"
        "Reporter[r]  no table"
    )


def test_of_one_module_every_column_is_listed() -> None:
    """With type and nullability, and what became of it."""
    found = [snapshot(1, "Encoder[e]", metadata_before=CARS, metadata_after=ENCODED)]
    shown = rendered(lineage_list(found, with_columns=True)).partition("\n\n")[2]
    assert shown == (
        "  Column  Type     Missing\n"
        "  ──────────────────────────────────\n"
        "  Year    float64  nullable  changed\n"
        "  O_1     int8     required  added"
    )


def test_a_wide_table_is_cut_for_people_and_whole_for_machines() -> None:
    """Fifty columns, and how many more there are."""
    wide = Schema.of("wide", [Attribute(f"c{number}", "int8") for number in range(1200)])
    found = [snapshot(1, metadata_after=wide)]
    shown = rendered(lineage_list(found, with_columns=True))
    assert "  c49  " in shown
    assert "c50" not in shown
    assert "and 1,150 more" in shown
    assert len(lineage_document(found)["schemas"][wide.hash]) == 1200
    assert len(list(column_rows(found))) == 1200


def test_columns_are_rows_with_what_became_of_them() -> None:
    """What is gone stands behind what is there."""
    found = [snapshot(1, "Encoder[e]", metadata_before=CARS, metadata_after=ENCODED)]
    rows = list(column_rows(found))
    assert [tuple(row.get(column) for column in COLUMN_COLUMNS[6:]) for row in rows] == [
        (1, "Year", "float64", True, "changed", "int64", False),
        (2, "O_1", "int8", False, "added", None, None),
        (None, "Origin", None, None, "removed", "string", False),
    ]
    assert lineage_document(found)["executions"][0]["diff"] == {
        "added": ["O_1"],
        "removed": ["Origin"],
        "retyped": [{"name": "Year", "before": "int64", "after": "float64"}],
        "nullability": [{"name": "Year", "before": "required", "after": "nullable"}],
        "reordered": False,
    }


def test_a_schema_that_cannot_be_read_is_said_to_be_one() -> None:
    """Its hash is all that is known."""
    found = [snapshot(1, metadata_after=OpaqueSchema("x", "unknown", "0123456789"))]
    assert rendered(lineage_list(found)) == (
        "Loader[cars]  -> a schema known by its hash alone (01234567)"
    )
    assert list(column_rows(found)) == []
    assert lineage_document(found)["executions"][0]["diff"] is None
    assert rendered(lineage_list([])) == "no module execution"


# Comparisons


def test_a_comparison_reads_from_the_runs_to_the_differences() -> None:
    """Which runs, the times, where the noise is from, then schemas and rows."""
    b = loaded(1.5, run_summary(ID_C, config_hash="c2"), metadata_after=ENCODED, rows=300)
    found = compare(loaded(), b)
    page = Group(*comparison_page(found, {ID_A: "aaaaaaaa", ID_C: "cccccccc"}))
    assert rendered(page) == (
        "A  aaaaaaaa  pipeline  2025-11-23 12:05:06  completed\n"
        "B  cccccccc  pipeline  2025-11-23 12:05:06  completed\n"
        "different configurations\n"
        "Module     Experiment       A       B  Change\n"
        "────────────────────────────────────────────────\n"
        "Loader     cars        1.00 s  1.50 s    +50%\n"
        "\n"
        "whole run              2.00 s  2.00 s     +0%\n"
        "no noise is known: there is no earlier run of this pipeline that completed, and\n"
        "3 are needed\n"
        "Loader[cars]  output of B differs from A's\n"
        "  ~ rows: 406 -> 300\n"
        "  + O_1\n"
        "  - Origin\n"
        "  ~ Year: int64 -> float64\n"
        "  ~ Year: required -> nullable"
    )


def test_how_an_execution_ended_that_is_not_compared_is_said() -> None:
    """A kill is no failure of the module's; what took a little less has no minus before zero."""
    killed: dict[str, Any] = {"status": "error", "error_type": "killed"}
    failed: dict[str, Any] = {"status": "error", "error_type": "ValueError"}
    for a, b, verdict in (
        (loaded(), loaded(**killed), "killed in B"),
        (loaded(**failed), loaded(), "failed in A"),
        (loaded(**failed), loaded(**failed), "failed in A and B"),
        (loaded(**killed), loaded(**failed), "killed in A, failed in B"),
        (loaded(), loaded(0.999), "+0%"),
    ):
        page = Group(*comparison_page(compare(a, b), {ID_A: "a" * 8}))
        (line,) = [line for line in rendered(page).splitlines() if line.startswith("Loader   ")]
        assert line.endswith(verdict), line


def test_configurations_that_are_not_known_are_said_to_be_so() -> None:
    """Two runs without a hash have not the same one; machines get null."""
    a, b = (loaded(run=run_summary(run_id, config_hash=None)) for run_id in (ID_A, ID_C))
    found = compare(a, b)
    shown = rendered(Group(*comparison_page(found, {ID_A: "a" * 8, ID_C: "c" * 8})))
    assert "whether the configurations differ is not known" in shown
    assert "the same configuration" not in shown
    assert comparison_document(found, ())["config_changed"] is None


def test_broken_rules_are_told_with_where() -> None:
    """Twenty at most: CI's log is no table."""
    b = loaded(1.5, metadata_after=ENCODED)
    broken = breaches(compare(loaded(), b), parse_rules("slower=10%"))
    assert breach_lines(broken) == [
        "B breaks the rules of --fail-on in one place:",
        "slower: Loader[cars]: 1.00 s in A, 1.50 s in B (+50%)",
    ]
    assert breach_lines(broken * 23)[0] == "B breaks the rules of --fail-on in 23 places:"
    assert breach_lines(broken * 23)[-1] == "and 3 more"
    assert len(breach_lines(broken * 23)) == 22


def test_of_many_differences_fifty_are_listed() -> None:
    """Equal ones counted once; in JSON they all are."""
    numbers = range(1, 61)
    a, b = (
        side(
            run_summary(run_id),
            ("Loader",),
            [snapshot(n, f"Loader[e{n}]", rows=rows) for n in numbers],
            [timing(n, 1.0, f"Loader[e{n}]") for n in numbers],
        )
        for run_id, rows in ((ID_A, 1), (ID_C, 2))
    )
    found = compare(a, b)
    shown = rendered(Group(*comparison_page(found, {ID_A: "a", ID_C: "c"})))
    assert shown.count("  ~ rows: 1 -> 2") == 50
    assert shown.endswith("and 10 more")
    assert len(comparison_document(found, ())["executions"]) == 60


def test_a_long_difference_goes_on_below_its_beginning() -> None:
    """Nothing of it is cut, nor indented like another one."""
    after = Schema.of("x", [Attribute(f"column_{n}", "int8") for n in range(4)])
    before = Schema.of("x", [Attribute("column_0", "int8")])
    found = [snapshot(1, metadata_before=before, metadata_after=after)]
    assert rendered(lineage_list(found), width=26).partition("  +")[2] == (
        " column_1, column_2,\n    column_3"
    )


def test_a_comparison_is_told_whole_to_machines() -> None:
    """An object with both runs, and a row for each execution."""
    found = compare(loaded(), loaded(1.5))
    document = json.loads(json_text(comparison_document(found, ())))
    assert document["a"]["run_id"] == ID_A
    assert document["total"] == {
        "a_seconds": 2.0,
        "b_seconds": 2.0,
        "difference_seconds": 0.0,
        "difference_ratio": 0.0,
        "noise_seconds": None,
        "judgement": None,
    }
    assert document["executions"][0]["difference_seconds"] == 0.5
    assert list(pair_row(found.pairs[0])) == list(PAIR_COLUMNS)
    assert document["broken_rules"] == []


# Machines


def test_json_is_ascii_and_knows_no_nan() -> None:
    """One document, ended by a line feed."""
    text = json_text({"name": "größer\x1b", "values": [math.nan, math.inf, 1.5], "none": None})
    assert text.isascii()
    assert text.endswith("}\n")
    assert json.loads(text) == {"name": "größer\x1b", "values": [None, None, 1.5], "none": None}


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
@example([["a\0b", "\0"]])
def test_csv_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    """Commas, quotes and line ends in names included, but for NUL, which readers stumble over."""
    text = csv_text(["a", "b"], [dict(zip("ab", row, strict=True)) for row in rows])
    expected = [
        [cell.replace("\0", "�").encode("utf-8", "backslashreplace").decode() for cell in row]
        for row in rows
    ]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], *expected]


def test_a_name_that_is_a_formula_is_none_in_a_spreadsheet() -> None:
    """A history may hold runs of others; numbers stay numbers."""
    rows: list[dict[str, Any]] = [{"a": "=1+1", "b": -0.5}, {"a": "@x", "b": None}]
    assert csv_text(["a", "b"], rows, guards_formulas=True) == "a,b\n'=1+1,-0.5\n'@x,\n"


def test_every_column_of_a_run_is_there() -> None:
    """Keys that scripts rely on."""
    assert list(run_row(run_summary())) == list(RUN_COLUMNS)


# Names are shown, never obeyed


def test_no_name_reaches_the_terminal_as_more_than_a_name() -> None:
    """Names of pipelines, modules, experiments, columns and types come from files of anybody."""
    path = f"{HOSTILE}[{HOSTILE}]"
    hostile = Schema.of("x", [Attribute(HOSTILE, HOSTILE)])
    given: dict[str, Any] = {
        "module_name": HOSTILE,
        "experiment_name": HOSTILE,
        "experiment_path": path,
    }
    found = snapshot(1)._replace(**given, metadata_before=CARS, metadata_after=hostile)
    record = timing(1, 1.0)._replace(**given, step_name=HOSTILE)
    run = run_summary(name=HOSTILE, state=HOSTILE, engine=HOSTILE, failed_modules=(HOSTILE,))
    gone = killed(name=HOSTILE)
    a = loaded()
    b = type(a)(run, (HOSTILE,), {("x", path, 1): a.executions["Loader", "Loader[cars]", 1]})
    shown = rendered(
        Group(
            runs_table([run], short_ids([run]), {run.run_id: True}, 0),
            *open_lines(gone, [opened()._replace(**given)], found, 0),
            *open_lines(gone, [], found, 0),
            lineage_list([found, found._replace(status=HOSTILE, error_type=HOSTILE)],
                         with_columns=True),
            groups_table(timing_groups([record], "experiment"), "experiment"),
            *comparison_page(compare(a, b), {run.run_id: "a" * 8}),
            summary_panel(page_summary({"failed_modules": (HOSTILE,)}, run, 0)),
        ),
        width=300,
    )  # fmt: skip
    assert "\\x1b[2J" in shown
    assert not [
        character for character in shown if not character.isprintable() and character != "\n"
    ]
    assert "[bold]" in shown
