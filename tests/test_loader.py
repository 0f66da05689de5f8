"""The Loader, through its adapter and through a run."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsard_otel import Executor
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.loader import LoaderAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"

CELL = "Jane-Roe-A123456789"
"""Stands in every broken file; no error may quote it."""


def loaded(path: Path, **parameters: Any) -> LoaderAdapter:
    """Load a file."""
    adapter = LoaderAdapter("e", {"filepath": str(path), **parameters})
    adapter.run({})
    return adapter


def load_text(folder: Path, text: str, **parameters: Any) -> pd.DataFrame:
    """Load a CSV file with this text."""
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return loaded(path, **parameters).get_result()


def declare(**attributes: Any) -> dict[str, Any]:
    """Write a schema inline."""
    return {"attributes": attributes}


def values(column: pd.Series[Any]) -> list[Any]:
    """Return the cells, missing ones as None."""
    return [None if pd.isna(cell) else cell for cell in column.tolist()]


def test_cars_are_loaded_with_their_structure() -> None:
    """A CSV file becomes its table, and the schema tells types and missing values."""
    loader = loaded(CARS)
    assert loader.get_result().shape == (406, 9)
    schema = loader.get_metadata()
    assert schema.id == "cars"
    assert {name: (each.type, each.nullable) for name, each in schema.attributes.items()} == {
        "Name": ("string", False),
        "Miles_per_Gallon": ("float64", True),
        "Cylinders": ("int64", False),
        "Displacement": ("float64", False),
        "Horsepower": ("float64", True),
        "Weight_in_lbs": ("int64", False),
        "Acceleration": ("float64", False),
        "Year": ("string", False),
        "Origin": ("string", False),
    }
    assert loader.get_metadata() is schema


def test_a_run_loads_every_experiment() -> None:
    """From the Executor on, each Loader experiment gives its table and a step in the timing."""
    executor = Executor(
        {
            "Loader": {
                "all": {"filepath": str(CARS)},
                "few": {"filepath": str(CARS), "nrows": 10},
            }
        }
    )
    executor.run()
    results = executor.get_result()
    assert {name: len(table) for name, table in results.items()} == {
        "Loader[all]": 406,
        "Loader[few]": 10,
    }
    steps = executor.status.get_timing_report_data(steps=True)
    assert steps["step_name"].tolist() == ["load", "run", "load", "run"]


def test_a_run_with_a_wrong_key_stops_before_it_reads() -> None:
    """The Executor reports a mistake in a Loader with its place and the nearest key."""
    with pytest.raises(ConfigError) as caught:
        Executor({"Loader": {"cars": {"filepth": "nowhere.csv"}}})
    assert "Loader[cars].filepth: unknown key 'filepth'; did you mean 'filepath'?" in str(
        caught.value
    )


def test_a_relative_path_starts_at_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is looked up where the program runs, as in PETsARD."""
    (tmp_path / "t.csv").write_text("a\n1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert loaded(Path("t.csv")).get_result()["a"].tolist() == [1]


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".xlsx"])
def test_no_name_of_a_column_is_special(ending: str, tmp_path: Path) -> None:
    """Columns may be called what arguments and attributes of pandas are called."""
    names = ["self", "index", "level_0", "name", "data", "T", "é \u4e2d", "a.b", "dtype"]
    path = tmp_path / f"t{ending}"
    WRITERS[ending](pd.DataFrame([["1"] * len(names)], columns=names), path)
    schema = declare(**{name: {"type": "int"} for name in names})
    loader = loaded(path, schema=schema, na_values=dict.fromkeys(names, "?"))
    assert loader.get_result().to_dict("records") == [dict.fromkeys(names, 1)]
    assert list(loader.get_metadata().attributes) == names


def test_nothing_is_read_before_the_run() -> None:
    """Making an adapter opens no file, and asking it before its run is an error."""
    adapter = LoaderAdapter("e", {"filepath": "nowhere.csv", "schema": "nowhere.yaml"})
    with pytest.raises(UnexecutedError):
        adapter.get_result()
    with pytest.raises(UnexecutedError):
        adapter.get_metadata()


