"""The layers of `collector/` in the real Collector: valid together, and does what they say."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from .servers import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .servers import Collector


def test_smoke(start_collector: Callable[..., Collector]) -> None:
    collector = start_collector("file")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "petsard_otel",
            "run",
            "examples/pipeline.yaml",
            "--endpoint",
            collector.grpc,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "spans sent to" in done.stderr
    traces = collector.folder / "files" / "traces.jsonl"
    wait_until(
        lambda: traces.exists() and "petsard run" in traces.read_text(), "the run span in the file"
    )
