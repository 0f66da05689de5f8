"""What may leave the process: nothing that is on no list, and of the rest what was opted into."""

from __future__ import annotations

import datetime as dt
import hmac
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from opentelemetry import trace as trace_api
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import StatusCode

from petsard_otel import (
    Attribute,
    ConfigError,
    Executor,
    Schema,
    Status,
    attributes,
    configure,
    step_span,
)
from petsard_otel.settings import Settings
from petsard_otel.store import StatusStore
from petsard_otel.telemetry.privacy import ALLOWED, Privacy, PrivacyClass
from petsard_otel.telemetry.replay import replay

from .conftest import Pipeline, Recorded, TableAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel.telemetry.encoding import Attributes

COLUMNS = ("Salary", "Diagnosis", "Postcode")


def exported(recorded: Recorded) -> bytes:
    """Give the bytes that an OTLP exporter would send."""
    return bytes(encode_spans(recorded.exporter.get_finished_spans()).SerializeToString())


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give a pipeline over a small table with columns that should not be known."""
    path = tmp_path / "people.csv"
    rows = "\n".join(f"{41_000 + 7 * n},{'flu' if n % 2 else 'gout'},{n % 5}" for n in range(20))
    path.write_text(f"{','.join(COLUMNS)}\n{rows}\n")
    return {
        "Loader": {"people": {"filepath": str(path)}},
        "Preprocessor": {"p": {"method": "default"}},
        "Synthesizer": {"s": {"method": "default", "random_state": 1}},
        "Postprocessor": {"b": {"method": "default"}},
    }


def test_every_key_has_a_class() -> None:
    """A key that is added has to say what it tells, or it never leaves."""
    keys = {
        value
        for name, value in vars(attributes).items()
        if name.isupper() and not name.startswith(("METRIC_", "SCOPE_", "STEP_CONTEXT_"))
    }
    assert keys == set(ALLOWED)
    classes = {name: rule.privacy_class for name, rule in ALLOWED.items()}
    assert {name for name in keys if classes[name] is not PrivacyClass.STRUCTURE} == {
        "petsard.output.statistics",
        "exception.message",
    }


def test_what_is_on_no_list_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown key is told once, by its name, and its value by nobody."""
    gate = Privacy(Settings())

    assert gate.admit({"petsard.run.id": "a", "petsard.cell": "Jane"}) == {"petsard.run.id": "a"}
    assert gate.admit({"petsard.cell": "Jane", "cell": 1}) == {}
    assert caplog.messages == ["an attribute that is on no list was left out: petsard.cell"]


@pytest.mark.parametrize(
    "found",
    [
        {"petsard.output.rows": "41000"},
        {"petsard.output.rows": True},
        {"petsard.output.rows": 1.5},
        {"petsard.run.id": 3},
        {"petsard.run.id": None},
        {"petsard.run.id": b"a"},
        {"petsard.schema.added": ["a"]},
        {"petsard.schema.added": ("a", 3)},
        {"petsard.schema.added": "a"},
        {"petsard.schema.inferred.matches": 1},
        {"petsard.step.context.note": "Jane"},
        {"petsard.step.context.note": ("Jane",)},
        {"exception.message": "Jane"},
        {"petsard.output.statistics": ("{}",)},
    ],
)
def test_another_type_or_class_is_left_out(found: dict[str, Any]) -> None:
    """A value of a type that its key has not stays, whatever it is."""
    gate = Privacy(Settings())
    for _ in range(2):
        assert gate.admit(found) == {}
        assert gate.admit({"petsard.run.id": "a", **found}).get(next(iter(found))) in {None, "a"}


