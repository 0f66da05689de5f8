"""Runs in which no module does its work again, but all that can go wrong in one does.

Nothing computes on the tables of a replay, so every module's has sentinels, columns can have any
name, and every value of the configuration is a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from petsard_otel.audit.planting import Planter
from petsard_otel.audit.quoting import misbehave, quoting_error
from petsard_otel.audit.tables import every_type
from petsard_otel.config import EXECUTOR
from petsard_otel.executor import Executor
from petsard_otel.schema import Attribute, Schema
from petsard_otel.telemetry.spans import experiment_label, step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.adapter import Adapter
    from petsard_otel.audit.pipeline import Recorded, Recording
    from petsard_otel.audit.sentinels import Mint
    from petsard_otel.config import Execution
    from petsard_otel.status import Status

WAYS_TO_FAIL = ("set_input", "run", "run, with a group", "get_result")
"""Where a module of a replay fails, and how."""

MAX_EXECUTIONS = 300
"""Module executions of one replay; experiments beyond are left out."""

MAX_RENAMED_COLUMNS = 200
"""Columns that get a sentinel for their name; further ones keep theirs."""

MAX_FAILING_COLUMNS = 20
"""Columns of the schemas in a replay that fails."""

COLUMNS_PER_TYPE = 2
"""Columns of one type that are planted in each module's table."""


@dataclass(frozen=True)
class Scene:
    """What happens in one replay.

    Attributes:
        every_type: Whether the tables are such of every type, or like the pipeline's own.
        renamed: Whether columns have sentinels for names.
        failing: The module that fails, None where none does.
        way: How it fails, one of `WAYS_TO_FAIL`.
    """

    every_type: bool = False
    renamed: bool = False
    failing: str | None = None
    way: str = "run"

    @property
    def is_uneventful(self) -> bool:
        """Whether it is like the pipeline's own run, but for its secrets."""
        return self.failing is None and not self.every_type

    def __str__(self) -> str:
        if self.failing is not None:
            return f"{self.failing} fails in {self.way}"
        return "every type" if self.every_type else "as it ran"


class Stage:
    """What the replays of one audit share.

    Attributes:
        mint: Makes sentinels.
        recording: What the modules did.
        meanwhile: Called with the module's name while one is at work.
    """

    def __init__(self, mint: Mint, recording: Recording) -> None:
        self.mint = mint
        self.recording = recording
        self.meanwhile: Callable[[str], None] = lambda _: None
        self._names: dict[str, str] = {}
        self._results: dict[str, Any] = {}

    def adapter(self, execution: Execution, scene: Scene) -> Adapter:
        """Make what stands for a module."""
        known = self.recording.of(execution.module, execution.experiment)
        place = f"{execution.module}[{experiment_label(execution.experiment)}]"
        result, schema = self._made(known, place, scene)
        name = "Adapter" if known is None else known.operator_type
        made: Replayed = type(name, (Replayed,), {})(self.mint, execution, scene, result, schema)
        made.steps = ["step"] if known is None else known.steps
        made.meanwhile = self.meanwhile
        return made

    def _made(self, known: Recorded | None, place: str, scene: Scene) -> tuple[Any, Any]:
        """Return the result and the schema of a module."""
        if known is None or scene.every_type:
            result = self.table
            schema: Any = Schema.from_dataframe(result, "table")
        else:
            if place not in self._results:
                self._results[place] = self._planted(known.result, place)
            result, schema = self._results[place], known.schema
        if scene.failing is not None and isinstance(schema, Schema):
            # One replay shows how wide schemas travel; the many others need not.
            schema = Schema.of(schema.id, list(schema.attributes.values())[:MAX_FAILING_COLUMNS])
        if scene.renamed and isinstance(schema, Schema):
            schema = self._renamed(schema)
        return result, schema

    @cached_property
    def table(self) -> Any:
        """A table of every type."""
        return every_type(self.mint, "a table of every type")

    def _planted(self, result: Any, place: str) -> Any:
        import pandas as pd

        if isinstance(result, dict):
            return {
                name: self._planted(value, f"{place}, {name}") for name, value in result.items()
            }
        if isinstance(result, pd.DataFrame):
            return Planter(self.mint).planted(result, place, per_type=COLUMNS_PER_TYPE)
        return self.mint.text("part of the result", place)

    def _renamed(self, schema: Schema) -> Schema:
        """Give columns sentinels for names: the same column the same one in every module."""
        for name in schema.attributes:
            if name not in self._names and len(self._names) < MAX_RENAMED_COLUMNS:
                place = f"column {len(self._names) + 1} of the schemas"
                self._names[name] = self.mint.text("column name", place, is_local=True)
        return Schema.of(
            schema.id,
            (
                replace(attribute, name=self._names.get(name, name))
                for name, attribute in schema.attributes.items()
            ),
        )


