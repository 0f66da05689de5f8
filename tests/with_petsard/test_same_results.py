"""PETsARD's modules make with our Status what they make with PETsARD's own, frame by frame."""

from __future__ import annotations

import dataclasses
import math
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import petsard
import pytest
import yaml
from petsard.config import Config
from petsard.exceptions import ConfigError
from petsard.status import Status as PetsardsStatus

from petsard_otel import Executor, Status
from petsard_otel.petsard.instrumentor import PETsARDInstrumentor

from .conftest import make_people, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from queue import Queue

# What is not here does not run with PETsARD 1.10.1: `sdv-*` synthesizers need a package that is not
# installed, `benchmark://` needs a network, YAML cannot say a `field_combinations` of several
# sources; and `column_types: category`, an Excel file without `header_names`, `scaler_timeanchor`
# with one reference, univariate singling out and a Preprocessor's defaults for dates all fail.

PEOPLE = "Loader: {people: {filepath: DATA/people.csv}}\n"
SPLIT = PEOPLE + "Splitter: {split: {train_split_ratio: 0.6}}\n"
SYNTHETIC = "Synthesizer: {given: {method: custom_data, filepath: DATA/synthetic.csv}}\n"
POST = "Postprocessor: {back: {method: default}}\n"
MADE = PEOPLE + "Preprocessor: {all: {method: default}}\nSynthesizer: {copula: {method: default}}\n"
CUSTOM = "method: custom_method, module_path: DATA/methods.py"
QUICK = "xgb_params: {n_estimators: 5, n_jobs: 1}"
CONSTRAINTS = """
      nan_groups: {hours: delete, work: {erase: income}}
      field_constraints: ["age >= 30 & age <= 80", "hours IS NOT pd.NA"]
      field_combinations: [[{city: work}, {Bergen: [public, private], Chur: private}]]
      field_proportions:
        - {fields: city, mode: all, tolerance: 0.2}
        - {fields: work, mode: missing, tolerance: 0.1}
"""


def preprocessed(how: str) -> str:
    """Return a configuration that processes in some way, and back."""
    return f"{PEOPLE}Preprocessor: {{own: {{{how}}}}}\n{POST}"


def evaluated(*how: str) -> str:
    """Return a configuration that evaluates in some ways."""
    ways = "".join(f"  e{number}: {{method: {each}}}\n" for number, each in enumerate(how))
    return f"{SPLIT}{SYNTHETIC}Evaluator:\n{ways}"


