"""The layer `prometheus`, our Prometheus configuration and its alerts, with real runs."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from .monitoring import Watched, Watcher, ended, promtool_binary, start_run, watched
from .otlp_files import spans_in
from .servers import COLLECTOR, ROOT, Collector, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROMTOOL = promtool_binary()
if PROMTOOL is None:
    pytest.skip("no prometheus and promtool here", allow_module_level=True)

MODULES = '{petsard_module_name!="", petsard_step_name=""}'
STEPS = '{petsard_step_name!=""}'
MODULE_LABELS = ("service_name", "petsard_module_name", "petsard_experiment_name")
STEP_LABELS = (*MODULE_LABELS, "petsard_step_name")
EXECUTIONS = {
    ("bank", "Loader", "cars"): 2,
    ("bank", "Splitter", "holdout"): 4,
    ("bank", "Preprocessor", "encode"): 4,
    ("bank", "Synthesizer", "copula"): 4,
    ("bank", "Synthesizer", "copula-large"): 4,
    ("bank", "Postprocessor", "decode"): 8,
    ("bank", "Evaluator", "fidelity"): 8,
    ("bank", "Reporter", "tables"): 8,
    ("bank", "Reporter", "scores"): 8,
    ("lab", "Loader", "cars"): 3,
    ("lab", "Describer", "table"): 3,
    ("shop", "Loader", "cars"): 1,
    ("shop", "Preprocessor", "encode"): 1,
}
"""Module executions of the runs: the example twice, the small pipeline three times, a failure."""

MANY = """
import sys
from petsard_otel import Status, configure

class Pipeline:
    sequence = ["Loader"]

class Loaded:
    def get_result(self):
        return None

    def get_metadata(self):
        return None

first, last = int(sys.argv[1]), int(sys.argv[2])
configuration = configure()
status = Status(Pipeline())
for number in range(first, last):
    status.put("Loader", f"experiment {number}", Loaded())
configuration.shutdown(60)
print(configuration.delivery.delivered)
"""
"""Records one execution of each of many experiments, and prints how many spans were delivered."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give runs that have ended, and those who watched them."""
    with watched(tmp_path_factory.mktemp("watched")) as found:
        yield found


