"""The Reporter from outside: which files it writes, under which names, with what in them."""

from __future__ import annotations

import csv
import io
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, UnexecutedError
from petsard_otel.modules.reporter import ReporterAdapter
from petsard_otel.modules.reporting.files import replacing, report_path
from petsard_otel.schema import Attribute, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = pd.DataFrame({"Weight": [3504, 2372], "Origin": ["USA", "Japan"]})
TABLE_CSV = "Weight,Origin\n3504,USA\n2372,Japan\n"


class PathStatus:
    """A Status on one experiment path: module to (experiment, result)."""

    def __init__(self, executed: Mapping[str, tuple[str, Any]]) -> None:
        self.executed = dict(executed)
        self.report: dict[str, Any] = {}
        self.schemas: dict[str, Schema] = {}
        self.timing = pd.DataFrame()
        self.validations: dict[str, Any] = {}

    def get_full_expt(self) -> dict[str, str]:
        """Return the experiment path."""
        return {module: experiment for module, (experiment, _) in self.executed.items()}

    def get_result(self, module: str) -> Any:
        """Return what a module made."""
        return self.executed[module][1]

    def get_metadata(self, module: str) -> Schema:
        """Return a module's schema."""
        if module not in self.schemas:
            raise UnexecutedError(module)
        return self.schemas[module]

    def get_report(self) -> dict[str, Any]:
        """Return the earlier reports."""
        return self.report

    def get_timing_report_data(self) -> pd.DataFrame:
        """Return the timings."""
        return self.timing

    def get_validation_result(self) -> dict[str, Any] | None:
        """Return the validations by module."""
        return self.validations or None


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(status: PathStatus, **parameters: Any) -> dict[str, pd.DataFrame]:
    """Do what the Executor does with a Reporter, and return what the Reporter says it wrote."""
    adapter = ReporterAdapter("report", parameters)
    adapter.run(adapter.set_input(status))  # type: ignore[arg-type]
    status.report.update(adapter.get_result())
    return adapter.get_result()


def files(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its text."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


# save_data


def test_each_table_of_a_source_becomes_a_file_named_after_its_path(folder: Path) -> None:
    """Parts of a result have their key behind the experiment, as in PETsARD."""
    parts = {"train": TABLE, "validation": TABLE.tail(1)}
    status = PathStatus({"Loader": ("cars", TABLE), "Splitter": ("half_[2-1]", parts)})
    result = write(status, method="save_data", source="Splitter")
    assert files(folder) == {
        "petsard_Loader[cars]_Splitter[half_[2-1]_[train]].csv": TABLE_CSV,
        "petsard_Loader[cars]_Splitter[half_[2-1]_[validation]].csv": "Weight,Origin\n2372,Japan\n",
    }
    assert list(result) == [
        "Loader[cars]_Splitter[half_[2-1]_[train]]",
        "Loader[cars]_Splitter[half_[2-1]_[validation]]",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Loader", ["Loader[cars]"]),
        ("cars", ["Loader[cars]"]),
        (["Synthesizer", "cars"], ["Loader[cars]", "Loader[cars]_Synthesizer[copula_[2-1]]"]),
        ("copula", ["Loader[cars]_Synthesizer[copula_[2-1]]"]),
        ("copula_[2-1]", ["Loader[cars]_Synthesizer[copula_[2-1]]"]),
    ],
)
def test_a_source_is_a_module_or_an_experiment(source: Any, expected: list[str]) -> None:
    """The experiment of a split is found with and without the number of the split."""
    status = PathStatus({"Loader": ("cars", TABLE), "Synthesizer": ("copula_[2-1]", TABLE)})
    assert list(write(status, method="save_data", source=source)) == expected


def test_what_is_no_table_is_left_out(folder: Path) -> None:
    """An evaluation that has no pairwise part, and reports of an earlier Reporter, are skipped."""
    evaluation = {"global": TABLE, "pairwise": None}
    status = PathStatus({"Evaluator": ("fit", evaluation), "Reporter": ("fit", {"global": TABLE})})
    write(status, method="save_data", source="fit")
    assert list(files(folder)) == ["petsard_Evaluator[fit_[global]].csv"]