CONFIGURATIONS = {
    "loader": PEOPLE,
    "loader-schema": """
Loader:
  people:
    filepath: DATA/people.csv
    schema:
      id: people
      attributes:
        age: {type: int}
        income: {type: float, precision: 1}
        work: {type: str, category: true, na_values: [private]}
        joined: {type: datetime}
""",
    "loader-schema-without-statistics": """
Loader:
  people:
    filepath: DATA/people.csv
    schema: {id: people, enable_stats: false, attributes: {age: {type: int}}}
""",
    "loader-schema-of-version-1": """
Loader:
  people:
    filepath: DATA/people.csv
    schema: {optimize_dtypes: true, fields: {age: {type: int}, city: {type: str, na_values: Chur}}}
""",
    "loader-schema-file": """
Loader: {people: {filepath: DATA/people.csv, schema: DATA/schema.yaml}}
""",
    "loader-old-parameters": """
Loader:
  people:
    filepath: DATA/people.csv
    column_types: {datetime: [joined, left]}
    na_values: {city: Chur}
""",
    "loader-names": """
Loader:
  people: {filepath: DATA/people.csv, header_names: [a, b, c, d, e, f, g, h], nrows: 50}
""",
    "loader-excel": """
Loader: {people: {filepath: DATA/people.xlsx, header_names: [a, b, c, d, e, f, g, h]}}
""",
    "two-loaders": """
Loader: {people: {filepath: DATA/people.csv}, others: {filepath: DATA/control.csv}}
""",
    "splitter": PEOPLE + "Splitter: {split: {}}",
    "splitter-samples": f"""{PEOPLE}
Splitter: {{split: {{num_samples: 2, random_state: 5}}, half: {{train_split_ratio: 0.5}}}}
""",
    "splitter-overlap": f"""{PEOPLE}
Splitter:
  half: {{num_samples: 2, train_split_ratio: 0.5, max_overlap_ratio: 0.55, max_attempts: 300}}
""",
    "splitter-custom_data": """
Splitter:
  given:
    method: custom_data
    filepath: {ori: DATA/people.csv, control: DATA/control.csv}
    schema: {ori: DATA/schema.yaml, control: DATA/schema.yaml}
""",
    "splitter-custom_data-first-of-all": """
Splitter:
  given: {method: custom_data, filepath: {ori: DATA/people.csv, control: DATA/control.csv}}
Preprocessor: {all: {method: default}}
Synthesizer: {copula: {method: default}}
Postprocessor: {back: {method: default}}
Evaluator: {quality: {method: default}}
""",
    "preprocessor": preprocessed("method: default"),
    "preprocessor-after-splitter": SPLIT + "Preprocessor: {all: {method: default}}\n" + POST,
    "preprocessor-missing": preprocessed(
        "missing: {age: missing_median, income: missing_mean, work: missing_mode,"
        " city: missing_drop, hours: {method: missing_simple, value: 37.5}}"
    ),
    "preprocessor-outlier": preprocessed(
        "method: custom, config: {outlier: {income: outlier_zscore, age: outlier_iqr, hours: null}}"
    ),
    "preprocessor-isolation-forest": preprocessed("outlier: outlier_isolationforest"),
    "preprocessor-lof": preprocessed("outlier: outlier_lof"),
    "preprocessor-encoder": preprocessed(
        "encoder: {city: encoder_label, work: encoder_uniform, joined: encoder_uniform}"
    ),
    "preprocessor-one-hot": preprocessed(
        "sequence: [encoder, scaler],"
        " encoder: {city: encoder_onehot, joined: encoder_onehot, work: encoder_uniform}"
    ),
    "preprocessor-date-difference": preprocessed(
        "sequence: [encoder], config: {encoder: {left: null, joined:"
        " {method: encoder_datediff, baseline_date: joined, related_date_list: [left]}}}"
    ),
    "preprocessor-scaler": preprocessed(
        "sequence: [scaler], config: {scaler: {age: scaler_minmax, hours: scaler_zerocenter}}"
    ),
    "preprocessor-logarithm": preprocessed("scaler: {hours: scaler_log1p, income: scaler_log}"),
    "preprocessor-time-anchor": f"""
Loader:
  people:
    filepath: DATA/people.csv
    schema: {{id: people, attributes: {{joined: {{type: datetime}}, left: {{type: datetime}}}}}}
Preprocessor:
  own:
    sequence: [missing, scaler]
    config:
      scaler: {{left: null, joined: {{method: scaler_timeanchor, reference: [left], unit: D}}}}
{POST}""",
    "preprocessor-discretizing": preprocessed(
        "sequence: [missing, outlier, discretizing],"
        " config: {discretizing: {age: {method: discretizing_kbins, n_bins: 4}}}"
    ),
    "two-preprocessors": f"""{PEOPLE}
Preprocessor: {{all: {{method: default}}, some: {{sequence: [encoder, missing]}}}}
{POST}""",
    "synthesizer": MADE,
    "synthesizer-one-hot": f"""{PEOPLE}
Preprocessor: {{own: {{missing: {{work: missing_mode}}, encoder: {{city: encoder_onehot}}}}}}
Synthesizer: {{copula: {{method: default}}}}
{POST}""",
    "synthesizer-copula": f"""{PEOPLE}
Preprocessor: {{all: {{method: default}}}}
Synthesizer: {{copula: {{method: petsard-gaussian_copula, sample_num_rows: 40}}}}
{POST}""",
    "synthesizer-custom_data": f"""{PEOPLE}
Synthesizer:
  given:
    method: custom_data
    filepath: DATA/synthetic.csv
    schema: DATA/schema.yaml
    sample_num_rows: 70
""",
    "synthesizer-custom_method": PEOPLE
    + f"Synthesizer: {{own: {{{CUSTOM}, class_name: Shuffler}}}}",
    "constrainer-auto-validates": PEOPLE + "Constrainer: {c: {field_constraints: [age >= 30]}}",
    "constrainer-auto-resamples": f"""{MADE}{POST}
Constrainer: {{c: {{constraints_yaml: DATA/constraints.yaml, target_rows: 100}}}}
""",
    "constrainer-resample": f"""{MADE}{POST}
Constrainer:
    c:
      method: resample
      target_rows: 60
      sampling_ratio: 4
      max_trials: 20
{CONSTRAINTS}""",
    "constrainer-validate": f"{PEOPLE}Constrainer:\n    c:\n      method: validate{CONSTRAINTS}",
    "constrainer-one-source": f"""{SPLIT}
Constrainer: {{c: {{method: validate, source: Splitter.ori, field_constraints: [age >= 30]}}}}
""",
    "constrainer-several-sources": f"""{SPLIT}{SYNTHETIC}
Constrainer:
    c:
      method: validate
      source: [Loader, Splitter.train, Splitter.control, Synthesizer]
{CONSTRAINTS}""",
    "evaluator": evaluated("default"),
    "evaluator-without-splitter": PEOPLE + SYNTHETIC + "Evaluator: {quality: {method: default}}",
    "evaluator-sdmetrics": evaluated("sdmetrics-diagnosticreport", "sdmetrics-qualityreport"),
    "evaluator-anonymeter": evaluated(
        "anonymeter-singlingout, n_attacks: 20, max_attempts: 1000, n_cols: 2",
        "anonymeter-linkability, aux_cols: [[age, city], [income, hours]], n_jobs: 1",
        "anonymeter-inference, secret: age, aux_cols: [city, hours], n_jobs: 1",
    ),
    "evaluator-mpuccs": evaluated("mpuccs, max_baseline_cols: 3"),
    "evaluator-mlutility": evaluated(
        f"mlutility-classification, target: city, {QUICK}",
        f"mlutility-classification, target: city, resampling: smote-tomek, {QUICK}",
        f"mlutility-regression, target: hours, experiment_design: domain_transfer, {QUICK}",
        "mlutility-clustering, n_clusters: 2",
    ),
    "evaluator-custom_method": evaluated(f"{CUSTOM[8:]}, class_name: Counter"),
    "describer": f"""{PEOPLE}
Describer:
  one: {{method: describe, source: Loader}}
  other: {{method: default, source: [Loader], describe_method: [mean, median, corr]}}
""",
    "describer-compare": f"""{SPLIT}{SYNTHETIC}
Describer:
  named:
    method: compare
    source: {{base: Splitter.train, target: Synthesizer}}
    stats_method: [mean, nunique, jsdivergence]
    compare_method: diff
  old: {{method: default, source: {{ori: Loader, syn: Synthesizer}}}}
  listed: {{method: default, source: [Loader, Splitter]}}
""",
    "reporter-save_data": f"""{PEOPLE}
Splitter: {{split: {{num_samples: 2}}}}
Preprocessor: {{all: {{method: default}}}}
{SYNTHETIC}
Reporter:
  some: {{method: save_data, source: [Loader, Splitter, given], output: made}}
  one: {{method: save_data, source: Preprocessor}}
""",
    "reporter-save_report": f"""{evaluated("default", "mpuccs, max_baseline_cols: 2")}
  own: {{{CUSTOM}, class_name: Counter}}
Reporter:
  global: {{method: save_report, granularity: global}}
  columns: {{method: save_report, granularity: columnwise, eval: [e0, own]}}
  pairs: {{method: save_report, granularity: pairwise, eval: e0, output: pairs}}
  compact: {{method: save_report, granularity: [details, tree], naming_strategy: compact}}
  scores: {{method: save_data, source: Evaluator}}
""",
    "reporter-save_report-of-describer": f"""{PEOPLE}
Describer: {{one: {{method: describe, source: Loader}}}}
Reporter: {{all: {{method: save_report, granularity: [global, columnwise, pairwise]}}}}
""",
    "reporter-save_schema": f"""{MADE}{POST}
Reporter:
  all:
    method: save_schema
    source: [Loader, Preprocessor, Synthesizer, Postprocessor]
    yaml_output: true
  some: {{method: save_schema, source: all, properties: [type, mean], output: some}}
  data: {{method: save_data, source: Loader}}
""",
    "reporter-save_validation": f"""{SPLIT}
Constrainer: {{c: {{source: [Loader, Splitter.validation], field_constraints: [age >= 30]}}}}
Reporter:
  long: {{method: save_validation}}
  short: {{method: save_validation, include_details: false, output: short}}
""",
    "reporter-save_validation-of-one": f"""{PEOPLE}
Constrainer: {{c: {{field_constraints: [age >= 30], nan_groups: {{hours: delete}}}}}}
Reporter: {{long: {{method: save_validation}}, data: {{method: save_data, source: Loader}}}}
""",
    "everything-again-and-again": f"""
Loader: {{people: {{filepath: DATA/people.csv}}, others: {{filepath: DATA/control.csv}}}}
Splitter: {{split: {{num_samples: 2, train_split_ratio: 0.7}}, half: {{train_split_ratio: 0.5}}}}
Preprocessor: {{all: {{method: default}}, some: {{sequence: [missing, encoder]}}}}
Synthesizer: {{copula: {{method: default}}}}
{POST}
Evaluator:
  validity: {{method: sdmetrics-diagnosticreport}}
  own: {{{CUSTOM}, class_name: Counter}}
Reporter:
  data: {{method: save_data, source: Postprocessor}}
  global: {{method: save_report, granularity: global}}
  columns: {{method: save_report, granularity: columnwise, eval: own}}
  schema: {{method: save_schema, source: Synthesizer}}
""",
}

