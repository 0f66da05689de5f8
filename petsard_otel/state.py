"""What a run's modules read of each other: results, schemas, indices, reports.

Kept directly, since modules need it while they run. Knows nothing of telemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.adapter import splits_data, validates_data
from petsard_otel.convention import BuiltinConvention, convention_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from petsard_otel.adapter import Adapter
    from petsard_otel.convention import Convention


class PipelineState:
    """The functional half of a Status: what the last execution of each module left behind."""

    def __init__(self, sequence: Iterable[str], convention: Convention | None = None) -> None:
        self.sequence: list[str] = list(sequence)
        self._convention: Convention = convention or BuiltinConvention()
        self.status: dict[str, dict[str, Any]] = {}
        self.metadata: dict[str, Any] = {}
        self.inferred_schemas: dict[str, Any] = {}
        self.exist_train_indices: list[set[Any]] = []
        self.report: dict[str, Any] = {}
        self._positions = {name: position for position, name in enumerate(self.sequence)}
        self.preprocessor_input_schema: Any = None
        self._validation_results: dict[str, Any] = {}

    def keep(self, module: str, experiment: str, adapter: Adapter) -> None:
        """Update what later modules read."""
        if self._convention.engine != "petsard":
            # Once it has met PETsARD's objects it keeps to their ways.
            self._convention = convention_of(adapter) or self._convention
        self._convention.leave_former_path(self, module)
        self._convention.keep_schema(self, module, adapter)
        if module == "Reporter":
            self.set_report(adapter.get_result())
        if module == "Splitter" and splits_data(adapter):
            self.update_exist_train_indices(adapter.get_train_indices())
        if module == "Constrainer" and validates_data(adapter):
            found = adapter.get_validation_result()
            if found is not None:
                self.put_validation_result(module, found)
        self.status[module] = {"expt": experiment, "operator": adapter}

    def get_pre_module(self, module: str) -> str | None:
        """Return the module before this one in the sequence, None for the first."""
        position = self._position(module)
        return self.sequence[position - 1] if position else None

    def get_result(self, module: str) -> Any:
        """Return what a module's last execution produced.

        Raises:
            UnexecutedError: The module has not run.
            ConfigError: There is no such module in the sequence.
        """
        return self.executed(module)["operator"].get_result()

    def get_full_expt(self, module: str | None = None) -> dict[str, str]:
        """Return the current experiment path, up to a module or whole, as module to experiment.

        Raises:
            UnexecutedError: A module on the way has not run.
            ConfigError: There is no such module in the sequence.
        """
        if module is None:
            status = dict(self.status)
            return {name: status[name]["expt"] for name in self.sequence if name in status}
        path = self.sequence[: self._position(module) + 1]
        return {name: self.executed(name)["expt"] for name in path}

    def get_data_by_module(self, modules: str | Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the tables that modules produced; parts of a result as `Splitter_train`."""
        import pandas as pd

        found = {}
        for name in [modules] if isinstance(modules, str) else modules:
            if name not in self.status:
                continue
            result = self.get_result(name)
            if isinstance(result, pd.DataFrame):
                found[name] = result
            elif isinstance(result, dict):
                for part, value in result.items():
                    if isinstance(value, pd.DataFrame):
                        found[f"{name}_{part}"] = value
        return found

    def set_metadata(self, module: str, metadata: Any) -> None:
        """Set the schema that later modules get of a module."""
        self.metadata[module] = self._convention.native(metadata, self.metadata.get(module))

    def get_metadata(self, module: str = "Loader") -> Any:
        """Return the schema that a module produced.

        Raises:
            UnexecutedError: The module has not run, or makes no table.
        """
        if module not in self.metadata:
            there = ", ".join(self.metadata) or "none yet"
            raise self._convention.unexecuted_error(
                f"there is no schema of {module}; there are: {there}"
            )
        return self.metadata[module]

    def get_received_schema(self, module: str) -> Any:
        """Return the schema that reaches a module on the current path, None where there is none."""
        source = self.source_of(module)
        return None if source is None else self.metadata[source]

    def get_preprocessor_input_schema(self) -> Any:
        """Return the schema that the Preprocessor received, None before it has run."""
        return self.preprocessor_input_schema

    def get_synthesizer(self) -> Any:
        """Return the Synthesizer's model.

        Raises:
            UnexecutedError: The Synthesizer has not run.
        """
        return self.executed("Synthesizer")["operator"].synthesizer

    def get_processor(self) -> Any:
        """Return the Preprocessor's processor, which can invert what it did.

        Raises:
            UnexecutedError: The Preprocessor has not run.
        """
        return self.executed("Preprocessor")["operator"].processor

    def get_exist_train_indices(self) -> list[set[Any]]:
        """Return the index labels of each split's training rows so far."""
        return self.exist_train_indices

    def update_exist_train_indices(self, new_indices: list[set[Any]]) -> None:
        """Add the training rows of further splits."""
        self.exist_train_indices.extend(new_indices)

    def set_report(self, report: Mapping[str, Any]) -> None:
        """Add what a Reporter made."""
        self.report.update(report)

    def get_report(self) -> dict[str, Any]:
        """Return what the Reporters made so far."""
        return self.report

    def put_validation_result(self, module: str, validation_result: Any) -> None:
        """Keep the result of a check of data."""
        self._validation_results[module] = validation_result

    def drop_validation_result(self, module: str) -> None:
        """Forget the result of a module's check, if there is one."""
        self._validation_results.pop(module, None)

    def get_validation_result(self, module: str | None = None) -> Any:
        """Return the result of a module's check, or of all by module; None where there is none."""
        if module is None:
            return dict(self._validation_results) or None
        return self._validation_results.get(module)

    @property
    def schema_inferencer(self) -> Any:
        """What predicts a Preprocessor's output schema from a schema and a configuration."""
        return self._convention.schema_inferencer()

    def _position(self, module: str) -> int:
        if module not in self._positions:
            raise self._convention.config_error(
                f"there is no module {module!r} in this run; "
                f"its sequence is {', '.join(self.sequence)}"
            )
        return self._positions[module]

    def executed(self, module: str) -> dict[str, Any]:
        """Return experiment and operator of a module's last execution.

        Raises:
            UnexecutedError: The module has not run.
            ConfigError: There is no such module in the sequence.
        """
        if module not in self.status:
            self._position(module)
            there = ", ".join(self.status) or "none yet"
            raise self._convention.unexecuted_error(
                f"{module} has not run; executed so far: {there}"
            )
        return self.status[module]

    def position_of(self, module: str) -> int:
        """Return a module's place in the sequence, from 0; -1 where it is not in it."""
        return self._positions.get(module, -1)

    def earlier(self, module: str) -> Sequence[str]:
        """Return the modules before this one, the nearest first."""
        position = self._positions.get(module, 0)
        return self.sequence[position - 1 :: -1] if position else ()

    def source_of(self, module: str) -> str | None:
        """Return the nearest module before this one, on the current path, that has a schema."""
        for name in self.earlier(module):
            if name in self.status and name in self.metadata:
                return name
        return None
