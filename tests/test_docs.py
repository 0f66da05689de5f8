"""The documentation is true: every name is in it, and what it tells to type works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import petsard_otel
from petsard_otel import Config, Status, attributes, settings
from petsard_otel.cli import HOMES
from petsard_otel.cli.parser import parser
from petsard_otel.config import MODULES

from .conftest import Pipeline

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MODULES_PAGE = (ROOT / "docs" / "modules.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()

KEYS = {
    name: value
    for name, value in vars(attributes).items()
    if name.isupper() and name != "SCOPE_NAME"
}


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a fresh folder with nothing but the examples, as the current one."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("key", sorted(KEYS.values()))
def test_every_attribute_and_metric_is_documented(key: str) -> None:
    """A key on a span that the README does not know is a secret."""
    assert f"`{key}" in README


def test_every_attribute_that_is_documented_exists() -> None:
    """The README promises no key that is never set."""
    promised = set(
        re.findall(r"^\| `((?:petsard|error|exception|code)\.[a-z_.]+)", README, re.MULTILINE)
    )
    assert promised == set(KEYS.values())


def test_every_variable_is_documented() -> None:
    """The README's table has every variable that is read, and no other."""
    read = {v for v in vars(settings).values() if str(v).startswith("PETSARD_OTEL_")}
    assert set(re.findall(r"^\| `(PETSARD_OTEL_[A-Z_]+)`", README, re.MULTILINE)) == read
    assert len(read) == 8


@pytest.mark.parametrize("name", petsard_otel.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Whoever reads the README has met every public name."""
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("name", sorted(Status(Pipeline("Loader")).get_status_summary()))
def test_every_entry_of_the_summary_is_documented(name: str) -> None:
    """The summary's table is whole."""
    assert f"`{name}`" in README


def test_every_question_of_a_status_is_documented() -> None:
    """Every getter is in the README's table."""
    getters = [
        "get_result",
        "get_metadata",
        "get_full_expt",
        "get_snapshots",
        "get_snapshot_by_id",
        "restore_from_snapshot",
        "get_change_history",
        "get_metadata_evolution",
        "get_schema_lineage",
        "start_timing",
        "end_timing",
        "get_timing_records",
        "get_timing_report_data",
        "get_status_summary",
    ]
    assert [name for name in getters if f"`{name}" not in README] == []


def test_every_option_of_the_command_is_documented() -> None:
    """What `run --help` offers is in the README, and no more."""
    found = subprocess.run(
        [sys.executable, "-m", "petsard_otel", "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"--[a-z][a-z-]+", found.stdout.partition("options:")[2])) - {"--help"}
    table = set(re.findall(r"^\| `(--[a-z][a-z-]+)", README, re.MULTILINE))
    assert table <= options
    assert {option for option in options if option not in README} == set()


@pytest.mark.parametrize("command", HOMES)
def test_every_command_is_documented(command: str) -> None:
    """Each is in the README, and each of its options there or on a page that it names."""
    found = subprocess.run(
        [sys.executable, "-m", "petsard_otel", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    pages = README + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z][a-z-]+)", found.stdout, re.MULTILINE))
    assert f"`petsard-otel {command}" in README
    assert {option for option in options if option not in pages} == set()


def test_every_command_that_the_history_page_shows_is_one() -> None:
    """What it tells to type is understood, option by option."""
    page = (ROOT / "docs" / "history.md").read_text()
    shown = re.findall(r"^    \$ petsard-otel (.*?)(?: [|>] ?.*)?$", page, re.MULTILINE)
    assert len(shown) == 12
    for arguments in shown:
        parser().parse_args(shlex.split(arguments))


@pytest.mark.usefixtures("project")
def test_the_readmes_python_runs_as_written() -> None:
    """Every Python block runs, one after the other, beside the examples."""
    names: dict[str, Any] = {}
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102  our own README

    assert names["summary"]["state"] == "completed"
    adapter = names["Anonymizer"]()
    adapter.run(adapter.set_input(names["exec"].status))
    names["exec"].status.put("Anonymizer", "names", adapter)
    assert names["exec"].status.get_snapshots("Anonymizer")[0].columns == 8


def test_the_metrics_page_runs_as_written() -> None:
    """What it shows of views and limits is what the SDK takes."""
    shown = blocks((ROOT / "docs" / "metrics-and-logs.md").read_text(), "python")
    assert len(shown) == 1
    exec(compile(shown[0], "metrics-and-logs.md", "exec"), {})  # noqa: S102  our own page


@pytest.mark.once
def test_the_audit_page_s_tests_run_as_written(project: Path) -> None:
    """What it tells to write into a test suite passes there, for a module that keeps quiet."""
    shown = blocks((ROOT / "docs" / "audit.md").read_text(), "python")
    for block in shown:
        name = block.partition("\n")[0].removeprefix("# ")
        (project / name).write_text(block)
    (project / "my_project.py").write_text(
        "from petsard_otel import Schema\n"
        "from petsard_otel.modules.synthesizer import SynthesizerAdapter\n"
        "class MySynthesizer(SynthesizerAdapter):\n"
        "    def run(self, input):\n"
        "        schema = Schema.from_dataframe(input['data'], 'mine')\n"
        "        super().run({'schema': schema, **input})\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.rstrip().splitlines()[-1].startswith("3 passed"), found.stdout


@pytest.mark.once
def test_the_readmes_commands_run_as_written(project: Path) -> None:
    """Every `petsard-otel` line that needs no server works beside the examples."""
    commands = [
        line.removeprefix("$ ")
        for block in blocks(README, "console")
        for line in block.splitlines()
        if line.startswith("$ petsard-otel") and "--endpoint" not in line
    ]
    assert [command.split()[1] for command in commands] == [
        *("run", "run", "run", "doctor"),
        *("runs", "show", "timing", "schema", "compare", "export", "prune"),
        "audit",
    ]
    program = shlex.join([sys.executable, "-m", "petsard_otel"])
    for command in commands:
        typed = command.replace("petsard-otel", program, 1).replace("| jq '.[0]'", "> steps.json")
        found = subprocess.run(  # noqa: S602  our own README
            typed, shell=True, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
    header = (project / "timing.csv").read_text().splitlines()[0]
    assert header.startswith("record_id,module_name,experiment_name,step_name,")


@pytest.mark.usefixtures("project")
def test_the_readmes_configuration_is_one() -> None:
    """The YAML that is shown can be run."""
    shown = blocks(README, "yaml")
    assert len(shown) == 1
    config = Config(shown[0])
    assert config.experiment_count == 2
    petsard_otel.Executor(shown[0]).run()


def test_every_make_target_that_is_shown_exists() -> None:
    """The table of targets is true."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", README)) <= targets


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_page(module: str) -> None:
    """Each built-in module is described, with an example that is a valid configuration."""
    assert re.search(rf"^## .*\b{module}\b", MODULES_PAGE, re.MULTILINE)


def test_the_examples_of_the_modules_are_valid() -> None:
    """Each YAML of the modules' page is read without a complaint."""
    shown = blocks(MODULES_PAGE, "yaml")
    assert len(shown) >= len(MODULES) - 1
    for block in shown:
        Config(block)


def test_the_changelog_speaks_of_this_version() -> None:
    """What is not released yet is listed as such."""
    assert "## [Unreleased]" in CHANGELOG
