"""What the commands that look at a history say of an audit's runs, and every export of them.

The commands are run as a user runs them, in a process of their own whose umask is 0.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from petsard_otel.audit.owners import open_to_others
from petsard_otel.audit.payloads import Piece
from petsard_otel.exporting.formats import FORMATS
from petsard_otel.history.place import FILE, FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from petsard_otel.audit.kept import KeptRun

TIMEOUT_SECONDS = 600
"""How long all commands together may take."""

WAY_TO_FAIL = "run"
"""Of the replays in which a module fails those are chosen in which it fails in this way."""

PRINTED = ("table", "json", "csv")
"""The formats of the commands that look at a history."""

COLUMNS = 250
"""How wide the terminal is that tables are made for."""

LIMIT = 1_000_000
"""How many runs are listed."""

_UNWANTED = ("OTEL_", "PETSARD_OTEL_", "FORCE_COLOR", "TTY_", "COLUMNS", "PYTHONWARNINGS")
"""Variables that have a say in what commands print begin so."""


class Shown(NamedTuple):
    """A run that is exported and looked at.

    Attributes:
        run_id: Its id.
        path: The history that it is in.
        name: What it is called where something was found.
        is_looked_at: Whether every command looks at it, or one.
        is_control: Whether a sentinel is in it, which must be found.
    """

    run_id: str
    path: Path
    name: str
    is_looked_at: bool = True
    is_control: bool = False


class Command(NamedTuple):
    """A command.

    Attributes:
        place: What it makes, and of which run.
        arguments: As a shell has them.
        file: What it writes by itself; None where it prints.
        is_control: Whether a sentinel must be found in what it makes.
    """

    place: str
    arguments: tuple[str, ...]
    file: Path | None = None
    is_control: bool = False


class Answers(NamedTuple):
    """What came of commands.

    Attributes:
        pieces: Everything that they made, as it is and, where that is packed, as text.
        controls: The same of those in which a sentinel must be found.
        problems: What did not go as it should.
    """

    pieces: tuple[Piece, ...]
    controls: tuple[Piece, ...]
    problems: tuple[str, ...]


def chosen(runs: Sequence[KeptRun], path: Path) -> list[Shown]:
    """Choose runs such that each kind is there.

    They are the pipeline's own, the replays in which no module fails, with columns' names plain and
    hashed, and a failure of each module. Of the protocols one is enough: no run has it in it.
    """
    found = [Shown(run.run_id, path, run.name) for run in runs if run.scene is None][-1:]
    for is_renamed in (False, True):
        of_kind = [run for run in runs if run.scene is not None and run.scene.renamed == is_renamed]
        failures = 0
        for run in of_kind:
            scene = run.scene
            if scene is None or run.during != of_kind[0].during:
                continue
            is_looked_at = scene.is_uneventful
            if scene.failing is not None:
                if scene.way != WAY_TO_FAIL or (failures and is_renamed):
                    continue
                failures += 1
                is_looked_at = failures == 1 and not is_renamed
            found.append(Shown(run.run_id, path, run.name, is_looked_at))
    return found


def commands(shown: Sequence[Shown], folder: Path) -> list[Command]:
    """Return the commands that export these runs and look at them.

    Args:
        shown: The runs.
        folder: Where exports go.
    """
    found = []
    for number, run in enumerate(shown):
        for name in FORMATS:
            file = folder / f"{number}.{name}"
            found.append(_command(run, "export", name, "-o", str(file)))
        found += _looks(run, "show", "--steps")
        if run.is_looked_at:
            found += _looks(run, "timing", "--steps")
            found += _looks(run, "schema")
    for path in dict.fromkeys(run.path for run in shown if run.is_looked_at):
        first, *others = [run for run in shown if run.path == path and run.is_looked_at]
        every = first._replace(run_id="", name=f"all runs beside {first.name}")
        found += _looks(every, "runs", "--limit", str(LIMIT))
        for other in others or [first]:
            both = first._replace(name=f"{first.name} and {other.name}")
            found += _looks(both, "compare", other.run_id)
    return found


def _looks(run: Shown, command: str, *options: str) -> list[Command]:
    names = PRINTED if run.is_looked_at else ("json",)
    return [_command(run, command, name, *options) for name in names]


def _command(run: Shown, command: str, format_name: str, *options: str) -> Command:
    words = [command, *([run.run_id] if run.run_id else []), *options]
    arguments = (*words, "--format", format_name, "--history", str(run.path))
    file = Path(options[-1]) if command == "export" else None
    return Command(f"{command} as {format_name}, {run.name}", arguments, file, run.is_control)


@contextmanager
def other_process(folder: Path) -> Iterator[OtherProcess]:
    """Have another process beside this one while the block runs.

    Args:
        folder: A private one.
    """
    others = OtherProcess(folder)
    try:
        yield others
    finally:
        others.end()


class OtherProcess:
    """A process that runs commands, begun early: what it imports takes it a second or two."""

    def __init__(self, folder: Path) -> None:
        """Begin it; what it prints goes into a folder of its own in this one."""
        self._commands: list[Command] = []
        self._printed = folder / "printed"
        self._printed.mkdir(mode=0o700)
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "petsard_otel.audit.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._printed,
            env=_environment(os.environ),
            umask=0,
        )

    def end(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.communicate()

    def ask(self, commands: Sequence[Command], folder: Path) -> None:
        """Have it run commands, and go on.

        Args:
            commands: The commands.
            folder: What they write files into.
        """
        self._commands, self._folder = list(commands), folder
        words = [[command.arguments, str(self._output(at))] for at, command in enumerate(commands)]
        # It has gone where nobody takes them, and then there are no answers.
        if self._process.poll() is None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(words).encode() + b"\n")
                self._process.stdin.flush()

    def answers(self) -> Answers:
        """Wait for the last command, and return what came of them all."""
        problems = []
        try:
            printed, _ = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            printed, _ = self._process.communicate()
        codes = printed.split()
        pieces: list[Piece] = []
        controls: list[Piece] = []
        for at, command in enumerate(self._commands):
            made = [Piece(command.place, _content(self._output(at)))]
            if command.file is not None:
                made.append(Piece(command.place, _content(command.file)))
                if "parquet" in command.arguments:
                    made.append(Piece(command.place, _parquet_text(made[-1].data)))
            if command.is_control:
                # Of a file that is packed the text alone: its footer may quote what is in it.
                controls.append(made[-1])
            else:
                pieces += made
            if at >= len(codes):
                problems.append(f"exports: {command.place} was not run")
            elif codes[at] != b"0" or not made[-1].data:
                code = codes[at].decode()
                problems.append(f"exports: {command.place} ended with exit code {code}")
        problems += [f"exports: {found}" for found in open_to_others(self._folder)]
        return Answers(tuple(pieces), tuple(controls), tuple(problems))

    def _output(self, at: int) -> Path:
        return self._printed / str(at)


def import_of(export: Command, folder: Path) -> Command:
    """Return the command that makes another history of an export."""
    place = folder / FOLDER / FILE
    arguments = ("import", str(export.file), "--history", str(place))
    return Command(f"import of an {export.place}", arguments, place)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _parquet_text(content: bytes) -> str:
    """Return what is in a Parquet file, whose pages are compressed, as text."""
    from pyarrow import ArrowInvalid, parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except ArrowInvalid:
        return ""
    columns = (f"{name}: {table[name].to_pylist()}" for name in table.column_names)
    return "\n".join((str(table.schema.metadata), *columns))


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the process that runs the commands."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_UNWANTED)}
    # The package may be where this process alone looks for it.
    path = os.pathsep.join([str(Path(__file__).parents[2]), kept.get("PYTHONPATH", "")])
    return {**kept, "COLUMNS": str(COLUMNS), "PYTHONPATH": path, "PYTHONUTF8": "1"}
