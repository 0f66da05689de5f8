"""Dashboards and alerts as files: they are sound, and ask for metrics that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from petsard_otel import attributes
from petsard_otel.telemetry.metrics import DURATION_BOUNDARIES

COLLECTOR = Path(__file__).parents[1] / "collector"
PATHS = sorted((COLLECTOR / "grafana" / "dashboards").glob("*.json"))
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
HISTOGRAM = ("_bucket", "_count", "_sum")

FOREIGN_METRICS = {
    # The Collector's own, at :8888.
    "otelcol_exporter_queue_capacity",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_sent_log_records",
    "otelcol_exporter_sent_metric_points",
    "otelcol_exporter_sent_spans",
    "otelcol_process_cpu_seconds",
    "otelcol_process_memory_rss",
    "otelcol_process_uptime",
    "otelcol_receiver_accepted_log_records",
    "otelcol_receiver_accepted_metric_points",
    "otelcol_receiver_accepted_spans",
    "otelcol_receiver_refused_metric_points",
    "otelcol_receiver_refused_spans",
    # Its connector's, of spans.
    "traces_span_metrics_calls_total",
    *(f"traces_span_metrics_duration_seconds{ending}" for ending in HISTOGRAM),
    # Prometheus's own.
    "ALERTS",
    "scrape_samples_scraped",
    "up",
}

FOREIGN_LABELS = {
    "__name__", "alertname", "alertstate", "data_type", "exporter", "instance", "job", "le",
    "otel_metric_overflow", "receiver", "service_name", "severity", "status_code",
}  # fmt: skip

WORDS = {
    "and", "by", "bool", "group_left", "histogram_quantile", "increase", "last_over_time", "max",
    "max_over_time", "offset", "on", "or", "rate", "sum", "time", "timestamp", "unless", "vector",
}  # fmt: skip
"""Of PromQL."""


def shown(key: str) -> str:
    """Return a name of OpenTelemetry's as Prometheus shows it."""
    return key.replace(".", "_")


def constants(prefix: str = "") -> set[str]:
    """Return the names that `attributes.py` defines, as Prometheus shows them."""
    return {
        shown(value)
        for name, value in vars(attributes).items()
        if name.isupper() and name.startswith(prefix) and isinstance(value, str)
    }


OWN_METRICS = {
    *(shown(attributes.METRIC_MODULE_DURATION) + "_seconds" + ending for ending in HISTOGRAM),
    *(shown(attributes.METRIC_RUN_DURATION) + "_seconds" + ending for ending in HISTOGRAM),
    *(shown(attributes.METRIC_MODULE_ROWS) + ending for ending in HISTOGRAM),
    shown(attributes.METRIC_RUN_ACTIVE),
    shown(attributes.METRIC_SCHEMA_CHANGES) + "_total",
}


def layer() -> dict[str, Any]:
    """Return the Collector's layer."""
    return dict(yaml.safe_load((COLLECTOR / "prometheus.yaml").read_text()))


