"""Spans as tables, and where exports are written."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from petsard_otel import attributes
from petsard_otel.exceptions import ExportError
from petsard_otel.exporting.tables import ATTRIBUTE_COLUMNS, COLUMNS, spans_csv, spans_parquet
from petsard_otel.exporting.writing import write_file, write_stdout
from petsard_otel.version import __version__

from .otlp_spans import ERROR, NOW, otlp_span, run_spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from petsard_otel.telemetry.otlp.spans import OtlpSpan


def read_csv(*spans: OtlpSpan) -> pd.DataFrame:
    """Read a CSV export as a person would, times as times and nothing taken for missing."""
    return pd.read_csv(
        io.BytesIO(b"".join(spans_csv(spans))),
        parse_dates=["start_time", "end_time"],
        dtype={"name": str, "attributes": str},
        keep_default_na=False,
        na_values={"end_time": "", "duration_seconds": "", "petsard.output.rows": ""},
    )


def read_parquet(*spans: OtlpSpan) -> pa.Table:
    """Read a Parquet export."""
    return parquet.read_table(io.BytesIO(spans_parquet(spans)))


def names_in(folder: Path) -> list[str]:
    """Give what is in a folder, hidden files too."""
    return [path.name for path in folder.iterdir()]


SPAN = otlp_span(
    2,
    "Loader[a]",
    0,
    1_500_000_001,
    1,
    links=(7,),
    status=ERROR,
    message="of its maker",
    petsard__module__name="Loader",
    petsard__module__position=-1,
    petsard__output__rows=1234,
    petsard__schema__added=("x, y", 'quoted "z"'),
    petsard__schema__added__count=2,
    petsard__schema__inferred__matches=True,
    petsard__step__context__epochs=3,
    error__type="ValueError",
)


def test_a_row_of_the_csv_is_one_span_word_for_word() -> None:
    """Ids are hexadecimal, times are UTC to the nanosecond, lists are JSON."""
    header, line = b"".join(spans_csv([SPAN])).decode().splitlines()

    assert header.startswith(
        "trace_id,span_id,parent_span_id,name,kind,start_time,end_time,duration_seconds,status,"
        "status_message,scope_name,scope_version,petsard.run.id,petsard.run.name,"
    )
    assert header.endswith(",error.type,exception.message,attributes,links,resource")
    assert line.startswith(
        f"{'0' * 28}abcd,0000000000000002,0000000000000001,Loader[a],internal,"
        "2026-11-30T00:53:20.123456789+00:00,2026-11-30T00:53:21.623456790+00:00,1.500000001,"
        "error,of its maker,petsard_otel,1.0,3f2a1b9c000000000000000000000000,,"
    )
    assert ',"[""x, y"", ""quoted \\""z\\""""]",2,' in line
    assert line.endswith(
        f',"[{{""trace_id"": ""{"0" * 28}abcd"", ""span_id"": ""0000000000000007""}}]",'
        '"{""service.name"": ""petsard""}"'
    )


def test_a_csv_is_read_back_by_pandas() -> None:
    """Times, numbers and names are what they were."""
    frame = read_csv(*run_spans(), otlp_span(9, "Reporter[r]", 5, None, 1))

    assert list(frame["name"]) == [
        "petsard run",
        "Reporter[r]",
        "Loader[a]",
        "schema",
        "schema",
        "Preprocessor[b]",
        "Preprocessor.fit",
        "Synthesizer[c]",
    ]
    assert [time.value - NOW for time in frame["start_time"]] == [0, 5, 10, 199, 199, 200, 200, 500]
    assert [time.value - NOW for time in frame["end_time"].dropna()] == [
        1000,
        200,
        200,
        200,
        500,
        300,
        1000,
    ]
    assert frame["end_time"].isna().tolist() == [False, True] + [False] * 6
    assert frame["duration_seconds"].tolist()[2] == 1.9e-07
    assert frame["petsard.output.rows"].dropna().tolist() == [7]
    assert json.loads(frame["petsard.sequence"][0]) == ["Loader", "Preprocessor", "Synthesizer"]


def test_the_types_of_the_parquet_are_those_of_the_values() -> None:
    """Nobody has to parse a number, a time or a list."""
    table = read_parquet(*run_spans())

    assert table.schema.names == list(COLUMNS)
    assert table.schema.field("start_time").type == pa.timestamp("ns", tz="UTC")
    assert table.schema.field("duration_seconds").type == pa.float64()
    assert table.schema.field("petsard.output.rows").type == pa.int64()
    assert table.schema.field("petsard.schema.inferred.matches").type == pa.bool_()
    assert table.schema.field("petsard.schema.added").type == pa.list_(pa.string())
    assert table.schema.field("attributes").type == pa.string()
    assert table.schema.equals(read_parquet().schema)


