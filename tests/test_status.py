"""A Status by itself: what `put` records, and every question that can be put to it."""

from __future__ import annotations

import logging
import pickle
import random
import time
from datetime import timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from opentelemetry import trace as trace_api

from petsard_otel import Attribute, ConfigError, Schema, Status, UnexecutedError

from .conftest import Pipeline, ReportAdapter, TableAdapter

THREE = Pipeline("Loader", "Preprocessor", "Synthesizer")


@pytest.fixture
def status(cars: Schema, scaled: Schema) -> Status:
    """Give a Status after one path of three modules."""
    status = Status(THREE)
    status.put("Loader", "cars", TableAdapter(cars))
    status.put("Preprocessor", "scale", TableAdapter(scaled))
    status.put("Synthesizer", "copula", TableAdapter(scaled))
    return status


def test_nothing_has_happened_yet() -> None:
    """Every question has an answer before a run."""
    status = Status(THREE)

    assert status.get_snapshots() == ()
    assert status.get_change_history() == ()
    assert status.get_timing_records() == ()
    assert status.get_metadata_evolution() == ()
    assert status.get_schema_lineage() == ()
    assert status.get_full_expt() == {}
    assert status.get_snapshot_by_id("x") is None
    assert status.restore_from_snapshot("x") is False
    assert status.get_validation_result() is None
    summary = status.get_status_summary()
    run_id = summary.pop("run_id")
    assert len(run_id) == 32
    assert summary == {
        "sequence": ("Loader", "Preprocessor", "Synthesizer"),
        "active_modules": (),
        "metadata_modules": (),
        "total_snapshots": 0,
        "total_changes": 0,
        "total_diffs": 0,
        "last_snapshot": None,
        "last_change": None,
        "trace_id": None,
        "state": "pending",
        "total_timings": 0,
        "duration_seconds": 0.0,
        "failed_modules": (),
        "evicted": {"snapshots": 0, "changes": 0, "timings": 0},
        "telemetry_errors": 0,
        "open_modules": (),
    }


def test_an_empty_timing_report_has_its_columns() -> None:
    """A script that groups by module works before anything has run."""
    report = Status(THREE).get_timing_report_data()

    assert list(report.columns) == [
        "record_id",
        "module_name",
        "experiment_name",
        "step_name",
        "start_time",
        "end_time",
        "duration_seconds",
        "source",
        "status",
        "experiment_path",
        "trace_id",
        "span_id",
        "parent_record_id",
    ]
    assert len(report) == 0
    assert report.groupby("module_name")["duration_seconds"].sum().empty


def test_a_snapshot_can_be_read_as_soon_as_put_returns(cars: Schema) -> None:
    """What was put is there, whole."""
    status = Status(THREE)

    status.put("Loader", "cars", TableAdapter(cars))

    (snapshot,) = status.get_snapshots()
    assert snapshot.module_name == "Loader"
    assert snapshot.experiment_name == "cars"
    assert snapshot.experiment_path == "Loader[cars]"
    assert snapshot.metadata_before is None
    assert snapshot.metadata_after is cars
    assert snapshot.rows == 3
    assert snapshot.columns == 1
    assert snapshot.status == "success"
    assert snapshot.error_type is None
    assert snapshot.snapshot_id == f"snapshot_{status.run_id[:8]}_000001"
    assert snapshot.timestamp.tzinfo is timezone.utc
    assert dict(snapshot.context) == {"operator_type": "TableAdapter", "sequence_position": 0}
    assert status.get_snapshot_by_id(snapshot.snapshot_id) is snapshot


def test_before_is_what_the_module_received(status: Status, cars: Schema, scaled: Schema) -> None:
    """The schema before is the output of the module before, not of an earlier run of its own."""
    found = [(s.metadata_before, s.metadata_after) for s in status.get_snapshots()]

    assert found == [(None, cars), (cars, scaled), (scaled, scaled)]


