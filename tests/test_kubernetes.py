"""The manifests in `collector/scale/kubernetes/`: what Kubernetes would say, and what they promise.

No cluster is here. The schemas are those of Kubernetes itself; that names, ports, labels and files
agree with each other is looked at one by one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COLLECTOR = ROOT / "collector"
VERSIONS = ["1.30", "1.37"]


def kustomization() -> dict[str, Any]:
    """Return what `kubectl apply -k collector/` reads first."""
    loaded: dict[str, Any] = yaml.safe_load((COLLECTOR / "kustomization.yml").read_text())
    return loaded


def manifests() -> list[dict[str, Any]]:
    """Return all objects of the manifests."""
    return [
        document
        for path in kustomization()["resources"]
        for document in yaml.safe_load_all((COLLECTOR / path).read_text())
    ]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind, by name."""
    return {
        document["metadata"]["name"]: document
        for document in manifests()
        if document["kind"] == kind
    }


def pod(name: str) -> dict[str, Any]:
    """Return the pod of a StatefulSet."""
    template: dict[str, Any] = of_kind("StatefulSet")[name]["spec"]["template"]
    return template


def container(name: str) -> dict[str, Any]:
    """Return the container of a StatefulSet."""
    (only,) = pod(name)["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(name: str) -> dict[str, str]:
    """Return the variables of a StatefulSet that are said there."""
    return {entry["name"]: entry["value"] for entry in container(name)["env"]}


def layers(name: str) -> list[str]:
    """Return the files that the Collector of a StatefulSet reads."""
    prefix = "--config=/etc/petsard-otel/"
    assert all(argument.startswith(prefix) for argument in container(name)["args"])
    return [argument.removeprefix(prefix) for argument in container(name)["args"]]


def offered() -> dict[str, Path]:
    """Return the files of the ConfigMap, by the name that they have there."""
    (generated,) = kustomization()["configMapGenerator"]
    assert generated["name"] == "layers"
    return {Path(path).name: COLLECTOR / path for path in generated["files"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(version: str) -> None:
    """The schemas of an old and of a new Kubernetes agree, and no field is misspelt."""
    validator = pytest.importorskip("kubernetes_validate")
    assert len(manifests()) == 13
    for document in manifests():
        validator.validate(document, version, strict=True)

    misspelt = of_kind("StatefulSet")["gateway"]
    misspelt["spec"]["replica"] = 2
    with pytest.raises(validator.ValidationError):
        validator.validate(misspelt, version, strict=True)


def test_kustomize_makes_the_config_map_of_the_layers() -> None:
    """What a pod reads is, byte for byte, what lies in `collector/`."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here")
    done = subprocess.run(
        [kubectl, "kustomize", str(COLLECTOR)], capture_output=True, text=True, check=True
    )
    built = list(yaml.safe_load_all(done.stdout))

    (config_map,) = [
        document
        for document in built
        if document["kind"] == "ConfigMap" and document["metadata"]["name"].startswith("layers-")
    ]
    assert config_map["data"] == {name: path.read_text() for name, path in offered().items()}
    used = {
        volume["configMap"]["name"]
        for document in built
        if document["kind"] == "StatefulSet"
        for volume in document["spec"]["template"]["spec"]["volumes"]
    }
    assert used == {config_map["metadata"]["name"]}
    assert {
        document["metadata"].get("namespace")
        for document in built
        if document["kind"] != "Namespace"
    } == {"petsard-otel"}
    assert len(built) == len(manifests()) + 1


def test_every_layer_is_there() -> None:
    """Each file that a Collector reads is in the ConfigMap, which is not too large for the API."""
    assert layers("agent") == ["base.yaml", "privacy.yaml", "agent.yaml"]
    assert layers("gateway") == ["base.yaml", "privacy.yaml", "prometheus.yaml", "jaeger.yaml"]
    assert {*layers("agent"), *layers("gateway")} <= offered().keys()
    vendors = {path.name for path in (COLLECTOR / "vendors").glob("*.yaml")}
    assert vendors <= offered().keys()
    assert sum(len(path.read_bytes()) for path in offered().values()) < 500_000


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_a_pod_may_do_little(name: str) -> None:
    """What the Pod Security Standard "restricted" asks for, and a read-only root."""
    assert of_kind("Namespace")["petsard-otel"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }
    spec = pod(name)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_a_collector_fits_its_pod(name: str) -> None:
    """Image, memory, disk and probes agree with what the layers say."""
    image, version = container(name)["image"].split(":")
    assert image == "otel/opentelemetry-collector-contrib"
    assert f"contrib) {version}." in (COLLECTOR / "base.yaml").read_text()

    variables = environment(name)
    limits = container(name)["resources"]["limits"]
    assert limits["memory"] == "512Mi"
    assert variables["COLLECTOR_MEMORY_MIB"] == "400"
    assert variables["GOMEMLIMIT"] == "400MiB"
    assert variables["COLLECTOR_HOST"] == "0.0.0.0"  # noqa: S104  inside the pod

    mounts = {mount["mountPath"]: mount["name"] for mount in container(name)["volumeMounts"]}
    (claim,) = of_kind("StatefulSet")[name]["spec"]["volumeClaimTemplates"]
    assert mounts == {"/etc/petsard-otel": "layers", "/var/lib/otelcol": claim["metadata"]["name"]}

    text = "".join((offered()[layer]).read_text() for layer in layers(name))
    ports = {port["name"]: port["containerPort"] for port in container(name)["ports"]}
    defaults = {
        found.lower(): int(port) for found, port in re.findall(r"COLLECTOR_(\w+)_PORT:-(\d+)", text)
    }
    assert ports == defaults
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(name)[probe]["httpGet"] == {"path": "/", "port": "health"}


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_every_variable_that_is_needed_is_set(name: str) -> None:
    """A layer's variable without a default has a value here."""
    text = "".join((offered()[layer]).read_text() for layer in layers(name))
    needed = set(re.findall(r"\$\{env:(\w+)\}", text))
    assert needed <= environment(name).keys()
    known = set(re.findall(r"\$\{env:(\w+)", text)) | {"GOMEMLIMIT"}
    assert environment(name).keys() <= known


def test_agents_name_every_gateway() -> None:
    """Their list has one name for each replica, as the headless service gives it."""
    gateways = of_kind("StatefulSet")["gateway"]["spec"]
    service = of_kind("Service")["gateway"]["spec"]
    resolver = yaml.safe_load(environment("agent")["GATEWAY_RESOLVER"])
    assert resolver["static"]["hostnames"] == [
        f"gateway-{number}.gateway.petsard-otel.svc:4317" for number in range(gateways["replicas"])
    ]
    assert gateways["serviceName"] == "gateway"
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True


def test_secrets_are_referred_to() -> None:
    """No manifest holds one."""
    assert of_kind("Secret") == {}
    assert container("gateway")["envFrom"] == [
        {"configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "gateway-secrets", "optional": True}},
    ]
    (settings,) = of_kind("ConfigMap").values()
    assert settings["data"].keys() == {"JAEGER_ENDPOINT"}


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_labels_and_ports_meet(name: str) -> None:
    """Services, budgets and network policies select the pods, and name ports that they have."""
    labels = {"app.kubernetes.io/name": "petsard-otel", "app.kubernetes.io/component": name}
    assert pod(name)["metadata"]["labels"] == labels
    assert of_kind("StatefulSet")[name]["spec"]["selector"] == {"matchLabels": labels}
    assert of_kind("Service")[name]["spec"]["selector"] == labels
    assert of_kind("PodDisruptionBudget")[name]["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": labels},
    }
    policy = of_kind("NetworkPolicy")[name]["spec"]
    assert policy["podSelector"] == {"matchLabels": labels}

    ports = {port["name"] for port in container(name)["ports"]}
    assert {port["targetPort"] for port in of_kind("Service")[name]["spec"]["ports"]} <= ports
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} <= ports


def test_only_agents_reach_gateways() -> None:
    """What is not allowed is forbidden, in both directions."""
    policies = of_kind("NetworkPolicy")
    assert policies["nobody-else"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    (source,) = policies["gateway"]["spec"]["ingress"][0]["from"]
    (target,) = policies["agent"]["spec"]["egress"][0]["to"]
    assert source["podSelector"]["matchLabels"] == pod("agent")["metadata"]["labels"]
    assert target["podSelector"]["matchLabels"] == pod("gateway")["metadata"]["labels"]
