"""What recording one module execution costs here, without the module's own work.

Every figure comes from `Status.put` with an adapter that has already run: span, schema, snapshot,
timing record and mirror are all in it. The Loader is recorded once, so that the Preprocessor's
span has an input schema and a link to it.
"""

from __future__ import annotations

import tempfile
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.measure import (
    bytes_per_call,
    is_quick,
    quickest,
    report,
    seconds_of_each,
    seconds_per_call,
)
from petsard_otel.history.journals import close_all
from petsard_otel.schema import Attribute, Schema
from petsard_otel.status import Status
from petsard_otel.telemetry.setup import configure
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("int64", "float64", "string", "boolean", "datetime")


class _Adapter:
    """A module that has run: a table, and the schema of it."""

    def __init__(self, schema: Schema, table: pd.DataFrame) -> None:
        self.schema = schema
        self._table = table

    def set_input(self, status: Status) -> dict[str, Any]:
        """Need nothing."""
        return {}

    def run(self, input: dict[str, Any]) -> None:
        """Do no work: it is what is recorded about it that is measured."""

    def get_result(self) -> pd.DataFrame:
        return self._table

    def get_metadata(self) -> Schema:
        return self.schema


def _schema(columns: int, first_type: str = "int64") -> Schema:
    """Make a schema of plausible columns; `first_type` tells two of them apart."""
    attributes = [
        Attribute(f"column_{number:04}", TYPES[number % len(TYPES)], nullable=number % 3 == 0)
        for number in range(columns)
    ]
    attributes[0] = Attribute("column_0000", first_type)
    return Schema.of("cars", attributes)


def _recorder(
    columns: int, *, max_snapshots: int = 1000, max_timings: int = 10_000
) -> tuple[Status, _Adapter, Callable[[], None]]:
    """Make a Status in which the Loader has run, and what records one more Preprocessor."""
    config = SimpleNamespace(sequence=["Loader", "Preprocessor"])
    status = Status(config, max_snapshots=max_snapshots, max_timings=max_timings)
    table = pd.DataFrame({f"column_{number:04}": [0.5, 1.5] for number in range(columns)})
    schema = _schema(columns)
    status.put("Loader", "cars", _Adapter(schema, table))
    adapter = _Adapter(schema, table)

    def put() -> None:
        status.put("Preprocessor", "default", adapter)

    return status, adapter, put


def _put_figures(*, quick: bool) -> dict[str, float]:
    """Record unchanged schemas, at 14 and at 1,000 columns, and equal ones in new objects."""
    batches = 20 if quick else 60
    _, adapter, put = _recorder(14)
    figures = {"ours.put": seconds_per_call(put, calls=100, batches=batches)}

    def put_new_object(schema: Schema) -> None:
        adapter.schema = schema
        put()

    figures["ours.put_new_object"] = seconds_of_each(
        put_new_object, [_schema(14) for _ in range(100 * batches)], batch=100
    )
    _, _, put = _recorder(1000)
    figures["ours.put_1000"] = seconds_per_call(put, calls=100, batches=batches)
    return figures


def _changed_figure(*, quick: bool) -> dict[str, float]:
    """Record 1,000 columns of which one has another type each time, never seen before."""
    _, adapter, put = _recorder(1000)

    def put_changed(schema: Schema) -> None:
        adapter.schema = schema
        put()

    schemas = [_schema(1000, f"type_{number}") for number in range(40 if quick else 150)]
    return {"ours.put_1000_changed": seconds_of_each(put_changed, schemas, batch=10)}


def _keeping_figure(*, quick: bool) -> dict[str, float]:
    """Record executions that are kept on disk between others that are not: what that adds."""
    calls, rounds = 100, 20 if quick else 60
    with tempfile.TemporaryDirectory() as folder:
        _, _, put = _recorder(14)
        configuration = configure(history=f"{folder}/runs.db")
        _, _, put_kept = _recorder(14)
        plain, kept = [], []
        for _ in range(rounds):
            plain.append(seconds_per_call(put, calls=calls, batches=1))
            kept.append(seconds_per_call(put_kept, calls=calls, batches=1))
        configuration.shutdown()
        close_all()
    return {"ours.keeping": min(kept) - min(plain)}


def _growth_figures(*, quick: bool) -> dict[str, float]:
    """Record 100,000 executions, and compare those around the 1,000th with the last ones."""
    _, _, put = _recorder(14)
    first, last, window = 1000, 10_000 if quick else 100_000, 500
    early, late = [], []
    for number in range(last):
        if abs(number - first) <= window:
            early.append(_seconds(put))
        elif number >= last - 2 * window:
            late.append(_seconds(put))
        else:
            put()
    return {"ours.put_early": quickest(early, 100), "ours.put_late": quickest(late, 100)}


def _seconds(call: Callable[[], None]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _retained_figures(*, quick: bool) -> dict[str, float]:
    """Fill a Status to its bounds: the memory of each record, then the timing table of all."""
    status, _, put = _recorder(14, max_snapshots=20_000)
    retained = bytes_per_call(put, calls=500 if quick else 2000)
    while len(status.timing_records) < 10_000:
        put()
    table = seconds_per_call(status.get_timing_report_data, calls=1, batches=10 if quick else 30)
    return {"ours.bytes_per_put": retained, "ours.timing_10000": table}


def main() -> None:
    """Measure and report."""
    quick = is_quick(__doc__ or "")
    report(
        {
            **_put_figures(quick=quick),
            **_changed_figure(quick=quick),
            **_keeping_figure(quick=quick),
            **_growth_figures(quick=quick),
            **_retained_figures(quick=quick),
        },
        {"petsard-otel": __version__, "pandas": pd.__version__},
    )


if __name__ == "__main__":
    main()
