"""Two runs side by side: alignment, noise, judgements and rules, from values alone."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsard_otel.reports.comparison import Earlier, Times, compare, side
from petsard_otel.reports.noise import noise_bands
from petsard_otel.reports.rules import Rules, breaches, is_slower, parse_rules
from petsard_otel.schema import OpaqueSchema

from .observed_runs import CARS, ENCODED, loaded, run_summary, snapshot, timing

if TYPE_CHECKING:
    from petsard_otel.reports.comparison import Side

EVERYTHING = Rules(schema=True, rows=True, config=True, failed=True, slower_ratio=0.0)

durations = st.floats(0.0, 1e4, allow_subnormal=False)


def paths(*found: str, sequence: tuple[str, ...] = ("Loader", "Splitter")) -> Side:
    """Give a run that executed these paths, a second each."""
    numbered = list(enumerate(found, start=1))
    return side(
        run_summary(),
        sequence,
        [snapshot(number, path) for number, path in numbered],
        [timing(number, 1.0, path) for number, path in numbered],
    )


def rules_broken(a: Side, b: Side, rules: Rules) -> list[tuple[str, str | None, str]]:
    """Give each broken rule with the path where it is."""
    return [
        (found.rule, None if found.execution is None else found.execution.experiment_path,
         found.reason)
        for found in breaches(compare(a, b), rules)
    ]  # fmt: skip


# Alignment


def test_executions_are_aligned_by_module_and_path_and_those_of_one_run_keep_their_place() -> None:
    """What only A has stands behind what it followed there, what only B has where it ran."""
    a = paths("Loader[a]", "Loader[a]_Splitter[x]", "Loader[b]", "Loader[b]_Splitter[x]")
    b = paths("Loader[a]", "Loader[a]_Splitter[y]", "Loader[b]", "Loader[b]_Splitter[x]")
    assert [
        (pair.subject.experiment_path, pair.a is not None, pair.b is not None)
        for pair in compare(a, b).pairs
    ] == [
        ("Loader[a]", True, True),
        ("Loader[a]_Splitter[x]", True, False),
        ("Loader[a]_Splitter[y]", False, True),
        ("Loader[b]", True, True),
        ("Loader[b]_Splitter[x]", True, True),
    ]


def test_what_only_a_has_before_anything_else_comes_first() -> None:
    """It follows nothing."""
    found = compare(paths("Loader[a]", "Loader[b]"), paths("Loader[b]")).pairs
    assert [pair.subject.experiment_path for pair in found] == ["Loader[a]", "Loader[b]"]


def test_repeated_executions_are_aligned_in_their_order() -> None:
    """The second with the second; a third that A lacks is B's alone."""
    a, b = paths("Loader[a]", "Loader[a]"), paths("Loader[a]", "Loader[a]", "Loader[a]")
    assert [
        (pair.subject.number, pair.a is not None, pair.b is not None)
        for pair in compare(a, b).pairs
    ] == [(1, True, True), (2, True, True), (3, False, True)]


@given(
    st.lists(st.sampled_from(["Loader[a]", "Loader[b]", "Loader[c]"]), max_size=6),
    st.lists(st.sampled_from(["Loader[a]", "Loader[b]", "Loader[c]"]), max_size=6),
)
def test_every_execution_is_in_one_pair(first: list[str], second: list[str]) -> None:
    """None is lost, none comes twice, and B's are in B's order."""
    a, b = paths(*first), paths(*second)
    pairs = compare(a, b).pairs
    assert sorted(
        (pair.a.experiment_path, pair.a.number) for pair in pairs if pair.a is not None
    ) == sorted((found.experiment_path, found.number) for found in a.executions.values())
    assert [pair.b for pair in pairs if pair.b is not None] == list(b.executions.values())


# Noise


def noise_band(seconds: list[float]) -> float | None:
    """Give the band of an execution that has none beside it to learn from."""
    return noise_bands({"": seconds}).get("")


def test_the_band_is_three_sigma_of_a_difference_by_the_median_deviation() -> None:
    """3 * sqrt(2) * 1.4826 * 1.206 * MAD of five durations; the outlier moves nothing."""
    assert noise_band([1.0, 1.1, 0.9, 1.2, 60.0]) == pytest.approx(0.7586, abs=1e-4)
    assert noise_band([1.0, 1.1, 0.9, 1.2, 1.3]) == pytest.approx(0.7586, abs=1e-4)


