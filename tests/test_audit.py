"""The audit: it finds what leaks, under each encoding, and says so; it passes what does not."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from petsard_otel import Attribute, ConfigError, Schema, Status, step_span
from petsard_otel.audit.audit import audit
from petsard_otel.audit.evidence import Evidence
from petsard_otel.audit.examination import examine, exhibits
from petsard_otel.audit.payloads import Payload
from petsard_otel.audit.planting import CATEGORIES, Planter
from petsard_otel.audit.search import Searcher
from petsard_otel.audit.sentinels import Mint, Sentinel
from petsard_otel.audit.tables import every_type

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent

PIPELINE = """\
Loader:
  people: {filepath: people.csv}
Synthesizer:
  copula: {method: default, random_state: 1}
"""


def petsard_otel(*arguments: str, within: Path, **variables: str) -> Any:
    """Run the command to its end, in an environment that says nothing of telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PETSARD_OTEL_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "petsard_otel", *arguments],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=180,
        cwd=within,
        env={**kept, "COLUMNS": "100", "TERM": "xterm", **variables},
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a small table and a pipeline, as the current one."""
    rows = [
        f"name {n},{('cook', 'nurse')[n % 2]},{1000 + n},{n / 7},2020-01-{n + 1:02},{n > 9}\n"
        for n in range(30)
    ]
    (tmp_path / "people.csv").write_text("name,job,income,height,born,member\n" + "".join(rows))
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The audit of a pipeline.


def test_the_demo_is_private(tmp_path: Path) -> None:
    """The whole demo pipeline is audited, nothing is found, and no file is written."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    before = sorted(tmp_path.rglob("*"))
    (tmp_path / "tmp").mkdir()
    found = petsard_otel(
        "audit", "examples/pipeline.yaml", within=tmp_path, TMPDIR=str(tmp_path / "tmp")
    )

    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "Audit of examples/pipeline.yaml"
    assert lines[1] == (
        "captures structure · column names plain · exceptions' messages withheld · "
        "log texts withheld"
    )
    rows = {line[:18].strip(): line.split()[-1] for line in lines[5:14]}
    assert rows == {
        "traces over gRPC": "none",
        "traces over HTTP": "none",
        "metrics": "none",
        "logs": "none",
        "reports": "none",
        "log output": "none",
        "reprs": "none",
        "history": "none",
        "exports": "none",
    }
    assert lines[-1] == "✓ nothing that was planted left"
    (tmp_path / "tmp").rmdir()
    assert sorted(tmp_path.rglob("*")) == before


def test_json_tells_everything(folder: Path) -> None:
    """With `--format json`, stdout holds one object."""
    found = petsard_otel("audit", "pipeline.yaml", "--format", "json", "-q", within=folder)

    assert (found.returncode, found.stderr) == (0, "")
    result = json.loads(found.stdout)
    assert result["private"] is True
    assert (result["finds"], result["problems"], result["failure"]) == ([], [], None)
    assert result["notes"] == [
        "columns of too few values to tell one apart, not planted: 1 of bool",
        (
            "names of columns leave as they are; see that none is data: name, job, income, height, "
            "born, member (PETSARD_OTEL_FIELD_NAMES=hashed hides them)"
        ),
    ]
    assert result["artefacts"][0].keys() == {"name", "items", "bytes_searched", "sentinels"}
    assert all(row["items"] and row["bytes_searched"] for row in result["artefacts"])
    assert [row["name"] for row in result["artefacts"]][-2:] == ["history", "exports"]
    assert {
        "text cell",
        "category",
        "whole-number cell",
        "number cell",
        "date cell",
        "secret",
        "column name",
        "exception's message",
        "log argument",
    } <= result["planted"].keys()


def test_what_is_opted_into_is_a_find(folder: Path) -> None:
    """Where messages of exceptions are sent, the audit says that they quote cells, and where."""
    found = petsard_otel(
        "audit", "pipeline.yaml", within=folder, PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES="true"
    )

    assert found.returncode == 1
    assert "exceptions' messages sent" in found.stdout
    assert (
        "✗ attribute exception.message in traces over gRPC, traces over HTTP, logs, history: "
        in found.stdout
    )
    assert "in span Loader.audited, attribute exception.message, as" in found.stdout
    assert "✗ export as parquet in exports: " in found.stdout
    assert "✗ sentinels left, of those planted in" in found.stdout.splitlines()[-1]


