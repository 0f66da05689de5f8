"""The layers of `collector/scale/`: many Collectors, and which traces are kept.

Time is compressed: what takes hours takes seconds here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
import uuid
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from petsard_otel import Executor

from ..otlp_receivers import Receiver, grpc_receiver
from .otlp_files import spans_in
from .servers import COLLECTOR, ROOT, binary, free_port, wait_until
from .test_vendors import run_pipeline, validate
from .tls import make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .servers import Collector

ERROR = 2
ROOT_ID = b"\1" * 8


def new_trace() -> bytes:
    """Return the id of a new trace."""
    return uuid.uuid4().bytes


def send(
    collector: Collector,
    trace_id: bytes,
    name: str,
    *,
    seconds: float = 0.1,
    status: int = 0,
    is_root: bool = False,
    **attributes: str,
) -> None:
    """Send one span that has just ended, in a request of its own."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id = trace_id
    span.span_id = ROOT_ID if is_root else uuid.uuid4().bytes[:8]
    span.parent_span_id = b"" if is_root else ROOT_ID
    span.name = name
    span.end_time_unix_nano = time.time_ns()
    span.start_time_unix_nano = span.end_time_unix_nano - int(seconds * 1e9)
    span.status.code = status  # type: ignore[assignment]  # its numbers have a type of their own
    for key, value in attributes.items():
        span.attributes.add(key=key.replace("_", ".")).value.string_value = value
    post(collector, request)


def end_run(collector: Collector, trace_id: bytes, result: str, seconds: float = 1) -> None:
    """Send the span of a run, which is the root of its trace."""
    send(
        collector,
        trace_id,
        "petsard run",
        seconds=seconds,
        status=ERROR if result == "error" else 0,
        is_root=True,
        petsard_run_result=result,
    )


def post(collector: Collector, request: ExportTraceServiceRequest) -> None:
    """Send a request over OTLP/HTTP; a status of 400 or more raises."""
    message = urllib.request.Request(  # noqa: S310  a loopback URL
        f"{collector.http}/v1/traces",
        request.SerializeToString(),
        {"Content-Type": "application/x-protobuf"},
    )
    urllib.request.urlopen(message, timeout=30).close()  # noqa: S310


def names(receiver: Receiver, trace_id: bytes) -> list[str]:
    """Return the names of a trace's spans, as they came."""
    return [span.name for span in receiver.all_spans if span.trace_id == trace_id]


def address(url: str) -> str:
    """Return host and port of a URL."""
    return url.removeprefix("http://")


# --- sampling ------------------------------------------------------------------------------------


@pytest.fixture
def backend() -> Any:
    """Give a backend, as the layer `jaeger` sends to, and its address."""
    with grpc_receiver() as (url, receiver):
        yield address(url), receiver


def test_sampling_keeps_whole_runs(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver]
) -> None:
    """Failed, cancelled, killed and slow runs are whole, however early their spans came."""
    endpoint, receiver = backend
    collector = start_collector(
        "scale/sampling",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        SAMPLING_SLOW="6s",
        SAMPLING_AFTER_RUN="1s",
        SAMPLING_PERCENT="0",
    )
    failed, fine, cancelled, killed, slow, late, foreign = (new_trace() for _ in range(7))
    for trace_id in (failed, fine, cancelled, killed, slow, late):
        send(collector, trace_id, "Loader[a]")
    send(collector, foreign, "GET /")
    time.sleep(2)
    assert receiver.all_spans == []
    send(collector, failed, "Synthesizer[b]", status=ERROR)
    send(collector, fine, "Synthesizer[b]")
    end_run(collector, failed, "error")
    end_run(collector, fine, "success", seconds=5.9)
    end_run(collector, cancelled, "cancelled")
    # Of hours, though its spans came in one go, as they do after a network was away.
    end_run(collector, slow, "success", seconds=6.1)

    wait_until(lambda: len(names(receiver, failed)) == 3, "the failed run")
    assert names(receiver, failed) == ["Loader[a]", "Synthesizer[b]", "petsard run"]
    wait_until(lambda: names(receiver, cancelled) == ["Loader[a]", "petsard run"], "the cancelled")
    wait_until(lambda: names(receiver, slow) == ["Loader[a]", "petsard run"], "the slow run")
    assert names(receiver, killed) == []
    assert names(receiver, late) == []

    # It is not over when it has become slow, so its spans go straight on from then.
    wait_until(lambda: names(receiver, late) == ["Loader[a]"], "the run that is under way")
    wait_until(lambda: names(receiver, killed) == ["Loader[a]"], "the run that was killed")
    wait_until(lambda: names(receiver, foreign) == ["GET /"], "what is none of ours")
    send(collector, late, "Synthesizer[b]")
    wait_until(lambda: len(names(receiver, late)) == 2, "a span of the run under way")
    end_run(collector, late, "success", seconds=8)
    wait_until(lambda: names(receiver, late)[2:] == ["petsard run"], "its end")

    # A straggler goes where its trace went.
    send(collector, failed, "Reporter[c]")
    send(collector, fine, "Reporter[c]")
    wait_until(lambda: names(receiver, failed)[3:] == ["Reporter[c]"], "a straggler")
    end_run(collector, new_trace(), "cancelled")
    wait_until(lambda: len(receiver.all_spans) == 14, "what was sent last")
    assert names(receiver, fine) == []