def test_a_change_is_recorded_where_output_and_input_differ(
    status: Status, cars: Schema, scaled: Schema
) -> None:
    """The Preprocessor changed the schema and the Synthesizer did not."""
    (change,) = status.get_change_history()

    assert change.change_id == f"change_{status.run_id[:8]}_000002_module"
    assert (change.module_name, change.experiment_name, change.kind) == (
        "Preprocessor",
        "scale",
        "module",
    )
    assert (change.before_hash, change.after_hash) == (cars.hash, scaled.hash)
    assert change.diff.removed == ("Name",)
    assert [str(field) for field in change.diff.retyped] == ["Cylinders: int64 -> float64"]
    assert [str(field) for field in change.diff.nullability] == ["Horsepower: nullable -> required"]
    assert status.get_change_history("Loader") == ()
    assert status.get_change_history("Preprocessor") == (change,)


def test_a_change_is_recorded_where_two_experiments_differ(cars: Schema, scaled: Schema) -> None:
    """A module's second experiment is compared with its first."""
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Loader", "b", TableAdapter(scaled))

    (change,) = status.get_change_history()

    assert (change.kind, change.experiment_name) == ("experiment", "b")
    assert (change.before_hash, change.after_hash) == (cars.hash, scaled.hash)


def test_evolution_holds_each_schema_of_a_module_once(cars: Schema, scaled: Schema) -> None:
    """A module that went back and forth has two schemas, in order of appearance."""
    status = Status(THREE)
    for schema in (cars, scaled, cars, scaled):
        status.put("Loader", "a", TableAdapter(schema))

    assert status.get_metadata_evolution("Loader") == (cars, scaled)
    assert status.get_metadata_evolution("Synthesizer") == ()


def test_lineage_follows_the_current_path(status: Status, cars: Schema, scaled: Schema) -> None:
    """For each module on the path: its schema, and how that differs from its input."""
    loader, preprocessor, synthesizer = status.get_schema_lineage()

    assert (loader.module_name, loader.schema, loader.diff) == ("Loader", cars, None)
    assert preprocessor.diff is not None
    assert preprocessor.diff.removed == ("Name",)
    assert (synthesizer.schema, bool(synthesizer.diff)) == (scaled, False)
    assert status.get_schema_lineage("Preprocessor") == (preprocessor,)
    with pytest.raises(ConfigError, match="no module 'Loder' in this run"):
        status.get_schema_lineage("Loder")


def test_an_earlier_module_begins_a_new_path(status: Status, cars: Schema) -> None:
    """When the Loader runs again, what came after it is no longer on the path."""
    status.put("Loader", "other", TableAdapter(cars))

    assert list(status.status) == ["Loader"]
    assert status.get_full_expt() == {"Loader": "other"}
    with pytest.raises(UnexecutedError, match=r"Synthesizer has not run; executed so far: Loader"):
        status.get_result("Synthesizer")


def test_questions_about_unknown_modules_name_what_there_is(status: Status) -> None:
    """An error says which module was asked for and which there are."""
    with pytest.raises(ConfigError, match=r"no module 'Evaluator'.*Loader, Preprocessor, Synth"):
        status.get_result("Evaluator")
    with pytest.raises(ConfigError, match="no module 'Evaluator'"):
        status.get_full_expt("Evaluator")
    with pytest.raises(UnexecutedError, match=r"no schema of Evaluator; there are: Loader, Pre"):
        status.get_metadata("Evaluator")


def test_paths_by_module(status: Status) -> None:
    """The path up to a module, and the whole."""
    assert status.get_full_expt("Preprocessor") == {"Loader": "cars", "Preprocessor": "scale"}
    assert status.get_full_expt() == {
        "Loader": "cars",
        "Preprocessor": "scale",
        "Synthesizer": "copula",
    }
    assert status.get_pre_module("Loader") is None
    assert status.get_pre_module("Synthesizer") == "Preprocessor"
    assert status.get_preprocessor_input_schema() is status.get_metadata("Loader")