# Formats


def write_excel(table: pd.DataFrame, path: Path) -> None:
    """Write a workbook."""
    table.to_excel(path, index=False)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    ".json": lambda table, path: table.to_json(path, orient="records"),
    ".parquet": lambda table, path: table.to_parquet(path),
    ".xlsx": write_excel,
    ".XLSX": write_excel,
}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_table_and_schema(ending: str, tmp_path: Path) -> None:
    """The format of a file leaves no trace: types, missing values and structure are equal."""
    table = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "real": [0.1, None, 2.5],
            "text": ["x", "ü", float("nan")],
            "code": ["007", "010", "100"],
            "2020": [True, False, True],
            "date": ["a", "b", "c"],
        }
    )
    path = tmp_path / f"t{ending}"
    WRITERS[ending](table, path)
    loader = loaded(path, schema=declare(code={"type": "str"}))
    pd.testing.assert_frame_equal(loader.get_result(), table)
    assert loader.get_metadata().json == (
        '{"attributes":[{"name":"whole","type":"int64"},'
        '{"name":"real","type":"float64","nullable":true},'
        '{"name":"text","type":"string","nullable":true},{"name":"code","type":"string"},'
        '{"name":"2020","type":"boolean"},{"name":"date","type":"string"}]}'
    )


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), NUMBERS, TEXTS), min_size=1)


