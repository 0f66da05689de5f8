"""PETsARD's modules under our Executor, in Python and on the command line."""

from __future__ import annotations

import csv
import io
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import petsard.adapter
import petsard.config
import pytest

from petsard_otel import ConfigError, Executor, Schema, Status
from petsard_otel.petsard.steps import STEPS

PIPELINE: dict[str, dict[str, dict[str, Any]]] = {
    "Loader": {"people": {"filepath": "people.csv"}},
    "Splitter": {"s": {"num_samples": 2, "train_split_ratio": 0.75}},
    "Preprocessor": {"default": {"method": "default"}},
}


def test_auto_takes_petsard_where_it_is_installed(
    people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so, and how to have it otherwise."""
    caplog.set_level("INFO", logger="petsard_otel")
    config = {"Loader": {"people": {"filepath": str(people)}}}
    assert Executor(config).engine == "petsard"
    assert [record.getMessage() for record in caplog.records] == [
        "PETsARD 1.10.1 is installed, so its modules run; engine 'builtin' takes the built-in ones"
    ]
    caplog.clear()
    assert Executor(config, engine="petsard").engine == "petsard"
    assert Executor(config, engine="builtin").engine == "builtin"
    assert caplog.records == []


@pytest.mark.usefixtures("people")
def test_a_dict_is_run_as_often_as_it_is_asked_for() -> None:
    """A second run begins with a new Status and new adapters; the dict is not changed."""
    config = {**PIPELINE, "Constrainer": {"c": {"method": "validate", "target_rows": 3}}}
    given = repr(config)
    executor = Executor(config, engine="petsard")
    results = []
    for _ in range(2):
        executor.run()
        assert [snapshot.module_name for snapshot in executor.status.get_snapshots()] == [
            "Loader",
            *("Splitter", "Preprocessor", "Constrainer") * 2,
        ]
        results.append(executor.get_result())
    assert repr(config) == given
    assert list(results[0]) == list(results[1])
    # On both paths it validates, as it was told to.
    assert all(set(result) >= {"pass_rate", "total_rows"} for result in results[0].values())


@pytest.mark.usefixtures("people")
def test_the_hosts_handlers_survive_our_executor_as_well() -> None:
    """Neither the root's handlers nor those of the logger `PETsARD` are touched."""
    root, own = logging.getLogger(), logging.getLogger("PETsARD")
    mine = logging.NullHandler()
    root.addHandler(mine)
    own.addHandler(mine)
    before = [list(root.handlers), list(own.handlers), own.level]
    executor = Executor({"Executor": {"log_level": "DEBUG"}, **PIPELINE}, engine="petsard")
    executor.run()
    assert [root.handlers, own.handlers, own.level] == before
    (log,) = Path().glob("PETsARD_*.log")
    assert "LoaderAdapter" in log.read_text()


@pytest.mark.usefixtures("people")
def test_the_prediction_of_petsard_is_one_of_our_schemas() -> None:
    """PETsARD's inferencer says what its Preprocessor will make."""
    executor = Executor(PIPELINE, engine="petsard")
    assert executor.get_inferred_schema("Preprocessor") is None
    executor.run()
    inferred = executor.get_inferred_schema("Preprocessor")
    assert isinstance(inferred, Schema)
    assert inferred.id == "people_preprocessed"
    assert inferred.attributes["age"].logical_type == "standardized"
    assert executor.status.get_status_summary()["telemetry_errors"] == 0


@pytest.mark.usefixtures("people")
def test_lineage_goes_along_the_current_path() -> None:
    """Each module has a schema and a difference to its input, whether PETsARD has or not."""
    config = {
        **PIPELINE,
        "Synthesizer": {"g": {"method": "default"}},
        "Postprocessor": {"p": {"method": "default"}},
    }
    executor = Executor(config, engine="petsard")
    executor.run()
    lineage = {entry.module_name: entry for entry in executor.status.get_schema_lineage()}
    assert list(lineage) == list(config)
    assert all(isinstance(entry.schema, Schema) for entry in lineage.values())
    assert bool(lineage["Splitter"].diff) is False
    assert lineage["Preprocessor"].diff == lineage["Postprocessor"].diff.inverse()  # type: ignore[union-attr]
    assert lineage["Synthesizer"].schema.hash == lineage["Preprocessor"].schema.hash  # type: ignore[union-attr]


def test_a_bare_status_takes_petsards_adapters(people: Path) -> None:
    """PETsARD's own Config and adapters, and nothing of ours but the Status."""
    config = petsard.config.Config({"Loader": {"people": {"filepath": str(people)}}})
    status = Status(config)
    adapter = config.config.get()
    adapter.run(adapter.set_input(status))
    status.put("Loader", "people", adapter)
    (snapshot,) = status.get_snapshots()
    assert isinstance(snapshot.metadata_after, Schema)
    assert status.get_metadata() is adapter.get_metadata()
    assert (snapshot.rows, snapshot.columns) == (240, 6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"Loader": {"p": {"filepath": "people.csv", "filepth": 1}}},
            (
                "Loader[p]: PETsARD refuses these parameters: Loader.__init__() got an unexpected "
                "keyword argument 'filepth' (TypeError)"
            ),
        ),
        (
            {"Loader": {"p": {"filepath": "people.csv"}}, "Describer": {"d": {"method": "x"}}},
            (
                "Describer[d]: PETsARD refuses these parameters: source parameter is required for "
                "Describer (ConfigError)"
            ),
        ),
        (
            {"Loader": {"p": {"filepath": "people.csv"}}, "Anonymizer": {"d": {}}},
            "unknown module 'Anonymizer'",
        ),
    ],
)
@pytest.mark.usefixtures("people")
def test_a_mistake_is_told_before_anything_runs(config: Any, message: str) -> None:
    """The message names the place and what PETsARD says of it."""
    with pytest.raises(ConfigError) as raised:
        Executor(config, engine="petsard")
    assert str(raised.value).startswith(message)