@pytest.mark.usefixtures("folder")
def test_the_environment_cannot_make_the_audit_look_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that switch telemetry off, or send it elsewhere, do not reach the audit."""
    variables = {
        "OTEL_SDK_DISABLED": "true",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "TRACEPARENT": f"00-{1:032x}-{1:016x}-00",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "BAGGAGE": "of=mine",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = audit("pipeline.yaml", {"Synthesizer": LeaksInAStep})

    assert result.problems == ()
    assert "attribute petsard.step.name" in {find.way for find in result.finds}
    assert {name: os.environ[name] for name in variables} == variables
    assert "NO_PROXY" not in os.environ


def test_a_pipeline_that_fails_is_audited_as_far_as_it_came(folder: Path) -> None:
    """The failure is told, the rest is looked at, and the audit does not pass."""
    (folder / "people.csv").unlink()
    found = petsard_otel("audit", "pipeline.yaml", within=folder)

    assert found.returncode == 1
    last = " ".join(found.stdout.split("\n\n")[-1].split())
    assert last == (
        "✗ the pipeline did not come to its end: Loader[people] failed: FileNotFoundError: "
        f"there is no file people.csv in {folder}; check the path "
        "nothing that was planted was found in what could be searched"
    )


def test_a_bad_configuration_is_told_as_elsewhere(folder: Path) -> None:
    """Exit code 2, with the user's own file and line."""
    (folder / "bad.yaml").write_text("Loader:\n  people: {filpath: people.csv}\n")
    found = petsard_otel("audit", "bad.yaml", within=folder)

    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("petsard-otel: error: bad.yaml:2: Loader[people].filpath: ")


def test_a_variable_that_cannot_be_is_told(folder: Path) -> None:
    """A PETSARD_OTEL_* variable is checked before anything runs."""
    found = petsard_otel("audit", "pipeline.yaml", within=folder, PETSARD_OTEL_CAPTURE="all")

    assert (found.returncode, found.stdout) == (2, "")
    assert "PETSARD_OTEL_CAPTURE is structure or statistics (found 'all')" in found.stderr


def test_the_process_is_left_as_it_was(folder: Path) -> None:
    """Loggers, environment and the current folder are what they were."""
    loggers = [logging.getLogger(name) for name in ("petsard_otel", "PETsARD", "opentelemetry")]

    def state() -> Any:
        return (
            [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers],
            # What libraries for numbers set when they are first used stays.
            {name: value for name, value in os.environ.items() if not name.startswith("KMP_")},
            sorted(folder.iterdir()),
            threading.active_count(),
        )

    before = state()
    result = audit("pipeline.yaml")

    assert result.is_private
    result.assert_private()
    assert state() == before


def test_a_log_that_the_configuration_asks_for_is_not_written(folder: Path) -> None:
    """The `Executor:` section's file goes to the temporary folder, a Reporter's files too."""
    (folder / "logging.yaml").write_text(
        "Executor: {log_output_type: both, log_level: DEBUG, log_dir: logs, log_filename: ../x}\n"
        f"{PIPELINE}Reporter:\n  tables: {{method: save_data, source: Synthesizer}}\n"
    )
    found = petsard_otel("audit", "logging.yaml", within=folder)

    assert (found.returncode, found.stderr) == (0, "")
    assert {path.name for path in folder.iterdir()} == {
        "people.csv",
        "pipeline.yaml",
        "logging.yaml",
    }


# Modules that leak.


class HonestAdapter:
    """A Synthesizer that hands its table on; others tell of a cell what they should not."""

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._data = pd.DataFrame()

    def set_input(self, status: Status) -> dict[str, Any]:
        return {"status": status, "data": status.get_result("Loader")}

    def run(self, input: dict[str, Any]) -> None:
        self._data = input["data"]
        for cell in planted_names(self._data):
            self.leak(cell, input["status"])

    def leak(self, cell: str, status: Status) -> None:
        """Keep the cell."""

    def get_result(self) -> pd.DataFrame:
        return self._data

    def get_metadata(self) -> Schema:
        return Schema.from_dataframe(self._data, "people")