@settings(max_examples=30)
@given(rows=ROWS)
@pytest.mark.parametrize("ending", [".json", ".parquet"])
def test_a_typed_file_is_read_to_the_last_digit(ending: str, rows: list[Any]) -> None:
    """What was written is what is read: no number is rounded, no text taken for another type."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{ending}"
        if ending == ".json":
            names = ("whole", "real", "text")
            path.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        else:
            pd.DataFrame(rows, columns=["whole", "real", "text"]).to_parquet(path)
        table = loaded(path).get_result()
    assert list(table.itertuples(index=False, name=None)) == rows


@settings(max_examples=30)
@given(rows=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_a_declared_integer_keeps_every_digit(rows: list[int | None]) -> None:
    """A missing cell does not turn the integers of a CSV column into floats."""
    text = "key,n\n" + "".join(f"k,{'' if row is None else row}\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        table = load_text(Path(folder), text, schema=declare(n={"type": "int"}))
    assert values(table["n"]) == rows


def test_two_parquet_columns_of_one_name_are_told(tmp_path: Path) -> None:
    """Such a file is neither damaged nor something else, and pandas cannot read it."""
    table = pa.table([pa.array([1]), pa.array([2])], names=["age", "age"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="different names, found two called 'age'; give one"):
        loaded(tmp_path / "t.parquet")


def test_a_named_parquet_index_becomes_a_column(tmp_path: Path) -> None:
    """The key that pandas stored beside the columns is not lost; rows are numbered from 0."""
    table = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))
    table.to_parquet(tmp_path / "t.parquet")
    found = loaded(tmp_path / "t.parquet").get_result()
    assert found.to_dict("list") == {"key": ["x", "y"], "a": [1, 2]}
    assert found.index.tolist() == [0, 1]


def test_json_columns_are_read_like_records(tmp_path: Path) -> None:
    """The form that pandas writes by default is a table too."""
    path = tmp_path / "t.json"
    path.write_text('{"a": {"0": 1, "1": 2}, "b": {"0": null, "1": true}}')
    found = loaded(path).get_result()
    assert found.index.tolist() == [0, 1]
    assert repr(found["b"].tolist()) == "[nan, True]"


def test_the_first_worksheet_is_read_with_text_labels(tmp_path: Path) -> None:
    """A label that Excel holds as a number is text here; other worksheets are left alone."""
    with pd.ExcelWriter(tmp_path / "t.xlsx") as writer:
        pd.DataFrame([[1, 2]], columns=["a", 2020]).to_excel(writer, index=False)
        pd.DataFrame({"z": [3]}).to_excel(writer, sheet_name="other", index=False)
    assert loaded(tmp_path / "t.xlsx").get_result().to_dict("list") == {"a": [1], "2020": [2]}


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".xlsx"])
def test_nrows_reads_the_first_rows(ending: str, tmp_path: Path) -> None:
    """Only so many rows are in the table; a file with fewer is no error."""
    path = tmp_path / f"t{ending}"
    WRITERS[ending](pd.DataFrame({"a": [1, 2, 3]}), path)
    assert loaded(path, nrows=2).get_result()["a"].tolist() == [1, 2]
    assert loaded(path, nrows=9).get_result()["a"].tolist() == [1, 2, 3]


# Older keys


@pytest.mark.parametrize(
    ("na_values", "a", "b"),
    [
        ("?", [None, 1], [None, "x"]),
        (["?", "x"], [None, 1], [None, None]),
        ({"b": "?"}, ["?", "1"], [None, "x"]),
        ({"a": ["?", 1]}, [None, None], ["?", "x"]),
    ],
)
def test_na_values_mark_missing_cells(
    na_values: Any, a: list[Any], b: list[Any], tmp_path: Path
) -> None:
    """A text, a list, or either of them for one column, is read as a missing cell."""
    table = load_text(tmp_path, "a,b\n?,?\n1,x\n", na_values=na_values)
    assert values(table["a"]) == a
    assert values(table["b"]) == b


def test_na_values_of_one_column_are_declared_with_it(tmp_path: Path) -> None:
    """A marker leaves numbers numbers, whether the column has a type or not, beside the old key."""
    text = "a,b,c\n?,-1,x\n1,2,y\n"
    schema = declare(a={"na_values": "?"}, b={"type": "int", "na_values": [-1]})
    table = load_text(tmp_path, text, schema=schema)
    assert (values(table["a"]), values(table["b"])) == ([None, 1.0], [None, 2])
    table = load_text(tmp_path, text, schema=schema, na_values={"c": "x"})
    assert (values(table["b"]), values(table["c"])) == ([None, 2], [None, "y"])


def test_na_values_of_a_column_that_is_not_there_are_a_mistake() -> None:
    """A misspelt column would leave its markers in the data."""
    with pytest.raises(DataError, match=r"unknown column 'Hp'.*Horsepower"):
        loaded(CARS, na_values={"Hp": "?"})


@pytest.mark.parametrize("na_values", ["?", {"b": ["?"]}])
def test_na_values_hold_for_typed_files_too(na_values: Any, tmp_path: Path) -> None:
    """A marker in a JSON file counts as missing as it does in a CSV file."""
    path = tmp_path / "t.json"
    path.write_text('[{"a": 1, "b": "?"}, {"a": 2, "b": "x"}]')
    assert values(loaded(path, na_values=na_values).get_result()["b"]) == [None, "x"]


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_header_names_label_a_file_without_header(ending: str, tmp_path: Path) -> None:
    """No row is taken for the header, and the declared types go by the new names."""
    path = tmp_path / f"t{ending}"
    table = pd.DataFrame([[1, "007"], [2, "008"]])
    if ending == ".csv":
        table.to_csv(path, index=False, header=False)
    else:
        table.to_excel(path, index=False, header=False)
    schema = declare(code={"type": "str"})
    found = loaded(path, header_names=["n", "code"], schema=schema).get_result()
    assert found.to_dict("list") == {"n": [1, 2], "code": ["007", "008"]}


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_header_names_have_to_fit(names: list[str], ending: str, tmp_path: Path) -> None:
    """Too few or too many names are an error, not shifted columns."""
    path = tmp_path / f"t{ending}"
    WRITERS[ending](pd.DataFrame({"x": [1], "y": [2]}), path)
    with pytest.raises(DataError, match=rf"expected {len(names)} columns.*found 2"):
        loaded(path, header_names=names)


def test_column_types_declare_categories_and_dates(tmp_path: Path) -> None:
    """The older key, in any case of letters, does what a schema would."""
    path = tmp_path / "t.csv"
    path.write_text("zip,day\n007,1970-01-02\n")
    loader = loaded(path, column_types={"Category": ["zip"], "datetime": ["day"]})
    assert loader.get_result()["zip"].tolist() == ["007"]
    assert loader.get_result()["day"].tolist() == [pd.Timestamp("1970-01-02")]
    attributes = loader.get_metadata().attributes
    assert attributes["zip"].type_label == "string category"
    assert attributes["day"].type_label == "datetime"


# The declared schema


def test_a_schema_file_says_the_same_as_a_schema_inline(tmp_path: Path) -> None:
    """Both ways, both names of the attributes and both depths of the properties are one."""
    (tmp_path / "t.csv").write_text("price,when\n1.239,02/01/1970\n,03/01/1970\n")
    (tmp_path / "s.yaml").write_text(
        "id: shop\n"
        "name: A shop\n"
        "fields:\n"
        "  price: {type: float64, type_attr: {precision: 2, nullable: true}}\n"
        "  when: {type: date, format: '%d/%m/%Y', logical_type: birthday, enable_stats: false}\n"
    )
    inline = {
        "id": "shop",
        "attributes": {
            "price": {"type": "float", "precision": 2},
            "when": {
                "type": "datetime",
                "type_attr": {"format": "%d/%m/%Y"},
                "logical_type": "birthday",
            },
        },
    }
    from_file = loaded(tmp_path / "t.csv", schema=str(tmp_path / "s.yaml"))
    from_inline = loaded(tmp_path / "t.csv", schema=inline)
    assert from_file.get_metadata() == from_inline.get_metadata()
    assert from_file.get_metadata().id == "shop"
    assert from_file.get_metadata().json == (
        '{"attributes":['
        '{"name":"price","type":"float64","nullable":true,"precision":2},'
        '{"name":"when","type":"datetime","logical_type":"birthday"}]}'
    )
    found = from_file.get_result()
    assert values(found["price"]) == [1.24, None]
    assert found["when"].tolist() == [pd.Timestamp("1970-01-02"), pd.Timestamp("1970-01-03")]


@pytest.mark.parametrize(
    ("declared", "cells", "expected", "label"),
    [
        ("int", "1 2", [1, 2], "int64"),
        ("integer", "1.0 2.6", [1, 3], "int64"),
        ("Int64", "1 -", [1, None], "int64"),
        ("float", "1 -", [1.0, None], "float64"),
        ("str", "007 -", ["007", None], "string"),
        ("bool", "true FALSE", [True, False], "boolean"),
        ("boolean", "1 -", [True, None], "boolean"),
        ("date", "1970-01-02 -", [pd.Timestamp("1970-01-02"), None], "datetime"),
        ("datetime", "1970 1971", [pd.Timestamp("1970"), pd.Timestamp("1971")], "datetime"),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_declared_type_is_what_a_column_becomes(
    declared: str, cells: str, expected: list[Any], label: str, ending: str, tmp_path: Path
) -> None:
    """Every spelling of a type gives the values and the type that it names."""
    path = tmp_path / f"t{ending}"
    column = [None if cell == "-" else cell for cell in cells.split()]
    WRITERS[ending](pd.DataFrame({"a": column, "b": "x"}), path)
    loader = loaded(path, schema=declare(a={"type": declared}))
    assert values(loader.get_result()["a"]) == expected
    attribute = loader.get_metadata().attributes["a"]
    assert (attribute.type_label, attribute.nullable) == (label, None in expected)
    if label in {"int64", "boolean"} and None not in expected:
        assert isinstance(loader.get_result()["a"].dtype, np.dtype)


def test_numbers_become_the_text_and_the_dates_that_they_spell(tmp_path: Path) -> None:
    """A year that a file holds as a number is that year, and a number as text keeps its digits."""
    path = tmp_path / "t.json"
    path.write_text('[{"year": 1970, "zip": 123}]')
    schema = declare(year={"type": "date"}, zip={"type": "str"})
    found = loaded(path, schema=schema).get_result()
    assert found["year"].tolist() == [pd.Timestamp("1970-01-01")]
    assert found["zip"].tolist() == ["123"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([str(2**63), str(2**63 - 1)], [None, 2**63 - 1]),
        (["inf", "-1"], [None, -1]),
        (["1e30", "2"], [None, 2]),
        ([str(2**53 + 1), "0.5", "7"], [None, 0, 7]),
    ],
)
def test_an_integer_that_cannot_be_exact_goes_missing(
    cells: list[str], expected: list[int | None], tmp_path: Path
) -> None:
    """A number that does not fit becomes missing, never another number."""
    text = "\n".join(["a", *cells])
    table = load_text(tmp_path, text, schema=declare(a={"type": "int"}))
    assert values(table["a"]) == expected


def test_cells_that_are_no_number_go_missing_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By default such a cell counts as missing, and the log says how many, but not which."""
    with caplog.at_level(logging.WARNING):
        table = load_text(tmp_path, f"a\n1\n{CELL}\n", schema=declare(a={"type": "int"}))
    assert values(table["a"]) == [1, None]
    assert caplog.messages == ["1 of 2 values of column a are no int and count as missing"]