def test_restoring_a_snapshot_puts_its_schema_back(cars: Schema, scaled: Schema) -> None:
    """A module's schema is again what it was at the snapshot."""
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Loader", "b", TableAdapter(scaled))
    first = status.get_snapshots()[0]

    assert status.restore_from_snapshot(first.snapshot_id) is True
    assert status.get_metadata("Loader") is cars


def test_a_module_without_a_table_has_no_schema(cars: Schema) -> None:
    """A report is no table: it has an input schema, no output schema and no change."""
    status = Status(Pipeline("Loader", "Evaluator"))
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Evaluator", "e", ReportAdapter())

    snapshot = status.get_snapshots("Evaluator")[0]
    assert (snapshot.metadata_before, snapshot.metadata_after) == (cars, None)
    assert (snapshot.rows, snapshot.columns) == (None, None)
    assert status.get_change_history() == ()
    assert status.restore_from_snapshot(snapshot.snapshot_id) is False


def test_a_schema_that_cannot_be_read_is_kept_by_reference() -> None:
    """A foreign schema is opaque in the records and itself for the modules."""

    class Foreign:
        attributes = "anything"

    foreign = Foreign()
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(foreign))
    status.put("Loader", "b", TableAdapter(foreign))

    one, two = status.get_snapshots()
    assert status.get_metadata("Loader") is foreign
    assert one.metadata_after is not None
    assert one.metadata_after is two.metadata_after
    assert one.metadata_after.reference is foreign  # type: ignore[union-attr]
    assert one.metadata_after.type_name.endswith("Foreign")  # type: ignore[union-attr]
    assert status.get_change_history() == ()
    assert status.restore_from_snapshot(one.snapshot_id) is True
    assert status.get_metadata("Loader") is foreign


def test_user_timings_are_records_of_their_own(cars: Schema) -> None:
    """A step of the user's own is timed in full precision and is a row of the report."""
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(cars))
    record_id = status.start_timing("Loader", "a", "download", {"attempt": 1, "from": "mirror"})
    time.sleep(0.02)
    record = status.end_timing("Loader", "a", "download", {"bytes": 10, "attempt": 2})

    assert record is not None
    assert record.record_id == record_id
    assert (record.source, record.step_name, record.status) == ("user", "download", "success")
    assert record.end_time - record.start_time >= timedelta(seconds=0.02)
    assert 0.02 <= record.duration_seconds < 5
    assert dict(record.context) == {"attempt": 2, "from": "mirror", "bytes": 10}
    report = status.get_timing_report_data()
    assert list(report["source"]) == ["module", "user"]
    assert list(report["bytes"].iloc[1:]) == [10]
    assert report["from"].iloc[1] == "mirror"


def test_ending_what_was_not_begun_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """No record is made up."""
    with caplog.at_level(logging.WARNING, "petsard_otel"):
        assert Status(THREE).end_timing("Loader", "a", "x") is None

    assert caplog.messages == ["end_timing() without start_timing() for a step of Loader"]


def test_limits_bound_what_is_held_and_say_so(cars: Schema, scaled: Schema) -> None:
    """The newest records stay, the totals go on counting."""
    status = Status(THREE, max_snapshots=3, max_changes=2, max_timings=4)
    for number in range(10):
        status.put("Loader", f"e{number}", TableAdapter(cars if number % 2 else scaled))

    assert [s.experiment_name for s in status.get_snapshots()] == ["e7", "e8", "e9"]
    assert [c.experiment_name for c in status.get_change_history()] == ["e8", "e9"]
    assert len(status.get_timing_records()) == 4
    summary = status.get_status_summary()
    assert (summary["total_snapshots"], summary["total_changes"]) == (10, 9)
    assert summary["evicted"] == {"snapshots": 7, "changes": 7, "timings": 6}
    assert status.get_snapshot_by_id(f"snapshot_{status.run_id[:8]}_000001") is None
    assert status.get_snapshot_by_id(f"snapshot_{status.run_id[:8]}_000010") is not None


