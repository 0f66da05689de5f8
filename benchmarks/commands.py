"""Wall time of the command line: the example with and without telemetry, `--help`, and looking.

The collector that is up is a server on loopback that accepts whatever it is sent over HTTP; the one
that is dead is a port that refuses connections, spoken to in gRPC, as is the default. What looks at
runs that are kept has 1,000 of them to look at, of 200 module executions each.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

from benchmarks.histories import multiply, write_pipeline
from benchmarks.measure import is_quick, report

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

COMMAND = (sys.executable, "-c", "import sys; from petsard_otel.cli import main; sys.exit(main())")
"""What the installed script `petsard-otel` does."""


LOOKING = {
    "runs": ("runs",),
    "show": ("show", "last"),
    "timing": ("timing", "last"),
    "schema": ("schema", "last"),
    "compare": ("compare", "last~1", "last"),
}
"""The commands that look at a history; as tables, which take longer than JSON."""

RUNS_KEPT = 1000


class _Collector(BaseHTTPRequestHandler):
    """Accepts every export."""

    def do_POST(self) -> None:
        """Read what is sent and answer with an empty, that is a full, success."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def collector_up() -> Iterator[str]:
    """Serve a collector on loopback; the endpoint to send to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def collector_dead() -> Iterator[str]:
    """Hold a port on loopback that nobody listens on; the endpoint to send to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def seconds_of(command: tuple[str, ...], folder: Path, **variables: str) -> float:
    """Run a command to its end and return its wall time.

    Raises:
        RuntimeError: It failed; the text is the last line that it printed as an error.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no error text"])[-1]
        raise RuntimeError(f"exit code {done.returncode}: {last_line}")
    return seconds


def looking(folder: Path, rounds: int) -> dict[str, float]:
    """Return how long each command takes that looks at a large history, the quickest of rounds."""
    kept = folder / "kept"
    kept.mkdir()
    copytree(ROOT / "examples", kept / "examples")
    write_pipeline(kept / "pipeline.yaml")
    seconds_of((*COMMAND, "run", "pipeline.yaml", "--engine", "builtin"), kept)
    multiply(kept / ".petsard-otel" / "runs.db", RUNS_KEPT)
    return {
        f"ours.{name}": min(
            seconds_of((*COMMAND, *arguments, "--format", "table"), kept) for _ in range(rounds)
        )
        for name, arguments in LOOKING.items()
    }


def main() -> None:
    """Measure and report."""
    quick = is_quick(__doc__ or "")
    figures: dict[str, float] = {}

    def keep(name: str, seconds: float) -> None:
        """Keep the quickest: what else the machine does only adds to a wall time."""
        figures[name] = min(seconds, figures.get(name, seconds))

    run = (*COMMAND, "run", "examples/pipeline.yaml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copytree(ROOT / "examples", folder / "examples")
        for _ in range(3 if quick else 7):
            keep("python.start", seconds_of((sys.executable, "-c", "pass"), folder))
            keep("ours.help", seconds_of((*COMMAND, "--help"), folder))
        seconds_of(run, folder, OTEL_SDK_DISABLED="true")  # fills caches
        with collector_up() as up, collector_dead() as dead:
            for _ in range(1 if quick else 3):
                keep("ours.run_off", seconds_of(run, folder, OTEL_SDK_DISABLED="true"))
                variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
                keep("ours.run_up", seconds_of((*run, "--endpoint", up), folder, **variables))
                keep("ours.run_dead", seconds_of((*run, "--endpoint", dead), folder))
        for figure, seconds in looking(folder, rounds=1 if quick else 3).items():
            keep(figure, seconds)
    report(figures, {})


if __name__ == "__main__":
    main()