class ReplayExecutor(Executor):
    """Runs a configuration without any of its modules."""

    def __init__(self, config: Mapping[str, Any], stage: Stage, scene: Scene) -> None:
        self._stage = stage
        self._scene = scene
        super().__init__(config)

    def _adapter(self, execution: Execution) -> Adapter:
        return self._stage.adapter(execution, self._scene)

    def _check_parameters(self) -> None:
        """Take whatever is given: no module reads it."""


class Replayed:
    """Stands for a module: its tables are there already, and it quotes cells wherever it can."""

    def __init__(
        self, mint: Mint, execution: Execution, scene: Scene, result: Any, schema: Any
    ) -> None:
        self.steps: list[str] = []
        self.meanwhile: Callable[[str], None] = lambda _: None
        self._mint = mint
        self._execution = execution
        self._scene = scene
        self._result = result
        self._schema = schema
        self._place = f"{execution.module}[{experiment_label(execution.experiment)}]"

    def set_input(self, status: Status) -> dict[str, Any]:
        """Ask for the module before; time something, with a text that stays at home."""
        self._fail("set_input")
        before = status.get_pre_module(self._execution.module)
        if before is not None:
            status.get_result(before)
        text = self._mint.said("text of a timing's context", self._place, is_local=True)
        module, experiment = self._execution.module, self._execution.experiment
        status.start_timing(module, experiment, "audited", {"note": text, "count": 1})
        status.end_timing(module, experiment, "audited")
        return {"status": status}

    def run(self, input: dict[str, Any]) -> None:
        """Open the steps that the module opened, and misbehave in and out of them."""
        is_aside = self._scene.failing not in (None, self._execution.module)
        if not is_aside:
            misbehave(self._mint, f"{self._place}, in run")
        for step in self.steps:
            with step_span(step):
                pass
        with step_span("audited"):
            if not is_aside:
                misbehave(self._mint, f"{self._place}, in a step")
            self.meanwhile(self._execution.module)
            self._fail("run")
            self._fail("run, with a group")

    def get_result(self) -> Any:
        """Return the tables."""
        self._fail("get_result")
        return self._result

    def get_metadata(self) -> Any:
        """Return the schema."""
        if self._schema is None:
            raise NotImplementedError
        return self._schema

    def infer_schema(self, input_schema: Schema) -> Schema:
        """Predict something else than comes: what is said of it must not quote names."""
        if not isinstance(self._schema, Schema):
            return input_schema
        extra = Attribute("predicted in vain", "int64")
        return Schema.of(self._schema.id, [*self._schema.attributes.values(), extra])

    def _fail(self, way: str) -> None:
        scene = self._scene
        if scene.failing == self._execution.module and scene.way == way:
            place = f"{self._place}, failing in {way}"
            raise quoting_error(self._mint, place, self._result, as_group=way.endswith("group"))


def secret_content(content: Mapping[str, Any], mint: Mint, *, narrow: bool) -> dict[str, Any]:
    """Return a configuration of the same modules and experiments, with secrets for values.

    Args:
        content: The user's configuration.
        mint: Makes the secrets.
        narrow: Whether each module keeps its first experiment alone.
    """
    kept = {name: dict(section) for name, section in content.items() if name != EXECUTOR}
    for module, experiments in kept.items():
        for experiment, parameters in experiments.items():
            splits = min(parameters.get("num_samples", 1), 1 if narrow else 2)
            secrets: dict[str, Any] = {
                name: mint.said("secret", f"the configuration, {module}[{experiment}].{name}")
                for name in (*parameters, "password")
            }
            if module == "Splitter":
                secrets["num_samples"] = splits
            experiments[experiment] = secrets
    while any(len(experiments) > 1 for experiments in kept.values()) and (
        narrow or _execution_count(kept) > MAX_EXECUTIONS
    ):
        widest = max(kept.values(), key=len)
        del widest[next(reversed(widest))]
    return kept


def _execution_count(content: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many module executions a configuration has, two splits counted for each one."""
    total, width = 0, 1
    for module, experiments in content.items():
        width *= len(experiments) * (2 if module == "Splitter" else 1)
        total += width
    return total