@pytest.mark.parametrize("limit", [0, 1])
def test_the_smallest_limits_work(limit: int, cars: Schema) -> None:
    """Nothing, or one record, may be all that is wanted."""
    status = Status(THREE, max_snapshots=limit, max_changes=limit, max_timings=limit)
    for number in range(3):
        status.put("Loader", f"e{number}", TableAdapter(cars))

    assert len(status.get_snapshots()) == limit
    assert len(status.get_timing_records()) == limit
    assert status.get_status_summary()["total_snapshots"] == 3


def test_a_negative_limit_is_refused() -> None:
    """A mistake is told at construction."""
    with pytest.raises(ConfigError, match=r"max_snapshots is a whole number from 0 \(found -1\)"):
        Status(THREE, max_snapshots=-1)


def test_records_cannot_be_changed_and_can_be_pickled(status: Status) -> None:
    """What a getter returns is the reader's to keep, not to write to."""
    records: list[Any] = [
        *status.get_snapshots(),
        *status.get_timing_records(),
        *status.get_change_history(),
    ]
    for record in records:
        with pytest.raises(AttributeError):
            record.module_name = "x"
        assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301  our own bytes


def test_tables_by_module_name_the_parts_of_a_split(cars: Schema) -> None:
    """A split's parts are named as PETsARD names them; reports are left out."""
    train, validation = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})
    status = Status(Pipeline("Loader", "Splitter", "Evaluator"))
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Splitter", "s", TableAdapter(cars, {"train": train, "validation": validation}))
    status.put("Evaluator", "e", ReportAdapter())

    found = status.get_data_by_module(["Loader", "Splitter", "Evaluator", "Nobody"])
    assert list(found) == ["Loader", "Splitter_train", "Splitter_validation"]
    assert found["Splitter_train"] is train
    assert status.get_snapshots("Splitter")[0].rows == 2


def test_state_that_adapters_share(cars: Schema) -> None:
    """Train indices, validation results and schemas set by hand are there for later modules."""
    status = Status(THREE)
    status.update_exist_train_indices([{1, 2}])
    status.update_exist_train_indices([{3}])
    status.put_validation_result("Constrainer", {"pass_rate": 0.5})
    status.set_metadata("Loader", cars)

    assert status.get_exist_train_indices() == [{1, 2}, {3}]
    assert status.get_validation_result("Constrainer") == {"pass_rate": 0.5}
    assert status.get_validation_result() == {"Constrainer": {"pass_rate": 0.5}}
    assert status.get_metadata() is cars


def test_a_check_is_forgotten_with_the_execution_that_made_it(cars: Schema) -> None:
    """A later experiment that checks nothing does not inherit the former one's result."""

    class Checking(TableAdapter):
        def __init__(self, schema: Schema, found: dict[str, Any] | None) -> None:
            super().__init__(schema)
            self.found = found

        def get_validation_result(self) -> dict[str, Any] | None:
            return self.found

    status = Status(Pipeline("Loader", "Constrainer"))
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Constrainer", "check", Checking(cars, {"pass_rate": 0.5}))
    assert status.get_validation_result("Constrainer") == {"pass_rate": 0.5}
    status.put("Constrainer", "fix", Checking(cars, None))
    assert status.get_validation_result() is None
    status.put("Constrainer", "check", Checking(cars, {"pass_rate": 0.5}))
    status.put("Loader", "b", TableAdapter(cars))
    assert status.get_validation_result() is None


def test_what_an_adapter_raises_in_put_reaches_the_caller(cars: Schema) -> None:
    """The very same exception comes out, and the execution is on record as failed."""
    problem = RuntimeError("no schema today")

    class Broken(TableAdapter):
        def get_metadata(self) -> Any:
            raise problem

    status = Status(THREE)
    with pytest.raises(RuntimeError) as caught:
        status.put("Loader", "a", Broken(cars))

    assert caught.value is problem
    (snapshot,) = status.get_snapshots()
    assert (snapshot.status, snapshot.error_type) == ("error", "RuntimeError")
    assert status.get_status_summary()["failed_modules"] == ("Loader",)


