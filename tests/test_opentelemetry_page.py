"""The page for people with an OpenTelemetry of their own is true: all that is in it runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "opentelemetry.md").read_text()


class Block(NamedTuple):
    """A fenced block of the page."""

    language: str
    text: str


BLOCKS = [
    Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]

SCRIPTS = {
    block.text.partition("\n")[0].removeprefix("# "): block.text
    for block in BLOCKS
    if block.language == "python"
}
"""Each Python block by the name in its first line."""

PRINTED = {
    script.text.partition("\n")[0].removeprefix("# "): output.text
    for script, output in pairwise(BLOCKS)
    if (script.language, output.language) == ("python", "text")
}
"""What the page says that a script prints."""

COMMANDS = {
    command: output
    for block in BLOCKS
    if block.language == "console"
    for command, output in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block.text, re.MULTILINE)
}
"""What the page says that a command prints."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with the scripts of the page and the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Type a command in a shell where `python` is this one and no telemetry is set up."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PETSARD_OTEL_"))
        and name not in {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), clean.get("PATH", "")])
    return subprocess.run(  # noqa: S602  our own page
        command,
        shell=True,
        cwd=project,
        env={**clean, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_every_block_is_one_that_is_tested() -> None:
    """No block escapes: each is a named script, what one prints, or a command."""
    assert {block.language for block in BLOCKS} == {"python", "text", "console"}
    assert all(re.fullmatch(r"[a-z_]+\.py", name) for name in SCRIPTS)
    assert len(SCRIPTS) == sum(block.language == "python" for block in BLOCKS)
    assert len(PRINTED) == sum(block.language == "text" for block in BLOCKS)
    assert SCRIPTS.keys() - PRINTED.keys() == {"telemetry.py", "plain.py", "child.py"}
    assert len(COMMANDS) == sum(block.text.count("$ ") for block in BLOCKS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_the_page_says(name: str, project: Path) -> None:
    """Each Python block is a whole program, and says nothing else."""
    found = run(f"python {name}", project)

    assert (found.returncode, found.stderr) == (0, "")
    if name in PRINTED:
        assert found.stdout == PRINTED[name]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_what_the_page_says(command: str, project: Path) -> None:
    """Each command works as it is written."""
    found = run(command, project)

    assert (found.returncode, found.stdout, found.stderr) == (0, COMMANDS[command], "")
