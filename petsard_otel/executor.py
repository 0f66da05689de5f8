"""The Executor: runs what a configuration asks for, and hands each execution to the Status."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from petsard_otel.config import Config
from petsard_otel.engines import engine_called, modules_added_to_petsard
from petsard_otel.exceptions import ConfigError
from petsard_otel.logs import OWN_RECORD, LogOptions, petsard_log

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    import pandas as pd
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from petsard_otel.adapter import Adapter
    from petsard_otel.config import Execution
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

_logger = logging.getLogger("PETsARD.Executor")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: about to start execution `number` of `total`, or, at the end, None."""

    number: int
    total: int
    module: str | None = None
    experiment: str | None = None
    experiment_path: tuple[tuple[str, str], ...] = ()


class Executor:
    """Runs a pipeline, and answers what came of it.

    Attributes:
        config: The checked configuration.
        status: What the run has done so far; a second `run()` begins with a new one.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        engine: str = "auto",
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Read and check a configuration; nothing is run, and no data is read.

        Args:
            config: Path of a YAML file, YAML text, or the same as a dict.
            engine: Whose modules run: `auto`, `builtin` or `petsard`.
            tracer_provider: Record with this provider; else the one in force at `run()`.
            meter_provider: The same for metrics.

        Raises:
            ConfigError: Says what is wrong, where, and what to do.
        """
        self.config = Config(config, own_modules=modules_added_to_petsard(engine))
        self._engine = engine_called(engine)
        self._providers = {"tracer_provider": tracer_provider, "meter_provider": meter_provider}
        try:
            self._log_options = LogOptions.of(self.config.executor)
            self._check_parameters()
        except ConfigError as error:
            raise self.config.locate(error) from None
        self.status = self._new_status()
        self._result: dict[str, Any] = {}
        self._has_run = False
        self._is_completed = False

    def run(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Run every module execution of the configuration, in order.

        Whatever a module raises ends the run and reaches the caller as it is; what had finished
        before can still be asked for.

        Args:
            progress: Called before each execution and once at the end.
        """
        if self._has_run:
            self.status = self._new_status()
        self._has_run, self._is_completed = True, False
        self._result = {}
        total = self.config.execution_count
        with (
            petsard_log(self._log_options),
            self._engine.around(self.status),
            self.status.running(self.config, self.engine),
        ):
            _logger.info("Starting a run of %d module executions", total, extra=OWN_RECORD)
            for number, execution in enumerate(self.config.executions(), start=1):
                adapter = self._adapter(execution)
                self._engine.predict(self.status, execution, adapter)
                if progress is not None:
                    progress(self._progress(number, total, execution))
                self._execute(execution, adapter)
            if progress is not None:
                progress(Progress(total, total))
            _logger.info("Completed the run", extra=OWN_RECORD)
        self._is_completed = True

    def get_result(self) -> dict[str, Any]:
        """Return the last module's result by experiment path: `Loader[a]_Synthesizer[b]`."""
        return dict(self._result)

    def get_timing(self) -> pd.DataFrame:
        """Return one row for each module execution; see `Status.get_timing_report_data`."""
        return self.status.get_timing_report_data()

    def get_inferred_schema(self, module: str) -> Schema | None:
        """Return the schema that a module was predicted to produce; None where it was not."""
        return self.status.inferred_schemas.get(module)

    def is_execution_completed(self) -> bool:
        """Tell whether the last `run()` came to its end."""
        return self._is_completed

    @property
    def engine(self) -> str:
        """Whose modules run: `builtin` or `petsard`."""
        return self._engine.name

    @property
    def sequence(self) -> list[str]:
        """The modules, in the order in which they run."""
        return self.config.sequence

    def _execute(self, execution: Execution, adapter: Adapter) -> None:
        module, experiment = execution.module, execution.experiment
        _logger.info("Executing %s[%s]", module, experiment, extra=OWN_RECORD)
        with self.status.executing(module, experiment, type(adapter).__name__):
            given = adapter.set_input(self.status)
            adapter.run(given)
            self.status.put(module, experiment, adapter)
        if module == self.sequence[-1]:
            path = "_".join(f"{name}[{at}]" for name, at in self.status.get_full_expt().items())
            self._result[path] = self.status.get_result(module)

    def _adapter(self, execution: Execution) -> Adapter:
        return self._create(execution.module, execution.experiment, execution.parameters)

    def _create(self, module: str, experiment: str, parameters: Mapping[str, Any]) -> Adapter:
        return self._engine.create(module, experiment, parameters)

    def _check_parameters(self) -> None:
        """Make each experiment's adapter once, so that a mistake is found before anything runs."""
        for module, experiments in self.config.yaml.items():
            for experiment, parameters in experiments.items():
                self._create(module, experiment, parameters)
        first = self.sequence[0]
        for experiment, parameters in self.config.yaml[first].items():
            if first != "Loader" and parameters.get("method") != "custom_data":
                raise ConfigError(
                    "has no module before it to take data from; begin with a Loader",
                    module=first,
                    experiment=experiment,
                )

    def _new_status(self) -> Status:
        return self._engine.status(self.config, **self._providers)

    def _progress(self, number: int, total: int, execution: Execution) -> Progress:
        before = self.sequence[: self.sequence.index(execution.module)]
        path = tuple((name, self.status.status[name]["expt"]) for name in before)
        return Progress(
            number,
            total,
            execution.module,
            execution.experiment,
            (*path, (execution.module, execution.experiment)),
        )
