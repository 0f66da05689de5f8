"""Which provider is in force, and what `configure()` sends where."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import _logs as logs_api
from opentelemetry._logs import LogRecord

from petsard_otel import ConfigError, Executor, Schema, Status, configure
from petsard_otel.settings import Settings
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.targets import without_password
from petsard_otel.telemetry.setup import Configuration, instruments, logger_provider_in_force

from .conftest import Pipeline, TableAdapter
from .otlp_receivers import Receiver, eventually, grpc_receiver, http_receiver, slow_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def http() -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over HTTP."""
    with http_receiver() as found:
        yield found


@pytest.fixture
def grpc_endpoint() -> Iterator[tuple[str, Receiver]]:
    """Serve OTLP over gRPC."""
    with grpc_receiver() as found:
        yield found


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give a small pipeline."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n3,x\n4,y\n")
    return {
        "Loader": {"t": {"filepath": str(path)}},
        "Synthesizer": {"s": {"method": "default", "random_state": 1}},
    }


def emit(configuration: Configuration, text: str) -> None:
    """Emit a log record."""
    assert configuration.logger_provider is not None
    configuration.logger_provider.get_logger("test").emit(LogRecord(body=text))


def test_a_run_arrives_over_http(http: tuple[str, Receiver], config: dict[str, Any]) -> None:
    """Every span of a run is at the endpoint when the configuration is shut down."""
    endpoint, receiver = http
    configuration = configure(endpoint, service_name="nightly", protocol="http/protobuf")
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    assert {"petsard run", "Loader[t]", "Synthesizer[s]", "Synthesizer.fit"} <= set(receiver.spans)
    resource = receiver.traces[0].resource_spans[0].resource
    names = {entry.key: entry.value.string_value for entry in resource.attributes}
    assert names["service.name"] == "nightly"
    ids = {s.span_id for s in executor.status.get_snapshots()}
    assert ids <= {span.span_id.hex() for span in receiver.spans.values()}
    assert configuration.delivery is not None
    assert configuration.delivery.sampled == configuration.delivery.delivered == 6


def test_a_run_arrives_over_grpc(
    grpc_endpoint: tuple[str, Receiver], config: dict[str, Any]
) -> None:
    """The same over gRPC, which is what an endpoint with an unknown port is taken for."""
    endpoint, receiver = grpc_endpoint
    configuration = configure(endpoint)
    Executor(config).run()
    configuration.shutdown()

    assert {"petsard run", "Loader[t]", "Synthesizer[s]"} <= set(receiver.spans)


def test_many_spans_at_once_all_arrive(http: tuple[str, Receiver], cars: Schema) -> None:
    """A burst larger than the SDK's own queue loses nothing."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf")
    status = Status(Pipeline("Loader"))
    for number in range(5000):
        status.put("Loader", f"e{number}", TableAdapter(cars))
    configuration.shutdown(timeout_seconds=60)

    assert configuration.delivery is not None
    assert configuration.delivery.sampled == configuration.delivery.delivered == 5000
    names = {
        attribute.value.string_value
        for request in receiver.traces
        for span in request.resource_spans[0].scope_spans[0].spans
        for attribute in span.attributes
        if attribute.key == "petsard.experiment.name"
    }
    assert len(names) == 5000


def test_metrics_of_a_run_arrive(http: tuple[str, Receiver], config: dict[str, Any]) -> None:
    """Durations, rows and changes are counted by module and experiment."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf")
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    points = receiver.points
    modules = {
        tuple(sorted((a.key, a.value.string_value) for a in point.attributes)): point
        for point in points["petsard.module.duration"]
    }
    loader = modules[
        ("petsard.engine", "builtin"),
        ("petsard.experiment.name", "t"),
        ("petsard.module.name", "Loader"),
    ]
    timing = executor.get_timing().set_index("module_name")["duration_seconds"]
    assert loader.count == 1
    assert loader.sum == pytest.approx(timing["Loader"])
    assert max(loader.explicit_bounds) == 43200
    assert [point.sum for point in points["petsard.module.rows"]] == [4, 4]
    assert [point.count for point in points["petsard.run.duration"]] == [1]
    assert [point.as_int for point in points["petsard.run.active"]] == [0]