def test_a_source_that_made_nothing_writes_nothing_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An experiment that is not on this path is no error: another path may have it."""
    status = PathStatus({"Loader": ("cars", TABLE)})
    with caplog.at_level(logging.WARNING):
        assert write(status, method="save_data", source="ctgan") == {}
    assert files(folder) == {}
    assert caplog.messages == ["no table of ctgan on this experiment path; no file is written"]


def test_output_is_a_prefix_whose_folders_are_made(folder: Path) -> None:
    """A path as prefix puts the files there, whether the folder exists or not."""
    write(
        PathStatus({"Loader": ("cars", TABLE)}), method="SAVE_DATA", source="cars", output="a/b/c"
    )
    assert files(folder) == {"a/b/c_Loader[cars].csv": TABLE_CSV}


def test_no_experiment_name_leads_out_of_the_folder(folder: Path) -> None:
    """Separators and control characters are quoted, differently for different names."""
    for name in ("../../x", "../../x\0", "..%2F..%2Fx", "/etc/x", "50%", "x" * 300, "x" * 301):
        write(
            PathStatus({"Loader": (name, TABLE)}), method="save_data", source="Loader", output="o/p"
        )
    written = files(folder)
    assert set(written.values()) == {TABLE_CSV}
    assert sorted(written)[:5] == [
        "o/p_Loader[%2Fetc%2Fx].csv",
        "o/p_Loader[..%252F..%252Fx].csv",
        "o/p_Loader[..%2F..%2Fx%00].csv",
        "o/p_Loader[..%2F..%2Fx].csv",
        "o/p_Loader[50%].csv",
    ]
    assert [len(name.removeprefix("o/")) for name in sorted(written)[5:]] == [255, 255]


@given(name=st.text(max_size=60))
def test_a_file_name_gives_its_report_back(name: str) -> None:
    """Quoting loses nothing: a name of usual length can be read back, whatever is in it."""
    path = report_path("out/p", name)
    assert path.parent.name == "out"
    assert unquote(path.name, errors="surrogatepass") == f"p{name}.csv"


@given(name=st.text(min_size=60))
def test_a_file_name_always_fits(name: str) -> None:
    """No name, however long and in whatever script, exceeds what a file system holds."""
    assert len(report_path("out/p", name * 5, ".yaml").name.encode()) <= 255


def test_a_file_is_replaced_whole_or_not_at_all(folder: Path) -> None:
    """What fails half-way leaves the former file, and nothing beside it."""
    path = folder / "report.csv"
    path.write_text("before")

    def fail_after_writing() -> None:
        with replacing(path) as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after_writing()
    assert files(folder) == {"report.csv": "before"}


def test_who_reads_the_former_file_meanwhile_reads_all_of_it(folder: Path) -> None:
    """The new file takes the place of the old one; it is not written into it."""
    path = folder / "report.csv"
    path.write_text("before")
    with path.open() as reader:
        with replacing(path) as file:
            file.write("after")
        assert reader.read() == "before"
    assert files(folder) == {"report.csv": "after"}


# save_report


def evaluated(split: str, synthesizer: str, evaluation: str, score: float) -> PathStatus:
    """Return a Status after an evaluation with one score."""
    result = {"global": pd.DataFrame({"Score": [score]}, index=["result"])}
    return PathStatus(
        {
            "Loader": ("cars", TABLE),
            "Splitter": (split, {"train": TABLE}),
            "Synthesizer": (synthesizer, TABLE),
            "Evaluator": (evaluation, result),
        }
    )


def test_a_report_has_the_path_then_the_measures_under_the_evaluation_s_name(folder: Path) -> None:
    """One row for each experiment path; the measure is prefixed."""
    write(evaluated("half", "copula", "fit", 0.5), method="save_report", granularity="global")
    assert files(folder) == {
        "petsard_Reporter[global].csv": (
            "full_expt_name,Loader,Splitter,Synthesizer,Evaluator,fit_Score\n"
            "Loader[cars]_Splitter[half]_Synthesizer[copula]_Evaluator[global],"
            "cars,half,copula,[global],0.5\n"
        )
    }


def test_a_report_grows_over_paths_and_evaluations(folder: Path) -> None:
    """A path adds a row, a further evaluation a column, the same one again replaces its values."""
    report: dict[str, Any] = {}
    for split, evaluation, score in (
        ("a", "fit", 0.1),
        ("a", "use", 0.2),
        ("b", "fit", 0.3),
        ("b", "use", 0.4),
        ("a", "fit", 0.9),
    ):
        status = evaluated(split, "copula", evaluation, score)
        status.report = report
        write(status, method="save_report", granularity=["GLOBAL"])
    table = pd.read_csv(folder / "petsard_Reporter[global].csv").sort_values("Splitter")
    assert table[["Splitter", "fit_Score", "use_Score"]].to_dict("list") == {
        "Splitter": ["a", "b"],
        "fit_Score": [0.9, 0.3],
        "use_Score": [0.2, 0.4],
    }
    assert list(table.columns)[-3:] == ["Evaluator", "fit_Score", "use_Score"]


@pytest.mark.parametrize("named", [True, False], ids=["as columns", "as the index"])
def test_columnwise_and_pairwise_rows_are_matched_by_their_columns(
    folder: Path, *, named: bool
) -> None:
    """Two evaluations of the same columns stand side by side, in the table's own order."""
    columns = pd.DataFrame({"column": ["z", "a"], "Score": [0.1, 0.2]})
    pairs = pd.DataFrame({"column1": ["z"], "column2": ["a"], "Score": [0.3]})
    if not named:
        columns = columns.set_index("column")
        pairs = pairs.set_index(["column1", "column2"])
        columns.index.names, pairs.index.names = [None], [None, None]
    report: dict[str, Any] = {}
    for evaluation in ("fit", "use"):
        status = PathStatus({"Evaluator": (evaluation, {"columnwise": columns, "pairwise": pairs})})
        status.report = report
        write(status, method="save_report", granularity=["columnwise", "pairwise"])
    name = "Evaluator[{0}],[{0}]"
    assert files(folder) == {
        "petsard_Reporter[columnwise].csv": (
            "full_expt_name,Evaluator,column,fit_Score,use_Score\n"
            f"{name.format('columnwise')},z,0.1,0.1\n"
            f"{name.format('columnwise')},a,0.2,0.2\n"
        ),
        "petsard_Reporter[pairwise].csv": (
            "full_expt_name,Evaluator,column1,column2,fit_Score,use_Score\n"
            f"{name.format('pairwise')},z,a,0.3,0.3\n"
        ),
    }


