"""The Evaluator: how good the synthetic table is, in fidelity, utility or privacy.

Compares three tables: `ori`, which the synthetic one was made from, `syn`, the synthetic one, and
`control`, real rows that were held back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.evaluation.parameters import (
    TASK_TYPES,
    EvaluatorParameters,
    MLUtilityParameters,
)
from petsard_otel.modules.parameters import needs_petsard, read_parameters, unknown_name
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.status import Status

METHODS = (
    "default",
    "fidelity",
    "mlutility",
    *(f"mlutility-{task}" for task in TASK_TYPES),
    "privacy",
)
"""The methods that are built in, in any case of letters; `default` is `fidelity`."""

PETSARD_METHODS = ("anonymeter", "custom_method", "mpuccs", "sdmetrics")
"""What the names of the methods that need PETsARD begin with, up to the first dash."""

DESCRIBER_METHODS = ("compare", "describe", "stats")
"""Methods of the Describer, some of which were the Evaluator's in earlier releases of PETsARD."""

CHECKING_MODULES = ("Constrainer", "Describer", "Reporter")
"""Modules that may make no table, and stand between the synthetic one and the Evaluator."""


class EvaluatorAdapter:
    """Evaluates the table that the module before it made."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self._method = self._check_method(parameters.get("method", "default"))
        model = MLUtilityParameters if self._method == "mlutility" else EvaluatorParameters
        self._parameters = read_parameters(model, "Evaluator", experiment, parameters)
        self._evaluate = _evaluation(self._method, self._parameters)
        self._result: dict[str, pd.DataFrame] | None = None

    def set_input(self, status: Status) -> dict[str, pd.DataFrame]:
        """Collect `ori`, `syn` and, where rows were held back, `control`.

        Raises:
            ConfigError: The module before makes no table, or the method needs a Splitter.
        """
        if "Splitter" in status.status:
            split = status.get_result("Splitter")
            tables = {"ori": split["train"], "control": split.get("validation")}
        else:
            tables = {"ori": status.get_result("Loader")}
        tables["syn"] = self._synthetic(status)
        given = {name: table for name, table in tables.items() if table is not None}
        if "control" in given and given["control"].empty:
            del given["control"]
        if self._needs_control() and "control" not in given:
            raise self._error(
                f"method {self._method!r} tests on real rows that were held back; put a Splitter "
                "with a train_split_ratio under 1 before the Synthesizer"
            )
        return given

    def _synthetic(self, status: Status) -> pd.DataFrame:
        """Return the table to evaluate, from behind the modules that only looked at it."""
        module = status.get_pre_module("Evaluator")
        made = None if module is None else status.get_result(module)
        while module in CHECKING_MODULES and not isinstance(made, pd.DataFrame):
            module = status.get_pre_module(module)
            made = None if module is None else status.get_result(module)
        if not isinstance(made, pd.DataFrame):
            raise self._error(
                f"the module before the Evaluator, {module}, makes no single table to evaluate; "
                "put the Evaluator after a Synthesizer, Postprocessor or Constrainer"
            )
        return made

    def run(self, input: dict[str, Any]) -> None:
        """Compare the tables.

        Raises:
            DataError: They cannot be compared.
        """
        with step_span("eval"):
            self._result = self._evaluate(input)

    def get_result(self) -> dict[str, pd.DataFrame]:
        """Return tables by granularity: `global`, and what else the method gives.

        Raises:
            UnexecutedError: `run` has not ended.
        """
        if self._result is None:
            raise UnexecutedError(f"Evaluator[{self._experiment}] has not run yet")
        return self._result

    def _needs_control(self) -> bool:
        parameters = self._parameters
        return (
            isinstance(parameters, MLUtilityParameters)
            and parameters.experiment_design == "dual_model_control"
        )

    def _check_method(self, given: object) -> str:
        """Return the method in lower case, without the task behind `mlutility-`."""
        if not isinstance(given, str):
            raise self._error(f"expected the name of a method, found {type(given).__name__}")
        method = given.lower()
        family = method.partition("-")[0]
        if family in PETSARD_METHODS:
            raise needs_petsard(given, "Evaluator", self._experiment)
        if method in DESCRIBER_METHODS:
            raise self._error(
                f"method {given!r} is the Describer's; make it an experiment of a Describer"
            )
        if method not in METHODS:
            raise self._error(unknown_name("method", given, METHODS))
        return family

    def _error(self, message: str) -> ConfigError:
        return ConfigError(message, module="Evaluator", experiment=self._experiment, key="method")


def _evaluation(
    method: str, parameters: EvaluatorParameters
) -> Callable[[Mapping[str, pd.DataFrame]], dict[str, pd.DataFrame]]:
    """Return what a method does to the tables.

    Its libraries are imported here, where they are needed, and not in `run`, where they would
    count as time of the evaluation.
    """
    seed = parameters.random_state
    if isinstance(parameters, MLUtilityParameters):
        from petsard_otel.modules.evaluation.utility import utility

        return lambda tables: utility(tables, parameters)
    if method == "privacy":
        from petsard_otel.modules.evaluation.privacy import privacy

        return lambda tables: privacy(
            tables["ori"], tables["syn"], tables.get("control"), random_state=seed
        )
    from petsard_otel.modules.evaluation.fidelity import fidelity

    return lambda tables: fidelity(tables["ori"], tables["syn"], random_state=seed)
