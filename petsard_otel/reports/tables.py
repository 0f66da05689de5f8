"""Timings for machines: JSON and CSV, every column, nothing rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.reports.frame import COLUMNS
from petsard_otel.reports.machine_text import csv_text, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from petsard_otel.records import Scalar, TimingRecord


def timing_json(records: Iterable[TimingRecord]) -> str:
    """Return an array of objects, each with all columns; what a record lacks is null.

    Numbers that JSON does not know, such as NaN, are null as well. The text is pure ASCII.
    """
    columns, rows = timing_rows(records)
    return json_text([{column: row.get(column) for column in columns} for row in rows]).rstrip("\n")


def timing_csv(records: Iterable[TimingRecord]) -> str:
    """Return a header and one line a record, each ended by a line feed; no record, no line.

    What a record lacks is empty. Names are given as they are, control characters included:
    text for a file or a program, not for a terminal.
    """
    return csv_text(*timing_rows(records))


def timing_rows(
    records: Iterable[TimingRecord],
) -> tuple[list[str], list[dict[str, Scalar | None]]]:
    """Return the columns of a report, and each record by column."""
    rows = [_row(record) for record in records]
    columns = dict.fromkeys(COLUMNS)
    for row in rows:
        columns |= dict.fromkeys(row)
    return list(columns), rows


def _row(record: TimingRecord) -> dict[str, Scalar | None]:
    """Return a record by column; its own columns win over a context key of the same name."""
    own: dict[str, Scalar | None] = {
        "record_id": record.record_id,
        "module_name": record.module_name,
        "experiment_name": record.experiment_name,
        "step_name": record.step_name,
        "start_time": record.start_time.isoformat(timespec="microseconds"),
        "end_time": record.end_time.isoformat(timespec="microseconds"),
        "duration_seconds": record.duration_seconds,
        "source": record.source,
        "status": record.status,
        "experiment_path": record.experiment_path,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_record_id": record.parent_record_id,
    }
    return {**record.context, **own}