def test_dates_of_several_zones_are_no_column_of_dates(tmp_path: Path) -> None:
    """A column has one time zone, or it stays text."""
    text = "a\n1970-01-01T00:00+01:00\n1970-01-01T00:00+02:00\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # pandas 2 warns of what pandas 3 does
        with pytest.raises(DataError, match="2 of 2 values of column 'a' are no datetime"):
            load_text(tmp_path, text, schema=declare(a={"type": "datetime"}))


def test_cast_errors_raise_stops_at_a_cell_that_is_no_number(tmp_path: Path) -> None:
    """With `raise` one such cell is an error that names column and count."""
    schema = declare(a={"type": "float", "cast_errors": "raise"})
    with pytest.raises(DataError, match="1 of 2 values of column 'a' are no float") as caught:
        load_text(tmp_path, f"a\n1\n{CELL}\n", schema=schema)
    assert CELL not in "".join(traceback.format_exception(caught.value))


def test_cast_errors_ignore_leaves_the_column(tmp_path: Path) -> None:
    """With `ignore` a column that cannot be cast stays as it was read."""
    schema = declare(a={"type": "float", "cast_errors": "ignore"})
    assert load_text(tmp_path, "a\n1\nx\n", schema=schema)["a"].tolist() == ["1", "x"]


