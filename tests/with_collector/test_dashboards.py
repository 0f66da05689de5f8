"""Every query of `collector/grafana/dashboards/`, asked of a real Prometheus after real runs."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .monitoring import Watched, promtool_binary, watched
from .servers import COLLECTOR, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMTOOL = promtool_binary()
if PROMTOOL is None:
    pytest.skip("no prometheus and promtool here", allow_module_level=True)

ALL = {"service": ".*", "engine": ".*", "module": ".*", "experiment": ".*", "instance": ".*"}
"""What Grafana puts in for a variable of which all values are chosen."""

ZERO = {
    ("PETsARD runs", "Last run"): "it was within this minute",
    ("PETsARD runs", "Under way"): "all runs have ended",
    ("PETsARD runs", "Runs under way"): "all runs have ended",
    ("PETsARD collector", "Lost"): "nothing was lost",
    ("PETsARD collector", "Not told apart"): "there are few experiments",
    ("PETsARD collector", "Refused"): "nothing was refused",
}
"""Panels that may show nothing but zero here, and why."""

SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Query:
    """One query of one panel, and what Grafana needs of the panel to ask it."""

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def where(self) -> tuple[str, str]:
        """Its dashboard and its panel."""
        return self.board, self.panel["title"]

    def expression(self, **chosen: str) -> str:
        """Return it with the variables put in, as Grafana does."""
        found = str(self.target["expr"])
        interval = self.panel.get("interval", "10s")
        for name, value in {
            "__rate_interval": "40s",
            "__interval": interval,
            "__range": "600s",
            **ALL,
            **chosen,
        }.items():
            found = re.sub(rf"\${name}\b", value, found)
        assert "$" not in found
        return found

    def ask(self, watched_runs: Watched, **chosen: str) -> list[dict[str, Any]]:
        """Return the series that it gives, each with its `samples`."""
        expression = self.expression(**chosen)
        if self.target["instant"]:
            found = watched_runs.prometheus.vector(expression)
            return [{"metric": one["metric"], "samples": [float(one["value"][1])]} for one in found]
        amount, unit = re.fullmatch(r"(\d+)([smh])", self.panel.get("interval", "10s")).groups()  # type: ignore[union-attr]
        found = watched_runs.prometheus.graph(expression, int(amount) * SECONDS[unit])
        return [
            {"metric": one["metric"], "samples": [float(value) for _, value in one["values"]]}
            for one in found
        ]


def boards() -> list[dict[str, Any]]:
    """Return the dashboards."""
    paths = sorted((COLLECTOR / "grafana" / "dashboards").glob("*.json"))
    return [json.loads(path.read_text()) for path in paths]


QUERIES = [
    Query(board["title"], panel, target)
    for board in boards()
    for panel in board["panels"]
    for target in panel.get("targets", [])
]


def query(board: str, panel: str, reference: str = "A") -> Query:
    """Return one query by its place."""
    (found,) = [
        one
        for one in QUERIES
        if one.where == (board, panel) and one.target["refId"] == reference
    ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give runs that have ended, and those who watched them."""
    with watched(tmp_path_factory.mktemp("watched")) as found:
        wait_until(lambda: found.prometheus.vector('ALERTS{alertstate="firing"}'), "an alert")
        yield found


@pytest.mark.parametrize(
    "one", QUERIES, ids=lambda one: "-".join([*one.where, one.target["refId"]])
)
def test_query_gives_what_the_panel_shows(seen: Watched, one: Query) -> None:
    """There is data, with the labels that the legend or the columns show, and not all is zero."""
    series = one.ask(seen)

    numbers = [value for each in series for value in each["samples"] if not math.isnan(value)]
    assert numbers
    assert any(numbers) or one.where in ZERO
    shown = re.findall(r"\{\{\s*(\w+)\s*\}\}", one.target.get("legendFormat", ""))
    if one.panel["type"] == "table":
        (columns,) = [
            change["options"]["indexByName"]
            for change in one.panel["transformations"]
            if change["id"] == "organize"
        ]
        shown = [name for name in columns if not name.startswith("Value")]
    for label in shown:
        assert all(each["metric"].get(label) for each in series), label
    # What Grafana names alike it shows as one.
    named = [tuple(each["metric"].get(label) for label in shown) for each in series]
    assert len(set(named)) == len(series)


@pytest.mark.parametrize(
    "one",
    [one for one in QUERIES if "$service" in one.target["expr"]],
    ids=lambda one: "-".join([*one.where, one.target["refId"]]),
)
def test_query_gives_nothing_of_a_service_that_is_not_chosen(seen: Watched, one: Query) -> None:
    """Each query with the variable keeps to it, also where there is nothing of it at all."""
    series = one.ask(seen, service="nobody")

    assert [value for each in series for value in each["samples"] if value > 0] == []


def test_counts_are_whole_and_complete(seen: Watched) -> None:
    """The bars of a graph add up to the runs, and the numbers beside it say the same."""
    bars = query("PETsARD runs", "Runs by result").ask(seen)
    beside = query("PETsARD runs", "Runs").ask(seen)

    for series in (bars, beside):
        assert {one["metric"]["petsard_run_result"]: sum(one["samples"]) for one in series} == {
            "success": 5,
            "error": 1,
        }
    (failed,) = query("PETsARD runs", "Failed").ask(seen)
    assert failed["samples"] == [pytest.approx(1 / 6)]
    (failed,) = query("PETsARD runs", "Failed").ask(seen, service="(bank|lab)")
    assert failed["samples"] == [0]
    (age, *others) = query("PETsARD runs", "Last run").ask(seen)
    assert len(others) == 2
    assert -60 < age["samples"][0] < 600