METHODS = """
import pandas as pd


class Shuffler:
    def __init__(self, config, metadata):
        self.rows = config["sample_num_rows"]

    def fit(self, data):
        self.data = data

    def sample(self):
        return self.data.sample(60).reset_index(drop=True)


class Counter:
    REQUIRED_INPUT_KEYS = ["ori", "syn"]
    AVAILABLE_SCORES_GRANULARITY = ["global", "columnwise"]

    def __init__(self, config):
        self.config = config

    def eval(self, data):
        return {
            "global": pd.DataFrame({"rows": [len(data["syn"])]}),
            "columnwise": pd.DataFrame({"values": data["syn"].nunique()}),
        }
"""

SCHEMA = """
id: people
attributes:
  age: {type: int}
  city: {type: str, category: true}
  income: {type: float, precision: 2}
  hours: {type: float, precision: 1, nullable: true}
  work: {type: str, category: true}
  joined: {type: date}
  left: {type: datetime}
  country: {type: str}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the tables and files that the configurations name."""
    folder = tmp_path_factory.mktemp("data")
    people = make_people(150)
    people["left"] = pd.date_range("2022-03-01", periods=150, freq="2D").strftime("%Y-%m-%d")
    people["country"] = "NO"
    people.loc[people.index[::13], "hours"] = None
    people.to_csv(folder / "people.csv", index=False)
    people.to_excel(folder / "people.xlsx", index=False)
    synthetic = people.copy()
    for shift, name in enumerate(("age", "city", "income", "hours"), start=1):
        synthetic[name] = np.roll(people[name].to_numpy(), shift)
    synthetic.to_csv(folder / "synthetic.csv", index=False)
    synthetic.tail(90).to_csv(folder / "control.csv", index=False)
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "methods.py").write_text(METHODS)
    (folder / "constraints.yaml").write_text("field_constraints: [age >= 25, hours < 55]")
    return folder


