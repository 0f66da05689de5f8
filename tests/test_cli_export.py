"""`petsard-otel export` and `import`, as a user starts them: in a process of their own."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace
from pyarrow import parquet

from petsard_otel import Status
from petsard_otel.exporting.formats import otlp_json_lines
from petsard_otel.history.reading import open_history
from petsard_otel.telemetry.otlp.json_lines import read_lines

from .test_cli import COMMAND, PIPELINE, environment

if TYPE_CHECKING:
    from pathlib import Path


def command(*arguments: str, within: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end; its output may be no text."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        timeout=120,
        cwd=within,
        env=environment(),
    )


def exported(*arguments: str, within: Path) -> bytes:
    """Export to stdout; nothing is said beside it."""
    result = command("export", "last", *arguments, within=within)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which a pipeline has been run."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "people.csv").write_text("name,age\n" + "".join(f"p{n},{n}\n" for n in range(20)))
    (folder / "pipeline.yaml").write_text(PIPELINE)
    result = command("run", "pipeline.yaml", "--quiet", within=folder)
    assert result.returncode == 0, result.stderr
    return folder


def span_ids(history: Path | None = None) -> set[str]:
    """Give the ids of the spans of the last run that is kept."""
    with open_history(history) as found:
        return {f"{span.context.span_id:016x}" for span in found.spans(found.find("last"))}


@pytest.fixture
def ids(folder: Path) -> set[str]:
    """Give the ids of the run's spans."""
    return span_ids(folder)


def test_otlp_json_is_what_a_status_is_rebuilt_from(folder: Path, tmp_path: Path) -> None:
    """The default format; its answers are those of the history."""
    (tmp_path / "run.jsonl").write_bytes(exported(within=folder))

    rebuilt = Status.from_otlp(tmp_path / "run.jsonl")
    kept = Status.load("last", history=folder)
    assert rebuilt.get_status_summary() == kept.get_status_summary()
    assert rebuilt.get_snapshots() == kept.get_snapshots()


def test_csv_has_every_span(folder: Path, ids: set[str]) -> None:
    """One row each."""
    frame = pd.read_csv(io.BytesIO(exported("--format", "csv", within=folder)), dtype=str)

    assert set(frame["span_id"]) == ids
    assert len(frame) == len(ids)
    assert set(frame["petsard.run.name"].dropna()) == {"pipeline"}


def test_parquet_has_every_span(folder: Path, ids: set[str]) -> None:
    """And the run in its metadata."""
    table = parquet.read_table(io.BytesIO(exported("--format", "parquet", within=folder)))

    assert set(table["span_id"].to_pylist()) == ids
    assert len(table.schema.metadata[b"petsard.run.id"]) == 32


def test_perfetto_has_every_span(folder: Path, ids: set[str]) -> None:
    """Under the name of the configuration."""
    trace = Trace.FromString(exported("--format", "perfetto", within=folder))

    shown = {
        entry.string_value
        for packet in trace.packet
        for entry in packet.track_event.debug_annotations
        if entry.name == "span_id"
    }
    assert shown == ids
    (process,) = (
        packet.track_descriptor.process.process_name
        for packet in trace.packet
        if packet.track_descriptor.HasField("process")
    )
    assert process == "pipeline"


