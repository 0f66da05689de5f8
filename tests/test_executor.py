"""From a configuration to its answers, as a user gets them."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest
from opentelemetry import trace as trace_api

from petsard_otel import ConfigError, Executor

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel.executor import Progress

    from .conftest import Recorded

ROWS = 60


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a small table with numbers, categories and missing values."""
    path = tmp_path / "people.csv"
    pd.DataFrame(
        {
            "age": [20 + number % 40 for number in range(ROWS)],
            "income": [None if number % 10 == 0 else 1000.5 * number for number in range(ROWS)],
            "city": [("Taipei", "Tainan", "Hualien")[number % 3] for number in range(ROWS)],
        }
    ).to_csv(path, index=False)
    return path


@pytest.fixture
def config(table: Path) -> dict[str, Any]:
    """Give a pipeline of one split and two experiments."""
    return {
        "Loader": {"people": {"filepath": str(table)}},
        "Splitter": {"half": {"train_split_ratio": 0.5, "random_state": 1}},
        "Preprocessor": {"encode": {"method": "default"}},
        "Synthesizer": {
            "one": {"method": "default", "random_state": 1},
            "two": {"method": "default", "random_state": 2, "sample_num_rows": 10},
        },
        "Postprocessor": {"decode": {"method": "default"}},
    }


def test_the_first_example_of_the_readme(config: dict[str, Any]) -> None:
    """Results, timing, summary and snapshots are there after a run."""
    executor = Executor(config)
    assert executor.is_execution_completed() is False
    executor.run()
    results = executor.get_result()
    timing = executor.get_timing()
    summary = executor.status.get_status_summary()
    snapshots = executor.status.get_snapshots()

    prefix = "Loader[people]_Splitter[half_[1-1]]_Preprocessor[encode]_Synthesizer"
    assert list(results) == [
        f"{prefix}[one]_Postprocessor[decode]",
        f"{prefix}[two]_Postprocessor[decode]",
    ]
    assert [len(table) for table in results.values()] == [30, 10]
    assert [list(table.columns) for table in results.values()] == [["age", "income", "city"]] * 2
    modules = [
        "Loader",
        "Splitter",
        "Preprocessor",
        "Synthesizer",
        "Postprocessor",
        "Synthesizer",
        "Postprocessor",
    ]
    assert list(timing["module_name"]) == modules
    assert set(timing["status"]) == {"success"}
    assert [snapshot.module_name for snapshot in snapshots] == modules
    assert [snapshot.rows for snapshot in snapshots][:3] == [60, 30, 30]
    assert (summary["state"], summary["total_snapshots"]) == ("completed", 7)
    assert executor.is_execution_completed() is True


def test_the_second_example_of_the_readme(config: dict[str, Any]) -> None:
    """A module's schema can be counted, and snapshots have times."""
    executor = Executor(config)
    executor.run()

    loader_schema = executor.status.get_metadata("Loader")
    assert len(loader_schema.attributes) == 3
    seen = [
        (f"{snapshot.module_name}[{snapshot.experiment_name}]", snapshot.timestamp)
        for snapshot in executor.status.get_snapshots()
    ]
    assert seen[0][0] == "Loader[people]"
    assert [time for _, time in seen] == sorted(time for _, time in seen)