def rules() -> list[dict[str, Any]]:
    """Return what alerts.yml records, and alerts to."""
    groups = yaml.safe_load((COLLECTOR / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    return dict(json.loads(path.read_text()))


def expressions() -> list[str]:
    """Return every expression there is."""
    found = [rule["expr"] for rule in rules()]
    for path in PATHS:
        found += [
            target["expr"]
            for panel in board(path)["panels"]
            for target in panel.get("targets", [])
        ]  # fmt: skip
        found += [
            re.fullmatch(r"label_values\((.+), \w+\)", variable["definition"]).group(1)  # type: ignore[union-attr]
            for variable in board(path)["templating"]["list"]
        ]
    return found


def names(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that an expression names."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", text))
    for listed in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", text):
        labels |= set(re.findall(r"\w+", listed))
    text = re.sub(r"\b(?:by|on)\s*\([^)]*\)", "", text)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\boffset \$?\w+", "", text)
    return set(re.findall(r"(?<![\w:])[A-Za-z_][\w:]*", text)) - WORDS, labels


def test_there_are_three_dashboards() -> None:
    """Each has an address of its own that links can rely on."""
    found = {(path.name, board(path)["uid"], board(path)["title"]) for path in PATHS}

    assert found == {
        ("collector.json", "petsard-collector", "PETsARD collector"),
        ("modules.json", "petsard-modules", "PETsARD modules"),
        ("runs.json", "petsard-runs", "PETsARD runs"),
    }


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_dashboard_is_sound(path: Path) -> None:
    """Panels have an id each, do not overlap, and say what they show and that there is nothing."""
    found = board(path)

    # 39 is Grafana 11's; newer ones bring it up to theirs.
    assert found["schemaVersion"] == 39
    assert "petsard" in found["tags"]
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    cells = {
        panel["title"]: {
            (x, y)
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        }
        for panel in panels
    }
    assert all(x < 24 for taken in cells.values() for x, _ in taken)
    assert [pair for pair in combinations(cells, 2) if cells[pair[0]] & cells[pair[1]]] == []
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert all(target["instant"] != target["range"] for target in panel["targets"])
        # What is asked for over the whole range is asked for once, not at each step of a graph.
        assert all(
            ("$__range" in target["expr"]) <= target["instant"] for target in panel["targets"]
        )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_dashboard_uses_what_is_provisioned(path: Path) -> None:
    """Its data sources are those of the provisioning, its variables its own."""
    file = COLLECTOR / "grafana" / "provisioning" / "datasources" / "petsard.yaml"
    sources = {source["uid"]: source for source in yaml.safe_load(file.read_text())["datasources"]}
    text = path.read_text()
    found = board(path)

    assert {(uid, source["type"]) for uid, source in sources.items()} == {
        ("petsard-prometheus", "prometheus"),
        ("petsard-jaeger", "jaeger"),
    }
    (link,) = sources["petsard-prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert (link["name"], link["datasourceUid"]) == ("trace_id", "petsard-jaeger")
    places = [*found["panels"], *found["templating"]["list"]]
    places += [target for panel in found["panels"] for target in panel.get("targets", [])]
    used = {place["datasource"]["uid"] for place in places if "datasource" in place}
    assert used == {"petsard-prometheus"}
    declared = {variable["name"] for variable in found["templating"]["list"]}
    builtin = {"__all", "__interval", "__range", "__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", text)) <= declared | builtin
    # A list that is not used would be a filter that does nothing.
    expressions = " ".join(
        target["expr"] for panel in found["panels"] for target in panel.get("targets", [])
    )
    assert declared <= set(re.findall(r"\$(\w+)", expressions))


def test_scrape_interval_is_known_to_all() -> None:
    """Grafana knows it, and the Collector shows new series for longer than that."""
    scraped = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
    file = COLLECTOR / "grafana" / "provisioning" / "datasources" / "petsard.yaml"
    (source,) = [
        source
        for source in yaml.safe_load(file.read_text())["datasources"]
        if source["type"] == "prometheus"
    ]
    flushed = layer()["connectors"]["span_metrics"]["metrics_flush_interval"]

    assert scraped["global"]["scrape_interval"] == "10s"
    assert source["jsonData"]["timeInterval"] == "10s"
    assert flushed == "${env:COLLECTOR_SPAN_METRICS_INTERVAL:-15s}"


@pytest.mark.parametrize("name", ["prometheus", "monitor"])
def test_buckets_of_spans_are_those_of_the_metrics(name: str) -> None:
    """So that a percentile is the same, wherever it is read off."""
    (connector,) = yaml.safe_load((COLLECTOR / f"{name}.yaml").read_text())["connectors"].values()
    buckets = connector["histogram"]["explicit"]["buckets"]
    seconds = []
    for bucket in buckets:
        amount, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", bucket).groups()  # type: ignore[union-attr]
        seconds.append(int(amount) * SECONDS[unit])

    assert seconds == pytest.approx(DURATION_BOUNDARIES)


def test_dimensions_are_few_and_ours() -> None:
    """None is an id: each value of each dimension is a time series."""
    dimensions = [each["name"] for each in layer()["connectors"]["span_metrics"]["dimensions"]]

    assert dimensions == [
        attributes.MODULE_NAME,
        attributes.EXPERIMENT_NAME,
        attributes.STEP_NAME,
        attributes.ENGINE,
        attributes.RUN_RESULT,
        attributes.ERROR_TYPE,
    ]


def test_every_metric_and_label_is_known() -> None:
    """A renamed key, or a slip of the pen, would leave a panel empty and an alert silent."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    metrics: set[str] = set()
    labels: set[str] = set()
    for expression in expressions():
        found = names(expression)
        metrics |= found[0]
        labels |= found[1]

    assert metrics - recorded - FOREIGN_METRICS - OWN_METRICS == set()
    assert recorded - metrics == set()
    assert labels - FOREIGN_LABELS - constants() == set()
    assert {"petsard_run_active", "petsard_module_rows_sum"} < metrics
    assert {"petsard_module_name", "petsard_run_result", "error_type"} < labels


def test_alerts_say_what_to_do() -> None:
    """Each has a summary, a description and a severity, and only labels that are names."""
    alerts = [rule for rule in rules() if "alert" in rule]

    assert [alert["alert"] for alert in alerts] == [
        "PetsardRunFailed",
        "PetsardRunVanished",
        "PetsardModuleSlower",
        "PetsardNoRun",
        "CollectorDown",
        "CollectorQueueFilling",
        "CollectorNotDelivering",
        "CollectorLosing",
        "CollectorRefusing",
    ]
    for alert in alerts:
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert set(alert["annotations"]) == {"summary", "description"}
        assert len(alert["annotations"]["description"]) > 80
        used = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        assert used <= {
            "error_type",
            "exporter",
            "instance",
            "petsard_experiment_name",
            "petsard_module_name",
            "receiver",
            "service_name",
        }
