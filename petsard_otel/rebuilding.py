"""A Status out of the spans of a run: it answers as the live one did, and records nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from petsard_otel import attributes as key
from petsard_otel.convention import DESCRIBED
from petsard_otel.exceptions import DecodeError, PetsardOtelError, SourceError, UnexecutedError
from petsard_otel.settings import Settings
from petsard_otel.status import Status
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.encoding import texts_of
from petsard_otel.telemetry.replay import is_ours, open_executions, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from petsard_otel.records import ExecutionSnapshot, OpenExecution
    from petsard_otel.telemetry.encoding import EndedSpan

MAX_SHOWN_RUNS = 10
"""How many runs an error names where one has to be chosen."""


@dataclass(frozen=True)
class TracedRun:
    """What a trace tells of a run's configuration."""

    sequence: tuple[str, ...]
    name: str | None = None
    hash: str | None = None
    engine: str | None = None


class RebuiltStatus(Status):
    """A Status that was read from a trace. Results are not in one; nothing can be added."""

    def __init__(
        self,
        run: TracedRun,
        run_id: str,
        limits: Sequence[int],
        spans: Sequence[EndedSpan],
        pass_over: Callable[[], None] | None = None,
    ) -> None:
        """Take in the spans of one run.

        Raises:
            DecodeError: They are damaged, or contradict each other, and none is passed over.
        """
        super().__init__(run, *limits)
        self._recorder.run_id = run_id
        self._opened = open_executions(spans)
        self._is_under_way = any(span.end_time is None for span in spans)
        ended = [span for span in spans if span.end_time is not None]
        if ended:
            replay(ended, self._store, run_id, pass_over)
        everything = self._store
        if everything.totals()["snapshots"] > limits[0]:
            everything = StatusStore(len(ended), 0, 0)
            replay(ended, everything, run_id, pass_over)
        for snapshot in everything.snapshots():
            self._take(snapshot, run.engine)

    def _take(self, snapshot: ExecutionSnapshot, engine: str | None) -> None:
        """Bring the state that questions are about to where this execution left it."""
        if snapshot.status != "success":
            return
        module = snapshot.module_name
        if module in self.status and module in self.sequence:
            for name in self.sequence[self.position_of(module) + 1 :]:
                self.status.pop(name, None)
        is_kept = engine != "petsard" or module in DESCRIBED
        if snapshot.metadata_after is not None and is_kept:
            self.metadata[module] = snapshot.metadata_after
        elif engine != "petsard":
            self.metadata.pop(module, None)
        self._seen[module] = (self.metadata.get(module), snapshot.metadata_after)
        self.status[module] = {"expt": snapshot.experiment_name, "operator": _NoOperator(module)}

    def _settings(self) -> Settings:
        """Return what nothing is recorded by, whatever the variables say."""
        return Settings()

    def put(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: the run is over, or another process's."""
        raise _refusal()

    def running(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as `put` does."""
        raise _refusal()

    def executing(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as `put` does."""
        raise _refusal()

    def start_timing(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as `put` does."""
        raise _refusal()

    def _open_modules(self) -> tuple[OpenExecution, ...]:
        return self._opened

    def _state(self) -> str:
        if self._store.run is None and self._is_under_way:
            return "running"
        return super()._state()


class _NoOperator:
    """Stands where a module's adapter was."""

    def __init__(self, module: str) -> None:
        self._module = module

    def get_result(self) -> NoReturn:
        """Raise: what modules made is not in a trace."""
        raise UnexecutedError(
            f"there is no result of {self._module}: this Status was read from a trace, which has "
            "names, types, counts and times alone"
        )


def rebuilt(
    spans: Iterable[EndedSpan],
    run_id: str | None = None,
    limits: Sequence[int] = (),
    source: str = "these spans",
    pass_over: Callable[[], None] | None = None,
) -> Status:
    """Return the Status of a run that these spans tell of.

    Args:
        spans: All spans of the run, others among them.
        run_id: The run; needed where the spans are of several.
        limits: `max_snapshots`, `max_changes` and `max_timings`.
        source: What errors call the place that the spans are out of.
        pass_over: Is told of each span that is damaged or contradicts another, and is left out.

    Raises:
        SourceError: There is no run in them, or several of which none was named.
        DecodeError: They are damaged, or contradict each other, and none is passed over.
    """
    everything = list(spans)
    ours = [span for span in everything if is_ours(span)]
    chosen = _run_of(ours, run_id, len(everything), source)
    found = [span for span in ours if _run_id(span) in (None, chosen)]
    try:
        limits = limits or (1000, 5000, 10000)
        return RebuiltStatus(_traced(found), chosen, limits, found, pass_over)
    except DecodeError as error:
        raise DecodeError(f"{source}: {error}") from None


def _run_of(spans: Sequence[EndedSpan], wanted: str | None, total: int, source: str) -> str:
    known = dict.fromkeys(found for span in spans if (found := _run_id(span)) is not None)
    if wanted is not None and wanted in known:
        return wanted
    if not known:
        others = f"{total} of other programs" if total else "none at all"
        raise SourceError(f"there is no span of petsard-otel in {source}, but {others}")
    names = "".join(f"\n  {name}" for name in list(known)[:MAX_SHOWN_RUNS])
    names += "\n  ..." if len(known) > MAX_SHOWN_RUNS else ""
    if wanted is not None:
        raise SourceError(f"there is no run {wanted!r} in {source}; there are:{names}")
    if len(known) > 1:
        raise SourceError(f"there are {len(known)} runs in {source}; say which by run_id=:{names}")
    return next(iter(known))


def _traced(spans: Sequence[EndedSpan]) -> TracedRun:
    for span in spans:
        found: Mapping[str, Any] = span.attributes or {}
        sequence = texts_of(found.get(key.SEQUENCE))
        if sequence is not None:
            return TracedRun(
                sequence,
                found.get(key.RUN_NAME),
                found.get(key.CONFIG_HASH),
                found.get(key.ENGINE),
            )
    positions: dict[str, int] = {}
    for span in spans:
        found = span.attributes or {}
        if type(found.get(key.MODULE_POSITION)) is int:
            positions.setdefault(str(found.get(key.MODULE_NAME)), found[key.MODULE_POSITION])
    return TracedRun(tuple(sorted(positions, key=lambda name: positions[name])))


def _run_id(span: EndedSpan) -> str | None:
    found = (span.attributes or {}).get(key.RUN_ID)
    return found if isinstance(found, str) else None


def _refusal() -> PetsardOtelError:
    return PetsardOtelError(
        "this Status was read from a trace and takes nothing in; make a new one to record with"
    )