@pytest.mark.usefixtures("people")
def test_petsards_functions_are_whole_after_a_run_and_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps are wrapped while a run of ours needs them, by however many threads."""

    def functions() -> list[Any]:
        return [
            vars(getattr(sys.modules[place.partition(":")[0]], place.partition(":")[2]))[name]
            for place, names in STEPS.items()
            for name in names
        ]

    before = functions()
    executors = [Executor(PIPELINE, engine="petsard") for _ in range(4)]
    threads = [threading.Thread(target=executor.run) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for executor in executors:
        timing = executor.status.get_timing_report_data(steps=True)
        assert list(timing["step_name"]) == [
            *("load", "run"),
            *("split", "run", "fit", "transform", "run") * 2,
        ]
    assert [a is b for a, b in zip(before, functions(), strict=True)] == [True] * len(before)

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(petsard.adapter.SplitterAdapter, "_run", fail)
    with pytest.raises(KeyboardInterrupt):
        Executor(PIPELINE, engine="petsard").run()
    assert [a is b for a, b in zip(before, functions(), strict=True)] == [True] * len(before)


@pytest.mark.usefixtures("people")
def test_statistics_name_one_hot_columns_by_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where numbers of cells may leave, categories are not among the names."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "statistics")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    encoder = {"city": "encoder_onehot"}
    config = {
        "Loader": PIPELINE["Loader"],
        "Preprocessor": {"o": {"sequence": ["encoder"], "config": {"encoder": encoder}}},
    }
    executor = Executor(config, engine="petsard", tracer_provider=provider)
    executor.run()
    assert "city_Bergen" in executor.status.get_result("Preprocessor").columns
    sent = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "city_2" in sent
    assert "Bergen" not in sent


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Type `petsard-otel run ...`."""
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", "run", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_runs_petsard(people: Path) -> None:
    """`auto` says on stderr whose modules run; machine formats have stdout to themselves."""
    config = people.with_name("pipeline.yaml")
    config.write_text(
        "Loader: {people: {filepath: people.csv}}\n"
        "Synthesizer: {own: {method: custom_data, filepath: people.csv}}\n"
        "Evaluator: {quality: {method: sdmetrics-qualityreport}}\n"
    )
    found = command(str(config), "--format", "csv")
    assert found.returncode == 0, found.stderr
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [row["module_name"] for row in rows] == ["Loader", "Synthesizer", "Evaluator"]
    assert found.stderr.startswith("PETsARD 1.10.1 is installed, so its modules run; ")
    assert "FutureWarning" not in found.stderr
    asked = command(str(config), "--format", "csv", "--engine", "petsard", "--quiet")
    assert pd.read_csv(io.StringIO(asked.stdout))["experiment_name"].tolist() == [
        "people",
        "own",
        "quality",
    ]
    assert "is installed" not in asked.stderr
    config.write_text("Loader: {p: {filepath: people.csv, nothing: 1}}\n")
    refused = command(str(config), "--engine", "petsard")
    assert refused.returncode == 2
    assert refused.stderr == (
        f"petsard-otel: error: {config}:1: Loader[p]: PETsARD refuses these parameters: "
        "Loader.__init__() got an unexpected keyword argument 'nothing' (TypeError)\n"
    )


BROKEN = """
import logging, sys
sys.modules["petsard.adapter"] = None
logging.basicConfig(format="%(levelname)s %(message)s")
from petsard_otel import Executor, ConfigError
executor = Executor({"Loader": {"p": {"filepath": "people.csv"}}})
executor.run()
print(executor.engine)
try:
    Executor({"Loader": {"p": {"filepath": "people.csv"}}}, engine="petsard")
except ConfigError as error:
    print(error)
"""


@pytest.mark.usefixtures("people")
def test_a_petsard_that_cannot_be_imported_is_told_of() -> None:
    """`auto` warns in one line and runs the built-in modules; `petsard` is an error."""
    found = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False
    )
    said = (
        "PETsARD 1.10.1 is installed, but cannot be imported (ModuleNotFoundError: import of "
        'petsard.adapter halted; None in sys.modules); pip install "petsard-otel[petsard]"'
    )
    assert found.stdout == f"builtin\n{said}\n"
    assert found.stderr == f"WARNING {said}. The built-in modules run\n"
