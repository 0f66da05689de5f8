"""One whole audit: from a configuration to what was found."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from petsard_otel.audit.examination import examine, exhibits
from petsard_otel.audit.exports import other_process
from petsard_otel.audit.passes import Passes
from petsard_otel.audit.pipeline import PlantedExecutor
from petsard_otel.audit.planting import EVERY_TEXT
from petsard_otel.audit.result import AuditResult
from petsard_otel.audit.sentinels import Mint
from petsard_otel.audit.stored import Stored
from petsard_otel.audit.workspace import workspace
from petsard_otel.schema import Schema
from petsard_otel.settings import FIELD_NAMES
from petsard_otel.telemetry.privacy import settings_of_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from petsard_otel.audit.examination import Exhibit
    from petsard_otel.audit.exports import OtherProcess
    from petsard_otel.audit.pipeline import AdapterFactory
    from petsard_otel.audit.result import Artefact, Find
    from petsard_otel.audit.sentinels import Sentinel
    from petsard_otel.settings import Settings

SHOWN_NAMES = 20
"""So many names of columns are shown for a person to look at."""


def audit(
    config: str | os.PathLike[str] | Mapping[str, Any],
    adapters: Mapping[str, AdapterFactory] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> AuditResult:
    """Run a pipeline with sentinels planted everywhere, and search all that leaves for them.

    Nothing is sent but to receivers on 127.0.0.1, and no file of the user's is written by a
    built-in module. What `configure()` set up before is shut down. Not for several threads at once:
    environment variables, loggers and `configure()` are the process's.

    Args:
        config: Path of a YAML file, YAML text, or the same as a dict.
        adapters: What makes the adapters of a module in the place of the built-in one, given an
            experiment's name and its parameters.
        tell: Called with what is going on, now and then.

    Raises:
        ConfigError: The configuration, or a PETSARD_OTEL_* variable, cannot be used.
    """
    begin = time.monotonic()
    settings = settings_of_environment()
    own = dict(adapters or {})
    checked = PlantedExecutor(config, own)
    mint = Mint()
    with workspace(config, mint) as space, other_process(space.private) as others:
        passes = Passes(space, own, mint, tell)
        passes.run()
        planted = tuple(mint.sentinels)
        mint.name("control", "the audit")
        rows, finds, problems = _examined(
            passes, planted, mint.sentinels[-1], _expected(checked, passes, settings), others, tell
        )
    return AuditResult(
        name=str(config) if _is_path(config) else "the configuration",
        settings=_shown(settings),
        artefacts=rows,
        finds=finds,
        problems=(*passes.problems, *problems),
        notes=tuple(_notes(passes, settings)),
        planted=dict(Counter(sentinel.kind for sentinel in planted)),
        runs=passes.count,
        failure=_failure(passes),
        duration_seconds=time.monotonic() - begin,
    )


def _examined(
    passes: Passes,
    planted: Sequence[Sentinel],
    control: Sentinel,
    expected: Sequence[str],
    others: OtherProcess,
    tell: Callable[[str], None],
) -> tuple[tuple[Artefact, ...], tuple[Find, ...], list[str]]:
    rows: list[Artefact] = []
    finds: list[Find] = []
    problems: list[str] = []
    tell("reading what was kept")
    stored = Stored(passes.kept, control)
    stored.ask(others)
    for exhibit in _exhibits(passes, expected, stored, others):
        tell(f"searching {exhibit.name}")
        found = examine(exhibit, planted, control)
        rows.append(found.artefact)
        finds += found.finds
        problems += found.problems
    return tuple(rows), tuple(finds), [*problems, *stored.problems]


def _exhibits(
    passes: Passes, expected: Sequence[str], stored: Stored, others: OtherProcess
) -> Iterator[Exhibit]:
    """Yield the artefacts; the exports come last, since they are made meanwhile."""
    yield from exhibits(passes.evidence, expected)
    yield stored.history(expected)
    yield stored.exports(others, expected)


def _expected(executor: PlantedExecutor, passes: Passes, settings: Settings) -> list[str]:
    """Return names that the traces must hold: every module's, and a column's where it is plain."""
    expected = list(executor.sequence)
    schemas = [found.schema for found in passes.recording.found if isinstance(found.schema, Schema)]
    if settings.field_names == "plain" and schemas:
        expected += [name for name in schemas[0].attributes if name.isidentifier()][:1]
    return expected


def _shown(settings: Settings) -> dict[str, str]:
    sent = {False: "withheld", True: "sent"}
    return {
        "captures": settings.capture,
        "column names": settings.field_names,
        "exceptions' messages": sent[settings.exception_messages],
        "log texts": sent[settings.log_messages],
    }


def _is_path(config: object) -> bool:
    return isinstance(config, os.PathLike) or (
        isinstance(config, str) and "\n" not in config and Path(config).suffix in {".yaml", ".yml"}
    )


def _notes(passes: Passes, settings: Settings) -> list[str]:
    notes = []
    if passes.planted != EVERY_TEXT and passes.failure is None:
        notes.append(
            f"the pipeline fails on planted cells ({passes.brittle}), so {passes.planted} is what "
            "the tables got that it reads; the replays have them all"
        )
    left_out = passes.planter.left_out
    if left_out:
        kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(left_out.items()))
        notes.append(f"columns of too few values to tell one apart, not planted: {kinds}")
    names = [
        name[:60] if name.isprintable() else repr(name)[:60]
        for found in passes.recording.found
        if isinstance(found.schema, Schema)
        for name in found.schema.attributes
    ]
    if names and settings.field_names == "plain":
        distinct = list(dict.fromkeys(names))
        more = f" and {len(distinct) - SHOWN_NAMES} more" if len(distinct) > SHOWN_NAMES else ""
        notes.append(
            f"names of columns leave as they are; see that none is data: "
            f"{', '.join(distinct[:SHOWN_NAMES])}{more} ({FIELD_NAMES}=hashed hides them)"
        )
    return notes


def _failure(passes: Passes) -> str | None:
    if passes.failure is None:
        return None
    place, error = passes.failure
    return f"{place} failed: {type(error).__name__}: {error}"
