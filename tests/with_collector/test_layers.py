"""The layers of `collector/`: valid in the real Collector, alone and together."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .servers import COLLECTOR, ROOT, binary, config_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .servers import Collector

LAYERS = sorted(
    str(path.relative_to(COLLECTOR).with_suffix(""))
    for pattern in ("*.yaml", "vendors/*.yaml", "scale/*.yaml")
    for path in COLLECTOR.glob(pattern)
    if path.name not in {"base.yaml", "builder.yaml"}
)
SENDING = {"otlp_grpc", "otlp_http", "kafka"}
EXTENDING = {"scale/kafka-sasl"}
"""Layers that add to another's exporter."""
SECTIONS = ("extensions", "receivers", "processors", "connectors", "exporters")


def validate(layers: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Have the Collector read the base and some layers, with a value for each variable."""
    return subprocess.run(
        [binary(), "validate", *config_arguments(layers)],
        env=placeholders(layers),
        capture_output=True,
        text=True,
        check=False,
    )


def placeholders(layers: Sequence[str | Path]) -> dict[str, str]:
    """Give a plausible value to each variable of some layers that has no default."""
    text = "".join((COLLECTOR / f"{layer}.yaml").read_text() for layer in layers)
    given = {"GATEWAY_RESOLVER": '{static: {hostnames: ["localhost:4317"]}}'}
    return {
        name: "https://localhost:4317"
        if name.endswith("ENDPOINT")
        else given.get(name, "localhost")
        for name in re.findall(r"\$\{env:(\w+)\}", text)
    }


def load(layer: str) -> dict[str, Any]:
    """Read a layer as YAML."""
    loaded: dict[str, Any] = yaml.safe_load((COLLECTOR / f"{layer}.yaml").read_text())
    return loaded


@pytest.mark.parametrize("layer", ["base", *LAYERS])
def test_each_layer_is_valid_alone(layer: str) -> None:
    """It needs the base and nothing else."""
    done = validate([] if layer == "base" else [layer])

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_any_layers_go_together() -> None:
    """Each pair is valid, and so are all of them at once."""
    for layers in [*combinations(LAYERS, 2), LAYERS]:
        done = validate(layers)
        assert (done.returncode, done.stderr) == (0, ""), layers


def test_what_the_pages_say_is_valid() -> None:
    """Every command of the documentation that starts a Collector has layers that go together."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    commands = [
        re.findall(r"--config[ =]collector/([\w/-]+)\.yaml", command)
        for page in pages
        for command in re.findall(r"otelcol-contrib(?:.*\\\n)*.*", page.read_text())
    ]
    offered = [names for names in commands if names]

    assert len(offered) >= 8
    for base, *layers in offered:
        assert base == "base"
        done = validate(layers)
        assert (done.returncode, done.stderr) == (0, ""), layers


def test_no_layer_undoes_another() -> None:
    """Lists of a later file replace those of an earlier one, so no two layers give the same."""
    owners: dict[tuple[str, ...], str] = {}
    for layer in LAYERS:
        for place, _ in leaves(load(layer)):
            assert place not in owners, f"{layer} and {owners[place]} both say {'.'.join(place)}"
            owners[place] = layer


def leaves(found: Any, place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Give the places of a configuration that hold a value or a list, with what they hold."""
    if not isinstance(found, dict) or not found:
        return [(place, found)]
    return [leaf for name, below in found.items() for leaf in leaves(below, (*place, str(name)))]


def test_the_collector_of_the_tests_has_what_is_used_and_no_more() -> None:
    """Each component is used by a layer, under the name that it has today."""
    used = {
        (section, name.partition("/")[0])
        for layer in ("base", *LAYERS)
        for section in SECTIONS
        for name in load(layer).get(section, {})
    }
    listed = yaml.safe_load(
        subprocess.run([binary(), "components"], capture_output=True, text=True, check=True).stdout
    )

    assert used == {
        (section, component["name"]) for section in SECTIONS for component in listed[section]
    }


def test_every_exporter_that_sends_keeps_its_queue_on_disk() -> None:
    """What was accepted waits there for as long as it takes."""
    for layer in LAYERS:
        for name, exporter in load(layer).get("exporters", {}).items():
            if name.partition("/")[0] in SENDING and layer not in EXTENDING:
                assert exporter["sending_queue"]["storage"] == "file_storage/queue", layer
                assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, layer


def test_the_health_probe_needs_no_shell(
    start_collector: Callable[..., Collector],
) -> None:
    """The command of docker-compose.yml gives 0 for a Collector that is up, else 1."""
    collector = start_collector("privacy")
    probe = [
        *(binary(), "validate", "--config", str(COLLECTOR / "base.yaml")),
        *("--config", collector.ready_url),
    ]

    up = subprocess.run(probe, capture_output=True, text=True, check=False)
    collector.stop()
    down = subprocess.run(probe, capture_output=True, text=True, check=False)

    assert (up.returncode, up.stderr) == (0, "")
    assert down.returncode == 1
    assert "connection refused" in down.stderr
