"""`petsard-otel runs`, `show`, `timing` and `schema`: what is kept, looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from petsard_otel.cli.answering import answering
from petsard_otel.cli.exit_codes import SUCCESS
from petsard_otel.exceptions import ConfigError
from petsard_otel.records import KILLED
from petsard_otel.reports.lineage import (
    COLUMN_COLUMNS,
    column_rows,
    lineage_document,
    lineage_list,
)
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
from petsard_otel.reports.tables import timing_rows
from petsard_otel.reports.terminal import changes_list, summary_panel, timing_table
from petsard_otel.reports.timing_groups import (
    group_columns,
    group_row,
    groups_table,
    timing_groups,
)
from petsard_otel.reports.wording import shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from petsard_otel.cli.answering import Question
    from petsard_otel.records import TimingRecord
    from petsard_otel.status import Status

RUNS_IN_A_TABLE = 20
"""How many runs are listed where nobody says how many, and a person looks."""


@answering
def runs(question: Question) -> int:
    """List the runs."""
    options = question.options
    everything = question.history.runs()
    changed = configuration_changes(everything)
    named = [run for run in everything if options.name in (None, run.name)]
    limit = options.limit
    if limit is None and question.format == "table":
        limit = RUNS_IN_A_TABLE
    shown = named[:limit]
    if question.format == "table":
        if not shown:
            name = "" if options.name is None else f" of the name {shortened(options.name)}"
            question.show(Text(f"no runs{name}", style="dim"))
            return SUCCESS
        more = len(named) - len(shown)
        question.show(runs_table(shown, short_ids(everything), changed, time.time_ns(), more=more))
        return SUCCESS
    rows = [{**run_row(run), "config_changed": changed[run.run_id]} for run in shown]
    question.answer(rows, [*RUN_COLUMNS, "config_changed"], rows)
    return SUCCESS


@answering
def show(question: Question) -> int:
    """Show a run as it was shown when it ended."""
    run = question.history.find(question.options.run)
    status = question.status_of(run)
    opened = question.history.open_executions(run)
    snapshots = status.get_snapshots()
    summary = status.get_status_summary()
    if question.format != "table":
        rows = execution_rows(run, snapshots, status.timing_records)
        document = run_document(run, summary["sequence"], opened, status.get_change_history(), rows)
        if question.options.steps:
            document["steps"] = timing_rows(
                record for record in status.timing_records if record.source != "module"
            )[1]
        question.answer(document, EXECUTION_COLUMNS, rows)
        return SUCCESS
    ended = [snapshot for snapshot in snapshots if snapshot.error_type != KILLED]
    now_ns = time.time_ns()
    page: list[RenderableType] = []
    lines = open_lines(run, opened, ended[-1] if ended else None, now_ns)
    if lines:
        page.append(Group(*lines))
    if status.timing_records:
        page.append(timing_table(_shown(status, with_steps=question.options.steps)))
        page.append(changes_list(status.get_change_history()))
    page.append(summary_panel(page_summary(summary, run, now_ns)))
    question.show(*page)
    return SUCCESS


@answering
def timing(question: Question) -> int:
    """Show where the time of a run went."""
    options = question.options
    if options.by is not None and options.steps:
        raise ConfigError(
            "--steps adds steps to the list of executions, --by sums up; --by step sums the steps"
        )
    status = question.status_of(question.history.find(options.run))
    if options.by is not None:
        groups = timing_groups(status.timing_records, options.by)
        if question.format == "table":
            question.show(groups_table(groups, options.by))
        else:
            rows = [group_row(group, options.by) for group in groups]
            question.answer(rows, group_columns(options.by), rows)
        return SUCCESS
    records = _shown(status, with_steps=options.steps)
    if question.format == "table":
        question.show(timing_table(records))
    else:
        columns, rows = timing_rows(records)
        question.answer([{c: row.get(c) for c in columns} for row in rows], columns, rows)
    return SUCCESS


@answering
def schema(question: Question) -> int:
    """Show what each module of a run did to the schema."""
    run = question.history.find(question.options.run)
    status = question.status_of(run)
    snapshots = status.get_snapshots()
    module = question.options.module
    if module is not None:
        there = dict.fromkeys(snapshot.module_name for snapshot in snapshots)
        if module not in there:
            names = ", ".join(there) if there else "none"
            raise ConfigError(f"there is no module {module!r} in this run; there are: {names}")
        snapshots = status.get_snapshots(module)
    if question.format == "table":
        question.show(lineage_list(snapshots, with_columns=module is not None))
        return SUCCESS
    document = {"run_id": run.run_id, "name": run.name, **lineage_document(snapshots)}
    question.answer(document, COLUMN_COLUMNS, column_rows(snapshots))
    return SUCCESS


def _shown(status: Status, *, with_steps: bool) -> list[TimingRecord]:
    return [record for record in status.timing_records if with_steps or record.source != "step"]
