"""What can be known of `collector/` and docker-compose.yml without a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from petsard_otel import attributes
from petsard_otel.telemetry.privacy import ALLOWED, PrivacyClass

ROOT = Path(__file__).parent.parent
COLLECTOR = ROOT / "collector"

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
STAYING = {name: service for name, service in SERVICES.items() if name != "volumes"}
YAML_FILES = sorted(COLLECTOR.rglob("*.yaml")) + sorted(COLLECTOR.rglob("*.yml"))

WHO_SENDS = {
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.auto.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
    "host.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.job.name",
    "k8s.cronjob.name",
}


def load(path: str) -> dict[str, Any]:
    """Read a file of `collector/`."""
    loaded: dict[str, Any] = yaml.safe_load((COLLECTOR / path).read_text())
    return loaded


def test_the_collector_lets_through_what_the_client_does() -> None:
    """The allow-list is that of the client's gate, without what has to be opted into."""
    allowed = load("privacy.yaml")["processors"]["redaction/privacy"]["allowed_keys"]
    structure = {
        key for key, rule in ALLOWED.items() if rule.privacy_class is PrivacyClass.STRUCTURE
    }

    assert len(allowed) == len(set(allowed))
    assert set(allowed) == structure | WHO_SENDS | {"otel.metric.overflow"}


def test_what_is_opted_into_is_named() -> None:
    """The layer's opening says which keys the other classes are."""
    opening = (COLLECTOR / "privacy.yaml").read_text().partition("\nprocessors:")[0]

    for key, rule in ALLOWED.items():
        if rule.privacy_class is not PrivacyClass.STRUCTURE:
            assert f" {key}\n" in f"{opening}\n"


def test_every_key_of_ours_is_known_to_the_gate() -> None:
    """The list that the layer is compared with has every key of attributes.py."""
    keys = {
        value
        for name, value in vars(attributes).items()
        if name.isupper()
        and not name.startswith("METRIC_")
        and name not in {"SCOPE_NAME", "STEP_CONTEXT_PREFIX"}
    }

    assert keys == set(ALLOWED)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(COLLECTOR)))
def test_each_file_opens_with_what_it_is_for(path: Path) -> None:
    """The first line is a comment in words."""
    first = path.read_text().splitlines()[0]

    assert re.match(r"# \w.{20,}", first), first


def test_ports_are_on_this_machine_only() -> None:
    """No port is reachable from elsewhere, and one that is taken can be another."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(ports) == 5
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-(\d+)\}:\1", port) for port in ports)


def test_images_are_pinned() -> None:
    """Each image has a whole version, and the Collector's is the one that is built and tested."""
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    builder = (COLLECTOR / "builder.yaml").read_text()
    versions = set(re.findall(r" v(0\.\d+\.\d+)$", builder, re.MULTILINE))
    assert versions == {SERVICES["collector"]["image"].partition(":")[2]}


@pytest.mark.parametrize("name", sorted(STAYING))
def test_a_service_is_bounded_and_watched(name: str) -> None:
    """Each has a memory limit, a health check without a shell, and no more rights than it needs."""
    service = STAYING[name]

    assert service["mem_limit"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert not {"sh", "/bin/sh", "bash"} & set(service["healthcheck"]["test"])
    assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_is_mounted_is_there() -> None:
    """Each path of a mount exists, and named volumes are declared."""
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source


def test_every_configuration_that_is_named_is_there() -> None:
    """The files that commands name are in the folders that are mounted."""
    for service in SERVICES.values():
        for argument in service.get("command", []):
            for path in re.findall(r"/etc/petsard-otel/([\w./-]+\.yaml)", argument):
                assert (COLLECTOR / path).is_file(), path


def test_volumes_are_given_to_who_writes_into_them() -> None:
    """The Collector and Jaeger start after their volumes are theirs."""
    given = SERVICES["volumes"]

    assert given["entrypoint"][:2] == ["/bin/chown", "10001:10001"]
    for name in ("collector", "jaeger"):
        assert f"{name}:/{name}" in given["volumes"]
        assert f"/{name}" in given["entrypoint"]
        assert SERVICES[name]["depends_on"]["volumes"] == {
            "condition": "service_completed_successfully"
        }


def test_there_is_no_password() -> None:
    """Grafana is open on this machine, and nothing has a secret that reaches beyond it."""
    assert not re.search(
        r"password|secret|token",
        (ROOT / "docker-compose.yml").read_text().replace("so no password", ""),
        re.IGNORECASE,
    )
    assert SERVICES["grafana"]["environment"]["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"


def default_of(path: str, variable: str) -> str:
    """Give what a configuration takes where a variable is not set."""
    found = re.search(rf"\$\{{env:{variable}:-([^}}]*)\}}", (COLLECTOR / path).read_text())
    assert found is not None, f"{path} reads no {variable}"
    return found[1]


def test_the_services_find_each_other() -> None:
    """Names and ports of docker-compose.yml are those at which the configurations listen."""
    collector, jaeger = SERVICES["collector"], SERVICES["jaeger"]
    scraped = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
    sources = yaml.safe_load(
        next((COLLECTOR / "grafana" / "provisioning" / "datasources").iterdir()).read_text()
    )
    jaeger_ui = default_of("jaeger/config.yaml", "JAEGER_QUERY_PORT")

    assert (
        collector["environment"]["JAEGER_ENDPOINT"]
        == f"jaeger:{default_of('jaeger/config.yaml', 'JAEGER_OTLP_PORT')}"
    )
    health = default_of("jaeger/config.yaml", "JAEGER_HEALTH_PORT")
    assert jaeger["healthcheck"]["test"][-1] == f"http://127.0.0.1:{health}/status"
    health = default_of("base.yaml", "COLLECTOR_HEALTH_PORT")
    assert collector["healthcheck"]["test"][-1] == f"--config=http://127.0.0.1:{health}/"
    assert {
        target
        for job in scraped["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    } == {
        f"collector:{default_of('prometheus.yaml', 'COLLECTOR_PROMETHEUS_PORT')}",
        f"collector:{default_of('base.yaml', 'COLLECTOR_TELEMETRY_PORT')}",
    }
    assert [source["url"] for source in sources["datasources"]] == [
        "http://prometheus:9090",
        f"http://jaeger:{jaeger_ui}",
    ]
    assert collector["ports"] == [
        f"127.0.0.1:${{OTLP_GRPC_PORT:-{port}}}:{port}".replace("GRPC", protocol)
        for protocol, port in (
            ("GRPC", default_of("base.yaml", "COLLECTOR_GRPC_PORT")),
            ("HTTP", default_of("base.yaml", "COLLECTOR_HTTP_PORT")),
        )
    ]


@pytest.mark.parametrize("name", ["collector", "jaeger"])
def test_each_variable_is_read(name: str) -> None:
    """What docker-compose.yml sets is a variable of the configurations that the service reads."""
    folder = COLLECTOR / "jaeger" if name == "jaeger" else COLLECTOR
    text = "".join(path.read_text() for path in folder.glob("*.yaml"))

    for variable in SERVICES[name]["environment"].keys() - {"GOMEMLIMIT"}:
        assert f"${{env:{variable}:-" in text, variable


def test_every_variable_is_in_the_table_with_its_default() -> None:
    """docs/platform.md has each variable of each layer, and what it is where nobody sets it."""
    page = (ROOT / "docs" / "platform.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))

    for path in YAML_FILES:
        for name, default in re.findall(r"\$\{env:(\w+)(?::-([^}]*))?\}", path.read_text()):
            named = f"`{name}` `{default}`" if default else f"`{name}`"
            assert named in table, f"{path.name}: {named}"