def test_what_may_leave_is_not_copied() -> None:
    """The usual case costs a look-up."""
    gate = Privacy(Settings())
    whole: Attributes = {"petsard.run.id": "a", "petsard.output.rows": 3}
    found: Attributes = {**whole, "petsard.step.context.n": 1.5}
    assert gate.admit(whole) is whole
    assert gate.admit(whole) is whole
    assert gate.admit(found) == found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PETSARD_OTEL_CAPTURE", "everything", "structure or statistics"),
        ("PETSARD_OTEL_FIELD_NAMES", "hash", "plain or hashed"),
        ("PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES", "1", "false or true"),
        ("PETSARD_OTEL_LOGS", "yes", "false or true"),
        ("PETSARD_OTEL_CAPTURE_LOG_MESSAGES", "on", "false or true"),
    ],
)
def test_a_mistyped_variable_is_told(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], name: str, value: str, expected: str
) -> None:
    """Nobody believes to be protected by a variable that says nothing."""
    monkeypatch.setenv(name, value)

    for use in (lambda: Executor(config), lambda: Status(Pipeline("Loader")), configure):
        with pytest.raises(ConfigError) as caught:
            use()
        assert str(caught.value) == f"{name} is {expected} (found {value!r})"


def test_variables_are_read_as_people_write_them() -> None:
    """Case and blanks do not matter; empty is the default."""
    assert Settings.from_environment(
        {
            "PETSARD_OTEL_CAPTURE": " Statistics ",
            "PETSARD_OTEL_FIELD_NAMES": "HASHED",
            "PETSARD_OTEL_FIELD_NAMES_KEY": "k",
            "PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES": "True",
            "PETSARD_OTEL_LOGS": "",
        }
    ) == Settings("statistics", "hashed", "k", exception_messages=True)


def test_the_key_is_in_no_repr() -> None:
    """Who prints the settings does not print the key."""
    assert "s3cret" not in repr(Settings(field_names_key="s3cret"))


def test_hashed_names_leave_and_true_names_stay(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, config: dict[str, Any]
) -> None:
    """With hashed field names no column's name is in what is sent; the Status has them all."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hashed")
    executor = Executor(config, tracer_provider=recorded.provider)

    executor.run()

    sent = exported(recorded)
    assert b"petsard.schema.output.json" in sent
    assert b"petsard.schema.retyped" in sent
    assert [name for name in COLUMNS if name.encode() in sent] == []
    loaded: Any = executor.status.get_snapshots("Loader")[0].metadata_after
    assert list(loaded.attributes) == list(COLUMNS)
    change = executor.status.get_change_history("Preprocessor")[0]
    assert "Diagnosis" in {field.name for field in change.diff.retyped}


def test_hashed_names_make_a_trace_that_can_be_read_back(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, config: dict[str, Any]
) -> None:
    """What is sent agrees with itself: structures have the hashes they come under, in all spans."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hashed")
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES_KEY", "of this test")
    executor = Executor(config, tracer_provider=recorded.provider)
    executor.run()

    store = StatusStore(100, 100, 100)
    replay(recorded.exporter.get_finished_spans(), store)

    names = [Privacy(Settings(field_names="hashed", field_names_key="of this test")).field_name(n)
             for n in COLUMNS]  # fmt: skip
    assert names[0] == "field_cc045617803ac584"
    snapshots: Any = store.snapshots()
    assert [s.module_name for s in snapshots] == list(config)
    assert list(snapshots[0].metadata_after.attributes) == names
    assert [a.type for a in snapshots[0].metadata_after.attributes.values()] == [
        "int64",
        "string",
        "int64",
    ]
    assert [s.metadata_before for s in snapshots[1:]] == [s.metadata_after for s in snapshots[:-1]]
    live = executor.status.get_change_history()
    assert [(c.module_name, c.kind, len(c.diff.retyped)) for c in store.changes()] == [
        (c.module_name, c.kind, len(c.diff.retyped)) for c in live
    ]


