"""The Splitter: parts rows at random into training and validation, or loads two parted files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.loader import LoaderAdapter
from petsard_otel.modules.parameters import Parameters, read_parameters, unknown_name
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from petsard_otel.schema import Schema
    from petsard_otel.status import Status

CUSTOM_DATA = "custom_data"
"""The only method. Without it the Loader's rows are parted at random."""

PARTS = {"train": "ori", "validation": "control"}
"""What each part is called in the parameters of `custom_data`."""


class SplitterParameters(Parameters):
    """Parameters of a random split; the Config makes an experiment of each of `num_samples`."""

    method: None = None
    num_samples: int = Field(default=1, ge=1)
    train_split_ratio: float = Field(default=0.8, ge=0, le=1)
    random_state: Any = None
    max_overlap_ratio: float = Field(default=1.0, ge=0, le=1)
    max_attempts: int = Field(default=30, ge=1)

    @field_validator("random_state")
    @classmethod
    def _is_seed(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str | None):
            raise ValueError("expected a number or a text")
        return value


class SplitterAdapter:
    """Makes one split; the result holds the tables `train` and `validation`."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._loaders: dict[str, LoaderAdapter] = {}
        self._parameters: SplitterParameters | None = None
        method = parameters.get("method")
        if method == CUSTOM_DATA:
            self._loaders = _custom_loaders(experiment, parameters)
        elif method is None:
            self._parameters = read_parameters(
                SplitterParameters, "Splitter", experiment, parameters
            )
        else:
            message = unknown_name("method", str(method), [CUSTOM_DATA])
            raise ConfigError(message, module="Splitter", experiment=experiment, key="method")
        self._result: dict[str, pd.DataFrame] = {}
        self._schema: Schema | None = None
        self._train_rows: set[int] = set()

    def set_input(self, status: Status) -> dict[str, Any]:
        """Take the Loader's table, and the training rows of the splits before this one."""
        if self._parameters is None:
            return {}
        return {
            "data": status.get_result("Loader"),
            "metadata": status.get_metadata("Loader"),
            "exist_train_indices": status.get_exist_train_indices(),
        }

    def run(self, input: dict[str, Any]) -> None:
        """Part the rows, or load the two files.

        Raises:
            DataError: There are too few rows, or every split drawn is too much like an earlier
                one; with `custom_data` what the Loader raises.
        """
        with step_span("split"):
            if self._parameters is None:
                self._load()
                return
            data: pd.DataFrame = input["data"]
            is_train = draw_training_rows(len(data), self._parameters, input["exist_train_indices"])
            self._result = {
                "train": data[is_train].reset_index(drop=True),
                "validation": data[~is_train].reset_index(drop=True),
            }
            self._schema = input["metadata"]
            self._train_rows = set(np.flatnonzero(is_train).tolist())

    def _load(self) -> None:
        for loader in self._loaders.values():
            loader.run({})
        self._result = {part: loader.get_result() for part, loader in self._loaders.items()}
        self._schema = self._loaders["train"].get_metadata()
        self._train_rows = set(range(len(self._result["train"])))

    def get_result(self) -> dict[str, pd.DataFrame]:
        """Return both parts, each with its rows numbered from 0 in their former order."""
        if not self._result:
            raise UnexecutedError("the Splitter has not run yet")
        return dict(self._result)

    def get_metadata(self) -> Schema:
        """Return the Loader's schema: parting rows leaves the structure as it is."""
        if self._schema is None:
            raise UnexecutedError("the Splitter has not run yet")
        return self._schema

    def get_train_indices(self) -> list[set[int]]:
        """Return the numbers of the training rows, counted from 0, as the only set of a list."""
        if self._schema is None:
            raise UnexecutedError("the Splitter has not run yet")
        return [set(self._train_rows)]


def draw_training_rows(
    row_count: int, parameters: SplitterParameters, earlier: Sequence[set[int]]
) -> NDArray[np.bool_]:
    """Draw a training set that is none of the earlier ones, nor shares too much with any.

    The n-th split of a run draws from a random stream of its own, which `random_state` and n
    determine: with one `random_state`, all splits of a run differ and each can be repeated.

    Returns:
        Which rows are for training.

    Raises:
        DataError: There is no row to train on, or no such set was found in `max_attempts`.
    """
    size = round(row_count * parameters.train_split_ratio)
    if size == 0:
        raise DataError(
            f"a train_split_ratio of {parameters.train_split_ratio} leaves none of {row_count} "
            "rows for training; raise it"
        )
    others = [np.array([row for row in rows if row < row_count], dtype=int) for rows in earlier]
    least_shared = max((size + len(rows) - row_count for rows in others), default=0)
    generator = _generator(parameters.random_state, len(earlier))
    for _ in range(parameters.max_attempts):
        if least_shared / size > parameters.max_overlap_ratio:
            break
        is_train = np.zeros(row_count, dtype=bool)
        is_train[generator.choice(row_count, size, replace=False, shuffle=False)] = True
        shared = [np.count_nonzero(is_train[rows]) for rows in others]
        is_repeated = any(
            count == size == len(rows) for count, rows in zip(shared, earlier, strict=True)
        )
        if not is_repeated and max(shared, default=0) / size <= parameters.max_overlap_ratio:
            return is_train
    raise DataError(
        f"found no {size} of {row_count} rows to train on that are new and share at most "
        f"{parameters.max_overlap_ratio:.0%} with each of {len(earlier)} earlier training sets "
        f"(at least {max(least_shared, 0) / size:.0%} are always shared); raise "
        "`max_overlap_ratio` or `max_attempts`, or lower `num_samples` or `train_split_ratio`"
    )


def _generator(random_state: float | str | None, position: int) -> np.random.Generator:
    if random_state is None:
        return np.random.default_rng()
    seed = hashlib.sha256(f"{random_state!r}/{position}".encode()).digest()
    return np.random.default_rng(int.from_bytes(seed, "big"))


def _custom_loaders(experiment: str, parameters: Mapping[str, Any]) -> dict[str, LoaderAdapter]:
    """Make a Loader for each file. A key that does not name `ori` or `control` holds for both."""
    random_split_keys = SplitterParameters.model_fields.keys() - {"method", "num_samples"}
    for key in sorted(random_split_keys & parameters.keys()):
        raise ConfigError(
            f"has no meaning with `method: {CUSTOM_DATA}`; leave it out",
            module="Splitter",
            experiment=experiment,
            key=key,
        )
    filepath = parameters.get("filepath")
    if not isinstance(filepath, dict) or filepath.keys() != set(PARTS.values()):
        raise ConfigError(
            "expected two files, one under `ori` (training) and one under `control` (validation)",
            module="Splitter",
            experiment=experiment,
            key="filepath",
        )
    return {
        part: LoaderAdapter(experiment, _of_part(parameters, name), module="Splitter")
        for part, name in PARTS.items()
    }


def _of_part(parameters: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what one Loader is given."""
    chosen = {}
    for key, value in parameters.items():
        if isinstance(value, dict) and value.keys() & set(PARTS.values()):
            if name in value:
                chosen[key] = value[name]
        elif key not in {"method", "num_samples"}:
            chosen[key] = value
    return chosen
