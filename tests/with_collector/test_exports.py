"""Exports as OTLP/JSON, read by the Collector's own receiver of files, and back again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import yaml

from petsard_otel import Status
from petsard_otel.history.reading import open_history

from .test_fidelity import arrived

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .servers import Collector

# The receiver's own limit of a line, which the layer `replay` lifts.
DEFAULT_LIMIT = "receivers: {otlp_json_file: {max_log_size: 1MiB}}\n"


def command(*arguments: str, within: Path) -> None:
    """Run the command line as a user does."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OTEL_")
    }
    subprocess.run(
        [sys.executable, "-m", "petsard_otel", *arguments],
        cwd=within,
        env=environment,
        check=True,
    )


def large_pipeline(folder: Path) -> None:
    """Write a pipeline of so many executions that its export is longer than one line may be."""
    (folder / "people.csv").write_text("name,age\n" + "".join(f"p{n},{n}\n" for n in range(20)))
    loaders = {f"people-{number}": {"filepath": "people.csv"} for number in range(24)}
    descriptions = {
        f"{'described-' * 10}{number}": {"method": "describe", "source": "Loader"}
        for number in range(24)
    }
    text = yaml.safe_dump({"Loader": loaders, "Describer": descriptions}, sort_keys=False)
    (folder / "pipeline.yaml").write_text(text)


def test_an_export_passes_the_collector_and_comes_back(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """Every span once; imported from the Collector's file, the run answers as it did."""
    large_pipeline(tmp_path)
    command("run", "pipeline.yaml", "--quiet", within=tmp_path)
    exports = tmp_path / "exports"
    exports.mkdir()
    command("export", "last", "--output", "exports/run.jsonl", within=tmp_path)
    assert len((exports / "run.jsonl").read_text().splitlines()) > 1
    with open_history(tmp_path) as history:
        expected = sorted(history.spans(history.find("last")))
    limit = tmp_path / "limit.yaml"
    limit.write_text(DEFAULT_LIMIT)

    collector = start_collector("replay", limit, "file", COLLECTOR_REPLAY=str(exports))

    spans = arrived(collector, len(expected))
    assert sorted(span.ids for span in spans) == sorted(
        (span.context.trace_id, span.context.span_id) for span in expected
    )
    written = collector.folder / "files" / "traces.jsonl"
    command("import", str(written), "--history", "new.db", within=tmp_path)
    with open_history(tmp_path / "new.db") as history:
        found = sorted(history.spans(history.find("last")))
    assert [span._replace(resource={}) for span in found] == [
        span._replace(resource={}) for span in expected
    ]
    assert Status.load("last", history=tmp_path / "new.db").get_status_summary() == (
        Status.load("last", history=tmp_path).get_status_summary()
    )
