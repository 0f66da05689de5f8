"""What is kept of a run, and where."""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace as trace_api
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from petsard_otel import ConfigError, Executor, Status, configure, step_span
from petsard_otel.history import journals
from petsard_otel.history.database import open_to_write
from petsard_otel.history.place import existing_place
from petsard_otel.history.reading import open_history
from petsard_otel.settings import Settings
from petsard_otel.telemetry.otlp.messages import begun, ended
from petsard_otel.telemetry.otlp.spans import spans_of

from .conftest import Pipeline, TableAdapter
from .kept_runs import kept_in, messages, run, said, small_pipeline, spans
from .otlp_receivers import http_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from petsard_otel import Schema
    from petsard_otel.executor import Progress


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a pipeline whose modules make steps, schema changes and tables."""
    return small_pipeline(tmp_path)


# What is kept.


@pytest.mark.parametrize(
    "arguments", [{}, {"field_names": "hashed"}, {"capture": "statistics"}], ids=str
)
def test_what_is_kept_is_what_a_collector_got(
    arguments: dict[str, Any], config: Path, tmp_path: Path
) -> None:
    """Byte for byte, flags aside: the SDK sends none of the trace's own. Nothing else is kept."""
    path = tmp_path / "runs.db"
    with (
        http_receiver() as (endpoint, receiver),
        kept_in(path, endpoint=endpoint, protocol="http/protobuf", **arguments),
    ):
        run(config)
    kept = messages(path)
    # A slow machine sends them in several requests; what earlier tests left goes along.
    requests = [request.resource_spans[0] for request in receiver.traces]
    got = [
        found for found in requests if found.scope_spans[0].spans[0].trace_id == kept[0].trace_id
    ]
    sent = [span for found in got for span in found.scope_spans[0].spans]
    for span in (*kept, *sent):
        span.flags = 0
        for link in span.links:
            link.flags = 0
    assert len(sent) == 8
    by_id = {span.span_id: span.SerializeToString() for span in kept}
    assert by_id == {span.span_id: span.SerializeToString() for span in sent}
    connection = sqlite3.connect(path)
    (envelope,) = connection.execute("SELECT envelope FROM run").fetchone()
    connection.close()
    for found in got:
        del found.scope_spans[0].spans[:]
        assert TracesData.FromString(envelope).resource_spans[0] == found


_VALUE = st.one_of(
    *(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    *(st.text(max_size=9), st.integers(0, 3000).map("x".__mul__), st.binary(max_size=9)),
    st.lists(st.integers(-2, 2)).map(tuple),
)
_ATTRIBUTES = st.dictionaries(st.text("ab.", min_size=1), _VALUE, max_size=5)


@given(_ATTRIBUTES, _ATTRIBUTES)
@example({"a": True}, {"b": False, "c": 0})
@example({"a": 1, "b": 1.0, "c": True}, {"d": -0.0, "e": 0.0, "f": 0})
def test_attributes_come_back_as_they_went(early: dict[str, Any], late: dict[str, Any]) -> None:
    """Each with its type: neither True for 1 nor 0 for 0.0, whatever was written before."""
    everything = early | {name: value for name, value in late.items() if name not in early}
    identity = SpanContext(0xABC, 0xDEF, is_remote=False)
    body = ended(
        begun("run", 1, identity, None, 5, early, ()), len(early), 9, everything, is_error=True
    )
    data = TracesData()
    data.resource_spans.add().scope_spans.add().spans.append(Span.FromString(body))
    (span,) = spans_of(data)
    assert repr(span.attributes) == repr(everything)
    assert (span.name, span.start_time, span.end_time, span.status_code) == ("run", 5, 9, 2)
    assert (span.context.trace_id, span.context.span_id) == (0xABC, 0xDEF)


def test_parents_links_and_the_state_of_a_foreign_trace_are_kept(
    history: Path, config: Path
) -> None:
    """A run under a remote span: its id, its flags and its trace state."""
    state = TraceState([("vendor", "opaque")])
    around = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    with trace_api.use_span(NonRecordingSpan(around)):
        run(config)
    kept = {span.name: span for span in messages(history)}
    top, loader, pre = kept["petsard run"], kept["Loader[people]"], kept["Preprocessor[p]"]
    assert top.trace_id == loader.trace_id == (0xABC).to_bytes(16, "big")
    assert top.parent_span_id == (0xDEF).to_bytes(8, "big")
    assert (top.trace_state, top.kind) == ("vendor=opaque", Span.SPAN_KIND_SERVER)
    assert (top.flags, loader.flags) == (0x301, 0x101)
    assert loader.parent_span_id == pre.parent_span_id == top.span_id
    assert [link.span_id for link in pre.links] == [loader.span_id]


def test_a_failure_is_kept_without_its_message_unless_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is told what may leave the process, and not more."""
    broken = {"Loader": {"people": {"filepath": str(tmp_path / "Jane Roe.csv")}}}
    for variable, count in (("false", 0), ("true", 3)):
        path = tmp_path / variable
        monkeypatch.setenv("PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES", variable)
        with kept_in(path), pytest.raises(FileNotFoundError, match="Jane Roe"):
            Executor(broken, engine="builtin").run()
        kept = messages(path)
        assert [int(span.status.code) for span in kept] == [2, 2, 2]
        assert sum(b"Jane Roe" in span.SerializeToString() for span in kept) == count
        with open_history(path) as found:
            (one,) = found.runs()
        assert (one.state, one.failed_modules) == ("failed", ("Loader",))
        assert one.error_type == "FileNotFoundError"


def test_a_span_is_there_as_soon_as_it_starts_and_as_it_ends(history: Path, config: Path) -> None:
    """Whoever looks meanwhile sees which have ended, and what is known of the others."""
    seen: list[list[tuple[str, bool]]] = []

    def look(progress: Progress) -> None:
        if progress.module != "Loader":
            seen.append([(span.name, span.end_time_unix_nano > 0) for span in messages(history)])

    Executor(config, engine="builtin").run(look)
    loaded = [("petsard run", False), ("Loader[people]", True), ("Loader.load", True)]
    assert seen[0] == loaded
    assert seen[1][:4] == [*loaded, ("Preprocessor[p]", True)]
    assert all(is_ended for _, is_ended in seen[-1][1:])

    status = Status(Pipeline("Loader"))
    with status.executing("Loader", "a", "Reader"):
        with step_span("read"):
            opened = messages(history)[-2:]
        assert [span.name for span in opened] == ["Loader[a]", "Loader.read"]
        assert {e.key: e.value.string_value for e in opened[0].attributes} == {
            "petsard.run.id": status.run_id,
            "petsard.module.name": "Loader",
            "petsard.experiment.name": "a",
            "petsard.experiment.path": "Loader[a]",
            "petsard.module.position": "",
            "petsard.operator.type": "Reader",
        }
        status.put("Loader", "a", TableAdapter(None))


class Raising(TracerProvider):
    """A provider whose spans cannot be started, and that has no resource to tell."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no tracer today")

    @property
    def resource(self) -> Any:
        raise RuntimeError("nor a resource")


