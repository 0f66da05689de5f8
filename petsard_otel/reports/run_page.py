"""One run on a page: what was open where it is not over, and its executions for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from petsard_otel.records import KILLED
from petsard_otel.reports.lineage import diff_document
from petsard_otel.reports.moments import clock_text, local_text, utc_text
from petsard_otel.reports.run_list import run_row
from petsard_otel.reports.wording import format_duration, format_size, shortened, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from petsard_otel.records import (
        ChangeRecord,
        ExecutionSnapshot,
        OpenExecution,
        RunSummary,
        TimingRecord,
    )

EXECUTION_COLUMNS = (
    "run_id",
    "snapshot_id",
    "module_name",
    "experiment_name",
    "experiment_path",
    "position",
    "operator_type",
    "status",
    "error_type",
    "start_time",
    "end_time",
    "duration_seconds",
    "rows",
    "columns",
    "input_hash",
    "output_hash",
    "trace_id",
    "span_id",
)
"""What machines are told of a module execution."""


def open_lines(
    run: RunSummary,
    opened: Sequence[OpenExecution],
    last: ExecutionSnapshot | None,
    now_ns: int,
) -> list[Text]:
    """Say which module a run is in, or was in when it was killed; nothing of a run that is over.

    Args:
        run: The run.
        opened: What had begun and not ended.
        last: The execution that ended last, None where none did.
        now_ns: Until when a run that is under way has taken its time.
    """
    if run.state not in {KILLED, "running"}:
        return []
    is_killed = run.state == KILLED
    style = "bold red" if is_killed else "bold cyan"
    if not opened:
        where = "before the first module"
        if last is not None:
            where = f"between two modules, after {_named(last)}"
        line = Text(f"{'killed' if is_killed else 'running'} {where}", style=style)
        if is_killed and run.ended_ns is not None:
            line.append(f", last seen {clock_text(run.ended_ns, run.started_ns)}", style="not bold")
        return [line]
    return [_open_line(run, execution, now_ns, style) for execution in opened]


def _open_line(run: RunSummary, execution: OpenExecution, now_ns: int, style: str) -> Text:
    is_killed = run.state == KILLED
    start_ns, seen_ns = execution.start_time_ns, execution.last_seen_ns
    line = Text(f"{'killed' if is_killed else 'running'} in {_named(execution)}", style=style)
    seconds = max((seen_ns if is_killed else now_ns) - start_ns, 0) / 1e9
    since = clock_text(start_ns, run.started_ns)
    facts = f", {'running ' if is_killed else ''}since {since} (for {format_duration(seconds)})"
    facts += f", last seen {clock_text(seen_ns, run.started_ns)}"
    if execution.memory_bytes is not None:
        facts += f", memory {format_size(execution.memory_bytes)}"
    return line.append(facts, style="not bold")


def _named(execution: OpenExecution | ExecutionSnapshot) -> str:
    return f"{word(execution.module_name)}[{shortened(execution.experiment_name)}]"


def page_summary(summary: Mapping[str, Any], run: RunSummary, now_ns: int) -> dict[str, Any]:
    """Return a Status' summary with what is known of the run beside its spans."""
    ended_ns = now_ns if run.ended_ns is None else run.ended_ns
    return {
        **summary,
        "name": run.name,
        "started": local_text(run.started_ns),
        "engine": run.engine,
        "state": run.state,
        "duration_seconds": max(ended_ns - run.started_ns, 0) / 1e9,
    }


def execution_rows(
    run: RunSummary, snapshots: Sequence[ExecutionSnapshot], timings: Sequence[TimingRecord]
) -> list[dict[str, Any]]:
    """Return each module execution of a run by column, for machines."""
    started = {record.span_id: record for record in timings if record.source == "module"}
    rows = []
    for snapshot in snapshots:
        timing = started.get(snapshot.span_id)
        before, after = snapshot.metadata_before, snapshot.metadata_after
        rows.append(
            {
                "run_id": run.run_id,
                "snapshot_id": snapshot.snapshot_id,
                "module_name": snapshot.module_name,
                "experiment_name": snapshot.experiment_name,
                "experiment_path": snapshot.experiment_path,
                "position": snapshot.sequence_position,
                "operator_type": snapshot.operator_type,
                "status": snapshot.status,
                "error_type": snapshot.error_type,
                "start_time": None if timing is None else utc_text(timing.start_time_ns),
                "end_time": utc_text(snapshot.timestamp_ns),
                "duration_seconds": None if timing is None else timing.duration_seconds,
                "rows": snapshot.rows,
                "columns": snapshot.columns,
                "input_hash": None if before is None else before.hash,
                "output_hash": None if after is None else after.hash,
                "trace_id": snapshot.trace_id,
                "span_id": snapshot.span_id,
            }
        )
    return rows


def run_document(
    run: RunSummary,
    sequence: Sequence[str],
    opened: Sequence[OpenExecution],
    changes: Sequence[ChangeRecord],
    executions: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return all of a run as one object.

    Args:
        run: The run.
        sequence: Its modules.
        opened: What had begun and not ended.
        changes: Its schema changes.
        executions: As `execution_rows` gives them.
    """
    return {
        **run_row(run),
        "sequence": list(sequence),
        "open_executions": [
            {
                "module_name": execution.module_name,
                "experiment_name": execution.experiment_name,
                "experiment_path": execution.experiment_path,
                "start_time": utc_text(execution.start_time_ns),
                "last_seen": utc_text(execution.last_seen_ns),
                "memory_bytes": execution.memory_bytes,
                "span_id": execution.span_id,
            }
            for execution in opened
        ],
        "executions": list(executions),
        "schema_changes": [
            {
                "change_id": change.change_id,
                "module_name": change.module_name,
                "experiment_name": change.experiment_name,
                "kind": change.kind,
                "time": utc_text(change.timestamp_ns),
                "before_hash": change.before_hash,
                "after_hash": change.after_hash,
                "diff": diff_document(change.diff),
            }
            for change in changes
        ],
    }
