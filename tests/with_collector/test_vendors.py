"""The layers of `collector/vendors/`: what arrives at an intake, and what happens when it does not.

No vendor is called. Each layer is read by the real Collector and sends, over TLS, to a server here
that lets nobody in who does not show what the vendor's documentation asks for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from .otlp_files import spans_in
from .servers import ROOT, binary, config_arguments, wait_until
from .tls import https_intakes, make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .servers import Collector

VENDORS = [f"vendors/{name}" for name in ("otlp", "tempo", "datadog", "elastic")]

VARIABLES = {
    "VENDOR_ENDPOINT": "https://intake.example",
    "VENDOR_HEADER": "x-key",
    "VENDOR_HEADER_VALUE": "12345",
    "TEMPO_ENDPOINT": "http://tempo.example:4318",
    "TEMPO_TENANT": "team-a",
    "DD_SITE": "datadoghq.eu",
    "DD_API_KEY": "dd-secret",
    "ELASTIC_OTLP_ENDPOINT": "https://elastic.example",
    "ELASTIC_API_KEY": "ZWxhc3RpYw==",
}

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def validate(layers: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Have the Collector check layers, with nothing else in its environment."""
    return subprocess.run(
        [binary(), "validate", *config_arguments(layers)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_pipeline(config: str | Path, endpoint: str) -> None:
    """Run a pipeline as a user does, with its log records sent as well."""
    subprocess.run(
        [sys.executable, "-m", "petsard_otel", "run", str(config), "--endpoint", endpoint],
        cwd=ROOT,
        env={"PETSARD_OTEL_LOGS": "true", "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )


def overriding(path: Path, text: str) -> Path:
    """Write a layer of a test's own."""
    path.write_text(text)
    return path


def span_ids(spans: list[Any]) -> list[tuple[int, int]]:
    """Return the ids of trace and span of what arrived, sorted."""
    return sorted(
        (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"))
        for span in spans
    )


def histograms(requests: list[Any]) -> Iterator[tuple[str, Any]]:
    """Go through the histograms in requests: name and data."""
    for request in requests:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.WhichOneof("data") == "histogram":
                        yield metric.name, metric.histogram


def test_all_vendors_are_valid_together() -> None:
    """Every layer can be added to every other one."""
    done = validate(VENDORS, VARIABLES)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("state", ["unset", "empty"])
@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("VENDOR_ENDPOINT", "otlp_http/vendor: at least one endpoint must be specified"),
        ("VENDOR_HEADER", "prometheus/VENDOR_HEADER_must_be_set"),
        ("VENDOR_HEADER_VALUE", "prometheus/VENDOR_HEADER_VALUE_must_be_set"),
        ("TEMPO_ENDPOINT", "otlp_http/tempo: at least one endpoint must be specified"),
        ("DD_SITE", "prometheus/DD_SITE_must_be_set"),
        ("DD_API_KEY", "prometheus/DD_API_KEY_must_be_set"),
        ("ELASTIC_OTLP_ENDPOINT", "otlp_http/elastic: at least one endpoint must be specified"),
        ("ELASTIC_API_KEY", "prometheus/ELASTIC_API_KEY_must_be_set"),
    ],
)
def test_names_what_is_missing(missing: str, complaint: str, state: str) -> None:
    """A Collector that would send to nowhere, or without its key, does not start."""
    variables = {name: value for name, value in VARIABLES.items() if name != missing}
    if state == "empty":
        variables[missing] = ""

    done = validate(VENDORS, variables)

    assert done.returncode == 1
    assert complaint in done.stderr
    assert all(complaint.partition(":")[0] in line for line in done.stderr.splitlines())


def test_everything_arrives_once_at_each_vendor(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """Over TLS, with each vendor's header: every span, metrics as they want them, and logs."""
    wide = pd.DataFrame({f"column_{number:03}": [1, 2] for number in range(400)})
    wide.to_csv(tmp_path / "wide.csv", index=False)
    config = tmp_path / "wide.yaml"
    config.write_text(f"Loader:\n  wide:\n    filepath: {tmp_path}/wide.csv\n")
    certificate = make_certificate(tmp_path / "tls")
    required = {
        "otlp": {"x-key": "12345"},
        "tempo": {"x-scope-orgid": "team-a"},
        "datadog": {"dd-api-key": "dd-secret", "compute_stats": "true"},
        "elastic": {"authorization": "ApiKey ZWxhc3RpYw=="},
    }

    with https_intakes(certificate, required) as intakes:
        datadog = overriding(
            tmp_path / "datadog.yaml",
            f"""
            exporters:
              otlp_http/datadog:
                endpoint: {intakes.url}/datadog
                metrics_endpoint: {intakes.url}/datadog/api/v2/otlpmetrics
                tls: {{ca_file: {certificate.path}}}
            """,
        )
        collector = start_collector(
            *VENDORS,
            datadog,
            "file",
            **VARIABLES
            | {
                "VENDOR_ENDPOINT": f"{intakes.url}/otlp",
                "VENDOR_CA": str(certificate.path),
                "TEMPO_ENDPOINT": f"{intakes.url}/tempo",
                "TEMPO_CA": str(certificate.path),
                "ELASTIC_OTLP_ENDPOINT": f"{intakes.url}/elastic",
                "ELASTIC_CA": str(certificate.path),
            },
        )
        run_pipeline(ROOT / "examples" / "pipeline.yaml", collector.grpc)
        run_pipeline(config, collector.grpc)
        wait_until(
            lambda: all(
                sum(span.name == "petsard run" for span in intake.all_spans) == 2
                for intake in intakes.values()
            ),
            "both runs at each intake",
        )
        collector.stop()

    written = spans_in(collector.folder / "files" / "traces.jsonl")
    kept = sorted(span.ids for span in written)
    assert len(kept) > 57
    for intake in intakes.values():
        assert span_ids(intake.all_spans) == kept
        lengths = [
            len(attribute.value.string_value.encode())
            for span in intake.all_spans
            for attribute in span.attributes
            if attribute.key == "petsard.schema.json"
        ]
        assert 2000 < max(lengths) <= 2048
    whole = {span.ids[1]: span.attributes.get("petsard.schema.json") for span in written}
    for span in intakes["tempo"].all_spans:
        schema = {a.key: a.value.string_value for a in span.attributes}.get("petsard.schema.json")
        assert schema == whole[int.from_bytes(span.span_id, "big")]

    assert intakes.unauthorized == 0
    assert intakes.encodings == {"gzip"}
    assert {
        name: sorted(key for key, n in intake.attempts.items() if n)
        for name, intake in intakes.items()
    } == {
        "otlp": ["logs", "metrics", "traces"],
        "tempo": ["traces"],
        "datadog": ["logs", "metrics", "traces"],
        "elastic": ["logs", "metrics", "traces"],
    }
    for name, temporality in {"otlp": CUMULATIVE, "datadog": DELTA, "elastic": DELTA}.items():
        durations = [
            histogram
            for metric, histogram in histograms(intakes[name].requests["metrics"])
            if metric == "petsard.module.duration"
        ]
        assert {histogram.aggregation_temporality for histogram in durations} == {temporality}
        # Of the first run and of the second; as sums, cumulative values would be more.
        if temporality == DELTA:
            points = [point for histogram in durations for point in histogram.data_points]
            assert sum(point.count for point in points) == 25 + 1


def test_a_server_that_is_not_the_vendor_gets_nothing(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """A certificate of somebody else is refused, and what could not be sent is sent later, once."""
    certificate = make_certificate(tmp_path / "tls")
    foreign = make_certificate(tmp_path / "foreign")
    with https_intakes(certificate, {"otlp": {"x-key": "12345"}}) as intakes:
        collector = start_collector(
            "vendors/otlp",
            "file",
            **VARIABLES
            | {"VENDOR_ENDPOINT": f"{intakes.url}/otlp", "VENDOR_CA": str(foreign.path)},
        )
        run_pipeline(ROOT / "examples" / "pipeline.yaml", collector.grpc)
        wait_until(
            lambda: "certificate signed by unknown authority" in collector.log.read_text(),
            "the complaint about the certificate",
        )
        collector.stop()
        assert intakes["otlp"].all_spans == []

        collector.environment["VENDOR_CA"] = str(certificate.path)
        collector.start()
        wait_until(lambda: "petsard run" in intakes["otlp"].spans, "the run at the vendor")
        collector.stop()

    kept = spans_in(collector.folder / "files" / "traces.jsonl")
    assert len(kept) == 57
    assert span_ids(intakes["otlp"].all_spans) == sorted(span.ids for span in kept)


def test_a_vendor_that_is_busy_is_asked_again_and_one_that_refuses_is_not(
    start_collector: Callable[..., Collector], tmp_path: Path
) -> None:
    """503 and 429 are waited out; a wrong key is not, and what it costs is counted."""
    certificate = make_certificate(tmp_path / "tls")
    hasty = overriding(
        tmp_path / "hasty.yaml",
        "exporters: {otlp_http/vendor: {retry_on_failure: {initial_interval: 100ms}}}",
    )
    with https_intakes(certificate, {"otlp": {"x-key": "12345"}}) as intakes:
        intakes["otlp"].moods["traces"] = [503, 502, 503, 200]
        variables = VARIABLES | {
            "VENDOR_ENDPOINT": f"{intakes.url}/otlp",
            "VENDOR_CA": str(certificate.path),
        }
        patient = start_collector("vendors/otlp", hasty, **variables)
        run_pipeline(ROOT / "examples" / "pipeline.yaml", patient.grpc)
        wait_until(lambda: "petsard run" in intakes["otlp"].spans, "the run at the vendor")
        assert intakes["otlp"].attempts["traces"] >= 4

        keyless = start_collector(
            "vendors/otlp", hasty, **variables | {"VENDOR_HEADER_VALUE": "wrong"}
        )
        run_pipeline(ROOT / "examples" / "pipeline.yaml", keyless.grpc)
        failed = r'^otelcol_exporter_send_failed_spans{exporter="otlp_http/vendor".*} 57$'

        def is_counted() -> bool:
            with urllib.request.urlopen(keyless.telemetry, timeout=5) as answer:  # noqa: S310
                return re.search(failed, answer.read().decode(), re.MULTILINE) is not None

        wait_until(is_counted, "the count of spans that were refused")
        assert "Dropping data" in keyless.log.read_text()