class Run(NamedTuple):
    """One run, what came of it and the files that it wrote."""

    status: Any
    result: dict[str, Any]
    files: dict[str, bytes]
    executions: list[tuple[Any, ...]]
    """Module, experiment and, where they are known, rows and columns of its table."""


Outcome: TypeAlias = tuple[Any, dict[str, Any], list[tuple[Any, ...]]]
"""A Status, the Executor's result, and executions as a Run has them."""


def plain(text: str) -> Outcome:
    """Run PETsARD by itself."""
    executor = petsard.Executor(text)
    assert type(executor.status) is PetsardsStatus
    flow = list(
        zip(executor.config.module_flow.queue, executor.config.expt_flow.queue, strict=True)
    )
    executor.run()
    return executor.status, executor.get_result(), flow


def driven(status: Any, config: Config) -> Iterator[tuple[str, str, Any]]:
    """Do with a Status what PETsARD's Executor does with its own; give each execution."""
    queues: tuple[Queue[Any], ...] = (config.module_flow, config.expt_flow, config.config)
    while not config.config.empty():
        module, experiment, adapter = (queue.get() for queue in queues)
        adapter.run(adapter.set_input(status))
        status.put(module, experiment, adapter)
        yield module, experiment, adapter


def by_hand(text: str) -> Outcome:
    """Run PETsARD's adapters over our Status, without an Executor."""
    config = Config(yaml.safe_load(text))
    status = Status(config)
    result = {}
    executions = []
    for module, experiment, adapter in driven(status, config):
        executions.append((module, experiment, *shape_of(module, adapter)))
        if module == config.sequence[-1]:
            path = "_".join(f"{name}[{at}]" for name, at in status.get_full_expt().items())
            result[path] = status.get_result(module)
    return status, result, executions