def test_the_third_example_of_the_readme(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The Preprocessor's schema is predicted, and the prediction came true."""
    executor = Executor(config)
    assert executor.get_inferred_schema("Preprocessor") is None
    executor.run()

    inferred = executor.get_inferred_schema("Preprocessor")
    assert inferred is not None
    assert inferred.id == "people"
    assert inferred.hash == executor.status.get_metadata("Preprocessor").hash
    assert [c.module_name for c in executor.status.get_change_history()] == [
        "Preprocessor",
        "Postprocessor",
        "Postprocessor",
    ]
    assert executor.get_inferred_schema("Loader") is None
    assert caplog.messages == []


def test_the_fourth_example_of_the_readme(config: dict[str, Any]) -> None:
    """Durations can be summed: by module they add up to no more than the run."""
    executor = Executor(config)
    executor.run()
    timing = executor.get_timing()

    by_module = timing.groupby("module_name")["duration_seconds"].sum()
    by_experiment = (
        timing[timing["module_name"] == "Synthesizer"]
        .groupby("experiment_name")["duration_seconds"]
        .sum()
    )
    assert 0 < by_module.sum() <= executor.status.get_status_summary()["duration_seconds"]
    assert list(by_experiment.index) == ["one", "two"]
    assert by_experiment.sum() == pytest.approx(by_module["Synthesizer"])
    steps = executor.status.get_timing_report_data(steps=True)
    assert {"load", "split", "fit", "transform", "sample", "inverse_transform"} <= set(
        steps["step_name"]
    )
    parents = steps[steps["source"] == "step"]["parent_record_id"]
    assert set(parents) <= set(timing["record_id"])


def test_a_run_is_one_trace_at_the_users_provider(
    config: dict[str, Any], recorded: Recorded
) -> None:
    """The spans of a real run are at the provider that was handed over, and nowhere else."""
    executor = Executor(config, tracer_provider=recorded.provider)
    executor.run()

    spans = recorded.exported
    assert len({span.context.trace_id for span in spans}) == 1
    assert [span.name for span in spans if span.parent is None] == ["petsard run"]
    assert {"Synthesizer[one]", "Synthesizer.fit", "Splitter[half]"} <= {s.name for s in spans}
    preprocessor = recorded.spans["Preprocessor[encode]"]
    assert preprocessor.attributes["petsard.schema.inferred.matches"] is True
    assert isinstance(trace_api.get_tracer_provider(), trace_api.ProxyTracerProvider)
    text = "".join(span.to_json() for span in spans)
    assert "Taipei" not in text
    assert str(config["Loader"]["people"]["filepath"]) not in text


def test_a_failing_module_leaves_what_finished(config: dict[str, Any]) -> None:
    """The exception reaches the caller as it is, and the Status tells how far it came."""
    config["Preprocessor"] = {
        "encode": {"method": "custom", "config": {"scaler": {"height": "scaler_standard"}}}
    }
    executor = Executor(config)

    with pytest.raises(Exception, match="height") as caught:
        executor.run()

    assert type(caught.value).__name__ == "DataError"
    assert caught.value.__cause__ is None
    assert executor.is_execution_completed() is False
    summary = executor.status.get_status_summary()
    assert (summary["state"], summary["failed_modules"]) == ("failed", ("Preprocessor",))
    assert list(executor.get_timing()["status"]) == ["success", "success", "error"]
    assert len(executor.status.get_result("Loader")) == ROWS
    assert executor.get_result() == {}
    failed = executor.status.get_snapshots("Preprocessor")[0]
    assert failed.error_type == "petsard_otel.exceptions.DataError"
    assert failed.metadata_before is executor.status.get_metadata("Splitter")


def test_an_interrupt_in_a_module_cancels_the_run(tmp_path: Path) -> None:
    """^C in the middle of a long Preprocessor ends the run as cancelled."""
    large = tmp_path / "large.csv"
    pd.DataFrame({name: range(200_000) for name in "abcd"}).to_csv(large, index=False)
    executor = Executor(
        {
            "Loader": {"large": {"filepath": str(large)}},
            "Preprocessor": {"slow": {"method": "custom", "sequence": ["outlier"],
                                      "config": {"outlier": "outlier_isolationforest"}}},
        }
    )  # fmt: skip

    def interrupt(progress: Progress) -> None:
        if progress.module == "Preprocessor":
            signal.setitimer(signal.ITIMER_REAL, 0.2)

    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            executor.run(progress=interrupt)
    finally:
        signal.signal(signal.SIGALRM, former)

    summary = executor.status.get_status_summary()
    assert (summary["state"], summary["failed_modules"]) == ("cancelled", ("Preprocessor",))
    assert list(executor.get_timing()["status"]) == ["success", "cancelled"]
    assert len(executor.status.get_result("Loader")) == 200_000


def test_a_prediction_is_there_before_the_module_runs(config: dict[str, Any]) -> None:
    """Who watches the run sees the predicted schema before the Preprocessor begins."""
    executor = Executor(config)
    seen: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.module == "Preprocessor":
            seen.append(executor.get_inferred_schema("Preprocessor") is not None)

    executor.run(progress=watch)

    assert seen == [True]


def test_logs_of_two_runs_never_mix(config: dict[str, Any], tmp_path: Path) -> None:
    """Two runs at once have two log files and leave the host's level as it was."""
    petsard = logging.getLogger("PETsARD")
    before = petsard.level
    inside = threading.Barrier(2)
    executors = [
        Executor(
            {
                "Executor": {"log_dir": str(tmp_path / name), "log_level": level},
                "Loader": {name: config["Loader"]["people"]},
            }
        )
        for name, level in (("left", "INFO"), ("right", "DEBUG"))
    ]

    def meet(_: Progress) -> None:
        inside.wait(10)

    threads = [threading.Thread(target=each.run, args=(meet,)) for each in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in ("left", "right"):
        (log,) = (tmp_path / name).iterdir()
        messages = [line.rpartition(" - ")[2] for line in log.read_text().splitlines()]
        assert messages == [
            "Starting a run of 1 module executions",
            f"Executing Loader[{name}]",
            "Completed the run",
        ]
    assert (petsard.level, petsard.handlers) == (before, [])


def test_progress_is_told_before_each_execution(config: dict[str, Any]) -> None:
    """A caller can show how far the run is."""
    told: list[Progress] = []
    Executor(config).run(progress=told.append)

    assert [(p.number, p.total, p.module) for p in told] == [
        (1, 7, "Loader"),
        (2, 7, "Splitter"),
        (3, 7, "Preprocessor"),
        (4, 7, "Synthesizer"),
        (5, 7, "Postprocessor"),
        (6, 7, "Synthesizer"),
        (7, 7, "Postprocessor"),
        (7, 7, None),
    ]
    assert told[3].experiment_path == (
        ("Loader", "people"),
        ("Splitter", "half_[1-1]"),
        ("Preprocessor", "encode"),
        ("Synthesizer", "one"),
    )


def test_a_second_run_begins_anew(config: dict[str, Any]) -> None:
    """Running again gives the same results under another run id; the first Status stays."""
    executor = Executor(config)
    executor.run()
    first, results = executor.status, executor.get_result()
    executor.run()

    assert executor.status is not first
    assert executor.status.run_id != first.run_id
    assert len(first.get_snapshots()) == len(executor.status.get_snapshots()) == 7
    for path, table in executor.get_result().items():
        assert list(table.columns) == list(results[path].columns)


def test_each_table_has_splits_of_its_own(table: Path) -> None:
    """With one seed, a second Loader experiment gets the splits that it would get alone."""
    config = {
        "Loader": {name: {"filepath": str(table)} for name in ("one", "two")},
        "Splitter": {"s": {"num_samples": 2, "random_state": 1}},
    }
    executor = Executor(config)
    executor.run()

    found = [part["validation"]["age"].tolist() for part in executor.get_result().values()]
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert found[0] != found[1]


def test_the_engine_is_one_of_three(config: dict[str, Any]) -> None:
    """A mistake is told before anything runs."""
    assert Executor(config).engine == "builtin"
    with pytest.raises(ConfigError, match=r"engine is one of auto, builtin, petsard \(found 'x'"):
        Executor(config, engine="x")


@pytest.mark.parametrize(
    ("module", "parameters", "message"),
    [
        ("Loader", {"filepat": "x.csv"},
         "Loader[people].filepat: unknown key 'filepat'; did you mean 'filepath'?"),
        ("Synthesizer", {"method": "defalt"},
         "Synthesizer[people].method: unknown method 'defalt'; did you mean 'default'?"),
        ("Splitter", {"train_split_ratio": "half"}, "Splitter[people].train_split_ratio: "),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_found_before_anything_runs(
    config: dict[str, Any], module: str, parameters: dict[str, Any], message: str
) -> None:
    """Module, experiment, key and the nearest valid one are named at construction."""
    config[module] = {"people": parameters}

    with pytest.raises(ConfigError) as caught:
        Executor(config)
    assert message in str(caught.value).replace("people_[1-1]", "people")


def test_a_wrong_parameter_is_found_with_its_line(tmp_path: Path) -> None:
    """In a file the line is named, a split's too."""
    path = tmp_path / "p.yaml"
    path.write_text("Loader: {a: {filepath: x.csv}}\nSplitter:\n  s:\n    train_ratio: 1\n")

    with pytest.raises(ConfigError) as caught:
        Executor(path)
    assert str(caught.value).startswith(f"{path}:4: Splitter[s_[1-1]].train_ratio: unknown key")


def test_a_pipeline_begins_with_data() -> None:
    """A module that has nothing to take its data from says so."""
    with pytest.raises(ConfigError, match=r"Evaluator\[e\]: has no module before it"):
        Executor("Evaluator: {e: {method: default}}")


def test_the_hosts_logging_is_left_as_it_was(config: dict[str, Any], tmp_path: Path) -> None:
    """The Executor section logs to its file during the run, and to the PETsARD logger alone."""
    root, petsard = logging.getLogger(), logging.getLogger("PETsARD")
    before = (list(root.handlers), root.level, list(petsard.handlers), petsard.level)
    config["Executor"] = {
        "log_output_type": "file",
        "log_level": "INFO",
        "log_dir": str(tmp_path / "logs"),
        "log_filename": "run_{timestamp}.log",
    }

    Executor(config).run()

    assert (list(root.handlers), root.level, list(petsard.handlers), petsard.level) == before
    (log,) = (tmp_path / "logs").iterdir()
    assert log.name.startswith("run_20")
    lines = log.read_text().splitlines()
    assert len(lines) == 9
    assert lines[1].endswith("Executing Loader[people]")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"log_level": "LOUD"}, "Executor.log_level: expected one of DEBUG, INFO"),
        ({"log_leve": "INFO"}, "Executor.log_leve: unknown key 'log_leve'; Valid: log_output_type"),
        ({"log_dir": 3}, "Executor.log_dir: expected text, found int"),
        ({"log_filename": "a\0.log"}, "Executor.log_filename: a path cannot hold a NUL"),
    ],
)
def test_a_wrong_executor_section_is_refused(
    config: dict[str, Any], section: dict[str, Any], message: str
) -> None:
    """The section is checked like any other."""
    with pytest.raises(ConfigError) as caught:
        Executor({"Executor": section, **config})
    assert message in str(caught.value)