def test_sampling_decides_about_real_runs(
    start_collector: Callable[..., Collector],
    backend: tuple[str, Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two runs that send each span as it ends, the one that fails is kept, with all spans."""
    monkeypatch.chdir(ROOT)
    endpoint, receiver = backend
    collector = start_collector(
        "scale/sampling",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        SAMPLING_AFTER_RUN="1s",
        SAMPLING_PERCENT="0",
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        SimpleSpanProcessor(OTLPSpanExporter(f"{collector.http}/v1/traces"))
    )
    loader = {"cars": {"filepath": "examples/cars.csv"}}
    Executor({"Loader": loader}, tracer_provider=provider).run()
    scaling = {"method": "custom", "config": {"scaler": {"no_such_column": "scaler_standard"}}}
    failing = Executor(
        {
            "Loader": loader,
            "Splitter": {"half": {"num_samples": 1, "train_split_ratio": 0.5}},
            "Preprocessor": {"scale": scaling},
        },
        tracer_provider=provider,
    )
    with pytest.raises(Exception, match="no_such_column"):
        failing.run()

    wait_until(lambda: "petsard run" in receiver.spans, "the failed run")
    (trace_id,) = {span.trace_id for span in receiver.all_spans}
    assert trace_id.hex() == failing.status.get_status_summary()["trace_id"]
    modules = [span.name for span in receiver.all_spans if "[" in span.name]
    assert modules == ["Loader[cars]", "Splitter[half]", "Preprocessor[scale]"]


def test_sampling_keeps_a_share(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver]
) -> None:
    """About half of 200 runs that went well is kept, and each of them whole."""
    endpoint, receiver = backend
    collector = start_collector(
        "scale/sampling",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        SAMPLING_AFTER_RUN="1s",
        SAMPLING_PERCENT="50",
    )
    # The choice depends on the id alone, so these always give the same.
    traces = [sha256(bytes([number])).digest()[:16] for number in range(200)]
    for trace_id in traces:
        send(collector, trace_id, "Loader[a]")
        end_run(collector, trace_id, "success")
    last = new_trace()
    end_run(collector, last, "error")
    wait_until(lambda: names(receiver, last), "a run that is kept, sent after the others")

    kept = [names(receiver, trace_id) for trace_id in traces]
    whole = ["Loader[a]", "petsard run"]
    assert all(found in ([], whole) for found in kept)
    assert 70 < sum(found == whole for found in kept) < 130


def test_a_full_sampler_lets_senders_wait(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver]
) -> None:
    """With all places taken the next trace is let in when one is free; none is thrown away."""
    endpoint, receiver = backend
    collector = start_collector(
        "scale/sampling",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        SAMPLING_SLOW="3s",
        SAMPLING_OPEN_TRACES="2",
    )
    traces = [new_trace() for _ in range(4)]
    for trace_id in traces:
        send(collector, trace_id, "Loader[a]")

    wait_until(lambda: len(receiver.all_spans) == 4, "all four")
    assert {span.trace_id for span in receiver.all_spans} == set(traces)


def test_a_stopped_sampler_loses_no_run_and_a_killed_one_what_it_holds(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver]
) -> None:
    """A stop hands on what is under way; a kill is said to lose it, and does."""
    endpoint, receiver = backend
    collector = start_collector(
        "scale/sampling",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        SAMPLING_AFTER_RUN="1s",
        SAMPLING_PERCENT="0",
    )
    stopped, killed = new_trace(), new_trace()
    send(collector, stopped, "Loader[a]")
    collector.stop()
    collector.start()
    end_run(collector, stopped, "error")
    wait_until(lambda: len(names(receiver, stopped)) == 2, "both parts of the failed run")

    send(collector, killed, "Loader[a]")
    collector.kill()
    collector.start()
    end_run(collector, killed, "error")
    wait_until(lambda: names(receiver, killed) == ["petsard run"], "what came after the kill")


# --- agents and gateways -------------------------------------------------------------------------


def send_runs(collector: Collector, count: int, spans: int = 5) -> dict[bytes, set[bytes]]:
    """Send runs, each in a request of its own, and return the span ids that were accepted."""
    accepted = {}
    for _ in range(count):
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        trace_id = new_trace()
        for number in range(spans):
            span = scope.spans.add()
            span.trace_id = trace_id
            span.span_id = uuid.uuid4().bytes[:8]
            span.name = f"Loader[{number}]"
            span.end_time_unix_nano = span.start_time_unix_nano = time.time_ns()
        post(collector, request)
        accepted[trace_id] = {span.span_id for span in scope.spans}
    return accepted


def arrived(receiver: Receiver) -> dict[bytes, list[bytes]]:
    """Return the span ids that came, by trace."""
    found: dict[bytes, list[bytes]] = {}
    for span in receiver.all_spans:
        found.setdefault(span.trace_id, []).append(span.span_id)
    return found


def test_an_agent_without_gateways_does_not_start() -> None:
    """What is missing is named."""
    done = validate(["scale/agent"], {})
    assert done.returncode == 1
    assert "no resolvers specified for the exporter" in done.stderr


def test_two_gateways_share_the_traces_and_one_may_die(
    start_collector: Callable[..., Collector],
) -> None:
    """Each trace is whole at one gateway, and a kill in the middle loses nothing accepted."""
    with ExitStack() as stack:
        urls, receivers = zip(
            *(stack.enter_context(grpc_receiver()) for _ in range(2)), strict=True
        )
        gateways = [start_collector("jaeger", JAEGER_ENDPOINT=address(url)) for url in urls]
        hostnames = [address(gateway.grpc) for gateway in gateways]
        agent = start_collector(
            "scale/agent", GATEWAY_RESOLVER=f"{{static: {{hostnames: {hostnames}}}}}"
        )

        def is_whole() -> bool:
            found = {**arrived(receivers[0]), **arrived(receivers[1])}
            return {trace: set(ids) for trace, ids in found.items()} == accepted

        accepted = send_runs(agent, 100)
        wait_until(is_whole, "the first traces")
        accepted |= send_runs(agent, 40)
        gateways[1].kill()
        before = len(arrived(receivers[0]))
        accepted |= send_runs(agent, 100)
        # The one that is left gets its half of them all the same.
        wait_until(lambda: len(arrived(receivers[0])) > before + 30, "the living gateway's part")
        gateways[1].start()
        wait_until(is_whole, "every span that was accepted")
        shares = [arrived(receiver) for receiver in receivers]

    assert set(shares[0]).isdisjoint(shares[1])
    assert min(len(share) for share in shares) > 60
    ids = [span_id for share in shares for trace in share.values() for span_id in trace]
    # What the killed gateway had stored and not yet confirmed may come twice, one request at most
    # for each that was under way; nothing of the other gateway's does.
    assert len(ids) - len(set(ids)) <= 5
    assert all(len(trace) == 5 for trace in shares[0].values())


def is_in(text: str, path: Path) -> bool:
    """Whether there is such a file with such a text."""
    return path.exists() and text in path.read_text()


def test_metrics_and_logs_pass_agents_too(start_collector: Callable[..., Collector]) -> None:
    """A run's three signals are at the gateway, each span once."""
    gateway = start_collector("privacy", "file")
    agent = start_collector(
        "privacy",
        "scale/agent",
        GATEWAY_RESOLVER=f"{{static: {{hostnames: ['{address(gateway.grpc)}']}}}}",
    )
    run_pipeline(ROOT / "examples" / "pipeline.yaml", agent.grpc)
    expected = {"traces": "petsard run", "metrics": "petsard.run.duration", "logs": "PETsARD"}
    for name, text in expected.items():
        wait_until(partial(is_in, text, gateway.folder / "files" / f"{name}.jsonl"), name)
    ids = [span.ids for span in spans_in(gateway.folder / "files" / "traces.jsonl")]
    assert len(ids) == len(set(ids)) == 57


def test_an_agent_that_dies_sends_what_it_had_accepted(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver]
) -> None:
    """While no gateway is there, what is accepted lies on the agent's disk, and outlives it."""
    endpoint, receiver = backend
    port = free_port()
    resolver = f"{{static: {{hostnames: ['127.0.0.1:{port}']}}}}"
    agent = start_collector("scale/agent", GATEWAY_RESOLVER=resolver)
    accepted = send_runs(agent, 20)
    agent.kill()
    start_collector("jaeger", JAEGER_ENDPOINT=endpoint, COLLECTOR_GRPC_PORT=str(port))
    agent.start()
    wait_until(
        lambda: {trace: set(ids) for trace, ids in arrived(receiver).items()} == accepted,
        "what was accepted before the agent died",
    )


def test_gateways_let_only_their_agents_in(
    start_collector: Callable[..., Collector], backend: tuple[str, Receiver], tmp_path: Path
) -> None:
    """With TLS on both sides, an agent without a certificate waits outside."""
    endpoint, receiver = backend
    server, client = make_certificate(tmp_path / "server"), make_certificate(tmp_path / "client")
    gateway = start_collector(
        "scale/tls",
        "jaeger",
        JAEGER_ENDPOINT=endpoint,
        COLLECTOR_CERT=str(server.path),
        COLLECTOR_KEY=str(server.key),
        COLLECTOR_CLIENT_CA=str(client.path),
    )
    agent = start_collector(
        "scale/agent",
        GATEWAY_RESOLVER=f"{{static: {{hostnames: ['{address(gateway.grpc)}']}}}}",
        GATEWAY_INSECURE="false",
        GATEWAY_CA=str(server.path),
    )
    accepted = send_runs(agent, 3)
    time.sleep(2)
    assert receiver.all_spans == []

    agent.stop()
    agent.environment |= {"GATEWAY_CERT": str(client.path), "GATEWAY_KEY": str(client.key)}
    agent.start()
    wait_until(
        lambda: {trace: set(ids) for trace, ids in arrived(receiver).items()} == accepted,
        "what waited outside",
    )


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_the_pods_of_kubernetes_start_with_what_they_are_given(name: str, tmp_path: Path) -> None:
    """The arguments and variables of the manifests, with the ConfigMap's files in one folder."""
    manifest = COLLECTOR / "scale" / "kubernetes" / f"{name}.yaml"
    documents = list(yaml.safe_load_all(manifest.read_text()))
    (pod,) = [document for document in documents if document["kind"] == "StatefulSet"]
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    for document in documents:
        variables |= document.get("data", {})
    generated = yaml.safe_load((COLLECTOR / "kustomization.yml").read_text())
    for path in generated["configMapGenerator"][0]["files"]:
        shutil.copy(COLLECTOR / path, tmp_path)

    arguments = [
        argument.replace("/etc/petsard-otel", str(tmp_path)) for argument in container["args"]
    ]
    done = subprocess.run(
        [binary(), "validate", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- Kafka ---------------------------------------------------------------------------------------

needs_kafka = pytest.mark.skipif(
    "KAFKA_BIN" not in os.environ, reason="no broker: `make test-collector` builds one"
)


class Broker:
    """A Kafka broker in a process of its own, whose data is in a folder."""

    def __init__(self, folder: Path, *security: str) -> None:
        self.port = free_port()
        self.command = [os.environ["KAFKA_BIN"], str(self.port), str(folder), *security]
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """End it, where it runs."""
        if self.process is not None:
            self.process.communicate("", timeout=60)
            self.process = None


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Give a function that starts a broker; it ends with the test."""
    with ExitStack() as stack:

        def start(*security: str) -> Broker:
            broker = Broker(tmp_path / "kafka", *security)
            broker.start()
            stack.callback(broker.stop)
            return broker

        yield start


@pytest.mark.parametrize("layer", ["scale/kafka-out", "scale/kafka-in"])
def test_kafka_without_brokers_does_not_start(layer: str) -> None:
    """The components' own default is a broker on this machine, which nobody meant."""
    done = validate([layer], {})
    assert done.returncode == 1
    assert "KAFKA_BROKERS_must_be_set" in done.stderr
    assert validate([layer], {"KAFKA_BROKERS": "a:9093,b:9093"}).returncode == 0


@pytest.mark.parametrize("missing", ["KAFKA_USERNAME", "KAFKA_PASSWORD"])
def test_kafka_without_its_user_does_not_start(missing: str) -> None:
    """Half a login is none."""
    variables = {"KAFKA_BROKERS": "a:9093", "KAFKA_USERNAME": "me", "KAFKA_PASSWORD": "12345"}
    layers = ["scale/kafka-out", "scale/kafka-sasl"]
    assert validate(layers, variables).returncode == 0
    del variables[missing]
    done = validate(layers, variables)
    assert done.returncode == 1
    assert f"{missing.removeprefix('KAFKA_').lower()} is required" in done.stderr


@needs_kafka
def test_kafka_between_agents_and_gateways(
    start_collector: Callable[..., Collector], start_broker: Callable[..., Broker]
) -> None:
    """A trace stays at one gateway; broker and gateways may be away, and nothing is lost."""
    broker = start_broker()
    variables = {"KAFKA_BROKERS": broker.address, "KAFKA_INSECURE": "true"}
    agent = start_collector("scale/kafka-out", **variables)
    with ExitStack() as stack:
        urls, receivers = zip(
            *(stack.enter_context(grpc_receiver()) for _ in range(2)), strict=True
        )

        def is_whole() -> bool:
            found: dict[bytes, set[bytes]] = {}
            for receiver in receivers:
                for trace, ids in arrived(receiver).items():
                    found.setdefault(trace, set()).update(ids)
            return found == accepted

        # With nobody to read, and then without a broker.
        accepted = send_runs(agent, 40)
        broker.stop()
        accepted |= send_runs(agent, 40)
        agent.kill()
        broker.start()
        agent.start()
        gateways = [
            start_collector("scale/kafka-in", "jaeger", JAEGER_ENDPOINT=address(url), **variables)
            for url in urls
        ]
        wait_until(is_whole, "what was accepted without gateways")

        # One after the other, so that the spans of a trace are in several records.
        traces = [new_trace() for _ in range(20)]
        for name in ("Loader[a]", "Synthesizer[b]", "petsard run"):
            for trace_id in traces:
                send(agent, trace_id, name)
            time.sleep(1.1)
        wait_until(
            lambda: sum(len(names(receivers[n], t)) for n in (0, 1) for t in traces) == 60,
            "the spans that came one after the other",
        )
        for trace_id in traces:
            assert sorted(len(names(receiver, trace_id)) for receiver in receivers) == [0, 3]
        assert all(arrived(receiver).keys() & set(traces) for receiver in receivers)
        accepted |= {
            trace_id: {*arrived(receivers[0]).get(trace_id, []),
                       *arrived(receivers[1]).get(trace_id, [])}
            for trace_id in traces
        }  # fmt: skip

        gateways[1].kill()
        accepted |= send_runs(agent, 40)
        # What it had read is on its disk, and comes from there.
        gateways[1].start()
        wait_until(is_whole, "everything that was accepted")
        ids = [span.span_id for receiver in receivers for span in receiver.all_spans]

    # What the killed gateway had read and not yet marked is read again: a second's, at most.
    assert len(ids) - len(set(ids)) <= 200


@needs_kafka
def test_kafka_over_tls_with_a_user(
    start_collector: Callable[..., Collector],
    start_broker: Callable[..., Broker],
    backend: tuple[str, Receiver],
    tmp_path: Path,
) -> None:
    """All three signals go through a broker that asks for TLS, a user and a password."""
    endpoint, receiver = backend
    certificate = make_certificate(tmp_path / "tls")
    broker = start_broker(str(certificate.path), str(certificate.key), "petsard", "12345")
    variables = {
        "KAFKA_BROKERS": broker.address,
        "KAFKA_CA": str(certificate.path),
        "KAFKA_USERNAME": "petsard",
        "KAFKA_PASSWORD": "12345",
    }
    agent = start_collector("scale/kafka-out", "scale/kafka-sasl", **variables)
    gateway = start_collector(
        "scale/kafka-in", "scale/kafka-sasl", "file", "jaeger",
        JAEGER_ENDPOINT=endpoint, **variables,
    )  # fmt: skip
    run_pipeline(ROOT / "examples" / "pipeline.yaml", agent.grpc)
    wait_until(lambda: "petsard run" in receiver.spans, "the run")
    assert len(receiver.all_spans) == 57
    files = gateway.folder / "files"
    for name, text in {"metrics": "petsard.run.duration", "logs": "PETsARD"}.items():
        wait_until(partial(is_in, text, files / f"{name}.jsonl"), name)
