"""What came of an audit: values, and the one question put to them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


HISTORY, EXPORTS = "history", "exports"
"""The artefacts that are on disk."""

_NAMED_FIRST = frozenset({"reports", "reprs", "log output", EXPORTS})
"""Artefacts of texts, whose places begin with what the text is."""


@dataclass(frozen=True)
class Find:
    """A sentinel that left.

    Attributes:
        what: What was planted, and where, such as `a text cell of Loader[cars], column 1 (str)`.
        artefact: What it was found in, such as `traces over gRPC`.
        place: Where in there, such as `span Synthesizer.fit, attribute petsard.step.name`.
        encoding: What it was found as, such as `base64`.
        count: How often.
    """

    what: str
    artefact: str
    place: str
    encoding: str
    count: int = 1

    @property
    def way(self) -> str:
        """What it left by, whichever span that was on: `attribute petsard.step.name`."""
        parts = self.place.split(", ")
        return parts[0] if self.artefact in _NAMED_FIRST else parts[-1]


@dataclass(frozen=True)
class Artefact:
    """One kind of thing that leaves, or may be passed on.

    `items` is how many requests or texts there were. `sentinels` is how many were found in them,
    those of one column counted once.
    """

    name: str
    items: int
    bytes_searched: int
    sentinels: int


@dataclass(frozen=True)
class AuditResult:
    """What came of an audit.

    Attributes:
        name: The configuration's file, or what stands for it.
        settings: What the PETSARD_OTEL_* variables allowed to leave.
        artefacts: What was searched.
        finds: What was found.
        problems: What could not be looked at, and which files others may use.
        notes: What was not planted, and why.
        planted: How many sentinels of which kind there were.
        runs: How often the pipeline was run or replayed.
        failure: What the pipeline failed with on its own data, None where it came to its end.
        duration_seconds: How long it all took.
    """

    name: str
    settings: Mapping[str, str]
    artefacts: tuple[Artefact, ...]
    finds: tuple[Find, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    planted: Mapping[str, int]
    runs: int
    failure: str | None
    duration_seconds: float

    @property
    def is_private(self) -> bool:
        """Whether nothing was found, and everything was looked at."""
        return not self.finds and not self.problems and self.failure is None

    def assert_private(self) -> None:
        """Do nothing where nothing left.

        Raises:
            AssertionError: Something left, or the audit could not look; says what and where.
        """
        if not self.is_private:
            from petsard_otel.audit.report import audit_text

            raise AssertionError(f"the audit found something\n\n{audit_text(self)}")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"private": self.is_private, **asdict(self)}