def test_a_column_is_never_emptied_by_its_type(tmp_path: Path) -> None:
    """Where not one cell is of the declared type, the declaration is wrong, not the cells."""
    with pytest.raises(DataError, match="2 of 2 values of column 'a' are no int"):
        load_text(tmp_path, "a\nx\ny\n", schema=declare(a={"type": "int"}))


def test_missing_cells_are_kept_dropped_or_filled(tmp_path: Path) -> None:
    """`null_strategy` says what becomes of a missing cell, `default_value` what fills it."""
    text = "a,b\n1,x\n,y\n3,\n"

    def table(**attribute: Any) -> list[list[Any]]:
        schema = declare(a={"type": "int", **attribute}, b={"na_values": "y"})
        found = load_text(tmp_path, text, schema=schema)
        assert found.index.tolist() == list(range(len(found)))
        return [values(found["a"]), values(found["b"])]

    assert table() == [[1, None, 3], ["x", None, None]]
    assert table(null_strategy="drop") == [[1, 3], ["x", None]]
    assert table(null_strategy="fill", default_value=7) == [[1, 7, 3], ["x", None, None]]
    assert table(default_value=7) == [[1, 7, 3], ["x", None, None]]
    assert table(default_value=7, nullable=False) == [[1, 7, 3], ["x", None, None]]


