"""The page on PETsARD itself is true: all that is in it runs, with the real library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ..pages import Page, run

if TYPE_CHECKING:
    from pathlib import Path

PAGE = Page("docs/petsard.md")

NOWHERE = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
"""In the place of the receiver that the page's reader has."""

NOT_RUN = ("pip install ", "export ")
"""What sets up the reader's environment; the tests have one."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with the scripts of the page and the examples."""
    return PAGE.unpack(tmp_path)


def test_every_block_is_one_that_is_tested() -> None:
    """No block escapes: each is a named script, what one prints, or a command."""
    assert {block.language for block in PAGE.blocks} == {"python", "text", "console"}
    assert all(re.fullmatch(r"[a-z_]+\.py", name) for name in PAGE.scripts)
    assert PAGE.scripts.keys() - PAGE.printed.keys() == {"synthesis.py"}
    assert len(PAGE.printed) == sum(block.language == "text" for block in PAGE.blocks)


@pytest.mark.parametrize("name", PAGE.printed)
def test_a_script_prints_what_the_page_says(name: str, project: Path) -> None:
    """Each Python block is a whole program."""
    found = run(f"python {name}", project)

    assert found.returncode == 0, found.stderr
    assert found.stdout == PAGE.printed[name]


@pytest.mark.parametrize(
    "command", [command for command in PAGE.commands if not command.startswith(NOT_RUN)]
)
def test_a_command_prints_what_the_page_says(command: str, project: Path) -> None:
    """Each command works as it is written."""
    found = run(command, project, **NOWHERE)

    assert found.returncode == 0, found.stderr
    if PAGE.commands[command]:
        assert found.stdout == PAGE.commands[command]


def test_without_us_the_table_is_empty(project: Path) -> None:
    """PETsARD's own timing never has a row, so that the script itself cannot print it."""
    found = run("python synthesis.py", project)

    assert "KeyError" in found.stderr
