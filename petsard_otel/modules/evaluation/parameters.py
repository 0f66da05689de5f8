"""The YAML keys of the Evaluator, for each of its methods."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from petsard_otel.modules.parameters import Parameters, unknown_name

TASK_TYPES = {
    "classification": "classification",
    "regression": "regression",
    "clustering": "clustering",
    "class": "classification",
    "reg": "regression",
    "cluster": "clustering",
}
"""The spellings of a task that PETsARD accepts, in any case of letters."""

DEFAULT_METRICS = {
    "classification": (
        "f1_score",
        "roc_auc",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "mcc",
        "pr_auc",
        "tp",
        "tn",
        "fp",
        "fn",
    ),
    "regression": ("r2_score", "rmse"),
    "clustering": ("silhouette_score",),
}
"""The metrics of each task that are computed where the configuration names none."""

METRICS = {
    "classification": (
        *DEFAULT_METRICS["classification"],
        "f2_score",
        "f0.5_score",
        "tpr",
        "tnr",
        "ppv",
        "npv",
        "fpr",
        "fnr",
        "fdr",
        "for",
        "sensitivity",
        "informedness",
        "markedness",
        "prevalence",
        "dor",
    ),
    "regression": ("r2_score", "mse", "mae", "rmse", "mape"),
    "clustering": ("silhouette_score",),
}
"""Every metric of each task."""

NEEDS_PETSARD = 'needs PETsARD itself; install it with: pip install "petsard-otel[petsard]"'
"""What is wrong with a value that only PETsARD can use."""


class EvaluatorParameters(Parameters):
    """What every method takes. `random_state` decides which rows are drawn from large tables."""

    method: str = "default"
    random_state: int = Field(default=42, ge=0, lt=2**32)


class MLUtilityParameters(EvaluatorParameters):
    """What `mlutility` takes. The order matters: each key is checked against those above it."""

    task_type: str | None = Field(default=None, validate_default=True)
    target: str | int | None = Field(default=None, validate_default=True)
    metrics: list[str] | None = Field(default=None, validate_default=True)
    experiment_design: Literal["dual_model_control", "domain_transfer"] = "dual_model_control"
    n_clusters: int = Field(default=3, ge=2)
    resampling: str | None = None
    xgb_params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("task_type")
    @classmethod
    def _known_task(cls, task_type: str | None, info: ValidationInfo) -> str:
        """Take the task from the key, or from the end of the method's name."""
        named = task_type or str(info.data.get("method", "")).partition("-")[2]
        if not named:
            raise ValueError(f"name the task of mlutility; valid: {', '.join(METRICS)}")
        if named.lower() not in TASK_TYPES:
            raise ValueError(unknown_name("task", named, METRICS))
        return TASK_TYPES[named.lower()]

    @field_validator("target")
    @classmethod
    def _target_where_needed(
        cls, target: str | int | None, info: ValidationInfo
    ) -> str | int | None:
        task = info.data.get("task_type")
        if task == "clustering":
            return None
        if task is not None and target in (None, ""):
            raise ValueError(f"name the column that the {task} predicts")
        return target

    @field_validator("metrics")
    @classmethod
    def _metrics_of_the_task(cls, metrics: list[str] | None, info: ValidationInfo) -> list[str]:
        task = info.data.get("task_type", "classification")
        if metrics is None:
            return list(DEFAULT_METRICS[task])
        for metric in metrics:
            if metric not in METRICS[task]:
                raise ValueError(unknown_name(f"metric of {task}", metric, METRICS[task]))
        if not metrics:
            raise ValueError("name at least one metric, or leave the key out")
        return list(dict.fromkeys(metrics))

    @field_validator("resampling")
    @classmethod
    def _no_resampling(cls, resampling: str | None) -> None:
        if resampling not in (None, "None"):
            raise ValueError(f"resampling {NEEDS_PETSARD}")

    @field_validator("xgb_params")
    @classmethod
    def _no_xgboost(cls, xgb_params: dict[str, Any]) -> dict[str, Any]:
        if xgb_params:
            raise ValueError(f"XGBoost {NEEDS_PETSARD}")
        return xgb_params