def test_a_column_that_may_not_miss_a_cell_is_checked(tmp_path: Path) -> None:
    """`nullable: false` is a promise of the file, and a broken one is an error with counts."""
    schema = declare(a={"nullable": False})
    with pytest.raises(DataError, match=r"column 'a'.*1 of 2 cells are missing"):
        load_text(tmp_path, "a,b\n1,1\n,2\n", schema=schema)


def test_a_column_that_may_miss_cells_is_nullable_though_none_is(tmp_path: Path) -> None:
    """What is declared of a column goes before what this one file happens to hold."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    loader = loaded(tmp_path / "t.csv", schema=declare(a={"nullable": True, "category": True}))
    assert loader.get_metadata().attributes["a"].to_dict() == {
        "name": "a",
        "type": "int64",
        "nullable": True,
        "category": True,
    }


def test_a_declared_column_that_is_not_there_is_added_or_missed(tmp_path: Path) -> None:
    """With a default it is added; without one the error names the nearest column."""
    schema = declare(b={"type": "str", "default_value": "x"})
    assert load_text(tmp_path, "a\n1\n2\n", schema=schema)["b"].tolist() == ["x", "x"]
    with pytest.raises(DataError, match=r"unknown column 'Orgin'; did you mean 'Origin'?"):
        loaded(CARS, schema=declare(Orgin={"type": "str"}))


def test_every_row_may_not_be_dropped(tmp_path: Path) -> None:
    """A table of no rows is no table for what follows."""
    schema = declare(a={"null_strategy": "drop"})
    with pytest.raises(DataError, match="leaves no rows"):
        load_text(tmp_path, "a,b\n,1\n", schema=schema)


# Mistakes of the configuration

FILE = {"filepath": "t.csv"}


@pytest.mark.parametrize(
    ("parameters", "key", "text"),
    [
        ({}, "filepath", "is required"),
        ({"filepath": ""}, "filepath", "expected the path of a file"),
        ({"filepath": 3}, "filepath", "expected the path of a file"),
        ({"filepath": "t.txt"}, "filepath", ".csv, .json, .parquet, .tsv, .xlsm, .xlsx"),
        ({"filepath": "t"}, "filepath", "unknown file ending ''"),
        ({"filepath": "t.ods"}, "filepath", "needs PETsARD itself"),
        ({"filepath": "benchmark://adult-income"}, "filepath", "needs PETsARD itself"),
        ({**FILE, "schema": "benchmark://adult_schema"}, "schema", "needs PETsARD itself"),
        ({**FILE, "schema": 3}, "schema", "expected a schema"),
        ({**FILE, "method": "default"}, "method", "unknown key 'method'"),
        ({**FILE, "nrows": 0}, "nrows", "greater than or equal to 1"),
        ({**FILE, "nrows": "5"}, "nrows", "valid integer"),
        ({**FILE, "header_names": ["a", "a"]}, "header_names", "none of them twice"),
        ({"filepath": "t.json", "header_names": ["a"]}, "header_names", "have names already"),
        ({**FILE, "na_values": {"a": {"b": 1}}}, "na_values", "expected a text or a number"),
        ({**FILE, "column_types": {"float": ["a"]}}, "column_types", "Valid: category, datetime"),
        (
            {**FILE, "column_types": {"category": ["a"]}, "schema": declare(a={"type": "int"})},
            "column_types",
            "also declared in `schema`: a",
        ),
        ({**FILE, "schema": {"attribute": {}}}, "schema", "did you mean 'attributes'?"),
        ({**FILE, "schema": {"primary_key": ["a"]}}, "schema", "needs PETsARD itself"),
        ({**FILE, "schema": declare(a=None)}, "schema.attributes.a", "check the indentation"),
        ({**FILE, "schema": declare(a={"typ": "int"})}, "schema.attributes.a", "mean 'type'?"),
        (
            {**FILE, "schema": declare(a={"constraints": {"min": 1}})},
            "schema.attributes.a",
            "needs PETsARD itself",
        ),
        (
            {**FILE, "schema": declare(a={"type": "category"})},
            "schema.attributes.a.type",
            "write `category: true`",
        ),
        (
            {**FILE, "schema": declare(a={"type": "flaot"})},
            "schema.attributes.a.type",
            "did you mean 'float'?",
        ),
        (
            {**FILE, "schema": declare(a={"cast_errors": "warn"})},
            "schema.attributes.a.cast_errors",
            "'raise', 'coerce' or 'ignore'",
        ),
        (
            {**FILE, "schema": declare(a={"nullable": True, "type_attr": {"nullable": True}})},
            "schema.attributes.a",
            "both here and in `type_attr`: nullable",
        ),
        (
            {**FILE, "schema": declare(a={"type": "str", "precision": 2})},
            "schema.attributes.a",
            "`precision` needs a number",
        ),
        (
            {**FILE, "schema": declare(a={"type": "int", "format": "%Y"})},
            "schema.attributes.a",
            "`format` needs",
        ),
        (
            {**FILE, "schema": declare(a={"type": "int", "null_strategy": "fill"})},
            "schema.attributes.a",
            "needs a `default_value`",
        ),
        (
            {**FILE, "schema": declare(a={"type": "int", "default_value": "x"})},
            "schema.attributes.a",
            "`default_value` is no int",
        ),
        (
            {
                **FILE,
                "schema": declare(a={"type": "int", "default_value": 1, "cast_errors": "ignore"}),
            },
            "schema.attributes.a",
            "needs a column that is cast",
        ),
        (
            {**FILE, "schema": declare(a={"name": "b"})},
            "schema.attributes",
            "'a' has another name",
        ),
    ],
)
def test_a_mistake_is_found_before_anything_is_read(
    parameters: dict[str, Any], key: str, text: str
) -> None:
    """Each mistake names module, experiment and key, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        LoaderAdapter("e", parameters)
    assert (caught.value.module, caught.value.experiment) == ("Loader", "e")
    assert caught.value.key == key
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        (
            b"attributes:\n  a: {type: int}\n  a: {type: str}\n",
            3,
            "the key 'a' is here twice, first in line 2",
        ),
        (b"attributes:\n\ta: 1\n", 2, "this line has a tab"),
        (b"- a\n", None, "expected a mapping with the key `attributes`"),
        (b"", None, "the file is empty"),
        (b"attributes: {a: {typ: int}}", None, "did you mean 'type'?"),
        (b"a: \xff", None, "the file is not UTF-8 text (byte 3)"),
        (b"a: \x01", None, "characters that YAML does not allow"),
        (b"? [1, 2]\n: 1\n", 1, "not valid YAML: found unhashable key"),
        (b"a: 2020-13-45\n", None, "a value cannot be read (ValueError)"),
    ],
)
def test_a_mistake_in_a_schema_file_names_the_file(
    content: bytes, line: int | None, text: str, tmp_path: Path
) -> None:
    """A schema in a file of its own is a part of the configuration, errors included."""
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    adapter = LoaderAdapter("e", {"filepath": str(CARS), "schema": str(path)})
    with pytest.raises(ConfigError) as caught:
        adapter.run({})
    assert (caught.value.source, caught.value.line) == (str(path), line)
    assert text in str(caught.value)


