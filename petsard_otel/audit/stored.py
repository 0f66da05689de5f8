"""What is on disk as artefacts: the history of an audit, and every export of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from petsard_otel.audit.examination import SEPARATOR, Exhibit
from petsard_otel.audit.exports import Shown, chosen, commands, import_of
from petsard_otel.audit.payloads import Piece, taken_apart
from petsard_otel.audit.result import EXPORTS, HISTORY
from petsard_otel.audit.rows import killed_run, leaky_copy, rows_of
from petsard_otel.history.place import FILE
from petsard_otel.records import KILLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from petsard_otel.audit.exports import OtherProcess
    from petsard_otel.audit.kept import KeptRuns
    from petsard_otel.audit.sentinels import Sentinel


class Stored:
    """What an audit kept on disk.

    Attributes:
        problems: What is not as it should be.
    """

    def __init__(self, kept: KeptRuns, control: Sentinel) -> None:
        """Take the history apart.

        Args:
            kept: The history; nobody writes it any more.
            control: A sentinel that is put into a copy of it.
        """
        self.problems: list[str] = []
        self._kept = kept
        self._rows = rows_of(kept.path)
        self._killed: list[Shown] = []
        self._killed_messages: list[Any] = []
        self._controls: list[Piece] = []
        self._control: list[Shown] = []
        self._check()
        self._read_killed()
        self._leak(base64.b64encode(str(control.value).encode()).decode())

    def history(self, expected: Sequence[str]) -> Exhibit:
        """Return the history as an artefact.

        Args:
            expected: Names that must be in it.
        """
        rows = self._rows
        pieces, joined = taken_apart([*rows.messages, *self._killed_messages])
        return Exhibit(
            HISTORY,
            rows.count,
            SEPARATOR.join((*self._kept.pages.pieces, *rows.blobs)),
            (*rows.values, *pieces),
            (*rows.joined, *joined),
            tuple(expected),
            bytes_place="the bytes of its files",
            controls=tuple(self._controls),
        )

    def ask(self, others: OtherProcess) -> None:
        """Have another process export runs and look at them."""
        folder = self._kept.folder / "exports"
        folder.mkdir(mode=0o700)
        shown = [*chosen(self._kept.runs, self._kept.path), *self._killed, *self._control]
        found = commands(shown, folder)
        others.ask([*found, import_of(found[0], folder)], folder)

    def exports(self, others: OtherProcess, expected: Sequence[str]) -> Exhibit:
        """Return what the other process made as an artefact, once it has.

        Args:
            others: The process.
            expected: Names that must be in it.
        """
        answers = others.answers()
        self.problems += answers.problems
        return Exhibit(
            EXPORTS,
            len({piece.place for piece in answers.pieces}),
            SEPARATOR.join(piece.data for piece in answers.pieces),
            answers.pieces,
            (),
            tuple(expected),
            controls=answers.controls,
        )

    def _check(self) -> None:
        kept = {run.run_id for run in self._kept.runs}
        problems = [*self._kept.exposed, *self._rows.problems]
        if missing := len(kept - self._rows.run_ids):
            problems.append(f"{missing} of {len(kept)} runs are not in it")
        if strange := len(self._rows.run_ids - kept):
            problems.append(f"{strange} runs are in it that are not the audit's")
        if not self._kept.copies:
            problems.append("no run was under way when it was copied")
        self.problems += [f"{HISTORY}: {problem}" for problem in problems]

    def _read_killed(self) -> None:
        """Read the copies as whoever looks at a run that was killed."""
        for copy in self._kept.copies:
            run, messages = killed_run(copy.path)
            if (run.run_id, run.state) != (copy.run.run_id, KILLED):
                self.problems.append(
                    f"{HISTORY}: {copy.run.name} is {run.state} in a copy of when it was under way"
                )
            self._killed_messages += messages
            name = f"{copy.run.name}, killed"
            is_first = not self._killed
            self._killed.append(Shown(run.run_id, copy.path, name, is_looked_at=is_first))

    def _leak(self, text: str) -> None:
        """Make a copy with a text in it that must be found wherever the history is read."""
        narrow = [run for run in self._kept.runs if run.scene is not None and run.scene.every_type]
        there = [run.run_id for run in narrow if run.run_id in self._rows.run_ids]
        if not there:
            return
        folder = self._kept.folder / "control"
        folder.mkdir(mode=0o700)
        log = leaky_copy(self._kept.path, there[0], folder / FILE, text)
        rows = rows_of(folder / FILE)
        self._controls = [
            Piece("a database's log", log),
            Piece("a database", (folder / FILE).read_bytes()),
            Piece("a database's tables", _text_of(rows.values)),
            Piece("a database's spans", _text_of(taken_apart(rows.messages)[0])),
        ]
        self._control = [Shown(there[0], folder / FILE, "a copy", is_control=True)]


def _text_of(pieces: Iterable[Piece]) -> str:
    return "\n".join(str(piece.value) for piece in pieces)
