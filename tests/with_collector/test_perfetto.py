"""Exports for Perfetto, read by the trace processor that its viewer runs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings

from petsard_otel.exporting.perfetto import perfetto_trace
from petsard_otel.history.reading import open_history

from ..otlp_spans import NOW, otlp_span, run_spans
from ..test_perfetto import traces
from .servers import ROOT
from .trace_processor import TraceProcessor, open_trace

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel.telemetry.otlp.spans import OtlpSpan

PROBLEMS = "SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0"
"""What the viewer would complain of on opening a trace."""

SLICES = (
    f"SELECT slice.name AS slice, depth, ts - {NOW}, dur, process.name AS process, "  # noqa: S608
    "thread.name AS thread FROM slice JOIN thread_track ON track_id = thread_track.id "
    "JOIN thread USING (utid) JOIN process USING (upid) ORDER BY slice.id"
)


def arguments(processor: TraceProcessor, name: str) -> dict[str, Any]:
    """Return what the viewer shows beside a slice."""
    rows = processor.ask(
        "SELECT slice.name, key, coalesce(string_value, int_value, real_value) AS value "
        "FROM slice JOIN args USING (arg_set_id)"
    )
    return {key: value for found, key, value in rows if found == name}


def test_a_run_is_drawn_as_it_was(tmp_path: Path) -> None:
    """Nested slices exact to the nanosecond, under the run's name, and nothing to complain of."""
    with open_trace(perfetto_trace(run_spans()), tmp_path) as processor:
        where = ("adult", "run 3f2a1b9c")
        assert processor.ask(PROBLEMS) == []
        assert processor.ask(SLICES) == [
            ("petsard run (failed: ValueError)", 0, 0, 1000, *where),
            ("Loader[a]", 1, 10, 190, *where),
            ("schema", 2, 199, 0, *where),
            ("schema", 2, 199, 0, *where),
            ("Preprocessor[b]", 1, 200, 300, *where),
            ("Preprocessor.fit", 2, 200, 100, *where),
            ("Synthesizer[c] (failed: ValueError)", 1, 500, 500, *where),
        ]
        assert processor.ask(
            "SELECT a.name AS a, b.name AS b FROM flow JOIN slice a ON a.id = slice_out "
            "JOIN slice b ON b.id = slice_in ORDER BY flow.id"
        ) == [
            ("Loader[a]", "Preprocessor[b]"),
            ("Preprocessor[b]", "Synthesizer[c] (failed: ValueError)"),
        ]
        assert processor.ask("SELECT count(*) FROM slice WHERE category LIKE '%error'") == [(2,)]


def test_arguments_are_found_by_their_names(tmp_path: Path) -> None:
    """The viewer writes `_` for the dots of a name; none is missing, none is NULL."""
    odd = otlp_span(
        9, "odd", 500, 600, 7, nan=float("nan"), none=None, empty=(), deep={"a": {"b": 1}}
    )
    spans = [*run_spans(), odd]
    with open_trace(perfetto_trace(spans), tmp_path) as processor:
        shown = arguments(processor, "Preprocessor[b]")
        assert shown["debug.petsard_module_name"] == "Preprocessor"
        assert shown["debug.petsard_schema_added[1]"] == "y"
        assert shown["debug.petsard_run_id"] == "3f2a1b9c000000000000000000000000"
        assert shown["debug.span_id"] == "0000000000000005"
        assert arguments(processor, "Loader[a]")["debug.petsard_output_rows"] == 7
        shown = arguments(processor, "odd")
        assert shown["debug.nan"] == "NaN"
        assert shown["debug.deep.a.b"] == 1
        assert None not in shown.values()


def test_the_time_of_day_is_known(tmp_path: Path) -> None:
    """What the viewer needs to show dates."""
    with open_trace(perfetto_trace(run_spans()), tmp_path) as processor:
        assert processor.ask(
            f"SELECT ts - {NOW}, clock_value - {NOW} FROM clock_snapshot "  # noqa: S608
            "WHERE clock_name = 'REALTIME'"
        ) == [(0, 0)]


def test_what_has_not_ended_is_drawn_to_the_end(tmp_path: Path) -> None:
    """The viewer says `did not end`."""
    spans = [otlp_span(1, "petsard run", 0, None), otlp_span(2, "A", 10, 20, 1)]
    with open_trace(perfetto_trace(spans), tmp_path) as processor:
        assert processor.ask(PROBLEMS) == []
        assert processor.ask("SELECT name, depth, dur FROM slice") == [
            ("petsard run", 0, -1),
            ("A", 1, 10),
        ]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traces())
def test_any_spans_are_read_without_complaint(tmp_path: Path, spans: list[OtlpSpan]) -> None:
    """Each slice has the time of its span, whatever lies inside and beside it."""
    with open_trace(perfetto_trace(spans), tmp_path) as processor:
        assert processor.ask(PROBLEMS) == []
        found = processor.ask(f"SELECT name, ts - {NOW}, dur FROM slice")  # noqa: S608
    assert sorted(found) == sorted(
        (
            span.name,
            span.start_time - NOW,
            -1
            if span.end_time is None
            else span.end_time - span.start_time
            if span.end_time - span.start_time > 1
            else 0,
        )
        for span in spans
    )


def test_a_run_from_the_command_line_can_be_opened(tmp_path: Path) -> None:
    """All spans of the example, the run around all of them."""
    database, path = str(tmp_path / "runs.db"), tmp_path / "run.pftrace"
    for arguments in (
        ["run", "examples/pipeline.yaml", "--quiet"],
        ["export", "last", "--format", "perfetto", "--output", str(path)],
    ):
        command = [sys.executable, "-m", "petsard_otel", *arguments]
        environment = {"PETSARD_OTEL_HISTORY": database}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    with open_history(database) as history:
        spans = history.spans(history.find("last"))

    with TraceProcessor(path.read_bytes(), tmp_path) as processor:
        assert processor.ask(PROBLEMS) == []
        assert processor.ask("SELECT count(*) FROM slice") == [(len(spans),)]
        assert processor.ask("SELECT name, category FROM slice WHERE depth = 0") == [
            ("petsard run", "run")
        ]
        assert processor.ask("SELECT name FROM process WHERE pid > 0") == [("pipeline",)]
        links = sum(len(span.links) for span in spans)
        assert processor.ask("SELECT count(*) FROM flow") == [(links,)]
        modules = {name for (name,) in processor.ask("SELECT name FROM slice WHERE depth = 1")}
        assert {"Loader", "Synthesizer", "Evaluator"} <= {name.split("[")[0] for name in modules}
