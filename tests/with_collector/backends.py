"""The real back ends of the tests: Jaeger with our configuration, and Prometheus."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

import yaml

from .servers import COLLECTOR, Server, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from .servers import Collector

CONFIG = COLLECTOR / "jaeger" / "config.yaml"


def jaeger_binary() -> str:
    """Return the path of Jaeger's program, which the environment names."""
    return os.environ["JAEGER_BIN"]


def get_json(url: str, **parameters: str | int) -> Any:
    """Return the JSON that a GET of a URL gives."""
    if parameters:
        url = f"{url}?{urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  a loopback URL
        return json.load(answer)


class Jaeger(Server):
    """Jaeger with `collector/jaeger/config.yaml`, on free ports.

    Args:
        folder: Where it keeps its spans.
        prometheus: The URL of the Prometheus that its Monitor tab asks.
        config: Its configuration, of the same variables.

    Attributes:
        otlp: Where it takes spans, as the Collector's layer `jaeger` wants to be told.
        url: Its pages, and what they ask.
    """

    def __init__(
        self, folder: Path, prometheus: str = "http://127.0.0.1:1", config: Path = CONFIG
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = ("OTLP", "QUERY", "QUERY_GRPC", "HEALTH", "TELEMETRY")
        ports = {name: free_port() for name in names}
        self.otlp = f"127.0.0.1:{ports['OTLP']}"
        self.url = f"http://127.0.0.1:{ports['QUERY']}"
        super().__init__(
            [jaeger_binary(), "--config", str(config)],
            folder / "jaeger.log",
            f"http://127.0.0.1:{ports['HEALTH']}/status",
            {
                **{f"JAEGER_{name}_PORT": str(port) for name, port in ports.items()},
                "JAEGER_DATA": str(folder),
                "JAEGER_UI_CONFIG": str(COLLECTOR / "jaeger" / "ui.json"),
                "PROMETHEUS_URL": prometheus,
            },
        )

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """Return a trace as Jaeger's page asks for it; None where there is none."""
        try:
            answer = get_json(f"{self.url}/api/traces/{trace_id}")
        except HTTPError as error:
            if error.code != 404:
                raise
            return None
        (trace,) = answer["data"]
        return dict(trace)

    def otlp_trace(self, trace_id: str) -> dict[str, Any]:
        """Return a trace as OTLP."""
        answer = get_json(f"{self.url}/api/v3/traces/{trace_id}")
        return dict(answer["result"])


class Prometheus(Server):
    """Prometheus with `collector/prometheus/prometheus.yml`; it scrapes a Collector each second.

    Args:
        folder: Where it keeps its samples.
        collector: The Collector, which runs with the layer `prometheus`.

    Attributes:
        url: What it answers at.
    """

    def __init__(self, folder: Path, collector: Collector) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
        settings["global"]["scrape_interval"] = "1s"
        del settings["rule_files"]
        places = {"petsard": collector.prometheus, "collector": collector.telemetry}
        for scraped in settings["scrape_configs"]:
            target = urlsplit(places[scraped["job_name"]]).netloc
            scraped["static_configs"] = [{"targets": [target]}]
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(settings))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        super().__init__(
            [
                os.environ.get("PROMETHEUS_BIN", "prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
            ],
            folder / "prometheus.log",
            f"{self.url}/-/ready",
            {},
        )
