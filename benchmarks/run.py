"""Measure our figures and the peers' in one run, and print each beside the other.

Every script runs in a process and an environment of its own. A round runs each of them once, in
turn, and a figure is the median over the rounds, so that what else the machine does meets all
alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.environments import (
    LOGFIRE,
    MLFLOW,
    PETSARD,
    PETSARD_WHOLE,
    NotInstalledError,
    python_in,
)
from benchmarks.rows import NOT_INSTALLED, ROWS, lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.environments import Environment
    from benchmarks.rows import Row

ROOT = Path(__file__).resolve().parent.parent

SCRIPT_TIMEOUT_SECONDS = 900
"""How long one script may take in one round."""


@dataclass(frozen=True)
class Script:
    """A module that measures, and the environment it runs in (ours where there is none)."""

    module: str
    environment: Environment | None = None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.module.rpartition(".")[2]


SCRIPTS = (
    Script("benchmarks.ours"),
    Script("benchmarks.peers.bare_sdk"),
    Script("benchmarks.peers.logfire_span", LOGFIRE),
    Script("benchmarks.peers.mlflow_span", MLFLOW),
    Script("benchmarks.peers.petsard_status", PETSARD),
    Script("benchmarks.commands"),
    Script("benchmarks.instrumented", PETSARD_WHOLE),
)


class ScriptError(Exception):
    """A script failed; the text is the last line that it printed."""


def measure(script: Script, python: Path, *, quick: bool) -> dict[str, Any]:
    """Run one script once and return what it printed.

    Raises:
        ScriptError: It failed, or took too long.
    """
    # What is set for the shell's own telemetry must not reach the measurements.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PETSARD_OTEL_", "LOGFIRE_", "MLFLOW_"))
    }
    try:
        done = subprocess.run(
            [str(python), "-m", script.module, *(["--quick"] if quick else [])],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=SCRIPT_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [f"exit code {error.returncode}"]
        raise ScriptError(lines[-1]) from None
    except subprocess.TimeoutExpired:
        raise ScriptError(f"took more than {SCRIPT_TIMEOUT_SECONDS} s") from None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def interpreters(scripts: Iterable[Script], notes: list[str]) -> dict[Script, Path]:
    """Return the interpreter of each script; one whose environment cannot be had is left out."""
    found = {}
    for script in scripts:
        if script.environment is None:
            found[script] = Path(sys.executable)
            continue
        try:
            found[script] = python_in(script.environment)
        except NotInstalledError as error:
            notes.append(f"{script.environment.name} is not installed: {error}")
    return found


def rounds_of(
    scripts: dict[Script, Path], rounds: int, *, quick: bool, notes: list[str], console: Console
) -> tuple[dict[str, list[float]], dict[str, dict[str, str]]]:
    """Run every script once per round; one that fails is left out from then on."""
    figures: dict[str, list[float]] = defaultdict(list)
    versions: dict[str, dict[str, str]] = {}
    failed: set[Script] = set()
    for number in range(1, rounds + 1):
        for script, python in scripts.items():
            if script in failed:
                continue
            console.print(f"round {number} of {rounds}: {script.module}", style="dim")
            try:
                result = measure(script, python, quick=quick)
            except ScriptError as error:
                failed.add(script)
                notes.append(f"{script.module} failed: {error}")
                continue
            versions[script.module] = result["versions"]
            for name, value in result["figures"].items():
                figures[name].append(value)
    return figures, versions


def table_of(rows: Iterable[Row], medians: dict[str, float]) -> Table:
    """Lay the rows out, each figure of ours above its peers'."""
    table = Table(
        title="petsard-otel beside its peers: medians of one run",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("ours, then each peer", no_wrap=True)
    for header in ("measured", "ours is", "target"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("met", no_wrap=True)
    for row in rows:
        ours, *peers = lines(row, medians)
        table.add_row(*ours, style="bold")
        for peer in peers:
            table.add_row(*peer)
        table.add_section()
    return table


def main() -> None:
    """Measure, print the table, and write everything to a file where one is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--rounds", type=int, help="how often each script runs (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    names = [script.name for script in SCRIPTS]
    parser.add_argument("--only", choices=names, help="measure with this script alone")
    options = parser.parse_args()
    progress, console = Console(stderr=True), Console()
    notes: list[str] = []
    figures, versions = rounds_of(
        interpreters((each for each in SCRIPTS if options.only in {None, each.name}), notes),
        options.rounds or (1 if options.quick else 3),
        quick=options.quick,
        notes=notes,
        console=progress,
    )
    medians = {name: statistics.median(values) for name, values in figures.items()}
    rows = [row for row in ROWS if options.only is None or row.figure in medians]
    console.print(table_of(rows, medians))
    if options.quick:
        notes.append(
            "--quick stops at the 10,000th execution, PETsARD's at the 2,000th, and after too few "
            "pairs to tell 1 %"
        )
    if any(peer.figure not in medians for row in rows for peer in row.peers):
        notes.append(
            f"{NOT_INSTALLED} not measured in this run; a figure is what another machine measured "
            "when the targets were set"
        )
    for module, known in versions.items():
        named = ", ".join(f"{name} {version}" for name, version in known.items())
        console.print(f"{module}: {named}", style="dim")
    for note in notes:
        console.print(note, style="yellow")
    if options.json is not None:
        measured = {
            "time": datetime.now(timezone.utc).isoformat(),
            "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
            "medians": medians,
            "rounds": figures,
            "versions": versions,
            "notes": notes,
        }
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
