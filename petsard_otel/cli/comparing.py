"""`petsard-otel compare`: two runs side by side, and a gate for CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.cli.answering import answering
from petsard_otel.cli.exit_codes import FAILED, SUCCESS
from petsard_otel.reports.comparison import Earlier, side
from petsard_otel.reports.comparison import compare as compared
from petsard_otel.reports.comparison_table import (
    PAIR_COLUMNS,
    breach_lines,
    comparison_document,
    comparison_page,
    pair_row,
)
from petsard_otel.reports.rules import breaches
from petsard_otel.reports.run_list import short_ids

if TYPE_CHECKING:
    from petsard_otel.cli.answering import Question
    from petsard_otel.records import RunSummary
    from petsard_otel.reports.comparison import Comparison, Side

EARLIER_RUNS = 20
"""From how many runs the noise is learnt at most."""


@answering
def compare(question: Question) -> int:
    """Compare run B with run A, and return 1 where a rule is broken."""
    options = question.options
    first, second = (question.history.find(text) for text in (options.a, options.b))
    comparison = compared(
        _side(question, first), _side(question, second), _earlier(question, first, second)
    )
    broken = [] if options.fail_on is None else breaches(comparison, options.fail_on)
    if question.format == "table":
        question.show(*comparison_page(comparison, short_ids([first, second])))
    else:
        rows = (pair_row(pair) for pair in comparison.pairs)
        question.answer(comparison_document(comparison, broken), PAIR_COLUMNS, rows)
    if options.fail_on is not None:
        _say_what_is_not_compared(question, comparison)
    if broken:
        question.notices.error("\n".join(breach_lines(broken)))
        return FAILED
    return SUCCESS


def _side(question: Question, run: RunSummary) -> Side:
    status = question.status_of(run)
    return side(run, status.sequence, status.get_snapshots(), status.timing_records)


def _earlier(question: Question, first: RunSummary, second: RunSummary) -> list[Earlier]:
    """Return what noise is learnt from: what came before A, B aside."""
    runs = question.history.earlier(first, EARLIER_RUNS + 1)
    others = [run for run in runs if run.run_id != second.run_id][:EARLIER_RUNS]
    return [Earlier(run.duration_seconds, question.history.timings(run)) for run in others]


def _say_what_is_not_compared(question: Question, comparison: Comparison) -> None:
    """Warn of executions that no rule could look at: a gate must not be green unseen."""
    for label, lonely in (
        ("A", sum(pair.b is None for pair in comparison.pairs)),
        ("B", sum(pair.a is None for pair in comparison.pairs)),
    ):
        if lonely:
            executions = "1 execution" if lonely == 1 else f"{lonely:,} executions"
            is_in = "is" if lonely == 1 else "are"
            question.notices.warning(f"{executions} {is_in} in {label} alone and not compared")
    failed = comparison.unsuccessful_count
    if failed:
        executions = "1 execution" if failed == 1 else f"{failed:,} executions"
        is_not = "is" if failed == 1 else "are"
        question.notices.warning(f"{executions} did not succeed in both and {is_not} not compared")