@pytest.mark.parametrize("format", ["otlp-json", "csv", "parquet", "perfetto"])
def test_a_file_holds_what_stdout_would_and_is_its_owners_alone(
    folder: Path, tmp_path: Path, format: str
) -> None:
    """What was written is said on stderr, and stdout stays empty."""
    path = tmp_path / "run.out"

    result = command("export", "last", "--format", format, "--output", str(path), within=folder)

    assert (result.returncode, result.stdout) == (0, b"")
    assert b" written to " in result.stderr
    assert (b"https://ui.perfetto.dev" in result.stderr) == (format == "perfetto")
    assert path.read_bytes() == exported("--format", format, within=folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_needs_force(folder: Path, tmp_path: Path) -> None:
    """Exit code 1, and the file as it was; with --force it is replaced."""
    (tmp_path / "run.csv").write_text("mine")
    arguments = ("export", "last", "--format", "csv", "-o", str(tmp_path / "run.csv"))

    result = command(*arguments, within=folder)

    assert result.returncode == 1
    assert b"is there already: add --force to replace it" in result.stderr
    assert (tmp_path / "run.csv").read_text() == "mine"
    assert command(*arguments, "--force", within=folder).returncode == 0
    assert (tmp_path / "run.csv").read_text().startswith("trace_id,")


@pytest.mark.parametrize("format", ["parquet", "perfetto"])
def test_a_terminal_gets_no_binary(folder: Path, format: str) -> None:
    """It would only be upset."""
    ours, theirs = pty.openpty()
    try:
        result = subprocess.run(
            [*COMMAND, "export", "last", "--format", format],
            check=False,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=120,
            cwd=folder,
            env=environment(),
        )
    finally:
        os.close(theirs)
        os.close(ours)

    assert result.returncode == 1
    assert b"not for a terminal: name a file by --output PATH" in result.stderr


def test_a_reader_that_goes_is_no_error(folder: Path) -> None:
    """As under `| head -1`."""
    with subprocess.Popen(
        [*COMMAND, "export", "last", "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=120) == 0


def test_an_unknown_run_is_said(folder: Path) -> None:
    """Exit code 2."""
    result = command("export", "f" * 32, within=folder)

    assert (result.returncode, result.stdout) == (2, b"")
    assert b"there is no run" in result.stderr


@pytest.mark.parametrize("count", [1, 1500])
def test_no_line_of_otlp_json_is_too_long_for_the_collector(count: int) -> None:
    """Its receiver stops at a mebibyte; every span is there once, under its resource and scope."""
    data = TracesData()
    for service in ("a", "b"):
        around = data.resource_spans.add(schema_url="https://x")
        around.resource.attributes.add(key="service.name").value.string_value = service
        inside = around.scope_spans.add()
        inside.scope.name = "petsard_otel"
        for number in range(count):
            span = inside.spans.add(trace_id=b"\1" * 16, span_id=number.to_bytes(8, "big"))
            span.attributes.add(key="long").value.string_value = "x" * 2000

    lines = b"".join(otlp_json_lines(data)).splitlines(keepends=True)

    assert max(map(len, lines)) <= 1_000_000
    assert len(lines) == (1 if count == 1 else 8)
    joined = TracesData()
    for message in read_lines(b"".join(lines)).messages:
        for around in message.resource_spans:
            if joined.resource_spans and joined.resource_spans[-1].resource == around.resource:
                joined.resource_spans[-1].scope_spans[0].spans.extend(around.scope_spans[0].spans)
            else:
                joined.resource_spans.append(around)
    assert joined == data


def test_an_export_can_be_imported_and_answers_alike(folder: Path, tmp_path: Path) -> None:
    """Into a history that is not there yet; what is exported from that is the same."""
    (tmp_path / "run.jsonl").write_bytes(exported(within=folder))

    result = command("import", "run.jsonl", "--history", "new.db", within=tmp_path)

    assert result.returncode == 0
    assert b" added: " in result.stderr
    assert Status.load("last", history=tmp_path / "new.db").get_status_summary() == (
        Status.load("last", history=folder).get_status_summary()
    )
    for name in ("csv", "otlp-json"):
        there = exported("--format", name, "--history", str(tmp_path / "new.db"), within=folder)
        assert there == exported("--format", name, within=folder)


def test_an_import_into_the_history_that_is_here(folder: Path, tmp_path: Path) -> None:
    """It has the run, which stays as it is."""
    (tmp_path / "run.jsonl").write_bytes(exported(within=folder))

    result = command("import", str(tmp_path / "run.jsonl"), within=folder)

    assert result.returncode == 0
    assert b"is there already; it stays as it is" in result.stderr


def test_what_cannot_be_imported_is_said_and_the_rest_is(folder: Path, tmp_path: Path) -> None:
    """Source by source: a file that is missing, one of another program, one that is torn."""
    whole = exported(within=folder)
    foreign = json.dumps(
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "GET", "spanId": "ab" * 8}]}]}]}
    )
    (tmp_path / "foreign.jsonl").write_text(foreign)
    (tmp_path / "torn.jsonl").write_bytes(whole + whole[: len(whole) // 2])

    result = command(
        "import", "no.jsonl", "foreign.jsonl", "torn.jsonl", "--history", "new.db", within=tmp_path
    )

    said = result.stderr.decode()
    assert result.returncode == 1
    assert "there is no file 'no.jsonl'" in said
    assert "1 span of other programs in 'foreign.jsonl' passed over" in said
    assert "there is no run in 'foreign.jsonl'" in said
    assert "1 of 2 lines cannot be read (line 2: cut off)" in said
    assert " added: " in said
    assert span_ids(tmp_path / "new.db") == span_ids(folder)


def test_a_torn_file_fails_the_import_though_all_its_runs_are_whole(
    folder: Path, tmp_path: Path
) -> None:
    """Somebody has to know that there was more."""
    whole = exported(within=folder)
    (tmp_path / "torn.jsonl").write_bytes(whole + whole[:500])

    result = command("import", "torn.jsonl", "--history", "new.db", within=tmp_path)

    assert result.returncode == 1
    assert b"1 of 2 lines cannot be read (line 2: cut off)" in result.stderr
    assert span_ids(tmp_path / "new.db") == span_ids(folder)


def test_a_source_that_is_missing_fails_the_import_after_the_others(
    folder: Path, tmp_path: Path
) -> None:
    """What could be read is there all the same."""
    (tmp_path / "run.jsonl").write_bytes(exported(within=folder))

    result = command("import", "no.jsonl", "run.jsonl", "--history", "new.db", within=tmp_path)

    assert result.returncode == 1
    assert span_ids(tmp_path / "new.db") == span_ids(folder)


def test_a_damaged_span_is_named_without_what_it_holds(folder: Path, tmp_path: Path) -> None:
    """The others of its run are there."""
    document = json.loads(exported(within=folder))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    damaged = next(span for span in spans if span["name"] == "Loader[people]")
    for entry in damaged["attributes"]:
        if entry["key"] == "petsard.module.position":
            entry["value"] = {"stringValue": "secret"}
    (tmp_path / "run.jsonl").write_text(json.dumps(document))

    result = command("import", "run.jsonl", "--history", "new.db", within=tmp_path)

    said = result.stderr.decode()
    assert result.returncode == 1
    assert f"1 span in 'run.jsonl' cannot be read and left out (span {damaged['spanId']}" in said
    assert "secret" not in said
    assert span_ids(tmp_path / "new.db") == span_ids(folder) - {damaged["spanId"]}


def test_help_needs_none_of_the_heavy_libraries() -> None:
    """Nor does the parser of these commands."""
    program = (
        "import sys\nfrom petsard_otel.cli.parser import parser\nparser()\n"
        "assert not {'pandas', 'pyarrow', 'google.protobuf'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