PROVIDERS: dict[str, Any] = {
    "none that records": trace_api.NoOpTracerProvider,
    "sampling nothing": lambda: TracerProvider(ALWAYS_OFF, shutdown_on_exit=False),
    "cutting attributes": lambda: TracerProvider(
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attributes=1, max_span_attribute_length=2, max_links=0),
    ),
    "raising": lambda: Raising(shutdown_on_exit=False),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_whatever_a_provider_does_the_same_is_kept(name: str, history: Path, config: Path) -> None:
    """The same spans, attributes, links and parents as without it."""

    def shape(executor: Executor) -> Any:
        found = spans(history, executor.status.run_id)
        names = {span.context.span_id: span.name for span in found}
        own = {"petsard.run.id", "petsard.snapshot.id"}
        return [
            (
                span.name,
                span.kind,
                {k: v for k, v in span.attributes.items() if k not in own},
                None if span.parent is None else names[span.parent.span_id],
                [names[link.span_id] for link in span.links],
                span.instrumentation_scope,
            )
            for span in found
        ]

    plain = shape(run(config))
    assert len(plain) == 8
    assert shape(run(config, tracer_provider=PROVIDERS[name]())) == plain


def test_what_somebody_elses_provider_says_it_is_is_kept(history: Path, config: Path) -> None:
    """A run that is recorded by the host's provider has the host's resource."""
    resource = Resource({"service.name": "billing", "n": 3}, "https://example.org/1")
    run(config, tracer_provider=TracerProvider(resource=resource, shutdown_on_exit=False))
    assert spans(history)[0].resource == {"service.name": "billing", "n": 3}
    connection = sqlite3.connect(history)
    (envelope,) = connection.execute("SELECT envelope FROM run").fetchone()
    connection.close()
    assert TracesData.FromString(envelope).resource_spans[0].schema_url == "https://example.org/1"


