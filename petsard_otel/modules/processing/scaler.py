"""Numbers and times to a common scale and back, and to bins, with scikit-learn's scalers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    StandardScaler,
)

from petsard_otel.exceptions import DataError
from petsard_otel.modules.processing.numbers import NumberLine, is_number_line
from petsard_otel.modules.processing.processor import ColumnStep
from petsard_otel.schema import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.modules.processing.numbers import Floats

LOWEST_FOR_LOG = {"scaler_log": 0, "scaler_log1p": -1}
"""What every value must lie above for the logarithm to exist."""


class Transformer(Protocol):
    """What scikit-learn's transformers share."""

    def fit(self, X: Any) -> Any:  # noqa: N803
        """Learn."""

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Apply."""

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """Take back."""


MODELS: Mapping[str, Callable[[], Transformer]] = {
    "scaler_standard": StandardScaler,
    "scaler_zerocenter": lambda: StandardScaler(with_std=False),
    "scaler_minmax": MinMaxScaler,
    "scaler_log": lambda: FunctionTransformer(np.log, np.exp, check_inverse=False),
    "scaler_log1p": lambda: FunctionTransformer(np.log1p, np.expm1, check_inverse=False),
}


class Scale(ColumnStep):
    """A scaler of scikit-learn over one column. Missing values stay missing."""

    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return an attribute of floats."""
        is_logarithm = self.method in LOWEST_FOR_LOG
        if not is_number_line(attribute) or (
            is_logarithm and not attribute.type.startswith(("int", "uint", "float"))
        ):
            raise DataError(
                f"{self.method}: column {self.column!r} is of type {attribute.type_label}; it "
                f"needs numbers{'' if is_logarithm else ' or times'}. Encode the column first, "
                "or set its scaler to none"
            )
        return Attribute(attribute.name, "float64", attribute.nullable)

    def fit_column(self, column: pd.Series[Any]) -> None:
        """Fit the model to the values that are there."""
        self._line = NumberLine(column)
        observed = self._observed(column)
        self._model = MODELS[self.method]()
        # Without any value there is nothing to fit; all that comes back is missing too.
        self._is_fitted = observed.size > 0
        if self._is_fitted:
            self._model.fit(observed.reshape(-1, 1))

    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the scaled column."""
        self._observed(column)
        return self._apply(self._model.transform, self._line.to_floats(column), column.index)

    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column on its own scale and of its own type."""
        floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        scaled = self._apply(self._model.inverse_transform, floats, column.index)
        return self._line.to_column(scaled.to_numpy(), column.index)

    def _apply(
        self, change: Callable[[Any], Any], floats: Floats, index: pd.Index[Any]
    ) -> pd.Series[Any]:
        result = np.full(len(floats), np.nan)
        present = ~np.isnan(floats)
        if self._is_fitted and present.any():
            result[present] = np.ravel(change(floats[present].reshape(-1, 1)))
        return pd.Series(result, index=index)

    def _observed(self, column: pd.Series[Any]) -> Floats:
        floats = self._line.to_floats(column)
        observed = floats[~np.isnan(floats)]
        lowest = LOWEST_FOR_LOG.get(self.method)
        if lowest is not None and (observed <= lowest).any():
            raise DataError(
                f"{self.method}: column {self.column!r} has {int((observed <= lowest).sum())} "
                f"values that are not above {lowest}; take another scaler"
            )
        return observed


class Discretize(ColumnStep):
    """`discretizing_kbins`: the number of the bin, of bins of equal width; back to its middle."""

    def __init__(self, method: str, column: str, n_bins: int) -> None:
        super().__init__(method, column)
        self._n_bins = n_bins

    def predict_attribute(self, attribute: Attribute) -> Attribute:
        """Return an attribute of floats."""
        if not is_number_line(attribute):
            raise DataError(
                f"{self.method}: column {self.column!r} is of type {attribute.type_label}; it "
                "needs numbers or times. Take encoder_label"
            )
        return Attribute(attribute.name, "float64", attribute.nullable)

    def fit_column(self, column: pd.Series[Any]) -> None:
        """Find the edges of the bins."""
        self._line = NumberLine(column)
        floats = self._line.to_floats(column)
        observed = floats[~np.isnan(floats)]
        self._only_value = float(observed[0]) if observed.size else np.nan
        self._model: KBinsDiscretizer | None = None
        if observed.size and observed.min() < observed.max():
            self._model = KBinsDiscretizer(
                self._n_bins, encode="ordinal", strategy="uniform", subsample=None
            ).fit(observed.reshape(-1, 1))

    def transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the number of each value's bin; of a constant column, 0."""
        floats = self._line.to_floats(column)
        present = ~np.isnan(floats)
        bins = np.where(present, 0.0, np.nan)
        if self._model is not None and present.any():
            bins[present] = np.ravel(self._model.transform(floats[present].reshape(-1, 1)))
        return pd.Series(bins, index=column.index)

    def inverse_transform_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the middle of each bin, the nearest where there is none of that number."""
        bins = np.clip(
            np.round(column.to_numpy(dtype=np.float64, na_value=np.nan)), 0, self._n_bins - 1
        )
        present = ~np.isnan(bins)
        floats = np.where(present, self._only_value, np.nan)
        if self._model is not None and present.any():
            floats[present] = np.ravel(self._model.inverse_transform(bins[present].reshape(-1, 1)))
        return self._line.to_column(floats, column.index)