def test_durations_come_from_a_monotonic_clock(
    cars: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall clock that is set back in the middle makes no negative duration."""
    status = Status(THREE)
    clock = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))

    status.put("Loader", "a", TableAdapter(cars))

    (record,) = status.get_timing_records()
    assert record.start_time.isoformat() == "2033-05-18T03:33:20+00:00"
    assert 0 < record.duration_seconds < 5


def test_ids_do_not_come_from_the_generator_that_modules_seed(cars: Schema) -> None:
    """A module that seeds `random` makes no id twice, and our ids do not change its draws."""
    status = Status(THREE)
    for module in THREE.sequence:
        random.seed(42)
        status.put(module, "a", TableAdapter(cars))
        assert random.random() == 0.6394267984578837  # noqa: S311  the point of the test

    assert len({record.record_id for record in status.get_timing_records()}) == 3
    assert len({record.trace_id for record in status.get_timing_records()}) == 3


def test_an_interrupt_while_we_look_at_a_result_is_on_record(cars: Schema) -> None:
    """^C in the middle of our own work cancels the execution, and leaves no span behind."""

    class Interrupted(TableAdapter):
        def get_result(self) -> Any:
            raise KeyboardInterrupt

    status = Status(THREE)
    with pytest.raises(KeyboardInterrupt):
        status.put("Loader", "a", Interrupted(cars))

    (snapshot,) = status.get_snapshots()
    assert (snapshot.module_name, snapshot.status) == ("Loader", "cancelled")
    assert status.get_status_summary()["failed_modules"] == ("Loader",)
    assert not trace_api.get_current_span().get_span_context().is_valid


def test_an_adapter_may_have_its_methods_on_the_instance(cars: Schema) -> None:
    """A wrapper that hands everything on is an adapter like any other."""

    class Wrapper:
        def __init__(self, adapter: Any) -> None:
            self._adapter = adapter

        def __getattr__(self, name: str) -> Any:
            return getattr(self._adapter, name)

    status = Status(THREE)
    status.put("Loader", "a", Wrapper(TableAdapter(cars)))

    assert status.get_metadata("Loader") is cars
    assert status.get_snapshots()[0].metadata_after is cars


def test_a_step_survives_a_wrong_context() -> None:
    """A mistake in `end_timing` can be mended: the step is still open."""
    status = Status(THREE)
    status.start_timing("Loader", "a", "x")
    with pytest.raises(TypeError, match="entry 'rows' is a list"):
        status.end_timing("Loader", "a", "x", {"rows": [1]})

    assert status.end_timing("Loader", "a", "x", {"rows": 1}) is not None


def test_a_long_schema_id_stays_inside_the_budget() -> None:
    """The id of a schema is cut like every name, in the record as on the span."""
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(Schema("x" * 10_000, {"a": Attribute("a", "int64")})))

    schema = status.get_snapshots()[0].metadata_after
    assert schema is not None
    assert len(schema.id) == 512


def test_a_module_outside_the_sequence_is_recorded(cars: Schema) -> None:
    """A custom module that the configuration does not know has position -1."""
    status = Status(THREE)
    status.put("Auditor", "a", TableAdapter(cars))

    assert status.get_snapshots()[0].sequence_position == -1


def test_a_wide_schema_costs_what_a_narrow_one_does() -> None:
    """An unchanged schema is not looked at again, however wide it is."""
    wide = Schema.of("w", [Attribute(f"c{n}", "float64") for n in range(5000)])
    status = Status(THREE)
    status.put("Loader", "a", TableAdapter(wide))
    begin = time.process_time()
    for _ in range(200):
        status.put("Loader", "a", TableAdapter(wide))
    seconds = (time.process_time() - begin) / 200

    # One look at 5,000 columns takes over 5 ms here.
    assert seconds < 0.002