class NamesColumns(HonestAdapter):
    """Names columns for the categories that it found."""

    def get_metadata(self) -> Schema:
        jobs = self._data["job"].unique()
        return Schema.of("people", [Attribute(f"job_{job}", "int64") for job in jobs])


def planted_names(data: pd.DataFrame) -> list[str]:
    """Give the texts of the first column that were not in the file."""
    return [name for name in data["name"] if not name.startswith("name ")]


class LeaksInAStep(HonestAdapter):
    """Names a step for a cell."""

    def leak(self, cell: str, status: Status) -> None:
        with step_span(f"fit {cell}"):
            pass


class LeaksInBase64(HonestAdapter):
    """Names a step for a cell, encoded."""

    def leak(self, cell: str, status: Status) -> None:
        with step_span(base64.b64encode(f"x{cell}".encode()).decode()):
            pass


class LeaksInHexadecimal(HonestAdapter):
    """Names a step for a cell, in another encoding."""

    def leak(self, cell: str, status: Status) -> None:
        with step_span(cell.encode().hex()):
            pass


class LeaksInTwoSteps(HonestAdapter):
    """Names two steps for two pieces of a cell, each too short to be told."""

    def leak(self, cell: str, status: Status) -> None:
        with step_span(cell[2:7]):
            pass
        with step_span(cell[7:12]):
            pass


class LeaksInAnExperiment(HonestAdapter):
    """Times a step of an experiment named for a cell."""

    def leak(self, cell: str, status: Status) -> None:
        status.start_timing("Synthesizer", f"for {cell}", "fit")
        status.end_timing("Synthesizer", f"for {cell}", "fit")


class LeaksAsANumber(HonestAdapter):
    """Keeps a cell with a timing: numbers of its context travel."""

    def leak(self, cell: str, status: Status) -> None:
        for income in status.get_result("Loader")["income"]:
            status.start_timing("Synthesizer", "leaky", "fit", {"income": int(income)})
            status.end_timing("Synthesizer", "leaky", "fit")


class LeaksInAClass(HonestAdapter):
    """Raises an error whose class is named for a cell."""

    def leak(self, cell: str, status: Status) -> None:
        raise type(f"NoSuchName_{cell}", (ValueError,), {})("sorry")


