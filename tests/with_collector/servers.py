"""The real servers of the tests: the Collector with layers of `collector/`, on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]
COLLECTOR = ROOT / "collector"
PATIENCE_SECONDS = 60
"""How long a test waits for what happens in another process; the machine may be busy."""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(is_so: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so, or fail and say what was waited for."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a GET of a URL gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  a loopback URL
            return bool(answer.status == 200)
    except (HTTPError, URLError, OSError):
        return False


class Server:
    """A process that a test starts, and ends.

    Args:
        command: Program and arguments.
        log: File for what it prints.
        ready_url: What answers 200 as soon as it is ready.
        environment: Variables beside those of this process.
    """

    def __init__(
        self, command: Sequence[str], log: Path, ready_url: str, environment: dict[str, str]
    ) -> None:
        self.command = list(command)
        self.log = log
        self.ready_url = ready_url
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.process = process

        def is_ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{self.command[0]} ended:\n{self.log.read_text()[-4000:]}")
            return answers(self.ready_url)

        wait_until(is_ready, f"{self.command[0]} at {self.ready_url}")

    def stop(self) -> None:
        """End it as a service manager does, and wait until it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure does."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Collector(Server):
    """The Collector that `make collector` builds, with the base and some layers of `collector/`.

    Args:
        layers: Names of layers, such as `privacy` or `scale/agent`, or paths of a test's own.
        folder: Where it keeps its queue and its files.
        environment: Further variables of the layers.

    Attributes:
        grpc: Its OTLP endpoint for gRPC.
        http: Its OTLP endpoint for HTTP.
        prometheus: Where the layer `prometheus` shows its metrics.
        telemetry: Where it shows metrics of its own.
    """

    def __init__(self, layers: Sequence[str | Path], folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = ("GRPC", "HTTP", "HEALTH", "TELEMETRY", "PROMETHEUS")
        ports = {name: free_port() for name in names}
        self.folder = folder
        self.grpc = f"http://127.0.0.1:{ports['GRPC']}"
        self.http = f"http://127.0.0.1:{ports['HTTP']}"
        self.prometheus = f"http://127.0.0.1:{ports['PROMETHEUS']}/metrics"
        self.telemetry = f"http://127.0.0.1:{ports['TELEMETRY']}/metrics"
        super().__init__(
            [binary(), *config_arguments(layers)],
            folder / "collector.log",
            f"http://127.0.0.1:{ports['HEALTH']}/",
            {
                **{f"COLLECTOR_{name}_PORT": str(port) for name, port in ports.items()},
                "COLLECTOR_DATA": str(folder),
                **environment,
            },
        )


def binary() -> str:
    """Return the path of the Collector's program, which the environment names."""
    found = os.environ.get("OTELCOL_BIN")
    if found is None:
        raise RuntimeError("OTELCOL_BIN names no Collector; `make test-collector` builds one")
    return found


def config_arguments(layers: Sequence[str | Path]) -> list[str]:
    """Return the arguments that make the Collector read the base and some layers."""
    paths = [
        layer if isinstance(layer, Path) else COLLECTOR / f"{layer}.yaml"
        for layer in ("base", *layers)
    ]
    return [argument for path in paths for argument in ("--config", str(path))]
