"""Two runs side by side, execution by execution: what differs, and what that is to be called.

Pure: values in, values out. Knows neither how it is shown nor where the runs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from petsard_otel.reports.noise import noise_bands
from petsard_otel.schema import NO_DIFF, Schema, SchemaDiff, diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from petsard_otel.records import ExecutionSnapshot, RunSummary, TimingRecord
    from petsard_otel.schema import OpaqueSchema

Judgement: TypeAlias = Literal["within noise", "slower", "faster"]

Key: TypeAlias = tuple[str, str, int]
"""Module, experiment path, and which of several executions on that path, counted from 1."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What a comparison looks at in one module execution."""

    module_name: str
    experiment_name: str
    experiment_path: str
    number: int
    status: str
    error_type: str | None
    seconds: float | None
    rows: int | None
    columns: int | None
    schema: Schema | OpaqueSchema | None

    @property
    def schema_hash(self) -> str | None:
        """The identity of the output's structure; None where there is no table."""
        return None if self.schema is None else self.schema.hash


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took in A and in B, and what is known of its noise.

    `noise_seconds` is None where too few earlier runs have it. A time is None where it is not one
    of work that was done: of what is missing, failed, or was killed.
    """

    a_seconds: float | None
    b_seconds: float | None
    noise_seconds: float | None = None

    @property
    def difference_seconds(self) -> float | None:
        """How much longer B took."""
        if self.a_seconds is None or self.b_seconds is None:
            return None
        return self.b_seconds - self.a_seconds

    @property
    def ratio(self) -> float | None:
        """The difference as a part of A's time; None where A took none."""
        difference = self.difference_seconds
        return None if difference is None or not self.a_seconds else difference / self.a_seconds

    @property
    def judgement(self) -> Judgement | None:
        """What the difference is, held against the noise; None where one of them is missing."""
        difference = self.difference_seconds
        if difference is None or self.noise_seconds is None:
            return None
        if abs(difference) <= self.noise_seconds:
            return "within noise"
        return "slower" if difference > 0 else "faster"


@dataclass(frozen=True, slots=True)
class Pair:
    """One execution in A and in B; None where only the other has it.

    Schemas, rows and columns are compared where both succeeded: what failed made nothing.
    """

    a: Execution | None
    b: Execution | None
    noise_seconds: float | None = None

    @property
    def subject(self) -> Execution:
        """The execution in the run that has it, B's of two."""
        found = self.b or self.a
        assert found is not None, "a pair has at least one execution"  # noqa: S101
        return found

    @property
    def is_comparable(self) -> bool:
        """Whether both have it, and it succeeded in both."""
        return (
            self.a is not None
            and self.b is not None
            and self.a.status == self.b.status == "success"
        )

    @property
    def times(self) -> Times:
        """How long it took."""
        return Times(_seconds(self.a), _seconds(self.b), self.noise_seconds)

    @property
    def has_schema_changed(self) -> bool:
        """Whether B's output has another structure."""
        if self.a is None or self.b is None or not self.is_comparable:
            return False
        return self.a.schema_hash != self.b.schema_hash

    @property
    def diff(self) -> SchemaDiff:
        """How B's output differs from A's; nothing where one of them cannot be read."""
        if self.a is None or self.b is None or not self.has_schema_changed:
            return NO_DIFF
        before, after = self.a.schema, self.b.schema
        if isinstance(before, Schema) and isinstance(after, Schema):
            return diff(before, after)
        return NO_DIFF

    @property
    def have_rows_changed(self) -> bool:
        """Whether B's output has another number of rows."""
        if self.a is None or self.b is None or not self.is_comparable:
            return False
        return self.a.rows != self.b.rows

    @property
    def have_columns_changed(self) -> bool:
        """Whether B's output has another number of columns."""
        if self.a is None or self.b is None or not self.is_comparable:
            return False
        return self.a.columns != self.b.columns


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    run: RunSummary
    sequence: tuple[str, ...]
    executions: Mapping[Key, Execution]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run that noise is learnt from."""

    seconds: float | None
    timings: Sequence[TimingRecord]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, aligned. `earlier_count` is from how many runs the noise was learnt."""

    a: Side
    b: Side
    pairs: tuple[Pair, ...]
    total: Times
    earlier_count: int

    @property
    def has_config_changed(self) -> bool | None:
        """Whether the hashes of the configurations differ; None where one of them is not known."""
        a, b = self.a.run, self.b.run
        if a.run_id == b.run_id:
            return False
        if a.config_hash is None or b.config_hash is None:
            return None
        return a.config_hash != b.config_hash

    @property
    def unsuccessful_count(self) -> int:
        """How many executions both have that did not succeed in both, so are not compared."""
        there = [pair for pair in self.pairs if pair.a is not None and pair.b is not None]
        return sum(not pair.is_comparable for pair in there)

    @property
    def has_engine_changed(self) -> bool:
        """Whether other modules did the work: PETsARD's, or the built-in ones."""
        return self.a.run.engine != self.b.run.engine

    @property
    def has_sequence_changed(self) -> bool:
        """Whether the modules, or their order, differ."""
        return self.a.sequence != self.b.sequence