def test_details_are_matched_row_by_row(folder: Path) -> None:
    """Two evaluations with three rows each give three rows, not nine."""
    report: dict[str, Any] = {}
    for evaluation in ("fit", "use"):
        details = pd.DataFrame({"Attack": ["x", "x", "y"], "Risk": [1, 2, 3]})
        status = PathStatus({"Evaluator": (evaluation, {"details": details})})
        status.report = report
        write(status, method="save_report", granularity="details")
    assert files(folder)["petsard_Reporter[details].csv"] == (
        "full_expt_name,Evaluator,index,fit_Attack,fit_Risk,use_Attack,use_Risk\n"
        "Evaluator[details],[details],0,x,1,x,1\n"
        "Evaluator[details],[details],1,x,2,x,2\n"
        "Evaluator[details],[details],2,y,3,y,3\n"
    )


def test_evaluators_and_describers_share_a_report(folder: Path) -> None:
    """Both have rows of their own, since their paths differ."""
    status = PathStatus(
        {
            "Evaluator": ("fit", {"global": pd.DataFrame({"Score": [1.0]})}),
            "Describer": ("shape", {"global": pd.DataFrame({"rows": [406]})}),
        }
    )
    write(status, method="save_report", granularity="global")
    table = pd.read_csv(folder / "petsard_Reporter[global].csv")
    assert table["full_expt_name"].tolist() == [
        "Evaluator[global]",
        "Evaluator[global]_Describer[global]",
    ]
    assert table["shape_rows"].tolist()[1] == 406


@pytest.mark.parametrize(
    ("parameters", "name", "column"),
    [
        ({"eval": "fit"}, "petsard_Reporter[fit_global].csv", "fit_Score"),
        ({"eval": ["use", "fit"]}, "petsard_Reporter[use-fit_global].csv", "fit_Score"),
        ({"naming_strategy": "compact"}, "petsard.report.Rp.global.G.csv", "fit_Score"),
        (
            {"naming_strategy": "compact", "eval": "fit", "output": "a/b"},
            "a/b.report.Rp.fit_global.G.csv",
            "fit_Score",
        ),
    ],
)
def test_eval_and_naming_strategy_name_the_file(
    folder: Path, parameters: dict[str, Any], name: str, column: str
) -> None:
    """The evaluations asked for are part of the name."""
    write(evaluated("a", "b", "fit", 1), method="save_report", granularity="global", **parameters)
    assert list(files(folder)) == [name]
    assert column in files(folder)[name]