def under_our_executor(text: str) -> Outcome:
    """Run PETsARD's adapters under our Executor."""
    executor = Executor(text, engine="petsard")
    executor.run()
    return executor.status, executor.get_result(), []


def instrumented(text: str) -> Outcome:
    """Run PETsARD's Executor under the instrumentor."""
    instrumentor = PETsARDInstrumentor()
    instrumentor.instrument()
    try:
        executor = petsard.Executor(text)
        executor.run()
    finally:
        instrumentor.uninstrument()
    assert isinstance(executor.status, Status)
    return executor.status, executor.get_result(), []


OURS = (by_hand, under_our_executor, instrumented)


def shape_of(module: str, adapter: Any) -> tuple[int | None, int | None]:
    """Return rows and columns of the table that goes on from an adapter, if one does."""
    if module in {"Evaluator", "Describer", "Reporter"}:
        return None, None
    table = adapter.constrained_data if module == "Constrainer" else adapter.get_result()
    table = table["train"] if module == "Splitter" else table
    return table.shape if isinstance(table, pd.DataFrame) else (None, None)


@pytest.fixture
def run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run a configuration in some way, in a folder of its own, from the same seeds."""
    # anonymeter draws by way of polars: rows with a generator of its own, and values from a list
    # whose order differs from call to call.
    polars = import_module("polars")
    unique = polars.Series.unique
    monkeypatch.setattr(polars.Series, "unique", lambda each: unique(each, maintain_order=True))

    def run_it(way: Callable[[str], Outcome], text: str) -> Run:
        folder = tmp_path / way.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        seed(monkeypatch)
        polars.set_random_seed(11)
        status, result, executions = way(text.replace("DATA", str(data)))
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if not path.name.startswith("PETsARD_")
        }
        return Run(status, result, files, executions)

    return run_it


def state_of(status: Any) -> dict[str, Any]:
    """Return what PETsARD's Status and ours both answer."""
    sequence = list(status.sequence)
    return {
        "sequence": sequence,
        "experiments": {module: entry["expt"] for module, entry in status.status.items()},
        "path": status.get_full_expt(),
        "results": {module: status.get_result(module) for module in status.status},
        "tables": status.get_data_by_module(sequence),
        "schemas": {module: status.get_metadata(module) for module in status.metadata},
        "schema before": status.get_preprocessor_input_schema(),
        "splits": status.get_exist_train_indices() if "Splitter" in sequence else None,
        "report": status.get_report() if "Reporter" in sequence else None,
        "validation": status.get_validation_result(),
    }


def parts_of(thing: Any) -> dict[Any, Any]:
    """Return what something consists of, without the times at which a schema was made."""
    if isinstance(thing, dict):
        return thing
    if isinstance(thing, list | tuple):
        return dict(enumerate(thing))
    names = [field.name for field in dataclasses.fields(thing)]
    return {
        name: getattr(thing, name) for name in names if name not in {"created_at", "updated_at"}
    }