def side(
    run: RunSummary,
    sequence: Iterable[str],
    snapshots: Iterable[ExecutionSnapshot],
    timings: Iterable[TimingRecord],
) -> Side:
    """Return a run as a comparison takes it."""
    durations = {record.span_id: record.duration_seconds for record in timings}
    counts: dict[tuple[str, str], int] = {}
    executions: dict[Key, Execution] = {}
    for snapshot in snapshots:
        place = snapshot.module_name, snapshot.experiment_path
        number = counts[place] = counts.get(place, 0) + 1
        executions[(*place, number)] = Execution(
            module_name=snapshot.module_name,
            experiment_name=snapshot.experiment_name,
            experiment_path=snapshot.experiment_path,
            number=number,
            status=snapshot.status,
            error_type=snapshot.error_type,
            seconds=durations.get(snapshot.span_id),
            rows=snapshot.rows,
            columns=snapshot.columns,
            schema=snapshot.metadata_after,
        )
    return Side(run, tuple(sequence), executions)


def compare(a: Side, b: Side, earlier: Sequence[Earlier] = ()) -> Comparison:
    """Align two runs by module and experiment path, repeated executions in their order.

    Args:
        a: The run to compare with.
        b: The run to look at.
        earlier: Earlier runs of the same pipeline, for the noise.
    """
    bands = noise_bands(_durations(earlier))
    pairs = tuple(
        Pair(a.executions.get(key), b.executions.get(key), bands.get(key))
        for key in _merged(list(a.executions), list(b.executions))
    )
    totals = [run.seconds for run in earlier if run.seconds is not None]
    total = Times(_total(a.run), _total(b.run), noise_bands({"": totals}).get(""))
    return Comparison(a, b, pairs, total, len(earlier))


def _durations(earlier: Iterable[Earlier]) -> dict[Key, list[float]]:
    """Return what each execution took in the runs before."""
    found: dict[Key, list[float]] = {}
    for run in earlier:
        counts: dict[tuple[str, str], int] = {}
        for record in run.timings:
            place = record.module_name, record.experiment_path
            number = counts[place] = counts.get(place, 0) + 1
            if record.status == "success":
                found.setdefault((*place, number), []).append(record.duration_seconds)
    return found


def _merged(a: Sequence[Key], b: Sequence[Key]) -> list[Key]:
    """Return all keys in B's order, those that only A has behind what they followed there."""
    known = set(b)
    following: dict[Key | None, list[Key]] = {}
    anchor: Key | None = None
    for key in a:
        if key in known:
            anchor = key
        else:
            following.setdefault(anchor, []).append(key)
    merged = following.get(None, [])
    for key in b:
        merged.append(key)
        merged += following.get(key, [])
    return merged


def _seconds(execution: Execution | None) -> float | None:
    return None if execution is None or execution.status != "success" else execution.seconds


def _total(run: RunSummary) -> float | None:
    return run.duration_seconds if run.state == "completed" else None