@pytest.mark.parametrize(
    ("leaking", "kind", "place", "encoding"),
    [
        (
            LeaksInAStep,
            "a text cell of Loader[people], column 1 (str)",
            "attribute petsard.step.name",
            "plain text",
        ),
        (
            LeaksInBase64,
            "a text cell of Loader[people], column 1 (str)",
            "attribute petsard.step.name",
            "base64",
        ),
        (
            LeaksInHexadecimal,
            "a text cell of Loader[people], column 1 (str)",
            "attribute petsard.step.name",
            "hexadecimal",
        ),
        (
            LeaksInTwoSteps,
            "a text cell of Loader[people], column 1 (str)",
            "all spans, attribute petsard.step.name joined",
            "plain text",
        ),
        (
            LeaksInAnExperiment,
            "a text cell of Loader[people], column 1 (str)",
            "span Synthesizer.fit, attribute petsard.experiment.name",
            "plain text",
        ),
        (
            LeaksAsANumber,
            "a whole-number cell of Loader[people], column 3 (int64)",
            "span Synthesizer.fit, attribute petsard.step.context.income",
            "a number",
        ),
        (
            LeaksInAClass,
            "a category of Loader[people], column 1 (str)",
            "span Synthesizer[copula], attribute error.type",
            "plain text",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_module_that_leaks_is_found(
    leaking: type[HonestAdapter], kind: str, place: str, encoding: str
) -> None:
    """Each way out of a cell is a find, with its sentinel, its place and its encoding."""
    result = audit("pipeline.yaml", {"Synthesizer": leaking})

    assert not result.is_private
    found = {(find.what, find.encoding) for find in result.finds if find.place.endswith(place)}
    assert (kind.replace("(str)", f"({text_type()})"), encoding) in found
    with pytest.raises(AssertionError, match="the audit found something"):
        result.assert_private()


def text_type() -> str:
    """Give the type that this pandas gives to columns of text."""
    return str(pd.Series(["a"]).dtype).replace("object", "object of str")


@pytest.mark.usefixtures("folder")
def test_a_column_named_for_a_category_is_found() -> None:
    """The schema shows names of columns, so a module must not make them of cells."""
    result = audit("pipeline.yaml", {"Synthesizer": NamesColumns})

    found = {(find.what.partition(" of ")[0], find.way) for find in result.finds}
    assert ("a category", "attribute petsard.schema.output.json") in found
    assert ("a category", "attribute petsard.schema.added") in found


class LeaksInASpanOfItsOwn(HonestAdapter):
    """Opens a span as a library would."""

    def leak(self, cell: str, status: Status) -> None:
        with trace.get_tracer("somebody").start_as_current_span(cell) as span:
            span.set_attribute("cell", cell)


class LeaksOnTheCurrentSpan(HonestAdapter):
    """Writes to the span that is current."""

    def leak(self, cell: str, status: Status) -> None:
        span = trace.get_current_span()
        span.set_attribute("cell", cell)
        span.add_event(cell)
        span.update_name(cell)


class LeaksInTheLog(HonestAdapter):
    """Logs a cell, as modules do."""

    def leak(self, cell: str, status: Status) -> None:
        logging.getLogger("PETsARD.Leaky").error("cannot read %s", cell)


@pytest.mark.parametrize(
    "leaking", [HonestAdapter, LeaksInASpanOfItsOwn, LeaksOnTheCurrentSpan, LeaksInTheLog]
)
@pytest.mark.usefixtures("folder")
def test_a_module_that_tries_and_is_stopped_is_no_find(
    leaking: type[HonestAdapter],
) -> None:
    """What the gate holds back has not left."""
    audit("pipeline.yaml", {"Synthesizer": leaking}).assert_private()


class BrittleAdapter(HonestAdapter):
    """A module that cannot work on numbers as large as the planted ones."""

    def run(self, input: dict[str, Any]) -> None:
        super().run(input)
        if self._data["income"].max() > 1_000_000:
            raise OverflowError("too large")


@pytest.mark.usefixtures("folder")
def test_a_pipeline_that_fails_on_planted_cells_is_run_with_fewer() -> None:
    """Where numbers cannot be planted, categories are, and the result says so."""
    result = audit("pipeline.yaml", {"Synthesizer": BrittleAdapter})

    result.assert_private()
    assert result.failure is None
    assert result.notes[0] == (
        "the pipeline fails on planted cells (Synthesizer[copula]: OverflowError), so categories "
        "alone is what the tables got that it reads; the replays have them all"
    )


@pytest.mark.usefixtures("folder")
def test_a_configuration_can_be_a_dict() -> None:
    """A dict is audited as a file is, and stays as it was."""
    config = {"Loader": {"people": {"filepath": "people.csv"}}}
    result = audit(config)

    assert result.is_private
    assert result.name == "the configuration"
    assert config == {"Loader": {"people": {"filepath": "people.csv"}}}
    with pytest.raises(ConfigError, match="did you mean 'Loader'"):
        audit({"Lader": {}})


# The controls.


def request(*names: str, protocol: str = "grpc") -> Payload:
    """Give a request with spans of these names."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for name in names:
        scope.spans.add().name = name
    return Payload("traces", protocol, message.SerializeToString())


def examined(mint: Mint, *payloads: Payload) -> Any:
    """Search the traces over gRPC of some requests, in which a Loader must be."""
    evidence = Evidence()
    for payload in payloads:
        evidence.take_payload(payload)
    planted = list(mint.sentinels)
    mint.name("control", "the test")
    return examine(exhibits(evidence, ["Loader"])[0], planted, mint.sentinels[-1])


def test_an_audit_that_has_nothing_to_search_does_not_pass() -> None:
    """No request, or none with what must be in it, is a problem."""
    assert examined(Mint()).problems == (
        "traces over gRPC: there are none, so nothing was searched",
    )
    assert examined(Mint(), request("Synthesizer")).problems == (
        "traces over gRPC: 'Loader' is not in them, though it must be",
    )
    assert examined(Mint(), request("Loader")).problems == ()
    assert examined(Mint(), request("Loader", protocol="http/protobuf")).problems == (
        "traces over gRPC: there are none, so nothing was searched",
    )


def test_metrics_and_logs_must_come_over_both_protocols() -> None:
    """An exporter that sends nothing is not taken for one that leaks nothing."""
    evidence = Evidence()
    evidence.take_payload(Payload("metrics", "grpc", b"Loader petsard.module.duration"))
    mint = Mint()
    mint.name("control", "the test")
    metrics = exhibits(evidence, ["Loader"])[2]

    assert examine(metrics, [], mint.sentinels[0]).problems == (
        "metrics: none came over http/protobuf",
    )


def test_compressed_requests_are_read() -> None:
    """A body in gzip is searched, and its finds have places."""
    mint = Mint()
    name = mint.text("text cell", "the test")
    plain = request("Loader", name)
    packed = Payload("traces", "grpc", gzip.compress(plain.body))
    found = examined(mint, packed)

    assert found.problems == ()
    assert [(find.what, find.encoding) for find in found.finds] == [
        ("a text cell of the test", "plain text")
    ]
    assert found.finds[0].place == f"span {name}, name"


def test_a_header_is_searched() -> None:
    """What is beside a request's body has left as well."""
    mint = Mint()
    header = f"Authorization: {mint.name('secret', 'the test')}".encode()
    found = examined(mint, Payload("traces", "grpc", request("Loader").body, header))

    assert [find.place for find in found.finds] == ["the bytes of a request, or its headers"]


# The search.

MINT = Mint()
TEXT = MINT.text("text cell", "the test")
CORE = MINT.sentinels[-1].cores[0]
INTEGER = MINT.integer("the test")
FLOAT = MINT.float_("the test")
AMONG = MINT.float_("the test", 0.0, 100.0)
MOMENT = MINT.moment("the test")
SPAN = MINT.time_span("the test")
DAY = MINT.date("the test")
UUID_ = MINT.uuid("the test")
SEARCHER = Searcher(MINT.sentinels)


def varint(value: int) -> bytes:
    """Write a number as protobuf does."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


NANOSECONDS = pd.Timestamp(MOMENT).as_unit("ns").value

FORMS: dict[str, tuple[object, bytes]] = {
    "text": (TEXT, TEXT.encode()),
    "latin": (TEXT, TEXT.encode("latin-1")),
    "json": (TEXT, json.dumps(TEXT).encode()),
    "repr": (TEXT, repr(TEXT).encode()),
    "upper case": (TEXT, TEXT.upper().encode()),
    "a piece": (TEXT, CORE[5:13].encode()),
    "utf-16": (TEXT, TEXT.encode("utf-16-le")),
    "utf-16 be": (TEXT, TEXT.encode("utf-16-be")),
    "utf-32": (TEXT, TEXT.encode("utf-32-le")),
    "base64": (TEXT, base64.b64encode(TEXT.encode())),
    "base64 +1": (TEXT, base64.b64encode(b"1" + TEXT.encode())),
    "base64 +2": (TEXT, base64.b64encode(b"12" + TEXT.encode())),
    "base64 for URLs": (TEXT, base64.urlsafe_b64encode(b"\xff\xfe" + TEXT.encode())),
    "base64, cut": (TEXT, base64.b64encode(TEXT.encode())[5:27]),
    "hex": (TEXT, TEXT.encode().hex().encode()),
    "HEX": (TEXT, TEXT.encode().hex().upper().encode()),
    "URL": (TEXT, quote(TEXT).encode()),
    "URL, all of it": (TEXT, "".join(f"%{byte:02X}" for byte in TEXT.encode()).encode()),
    "escapes": (TEXT, "".join(f"\\x{byte:02x}" for byte in TEXT.encode()).encode()),
    "unicode escapes": (TEXT, "".join(f"\\u{ord(letter):04x}" for letter in TEXT).encode()),
    "gzip": (TEXT, gzip.compress(TEXT.encode())),
    "base64 of gzip": (TEXT, base64.b64encode(gzip.compress(TEXT.encode()))),
    "base64 of hex": (TEXT, base64.b64encode(TEXT.encode().hex().encode())),
    "base64 twice": (TEXT, base64.b64encode(base64.b64encode(TEXT.encode()))),
    "integer": (INTEGER, str(INTEGER).encode()),
    "integer as float": (INTEGER, str(float(INTEGER)).encode()),
    "integer with commas": (INTEGER, f"{INTEGER:,}".encode()),
    "integer in %g": (INTEGER, f"{INTEGER:g}".encode()),
    "integer in %e": (INTEGER, f"{INTEGER:e}".encode()),
    "integer in hundredths": (INTEGER, f"{INTEGER}.00".encode()),
    "integer as varint": (INTEGER, b"\x18" + varint(INTEGER)),
    "integer as int64": (INTEGER, struct.pack("<q", INTEGER)),
    "integer as big-endian": (INTEGER, struct.pack(">q", INTEGER)),
    "integer as double": (INTEGER, struct.pack("<d", INTEGER)),
    "integer in base64": (INTEGER, base64.b64encode(struct.pack("<q", INTEGER) * 2)),
    "float": (FLOAT, repr(FLOAT).encode()),
    "float in %g": (FLOAT, f"{FLOAT:g}".encode()),
    "float rounded": (FLOAT, f"{FLOAT:.2f}".encode()),
    "float as double": (FLOAT, struct.pack("<d", FLOAT)),
    "float among others": (AMONG, repr(AMONG).encode()),
    "float with twelve digits": (AMONG, f"{AMONG:.12g}".encode()),
    "moment": (MOMENT, str(MOMENT).encode()),
    "moment in ISO": (MOMENT, MOMENT.isoformat().encode()),
    "moment in nanoseconds": (MOMENT, str(NANOSECONDS).encode()),
    "moment in seconds": (MOMENT, str(NANOSECONDS // 10**9).encode()),
    "moment as int64": (MOMENT, struct.pack("<q", NANOSECONDS)),
    "span": (SPAN, str(SPAN).encode()),
    "span in ISO": (SPAN, pd.Timedelta(SPAN).isoformat().encode()),
    "span in seconds": (SPAN, str(SPAN.total_seconds()).encode()),
    "day": (DAY, DAY.isoformat().encode()),
    "uuid": (UUID_, str(UUID_).encode()),
    "uuid as hex": (UUID_, UUID_.hex.encode()),
    "uuid as bytes": (UUID_, UUID_.bytes),
}
"""Every way in which a value is known to be written."""


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20)
@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_a_sentinel_is_found_in_each_encoding(form: str, before: bytes, after: bytes) -> None:
    """Whatever bytes stand around it, but for digits that would make another number of it."""
    value, data = FORMS[form]
    found = {hit.sentinel.value for hit in SEARCHER.hits(before + b"; " + data + b" ;" + after)}
    assert value in found


@pytest.mark.parametrize("form", ["text", "base64", "hex", "HEX", "URL", "gzip", "integer"])
@settings(max_examples=20)
@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_a_sentinel_is_found_amid_anything(form: str, before: bytes, after: bytes) -> None:
    """What stands right beside an encoded text does not hide it."""
    value, data = FORMS[form]
    assert value in {hit.sentinel.value for hit in SEARCHER.hits(before + data + after)}


@given(data=st.binary(max_size=3000))
def test_nothing_is_found_where_nothing_is(data: bytes) -> None:
    """Random bytes hold no sentinel."""
    assert SEARCHER.hits(data) == set()


def test_what_telemetry_is_full_of_is_no_sentinel() -> None:
    """Ids, times, durations and words are not taken for one."""
    text = " ".join(
        f"{number:032x} {number:016x} {1.7e18 + number:.0f} {number / 7919} 2026-11-23T07:50:43 "
        f"petsard.schema.output.json Synthesizer[ctgan] rhythms {number * 999_983}"
        for number in range(2000)
    )
    assert SEARCHER.hits(text.encode()) == set()


# Planting.


def test_a_table_of_every_type_has_sentinels_of_every_type() -> None:
    """Each kind of value is planted, each can be found in the table as text, no type changes."""
    mint = Mint()
    table = every_type(mint, "the table")
    plain = every_type(Mint(), "the table")

    assert table.dtypes.astype(str).drop("category").to_dict() == (
        plain.dtypes.astype(str).drop("category").to_dict()
    )
    assert {sentinel.kind for sentinel in mint.sentinels} == {
        "text cell",
        "category",
        "whole-number cell",
        "number cell",
        "decimal cell",
        "cell of bytes",
        "UUID cell",
        "moment cell",
        "date cell",
        "time-span cell",
    }
    found = {hit.sentinel for hit in Searcher(mint.sentinels).hits(table.to_csv().encode())}
    assert found == set(mint.sentinels)


def test_planting_leaves_the_users_table_alone() -> None:
    """A copy is planted: rows, columns and missing cells stay, names may even be doubled."""
    given_table = pd.DataFrame(
        {"a": ["x", "y", None, "x"], "b": [1.5, None, 2.5, 3.5], "c": [1, 2, 3, 4]}
    )
    given_table.columns = pd.Index(["a", "a", "c"])
    kept = given_table.copy(deep=True)
    planted = Planter(Mint()).planted(given_table, "Loader[t]")

    pd.testing.assert_frame_equal(given_table, kept)
    assert planted.shape == (4, 3)
    assert list(planted.columns) == ["a", "a", "c"]
    assert planted.isna().sum().tolist() == kept.isna().sum().tolist()
    assert not planted.iloc[:, 2].equals(kept.iloc[:, 2])


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_every_text_is_planted(dtype: str) -> None:
    """Whichever cell a module quotes, it is a find; equal cells stay equal, and missing missing."""
    texts = pd.Series(["x", "y", None, "z", "y", "w"], dtype=dtype)
    mint = Mint()
    planted = Planter(mint).planted(pd.DataFrame({"t": texts}), "Loader[t]")["t"]

    search = Searcher(mint.sentinels)
    kinds = [
        {hit.sentinel.kind for hit in search.hits(str(cell).encode())} for cell in planted.dropna()
    ]
    assert kinds == [{"text cell"}, {"category"}, {"text cell"}, {"category"}, {"text cell"}]
    assert planted.nunique() == 4
    assert planted.isna().tolist() == [False, False, True, False, False, False]
    assert planted.dtype == texts.dtype or dtype == "category"


def test_what_has_too_few_values_is_left_out_and_counted() -> None:
    """Truth values and small integers cannot be told apart from others."""
    planter = Planter(Mint())
    table = pd.DataFrame({"b": [True, False], "i": pd.array([1, 2], dtype="int8"), "t": ["x", "y"]})
    planter.planted(table, "Loader[t]")

    assert planter.left_out == {"bool": 1, "int8": 1}


def test_categories_alone_leave_the_other_cells() -> None:
    """A value that many rows have is renamed in all of them, in nothing else."""
    table = pd.DataFrame({"t": ["x", "y", "x", "x"], "n": [1, 2, 3, 4]})
    mint = Mint()
    planted = Planter(mint).planted(table, "Loader[t]", what=CATEGORIES)

    name = mint.sentinels[0].value
    assert [sentinel.kind for sentinel in mint.sentinels] == ["category"]
    assert planted["t"].tolist() == [name, "y", name, name]
    assert planted["n"].tolist() == [1, 2, 3, 4]


def test_a_sentinel_says_what_and_where_it_is() -> None:
    """A find can be understood without its value."""
    assert str(Sentinel("text cell", "Loader[a], column 1 (str)", "x")) == (
        "a text cell of Loader[a], column 1 (str)"
    )
    assert str(Sentinel("exception's message", "Loader[a]", "x")) == (
        "an exception's message of Loader[a]"
    )