def assert_same(theirs: Any, ours: Any, at: str) -> None:
    """Compare two things as far as they go; only a schema's two times may differ."""
    assert type(theirs) is type(ours), at
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(theirs, ours, check_exact=True, obj=at)
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_array_equal(theirs, ours, at)
    elif isinstance(theirs, dict | list | tuple) or dataclasses.is_dataclass(theirs):
        parts, others = parts_of(theirs), parts_of(ours)
        assert list(parts) == list(others), at
        for key, part in parts.items():
            assert_same(part, others[key], f"{at}, {key}")
    elif type(theirs).__module__.startswith("polars."):
        assert theirs.meta.eq(ours), at
    elif isinstance(theirs, float) and math.isnan(theirs):
        assert math.isnan(ours), at
    else:
        assert theirs == ours, at


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_module_does_the_same(name: str, run: Callable[..., Run]) -> None:
    """Results, state and files are those that PETsARD makes with its own Status."""
    theirs = run(plain, CONFIGURATIONS[name])
    state = state_of(theirs.status)
    tables: list[tuple[Any, ...]] = []

    for way in OURS:
        ours = run(way, CONFIGURATIONS[name])
        at = way.__name__
        assert_same(theirs.result, ours.result, f"{at}: result")
        assert_same(state, state_of(ours.status), f"{at}: state")
        assert_same(theirs.files, ours.files, f"{at}: files")
        tables = ours.executions or tables
        recorded = [
            (each.module_name, each.experiment_name, each.rows, each.columns)
            for each in ours.status.get_snapshots()
        ]
        assert recorded == tables, at
        assert [each[:2] for each in recorded] == theirs.executions, at
        assert ours.status.get_status_summary()["telemetry_errors"] == 0, at
        if way is instrumented:
            predicted = theirs.status.inferred_schemas.get("Preprocessor")
            assert_same(predicted, ours.status.inferred_schemas.get("Preprocessor"), at)


def steps_with(make: Callable[[Config], Any], text: str) -> Outcome:
    """Return, as the result, what a Status answered after each execution."""
    config = Config(yaml.safe_load(text))
    status = make(config)
    steps = [deepcopy(state_of(status)) for _ in driven(status, config)]
    return status, {"steps": steps}, []


def steps_with_theirs(text: str) -> Outcome:
    """Return what PETsARD's Status answered after each execution."""
    return steps_with(PetsardsStatus, text)


def steps_with_ours(text: str) -> Outcome:
    """Return what our Status answered after each execution."""
    return steps_with(Status, text)


def test_each_execution_leaves_the_same_state(run: Callable[..., Run]) -> None:
    """Whatever runs again, what later modules can ask for is the same at every step."""
    text = CONFIGURATIONS["everything-again-and-again"]

    theirs, ours = run(steps_with_theirs, text), run(steps_with_ours, text)

    assert len(theirs.result["steps"]) == 164
    assert_same(theirs.result, ours.result, "steps")