# Files that cannot be read


def zipped(**content: str) -> bytes:
    """Return a zip archive that is no workbook."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return file.getvalue()


def workbook(cells: list[list[Any]], **replaced: str) -> bytes:
    """Return a workbook in which some parts of the archive are replaced."""
    file = io.BytesIO()
    pd.DataFrame(cells).to_excel(file, index=False, header=False)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    return zipped(**parts | replaced)


NO_SHEETS = (
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<workbookPr/><bookViews><workbookView/></bookViews><sheets/></workbook>"
)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.csv", b"", "is empty; expected a header and rows"),
        ("t.csv", b"\n\n", "is empty; expected a header and rows"),
        ("t.csv", b"a,b\n", "expected a header and rows, found no rows"),
        ("t.csv", f"a,b\n1,2\n1,{CELL},3\n".encode(), "2 cells in line 3, found 3"),
        ("t.csv", f'a,b\n1,"{CELL}\n2,3\n'.encode(), "is never closed"),
        ("t.csv", f"a,b\n1,{CELL},3\n4,5,6\n".encode(), "names 2 columns and the rows hold"),
        ("t.csv", f"a,b\n{CELL}\xe9,2\n".encode("latin-1"), "save the file again as UTF-8"),
        ("t.csv", f"a,b\n{CELL},2\n".encode("utf-16"), "save the file again as UTF-8"),
        ("t.xlsx", f"a,b\n{CELL},2\n".encode(), "expected an Excel workbook"),
        ("t.xlsx", zipped(a=CELL), "expected an Excel workbook"),
        (
            "t.xlsx",
            workbook([[CELL]], **{"xl/worksheets/sheet1.xml": f"<a {CELL}"}),
            "expected an Excel workbook",
        ),
        ("t.parquet", f"a,b\n{CELL},2\n".encode(), "expected a Parquet file"),
        ("t.json", f'[{{"a": "{CELL}"'.encode(), "line 1, column"),
        ("t.json", f'"{CELL}"'.encode(), "expected a list of records"),
        ("t.json", f'["{CELL}"]'.encode(), "expected a list of records"),
        ("t.json", f'{{"a": "{CELL}"}}'.encode(), "expected a list of records"),
        ("t.json", f'{{"a": ["{CELL}"], "b": []}}'.encode(), "columns of one length"),
        ("t.json", f'[{{"a": "{CELL}\xe9"}}]'.encode("latin-1"), "as UTF-8"),
        ("t.json", b"[]", "found no rows"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_was_expected(
    name: str, content: bytes, text: str, tmp_path: Path
) -> None:
    """Each error names the file and what is wrong with it, and no part of it shows a cell."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        loaded(path)
    assert str(path) in str(caught.value)
    assert text in str(caught.value)
    assert CELL not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("ending", [".parquet", ".xlsx"])
