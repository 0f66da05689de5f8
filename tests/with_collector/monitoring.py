"""Runs that were watched: by a Collector and a Prometheus with the files of `collector/`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from petsard_otel.telemetry.spans import experiment_label

from .backends import Prometheus, get_json
from .servers import COLLECTOR, ROOT, Collector, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FAILING = """
Loader:
  cars: {filepath: examples/cars.csv}
Preprocessor:
  encode:
    method: custom
    sequence: [encoder]
    config: {encoder: {NoSuchColumn: encoder_onehot}}
"""
"""Its Preprocessor fails: the column is not there."""

LAYERS = ("privacy", "jaeger", "file", "prometheus")
"""Those of docker-compose.yml, with a Jaeger that is away, and files in which to look."""

SEVERAL = """
import json, sys
from petsard_otel import Executor, configure
configure(sys.argv[1], service_name="lab")
rows = []
for _ in range(3):
    executor = Executor("small.yaml")
    executor.run()
    table = executor.status.get_timing_report_data(steps=True)
    rows += json.loads(table.to_json(orient="records"))
print(json.dumps(rows))
"""
"""Three runs in one process."""

SMALL = """
Loader:
  cars: {filepath: examples/cars.csv}
Describer:
  table: {method: default, source: Loader}
"""


def promtool_binary() -> str | None:
    """Return the path of promtool, which comes with Prometheus; None where either is absent."""
    prometheus = shutil.which(os.environ.get("PROMETHEUS_BIN", "prometheus"))
    return prometheus and shutil.which("promtool", path=str(Path(prometheus).parent))


class Watcher(Prometheus):
    """Prometheus with all of `collector/prometheus/`, which tries every rule each second."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        super().__init__(folder, collector)
        config = folder / "prometheus.yml"
        settings = yaml.safe_load(config.read_text())
        settings["global"]["evaluation_interval"] = "1s"
        settings["rule_files"] = ["alerts.yml"]
        config.write_text(yaml.safe_dump(settings))
        alerts = (COLLECTOR / "prometheus" / "alerts.yml").read_text()
        (folder / "alerts.yml").write_text(alerts.replace("interval: 5m", "interval: 1s"))

    def ask(self, path: str, **parameters: str | int) -> Any:
        """Return what its interface says, where that is no error."""
        answer = get_json(f"{self.url}/api/v1/{path}", **parameters)
        assert answer["status"] == "success"
        return answer["data"]

    def vector(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now, one entry for each series."""
        return list(self.ask("query", query=expression)["result"])

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return what an expression gives now, by some of its labels."""
        found = {
            tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1])
            for one in self.vector(expression)
        }
        assert len(found) == len(self.vector(expression))
        return found

    def graph(self, expression: str, step_seconds: int) -> list[dict[str, Any]]:
        """Return what an expression gave, step for step, during the last ten minutes."""
        end = time.time()
        start = end - 600 // step_seconds * step_seconds
        found = self.ask(
            "query_range", query=expression, start=str(start), end=str(end), step=step_seconds
        )
        return list(found["result"])


@dataclass
class Runs:
    """What the runs said of themselves: the rows of `get_timing_report_data(steps=True)`.

    Attributes:
        rows: All rows, with the service that each was of.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, service: str, printed: str) -> list[dict[str, Any]]:
        """Take the rows that a process printed."""
        new = [{**row, "service": service} for row in json.loads(printed)]
        self.rows += new
        return new

    def sums(self, *, steps: bool) -> dict[tuple[str, ...], tuple[int, float]]:
        """Return how many executions there were, and how long they took together.

        By service, module and experiment, and by step where it is the steps that are asked for.
        """
        found: dict[tuple[str, ...], tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        for row in self.rows:
            is_step = row["source"] != "module"
            if is_step != steps:
                continue
            experiment = experiment_label(row["experiment_name"])
            key: tuple[str, ...] = (row["service"], row["module_name"], experiment)
            if steps:
                key = (*key, row["step_name"])
            count, seconds = found[key]
            found[key] = (count + 1, seconds + row["duration_seconds"])
        return dict(found)


@dataclass
class Watched:
    """Runs that have ended, and those who watched them."""

    collector: Collector
    prometheus: Watcher
    runs: Runs
    failed_trace: str


def start_run(
    arguments: Sequence[str], folder: Path, service: str, **environment: str
) -> subprocess.Popen[str]:
    """Start Python with these arguments, as a process whose runs are those of a service."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OTEL_SERVICE_NAME": service, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a process, and return what it printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Give a Collector and a Prometheus after six runs in four processes, one of which failed.

    Two processes of one service run the example at the same time; one of another service runs a
    small pipeline three times; one of a third fails. Two of them send logs.
    """
    (folder / "examples").mkdir()
    for name in ("pipeline.yaml", "cars.csv"):
        shutil.copy(ROOT / "examples" / name, folder / "examples")
    (folder / "failing.yaml").write_text(FAILING)
    (folder / "small.yaml").write_text(SMALL)
    collector = Collector(
        LAYERS,
        folder / "collector",
        COLLECTOR_SPAN_METRICS_INTERVAL="2s",
        JAEGER_ENDPOINT=f"127.0.0.1:{free_port()}",
    )
    prometheus = Watcher(folder / "prometheus", collector)
    runs = Runs()
    try:
        collector.start()
        prometheus.start()
        # It first looks for targets seconds after it is ready: what is shown for one interval only,
        # as exemplars are, would be over by then.
        wait_until(
            lambda: prometheus.values("sum(up)") == {(): 2}, "Prometheus's first look at both"
        )
        run = ["-m", "petsard_otel", "run", "--format", "json", "--steps", "--quiet"]
        to = ["--endpoint", collector.grpc]
        example = [*run, "examples/pipeline.yaml", *to]
        started = [
            start_run(example, folder, "bank"),
            start_run(example, folder, "bank", PETSARD_OTEL_LOGS="true"),
            start_run(["-c", SEVERAL, collector.grpc], folder, "lab"),
        ]
        for service, process in zip(("bank", "bank", "lab"), started, strict=True):
            runs.add(service, ended(process))
        failed = start_run([*run, "failing.yaml", *to], folder, "shop", PETSARD_OTEL_LOGS="true")
        rows = runs.add("shop", ended(failed, code=1))
        wanted = {
            'traces_span_metrics_calls_total{petsard_run_result!=""}': 6,
            "petsard_run_duration_seconds_count": 6,
            # What the rules make of it a moment later.
            "petsard:failed_modules:15m": 1,
            "petsard:runs:1d": 6,
            "petsard:runs:7d": 6,
            "petsard:module_executions:6h": 57,
        }
        wait_until(
            lambda: all(
                prometheus.values(f"sum({what})") == {(): number} for what, number in wanted.items()
            ),
            "all runs in Prometheus",
        )
        yield Watched(collector, prometheus, runs, rows[0]["trace_id"])
    finally:
        prometheus.stop()
        collector.stop()
