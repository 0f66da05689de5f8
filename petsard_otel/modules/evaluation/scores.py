"""What a model's predictions are worth: the metrics of `mlutility`, under PETsARD's names.

Definitions: https://scikit-learn.org/stable/modules/model_evaluation.html, and for the rates of the
confusion matrix https://en.wikipedia.org/wiki/Confusion_matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn import metrics as sk

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Classes = npt.NDArray[np.int64]

SILHOUETTE_ROWS = 5_000
"""Rows at most for the silhouette score, whose cost grows with their square."""


def classification_scores(
    true: Classes, predicted: Classes, probabilities: Floats
) -> dict[str, float]:
    """Score a classifier; classes are 0 to k-1, `probabilities` has a column for each.

    With two classes the second is the positive one. With more, the counts and rates of the
    confusion matrix add up each class against the rest (micro average), the F scores and the
    area under the ROC curve weigh the classes by their frequency, and the area under the
    precision-recall curve is their mean. An area that needs both classes is NaN without them.
    """
    classes = probabilities.shape[1]
    return {
        "f0.5_score": _f_score(true, predicted, classes, 0.5),
        "f1_score": _f_score(true, predicted, classes, 1.0),
        "f2_score": _f_score(true, predicted, classes, 2.0),
        **confusion_scores(*_confusion(true, predicted, classes)),
        "accuracy": float(np.mean(true == predicted)),
        "mcc": _matthews_correlation(true, predicted),
        "roc_auc": _area(true, probabilities, sk.roc_auc_score, by_frequency=True),
        "pr_auc": _area(true, probabilities, _precision_recall_area, by_frequency=False),
    }


def confusion_scores(tp: int, tn: int, fp: int, fn: int) -> dict[str, float]:
    """Return the counts of a confusion matrix and the rates made from them.

    A rate whose denominator is 0 is 0; the diagnostic odds ratio is then infinite.
    """
    scores: dict[str, float] = {"tp": tp, "tn": tn, "fp": fp, "fn": fn}
    scores["tpr"] = scores["sensitivity"] = scores["recall"] = _ratio(tp, tp + fn)
    scores["tnr"] = scores["specificity"] = _ratio(tn, tn + fp)
    scores["ppv"] = scores["precision"] = _ratio(tp, tp + fp)
    scores["npv"] = _ratio(tn, tn + fn)
    scores["fpr"] = _ratio(fp, fp + tn)
    scores["fnr"] = _ratio(fn, fn + tp)
    scores["fdr"] = _ratio(fp, fp + tp)
    scores["for"] = _ratio(fn, fn + tn)
    scores["informedness"] = scores["tpr"] + scores["tnr"] - 1
    scores["markedness"] = scores["ppv"] + scores["npv"] - 1
    scores["prevalence"] = _ratio(tp + fn, tp + tn + fp + fn)
    scores["dor"] = tp * tn / (fp * fn) if fp * fn else float("inf")
    return scores


def regression_scores(true: Floats, predicted: Floats, scale: float) -> dict[str, float]:
    """Score a regression model; errors are in units of `scale`.

    `mape` is in percent of the true values, and infinite where one of them is 0. `r2_score` is
    NaN for fewer than two rows.
    """
    mse = float(sk.mean_squared_error(true / scale, predicted / scale))
    shares = np.abs((true - predicted) / true) if true.all() else np.array(np.inf)
    return {
        "r2_score": float(sk.r2_score(true, predicted)) if true.size > 1 else float("nan"),
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "mae": float(sk.mean_absolute_error(true / scale, predicted / scale)),
        "mape": float(shares.mean() * 100),
    }


def clustering_scores(points: Floats, clusters: Classes, random_state: int) -> dict[str, float]:
    """Score a clustering; with one cluster, or as many as points, the score is -1."""
    if len(points) > SILHOUETTE_ROWS:
        generator = np.random.default_rng(random_state)
        chosen = generator.choice(len(points), SILHOUETTE_ROWS, replace=False)
        points, clusters = points[chosen], clusters[chosen]
    if not 1 < len(np.unique(clusters)) < len(points):
        return {"silhouette_score": -1.0}
    return {"silhouette_score": float(sk.silhouette_score(points, clusters))}


def _confusion(true: Classes, predicted: Classes, classes: int) -> tuple[int, int, int, int]:
    if classes == 2:
        matrix = sk.confusion_matrix(true, predicted, labels=[0, 1])
        tn, fp, fn, tp = (int(count) for count in matrix.ravel())
        return tp, tn, fp, fn
    hits = int(np.sum(true == predicted))
    misses = len(true) - hits
    return hits, classes * len(true) - hits - 2 * misses, misses, misses


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _f_score(true: Classes, predicted: Classes, classes: int, beta: float) -> float:
    labels, average = ([1], "micro") if classes == 2 else (list(range(classes)), "weighted")
    score = sk.fbeta_score(
        true, predicted, beta=beta, labels=labels, average=average, zero_division=0
    )
    return float(score)


def _matthews_correlation(true: Classes, predicted: Classes) -> float:
    """Return scikit-learn's value, without its warning where everything is one class."""
    if len(np.union1d(true, predicted)) < 2:
        return 0.0
    return float(sk.matthews_corrcoef(true, predicted))


def _area(
    true: Classes,
    probabilities: Floats,
    area: Callable[[npt.NDArray[np.bool_], Floats], float],
    *,
    by_frequency: bool,
) -> float:
    """Return the area for the positive class, or the mean over the classes that occur."""
    present, counts = np.unique(true, return_counts=True)
    if len(present) < 2:
        return float("nan")
    if probabilities.shape[1] == 2:
        return float(area(true == 1, probabilities[:, 1]))
    areas = [area(true == label, probabilities[:, label]) for label in present]
    return float(np.average(areas, weights=counts if by_frequency else None))


def _precision_recall_area(is_class: npt.NDArray[np.bool_], probability: Floats) -> float:
    precision, recall, _ = sk.precision_recall_curve(is_class, probability)
    return float(sk.auc(recall, precision))