def test_an_evaluation_that_is_not_asked_for_is_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A granularity or an evaluation that this path lacks writes nothing."""
    with caplog.at_level(logging.WARNING):
        status = evaluated("a", "b", "fit", 1)
        write(status, method="save_report", granularity=["tree", "pairwise"])
        write(status, method="save_report", granularity="global", eval="other")
    assert files(folder) == {}
    assert caplog.messages == [
        "nothing to report for tree; no file is written",
        "nothing to report for pairwise; no file is written",
        "nothing to report for other_global; no file is written",
    ]


def test_what_was_handed_out_is_not_changed() -> None:
    """Tables of other modules and earlier reports are as they were."""
    given_tables = {
        granularity: pd.DataFrame({"Score": [0.25]}) for granularity in ("global", "columnwise")
    }
    before = {name: table.copy() for name, table in given_tables.items()}
    status = PathStatus({"Evaluator": ("fit", given_tables)})
    status.report["global"] = earlier = evaluated_report()
    kept = earlier.copy()
    write(status, method="save_report", granularity=["global", "columnwise"])
    write(status, method="save_schema", source="Evaluator")
    for name, table in given_tables.items():
        pd.testing.assert_frame_equal(table, before[name])
    pd.testing.assert_frame_equal(earlier, kept)


def evaluated_report() -> pd.DataFrame:
    """Return the report of an earlier path."""
    return write(evaluated("a", "b", "fit", 1), method="save_report", granularity="global")[
        "global"
    ]


# save_schema


def test_a_schema_report_has_a_row_a_table_and_columns_by_field(folder: Path) -> None:
    """The schema of the module is used where it has one; other properties come from the table."""
    status = PathStatus({"Loader": ("cars", TABLE), "Synthesizer": ("copula", TABLE[["Weight"]])})
    status.schemas["Loader"] = Schema.of(
        "cars",
        [
            Attribute("Weight", "float64", nullable=True, precision=2),
            Attribute("Origin", "string", category=True),
        ],
    )
    properties = ["type", "nullable", "category", "precision", "min", "unique_count", "categories"]
    write(status, method="save_schema", source=["Loader", "copula"], properties=properties)
    assert files(folder) == {
        "petsard_schema_Loader-copula_summary.csv": (
            "source,[Origin]_categories,[Origin]_category,[Origin]_nullable,[Origin]_type,"
            "[Origin]_unique_count,[Weight]_category,[Weight]_min,[Weight]_nullable,"
            "[Weight]_precision,[Weight]_type,[Weight]_unique_count\n"
            "Loader[cars],USA|Japan,True,False,string,2,False,2372,True,2,float64,2\n"
            "Loader[cars]_Synthesizer[copula],,,,,,False,2372,False,,int64,2\n"
        )
    }


def test_a_schema_report_grows_over_paths(folder: Path) -> None:
    """The last path does not wipe out the ones before it; a path seen again is replaced."""
    report: dict[str, Any] = {}
    for synthesizer, columns in (("a", ["Weight"]), ("b", ["Origin"]), ("a", ["Origin"])):
        status = PathStatus({"Synthesizer": (synthesizer, TABLE[columns])})
        status.report = report
        write(status, method="save_schema", source="Synthesizer", properties="type")
    assert files(folder) == {
        "petsard_schema_Synthesizer_summary.csv": (
            "source,[Origin]_type,[Weight]_type\nSynthesizer[a],string,\nSynthesizer[b],string,\n"
        )
    }


def test_a_schema_report_as_yaml_has_the_statistics_apart(folder: Path) -> None:
    """One YAML file a table, as in PETsARD; every property is written where none is named."""
    tags = pd.Series([["x"], ["y"]], dtype=object)
    table = TABLE.assign(Empty=None, Tags=tags, Good=[True, False], Half=0.5)
    write(
        PathStatus({"Loader": ("c/d", table)}),
        method="save_schema",
        source="Loader",
        yaml_output=True,
    )
    text = files(folder)["petsard_schema_Loader[c%2Fd].yaml"]
    found = yaml.safe_load(text)
    assert found["shape"] == {"rows": 2, "columns": 6}
    assert found["columns"]["Weight"] == {
        "type": "int64",
        "category": False,
        "dtype": "int64",
        "nullable": False,
        "unique_count": 2,
        "statistics": {"min": 2372, "max": 3504, "mean": 2938.0, "std": pytest.approx(800.444876)},
    }
    assert found["columns"]["Origin"]["categories"] == ["USA", "Japan"]
    assert found["columns"]["Good"]["statistics"]["max"] == 1
    assert found["columns"]["Half"]["statistics"] == {
        "min": 0.5,
        "max": 0.5,
        "mean": 0.5,
        "std": 0.0,
    }
    assert "unique_count" not in found["columns"]["Tags"]


# save_timing


def timing() -> pd.DataFrame:
    """Return two executions as Status reports them."""
    start = datetime(2026, 11, 23, 4, 5, 6, 7, tzinfo=timezone.utc)
    end = datetime(2026, 11, 23, 4, 5, 36, tzinfo=timezone.utc)
    return pd.DataFrame(
        {
            "record_id": ["1", "2"],
            "module_name": ["Loader", "Synthesizer"],
            "start_time": pd.to_datetime([start, start]),
            "end_time": pd.to_datetime([end, end]),
            "duration_seconds": [29.999993, 0.1],
            "source": ["module", "module"],
        }
    )


def test_timings_are_written_with_iso_times_and_full_precision(folder: Path) -> None:
    """The zone is part of the text; the answer itself keeps real times."""
    status = PathStatus({})
    status.timing = timing()
    result = write(status, method="save_timing")
    assert files(folder) == {
        "petsard_[Timing].csv": (
            "record_id,module_name,start_time,end_time,duration_seconds,source\n"
            "1,Loader,2026-11-23T04:05:06.000007+00:00,2026-11-23T04:05:36+00:00,29.999993,module\n"
            "2,Synthesizer,2026-11-23T04:05:06.000007+00:00,2026-11-23T04:05:36+00:00,0.1,module\n"
        )
    }
    pd.testing.assert_frame_equal(result["timing_report"], timing())


@pytest.mark.parametrize(
    ("unit", "expected"), [("minutes", 0.5), ("hours", 30 / 3600), ("days", 30 / 86400)]
)
def test_the_time_unit_takes_the_place_of_the_seconds(
    folder: Path, unit: str, expected: float
) -> None:
    """The column is named after its unit and stands where the seconds stood."""
    status = PathStatus({})
    status.timing = timing().assign(duration_seconds=30.0)
    write(status, method="save_timing", time_unit=unit, module=["Loader", "Evaluator"])
    (row,) = csv.DictReader(io.StringIO(files(folder)["petsard_[Timing].csv"]))
    assert list(row)[3:] == ["end_time", f"duration_{unit}", "source"]
    assert row["module_name"] == "Loader"
    assert float(row[f"duration_{unit}"]) == expected


def test_no_timing_writes_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A module without timings is told, not written."""
    status = PathStatus({})
    status.timing = timing()
    with caplog.at_level(logging.WARNING):
        assert write(status, method="save_timing", module="Splitter") == {}
    assert files(folder) == {}
    assert caplog.messages == ["no timing to report; no file is written"]