def test_a_sampled_out_run_is_still_in_the_status(
    http: tuple[str, Receiver], config: dict[str, Any]
) -> None:
    """What is not exported is recorded all the same."""
    endpoint, receiver = http
    configuration = configure(endpoint, protocol="http/protobuf", sample_ratio=0.0)
    executor = Executor(config)
    executor.run()
    configuration.shutdown()

    assert receiver.spans == {}
    assert len(executor.status.get_snapshots()) == 2


def test_the_standard_variables_name_the_endpoint(
    http: tuple[str, Receiver], config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no endpoint is given, OTEL_EXPORTER_OTLP_* are read."""
    endpoint, receiver = http
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    configuration = configure()
    Executor(config).run()
    configuration.shutdown()

    assert "petsard run" in receiver.spans


def test_without_an_endpoint_nothing_is_exported(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration without a target is local."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    configuration = configure()
    Executor(config).run()

    assert configuration.delivery is None
    configuration.shutdown()


def test_each_signal_goes_its_own_way(
    http: tuple[str, Receiver],
    grpc_endpoint: tuple[str, Receiver],
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Endpoints, protocols, headers and compression can be named for one signal alone."""
    by_http, by_grpc = http[1], grpc_endpoint[1]
    for variable, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": http[0],
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=for%20all,other=1",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": grpc_endpoint[0],
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=Bearer abc",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
        "OTEL_LOGS_EXPORTER": "otlp",
    }.items():
        monkeypatch.setenv(variable, value)
    configuration = configure()
    Executor(config).run()
    emit(configuration, "hello")
    configuration.shutdown()

    assert "petsard run" in by_grpc.spans
    assert by_grpc.headers["traces"]["authorization"] == "Bearer abc"
    assert "api-key" not in by_grpc.headers["traces"]
    assert by_grpc.attempts.keys() == {"traces"}
    assert "petsard.run.duration" in by_http.points
    assert by_http.headers["metrics"]["content-encoding"] == "gzip"
    assert by_http.headers["metrics"]["api-key"] == "for all"
    assert "hello" in by_http.bodies
    assert "content-encoding" not in by_http.headers["logs"]
    assert by_http.attempts.keys() == {"metrics", "logs"}


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_every_compression_can_be_read(
    protocol: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a receiver unpacks is what was sent."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    serve = grpc_receiver if protocol == "grpc" else http_receiver
    with serve() as (endpoint, receiver):
        configuration = configure(endpoint, protocol=protocol)
        configuration.tracer_provider.get_tracer("test").start_span("mine").end()
        configuration.shutdown()

    assert list(receiver.spans) == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "variables", "signals"),
    [
        ({}, {}, {"traces", "metrics"}),
        ({"logs": True}, {}, {"traces", "metrics", "logs"}),
        ({}, {"PETSARD_OTEL_LOGS": "true"}, {"traces", "metrics", "logs"}),
        ({}, {"OTEL_LOGS_EXPORTER": "otlp"}, {"traces", "metrics", "logs"}),
        ({"logs": False}, {"OTEL_LOGS_EXPORTER": "otlp"}, {"traces", "metrics"}),
        (
            {},
            {"OTEL_LOGS_EXPORTER": "otlp", "PETSARD_OTEL_LOGS": "false"},
            {"traces", "metrics"},
        ),
        ({"logs": True}, {"OTEL_LOGS_EXPORTER": "none"}, {"traces", "metrics"}),
        ({}, {"OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
        ({}, {"OTEL_TRACES_EXPORTER": "none"}, {"traces", "metrics"}),
        ({}, {"OTEL_METRICS_EXPORTER": "prometheus"}, {"traces"}),
    ],
)
def test_a_signal_is_sent_where_it_is_asked_for(
    arguments: dict[str, Any],
    variables: dict[str, str],
    signals: set[str],
    http: tuple[str, Receiver],
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logs only on demand; traces always where an endpoint is handed over."""
    endpoint, receiver = http
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    configuration = configure(endpoint, protocol="http/protobuf", **arguments)
    Executor(config).run()
    if configuration.logger_provider is not None:
        emit(configuration, "hello")
    configuration.shutdown()

    assert receiver.attempts.keys() == signals
    assert configuration.settings.logs is (
        "logs" in signals or arguments.get("logs", False) is True
    )


def test_spans_metrics_and_logs_can_be_printed(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The `console` exporters write to stdout, as JSON; nothing is sent."""
    for signal in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "console")
    configuration = configure()
    Executor(config).run()
    emit(configuration, "hello")
    configuration.shutdown(timeout_seconds=10)

    assert configuration.delivery is None
    printed = capsys.readouterr().out
    assert '"name": "petsard run"' in printed
    assert '"name": "petsard.run.duration"' in printed
    assert '"body": "hello"' in printed


def test_the_resource_is_what_the_variables_say(
    http: tuple[str, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME reach the receiver."""
    endpoint, receiver = http
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=data,service.name=beaten")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    configuration = configure(endpoint, protocol="http/protobuf")
    configuration.tracer_provider.get_tracer("test").start_span("mine").end()
    configuration.shutdown()

    resource = receiver.traces[0].resource_spans[0].resource
    found = {entry.key: entry.value.string_value for entry in resource.attributes}
    assert (found["team"], found["service.name"]) == ("data", "nightly")


def test_metrics_are_sent_as_often_as_the_variable_says(
    http: tuple[str, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_METRIC_EXPORT_INTERVAL is in milliseconds; the temporality can be chosen, too."""
    endpoint, receiver = http
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    configuration = configure(endpoint, protocol="http/protobuf")
    counter = configuration.meter_provider.get_meter("test").create_counter("c")
    for number in (1, 2):
        counter.add(number)
        assert eventually(lambda number=number: len(receiver.points.get("c", ())) == number)
    configuration.shutdown()

    assert [point.as_int for point in receiver.points["c"]] == [1, 2]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_timeout_in_milliseconds_is_understood(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the specification writes as 1000 takes a second, not a quarter of an hour."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
    with slow_receiver("silent") as endpoint:
        configuration = configure(endpoint, protocol=protocol)
        configuration.tracer_provider.get_tracer("test").start_span("mine").end()
        begin = time.perf_counter()
        configuration.tracer_provider.force_flush()
        seconds = time.perf_counter() - begin
        configuration.shutdown()

    assert 0.9 < seconds < 60


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "is a URL such as"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:secret@host:99999", "is a URL such as"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a b", "is a URL such as"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:secret@host:1", "cannot hold a user"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "is grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "udp", "is grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "is a number of seconds above 0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", "is a number of seconds above 0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "is a list of name=value"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=secret%0A", "has a value for 'a' that no"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "is none, gzip or deflate"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem", "is the path of a file"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/no/such.pem", "is the path of a file"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "maybe", "is true or false"),
        ("OTEL_TRACES_EXPORTER", "oltp", "is none, otlp or console"),
        ("OTEL_METRICS_EXPORTER", "otlp,tape", "is none, otlp or console"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "is a whole number above 0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "is a whole number above 0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999", "is at most OTEL_BSP_MAX_QUEUE_SIZE, 16384"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "many", "is a whole number above 0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "is a number of milliseconds above 0"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "eternal", "is cumulative, delta"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "is a list of key=value"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "foo", "is always_on, always_off"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "few", "is a whole number"),
        ("PETSARD_OTEL_CAPTURE", "everything", "is structure or statistics"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable, never a password, and leaves nothing running."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    threads = threading.active_count()
    with pytest.raises(ConfigError) as caught:
        configure()

    assert str(caught.value).startswith(f"{variable} {message}")
    assert "secret" not in str(caught.value)
    assert threading.active_count() == threads


def test_arguments_beat_the_privacy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a configuration says holds for all runs while it is in force."""
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE", "structure")
    monkeypatch.setenv("PETSARD_OTEL_CAPTURE_LOG_MESSAGES", "true")
    handed_over = Settings(field_names="hashed")
    assert instruments(None, None, Guard(), handed_over).settings is handed_over

    configuration = configure(capture="statistics", field_names="hashed", logs=True)
    expected = Settings(capture="statistics", field_names="hashed", logs=True, log_messages=True)
    assert configuration.settings == expected
    assert instruments(None, None, Guard(), handed_over).settings == expected
    configuration.shutdown()
    assert instruments(None, None, Guard(), handed_over).settings is handed_over


def test_log_records_go_where_they_are_asked_for() -> None:
    """To the configuration's provider, else to the global one, and nowhere unasked."""
    assert logger_provider_in_force(Settings()) is None
    assert logger_provider_in_force(Settings(logs=True)) is logs_api.get_logger_provider()

    configuration = configure("http://127.0.0.1:9", logs=True)
    assert configuration.logger_provider is not None
    assert logger_provider_in_force(Settings()) is configuration.logger_provider
    configuration.shutdown()

    configuration = configure("http://127.0.0.1:9", logs=False)
    assert logger_provider_in_force(Settings(logs=True)) is None
    configuration.shutdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoint": "localhost:4317"}, "an endpoint is a URL such as http://localhost:4317"),
        ({"endpoint": "http://x", "protocol": "thrift"}, "protocol is grpc or http/protobuf"),
        ({"endpoint": ""}, "an endpoint is a URL such as http://localhost:4317"),
        ({"capture": "all"}, "capture is structure or statistics"),
        ({"field_names": "none"}, "field_names is plain or hashed"),
        ({"sample_ratio": 2.0}, r"sample_ratio is a share from 0 to 1 \(found 2.0\)"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    """A mistake is told at once."""
    with pytest.raises(ConfigError, match=message):
        configure(**arguments)


def test_a_global_provider_is_used_and_left_alone(tmp_path: Path) -> None:
    """A provider that the application set sees our spans, gets one processor, and stays."""
    script = tmp_path / "script.py"
    script.write_text(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from petsard_otel import Executor

open("t.csv", "w").write("a\\n1\\n2\\n")
config = {"Loader": {"t": {"filepath": "t.csv"}}}
before = Executor(config)
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
before.run()
Executor(config).run()
with trace.get_tracer("host").start_as_current_span("host"):
    pass
names = [span.name for span in exporter.get_finished_spans()]
assert names == ["Loader.load", "Loader[t]", "petsard run"] * 2 + ["host"], names
assert trace.get_tracer_provider() is provider
assert len(provider._active_span_processor._span_processors) == 2
assert len(before.status.get_snapshots()) == 1
print("fine")
"""
    )
    found = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (found.stdout, found.stderr) == ("fine\n", "")


def test_a_provider_that_cannot_be_remembered_still_works(cars: Schema) -> None:
    """A foreign provider without weak references or a hash is used all the same."""

    class Odd:
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no tracer today")

    status = Status(Pipeline("Loader"), tracer_provider=Odd())  # type: ignore[arg-type]
    status.put("Loader", "a", TableAdapter(cars))

    assert len(status.get_snapshots()) == 1


def test_the_services_name_may_come_as_a_resource_attribute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in the SDK: the argument, then OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES."""

    def name(**arguments: Any) -> object:
        configuration = configure(**arguments)
        configuration.shutdown()
        return configuration.tracer_provider.resource.attributes["service.name"]

    assert name() == "petsard"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=team")
    assert name() == "team"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    assert name() == "nightly"
    assert name(service_name="given") == "given"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        # Which side of the @ is the host?
        ("http://user:pa/SECRET@host:4318", "http://..."),
        ("http://user:pa#SECRET@host:4318", "http://..."),
        ("http://host:4318/?token=a@SECRET", "http://..."),
        ("us/SECRET@host:4317", "..."),
        ("http://user:SECRET@host:4318/v1/traces", "http://host:4318/v1/traces"),
        ("user:SECRET@host:4317", "host:4317"),
        ("http://host:4317/path?key=SECRET", "http://host:4317/path"),
    ],
)
def test_a_password_is_in_no_text(url: str, shown: str) -> None:
    """Wherever a user may have put it."""
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url", ["http://SECRET/x@host:4318", "http://host:4318/?token=a@SECRET", "http://h#SECRET@h"]
)
def test_an_at_behind_the_host_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads it as a path would take a piece of the password for the host, and show it."""
    for endpoint in (url, None):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with pytest.raises(ConfigError, match=r"an @ in a password, a path or a query is") as found:
            configure(endpoint)
        assert "SECRET" not in str(found.value)


@pytest.mark.parametrize(
    "variable",
    ["OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"],
)
@pytest.mark.parametrize(
    "value", ["-----BEGIN EC PRIVATE KEY-----\nSECRET\n", "-----BEGIN SECRET", "SECRET\n" * 9999]
)
def test_a_key_in_the_place_of_its_path_is_not_quoted(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a secret is put into the variable, and not mounted as a file."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as found:
        configure("http://localhost:4317")
    assert str(found.value) == f"{variable} is the path of a file, and this is no path"


@pytest.mark.parametrize("value", ["SECRET==", "api-key=ab,SECRET==", "SECRET", "SECRET="])
def test_a_token_without_a_name_is_no_header(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be the name of one, and names are shown."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", value)
    with pytest.raises(ConfigError, match="one entry has no such form") as found:
        configure("http://localhost:4317")
    assert "SECRET" not in str(found.value)
