"""Reversible changes to a table, one after another: what Preprocessor and Postprocessor share.

Inside, a column goes by the name that the table's Schema gives it, so that a prediction from a
Schema and a change to a table speak of the same columns; labels come back at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pandas as pd

from petsard_otel.exceptions import DataError, UnexecutedError
from petsard_otel.modules.processing.numbers import restored
from petsard_otel.schema import Attribute, Schema, label_name

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Columns = dict[str, "pd.Series[Any]"]
"""A table by the names of its columns; all columns have the same index."""

Attributes = dict[str, Attribute]
"""A schema by the names of its columns."""

MAX_NAMED_COLUMNS = 10
"""Columns that an error message names before it only counts them."""


class Step(ABC):
    """One change to some columns of a table.

    A step learns in `fit` and is not changed afterwards, so that one fitted step may serve
    several threads. It returns new mappings and leaves what it is handed as it was. A column
    that is not there any more, since a step before has replaced it, is passed over.
    """

    @abstractmethod
    def predict(self, attributes: Attributes) -> Attributes:
        """Return the columns that `transform` makes of these.

        Raises:
            DataError: The step cannot work on a column of this type.
        """

    @abstractmethod
    def fit(self, columns: Columns) -> None:
        """Learn from the table what `transform` and `inverse_transform` need."""

    @abstractmethod
    def transform(self, columns: Columns) -> Columns:
        """Return the table with the change made."""

    @abstractmethod
    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table with the change taken back."""


class ColumnStep(Step):
    """A change to one column that keeps its name and all rows."""

    def __init__(self, method: str, column: str) -> None:
        self.method = method
        self.column = column

    def predict(self, attributes: Attributes) -> Attributes:
        """Return the attributes with the one of this column replaced."""
        if self.column not in attributes:
            return attributes
        return {**attributes, self.column: self.predict_attribute(attributes[self.column])}

    def fit(self, columns: Columns) -> None:
        """Learn from this column."""
        if self.column in columns:
            self.fit_column(columns[self.column])

    def transform(self, columns: Columns) -> Columns:
        """Return the table with this column changed."""
        if self.column not in columns:
            return columns
        changed = self.transform_column(columns[self.column])
        # Steps that follow name the column in their errors.
        return {**columns, self.column: pd.Series(changed, name=self.column)}

    def inverse_transform(self, columns: Columns) -> Columns:
        """Return the table with this column as it was."""
        if self.column not in columns:
            return columns
        return {**columns, self.column: self.inverse_transform_column(columns[self.column])}

    @abstractmethod
    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return what becomes of the column's attribute."""

    @abstractmethod
    def fit_column(self, column: pd.Series[Any]) -> None:
        """Learn from the column."""

    @abstractmethod
    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the changed column."""

    @abstractmethod
    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column as it was."""


class Processor:
    """Steps for the tables of one schema: fitted once, then used in both directions.

    `transform` and `inverse_transform` give the same result for the same input, in whatever
    order and however often they are called. Inputs are never modified.
    """

    def __init__(self, input_schema: Schema, steps: Sequence[Step]) -> None:
        self.input_schema = input_schema
        self._steps = tuple(steps)
        self._labels: pd.Index[Any] | None = None
        self._dtypes: dict[str, Any] = {}
        self._output_names: tuple[str, ...] = ()

    def predict(self) -> Schema:
        """Return the schema that `transform` gives, from the input's schema alone.

        Raises:
            DataError: A step cannot work on a column of the type that it would find.
        """
        attributes: Attributes = dict(self.input_schema.attributes)
        for step in self._steps:
            attributes = step.predict(attributes)
        return Schema(self.input_schema.id, attributes)

    def fit(self, data: pd.DataFrame) -> None:
        """Fit every step to what the steps before it make of `data`.

        Raises:
            DataError: There are no rows, or a step cannot work on a column.
        """
        self.predict()
        if data.empty:
            raise DataError(
                f"there is nothing to process: {len(data)} rows, {len(data.columns)} columns"
            )
        columns = columns_by_name(data)
        dtypes = {name: column.dtype for name, column in columns.items()}
        for step in self._steps:
            step.fit(columns)
            columns = step.transform(columns)
        self._labels = data.columns
        self._dtypes = dtypes
        self._output_names = tuple(columns)

    def transform(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return a new table with all changes made.

        Raises:
            UnexecutedError: The processor has not been fitted.
            DataError: A column is absent, or has values that `fit` did not see and a step needs.
        """
        labels = self._fitted_labels()
        columns = columns_by_name(data)
        _require(self._dtypes, columns)
        for step in self._steps:
            columns = step.transform(columns)
        return self._frame(columns, labels)

    def inverse_transform(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return a new table with all changes taken back, its columns in their first order.

        Columns get the types that they had; those that `fit` never saw come last, unchanged.
        Rows that a step dropped are not brought back.

        Raises:
            UnexecutedError: The processor has not been fitted.
            DataError: A column that `transform` makes is absent.
        """
        labels = self._fitted_labels()
        columns = columns_by_name(data)
        _require(self._output_names, columns)
        for step in reversed(self._steps):
            columns = step.inverse_transform(columns)
        ordered = {name: restored(columns[name], dtype) for name, dtype in self._dtypes.items()}
        return self._frame({**ordered, **columns, **ordered}, labels)

    def _fitted_labels(self) -> pd.Index[Any]:
        if self._labels is None:
            raise UnexecutedError("the processor has not been fitted; call fit(data) first")
        return self._labels

    def _frame(self, columns: Columns, labels: pd.Index[Any]) -> pd.DataFrame:
        """Put columns together under the labels that they came with."""
        frame = pd.DataFrame(columns)
        if list(columns) == list(self._dtypes):
            frame.columns = labels
            return frame
        # Of two columns with one label, the name alone tells which of them is left.
        label_of: dict[str, Hashable] = {
            name: label
            for name, label in zip(self._dtypes, labels, strict=True)
            if label_name(label) == name
        }
        found = [label_of.get(name, name) for name in columns]
        if isinstance(labels, pd.MultiIndex) and all(isinstance(label, tuple) for label in found):
            tuples = [label for label in found if isinstance(label, tuple)]
            frame.columns = pd.MultiIndex.from_tuples(tuples, names=labels.names)
        else:
            dtype = object if labels.dtype == object else None
            frame.columns = pd.Index(found, dtype=dtype, tupleize_cols=False, name=labels.name)
        return frame


def columns_by_name(data: pd.DataFrame) -> Columns:
    """Return the columns of a table by, and under, the names that its Schema has for them."""
    names = Schema.from_dataframe(data.head(0), "").attributes
    return {
        name: pd.Series(column, name=name)
        for name, (_, column) in zip(names, data.items(), strict=True)
    }


def named(columns: Sequence[str]) -> str:
    """Return the names of columns as text for a message: the first few, and how many more."""
    text = ", ".join(repr(name) for name in columns[:MAX_NAMED_COLUMNS])
    rest = len(columns) - MAX_NAMED_COLUMNS
    return f"{text} and {rest} more" if rest > 0 else text


def _require(names: Sequence[str] | dict[str, Any], columns: Columns) -> None:
    absent = [name for name in names if name not in columns]
    if absent:
        raise DataError(
            f"the table lacks {len(absent)} of the {len(names)} columns that the Preprocessor "
            f"left: {named(absent)}"
        )