def test_a_status_by_itself_is_kept(history: Path, cars: Schema, scaled: Schema) -> None:
    """Without an Executor there is no span of a run, and the run is under way while we are."""
    status = Status(Pipeline("Loader", "Preprocessor"))
    status.put("Loader", "a", TableAdapter(cars))
    status.put("Preprocessor", "p", TableAdapter(scaled))
    status.start_timing("Preprocessor", "p", "mine", {"n": 1})
    status.end_timing("Preprocessor", "p", "mine", {"n": 2, "ratio": -0.0})
    assert [span.name for span in spans(history, status.run_id)] == [
        *("Loader[a]", "Preprocessor[p]", "Preprocessor.mine"),
    ]
    with open_history(history) as found:
        assert [(one.state, one.executions, one.changes) for one in found.runs()] == [
            ("running", 2, 1)
        ]
    loaded = Status.load(status.run_id, history=history)
    assert loaded.get_snapshots() == status.get_snapshots()
    assert loaded.get_timing_records() == status.get_timing_records()


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are text there")
def test_a_name_that_is_not_utf_8_is_kept_as_far_as_it_can_be(
    history: Path, config: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file's name may be any bytes, and so may the folder's that the history is in."""
    odd = config.with_name(os.fsdecode(b"caf\xe9.yaml"))
    config.rename(odd)
    run(odd)
    with open_history(history) as found:
        assert [one.name for one in found.runs()] == ["caf?"]
    folder = tmp_path / os.fsdecode(b"d\xe9j\xe0 50% #1?")
    with kept_in(folder / "runs.db"):
        run(odd)
    assert len(spans(folder / "runs.db")) == 8
    assert said(caplog) == []


# Where it is kept.


def test_a_configuration_is_where_it_was_named(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the link that was given, and there also where the script has gone elsewhere since."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "alias.yml").symlink_to(config)
    monkeypatch.chdir(tmp_path / "links")
    place = tmp_path / "links" / ".petsard-otel" / "runs.db"
    configuration = configure(history=True)
    executor = Executor("alias.yml", engine="builtin")
    monkeypatch.chdir("/")
    executor.run()
    executor.run()
    configuration.shutdown()
    journals.journal_at(place).close()
    with open_history(place) as found:
        assert [one.name for one in found.runs()] == ["alias", "alias"]
    assert (place.parent / ".gitignore").read_text() == "*\n"


def test_without_a_file_runs_are_kept_in_the_current_folder(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As text or as a dict: what a notebook has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSARD_OTEL_HISTORY", "TRUE")
    Executor(config.read_text(), engine="builtin").run()
    Executor({"Loader": {"people": {"filepath": "people.csv"}}}, engine="builtin").run()
    place = tmp_path / ".petsard-otel" / "runs.db"
    journals.journal_at(place).close()
    with open_history(place) as found:
        assert [(one.name, one.executions) for one in found.runs()] == [(None, 1), (None, 3)]


def test_an_argument_is_preferred_to_the_variable(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one that says that nothing is kept."""
    monkeypatch.setenv("PETSARD_OTEL_HISTORY", str(tmp_path / "variable.db"))
    configuration = configure(history=False)
    run(config)
    configuration.shutdown()
    with kept_in(tmp_path / "argument.db"):
        run(config)
    kept = {path.name for path in tmp_path.iterdir() if path.suffix == ".db"}
    assert kept == {"argument.db"}


@pytest.mark.parametrize("word", ["0", "1", "yes", "No", "off"])
def test_a_word_that_may_mean_true_is_no_file(word: str) -> None:
    """It says what is expected, and how to have a file of that name all the same."""
    with pytest.raises(ValueError, match=f"true, false or a path .found '{word}'; .*'./{word}'"):
        Settings.from_environment({"PETSARD_OTEL_HISTORY": word})
    kept = Settings.from_environment({"PETSARD_OTEL_HISTORY": f"./{word}"})
    assert kept.history == f"./{word}"


@pytest.mark.parametrize("value", [3, 1.5, b"runs.db", ["runs.db"], ""])
def test_a_history_of_another_type_is_a_mistake(value: Any) -> None:
    """Told at once, with what was found."""
    with pytest.raises(ConfigError, match=r"history is True, False or the path of a database \("):
        configure(history=value)


def test_a_folder_of_the_users_own_gets_no_gitignore(config: Path, tmp_path: Path) -> None:
    """A database somewhere else does not take the files beside it out of a repository."""
    with kept_in(tmp_path / "results" / "june" / "runs.db"):
        run(config)
    assert [path.name for path in (tmp_path / "results" / "june").iterdir()] == ["runs.db"]


@pytest.mark.skipif(not hasattr(os, "fork") or os.getuid() != 0, reason="needs to be root")
def test_a_history_in_a_folder_that_is_closed_to_us_is_not_there(tmp_path: Path) -> None:
    """Somebody else's in a folder around is passed over on the way to ours."""
    open_to_write(tmp_path / ".petsard-otel" / "runs.db").close()
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    child = os.fork()
    if not child:
        os.chdir(tmp_path / "mine")
        os.setuid(65534)
        try:
            existing_place(None)
        except Exception as error:  # noqa: BLE001  its class is the exit code
            os._exit(7 if type(error).__name__ == "HistoryError" else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o700)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_their_owners_alone_whatever_the_umask(
    umask: int, config: Path, tmp_path: Path
) -> None:
    """Database, write-ahead log and its index, while a run is going on."""
    modes: dict[str, int] = {}

    def look(_: Progress) -> None:
        folder = tmp_path / ".petsard-otel"
        modes.update({path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()})
        modes["folder"] = folder.stat().st_mode & 0o777

    former = os.umask(umask)
    try:
        with kept_in(tmp_path / ".petsard-otel" / "runs.db"):
            Executor(config, engine="builtin").run(look)
    finally:
        os.umask(former)
    assert modes == {
        "folder": 0o700,
        "runs.db": 0o600,
        "runs.db-wal": 0o600,
        "runs.db-shm": 0o600,
        ".gitignore": 0o600,
    }