def test_ten_durations_and_more_are_corrected_by_their_number() -> None:
    """By n / (n - 0.8): 20 durations half a second around ten."""
    assert noise_band([9.5, 10.5] * 10) == pytest.approx(
        3 * 2**0.5 * 1.4826 * (20 / 19.2) * 0.5, rel=1e-9
    )


@pytest.mark.parametrize(
    ("executions", "count", "share"),
    [
        (1, 3, 0.18), (1, 5, 0.09), (1, 10, 0.035), (1, 20, 0.015),
        (25, 3, 0.038), (25, 5, 0.02), (25, 10, 0.012), (25, 20, 0.008),
    ],
)  # fmt: skip
def test_chance_leaves_the_band_as_often_as_is_said(
    executions: int, count: int, share: float
) -> None:
    """Sigma is estimated: few durations make it too small more often than the normal tail."""
    random = Random(1)  # noqa: S311  no secret
    trials = 20_000 // executions
    outside = 0
    for _ in range(trials):
        bands = noise_bands(
            {of: [random.gauss(10.0, 0.5) for _ in range(count)] for of in range(executions)}
        )
        for band in bands.values():
            outside += abs(random.gauss(10.0, 0.5) - random.gauss(10.0, 0.5)) > band
    assert outside / (trials * executions) == pytest.approx(share, rel=0.15)


def test_few_durations_alike_by_chance_do_not_pass_for_quiet_work() -> None:
    """Sigma is moved towards what is usual: 5 parts of 8, of work a tenth as long or longer."""
    noisy = [9.0, 10.0, 11.0]
    bands = noise_bands({"alike": [10.0, 10.0, 10.0], "a": noisy, "b": noisy, "c": noisy})
    sigma = 1.4826 * 1.495
    assert bands["alike"] == pytest.approx(3 * 2**0.5 * sigma * (5 / 8) ** 0.5, rel=1e-9)
    assert bands["a"] == pytest.approx(3 * 2**0.5 * sigma, rel=1e-9)


