"""docker-compose.yml, read by the library that Docker Compose reads it with."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from .servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path) -> subprocess.CompletedProcess[str]:
    """Have a folder's compose file read, its variables filled in and its references resolved."""
    return subprocess.run(
        [os.environ["COMPOSE_SPEC_BIN"], "--format", "json", "docker-compose.yml"],
        cwd=folder,
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_a_compose_file() -> None:
    """It is valid, and every port is published on this machine alone."""
    done = read(ROOT)

    assert (done.returncode, done.stderr) == (0, "")
    project: dict[str, Any] = json.loads(done.stdout)
    published = {
        (name, port["host_ip"], port["published"])
        for name, service in project["services"].items()
        for port in service.get("ports", [])
    }
    assert published == {
        ("collector", "127.0.0.1", "4317"),
        ("collector", "127.0.0.1", "4318"),
        ("jaeger", "127.0.0.1", "16686"),
        ("prometheus", "127.0.0.1", "9090"),
        ("grafana", "127.0.0.1", "3000"),
    }


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    """The reader refuses what Docker Compose refuses."""
    text = (ROOT / "docker-compose.yml").read_text()
    (tmp_path / "docker-compose.yml").write_text(text.replace("mem_limit:", "mem_limits:"))

    done = read(tmp_path)

    assert done.returncode != 0
    assert "mem_limits" in done.stdout + done.stderr