MISTAKES = {
    "loader": "Loader: {people: {filepath: DATA/people.xlsx}}",
    "preprocessor": preprocessed("encoder: {work: encoder_onehot}"),
    "synthesizer": PEOPLE + "Synthesizer: {copula: {method: default}}",
    "constrainer": PEOPLE + "Constrainer: {c: {source: Splitter, field_constraints: [age >= 30]}}",
    "evaluator": evaluated("default", "anonymeter-singlingout, mode: univariate, n_attacks: 5"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_module_fails_in_the_same_way(name: str, run: Callable[..., Run]) -> None:
    """What PETsARD's module raises reaches the caller as it is."""
    raised = []
    for way in (plain, *OURS):
        with pytest.raises(Exception, match=r".") as info:
            run(way, MISTAKES[name])
        raised.append((type(info.value), str(info.value)))

    assert raised == [raised[0]] * 4


# Where PETsARD takes entries out of a configuration that its next adapter is given, too.


def test_a_describer_of_two_paths_runs_under_our_executor_only(run: Callable[..., Run]) -> None:
    """PETsARD itself takes the second one's `source` away, and refuses to begin."""
    text = CONFIGURATIONS["two-loaders"] + "Describer: {one: {method: describe, source: Loader}}"

    for way in (plain, by_hand, instrumented):
        with pytest.raises(ConfigError, match="source parameter is required"):
            run(way, text)
    ours = run(under_our_executor, text)

    rows = {path: int(made["global"]["row_count"].iloc[0]) for path, made in ours.result.items()}
    assert rows == {"Loader[people]_Describer[one]": 150, "Loader[others]_Describer[one]": 90}


def test_a_constrainer_of_two_paths_keeps_its_source_under_our_executor(
    run: Callable[..., Run],
) -> None:
    """PETsARD itself checks what came before the second one, since that has lost its `source`."""
    text = """
Loader: {people: {filepath: DATA/people.csv}, others: {filepath: DATA/control.csv}}
Splitter: {split: {train_split_ratio: 0.6}}
Constrainer: {c: {method: validate, source: Loader, field_constraints: [age >= 30]}}
"""
    theirs = run(plain, text)

    for way in (by_hand, instrumented):
        assert_same(state_of(theirs.status), state_of(run(way, text).status), way.__name__)
    ours = run(under_our_executor, text)

    assert theirs.status.get_validation_result("Constrainer")["total_rows"] == 54
    checked = ours.status.get_validation_result("Constrainer")
    assert {source: found["total_rows"] for source, found in checked.items()} == {"Loader": 90}


def test_a_processor_of_two_paths_keeps_its_method_under_our_executor(
    run: Callable[..., Run],
) -> None:
    """PETsARD itself takes the second one's `method` away."""
    text = f"""{CONFIGURATIONS["two-loaders"]}
Preprocessor: {{own: {{missing: {{hours: {{method: missing_simple, value: 37.5}}}}}}}}
"""
    for way in (plain, by_hand, instrumented):
        with pytest.raises(KeyError, match="method"):
            run(way, text)
    ours = run(under_our_executor, text)

    assert len(ours.result) == 2


TIMED = f"""{CONFIGURATIONS["two-loaders"]}
Preprocessor: {{all: {{method: default}}, some: {{sequence: [missing, encoder]}}}}
Constrainer: {{c: {{field_constraints: [age >= 30]}}}}
Reporter:
  times: {{method: save_timing}}
  minutes: {{method: save_timing, time_unit: minutes, module: Preprocessor, output: minutes}}
  data: {{method: save_data, source: Loader}}
  schema: {{method: save_schema, source: Preprocessor}}
  validation: {{method: save_validation}}
  report: {{method: save_report, granularity: global}}
"""

COLUMNS = [
    *["record_id", "module_name", "experiment_name", "step_name"],
    *["start_time", "end_time", "duration_seconds"],
]


def without_times(thing: Any) -> Any:
    """Return nested dicts without what `save_timing` has made."""
    if not isinstance(thing, dict):
        return thing
    return {
        key: without_times(value)
        for key, value in thing.items()
        if key != "timing_report" and "[Timing]" not in key
    }


def test_only_save_timing_makes_more_than_with_petsards_status(run: Callable[..., Run]) -> None:
    """PETsARD's table of times is always empty, ours has a row for each execution so far."""
    theirs = run(plain, TIMED)
    state = state_of(theirs.status)

    assert theirs.status.get_timing_report_data().empty
    assert [name for name in theirs.files if "Timing" in name] == []
    for way in OURS:
        ours = run(way, TIMED)
        at = way.__name__
        assert_same(theirs.result, without_times(ours.result), f"{at}: result")
        assert_same(state, without_times(state_of(ours.status)), f"{at}: state")
        assert_same(theirs.files, without_times(ours.files), f"{at}: files")

        times = pd.read_csv("petsard_[Timing].csv")
        assert list(times)[:7] == COLUMNS
        # The last path's first Reporter wrote it, last of all but itself and the five after it.
        before = [tuple(each) for each in theirs.executions[:-6]]
        named = times[["module_name", "experiment_name"]].itertuples(index=False)
        assert [tuple(each) for each in named] == before
        assert set(times["step_name"]) == {"run"}
        assert (times["duration_seconds"] > 0).all()

        minutes = pd.read_csv("minutes_[Timing].csv")
        assert list(minutes)[:7] == [*COLUMNS[:6], "duration_minutes"]
        assert list(minutes["experiment_name"]) == ["all", "some", "all", "some"]
        spent = times.loc[times["module_name"] == "Preprocessor", "duration_seconds"]
        assert list(minutes["duration_minutes"]) == pytest.approx([each / 60 for each in spent])
