"""Runs that can be killed by the hundred: a process that has everything imported forks each."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each line on stdin is the path of a configuration. A child runs it, and writes the number of each
# execution to `<configuration>.log` before that begins. The parent answers with the child's id, and
# once it is gone, with how it went.
_PROGRAM = """
import os, signal, sys
import pandas, sklearn.preprocessing, scipy.stats, pyarrow, openpyxl
from petsard_otel import Executor, Status, configure
from petsard_otel.history import journals
from petsard_otel.modules import create_adapter
from petsard_otel.modules import copula, evaluator, loader, postprocessor, preprocessor
from petsard_otel.modules import reporter, splitter, synthesizer
from petsard_otel.modules.evaluation import fidelity, utility
from petsard_otel.modules.reporting import save_report, save_schema

def run(path):
    configure(history=sys.argv[1])
    log = os.open(path + ".log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    executor = Executor(path, engine="builtin")
    def tell(progress):
        os.write(log, f"{progress.number} {progress.module}\\n".encode())
    os.write(log, f"run {executor.status.run_id}\\n".encode())
    executor.run(tell)
    os.write(log, b"done\\n")

for line in sys.stdin:
    path = line.strip()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = 1
        try:
            run(path)
            journals.journal_at(__import__("pathlib").Path(sys.argv[1])).close()
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


class Runs:
    """Starts runs one after the other; each can be killed while it is under way."""

    def __init__(self, history: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(history)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        """Start no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, config: Path) -> int:
        """Start a run, and return the id of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{config}\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> int:
        """Wait for the run's process to be gone, and return its wait status."""
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def runs_kept_in(history: Path) -> Iterator[Runs]:
    """Yield what starts runs that are kept in this database."""
    runs = Runs(history)
    try:
        yield runs
    finally:
        runs.end()


def told(config: Path) -> tuple[str | None, list[str], bool]:
    """Return what a run told of itself: its id, the modules that began, and whether it ended."""
    path = config.with_name(config.name + ".log")
    lines = path.read_text().splitlines() if path.exists() else []
    run_id = lines[0].split()[1] if lines else None
    begun = [line.split()[1] for line in lines[1:] if line[0].isdigit() and "None" not in line]
    return run_id, begun, lines[-1:] == ["done"]
