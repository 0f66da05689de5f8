"""When a comparison is bad enough to stop a build: the rules of `--fail-on`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from petsard_otel.reports.wording import format_duration, shortened, visible, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from petsard_otel.reports.comparison import Comparison, Execution, Pair, Times

SLOWER_FLOOR_SECONDS = 0.05
"""No slow-down of less breaks a rule, whatever the percentage.

A module of a millisecond takes three where the machine hiccups, and nobody waits longer for it;
without a floor a gate over many short executions would be red every other day.
"""

DEFAULT_SLOWER_RATIO = 0.2
"""What `slower` alone means."""

RULES = ("schema", "rows", "config", "failed", "slower=N%")
"""What there is."""

MAX_NAMES = 3
"""Columns of one kind that a reason names."""

_UNKNOWN_CONFIG = "whether B has another configuration than A is not known"
_FINISHED = {"completed", "ended"}
_SLOWER = re.compile(r"slower(?:=(\d{1,6}(?:\.\d{1,3})?)\s*%?)?")


@dataclass(frozen=True, slots=True)
class Rules:
    """What must not be. `slower_ratio` is None where time does not matter."""

    schema: bool = False
    rows: bool = False
    config: bool = False
    failed: bool = False
    slower_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule, and where. `execution` is None where it is the run's as a whole."""

    rule: str
    execution: Execution | None
    reason: str


def parse_rules(text: str) -> Rules:
    """Read a list such as `schema,slower=20%,failed`.

    Raises:
        ValueError: A word is not a rule; names those that there are.
    """
    rules = Rules()
    for part in text.split(","):
        name = part.strip().lower()
        slower = _SLOWER.fullmatch(name)
        if slower is not None:
            ratio = DEFAULT_SLOWER_RATIO if slower[1] is None else float(slower[1]) / 100
            rules = replace(rules, slower_ratio=ratio)
        elif name in RULES:
            rules = replace(rules, **{name: True})
        else:
            raise ValueError(
                f"expected a list of {', '.join(RULES)}, such as schema,slower=20% (found {part!r})"
            )
    return rules


def breaches(comparison: Comparison, rules: Rules) -> list[Breach]:
    """Return every broken rule.

    An execution that only one of the runs has breaks none by itself: where B did not come so far,
    `failed` says so, and where B was configured otherwise, `config` does.
    """
    found: list[Breach] = []
    if rules.failed:
        found += _failed(comparison)
    if rules.config and comparison.has_config_changed is not False:
        # Not knowing must not look like an answer.
        is_known = comparison.has_config_changed is not None
        reason = "B has another configuration than A" if is_known else _UNKNOWN_CONFIG
        found.append(Breach("config", None, reason))
    for pair in comparison.pairs:
        if rules.schema and pair.has_schema_changed:
            found.append(Breach("schema", pair.subject, _schema_reason(pair)))
        if rules.rows and pair.a is not None and pair.b is not None and pair.have_rows_changed:
            reason = f"{_rows(pair.a.rows)} in A, {_rows(pair.b.rows)} in B"
            found.append(Breach("rows", pair.subject, reason))
        if is_slower(pair.times, rules.slower_ratio):
            found.append(Breach("slower", pair.subject, times_text(pair.times)))
    if is_slower(comparison.total, rules.slower_ratio):
        found.append(Breach("slower", None, times_text(comparison.total)))
    return found


def is_slower(times: Times, ratio: float | None) -> bool:
    """Tell whether B took too long: by percentage, by noise and by SLOWER_FLOOR_SECONDS.

    Where no noise is known, the other two decide.
    """
    difference = times.difference_seconds
    if ratio is None or difference is None or times.a_seconds is None:
        return False
    least = max(ratio * times.a_seconds, times.noise_seconds or 0.0, SLOWER_FLOOR_SECONDS)
    return difference > least


def times_text(times: Times) -> str:
    """Say how long something took in both runs."""
    if times.a_seconds is None or times.b_seconds is None:
        return "no time to compare"
    text = f"{format_duration(times.a_seconds)} in A, {format_duration(times.b_seconds)} in B"
    facts = [] if times.ratio is None else [f"{times.ratio:+.0%}"]
    if times.noise_seconds is not None:
        facts.append(f"noise up to {format_duration(times.noise_seconds)}")
    return text + (f" ({', '.join(facts)})" if facts else "")


def _failed(comparison: Comparison) -> Iterator[Breach]:
    """Yield each execution of B that did not succeed; B itself where none explains its state."""
    run = comparison.b.run
    bad = [pair.b for pair in comparison.pairs if pair.b is not None and pair.b.status != "success"]
    for execution in bad:
        yield Breach("failed", execution, word(execution.error_type or execution.status))
    if not bad and (run.state not in _FINISHED or run.failed_modules):
        yield Breach("failed", None, f"B is {word(run.state)}")


def _schema_reason(pair: Pair) -> str:
    difference = pair.diff
    parts = [
        f"{sign}{', '.join(shortened(name) for name in names[:MAX_NAMES])}{_more(len(names))}"
        for sign, names in (("+ ", difference.added), ("- ", difference.removed))
        if names
    ]
    altered = [*difference.retyped, *difference.nullability]
    shown = [
        f"{shortened(change.name)}: {shortened(change.before)} -> {shortened(change.after)}"
        for change in altered[:MAX_NAMES]
    ]
    if shown:
        parts.append(f"~ {', '.join(shown)}{_more(len(altered))}")
    if difference.reordered:
        parts.append("columns in another order")
    if not parts:
        hashes = [
            "no table" if execution is None or execution.schema_hash is None
            else visible(execution.schema_hash[:8])
            for execution in (pair.a, pair.b)
        ]  # fmt: skip
        return f"{hashes[0]} in A, {hashes[1]} in B"
    return "; ".join(parts)


def _more(count: int) -> str:
    return f" and {count - MAX_NAMES:,} more" if count > MAX_NAMES else ""


def _rows(count: int | None) -> str:
    return "no rows" if count is None else "1 row" if count == 1 else f"{count:,} rows"
