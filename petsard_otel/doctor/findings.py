"""What a doctor finds, one thing at a time. A leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OK, NOTE, PROBLEM, NOT_TRIED = "ok", "note", "problem", "not tried"

SECTIONS = {
    "versions": "Versions",
    "variables": "Variables",
    "provider": "Provider",
    "export": "Export",
    "receiver": "Receiver",
    "petsard": "PETsARD",
    "privacy": "Privacy",
    "history": "History",
}
"""The parts of an examination, in their order, and their titles."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    section: str
    """One of `SECTIONS`."""
    check: str
    """What was looked at, such as `tcp`."""
    state: str
    """`ok`, `note`, `problem` or `not tried`."""
    text: str
    remedy: str | None = None
    """What to type or to change, in one sentence."""
    sources: tuple[str, ...] = ()
    """Variables and options that it comes from."""
    subject: str | None = None
    """What it is about, where a section has several: a receiver."""


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found."""

    version: str
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(found for found in self.findings if found.state == PROBLEM)

    def count(self, state: str) -> int:
        """Count the findings of a state."""
        return sum(found.state == state for found in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON can hold it; each finding has all keys."""
        return {
            "petsard_otel": self.version,
            "is_healthy": not self.problems,
            "problems": self.count(PROBLEM),
            "notes": self.count(NOTE),
            "findings": [
                {
                    "section": found.section,
                    "subject": found.subject,
                    "check": found.check,
                    "state": found.state,
                    "text": found.text,
                    "remedy": found.remedy,
                    "sources": list(found.sources),
                }
                for found in self.findings
            ],
        }
