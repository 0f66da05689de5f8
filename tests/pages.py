"""The pages of the documentation, taken apart for the tests that run what is in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str

    @property
    def name(self) -> str:
        """What the first line of a script calls it."""
        return self.text.partition("\n")[0].removeprefix("# ")


class Page:
    """A page whose Python blocks are whole scripts, each named in its first line.

    Attributes:
        blocks: All fenced blocks.
        scripts: Each Python block by its name.
        printed: What the page says that a script prints.
        commands: What the page says that a command prints.
    """

    def __init__(self, path: str) -> None:
        text = (ROOT / path).read_text()
        found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        self.blocks = [Block(*block) for block in found]
        scripts = [block for block in self.blocks if block.language == "python"]
        self.scripts = {script.name: script.text for script in scripts}
        self.printed = {
            script.name: output.text
            for script, output in pairwise(self.blocks)
            if (script.language, output.language) == ("python", "text")
        }
        self.commands = {
            command: output
            for block in self.blocks
            if block.language == "console"
            for command, output in re.findall(
                r"^\$ (.*)\n((?:[^$].*\n)*)", block.text, re.MULTILINE
            )
        }

    def unpack(self, folder: Path) -> Path:
        """Put the page's scripts and the examples into a folder."""
        shutil.copytree(ROOT / "examples", folder / "examples")
        for name, text in self.scripts.items():
            (folder / name).write_text(text)
        return folder


def run(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
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
        cwd=folder,
        env={**clean, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
