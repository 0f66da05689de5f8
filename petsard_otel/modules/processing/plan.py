"""Which method each column gets: what a configuration says, over PETsARD's defaults by type."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petsard_otel.exceptions import DataError
from petsard_otel.modules.processing.encoder import (
    EncodeLabel,
    EncodeOneHot,
    EncodeUniform,
    indicator_prefixes,
)
from petsard_otel.modules.processing.methods import (
    DateDiffParameters,
    KBinsParameters,
    Method,
    SimpleParameters,
    TimeAnchorParameters,
)
from petsard_otel.modules.processing.missing import DropMissing, Fill
from petsard_otel.modules.processing.outlier import DropOutliers, DropOutlyingRows
from petsard_otel.modules.processing.processor import Processor, Step, named
from petsard_otel.modules.processing.scaler import Discretize, Scale
from petsard_otel.modules.processing.time import TimeDistance
from petsard_otel.schema import label_name

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from petsard_otel.schema import Attribute, Schema

DEFAULT_METHODS: Mapping[str, Mapping[str, str]] = {
    "missing": {
        "numerical": "missing_mean",
        "categorical": "missing_drop",
        "datetime": "missing_drop",
        "object": "missing_drop",
    },
    "outlier": {"numerical": "outlier_iqr", "datetime": "outlier_iqr"},
    "encoder": {"categorical": "encoder_uniform", "object": "encoder_uniform"},
    "scaler": {"numerical": "scaler_standard", "datetime": "scaler_standard"},
    "discretizing": {
        "numerical": "discretizing_kbins",
        "datetime": "discretizing_kbins",
        "categorical": "encoder_label",
        "object": "encoder_label",
    },
}
"""What a column of each family gets where the configuration does not say."""

GLOBAL_OUTLIER_METHODS = ("outlier_isolationforest", "outlier_lof")
"""Methods that look at all numeric columns at once, whichever column they are set for."""

TIME_METHODS = ("scaler_timeanchor", "encoder_datediff")
"""Methods that look at two columns."""


@dataclass(frozen=True)
class Plan:
    """What the configuration of one Preprocessor experiment asks for.

    `methods` is by step and by the column as the configuration writes it; None is "none".
    """

    sequence: tuple[str, ...]
    methods: Mapping[str, Mapping[Hashable, Method | None]]
    global_outlier: str | None
    random_state: int

    def processor(self, schema: Schema) -> Processor:
        """Return the processor for tables of this schema, not yet fitted.

        Raises:
            DataError: The configuration names a column that is not there.
        """
        steps: list[Step] = []
        for step in self.sequence:
            steps += self._steps(step, schema)
        return Processor(schema, steps)

    def _steps(self, step: str, schema: Schema) -> list[Step]:
        given = _by_name(step, self.methods.get(step, {}), schema)
        if step == "outlier" and self.global_outlier is not None:
            return [DropOutlyingRows(self.global_outlier, self.random_state)]
        methods = _with_defaults(step, given, schema)
        seeds = {
            name: (self.random_state, position) for position, name in enumerate(schema.attributes)
        }
        if step == "missing":
            return _missing_steps(methods, seeds)
        if step == "outlier":
            return _outlier_steps(methods, self.random_state)
        if step in {"encoder", "discretizing"}:
            return _encoder_steps(methods, seeds, schema)
        return _scaler_steps(methods)


def family(attribute: Attribute) -> str:
    """Return which of PETsARD's four kinds of columns this is: what the defaults go by."""
    if attribute.category or attribute.type in {"string", "boolean"}:
        return "categorical"
    if attribute.type.startswith(("int", "uint", "float")):
        return "numerical"
    if attribute.type == "date" or attribute.type.startswith("datetime"):
        return "datetime"
    return "object"


def _by_name(
    step: str, given: Mapping[Hashable, Method | None], schema: Schema
) -> dict[str, Method | None]:
    """Return the methods by the names of the columns that they are for."""
    methods = {label_name(column): method for column, method in given.items()}
    _check_columns(f"config.{step}", methods, schema)
    for name, method in methods.items():
        if method is not None and method.name in TIME_METHODS:
            reference, targets = _time_columns(name, method)
            _check_columns(f"config.{step}.{name}", [reference, *targets], schema)
    return methods


def _check_columns(place: str, names: Iterable[str], schema: Schema) -> None:
    unknown = [name for name in names if name not in schema.attributes]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], schema.attributes, n=1, cutoff=0.0)
    hint = f"; the nearest to {unknown[0]!r} is {near[0]!r}" if near else ""
    raise DataError(
        f"{place} names columns that the table of {len(schema.attributes)} columns does not "
        f"have: {named(unknown)}{hint}"
    )