# save_validation

VALIDATION: dict[str, Any] = {
    "total_rows": 406,
    "passed_rows": 404,
    "failed_rows": 2,
    "pass_rate": 404 / 406,
    "is_fully_compliant": False,
    "constraint_violations": {
        "field_constraints": {
            "Rule 2: Weight > 0": {
                "failed_count": 2,
                "fail_rate": 2 / 406,
                "violation_examples": [7, 9],
            }
        },
        "nan_groups": {"Name: delete": {"failed_count": 1, "fail_rate": 1 / 406}},
    },
    "violation_details": pd.DataFrame(
        {
            "Weight": [-1, -2],
            "__violated_field_constraints_rule1__": [True, True],
            "__violated_nan_groups_Name__": [False, True],
        },
        index=[7, 9],
    ),
}


def validated(constrainer: str, found: Any, synthesizer: str = "copula") -> PathStatus:
    """Return a Status after a check of data."""
    status = PathStatus({"Synthesizer": (synthesizer, TABLE), "Constrainer": (constrainer, TABLE)})
    status.validations = {"Constrainer": found}
    return status


def test_a_validation_becomes_three_files(folder: Path) -> None:
    """Summary, violations by rule, and the rows that violate each rule under the rule's name."""
    write(validated("rules", VALIDATION), method="save_validation")
    path = "Synthesizer[copula]_Constrainer[rules]"
    assert files(folder) == {
        "petsard_[Validation]_Constrainer[rules]_summary.csv": (
            "Metric,Value,full_expt_name\n"
            f"total_rows,406,{path}\n"
            f"passed_rows,404,{path}\n"
            f"failed_rows,2,{path}\n"
            f"pass_rate,0.995074,{path}\n"
            f"is_fully_compliant,False,{path}\n"
        ),
        "petsard_[Validation]_Constrainer[rules]_violations.csv": (
            "Constraint Type,Rule,Failed Count,Fail Rate,Violation Examples,Error Message,"
            "full_expt_name\n"
            f'field_constraints,Rule 2: Weight > 0,2,0.004926,"7, 9",,{path}\n'
            f"nan_groups,Name: delete,1,0.002463,-,,{path}\n"
        ),
        "petsard_[Validation]_Constrainer[rules]_details.csv": (
            "Constraint Type,Rule,Violation Index,Weight,full_expt_name\n"
            f"field_constraints,Rule 2: Weight > 0,1,-1,{path}\n"
            f"field_constraints,Rule 2: Weight > 0,2,-2,{path}\n"
            f"nan_groups,Name: delete,1,-2,{path}\n"
        ),
    }


