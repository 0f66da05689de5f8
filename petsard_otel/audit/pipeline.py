"""The audited run: the user's own modules at work on planted tables, and what they did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from petsard_otel.adapter import describes_schema, predicts_schema
from petsard_otel.audit.planting import NOTHING
from petsard_otel.executor import Executor
from petsard_otel.telemetry.spans import experiment_label

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from petsard_otel.adapter import Adapter
    from petsard_otel.audit.planting import Planter
    from petsard_otel.config import Execution
    from petsard_otel.status import Status

    AdapterFactory = Callable[[str, Mapping[str, Any]], Adapter]
    """Makes the adapter of an experiment, given its name and its parameters."""

SAMPLE_ROWS = 6
"""Rows of a module's table that are kept for the replays."""

MAX_STEPS = 20
"""Steps of one module that are replayed."""


@dataclass
class Recorded:
    """What is known of a module's last execution with an experiment.

    `result` has tables of a few rows in the place of whole ones. `operator_type` is the class
    that did the work.
    """

    operator_type: str
    result: Any = None
    schema: Any = None
    predicts: bool = False
    steps: list[str] = field(default_factory=list)


class Recording:
    """What each module did, by module and experiment, a Splitter's suffix aside."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Recorded] = {}

    @property
    def found(self) -> tuple[Recorded, ...]:
        """All that is known, in the order in which modules first ran."""
        return tuple(self._found.values())

    def of(self, module: str, experiment: str) -> Recorded | None:
        """Return what is known of an experiment, else of another one of its module."""
        known = self._found.get((module, experiment_label(experiment)))
        others = (found for (name, _), found in self._found.items() if name == module)
        return known or next(others, None)

    def take(self, execution: Execution, adapter: Adapter, result: Any) -> None:
        """Take note of an execution that has come to its end."""
        key = execution.module, experiment_label(execution.experiment)
        if key in self._found:
            return
        schema = None
        if describes_schema(adapter):
            try:
                schema = adapter.get_metadata()
            except NotImplementedError:
                schema = None
        self._found[key] = Recorded(
            type(adapter).__name__, _sample(result), schema, predicts_schema(adapter)
        )

    def take_steps(self, status: Status) -> None:
        """Take note of the steps that a run's modules opened."""
        for timing in status.timing_records:
            known = self._found.get((timing.module_name, experiment_label(timing.experiment_name)))
            is_new = known is not None and timing.step_name not in known.steps
            if known is not None and is_new and timing.source != "module":
                known.steps = [*known.steps, timing.step_name][:MAX_STEPS]


class PlantedExecutor(Executor):
    """Runs a pipeline with sentinels in every table that is read from outside.

    Attributes:
        meanwhile: Called with the module's name while one is at work.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        adapters: Mapping[str, AdapterFactory],
        planter: Planter | None = None,
        recording: Recording | None = None,
        what: str = NOTHING,
    ) -> None:
        """Check a configuration.

        Args:
            config: What an Executor takes.
            adapters: What makes the adapters of a module, where that is not built in.
            planter: Makes the sentinels; None where none are planted.
            recording: Takes what the modules did.
            what: What is planted.
        """
        self.meanwhile: Callable[[str], None] = lambda _: None
        self._adapters = adapters
        self._planter = planter
        self._recording = recording
        self._what = what
        super().__init__(config, engine="builtin")

    def _adapter(self, execution: Execution) -> Adapter:
        adapter = super()._adapter(execution)
        if self._planter is None or self._recording is None:
            return adapter
        # The class that did the work is on the module's span by its name.
        wrapper = type(type(adapter).__name__, (Planted,), {})
        planted: Planted = wrapper(adapter, execution, self._planter, self._recording, self._what)
        planted.meanwhile = self.meanwhile
        return planted

    def _create(self, module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
        factory = self._adapters.get(module)
        if factory is None:
            return super()._create(module, experiment, parameters)
        return factory(experiment, parameters)


class Planted:
    """An adapter that hands on another's work, with sentinels where that came from outside."""

    def __init__(
        self,
        adapter: Adapter,
        execution: Execution,
        planter: Planter,
        recording: Recording,
        what: str,
    ) -> None:
        self.meanwhile: Callable[[str], None] = lambda _: None
        self._adapter = adapter
        self._execution = execution
        self._planter = planter
        self._recording = recording
        self._what = what
        self._planted: dict[int, tuple[Any, Any]] = {}

    def set_input(self, status: Status) -> dict[str, Any]:
        """Collect what the other needs."""
        return self._adapter.set_input(status)

    def run(self, input: dict[str, Any]) -> None:
        """Have the other do its work."""
        self._adapter.run(input)
        self.meanwhile(self._execution.module)

    def get_result(self) -> Any:
        """Return what the other made, with sentinels where it was read."""
        result = self._adapter.get_result()
        if _reads_data(self._execution):
            place = f"{self._execution.module}[{self._execution.experiment}]"
            result = self._with_sentinels(result, place)
        self._recording.take(self._execution, self._adapter, result)
        return result

    def _with_sentinels(self, result: Any, place: str) -> Any:
        """Plant each table once, however often it is asked for."""
        import pandas as pd

        if isinstance(result, dict):
            return {
                name: self._with_sentinels(value, f"{place}, {name}")
                for name, value in result.items()
            }
        if not isinstance(result, pd.DataFrame):
            return result
        known = self._planted.get(id(result))
        if known is None:
            planted = self._planter.planted(result, place, what=self._what)
            known = self._planted[id(result)] = (result, planted)
        return known[1]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # Asked of a copy that has nothing yet, too: there is no other to hand on.
            raise AttributeError(name)
        return getattr(self._adapter, name)


def _reads_data(execution: Execution) -> bool:
    """Tell whether a module brings a table from outside into the pipeline."""
    method = execution.parameters.get("method")
    return execution.module == "Loader" or str(method).lower() == "custom_data"


def _sample(result: Any) -> Any:
    """Return a result with a few rows of each table, and nothing in the place of what is none."""
    import pandas as pd

    if isinstance(result, dict):
        return {name: _sample(value) for name, value in result.items()}
    return result.head(SAMPLE_ROWS).copy() if isinstance(result, pd.DataFrame) else None