def _with_defaults(
    step: str, given: Mapping[str, Method | None], schema: Schema
) -> dict[str, Method]:
    """Return the method of each column that has one, in the order of the columns.

    A column whose times become distances in this step gets no default on top.
    """
    distances = {
        target
        for name, method in given.items()
        if method is not None and method.name in TIME_METHODS
        for target in _time_columns(name, method)[1]
    }
    methods: dict[str, Method] = {}
    for name, attribute in schema.attributes.items():
        default = DEFAULT_METHODS[step].get(family(attribute))
        if name in given:
            method = given[name]
        elif default is None or name in distances:
            method = None
        else:
            method = Method(default)
        if method is not None:
            methods[name] = method
    return methods


def _missing_steps(
    methods: Mapping[str, Method], seeds: Mapping[str, tuple[int, ...]]
) -> list[Step]:
    """Return the steps that fill, then the one that drops: what fills is learnt from all rows."""
    steps: list[Step] = []
    dropped: dict[str, tuple[int, ...]] = {}
    for name, method in methods.items():
        if method.name == "missing_drop":
            dropped[name] = seeds[name]
        elif isinstance(method.parameters, SimpleParameters):
            steps.append(Fill(method.name, name, seeds[name], method.parameters.value))
        else:
            steps.append(Fill(method.name, name, seeds[name]))
    return [*steps, DropMissing(dropped)] if dropped else steps


def _outlier_steps(methods: Mapping[str, Method], seed: int) -> list[Step]:
    """Return one step: a method that looks at all columns takes the place of all others."""
    for method in methods.values():
        if method.name in GLOBAL_OUTLIER_METHODS:
            return [DropOutlyingRows(method.name, seed)]
    return [DropOutliers({name: method.name for name, method in methods.items()})]


def _encoder_steps(
    methods: Mapping[str, Method], seeds: Mapping[str, tuple[int, ...]], schema: Schema
) -> list[Step]:
    """Return the steps; those that look at two columns come first, while both are as they were."""
    prefixes = indicator_prefixes(
        [name for name, method in methods.items() if method.name == "encoder_onehot"],
        schema.attributes,
    )
    first: list[Step] = []
    steps: list[Step] = []
    for name, method in methods.items():
        if isinstance(method.parameters, DateDiffParameters):
            first.append(_time_distance(name, method))
        elif method.name == "discretizing_kbins":
            parameters = method.parameters
            bins = parameters if isinstance(parameters, KBinsParameters) else KBinsParameters()
            steps.append(Discretize(method.name, name, bins.n_bins))
        elif method.name == "encoder_onehot":
            steps.append(EncodeOneHot(name, prefixes[name]))
        elif method.name == "encoder_label":
            steps.append(EncodeLabel(method.name, name))
        else:
            steps.append(EncodeUniform(method.name, name, seeds[name]))
    return [*first, *steps]


def _scaler_steps(methods: Mapping[str, Method]) -> list[Step]:
    """Return the steps; those that look at two columns come first, while both are as they were."""
    first = [
        _time_distance(name, method)
        for name, method in methods.items()
        if method.name in TIME_METHODS
    ]
    others = [
        Scale(method.name, name)
        for name, method in methods.items()
        if method.name not in TIME_METHODS
    ]
    return [*first, *others]


def _time_columns(column: str, method: Method) -> tuple[str, list[str]]:
    """Return the column that distances are measured from, and those they are measured for."""
    parameters = method.parameters
    if isinstance(parameters, DateDiffParameters):
        return parameters.baseline_date, parameters.related_date_list
    if isinstance(parameters, TimeAnchorParameters) and isinstance(parameters.reference, str):
        return parameters.reference, [column]
    if isinstance(parameters, TimeAnchorParameters):
        return column, list(parameters.reference)
    raise TypeError(f"{method.name} does not measure distances")


def _time_distance(column: str, method: Method) -> TimeDistance:
    reference, targets = _time_columns(column, method)
    parameters = method.parameters
    if isinstance(parameters, DateDiffParameters):
        return TimeDistance(
            method.name,
            reference,
            targets,
            parameters.diff_unit,
            is_whole_days=True,
            is_absolute=parameters.absolute_value,
        )
    unit = parameters.unit if isinstance(parameters, TimeAnchorParameters) else "D"
    return TimeDistance(method.name, reference, targets, unit)
