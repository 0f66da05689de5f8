"""The page for people with an OpenTelemetry of their own is true: all that is in it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .pages import Page, run

if TYPE_CHECKING:
    from pathlib import Path

PAGE = Page("docs/opentelemetry.md")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with the scripts of the page and the examples."""
    return PAGE.unpack(tmp_path)


def test_every_block_is_one_that_is_tested() -> None:
    """No block escapes: each is a named script, what one prints, or a command."""
    assert {block.language for block in PAGE.blocks} == {"python", "text", "console"}
    assert all(re.fullmatch(r"[a-z_]+\.py", name) for name in PAGE.scripts)
    assert len(PAGE.scripts) == sum(block.language == "python" for block in PAGE.blocks)
    assert len(PAGE.printed) == sum(block.language == "text" for block in PAGE.blocks)
    assert PAGE.scripts.keys() - PAGE.printed.keys() == {"telemetry.py", "plain.py", "child.py"}
    assert len(PAGE.commands) == sum(block.text.count("$ ") for block in PAGE.blocks)


@pytest.mark.parametrize("name", PAGE.scripts)
def test_a_script_prints_what_the_page_says(name: str, project: Path) -> None:
    """Each Python block is a whole program, and says nothing else."""
    found = run(f"python {name}", project)

    assert (found.returncode, found.stderr) == (0, "")
    if name in PAGE.printed:
        assert found.stdout == PAGE.printed[name]


@pytest.mark.parametrize("command", PAGE.commands)
def test_a_command_prints_what_the_page_says(command: str, project: Path) -> None:
    """Each command works as it is written."""
    found = run(command, project)

    assert (found.returncode, found.stdout, found.stderr) == (0, PAGE.commands[command], "")
