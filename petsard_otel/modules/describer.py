"""The Describer: figures about one table, or about two tables side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.describer_statistics import (
    DESCRIBE_METHODS,
    STATS_METHODS,
    compare,
    describe,
)
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from petsard_otel.status import Status

METHODS = ("default", "describe", "compare")
"""The methods, in any case of letters; `default` describes one source and compares two."""

SOURCE_MODULES = (
    "Loader",
    "Splitter",
    "Preprocessor",
    "Synthesizer",
    "Postprocessor",
    "Constrainer",
    "Evaluator",
)
"""The modules whose result can be a source."""

ROLES = {"base": "base", "target": "target", "ori": "base", "syn": "target"}
"""What a source is in a comparison, by the names it may have in the configuration."""

DEFAULT_DESCRIBE_METHODS = tuple(
    method
    for method in DESCRIBE_METHODS
    if method not in ("var", "iqr", "range", "percentile", "cov")
)
"""What is said of a table where the configuration names nothing."""


class DescriberParameters(Parameters):
    """What every method takes. `source` holds the role of each source, and where it comes from."""

    method: str = "default"
    source: dict[str, str]

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str) -> str:
        if method.lower() not in METHODS:
            raise ValueError(unknown_name("method", method, METHODS))
        return method.lower()

    @field_validator("source", mode="before")
    @classmethod
    def _sources_by_role(cls, source: object, info: ValidationInfo) -> dict[str, str]:
        sources = _by_role(source)
        for place in sources.values():
            module, _, part = place.partition(".")
            if module not in SOURCE_MODULES:
                raise ValueError(unknown_name("module", module, SOURCE_MODULES))
            if "." in place and not part:
                raise ValueError(f"name the part of {module} behind the dot, as in Splitter.train")
        wanted = {"describe": 1, "compare": 2}.get(info.data.get("method", ""), len(sources))
        if len(sources) != wanted:
            raise ValueError(
                f"method {info.data['method']!r} takes {wanted} source{'s' * (wanted > 1)}, "
                f"found {len(sources)}"
            )
        return sources


class DescribeParameters(DescriberParameters):
    """What describing one source takes."""

    describe_method: str | list[str] = Field(default_factory=lambda: list(DEFAULT_DESCRIBE_METHODS))
    percentile: float | None = Field(default=None, ge=0, le=1, validate_default=True)

    @field_validator("describe_method")
    @classmethod
    def _known_figures(cls, methods: str | list[str]) -> list[str]:
        return _known([methods] if isinstance(methods, str) else methods, DESCRIBE_METHODS)

    @field_validator("percentile")
    @classmethod
    def _percentile_where_needed(
        cls, percentile: float | None, info: ValidationInfo
    ) -> float | None:
        if percentile is None and "percentile" in info.data.get("describe_method", ()):
            raise ValueError("say which percentile to compute, from 0 to 1")
        return percentile


class CompareParameters(DescriberParameters):
    """What comparing two sources takes."""

    stats_method: list[str] = Field(default_factory=lambda: list(STATS_METHODS))
    compare_method: Literal["pct_change", "diff"] = "pct_change"
    aggregated_method: Literal["mean"] = "mean"
    summary_method: Literal["mean"] = "mean"

    @field_validator("stats_method")
    @classmethod
    def _known_figures(cls, methods: list[str]) -> list[str]:
        return _known(methods, STATS_METHODS)


class DescriberAdapter:
    """Describes the result of a module, or compares two of them."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self._check_known(parameters)
        common = {key: parameters[key] for key in ("method", "source") if key in parameters}
        sources = read_parameters(DescriberParameters, "Describer", experiment, common).source
        self._parameters: DescribeParameters | CompareParameters
        if len(sources) == 1:
            self._check_mode(DescribeParameters, parameters)
            self._parameters = read_parameters(
                DescribeParameters, "Describer", experiment, parameters
            )
        else:
            self._check_mode(CompareParameters, parameters)
            self._parameters = read_parameters(
                CompareParameters, "Describer", experiment, parameters
            )
        self._result: dict[str, pd.DataFrame] | None = None

    def set_input(self, status: Status) -> dict[str, pd.DataFrame]:
        """Collect the sources by role: `data`, or `base` and `target`.

        Raises:
            ConfigError: A source has made no such table.
        """
        return {role: self._table(status, place) for role, place in self._parameters.source.items()}

    def run(self, input: dict[str, Any]) -> None:
        """Compute the figures.

        Raises:
            DataError: The tables cannot be described, or not be compared.
        """
        with step_span("eval"):
            self._result = self._describe(input)

    def get_result(self) -> dict[str, pd.DataFrame]:
        """Return tables by granularity: of `global`, `columnwise` and `pairwise` what there is.

        Raises:
            UnexecutedError: `run` has not ended.
        """
        if self._result is None:
            raise UnexecutedError(f"Describer[{self._experiment}] has not run yet")
        return self._result

    def _check_known(self, keys: Iterable[str]) -> None:
        """Refuse a key of neither mode, before it is known which mode it is."""
        valid = {**DescribeParameters.model_fields, **CompareParameters.model_fields}
        for key in keys:
            if key not in valid:
                raise self._error(key, unknown_name("key", str(key), valid))

    def _check_mode(self, model: type[DescriberParameters], keys: Iterable[str]) -> None:
        """Refuse a key of the other mode."""
        other = "comparing two sources" if model is DescribeParameters else "describing one source"
        for key in keys:
            if key not in model.model_fields:
                raise self._error(key, f"the key is for {other}; leave it out, or change source")

    def _describe(self, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        chosen = self._parameters
        if isinstance(chosen, CompareParameters):
            return compare(
                tables["base"], tables["target"], chosen.stats_method, chosen.compare_method
            )
        return describe(tables["data"], list(chosen.describe_method), chosen.percentile)

    def _table(self, status: Status, place: str) -> pd.DataFrame:
        module, _, part = place.partition(".")
        tables = status.get_data_by_module(module)
        if not part and tables:
            return next(iter(tables.values()))
        for name in (f"{module}_{part}", part):
            if name in tables:
                return tables[name]
        known = [name.removeprefix(f"{module}_") for name in tables]
        has = f"{module} has made: {', '.join(known)}" if known else f"{module} has made no table"
        raise self._error("source", f"there is no {place!r} to describe; {has}")

    def _error(self, key: str, message: str) -> ConfigError:
        return ConfigError(message, module="Describer", experiment=self._experiment, key=key)


def _by_role(source: object) -> dict[str, str]:
    """Return where each source comes from: `data`, or `base` and `target`."""
    places = _places(source)
    if not all(isinstance(place, str) for place in places.values()):
        raise ValueError("a source is the name of a module, such as Loader or Splitter.train")
    if len(places) == 1:
        return {"data": next(iter(places.values()))}
    for role in places:
        if role not in ROLES:
            raise ValueError(unknown_name("role", str(role), ROLES))
    by_role = {ROLES[role]: place for role, place in places.items()}
    if set(by_role) != {"base", "target"} or len(by_role) != len(places):
        raise ValueError("expected the two roles base and target")
    return by_role


def _places(source: object) -> dict[Any, Any]:
    """Return the sources by the roles that the configuration gives them."""
    if isinstance(source, str):
        return {"data": source}
    if isinstance(source, dict):
        return source
    if not isinstance(source, list):
        raise ValueError("expected the name of a module, a list of two, or base and target")
    if len(source) not in (1, 2):
        raise ValueError(f"name one source or two, found {len(source)}")
    return dict(zip(("base", "target"), source, strict=False))


def _known(methods: list[str], valid: tuple[str, ...]) -> list[str]:
    """Return the methods, each once, where all are valid."""
    for method in methods:
        if method not in valid:
            raise ValueError(unknown_name("figure", method, valid))
    if not methods:
        raise ValueError("name at least one figure, or leave the key out")
    return list(dict.fromkeys(methods))
