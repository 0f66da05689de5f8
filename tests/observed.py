"""Everything that can be asked of a Status about what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from petsard_otel.exceptions import PetsardOtelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from petsard_otel import Status

NOBODY = "Nobody"
"""A module that no run has."""


def answers(status: Status) -> dict[str, Any]:
    """Return every answer under its question; where it is an error, its class and its text."""
    found: dict[str, Any] = {
        "summary": status.get_status_summary(),
        "snapshots": (status.snapshots, status.get_snapshots()),
        "by id": [status.get_snapshot_by_id(snapshot.snapshot_id) for snapshot in status.snapshots],
        "unknown id": status.get_snapshot_by_id("snapshot_0"),
        "timings": (status.timing_records, status.get_timing_records()),
        "changes": status.get_change_history(),
        "lineage": status.get_schema_lineage(),
        "experiment": status.get_full_expt(),
    }
    for steps in (False, True):
        frame = status.get_timing_report_data(steps=steps)
        found[f"report, steps={steps}"] = (frame.dtypes.to_dict(), repr(frame.to_dict()))
    for module in (*status.sequence, NOBODY):
        questions: dict[str, Callable[[str], Any]] = {
            "snapshots": status.get_snapshots,
            "timings": status.get_timing_records,
            "changes": status.get_change_history,
            "evolution": status.get_metadata_evolution,
            "lineage": status.get_schema_lineage,
            "experiment": status.get_full_expt,
            "schema": status.get_metadata,
        }
        for name, ask in questions.items():
            found[f"{name} of {module}"] = _answer(ask, module)
    return found


def assert_equal_answers(found: Status, live: Status) -> None:
    """See that two Statuses answer alike; name the questions in which they do not."""
    theirs, expected = answers(found), answers(live)
    assert theirs.keys() == expected.keys()
    for name, answer in expected.items():
        assert theirs[name] == answer, f"{name}: expected {answer}, found {theirs[name]}"


def _answer(ask: Callable[[str], Any], module: str) -> Any:
    try:
        return ask(module)
    except PetsardOtelError as error:
        return type(error), str(error)
