"""MLflow tracing: one span with 12 attributes, and what writing its trace costs.

A trace of MLflow ends with its root span and then goes to the tracking store, here a folder, so
one span under an open root is the cost of the span and a whole trace shows that of the flush.
"""

from __future__ import annotations

import logging
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import ATTRIBUTES, is_quick, report, seconds_per_call

# Read when mlflow is imported: the folder store is in maintenance, traces are written at once so
# that a measurement ends when its work does, and telemetry about mlflow's own use is no part of it.
os.environ.update(
    MLFLOW_ALLOW_FILE_STORE="true",
    MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
)

import mlflow


def main() -> None:
    """Measure and report."""
    logging.disable(logging.WARNING)
    quick = is_quick(__doc__ or "")

    def span() -> None:
        with mlflow.start_span("Preprocessor[default]", attributes=dict(ATTRIBUTES)):
            pass

    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(Path(folder, "mlruns").as_uri())
        with mlflow.start_span("petsard run"):
            in_a_trace = seconds_per_call(span, calls=20 if quick else 50)
        whole_trace = seconds_per_call(span, calls=3 if quick else 5, batches=3)
    report(
        {"mlflow.span": in_a_trace, "mlflow.trace": whole_trace},
        {"mlflow": version("mlflow-skinny")},
    )


if __name__ == "__main__":
    main()