def test_a_failure_is_named(seen: Watched) -> None:
    """The table has one row, which says where it was and what it was."""
    (failure,) = query("PETsARD runs", "Failures by module").ask(seen)

    assert failure == {
        "metric": {
            "service_name": "shop",
            "petsard_module_name": "Preprocessor",
            "petsard_experiment_name": "encode",
            "error_type": "petsard_otel.exceptions.DataError",
        },
        "samples": [1],
    }


def test_durations_are_those_of_the_reports(seen: Watched) -> None:
    """Mean and total of each experiment agree with `get_timing_report_data()`."""
    title = "Experiments, slowest first"
    found = {
        reference: {
            (
                one["metric"]["petsard_module_name"],
                one["metric"]["petsard_experiment_name"],
            ): one["samples"][0]
            for one in query("PETsARD modules", title, reference).ask(seen, service="bank")
        }
        for reference in ("A", "C", "G")
    }
    sums = {
        key[1:]: of for key, of in seen.runs.sums(steps=False).items() if key[0] == "bank"
    }  # fmt: skip

    assert found["A"] == {key: count for key, (count, _) in sums.items()}
    assert found["A"]["Synthesizer", "copula"] == 4
    assert found["C"] == pytest.approx(
        {key: total / count for key, (count, total) in sums.items()}, rel=1e-9
    )
    assert found["G"] == pytest.approx({key: total for key, (_, total) in sums.items()}, rel=1e-9)


def test_rows_are_those_of_the_tables(seen: Watched) -> None:
    """Of each module's tables: how many, how long on average, and all their rows."""
    rows = {
        reference: {
            (
                one["metric"]["petsard_module_name"],
                one["metric"]["petsard_experiment_name"],
            ): one["samples"][0]
            for one in query("PETsARD modules", "Rows by experiment", reference).ask(
                seen, service="bank"
            )
        }
        for reference in ("A", "B", "C")
    }

    assert {key: tuple(of[key] for of in rows.values()) for key in rows["A"]} == {
        ("Loader", "cars"): (2, 406, 812),
        ("Splitter", "holdout"): (4, 325, 1300),
        ("Preprocessor", "encode"): (4, 325, 1300),
        ("Synthesizer", "copula"): (4, 325, 1300),
        ("Synthesizer", "copula-large"): (4, 1000, 4000),
        ("Postprocessor", "decode"): (8, 662.5, 5300),
    }
    changes = query("PETsARD modules", "Schema changes").ask(seen, service="bank")
    assert {one["metric"]["petsard_module_name"]: sum(one["samples"]) for one in changes} == {
        "Preprocessor": 4,
        "Postprocessor": 8,
    }


def test_variables_offer_what_there_is(seen: Watched) -> None:
    """The lists at the top of each dashboard, asked for as Grafana asks for them."""
    found = {}
    for board in boards():
        for variable in board["templating"]["list"]:
            selector, label = re.fullmatch(
                r"label_values\((.+), (\w+)\)", variable["definition"]
            ).groups()  # type: ignore[union-attr]
            for name, value in ALL.items():
                selector = re.sub(rf"\${name}\b", value, selector)
            now = int(time.time())
            values = seen.prometheus.ask(
                f"label/{label}/values", **{"match[]": selector, "start": now - 600, "end": now}
            )
            found[board["title"], variable["name"]] = values

    address = seen.collector.telemetry.removeprefix("http://").removesuffix("/metrics")
    assert found == {
        ("PETsARD collector", "instance"): [address],
        ("PETsARD modules", "service"): ["bank", "lab", "shop"],
        ("PETsARD modules", "module"): [
            "Describer",
            "Evaluator",
            "Loader",
            "Postprocessor",
            "Preprocessor",
            "Reporter",
            "Splitter",
            "Synthesizer",
        ],
        ("PETsARD modules", "experiment"): [
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
        ],
        ("PETsARD runs", "service"): ["bank", "lab", "shop"],
        ("PETsARD runs", "engine"): ["builtin"],
    }


@pytest.mark.parametrize(
    ("board", "panel", "service"),
    [
        ("PETsARD runs", "Duration of successful runs", "lab"),
        ("PETsARD modules", "Duration of what is selected", "shop"),
    ],
)
def test_points_of_a_graph_lead_to_traces(
    seen: Watched, board: str, panel: str, service: str
) -> None:
    """Grafana asks for exemplars with the graph's own query, and gets those of the runs in it."""
    one = query(board, panel)
    assert one.target["exemplar"] is True
    now = int(time.time())

    found = seen.prometheus.ask(
        "query_exemplars", query=one.expression(service=service), start=now - 600, end=now
    )

    traces = {each["labels"]["trace_id"] for series in found for each in series["exemplars"]}
    assert traces
    # One for each bucket and scrape: of runs that take equally long at the same time one is shown.
    assert traces <= {row["trace_id"] for row in seen.runs.rows if row["service"] == service}


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    """Each is an expression to Prometheus's own tool as well."""
    rules = [
        {"record": f"panel:{number}", "expr": one.expression()}
        for number, one in enumerate(QUERIES)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(QUERIES)} rules found" in done.stdout