def test_a_damaged_file_is_told_from_a_good_one(ending: str, tmp_path: Path) -> None:
    """Whatever a broken disk did to a file, the error is ours."""
    good = tmp_path / f"good{ending}"
    WRITERS[ending](pd.DataFrame({"a": range(500), "b": "x"}), good)
    content = good.read_bytes()
    for position in range(0, len(content), len(content) // 40):
        path = tmp_path / f"bad{ending}"
        path.write_bytes(content[:position] + b"\xff" * 30 + content[position + 30 :])
        try:
            loaded(path)
        except DataError as error:
            assert "damaged" in str(error)  # noqa: PT017 - some damage does no harm


def test_a_workbook_has_to_have_a_worksheet(tmp_path: Path) -> None:
    """A workbook of charts alone, or with an empty first sheet, is no table."""
    path = tmp_path / "t.xlsx"
    path.write_bytes(workbook([]))
    with pytest.raises(DataError, match="found no rows"):
        loaded(path)
    path.write_bytes(workbook([], **{"xl/workbook.xml": NO_SHEETS}))
    with pytest.raises(DataError, match="expected a worksheet, found none"):
        loaded(path)


@pytest.mark.parametrize("key", ["filepath", "schema"])
def test_a_file_that_is_not_there_is_told_with_its_place(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the path, and where a relative one was looked for."""
    monkeypatch.chdir(tmp_path)
    parameters = {"filepath": str(CARS), key: "nowhere.csv"}
    with pytest.raises(FileNotFoundError, match=r"no file nowhere.csv in ") as caught:
        LoaderAdapter("e", parameters).run({})
    assert str(tmp_path) in str(caught.value)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """The error says that a file in it is meant."""
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="is a directory; name the file in it"):
        loaded(tmp_path / "t.csv")
