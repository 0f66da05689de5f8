"""Every PETSARD_OTEL_* variable and its default; the sizes and times that are fixed. A leaf."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTURE = "PETSARD_OTEL_CAPTURE"
"""How much may leave the process: `structure` (default), or `statistics` as well."""

FIELD_NAMES = "PETSARD_OTEL_FIELD_NAMES"
"""How names of columns leave the process: `plain` (default), or `hashed` with a key."""

FIELD_NAMES_KEY = "PETSARD_OTEL_FIELD_NAMES_KEY"
"""The key of the hashes. Without it each process draws one, and no two agree on a name."""

CAPTURE_EXCEPTION_MESSAGES = "PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES"
"""Whether messages of exceptions leave the process: `false` (default) or `true`."""

LOGS = "PETSARD_OTEL_LOGS"
"""Whether records of the `PETsARD` logger are sent, with trace context: `false` or `true`."""

CAPTURE_LOG_MESSAGES = "PETSARD_OTEL_CAPTURE_LOG_MESSAGES"
"""Whether the text of log records that are not ours leaves the process: `false` or `true`."""

TRACE_URL = "PETSARD_OTEL_TRACE_URL"
"""Where the command line says that a trace can be seen: a URL with `{trace_id}` in it, or `none`.
Without it a Jaeger on this machine is looked for."""

HistoryChoice: TypeAlias = bool | str
"""Whether runs are kept on disk; or where."""

HISTORY = "PETSARD_OTEL_HISTORY"
"""Whether runs are kept on disk: `false`, `true` (beside the configuration), or a path. The default
is `true` for the command line and `false` in Python."""

_CHOICES = {
    CAPTURE: ("structure", "statistics"),
    FIELD_NAMES: ("plain", "hashed"),
    CAPTURE_EXCEPTION_MESSAGES: ("false", "true"),
    LOGS: ("false", "true"),
    CAPTURE_LOG_MESSAGES: ("false", "true"),
}
"""What each variable may say, its default first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the variables, or the arguments that stand for them, say."""

    capture: str = "structure"
    field_names: str = "plain"
    field_names_key: str | None = field(default=None, repr=False)
    exception_messages: bool = False
    logs: bool = False
    log_messages: bool = False
    history: HistoryChoice | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the variables; one that is not set, or empty, has its default.

        Args:
            environ: Read this in place of the process's environment.

        Raises:
            ValueError: A variable has a value that it cannot have.
        """
        found = os.environ if environ is None else environ
        return cls(
            capture=_choice(found, CAPTURE),
            field_names=_choice(found, FIELD_NAMES),
            field_names_key=found.get(FIELD_NAMES_KEY) or None,
            exception_messages=_choice(found, CAPTURE_EXCEPTION_MESSAGES) == "true",
            logs=_choice(found, LOGS) == "true",
            log_messages=_choice(found, CAPTURE_LOG_MESSAGES) == "true",
            history=_history(found.get(HISTORY, "").strip()),
        )

    def given(
        self,
        *,
        capture: str | None = None,
        field_names: str | None = None,
        logs: bool | None = None,
        history: HistoryChoice | None = None,
    ) -> Settings:
        """Return the same, but for what is given.

        Raises:
            ValueError: Something is given that there is not.
        """
        return replace(
            self,
            capture=self.capture if capture is None else _checked("capture", CAPTURE, capture),
            field_names=(
                self.field_names
                if field_names is None
                else _checked("field_names", FIELD_NAMES, field_names)
            ),
            logs=self.logs if logs is None else logs,
            history=self.history if history is None else history,
        )


def _history(given: str) -> HistoryChoice | None:
    """Read where runs are kept; None where nothing is said."""
    if given.lower() in {"0", "1", "yes", "no", "on", "off"}:
        raise ValueError(
            f"{HISTORY} is true, false or a path (found {given!r}; "
            f"a file of that name is './{given}')"
        )
    named: dict[str, HistoryChoice | None] = {"": None, "true": True, "false": False}
    return named.get(given.lower(), given)


def _choice(environ: Mapping[str, str], name: str) -> str:
    given = environ.get(name, "").strip()
    return _checked(name, name, given.lower()) if given else _CHOICES[name][0]


def _checked(shown: str, name: str, value: str) -> str:
    if value not in _CHOICES[name]:
        raise ValueError(f"{shown} is {' or '.join(_CHOICES[name])} (found {value!r})")
    return value


MAX_ATTRIBUTE_BYTES = 2048
"""No attribute is larger than this, in UTF-8: common back ends cut longer ones."""

MAX_NAME_BYTES = 512
"""A module's or experiment's name on a span; a longer one is cut and ends in its hash."""

MAX_DISTINCT_SCHEMAS = 10_000
"""How many wide schemas a run remembers to have described; one beyond may be described again."""

EXPORT_TIMEOUT_SECONDS = 3
"""How long one export may take, where OTEL_EXPORTER_OTLP_TIMEOUT does not say otherwise."""

SHUTDOWN_SECONDS = 1.5
"""How long a process waits at its end for what is still to be sent."""

MAX_CONTEXT_ENTRIES = 16
"""How many entries a user-timed step's context may have."""

EXPORT_QUEUE_SIZE = 16_384
"""How many spans may wait to be sent, where OTEL_BSP_MAX_QUEUE_SIZE does not say otherwise: a
quick pipeline makes more in the five seconds between two batches than the SDK's 2,048."""