def test_validations_of_every_path_stay_in_the_file(folder: Path) -> None:
    """The second Synthesizer's validation stands below the first's."""
    report: dict[str, Any] = {}
    for synthesizer in ("copula", "ctgan", "copula"):
        status = validated("rules", VALIDATION, synthesizer)
        status.report = report
        write(status, method="save_validation", include_details=False)
    table = pd.read_csv(folder / "petsard_[Validation]_Constrainer[rules]_summary.csv")
    assert table["full_expt_name"].value_counts().to_dict() == {
        "Synthesizer[copula]_Constrainer[rules]": 5,
        "Synthesizer[ctgan]_Constrainer[rules]": 5,
    }
    assert not list(folder.glob("*details*"))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (VALIDATION, "checks/cars_summary.csv"),
        ({"Loader": VALIDATION}, "checks/cars_summary.csv"),
        (
            {"Loader": VALIDATION, "Synthesizer": VALIDATION},
            "checks/cars_[Validation]_Source[Synthesizer]_Constrainer[rules]_summary.csv",
        ),
    ],
)
def test_an_output_of_the_user_s_own_names_the_files(
    folder: Path, found: Any, expected: str
) -> None:
    """One validation is named by it alone; of several none overwrites another."""
    result = write(validated("rules", found), method="save_validation", output="checks/cars")
    assert expected in files(folder)
    assert len(files(folder)) == len(result)


