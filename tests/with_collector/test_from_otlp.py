"""A Status out of what real servers keep: the Collector's files, Jaeger on disk and in memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import yaml

from petsard_otel import Executor, Status, configure
from petsard_otel.exceptions import SourceError
from petsard_otel.history.reading import open_history
from petsard_otel.rebuilding import rebuilt
from petsard_otel.telemetry.otlp.jaeger_json import jaeger_data
from petsard_otel.telemetry.otlp.spans import spans_of

from ..observed import assert_equal_answers
from .backends import CONFIG, Jaeger
from .servers import ROOT
from .test_fidelity import arrived
from .test_jaeger import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .servers import Collector


@pytest.fixture(params=["badger", "memory"])
def jaeger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jaeger]:
    """Start Jaeger with our configuration, and with one that keeps nothing on disk."""
    config = yaml.safe_load(CONFIG.read_text())
    if request.param == "memory":
        backends = config["extensions"]["jaeger_storage"]["backends"]
        backends["badger"] = {"memory": {"max_traces": 1000}}
    path = tmp_path / "jaeger.yaml"
    path.write_text(yaml.safe_dump(config))
    jaeger = Jaeger(tmp_path / "jaeger", config=path)
    jaeger.start()
    yield jaeger
    jaeger.stop()


def pipeline(folder: Path) -> Path:
    """Write the demo's pipeline such that it writes beside itself, with a wide table beside it."""
    names = [f"Spalte größer {number}" for number in range(300)]
    pd.DataFrame(np.zeros((4, 300)), columns=names).to_parquet(folder / "wide.parquet")
    text = (ROOT / "examples/pipeline.yaml").read_text()
    text = text.replace("examples/cars.csv", str(ROOT / "examples/cars.csv"))
    config = yaml.safe_load(text.replace("build/demo/", f"{folder}/out/"))
    config["Loader"] = {"wide": {"filepath": str(folder / "wide.parquet")}, **config["Loader"]}
    config["Preprocessor"] = {"default": {"method": "default"}}
    del config["Evaluator"]
    config["Reporter"].pop("scores")
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def test_the_collectors_file_answers_as_the_run_did(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """Through the layer `file`, wide tables and two splits included."""
    collector = start_collector("privacy", "file")
    configuration = configure(collector.grpc)
    executor = Executor(pipeline(tmp_path), engine="builtin")
    executor.run()
    configuration.shutdown(60)
    assert configuration.delivery is not None
    arrived(collector, configuration.delivery.delivered)

    status = Status.from_otlp(collector.folder / "files" / "traces.jsonl")

    assert_equal_answers(status, executor.status)


def test_the_url_that_run_prints_answers_as_the_run_did(
    start_collector: Callable[..., Collector], jaeger: Jaeger, tmp_path: Path
) -> None:
    """Over the page's URL and over both of its APIs, as far as their times are exact."""
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "petsard_otel", "run", str(pipeline(tmp_path))),
            *("--engine", "builtin", "--endpoint", collector.grpc),
        ],
        cwd=tmp_path,
        env={**os.environ, "PETSARD_OTEL_TRACE_URL": f"{jaeger.url}/trace/{{trace_id}}"},
        capture_output=True,
        text=True,
        check=True,
    )
    (url,) = re.findall(rf"{jaeger.url}/trace/[0-9a-f]{{32}}", done.stdout + done.stderr)
    trace_id = url.rpartition("/")[2]
    with open_history(tmp_path) as history:
        spans = history.spans(history.find("last"))
    trace_of(jaeger, trace_id, len(spans))
    kept = Status.load("last", tmp_path)

    for source in (
        url,
        f"{url}?uiFind=Loader",
        f"{jaeger.url}/api/v3/traces/{trace_id}",
        f"{jaeger.url}/api/traces/{trace_id}",
    ):
        assert_equal_answers(Status.from_otlp(source), kept)

    unknown = f"{jaeger.url}/trace/{'1' * 32}"
    with pytest.raises(SourceError, match=r"has no trace 1{32}; .* try again"):
        Status.from_otlp(unknown)


def test_jaegers_own_json_answers_as_the_run_did_but_for_the_last_digits(
    start_collector: Callable[..., Collector], jaeger: Jaeger, tmp_path: Path
) -> None:
    """Its older API cuts times to microseconds; all else is as it was."""
    collector = start_collector("privacy", "jaeger", JAEGER_ENDPOINT=jaeger.otlp)
    configuration = configure(collector.grpc)
    executor = Executor(pipeline(tmp_path), engine="builtin")
    executor.run()
    configuration.shutdown(60)
    assert configuration.delivery is not None
    trace_id = str(executor.status.get_status_summary()["trace_id"])
    trace = trace_of(jaeger, trace_id, configuration.delivery.delivered)

    spans = [span for data in jaeger_data({"data": [trace]}) for span in spans_of(data)]
    found = rebuilt(spans)

    live = executor.status
    assert found.get_full_expt() == live.get_full_expt()
    assert [lineage.schema for lineage in found.get_schema_lineage()] == [
        lineage.schema for lineage in live.get_schema_lineage()
    ]
    for mine, theirs in zip(found.get_snapshots(), live.get_snapshots(), strict=True):
        assert abs(mine.timestamp_ns - theirs.timestamp_ns) < 2000
        assert mine._replace(timestamp_ns=0) == theirs._replace(timestamp_ns=0)
    for timing, live_timing in zip(
        sorted(found.get_timing_records(), key=lambda record: record.record_id),
        sorted(live.get_timing_records(), key=lambda record: record.record_id),
        strict=True,
    ):
        assert timing._replace(start_time_ns=0, end_time_ns=0) == live_timing._replace(
            start_time_ns=0, end_time_ns=0
        )
