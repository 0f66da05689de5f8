"""The pytest fixtures for users, as a user's own test suite has them."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from petsard_otel import Executor, step_span
from petsard_otel.testing import Sentinels, Spans

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = 'pytest_plugins = ["petsard_otel.testing"]\n'

SUITE = """\
import pandas as pd
import pytest
from petsard_otel import Executor, Schema, step_span

CONFIG = {
    "Loader": {"people": {"filepath": "people.csv"}},
    "Synthesizer": {"copula": {"method": "mine"}},
}


class Careful:
    def __init__(self, experiment, parameters):
        assert (experiment, parameters) == ("copula", {"method": "mine"})

    def set_input(self, status):
        return {"data": status.get_result("Loader")}

    def run(self, input):
        self.data = input["data"]
        with step_span(self.step()):
            pass

    def step(self):
        return "fit"

    def get_result(self):
        return self.data

    def get_metadata(self):
        return Schema.from_dataframe(self.data, "people")


class Careless(Careful):
    def step(self):
        return "fit " + " ".join(self.data["name"])


def test_private(petsard_audit):
    petsard_audit(CONFIG, adapters={"Synthesizer": Careful}).assert_private()


def test_not_private(petsard_audit):
    petsard_audit(CONFIG, adapters={"Synthesizer": Careless}).assert_private()


def test_spans(petsard_spans):
    config = {"Loader": CONFIG["Loader"]}
    Executor(config, tracer_provider=petsard_spans.provider).run()
    assert petsard_spans.named("Loader[people]").attributes["petsard.output.rows"] == 6


def test_one_adapter(petsard_sentinels, caplog):
    adapter = Careless("copula", {"method": "mine"})
    adapter.run({"data": petsard_sentinels.table.rename(columns={"text": "name"})})
    assert petsard_sentinels.found_in(caplog.text) == []
"""


@pytest.mark.once
def test_a_users_suite_has_the_fixtures(tmp_path: Path) -> None:
    """One line switches them on; the audit fails the test of a module that leaks, with a table."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(SUITE)
    (tmp_path / "people.csv").write_text("name,age\n" + "".join(f"n{n},{n}\n" for n in range(6)))
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert found.stdout.splitlines()[0].startswith(".F..")
    assert "1 failed, 3 passed" in found.stdout
    assert "AssertionError: the audit found something" in found.stdout
    assert (
        "attribute petsard.step.name in traces over gRPC, traces over HTTP, history:"
        in found.stdout
    )
    assert "traces over gRPC" in found.stdout


def test_sentinels_are_found_in_whatever_is_handed_over() -> None:
    """Bytes, texts and spans are searched, a cell's place is told, and how it was encoded."""
    sentinels, spans = Sentinels(), Spans()
    cell = str(sentinels.table["text"][0])
    tracer = spans.provider.get_tracer("test")
    encoded = base64.b64encode(cell.encode()).decode()
    with tracer.start_as_current_span("fit", attributes={"cell": encoded}):
        pass
    with tracer.start_as_current_span(cell):
        pass
    place = f"a category of the table, column 1 ({sentinels.table['text'].dtype})"
    place = place.replace("(object)", "(object of str)")

    assert sentinels.found_in(cell.encode()) == [f"{place}, as plain text"]
    assert sentinels.found_in(f"a warning about {cell}") == [f"{place}, as plain text"]
    assert sentinels.found_in(f"or {cell.encode().hex()}", b"and nothing") == [
        f"{place}, as hexadecimal"
    ]
    assert sentinels.found_in(spans.ended[:1]) == [f"{place}, as base64"]
    assert sentinels.found_in(spans.ended[1:]) == [f"{place}, as plain text"]
    assert sentinels.found_in("nothing", b"of it") == []


def test_a_further_text_is_a_sentinel_too() -> None:
    """A parameter or a message of the test's own can be followed."""
    sentinels = Sentinels()
    text = sentinels.text()

    assert sentinels.found_in(f"no such method: {text}") == ["a text of the test, as plain text"]
    assert sentinels.text() != text


def test_a_span_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the spans that there are."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    spans = Spans()
    config = {"Loader": {"t": {"filepath": str(tmp_path / "t.csv")}}}
    Executor(config, tracer_provider=spans.provider).run()

    assert spans.named("Loader.load").name == "Loader.load"
    with pytest.raises(
        AssertionError,
        match=r"no span 'Loader'; there are: Loader.load, Loader\[t\], petsard run",
    ):
        spans.named("Loader")
    with step_span("outside of a run"):
        pass
    assert len(spans.ended) == 3