def exposed(url: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Return what an exporter shows as OpenMetrics: values by name, and by labels."""
    request = urllib.request.Request(  # noqa: S310  a loopback URL
        url, headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(
            r"(\w+)\{((?:\w+=\"(?:[^\"\\]|\\.)*\",?)*)\} (\S+)(?: # .*)?", line
        ).groups()  # type: ignore[union-attr]
        of_name = found.setdefault(name, {})
        key = frozenset(re.findall(r"(\w+)=\"((?:[^\"\\]|\\.)*)\"", labels))
        assert key not in of_name
        of_name[key] = float(value)
    return found


def added(
    values: dict[frozenset[tuple[str, str]], float], labels: tuple[str, ...]
) -> dict[tuple[str, ...], float]:
    """Add up shown values by some of their labels."""
    found: dict[tuple[str, ...], float] = {}
    for series, value in values.items():
        of = dict(series)
        key = tuple(of.get(label, "") for label in labels)
        found[key] = found.get(key, 0) + value
    return found


def test_what_is_shown_agrees_with_the_timing_reports(seen: Watched) -> None:
    """Counts and seconds of spans, and of the runs' own metrics, are those of the reports."""
    shown = exposed(seen.collector.prometheus)
    of_spans = {
        ending: added(
            {
                series: value
                for series, value in shown[f"traces_span_metrics_{ending}"].items()
                if "petsard_module_name" in dict(series)
            },
            STEP_LABELS,
        )
        for ending in ("calls_total", "duration_seconds_count", "duration_seconds_sum")
    }
    counts = {(*key, ""): count for key, (count, _) in seen.runs.sums(steps=False).items()}
    seconds = {(*key, ""): total for key, (_, total) in seen.runs.sums(steps=False).items()}
    for step, (count, total) in seen.runs.sums(steps=True).items():
        counts[step], seconds[step] = count, total

    assert {key[:3]: count for key, count in counts.items() if key[3] == ""} == EXECUTIONS
    assert counts["bank", "Synthesizer", "copula", "fit"] == 4
    assert of_spans["calls_total"] == counts
    assert of_spans["duration_seconds_count"] == counts
    assert of_spans["duration_seconds_sum"] == pytest.approx(seconds, rel=1e-9)
    own = {
        ending: added(shown[f"petsard_module_duration_seconds_{ending}"], MODULE_LABELS)
        for ending in ("count", "sum")
    }
    assert own["count"] == EXECUTIONS
    assert own["sum"] == pytest.approx(
        {key[:3]: total for key, total in seconds.items() if key[3] == ""}, rel=1e-9
    )


def test_what_prometheus_says_agrees_with_the_timing_reports(seen: Watched) -> None:
    """The same, once Prometheus has scraped it, and for a time range as the dashboards ask."""
    ask = seen.prometheus.values
    sums = {key: total for key, (_, total) in seen.runs.sums(steps=False).items()}
    for name, selector in (
        ("traces_span_metrics_duration_seconds", MODULES),
        ("petsard_module_duration_seconds", ""),
    ):
        by = f"sum by ({', '.join(MODULE_LABELS)})"
        assert ask(f"{by} ({name}_count{selector})", *MODULE_LABELS) == EXECUTIONS
        assert ask(f"{by} ({name}_sum{selector})", *MODULE_LABELS) == pytest.approx(sums, rel=1e-9)
        new = (
            f"{by} (max_over_time({name}_count{selector}[15m]) - "
            f"(max_over_time({name}_count{selector}[1d] offset 15m) or "
            f"max_over_time({name}_count{selector}[15m]) * 0))"
        )
        assert ask(new, *MODULE_LABELS) == EXECUTIONS
    steps = {key: count for key, (count, _) in seen.runs.sums(steps=True).items()}
    assert steps == ask(
        f"sum by ({', '.join(STEP_LABELS)}) (traces_span_metrics_calls_total{STEPS})", *STEP_LABELS
    )


def test_rate_and_increase_would_miss_what_a_short_process_sends(seen: Watched) -> None:
    """Its series come with their last value, which is why no query of ours asks like that."""
    increase = "sum(increase(petsard_run_duration_seconds_count[15m]))"

    assert seen.prometheus.values(increase) == {(): 0}
    assert seen.prometheus.values("sum(petsard_run_duration_seconds_count)") == {(): 6}


def test_runs_are_told_apart_by_their_result(seen: Watched) -> None:
    """Runs have service, engine, result and error; no label holds the id of a run or a trace."""
    runs = seen.prometheus.vector('traces_span_metrics_calls_total{petsard_run_result!=""}')
    labels = [
        {name: value for name, value in run["metric"].items() if name != "collector_instance_id"}
        | {"value": run["value"][1]}
        for run in runs
    ]
    address = seen.collector.prometheus.removeprefix("http://").removesuffix("/metrics")
    common = {
        "__name__": "traces_span_metrics_calls_total",
        "instance": address,
        "petsard_engine": "builtin",
        "span_kind": "SPAN_KIND_SERVER",
        "span_name": "petsard run",
    }
    fine = {"petsard_run_result": "success", "status_code": "STATUS_CODE_UNSET"}
    failed = {
        "petsard_run_result": "error",
        "status_code": "STATUS_CODE_ERROR",
        "error_type": "petsard_otel.exceptions.DataError",
    }
    assert sorted(labels, key=lambda run: run["service_name"]) == [
        {**common, **fine, "service_name": "bank", "job": "bank", "value": "2"},
        {**common, **fine, "service_name": "lab", "job": "lab", "value": "3"},
        {**common, **failed, "service_name": "shop", "job": "shop", "value": "1"},
    ]
    everything = seen.prometheus.vector('{__name__=~"petsard_.+|traces_.+"}')
    ids = {row[key] for row in seen.runs.rows for key in ("trace_id", "span_id")}
    assert not ids & {value for one in everything for value in one["metric"].values()}


def test_a_process_is_an_instance_of_its_service(seen: Watched) -> None:
    """Two processes at the same time keep their own values, and none is left as under way."""
    processes = seen.prometheus.vector('petsard_run_duration_seconds_count{job="bank"}')

    assert [one["value"][1] for one in processes] == ["1", "1"]
    assert len({one["metric"]["instance"] for one in processes}) == 2
    assert seen.prometheus.values("sum(petsard_run_active)") == {(): 0}


def test_a_new_series_begins_at_zero(seen: Watched) -> None:
    """So that rates, such as those of Jaeger's Monitor tab, see the first failure ever."""
    (failures,) = seen.prometheus.vector(
        'traces_span_metrics_calls_total{petsard_run_result="error"}[15m]'
    )

    values = [value for _, value in failures["values"]]
    assert (values[0], values[-1]) == ("0", "1")


def test_splits_count_together_here_and_stay_apart_in_the_trace(seen: Watched) -> None:
    """What counts the spans changes nothing for the others who are given them."""
    experiments = seen.prometheus.ask("label/petsard_experiment_name/values")
    spans = spans_in(seen.collector.folder / "files" / "traces.jsonl")

    assert experiments == [
        "cars",
        "copula",
        "copula-large",
        "decode",
        "encode",
        "fidelity",
        "holdout",
        "scores",
        "table",
        "tables",
    ]
    names = [span.attributes.get("petsard.experiment.name") for span in spans]
    assert (names.count("holdout_[2-1]"), names.count("holdout")) == (4, 0)


def test_exemplars_lead_to_the_very_run(seen: Watched) -> None:
    """Those of a failed run name its trace, of the run as of its module, and nothing else."""
    now = int(time.time())
    for selector in (
        'petsard_run_result="error"',
        'petsard_module_name="Preprocessor", petsard_step_name="", status_code="STATUS_CODE_ERROR"',
    ):
        found = seen.prometheus.ask(
            "query_exemplars",
            query=f"traces_span_metrics_duration_seconds_bucket{{{selector}}}",
            start=now - 900,
            end=now,
        )
        traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
        assert traces == {seen.failed_trace}
    found = seen.prometheus.ask(
        "query_exemplars",
        query='traces_span_metrics_duration_seconds_bucket{petsard_step_name=""}',
        start=now - 900,
        end=now,
    )
    spans = {one["labels"]["span_id"] for series in found for one in series["exemplars"]}
    modules = {row["span_id"] for row in seen.runs.rows if row["source"] == "module"}
    traces = {row["trace_id"] for row in seen.runs.rows}
    assert {one["labels"]["trace_id"] for series in found for one in series["exemplars"]} <= traces
    assert len(spans & modules) > 10


def test_a_failed_run_raises_the_alert_and_nothing_else_does(seen: Watched) -> None:
    """It names service, module, experiment and error, and quotes no column and no cell."""

    def firing() -> list[dict[str, Any]]:
        return [one for one in seen.prometheus.ask("alerts")["alerts"] if one["state"] == "firing"]

    wait_until(firing, "an alert")
    (alert,) = firing()
    assert alert["labels"] == {
        "alertname": "PetsardRunFailed",
        "severity": "warning",
        "service_name": "shop",
        "petsard_module_name": "Preprocessor",
        "petsard_experiment_name": "encode",
        "error_type": "petsard_otel.exceptions.DataError",
    }
    assert alert["annotations"]["summary"] == (
        "shop: Preprocessor[encode] failed with petsard_otel.exceptions.DataError"
    )
    # Jaeger is away: that is waited for, and is an alert after ten minutes.
    pending = [one for one in seen.prometheus.ask("alerts")["alerts"] if one["state"] == "pending"]
    assert [
        (one["labels"]["alertname"], one["labels"]["exporter"]) for one in pending
    ] == [("CollectorNotDelivering", "otlp_grpc/jaeger")]  # fmt: skip


def test_every_rule_can_be_evaluated(seen: Watched) -> None:
    """Each of alerts.yml works on real metrics, and each count that can be there is."""
    rules = [rule for group in seen.prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert len(rules) == 21
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules} == {"ok"}
    ask = seen.prometheus.values
    assert ask("petsard:failed_runs:15m", "service_name") == {("shop",): 1}
    assert ask("petsard:runs:1d", "service_name") == {("bank",): 2, ("lab",): 3, ("shop",): 1}
    assert ask("petsard:runs:7d", "service_name") == {("bank",): 2, ("lab",): 3, ("shop",): 1}
    assert ask("petsard:module_executions:6h", *MODULE_LABELS) == {
        key: count for key, count in EXECUTIONS.items() if key != ("shop", "Preprocessor", "encode")
    }
    queued = ask("collector:queued", "exporter")
    assert set(queued) == {("otlp_grpc/jaeger",)}
    assert queued["otlp_grpc/jaeger",] > 0
    assert set(ask("collector:sent:total", "exporter")) == {
        ("file/logs",), ("file/metrics",), ("file/traces",), ("prometheus",),
    }  # fmt: skip
    assert ask("collector:lost:total", "exporter") == {("otlp_grpc/jaeger",): 0}
    assert ask("collector:refused:total", "receiver") == {("otlp",): 0}


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["check", "config"], "prometheus.yml"),
        (["check", "rules"], "alerts.yml"),
        (["test", "rules"], "alerts.test.yml"),
        (["test", "rules"], "alerts.days.test.yml"),
    ],
)
def test_promtool_accepts(command: list[str], file: str) -> None:
    """Prometheus's own tool finds each file right, and the alerts do what their tests say."""
    done = subprocess.run(
        [str(PROMTOOL), *command, str(COLLECTOR / "prometheus" / file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_a_collector_that_starts_again_loses_no_run(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """Its counts begin anew, in series of their own, and a query of ours adds both parts up."""
    collector = start_collector("prometheus", COLLECTOR_SPAN_METRICS_INTERVAL="2s")
    other = start_collector("prometheus", COLLECTOR_SPAN_METRICS_INTERVAL="2s")
    prometheus = Watcher(tmp_path / "prometheus", collector)
    calls = 'traces_span_metrics_calls_total{petsard_run_result!=""}'
    series = []

    def run(on: Collector) -> None:
        arguments = ["-m", "petsard_otel", "run", "examples/pipeline.yaml", "--quiet"]
        ended(start_run([*arguments, "--endpoint", on.grpc], ROOT, "lab"))
        name = "traces_span_metrics_calls_total"
        wait_until(
            lambda: any(
                value == 1 and ("petsard_run_result", "success") in labels
                for labels, value in exposed(on.prometheus).get(name, {}).items()
            ),
            "the run at the Collector",
        )
        series.append(set(exposed(on.prometheus)[name]))

    prometheus.start()
    try:
        run(collector)
        wait_until(lambda: prometheus.values(f"sum({calls})") == {(): 1}, "one run")
        collector.stop()
        collector.start()
        run(collector)
        run(other)
        wait_until(
            lambda: len(prometheus.vector(f"last_over_time({calls}[15m])")) == 2, "both parts"
        )
        new = (
            f"sum(max_over_time({calls}[15m]) - "
            f"(max_over_time({calls}[1d] offset 15m) or max_over_time({calls}[15m]) * 0))"
        )
        wait_until(lambda: prometheus.values(new) == {(): 2}, "two runs")
    finally:
        prometheus.stop()
    assert [a & b for a, b in combinations(series, 2)] == [set(), set(), set()]
    assert [len(found) for found in series] == [22, 22, 22]


def test_many_experiments_are_counted_together_in_bounded_memory(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """Past the limit there is one more series; totals stay right, and memory stops growing."""
    collector = start_collector(
        "prometheus", COLLECTOR_SPAN_METRICS_LIMIT="100", COLLECTOR_SPAN_METRICS_INTERVAL="1s"
    )
    to = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc, "OTEL_METRICS_EXPORTER": "none"}
    calls = "traces_span_metrics_calls_total"

    def record(first: int, last: int) -> int:
        delivered = ended(
            start_run(["-c", MANY, str(first), str(last)], tmp_path, "wide", **to)
        )  # fmt: skip
        return int(delivered)

    def memory() -> float:
        with urllib.request.urlopen(collector.telemetry, timeout=10) as answer:  # noqa: S310
            shown = answer.read().decode()
        (size,) = re.findall(r"^otelcol_process_memory_rss(?:\{.*\})? (\S+)$", shown, re.MULTILINE)
        return float(size)

    spans = record(0, 3000)
    assert spans == 3000
    wait_until(
        lambda: sum(exposed(collector.prometheus).get(calls, {}).values()) == spans, "all of them"
    )
    shown = exposed(collector.prometheus)
    assert len(shown[calls]) == 101
    overflow = frozenset({("otel_metric_overflow", "true"), ("job", "wide")})
    assert shown[calls][overflow] == spans - 100
    assert shown["traces_span_metrics_duration_seconds_count"][overflow] == spans - 100

    before = memory()
    spans += record(3000, 15000)
    wait_until(
        lambda: sum(exposed(collector.prometheus)[calls].values()) == spans, "the others as well"
    )
    assert spans == 15000
    assert len(exposed(collector.prometheus)[calls]) == 101
    assert memory() - before < 60e6