def test_a_row_of_the_parquet_is_one_span() -> None:
    """Every value as it was, and all attributes once more as JSON."""
    (row,) = read_parquet(SPAN).to_pylist()

    shown = {name: value for name, value in row.items() if value is not None}
    said = json.loads(shown.pop("attributes"))
    assert shown == {
        "trace_id": "0000000000000000000000000000abcd",
        "span_id": "0000000000000002",
        "parent_span_id": "0000000000000001",
        "name": "Loader[a]",
        "kind": "internal",
        "start_time": pd.Timestamp(NOW, tz="UTC"),
        "end_time": pd.Timestamp(NOW + 1_500_000_001, tz="UTC"),
        "duration_seconds": 1.500000001,
        "status": "error",
        "status_message": "of its maker",
        "scope_name": "petsard_otel",
        "scope_version": "1.0",
        "petsard.run.id": "3f2a1b9c000000000000000000000000",
        "petsard.module.name": "Loader",
        "petsard.module.position": -1,
        "petsard.output.rows": 1234,
        "petsard.schema.added": ["x, y", 'quoted "z"'],
        "petsard.schema.added.count": 2,
        "petsard.schema.inferred.matches": True,
        "error.type": "ValueError",
        "links": '[{"trace_id": "0000000000000000000000000000abcd", '
        '"span_id": "0000000000000007"}]',
        "resource": '{"service.name": "petsard"}',
    }
    assert said == {
        "petsard.run.id": "3f2a1b9c000000000000000000000000",
        "petsard.module.name": "Loader",
        "petsard.module.position": -1,
        "petsard.output.rows": 1234,
        "petsard.schema.added": ["x, y", 'quoted "z"'],
        "petsard.schema.added.count": 2,
        "petsard.schema.inferred.matches": True,
        "petsard.step.context.epochs": 3,
        "error.type": "ValueError",
    }


def test_the_parquet_says_who_made_it_of_what() -> None:
    """Its metadata has the version and the run."""
    metadata = read_parquet(*run_spans()).schema.metadata

    assert metadata[b"petsard_otel.version"] == __version__.encode()
    assert metadata[b"petsard.run.id"] == b"3f2a1b9c000000000000000000000000"


def test_every_attribute_of_a_span_of_ours_has_a_column() -> None:
    """A new key needs a column, or a place among those that need none."""
    keys = {
        value
        for name, value in vars(attributes).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("METRIC_")
    }
    assert keys - set(ATTRIBUTE_COLUMNS) == {
        "petsard_otel",
        "petsard.step.context.",
        "code.function.name",
        "code.line.number",
    }


def test_a_damaged_value_is_kept_as_json_alone() -> None:
    """A column's type does not depend on what a foreign file holds."""
    span = otlp_span(
        1, "A", 0, 9, petsard__output__rows="many", petsard__module__name=7,
        petsard__schema__added=("x", 1), petsard__schema__inferred__matches=1,
        petsard__schema__added__count=True,
    )  # fmt: skip

    (row,) = read_parquet(span).to_pylist()
    assert row["petsard.output.rows"] is None
    assert row["petsard.module.name"] is None
    assert row["petsard.schema.added"] is None
    assert row["petsard.schema.inferred.matches"] is None
    assert row["petsard.schema.added.count"] is None
    assert json.loads(row["attributes"])["petsard.output.rows"] == "many"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(name: str) -> None:
    """A spreadsheet shows the text; the attributes beside it have it as it was."""
    frame = read_csv(otlp_span(1, name, 0, 9, petsard__experiment__name=name))

    assert frame["name"][0] == "'" + name
    assert frame["petsard.experiment.name"][0] == "'" + name
    assert json.loads(frame["attributes"][0])["petsard.experiment.name"] == name


def test_numbers_in_the_csv_stay_numbers() -> None:
    """A negative one is no formula."""
    assert read_csv(SPAN)["petsard.module.position"][0] == -1


def test_a_time_past_the_year_2262_is_missing_from_the_parquet() -> None:
    """Damage in one span does not lose the others."""
    span = otlp_span(1, "A", 0, 9)._replace(end_time=2**64 - 1)

    (row,) = read_parquet(span).to_pylist()
    assert row["end_time"] is None
    assert row["start_time"] == pd.Timestamp(NOW, tz="UTC")
    assert read_csv(span)["end_time"][0].year == 2262


