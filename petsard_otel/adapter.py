"""What the Executor and the Status expect of a module. A leaf: protocols only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

if TYPE_CHECKING:
    from petsard_otel.schema import Schema
    from petsard_otel.status import Status


class Adapter(Protocol):
    """One module with one experiment's parameters: made, given its input, run once, asked.

    An adapter is created from its parameters alone, without touching a file or any data, so that
    a wrong parameter is found before anything runs. `set_input` and `run` are called once each,
    in this order and in one thread. What they raise ends the run and reaches the caller as it is.
    """

    def set_input(self, status: Status) -> dict[str, Any]:
        """Collect from `status` what `run` needs. Must not change what it is handed."""

    def run(self, input: dict[str, Any]) -> None:
        """Do the work. May open `step_span`s for the parts whose time is of interest."""

    def get_result(self) -> Any:
        """Return what `run` made: a DataFrame, or a dict of named parts.

        Asked several times after one `run`, by later modules and by whoever records.
        """


class DescribesSchema(Protocol):
    """An adapter whose output is a table with a schema."""

    def get_metadata(self) -> Schema:
        """Return the schema of the output. Return the same object while nothing has changed."""


class PredictsSchema(Protocol):
    """An adapter that can tell its output schema before it runs."""

    def infer_schema(self, input_schema: Schema) -> Schema:
        """Predict the output schema from the parameters and the schema of the input alone.

        Columns whose number only the data tells are predicted by one attribute whose name ends
        in `*`, such as `Origin_*`.
        """


class SplitsData(Protocol):
    """An adapter that keeps track of which rows went into training."""

    def get_train_indices(self) -> list[set[Any]]:
        """Return the index labels of the training rows, one set for each split."""


class ValidatesData(Protocol):
    """An adapter that may have checked data instead of making some."""

    def get_validation_result(self) -> dict[str, Any] | None:
        """Return the result of the check, or None where data was made."""


# Asked of the instance, by name: `isinstance` with a protocol does not see what a wrapper hands on
# by `__getattr__`, from Python 3.12 on, and costs a quarter of recording an execution.


def describes_schema(adapter: object) -> TypeGuard[DescribesSchema]:
    """Tell whether an adapter, or what it wraps, is a `DescribesSchema`."""
    return callable(getattr(adapter, "get_metadata", None))


def predicts_schema(adapter: object) -> TypeGuard[PredictsSchema]:
    """Tell whether an adapter, or what it wraps, is a `PredictsSchema`."""
    return callable(getattr(adapter, "infer_schema", None))


def splits_data(adapter: object) -> TypeGuard[SplitsData]:
    """Tell whether an adapter, or what it wraps, is a `SplitsData`."""
    return callable(getattr(adapter, "get_train_indices", None))


def validates_data(adapter: object) -> TypeGuard[ValidatesData]:
    """Tell whether an adapter, or what it wraps, is a `ValidatesData`."""
    return callable(getattr(adapter, "get_validation_result", None))