def test_the_parts_of_a_wide_schema_are_hashed(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    """A structure too wide for one attribute leaves with hashed names as well."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hashed")
    wide = Schema.of("w", (Attribute(f"Ward_{n}", "float64") for n in range(500)))
    status = Status(Pipeline("Loader", "Synthesizer"), tracer_provider=recorded.provider)
    status.put("Loader", "a", TableAdapter(wide))
    status.put("Synthesizer", "a", TableAdapter(wide))

    parts = [span for span in recorded.exported if span.name == "schema"]
    assert len(parts) > 10
    assert b"Ward" not in exported(recorded)
    text = "".join(
        part.attributes["petsard.schema.json"]
        for part in sorted(parts, key=lambda part: part.attributes["petsard.schema.part"])
    )
    assert Schema.from_json("w", text).hash == parts[0].attributes["petsard.schema.hash"]
    assert parts[0].attributes["petsard.schema.hash"] != wide.hash
    assert status.get_snapshots()[1].metadata_after is wide


def test_keys_decide_the_names() -> None:
    """One key gives one name in all processes; another key, or none, gives another."""
    one, same, other, drawn = (
        Privacy(Settings(field_names="hashed", field_names_key=k)) for k in ("a", "a", "b", None)
    )
    assert one.field_name("Salary") == same.field_name("Salary") == "field_df2aace652193558"
    assert len({gate.field_name("Salary") for gate in (one, other, drawn)}) == 3
    again = Privacy(Settings(field_names="hashed"))
    assert again.field_name("Salary") == drawn.field_name("Salary")


def test_statistics_leave_only_where_opted_into(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, config: dict[str, Any]
) -> None:
    """Numbers computed from cells are on the span of whoever asked for them."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "statistics")
    Executor(config, tracer_provider=recorded.provider).run()

    found = recorded.spans["Loader[people]"].attributes
    assert found["petsard.output.statistics.count"] == 2
    assert [json.loads(entry) for entry in found["petsard.output.statistics"]] == [
        {"name": "Salary", "missing": 0, "mean": 41066.5, "std": 41.41255848169731,
         "min": 41000.0, "max": 41133.0, "p25": 41033.25, "p50": 41066.5, "p75": 41099.75},
        {"name": "Postcode", "missing": 0, "mean": 2.0, "std": 1.4509525002200232,
         "min": 0.0, "max": 4.0, "p25": 1.0, "p50": 2.0, "p75": 3.0},
    ]  # fmt: skip
    assert b"gout" not in exported(recorded)


def test_no_statistics_by_default(recorded: Recorded, config: dict[str, Any]) -> None:
    """Without a word of the user no number computed from a cell is sent."""
    Executor(config, tracer_provider=recorded.provider).run()

    assert b"statistics" not in exported(recorded)
    assert b"41133" not in exported(recorded)


def failing(config: dict[str, Any], recorded: Recorded) -> ValueError:
    """Run a module that fails with a message that quotes a cell; give what it raised."""
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    error = ValueError("could not convert string to float: 'Jane Roe'")
    with (
        pytest.raises(ValueError, match="Jane Roe") as caught,
        status.running(Executor(config).config, "builtin"),
        status.executing("Loader", "people", "Failing"),
        step_span("load"),
    ):
        raise error
    assert caught.value is error
    return error


def test_messages_stay_by_default(recorded: Recorded, config: dict[str, Any]) -> None:
    """A failure is told by its class alone."""
    failing(config, recorded)

    assert b"Jane" not in exported(recorded)
    for name in ("Loader.load", "Loader[people]", "petsard run"):
        span = recorded.spans[name]
        assert span.attributes["error.type"] == "ValueError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert span.events == ()


def test_messages_leave_where_opted_into(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, config: dict[str, Any]
) -> None:
    """Who asks for messages has them on every span that the exception ended."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES", "true")
    error = failing(config, recorded)

    for name in ("Loader.load", "Loader[people]", "petsard run"):
        assert recorded.spans[name].attributes["exception.message"] == str(error)


def test_a_module_cannot_write_past_the_gate(recorded: Recorded, cars: Schema) -> None:
    """What a module sets on the current span, which is ours, goes nowhere; its own spans nest."""
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    tracer = recorded.provider.get_tracer("of the module")
    with status.executing("Loader", "a", "Loud"):
        current = trace_api.get_current_span()
        current.set_attribute("cell", "Jane Roe")
        current.set_attributes({"petsard.run.id": "Jane Roe"})
        current.add_event("Jane Roe", {"cell": "Jane Roe"})
        current.record_exception(ValueError("Jane Roe"))
        current.set_status(StatusCode.ERROR, "Jane Roe")
        current.update_name("Jane Roe")
        current.end()
        with tracer.start_as_current_span("own"):
            pass
        status.put("Loader", "a", TableAdapter(cars))

    assert b"Jane" not in exported(recorded)
    module, own = recorded.spans["Loader[a]"], recorded.spans["own"]
    assert module.status.status_code is StatusCode.UNSET
    assert own.parent.span_id == module.context.span_id


def test_text_of_a_timing_stays_here(recorded: Recorded) -> None:
    """Numbers and truth values of a timing's context travel; text is in the Status alone."""
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    status.start_timing("Loader", "a", "ask", {"who": "Jane Roe", "attempt": 2})
    record = status.end_timing("Loader", "a", "ask", {"answer": "Jim Roe", "ok": True})

    assert record is not None
    assert record.context_items == (
        ("who", "Jane Roe"), ("attempt", 2), ("answer", "Jim Roe"), ("ok", True),
    )  # fmt: skip
    assert b"Roe" not in exported(recorded)
    sent = recorded.spans["Loader.ask"].attributes
    assert sent["petsard.step.context.attempt"] == 2
    assert sent["petsard.step.context.ok"] is True
    assert "petsard.step.context.who" not in sent


def test_the_configurations_hash_is_keyed_with_the_names(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, config: dict[str, Any]
) -> None:
    """Who knows all of a configuration but a short secret cannot try it out against the hash."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hashed")
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES_KEY", "a")
    executor = Executor(config, tracer_provider=recorded.provider)
    executor.run()

    sent = recorded.spans["petsard run"].attributes["petsard.config.hash"]
    assert sent != executor.config.hash
    keyed = hmac.new(b"a", executor.config.hash.encode(), "sha256").hexdigest()
    assert sent == keyed[:32]


def test_a_key_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch, cars: Schema) -> None:
    """A key that is no UTF-8 costs no record."""
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES", "hashed")
    monkeypatch.setenv("PETSARD_OTEL_FIELD_NAMES_KEY", "\udcff\udcfe")
    status = Status(Pipeline("Loader"))
    status.put("Loader", "a", TableAdapter(cars))
    assert len(status.get_snapshots()) == 1


def test_types_name_no_field_and_no_zone_of_ones_own() -> None:
    """Names inside a nested type, and of a time zone that somebody made, stay."""
    moments = pd.Series(pd.to_datetime(["2020-01-01"]))
    zone = dt.timezone(dt.timedelta(hours=1), "AliceZone")
    table = pd.DataFrame(
        {
            "s": pd.Series([{"alice": 1}], dtype=pd.ArrowDtype(pa.struct([("alice", pa.int64())]))),
            "z": moments.dt.tz_localize(zone),
        }
    )
    types = [a.type for a in Schema.from_dataframe(table, "t").attributes.values()]
    assert types == ["struct[pyarrow]", "datetime[UTC+01:00]"]


def test_a_column_without_a_number_costs_no_schema(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    """Statistics of odd columns are null, and whatever goes wrong there, the record is whole."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "statistics")
    table = pd.DataFrame(
        {
            "empty": pd.Series([None, None], dtype="Int64"),
            "endless": [float("inf"), 1.0],
        }
    )
    schema = Schema.from_dataframe(table, "t")
    status = Status(Pipeline("Loader"), tracer_provider=recorded.provider)
    status.put("Loader", "a", TableAdapter(schema, table))

    assert status.get_snapshots()[0].metadata_after is schema
    assert status.get_status_summary()["telemetry_errors"] == 0
    found = [
        json.loads(entry)
        for entry in recorded.spans["Loader[a]"].attributes["petsard.output.statistics"]
    ]
    assert [(entry["name"], entry["missing"], entry["max"]) for entry in found] == [
        ("empty", 2, None),
        ("endless", 0, None),
    ]