values = st.recursive(
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.text(), st.dictionaries(st.text(), values, max_size=4), st.integers(0, 2**40))
@example("\0", {"a": "\0"}, 1)
@example("a\0b", {}, 1)
def test_any_span_survives_both_tables(name: str, said: dict[str, Any], length: int) -> None:
    """What is read back is what was written, whatever is in a foreign span."""
    span = otlp_span(1, "", 0, length, run=None)._replace(name=name, attributes=said)

    (row,) = read_parquet(span).to_pylist()
    frame = read_csv(span)
    assert row["name"] == name
    readable = name.replace("\0", "�")
    assert frame["name"][0] in {readable, f"'{readable}"}
    assert frame["attributes"][0] == row["attributes"]
    assert json.loads(row["attributes"]).keys() == said.keys()
    assert frame["end_time"][0] == row["end_time"] == pd.Timestamp(NOW + length, tz="UTC")
    assert frame["duration_seconds"][0] == row["duration_seconds"] == length / 1e9


def test_a_name_that_is_not_quite_text_is_written_all_the_same() -> None:
    """Half a surrogate pair, as a name out of a damaged file may have."""
    span = otlp_span(1, "A", 0, 9)._replace(name="half \ud83d", attributes={"a": "\ud83d"})

    assert read_parquet(span)["name"].to_pylist() == ["half ?"]
    assert read_csv(span)["name"].tolist() == ["half ?"]


def test_no_spans_make_a_table_without_rows() -> None:
    """Its columns are there."""
    assert read_parquet().num_rows == 0
    assert len(read_csv()) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such modes")
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_a_file_can_be_read_by_its_owner_alone(tmp_path: Path, umask: int) -> None:
    """Whatever the umask."""
    before = os.umask(umask)
    try:
        write_file([b"one ", b"two"], tmp_path / "export.csv")
    finally:
        os.umask(before)

    assert (tmp_path / "export.csv").read_bytes() == b"one two"
    assert stat.S_IMODE((tmp_path / "export.csv").stat().st_mode) == 0o600
    assert names_in(tmp_path) == ["export.csv"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Nothing is even asked of what would be written."""
    asked = []

    def chunks() -> Iterator[bytes]:
        asked.append("once")
        yield b"new"

    path = tmp_path / "export.csv"
    path.write_text("mine")
    with pytest.raises(ExportError, match=r"export\.csv' is there already: add --force"):
        write_file(chunks(), path)
    assert asked == []
    assert path.read_text() == "mine"
    assert names_in(tmp_path) == ["export.csv"]


def test_a_file_that_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Two exports to one name: the second to finish finds it taken."""
    path = tmp_path / "export.csv"

    def slow() -> Iterator[bytes]:
        yield b"slow"
        write_file([b"quick"], path)

    with pytest.raises(ExportError, match="is there already"):
        write_file(slow(), path)
    assert path.read_bytes() == b"quick"
    assert names_in(tmp_path) == ["export.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such modes")
def test_force_replaces_a_file_and_its_mode(tmp_path: Path) -> None:
    """Others could read what was there; not what is there now."""
    path = tmp_path / "export.csv"
    path.write_text("mine")
    path.chmod(0o644)

    write_file([b"new"], path, may_overwrite=True)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("may_overwrite", [False, True])
def test_an_export_that_fails_leaves_nothing_and_what_was_there(
    tmp_path: Path, *, may_overwrite: bool
) -> None:
    """All of it or nothing."""
    path = tmp_path / "export.csv"
    if may_overwrite:
        path.write_text("mine")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(broken(), path, may_overwrite=may_overwrite)
    assert [name.read_text() for name in tmp_path.iterdir()] == (["mine"] if may_overwrite else [])


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    """Its name is taken."""
    (tmp_path / "export.csv").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ExportError, match="is there already"):
        write_file([b"new"], tmp_path / "export.csv")
    assert names_in(tmp_path) == ["export.csv"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """And a folder is no file."""
    with pytest.raises(ExportError, match=r"none/export\.csv' cannot be written: No such file"):
        write_file([b"new"], tmp_path / "none" / "export.csv")
    with pytest.raises(ExportError, match="cannot be written: Is a directory"):
        write_file([b"new"], tmp_path, may_overwrite=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """As is /dev/stdout, which must not become a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_file, args=([b"one ", b"two"], pipe))
    writer.start()
    try:
        assert pipe.read_bytes() == b"one two"
    finally:
        writer.join()
    assert pipe.is_fifo()


class Terminal(io.TextIOWrapper):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_stdout_takes_text_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After what was printed before."""
    kept = io.BytesIO()
    stdout = io.TextIOWrapper(kept, encoding="utf-8")
    monkeypatch.setattr("sys.stdout", stdout)
    stdout.write("before ")

    write_stdout([b"\x00", b"\xff"], is_binary=True)

    assert kept.getvalue() == b"before \x00\xff"


def test_a_terminal_gets_no_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text it gets."""
    kept = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(kept, encoding="utf-8"))

    with pytest.raises(ExportError, match="not for a terminal: name a file by --output PATH"):
        write_stdout([b"\x00"], is_binary=True)
    write_stdout([b"text"], is_binary=False)
    assert kept.getvalue() == b"text"