def test_short_work_tells_nothing_of_the_noise_of_long_work() -> None:
    """A fit of a minute is judged as before, whatever the noise of what takes a second."""
    fit = [59.9, 60.0, 60.1]
    bands = noise_bands({"fit": fit, "a": [1.0, 2.0, 3.0], "b": [2.7, 3.0, 3.3]})
    assert bands["fit"] == pytest.approx(noise_band(fit), rel=1e-9)
    assert bands["a"] < noise_bands({"a": [1.0, 2.0, 3.0]})["a"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_durations_make_no_band(count: int) -> None:
    """Nothing is judged by a spread of two."""
    assert noise_band([1.0, 2.0][:count]) is None


def test_equal_durations_make_a_band_of_a_millisecond() -> None:
    """A scheduler moves any duration by that much."""
    assert noise_band([2.0, 2.0, 2.0]) == 0.001


@given(st.lists(durations, min_size=3, max_size=25), st.floats(1.0, 50.0))
def test_more_spread_makes_a_wider_band(seconds: list[float], factor: float) -> None:
    """Durations further from their median never make a narrower one."""
    middle = sorted(seconds)[len(seconds) // 2]
    wider = [middle + factor * (duration - middle) for duration in seconds]
    delay = -min(0.0, *wider)
    narrow, wide = noise_band(seconds), noise_band([delay + duration for duration in wider])
    assert narrow is not None
    assert wide is not None
    assert wide >= narrow * (1 - 1e-9)


@given(st.lists(durations, min_size=3, max_size=25), durations)
def test_the_band_does_not_depend_on_order_nor_on_a_common_delay(
    seconds: list[float], delay: float
) -> None:
    """It is the spread that counts."""
    found = noise_band(seconds)
    assert noise_band(sorted(seconds)) == found
    assert noise_band([duration + delay for duration in seconds]) == pytest.approx(found, abs=1e-6)


def test_each_execution_has_its_own_noise_and_so_has_the_whole_run() -> None:
    """Learnt from earlier executions on the same path that succeeded."""
    earlier = [
        Earlier(2.0 + number, [timing(1, 1.0 + number / 10), timing(2, 0.05, "Loader[other]")])
        for number in range(5)
    ]
    earlier.append(Earlier(None, [timing(1, 500.0, status="error")]))
    found = compare(loaded(), loaded(), earlier)
    assert found.earlier_count == 6
    assert found.pairs[0].noise_seconds == pytest.approx(0.7586, abs=1e-4)
    assert found.total.noise_seconds == pytest.approx(7.586, abs=1e-3)


@pytest.mark.parametrize(
    ("times", "judgement"),
    [
        (Times(1.0, 1.2, 0.3), "within noise"),
        (Times(1.0, 1.4, 0.3), "slower"),
        (Times(1.0, 0.6, 0.3), "faster"),
        (Times(1.0, 9.9, None), None),
        (Times(None, 1.0, 0.3), None),
    ],
)
def test_a_difference_is_judged_by_the_noise(times: Times, judgement: str | None) -> None:
    """Without noise, or without one of the times, nothing is said."""
    assert times.judgement == judgement


def test_what_failed_took_no_time_that_could_be_compared() -> None:
    """Nor has it rows or a schema: it made nothing."""
    b = loaded(9.0, status="error", error_type="ValueError", rows=None, metadata_after=None)
    (pair,) = compare(loaded(), b).pairs
    assert pair.times == Times(1.0, None, None)
    assert not pair.has_schema_changed
    assert not pair.have_rows_changed


def test_the_time_of_a_run_that_did_not_complete_is_none_to_compare() -> None:
    """It ended early, which is no speed."""
    killed = loaded(run=run_summary("b" * 32, state="killed"))
    assert compare(loaded(), killed).total == Times(2.0, None, None)


# Schema


def test_another_output_is_told_by_its_difference() -> None:
    """B against A: added, removed, retyped, nullability."""
    (pair,) = compare(loaded(), loaded(metadata_after=ENCODED)).pairs
    assert pair.has_schema_changed
    assert (pair.diff.added, pair.diff.removed) == (("O_1",), ("Origin",))
    assert [str(change) for change in pair.diff.retyped] == ["Year: int64 -> float64"]
    assert [str(change) for change in pair.diff.nullability] == ["Year: required -> nullable"]


def test_a_schema_that_is_known_by_its_hash_alone_differs_by_it() -> None:
    """What cannot be read can be told apart all the same."""
    opaque = OpaqueSchema("cars", "unknown", "77")
    (pair,) = compare(loaded(), loaded(metadata_after=opaque)).pairs
    assert pair.has_schema_changed
    assert not pair.diff
    (same,) = compare(loaded(metadata_after=opaque), loaded(metadata_after=opaque)).pairs
    assert not same.has_schema_changed


# Rules


@given(durations, st.sampled_from([CARS, ENCODED, None]), st.none() | st.integers(0, 10**9))
def test_a_run_compared_with_itself_breaks_no_rule(
    seconds: float, schema: object, rows: int | None
) -> None:
    """The strictest rules there are, without any noise."""
    run = loaded(seconds, metadata_after=schema, rows=rows)
    assert breaches(compare(run, run), EVERYTHING) == []


def test_every_rule_is_broken_where_it_should_be() -> None:
    """With where, and what."""
    slow = run_summary("b" * 32, config_hash="c2", ended_ns=run_summary().started_ns + 9 * 10**9)
    b = loaded(2.5, slow, metadata_after=ENCODED, rows=None)
    assert rules_broken(loaded(), b, EVERYTHING) == [
        ("config", None, "B has another configuration than A"),
        (
            "schema",
            "Loader[cars]",
            "+ O_1; - Origin; ~ Year: int64 -> float64, Year: required -> nullable",
        ),
        ("rows", "Loader[cars]", "406 rows in A, no rows in B"),
        ("slower", "Loader[cars]", "1.00 s in A, 2.50 s in B (+150%)"),
        ("slower", None, "2.00 s in A, 9.00 s in B (+350%)"),
    ]
    assert rules_broken(loaded(), b, Rules()) == []


@pytest.mark.parametrize(
    ("run", "given", "expected"),
    [
        ({"state": "completed"}, {}, []),
        ({"state": "ended"}, {}, []),
        ({"state": "running"}, {}, [("failed", None, "B is running")]),
        ({"state": "cancelled"}, {}, [("failed", None, "B is cancelled")]),
        (
            {"state": "killed", "failed_modules": ("Loader",)},
            {"status": "error", "error_type": "killed"},
            [("failed", "Loader[cars]", "killed")],
        ),
        (
            {"state": "ended", "failed_modules": ("Loader",)},
            {"status": "error", "error_type": "ValueError"},
            [("failed", "Loader[cars]", "ValueError")],
        ),
    ],
)
def test_failed_is_broken_by_whatever_did_not_complete(
    run: dict[str, Any], given: dict[str, Any], expected: list[object]
) -> None:
    """Where an execution is to blame it is named, else the run."""
    b = loaded(run=run_summary("b" * 32, **run), **given)
    assert rules_broken(loaded(), b, Rules(failed=True)) == expected


def test_a_configuration_that_is_not_known_is_not_called_the_same() -> None:
    """Of a Status without an Executor there is no hash; a run is configured as it is itself."""
    a = loaded(run=run_summary(config_hash=None))
    for b in (
        loaded(run=run_summary("b" * 32, config_hash=None)),
        loaded(run=run_summary("b" * 32)),
    ):
        assert compare(a, b).has_config_changed is None
        assert rules_broken(a, b, Rules(config=True)) == [
            ("config", None, "whether B has another configuration than A is not known")
        ]
    assert rules_broken(a, a, Rules(config=True)) == []


def test_what_did_not_succeed_in_both_is_counted() -> None:
    """Also where it failed in A; what only one has is not among them."""
    failed = loaded(status="error", error_type="ValueError", metadata_after=None)
    counts = [
        compare(a, b).unsuccessful_count
        for a, b in (
            (loaded(), failed),
            (failed, loaded()),
            (failed, failed),
            (loaded(), loaded()),
            (paths("Loader[a]"), paths("Loader[b]")),
        )
    ]
    assert counts == [1, 1, 1, 0, 0]


def test_an_execution_that_only_one_run_has_breaks_no_rule() -> None:
    """That B came no further, or is another pipeline, has rules of its own."""
    a, b = paths("Loader[a]", "Loader[b]"), paths("Loader[b]", "Loader[c]")
    assert breaches(compare(a, b), EVERYTHING) == []


@pytest.mark.parametrize(
    ("times", "ratio", "expected"),
    [
        (Times(1.0, 1.21), 0.2, True),
        (Times(1.0, 1.19), 0.2, False),
        (Times(1.0, 1.21, 0.3), 0.2, False),
        (Times(1.0, 1.31, 0.3), 0.2, True),
        (Times(0.001, 0.050), 0.2, False),
        (Times(0.001, 0.052), 0.2, True),
        (Times(0.0, 0.051), 0.2, True),
        (Times(1.0, 0.1), 0.0, False),
        (Times(1.0, None), 0.2, False),
        (Times(1.0, 9.0), None, False),
    ],
)
def test_slower_is_by_percentage_by_noise_and_by_fifty_milliseconds(
    times: Times, ratio: float | None, expected: object
) -> None:
    """All three have to be exceeded."""
    assert is_slower(times, ratio) is expected


def test_rules_are_read_from_a_list() -> None:
    """With spaces and capitals as people type them."""
    assert parse_rules("schema, Slower=12.5%,failed") == Rules(
        schema=True, failed=True, slower_ratio=0.125
    )
    assert parse_rules("rows,config,slower") == Rules(rows=True, config=True, slower_ratio=0.2)
    assert parse_rules("slower=50") == Rules(slower_ratio=0.5)


@pytest.mark.parametrize("text", ["", "schema,", "speed", "slower=", "slower=-5%", "slower=x%"])
def test_an_unknown_rule_is_told_what_there_is(text: str) -> None:
    """A gate with a typing mistake must not be green."""
    with pytest.raises(
        ValueError, match=r"expected a list of schema, rows, config, failed, slower"
    ):
        parse_rules(text)
