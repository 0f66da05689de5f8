"""What may leave the process, as the PETSARD_OTEL_* variables have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel import settings as variables
from petsard_otel.doctor.findings import NOTE, OK, Finding
from petsard_otel.settings import Settings
from petsard_otel.telemetry.sending.environment import read

if TYPE_CHECKING:
    from collections.abc import Iterator


def findings_of_privacy() -> Iterator[Finding]:
    """Tell what may leave; what was opted into is a note."""
    found = Settings.from_environment()
    if found.capture == "statistics":
        text = "numeric summaries of columns leave, minimum and maximum among them"
        yield _finding("capture", NOTE, text, variables.CAPTURE)
    else:
        text = "structure alone leaves: names, types, counts and times"
        yield _finding("capture", OK, text, variables.CAPTURE)
    yield from _field_names(found)
    yield _opted(
        "messages of exceptions",
        variables.CAPTURE_EXCEPTION_MESSAGES,
        is_in=found.exception_messages,
    )
    yield _finding(
        "logs",
        OK,
        "records of the PETsARD logger are sent" if found.logs else "no log record is sent",
        variables.LOGS,
    )
    if found.logs or found.log_messages:
        yield _opted(
            "texts of log records", variables.CAPTURE_LOG_MESSAGES, is_in=found.log_messages
        )


def _field_names(found: Settings) -> Iterator[Finding]:
    name, key = variables.FIELD_NAMES, variables.FIELD_NAMES_KEY
    if found.field_names != "hashed":
        text = "names of columns leave as they are"
        if found.field_names_key is None:
            yield _finding("field names", OK, text, name)
        else:
            yield _finding(
                "field names",
                NOTE,
                f"{text}; {key} matters only to hashed ones",
                *(name, key),
                remedy=f"`export {name}=hashed`",
            )
    elif found.field_names_key is None:
        yield _finding(
            "field names",
            NOTE,
            "names of columns leave as hashes, by a key that each process draws, so that no two "
            "processes can be compared",
            name,
            remedy=f"set {key} to a secret text, to compare them",
        )
    else:
        yield _finding("field names", OK, "names of columns leave as hashes", name, key)


def _opted(what: str, variable: str, *, is_in: bool) -> Finding:
    check = what.partition(" of ")[2]
    if not is_in:
        return _finding(check, OK, f"{what} stay here", variable)
    return _finding(
        check,
        NOTE,
        f"{what} leave, and may quote cells",
        variable,
        remedy=f"to keep them here: `unset {variable}`",
    )


def _finding(check: str, state: str, text: str, *names: str, remedy: str | None = None) -> Finding:
    sources = tuple(name for name in names if read(name) is not None)
    return Finding("privacy", check, state, text, remedy, sources)