def test_two_executors_in_two_threads_never_mix(config: dict[str, Any]) -> None:
    """Each sees its own modules, in their order."""
    configs = [
        {**config, "Synthesizer": {name: {"method": "default", "random_state": 1}}}
        for name in ("left", "right")
    ]
    executors = [Executor(each) for each in configs]
    threads = [threading.Thread(target=each.run) for each in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for executor, name in zip(executors, ("left", "right"), strict=True):
        assert [s.experiment_name for s in executor.status.get_snapshots()] == [
            "people", "half_[1-1]", "encode", name, "decode",
        ]  # fmt: skip
        assert len({s.trace_id for s in executor.status.get_snapshots()}) == 1
    ids = [s.trace_id for executor in executors for s in executor.status.get_snapshots()]
    assert len(set(ids)) == 2


def test_a_thousand_executors_leave_nothing_behind(table: Path) -> None:
    """Threads, handlers, processors, open files and memory are after a thousand as after ten."""
    config = {"Loader": {"people": {"filepath": str(table), "nrows": 5}}}
    process = psutil.Process()

    def run(count: int) -> tuple[int, int, int, int]:
        for _ in range(count):
            Executor(config).run()
        gc.collect()
        return (
            threading.active_count(),
            len(logging.getLogger("PETsARD").handlers),
            process.num_fds(),
            tracemalloc.get_traced_memory()[0],
        )

    tracemalloc.start()
    try:
        *few, memory_before = run(50)
        *many, memory_after = run(1000)
    finally:
        tracemalloc.stop()

    assert many == few
    # A run that stayed would be over 10 kB each.
    assert memory_after - memory_before < 1000 * 300
