"""Tables for people and for machines, from records alone."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from petsard_otel.records import ChangeRecord, TimingRecord
from petsard_otel.reports.tables import timing_csv, timing_json
from petsard_otel.reports.terminal import (
    changes_list,
    format_duration,
    summary_panel,
    timing_table,
)
from petsard_otel.schema import FieldChange, SchemaDiff

START_NS = 1_763_870_706_000_007_000


def record(number: int, module: str, path: str, start_ms: float, ms: float, **given: Any) -> Any:
    """Return a module execution's timing; times are in milliseconds from START_NS."""
    experiment = path.removesuffix("]").rpartition(f"{module}[")[2]
    fields = {"source": "module", "status": "success", "step_name": "run"} | given
    return TimingRecord(
        record_id=f"r{number}",
        module_name=module,
        experiment_name=experiment,
        start_time_ns=START_NS + round(start_ms * 1e6),
        end_time_ns=START_NS + round((start_ms + ms) * 1e6),
        experiment_path=path,
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id=f"{number:016x}",
        **fields,
    )


def rendered(renderable: Any, width: int = 80, encoding: str = "utf-8") -> str:
    """Return what a terminal of this width would show, without trailing spaces."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=stream, width=width, color_system=None).print(renderable)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    return "\n".join(line.rstrip() for line in text.splitlines())


# Timings for people


def test_the_timing_table_fits_80_columns_and_tells_splits_apart() -> None:
    """What differs in the paths of one module and experiment stands behind its name."""
    first, second = "Loader[cars]_Splitter[half_[2-1]]", "Loader[cars]_Splitter[half_[2-2]]"
    records = [
        record(1, "Loader", "Loader[cars]", 0, 12.3),
        record(2, "Splitter", first, 12.4, 3.12),
        record(3, "Synthesizer", f"{first}_Synthesizer[copula]", 20, 400),
        record(4, "Evaluator", f"{first}_Synthesizer[copula]_Evaluator[fit]", 421, 0.0231),
        record(5, "Synthesizer", f"{first}_Synthesizer[ctgan]", 500, 75_200),
        record(6, "Evaluator", f"{first}_Synthesizer[ctgan]_Evaluator[fit]", 75_701, 31),
        record(7, "Splitter", second, 75_800, 3.12),
        record(
            8, "Synthesizer", f"{second}_Synthesizer[copula]", 75_900, 44_000, status="cancelled"
        ),
        record(
            9,
            "Reporter",
            f"{second}_Synthesizer[copula]_Reporter[all]",
            120_000,
            500,
            status="error",
        ),
    ]
    assert rendered(timing_table(records)).splitlines() == [
        "Module       Experiment             Start     Time  Share",
        "───────────────────────────────────────────────────────────────────────────",
        "Loader       cars                     0 s  12.3 ms     0%         ok",
        "Splitter     half_[2-1]           12.4 ms  3.12 ms     0%         ok",
        "Synthesizer  copula (half_[2-1])  20.0 ms   400 ms     0%         ok",
        "Evaluator    fit (copula)          421 ms  23.1 µs     0%         ok",
        "Synthesizer  ctgan                 500 ms   1m 15s    63%  ███▏   ok",
        "Evaluator    fit (ctgan)           1m 16s  31.0 ms     0%         ok",
        "Splitter     half_[2-2]            1m 16s  3.12 ms     0%         ok",
        "Synthesizer  copula (half_[2-2])   1m 16s   44.0 s    37%  █▊     cancelled",
        "Reporter     all                   2m 00s   500 ms     0%         error",
        "",
        "total        9 executions                   2m 00s",
    ]


def test_steps_stand_below_their_module_and_count_nothing_twice() -> None:
    """Steps are indented; the total and the shares are of the modules alone."""
    path = "Synthesizer[copula]"
    records = [
        record(
            2, "Synthesizer", path, 0, 75, source="step", step_name="fit", parent_record_id="r1"
        ),
        record(
            3, "Synthesizer", path, 75, 25, source="step", step_name="sample", parent_record_id="r1"
        ),
        record(1, "Synthesizer", path, 0, 100),
        record(4, "Synthesizer", path, 10, 50, source="user", step_name="mine"),
        record(
            5,
            "Loader",
            "Loader[cars]",
            0,
            9,
            source="step",
            step_name="read",
            parent_record_id="gone",
        ),
    ]
    lines = rendered(timing_table(records)).splitlines()[2:]
    assert [line.split() for line in lines if line] == [
        ["Synthesizer", "copula", "0", "s", "100", "ms", "100%", "█████", "ok"],
        ["fit", "0", "s", "75.0", "ms", "75%", "███▋", "ok"],
        ["sample", "75.0", "ms", "25.0", "ms", "25%", "█▎", "ok"],
        ["Loader", "cars:", "read", "0", "s", "9.00", "ms", "9%", "▍", "ok"],
        ["Synthesizer", "copula:", "mine", "10.0", "ms", "50.0", "ms", "50%", "██▌", "ok"],
        ["total", "1", "execution", "100", "ms"],
    ]
    assert lines[1].startswith("               fit")


def test_the_same_path_run_again_is_numbered() -> None:
    """Nothing in the path tells two runs of one pipeline apart, so a number does."""
    records = [record(n, "Loader", "Loader[cars]", n, 1) for n in range(3)]
    text = rendered(timing_table(records))
    assert re.findall(r"cars.*?(?=  )", text) == ["cars", "cars (#2)", "cars (#3)"]


def test_a_long_run_shows_its_longest_executions_and_every_failure() -> None:
    """The rest is counted; the total is of all of them."""
    records = [record(n, "Loader", f"Loader[e{n}]", n, n) for n in range(1, 1202)]
    records[0] = record(1, "Loader", "Loader[broken]", 0, 0.001, status="error")
    lines = rendered(timing_table(records)).splitlines()
    assert len(lines) == 2 + 200 + 1 + 2
    assert lines[2].split()[:2] == ["Loader", "broken"]
    assert lines[3].split()[:2] == ["Loader", "e1003"]
    assert lines[-3].strip() == "and 1,001 shorter ones"
    assert lines[-1].split() == ["total", "1201", "executions", "12m", "02s"]


def test_no_timing_is_an_empty_table() -> None:
    """Before a run there is a header and a total of nothing."""
    assert rendered(timing_table([])).splitlines()[-1].split() == [
        "total",
        "0",
        "executions",
        "0",
        "s",
    ]


def test_a_terminal_without_unicode_gets_plain_bars() -> None:
    """Nothing but ASCII is needed for a table of ASCII names and milliseconds."""
    text = rendered(timing_table([record(1, "Loader", "Loader[cars]", 0, 12)]), encoding="ascii")
    assert "#####" in text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.0000000234, "0.02 µs"),
        (0.0000234, "23.4 µs"),
        (0.0009996, "1.00 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1m 00s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m"),
        (93_600, "26h 00m"),
    ],
)
def test_a_duration_reads_well(seconds: float, expected: str) -> None:
    """Three digits and the unit that fits; rounding never gives 1000 ms or 60 s."""
    assert format_duration(seconds) == expected


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_duration_is_rounded_and_nothing_else(seconds: float) -> None:
    """The text can be read back to within what three digits, or the smaller unit, hold."""
    text = format_duration(seconds)
    scale = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"([\d.]+) ?(µs|ms|s|m|h)", text)
    shown = sum(float(number) * scale[unit] for number, unit in parts)
    assert shown == pytest.approx(
        seconds, rel=0.0051, abs=30.01 if "h" in text else 0.51 if "m " in text else 0
    )


# Schema changes


def change(module: str, kind: str, diff: SchemaDiff, experiment: str = "encode") -> ChangeRecord:
    """Return a change that made this difference."""
    return ChangeRecord("c", START_NS, module, experiment, kind, "a", "b", "1", "2", diff)


def test_changes_say_what_came_went_and_became_something_else() -> None:
    """Equal changes are one entry with a count, wherever they stand."""
    encoded = SchemaDiff(
        added=("Origin_USA", "Origin_Japan"),
        removed=("Origin",),
        retyped=(FieldChange("Horsepower", "int64", "float64"),),
        nullability=(FieldChange("Horsepower", "nullable", "required"),),
        reordered=True,
    )
    changes = [
        change("Preprocessor", "module", encoded),
        change("Preprocessor", "experiment", SchemaDiff(added=("Year",))),
        change("Loader", "experiment", SchemaDiff(added=("Year",))),
        change("Preprocessor", "experiment", SchemaDiff(added=("Year",))),
    ]
    assert rendered(changes_list(changes)).splitlines() == [
        "Preprocessor[encode]  output differs from its input",
        "  + Origin_USA, Origin_Japan",
        "  - Origin",
        "  ~ Horsepower: int64 -> float64",
        "  ~ Horsepower: nullable -> required",
        "  ~ fields in another order",
        "Preprocessor[encode]  output differs from its previous experiment's  (2 times)",
        "  + Year",
        "Loader[encode]  output differs from its previous experiment's",
        "  + Year",
    ]


def test_a_long_list_is_cut_and_says_so() -> None:
    """A table of a thousand columns does not fill the terminal."""
    wide = SchemaDiff(
        added=tuple(f"c{number}" for number in range(47)),
        retyped=tuple(FieldChange(f"d{number}", "int64", "float64") for number in range(12)),
    )
    lines = rendered(changes_list([change("Preprocessor", "module", wide)])).splitlines()
    assert lines[1] == "  + c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 37 more"
    assert lines[-2:] == ["  ~ d9: int64 -> float64", "  ~ and 2 more"]


def test_no_changes_are_said_to_be_none() -> None:
    """An empty history is not an empty screen."""
    assert rendered(changes_list([])) == "no schema changes"


# The summary


def test_the_summary_shows_what_there_is() -> None:
    """Failures and evictions appear where there are any."""
    summary = {
        "sequence": ["Loader", "Reporter"],
        "total_snapshots": 1,
        "total_changes": 12,
        "total_timings": 0,
        "run_id": "0192f0c1",
        "trace_id": None,
        "state": "failed",
        "duration_seconds": 1.5,
        "failed_modules": ("Reporter",),
        "evicted": {"snapshots": 0, "changes": 3},
    }
    assert rendered(summary_panel(summary)).splitlines() == [
        "╭─ failed ───────────────────────────────────────────╮",
        "│ Failed    Reporter                                 │",
        "│ Duration  1.50 s                                   │",
        "│ Sequence  Loader > Reporter                        │",
        "│ Recorded  1 snapshot, 0 timings, 12 schema changes │",
        "│ Evicted   3 changes (the oldest, at the limits)    │",
        "│ Run       0192f0c1                                 │",
        "╰────────────────────────────────────────────────────╯",
    ]


# Names from users' data

HOSTILE = "x[red]y[/red]\x1b[31mA\nB\x9b2J\u202eC\ud800"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_name_reaches_the_terminal_as_a_command(width: int) -> None:
    """Markup and control characters are shown, whatever field of a record they are in."""
    hostile = SchemaDiff(added=(HOSTILE,), retyped=(FieldChange(HOSTILE, HOSTILE, HOSTILE),))
    step = record(3, HOSTILE, f"Loader[{HOSTILE}2]", 1, 1, source="user", step_name=HOSTILE)
    text = "\n".join(
        rendered(renderable, width)
        for renderable in (
            timing_table([record(1, HOSTILE, f"{HOSTILE}[{HOSTILE}]", 0, 1, status=HOSTILE), step]),
            changes_list([change(HOSTILE, HOSTILE, hostile, HOSTILE)]),
            summary_panel({"state": HOSTILE, "failed_modules": [HOSTILE], "run_id": HOSTILE}),
        )
    )
    assert all(character.isprintable() or character == "\n" for character in text)
    if width == 200:
        assert "x[red]y[/red]\\x1b[31mA\\nB\\x9b2J\\u202eC\\ud800: x[red]y" in text


# Timings for machines


def test_timings_as_json_have_every_column_in_full() -> None:
    """Times are ISO 8601 with zone, durations unrounded, missing context null."""
    records = [
        record(1, "Loader", "Loader[cars]", 0, 0.123457),
        record(
            2,
            "Loader",
            "Loader[cars]",
            0,
            0,
            context_items=(("rows", 406), ("ratio", float("nan"))),
        ),
    ]
    first, second = json.loads(timing_json(records))
    assert first == {
        "record_id": "r1",
        "module_name": "Loader",
        "experiment_name": "cars",
        "step_name": "run",
        "start_time": "2025-11-23T04:05:06.000007+00:00",
        "end_time": "2025-11-23T04:05:06.000130+00:00",
        "duration_seconds": 0.000123457,
        "source": "module",
        "status": "success",
        "experiment_path": "Loader[cars]",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "0000000000000001",
        "parent_record_id": None,
        "rows": None,
        "ratio": None,
    }
    assert list(second) == list(first)
    assert (second["rows"], second["ratio"]) == (406, None)
    assert json.loads(timing_json([])) == []


def test_timings_as_csv_have_a_header_even_without_a_record() -> None:
    """A program that reads the columns finds them."""
    header = (
        "record_id,module_name,experiment_name,step_name,start_time,end_time,duration_seconds,"
        "source,status,experiment_path,trace_id,span_id,parent_record_id"
    )
    assert timing_csv([]) == header + "\n"
    assert timing_csv([record(1, "Loader", "Loader[a,b]", 0, 1, context_items=(("rows", 3),))]) == (
        f"{header},rows\n"
        'r1,Loader,"a,b",run,2025-11-23T04:05:06.000007+00:00,2025-11-23T04:05:06.001007+00:00,'
        '0.001,module,success,"Loader[a,b]",0af7651916cd43dd8448eb211c80319c,0000000000000001,,3\n'
    )


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@example(name='a,"b"', context={"my \n": 1})
@example(name="a\rb", context={})
@given(name=NAMES, context=st.dictionaries(NAMES.map("my {}".format), st.integers()))
def test_machines_read_back_what_was_recorded(name: str, context: dict[str, int]) -> None:
    """Commas, quotes, line ends and control characters in a name survive both formats."""
    recorded = record(1, "Loader", f"Loader[{name}]", 0, 1, context_items=tuple(context.items()))
    expected = {**context, "experiment_name": recorded.experiment_name}
    (from_json,) = json.loads(timing_json([recorded]))
    (from_csv,) = csv.DictReader(io.StringIO(timing_csv([recorded]), newline=""))
    assert {key: from_json[key] for key in expected} == expected
    assert {key: from_csv[key] for key in expected} == {k: str(v) for k, v in expected.items()}


def test_what_csv_readers_refuse_is_written_all_the_same() -> None:
    """A name that holds NUL or half a surrogate pair stops no report."""
    text = timing_csv([record(1, "Loader", "Loader[a\0b\ud800]", 0, 1)])
    assert "a\ufffdb\\ud800" in text


def test_a_context_cannot_take_the_place_of_a_column() -> None:
    """A user's own `status` does not hide the record's."""
    (row,) = json.loads(
        timing_json([record(1, "L", "L[a]", 0, 1, context_items=(("status", "mine"),))])
    )
    assert row["status"] == "success"


def test_reports_load_no_pandas() -> None:
    """A machine format costs neither pandas nor rich; a table for people only rich."""
    code = (
        "import sys, petsard_otel.reports.tables; assert 'rich' not in sys.modules;"
        "import petsard_otel.reports.terminal;"
        "assert not {'pandas', 'numpy', 'opentelemetry', 'petsard'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
