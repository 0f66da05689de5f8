"""What synthetic rows are worth for training a model: `mlutility`.

Train on synthetic, test on real: Esteban, Hyland and Rätsch, https://arxiv.org/abs/1706.02633. The
models are scikit-learn's gradient boosting, which takes missing values and labels as they are, and
k-means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from petsard_otel.exceptions import DataError
from petsard_otel.modules.evaluation.scores import (
    classification_scores,
    clustering_scores,
    regression_scores,
)
from petsard_otel.modules.evaluation.tables import (
    align,
    column_list,
    is_missing,
    label_columns,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from petsard_otel.modules.evaluation.parameters import MLUtilityParameters

    Floats = npt.NDArray[np.float64]
    Tables = dict[str, pd.DataFrame]
    Scores = dict[str, float]

ROWS = 10_000
"""Rows of each table at most that models are trained and tested on."""

MAX_CLASSES = 50
"""Classes of a target at most."""

ROUNDS = 100
"""Rounds of gradient boosting."""

MAX_TREES = 1_000
"""Trees at most: each round grows one for each class, so that many classes get fewer rounds."""

MAX_LABELS = 255
"""Labels of one column that gradient boosting tells apart; the rarer ones count as one."""

MAX_INDICATORS = 50
"""Indicator columns at most that k-means sees of one column of labels."""


def utility(
    tables: Mapping[str, pd.DataFrame], parameters: MLUtilityParameters
) -> dict[str, pd.DataFrame]:
    """Train on `ori` and on `syn`, and score both on `control`; or train on `syn`, score on `ori`.

    The second is `experiment_design` domain_transfer. Rows without a target are left out; other
    missing values stay. Errors of a regression are in standard deviations of the target in `ori`
    and `syn` together.

    Returns:
        `global`, a row for each metric, and `details`, how many rows of each table were used.

    Raises:
        DataError: The tables, or the target in them, cannot be used.
    """
    transfer = parameters.experiment_design == "domain_transfer"
    tested = "ori" if transfer else "control"
    trained = {"syn_to_ori": "syn"} if transfer else {"ori": "ori", "syn": "syn"}
    aligned = align({name: tables[name] for name in dict.fromkeys(["ori", "syn", tested])})
    rows = {name: len(table) for name, table in aligned.items()}
    if parameters.task_type != "clustering":
        aligned = _with_target(aligned, parameters.target)
    generator = np.random.default_rng(parameters.random_state)
    aligned = {name: sample(table, ROWS, generator) for name, table in aligned.items()}
    score = _TASKS[str(parameters.task_type)]
    # One thread: the same result on every machine, and on a busy one up to 40 times faster than
    # threads that wait for each other.
    with threadpool_limits(1, user_api="openmp"):
        found = list(score(aligned, trained.values(), tested, parameters))
    used = {name: len(table) for name, table in aligned.items()}
    details = pd.DataFrame({"rows": rows, "rows_used": used}).rename_axis("table")
    return {
        "global": _table(dict(zip(trained, found, strict=True)), parameters.metrics or []),
        "details": details,
    }


def _table(scores: Mapping[str, Scores], metrics: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame({"metric": metrics})
    for name, found in scores.items():
        table[name] = [float(found[metric]) for metric in metrics]
    if len(scores) > 1:
        table["diff"] = table["syn"] - table["ori"]
    return table


def _classify(
    tables: Tables, trained: Iterable[str], tested: str, parameters: MLUtilityParameters
) -> Iterator[Scores]:
    target, features = parameters.target, _features(tables, parameters.target)
    classes = np.unique(np.concatenate([table[target].to_numpy() for table in tables.values()]))
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"the target column {target!r} has {len(classes)} different values, and a "
            f"classification takes {MAX_CLASSES} at most; choose another target or "
            "task_type: regression"
        )
    true = np.searchsorted(classes, tables[tested][target].to_numpy())
    for name in trained:
        known = np.searchsorted(classes, tables[name][target].to_numpy())
        model: Any = DummyClassifier(strategy="most_frequent")
        if len(np.unique(known)) > 1:
            rounds = min(ROUNDS, MAX_TREES // len(classes))
            model = HistGradientBoostingClassifier(max_iter=rounds, **_boosting(tables, parameters))
        model.fit(features[name], known)
        probabilities = np.zeros((len(true), len(classes)))
        probabilities[:, model.classes_] = model.predict_proba(features[tested])
        yield classification_scores(true, probabilities.argmax(axis=1), probabilities)


def _regress(
    tables: Tables, trained: Iterable[str], tested: str, parameters: MLUtilityParameters
) -> Iterator[Scores]:
    target, features = parameters.target, _features(tables, parameters.target)
    if target in label_columns(tables["ori"]):
        raise DataError(
            f"the target column {target!r} does not hold numbers; choose another target or "
            "task_type: classification"
        )
    together = np.concatenate([tables["ori"][target], tables["syn"][target]])
    scale = float(np.std(together)) or 1.0
    true = tables[tested][target].to_numpy()
    for name in trained:
        model = HistGradientBoostingRegressor(max_iter=ROUNDS, **_boosting(tables, parameters))
        model.fit(features[name], tables[name][target].to_numpy())
        yield regression_scores(true, model.predict(features[tested]), scale)


def _cluster(
    tables: Tables, trained: Iterable[str], tested: str, parameters: MLUtilityParameters
) -> Iterator[Scores]:
    points = _points(tables)
    for name in trained:
        if len(points[name]) < parameters.n_clusters:
            raise DataError(
                f"table {name!r} has {len(points[name])} rows, fewer than the "
                f"{parameters.n_clusters} clusters asked for; lower n_clusters"
            )
        model = KMeans(parameters.n_clusters, n_init="auto", random_state=parameters.random_state)
        clusters = model.fit(points[name]).predict(points[tested])
        yield clustering_scores(points[tested], clusters, parameters.random_state)


_TASKS = {"classification": _classify, "regression": _regress, "clustering": _cluster}


def _with_target(tables: Tables, target: object) -> Tables:
    """Leave out the rows whose target is missing."""
    columns = tables["ori"].columns
    if target not in columns:
        raise DataError(
            f"there is no target column {target!r}; the tables have: {column_list(columns)}"
        )
    if len(columns) == 1:
        raise DataError(f"there is no column but the target {target!r} to predict it from")
    known = {}
    for name, table in tables.items():
        known[name] = table[~is_missing(table[target])]
        if known[name].empty:
            raise DataError(
                f"the target column {target!r} is missing in all {len(table)} rows of {name!r}"
            )
    return known


def _boosting(tables: Tables, parameters: MLUtilityParameters) -> dict[str, Any]:
    features = tables["ori"].drop(columns=parameters.target)
    labels = label_columns(features)
    return {
        "random_state": parameters.random_state,
        "categorical_features": [label in labels for label in features.columns],
        # Early stopping holds rows back by class, which fails for a class of one row.
        "early_stopping": False,
    }


def _features(tables: Tables, target: object) -> dict[str, Floats]:
    """Return every column but the target; labels are numbered from the most frequent one on."""
    columns = [label for label in tables["ori"].columns if label != target]
    features = {
        name: table[columns].to_numpy(dtype="float64", copy=True) for name, table in tables.items()
    }
    for label in set(label_columns(tables["ori"])) - {target}:
        codes = {name: table[label].to_numpy() for name, table in tables.items()}
        size = 1 + max(int(code.max()) for code in codes.values())
        trained = np.concatenate([codes["ori"], codes["syn"]])
        counts = np.bincount(trained[trained >= 0], minlength=size)
        ranks = np.empty(size)
        ranks[np.argsort(-counts, kind="stable")] = np.minimum(np.arange(size), MAX_LABELS - 1)
        for name, code in codes.items():
            known = code >= 0
            features[name][:, columns.index(label)] = np.where(known, ranks[code], np.nan)
    return features


def _points(tables: Tables) -> dict[str, Floats]:
    """Return the rows as points: missing numbers are the median, labels indicator columns.

    Everything is standardised, on `ori` and `syn` together.
    """
    columns = list(tables["ori"].columns)
    labels = [columns.index(label) for label in label_columns(tables["ori"])]
    numbers = [position for position in range(len(columns)) if position not in labels]
    encoder = make_pipeline(
        make_column_transformer(
            (SimpleImputer(strategy="median", keep_empty_features=True), numbers),
            (
                OneHotEncoder(
                    max_categories=MAX_INDICATORS,
                    handle_unknown="infrequent_if_exist",
                    sparse_output=False,
                ),
                labels,
            ),
        ),
        StandardScaler(),
    )
    arrays = {name: table.to_numpy(dtype="float64") for name, table in tables.items()}
    encoder.fit(np.concatenate([arrays["ori"], arrays["syn"]]))
    return {name: encoder.transform(array) for name, array in arrays.items()}