def test_no_validation_writes_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A Constrainer that resampled has checked nothing."""
    with caplog.at_level(logging.WARNING):
        assert write(PathStatus({"Loader": ("cars", TABLE)}), method="save_validation") == {}
    assert files(folder) == {}
    assert caplog.messages == ["no validation on this experiment path; no file is written"]


# Mistakes


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "Reporter[r].method: is required, and not given; valid: save_data, save_report,"),
        (
            {"method": "save_dat"},
            "Reporter[r].method: unknown method 'save_dat'; did you mean 'save_data'?",
        ),
        ({"method": 3}, "Reporter[r].method: unknown method '3'"),
        ({"method": "save_data"}, "Reporter[r].source: "),
        (
            {"method": "save_data", "source": []},
            "Reporter[r].source: give a name, or a list of names",
        ),
        (
            {"method": "save_data", "source": 3},
            "Reporter[r].source: give a name, or a list of names",
        ),
        ({"method": "save_data", "source": ["a", 3]}, "Reporter[r].source: give a name"),
        (
            {"method": "save_data", "sourc": "a", "source": "b"},
            "Reporter[r].sourc: unknown key 'sourc'; did you mean 'source'?",
        ),
        ({"method": "save_data", "source": "a", "output": 3}, "Reporter[r].output: "),
        (
            {"method": "save_data", "source": "a", "output": "a\0b"},
            "Reporter[r].output: a file name",
        ),
        ({"method": "save_report"}, "Reporter[r].granularity: "),
        (
            {"method": "save_report", "granularity": "globl"},
            "Reporter[r].granularity: unknown granularity 'globl'; did you mean 'global'?",
        ),
        (
            {"method": "save_report", "granularity": "global", "naming_strategy": "short"},
            "Reporter[r].naming_strategy: ",
        ),
        ({"method": "save_report", "granularity": "global", "eval": 3}, "Reporter[r].eval: "),
        (
            {"method": "save_schema", "source": "Loader", "properties": ["typ"]},
            "Reporter[r].properties: unknown property 'typ'; did you mean 'type'?",
        ),
        ({"method": "save_timing", "time_unit": "weeks"}, "Reporter[r].time_unit: "),
        ({"method": "save_timing", "source": "Loader"}, "Reporter[r].source: unknown key 'source'"),
        ({"method": "save_validation", "include_details": "yes"}, "Reporter[r].include_details: "),
    ],
)
def test_a_mistake_is_found_before_anything_runs(parameters: dict[str, Any], expected: str) -> None:
    """The message names module, experiment and key."""
    with pytest.raises(ConfigError) as caught:
        ReporterAdapter("r", parameters)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("output", [None, ""])
def test_no_output_means_petsard(folder: Path, output: str | None) -> None:
    """An empty prefix is the default one, as in PETsARD."""
    status = PathStatus({"Loader": ("cars", TABLE)})
    write(status, method="save_data", source="cars", output=output)
    assert list(files(folder)) == ["petsard_Loader[cars].csv"]


# From where the user starts


def test_a_run_leaves_the_reports_of_all_its_experiments(folder: Path) -> None:
    """Two splits: their tables in a file each, their evaluations, schemas and timings together."""
    weights = pd.Series(range(60), name="Weight") * 37 % 61
    pd.DataFrame({"Weight": weights, "Origin": ["USA", "Japan", None] * 20}).to_csv("cars.csv")
    reporters: dict[str, Any] = {
        "data": {"method": "save_data", "source": "Synthesizer"},
        "scores": {"method": "save_report", "granularity": "global"},
        "schemas": {"method": "save_schema", "source": "Splitter", "properties": "type"},
        "times": {"method": "save_timing", "module": "Loader"},
    }
    executor = Executor(
        {
            "Loader": {"cars": {"filepath": "cars.csv"}},
            "Splitter": {"half": {"num_samples": 2, "train_split_ratio": 0.5}},
            "Synthesizer": {"copula": {"method": "default"}},
            "Evaluator": {"fit": {"method": "default"}},
            "Reporter": {
                name: {**parameters, "output": "out/cars"} for name, parameters in reporters.items()
            },
        },
        engine="builtin",
    )
    executor.run()
    path = "cars_Loader[cars]_Splitter[half_[2-{}]]_Synthesizer[copula].csv"
    assert sorted(files(folder / "out")) == [
        path.format(1),
        path.format(2),
        "cars_Reporter[global].csv",
        "cars_[Timing].csv",
        "cars_schema_Splitter_summary.csv",
    ]
    scores = pd.read_csv("out/cars_Reporter[global].csv")
    assert scores["Splitter"].tolist() == ["half_[2-1]", "half_[2-2]"]
    assert scores["fit_Score"].between(0, 1).all()
    schemas = pd.read_csv("out/cars_schema_Splitter_summary.csv")
    assert schemas["source"].tolist() == [
        f"Loader[cars]_Splitter[half_[2-{split}]_[{part}]]"
        for split in (1, 2)
        for part in ("train", "validation")
    ]
    assert pd.read_csv("out/cars_[Timing].csv")["module_name"].tolist() == ["Loader"]
    reports = [r for r in executor.status.get_timing_records("Reporter") if r.source == "step"]
    assert [report.step_name for report in reports] == ["report"] * 8
