"""The same answers in any environment, and a host that is as it would be without us.

Each case is a process of its own, see environment_program.py; its answers are those of a process
that nothing disturbs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

PROGRAM = Path(__file__).parent / "environment_program.py"

ONE_RUN = Counter(
    {
        "petsard run": 1,
        "Loader[people]": 1,
        "Loader[wide]": 1,
        "Loader.load": 2,
        "Splitter[half]": 4,
        "Splitter.split": 4,
        "Splitter.own": 1,
        "Synthesizer[given]": 4,
        "Synthesizer.load": 4,
        "schema": 4,
    }
)
"""The spans of the pipeline."""

FAILED_RUN = Counter({"petsard run": 1, "Loader[people]": 1, "Loader.load": 1})
"""The spans of the one whose Loader fails."""

ALL = ONE_RUN + ONE_RUN + FAILED_RUN

TRACE = "0123456789abcdef0123456789abcdef"
LOW_TRACE = "0123456789abcdef0000000000000001"
HIGH_TRACE = "0123456789abcdeffffffffffffffff1"
"""One that a ratio of a tenth keeps, by its second half, and one that it drops."""

FORKS = {"PYTHONWARNINGS": "error,ignore::DeprecationWarning"}
"""From Python 3.12 on, a fork beside threads, such as numpy's, warns."""

SCHEDULER = {
    "TRACEPARENT": f"00-{TRACE}-0123456789abcdef-01",
    "TRACESTATE": "vendor=value",
    "BAGGAGE": "tenant=north,batch=7",
}
"""What a scheduler leaves in the environment."""


@dataclass(frozen=True)
class Case:
    """An environment, and what there is to see of it from outside."""

    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()
    exported: Counter[str] = field(default_factory=Counter)
    """The spans of ours that the host's exporter gets."""
    errors: tuple[int, int] = (0, 0)
    """How many failures of telemetry a whole and a failing run count."""
    child: list[Any] | None = None
    """Exit code and work of the process that a module starts."""
    stderr: str = ""
    """The lines that the SDK itself says, as often as it likes."""


def with_and_without_provider(
    name: str, environment: dict[str, str], exported: Counter[str], stderr: str = ""
) -> dict[str, Case]:
    """Give a case of an environment for a host without and with a provider of its own."""
    return {
        name: Case(environment),
        f"{name}, a provider": Case(
            environment, {"provider": "sdk"}, exported=exported, stderr=stderr
        ),
    }


def forking(work: str, child: list[Any]) -> dict[str, Case]:
    """Give a case of a module that forks, for a host without and with a provider of its own."""
    return {
        work: Case(FORKS, {"work": work}, child=child),
        f"{work}, a provider": Case(
            FORKS, {"work": work, "provider": "sdk"}, exported=ALL, child=child
        ),
    }


def raising(*callbacks: str, before: Case, after: Case) -> dict[str, Case]:
    """Give the cases of a neighbour that fails, before ours and after ours in order."""
    name = " ".join(callbacks)
    found = {}
    for is_late, case in ((False, before), (True, after)):
        options = {"provider": "sdk", "raises": callbacks, "is_late": is_late}
        place = "after" if is_late else "before"
        found[f"a neighbour {place} ours fails in {name}"] = Case(
            options=options, exported=case.exported, errors=case.errors
        )
    return found


INSTRUMENT = str(Path(sys.executable).parent / "opentelemetry-instrument")
BLIND = Case(errors=(sum(ONE_RUN.values()), sum(FAILED_RUN.values())))
"""Each span fails, and none reaches the exporter."""
SEEN = Case(errors=BLIND.errors, exported=ALL)
"""Each span fails when the exporter has it already."""

CASES = {
    "calm": Case(),
    **with_and_without_provider("SDK disabled", {"OTEL_SDK_DISABLED": "true"}, Counter()),
    **with_and_without_provider("always_off", {"OTEL_TRACES_SAMPLER": "always_off"}, Counter()),
    **with_and_without_provider(
        "traceidratio, kept",
        {
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.1",
            "TRACEPARENT": f"00-{LOW_TRACE}-0123456789abcdef-00",
        },
        ALL,
    ),
    **with_and_without_provider(
        "traceidratio, dropped",
        {
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.1",
            "TRACEPARENT": f"00-{HIGH_TRACE}-0123456789abcdef-01",
        },
        Counter(),
    ),
    **with_and_without_provider(
        "an unknown sampler",
        {"OTEL_TRACES_SAMPLER": "sometimes"},
        ALL,
        "Couldn't recognize sampler sometimes.\n",
    ),
    **with_and_without_provider(
        "an unsampled parent", {"TRACEPARENT": f"00-{TRACE}-0123456789abcdef-00"}, Counter()
    ),
    **with_and_without_provider(
        "length limit",
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "64"},
        ALL,
        "String attribute value exceeds max length of 64, truncating.\n",
    ),
    **with_and_without_provider(
        "count limit",
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "8"},
        ALL,
        "Attributes dict is full. Dropping the oldest key-value pair from attributes to make space "
        "for the new key-value pair.\n",
    ),
    **with_and_without_provider("link limit", {"OTEL_SPAN_LINK_COUNT_LIMIT": "0"}, ALL),
    "a provider set before": Case(options={"provider": "sdk"}, exported=ALL),
    "a provider set in between": Case(
        options={"provider": "sdk", "is_between": True}, exported=ALL
    ),
    "a provider handed over": Case(options={"provider": "sdk", "is_explicit": True}, exported=ALL),
    "a provider shut down": Case(
        options={"provider": "shut down"}, stderr="Processor is already shutdown, ignoring call\n"
    ),
    "a provider with threads": Case(options={"provider": "concurrent"}, exported=ALL),
    "a provider from the environment": Case({"OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider"}),
    "the API's own provider": Case(options={"provider": "no-op"}),
    "a foreign provider": Case(options={"provider": "foreign"}),
    "a foreign provider that fails": Case(
        options={"provider": "failing foreign"}, errors=BLIND.errors
    ),
    **raising("on_start", before=BLIND, after=BLIND),
    **raising("_on_ending", before=BLIND, after=BLIND),
    **raising("on_end", before=BLIND, after=SEEN),
    **raising("on_start", "_on_ending", "on_end", before=BLIND, after=BLIND),
    "within a request": Case(
        options={"provider": "sdk", "is_within": True, "work": "look around"},
        exported=ALL,
    ),
    "under a scheduler": Case(
        SCHEDULER,
        {"provider": "sdk", "work": "look around"},
        exported=ALL,
    ),
    "under a scheduler, no provider": Case(
        SCHEDULER,
        {"work": "look around"},
    ),
    "disabled under a scheduler": Case(
        {**SCHEDULER, "OTEL_SDK_DISABLED": "true"},
        {"provider": "sdk", "work": "look around"},
    ),
    "no propagators": Case({"OTEL_PROPAGATORS": "none"}),
    "propagators that are not installed": Case(
        {"OTEL_PROPAGATORS": "tracecontext,nowhere"}, errors=(1, 1)
    ),
    "a baggage that is no text": Case({"BAGGAGE": "a=\udcff"}),
    "a dead collector, grpc": Case(options={"provider": "configure", "protocol": "grpc"}),
    "a dead collector, http": Case(options={"provider": "configure", "protocol": "http/protobuf"}),
    "a dead collector, fork, sys.exit": Case(
        FORKS,
        {"provider": "configure", "protocol": "grpc", "work": "fork, sys.exit"},
        child=[3],
    ),
    "instrumented by a distro": Case(
        {
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        launcher=(INSTRUMENT,),
    ),
    "instrumented without a distro": Case(
        # Names that nothing has, so that neither is loaded.
        {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"},
        launcher=(INSTRUMENT,),
        stderr="Configuration of configurator not loaded because none is set by "
        "OTEL_PYTHON_CONFIGURATOR\n",
    ),
    **forking("multiprocessing fork", [0, "done"]),
    **forking("multiprocessing spawn", [0, "done"]),
    **forking("multiprocessing forkserver", [0, "done"]),
    **forking("fork, os._exit", [7]),
    **forking("fork, sys.exit", [3]),
    **forking("fork, exception", [1]),
    "fork beside a reader": Case(FORKS, {"work": "fork beside a reader"}, child=[0]),
}

FOREIGN = {"query", "request", "host", "SHUTDOWN", "Loader.first"}
"""Lines of the host's exporter that are not of our runs."""


@dataclass(frozen=True)
class Outcome:
    """What came of a process."""

    name: str
    returncode: int
    stdout: str
    stderr: str
    answers: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def case(self) -> Case:
        """The case that it is of."""
        return CASES[self.name]

    @property
    def own_lines(self) -> list[dict[str, Any]]:
        """What the host's exporter got from the process itself, not from a child."""
        return [line for line in self.lines if line["pid"] == self.answers["pid"]]

    @property
    def exported(self) -> list[dict[str, Any]]:
        """The spans of our runs among them."""
        return [line for line in self.own_lines if line["name"] not in FOREIGN]

    @property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """All spans by their ids."""
        return {line["span"]: line for line in self.own_lines if "span" in line}


def start(name: str, folder: Path) -> Outcome:
    """Run the program in an environment that has nothing of this one's telemetry."""
    case = CASES[name]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PETSARD_OTEL_"))
        and name not in {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}
    }
    found = subprocess.run(
        [*case.launcher, sys.executable, str(PROGRAM), json.dumps(case.options)],
        cwd=folder,
        env={**clean, "PYTHONWARNINGS": "error", **case.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    answers, lines = folder / "answers.json", folder / "spans.jsonl"
    assert answers.exists(), found.stderr
    return Outcome(
        name,
        found.returncode,
        found.stdout,
        found.stderr,
        json.loads(answers.read_text()),
        [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else [],
    )


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """Start the processes of the cases that are asked for, a few at a time."""
    asked = {"calm"} | {
        item.callspec.params["outcome"]
        for item in request.session.items
        if item.path == request.path
        and isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "outcome" in item.callspec.params
    }
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        started = {
            name: pool.submit(start, name, tmp_path_factory.mktemp("case"))
            for name in CASES
            if name in asked
        }
        yield started
        for future in started.values():
            future.cancel()


@pytest.fixture
def calm(outcomes: dict[str, Future[Outcome]]) -> Outcome:
    """Give what comes of a process that nothing disturbs."""
    return outcomes["calm"].result()


@pytest.fixture
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Future[Outcome]]) -> Outcome:
    """Give what came of the case that a test names."""
    return outcomes[request.param].result()


def test_the_calm_one_has_all_that_there_is_to_compare(calm: Outcome) -> None:
    """Steps, links, changes of both kinds, a wide schema and a timing with a context are there."""
    first = calm.answers["first"]
    assert first["modules"] == [
        "Loader", "Splitter", "Splitter", "Synthesizer", "Splitter", "Synthesizer",
        "Loader", "Splitter", "Synthesizer", "Splitter", "Synthesizer",
    ]  # fmt: skip
    assert {change["kind"] for change in first["changes"]} == {"module", "experiment"}
    assert [len(json.loads(text)["attributes"]) for text in first["structures"]] == [3, 200]
    (own,) = [timing for timing in first["timings"] if timing["step_name"] == "own"]
    assert sorted(own["context_items"]) == [
        ["count", 3], ["good", True], ["late", 1], ["share", 0.5], ["who", "somebody"],
    ]  # fmt: skip
    assert (first["summary"]["state"], first["summary"]["telemetry_errors"]) == ("completed", 0)
    assert calm.answers["failed"]["summary"]["state"] == "failed"


@pytest.mark.parametrize("outcome", CASES, indirect=True)
@pytest.mark.parametrize("run", ["first", "second", "failed"])
def test_a_status_answers_the_same(run: str, outcome: Outcome, calm: Outcome) -> None:
    """Every answer is that of an undisturbed run; what failed of telemetry is counted."""
    expected = json.loads(json.dumps(calm.answers["failed" if run == "failed" else "first"]))
    expected["summary"]["telemetry_errors"] = outcome.case.errors[run == "failed"]
    found = outcome.answers[run]
    for question, answer in expected.items():
        assert found[question] == answer
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("outcome", CASES, indirect=True)
def test_the_very_exception_of_a_module_reaches_the_caller(outcome: Outcome) -> None:
    """It is the same object, and nothing of ours is chained to it."""
    assert outcome.answers["is_same_exception"] is True
    assert outcome.answers["chained"] == ["None", "None"]


@pytest.mark.parametrize("outcome", CASES, indirect=True)
def test_the_process_says_and_returns_what_it_would_without_us(outcome: Outcome) -> None:
    """Exit code, stdout and stderr are the host's; a failure of telemetry is logged once a run."""
    case = outcome.case
    assert outcome.returncode == 0
    warnings = [outcome.answers[f"{run} warnings"] for run in ("first", "second", "failed")]
    if "collector" in outcome.name:
        assert len(outcome.stderr.splitlines()) + sum(map(len, warnings)) <= 1
        return
    assert set(outcome.stderr.splitlines()) == set(case.stderr.splitlines())
    assert "distro" in outcome.name or outcome.stdout == ""
    assert [len(found) for found in warnings] == [1 if case.errors[0] else 0] * 3
    assert all("could not record something" in found[0] for found in warnings if found)


@pytest.mark.parametrize(
    "outcome", [n for n in CASES if "provider" in CASES[n].options], indirect=True
)
def test_the_host_keeps_its_provider_and_gets_what_is_sampled(outcome: Outcome) -> None:
    """Its provider stays the global one, its exporter gets our spans, its processors are called."""
    case, host = outcome.case, outcome.answers["host"]
    provider = case.options["provider"]
    is_global = provider != "configure" and "is_explicit" not in case.options
    assert host["is_global"] is is_global
    assert Counter(line["name"] for line in outcome.exported) == case.exported
    if "added" not in host:
        return
    # The neighbour, a counting one, the exporter's, and ours once for all runs.
    assert host["added"] == 4
    if "raises" not in case.options:
        count = sum(ALL.values() if provider == "shut down" else case.exported.values())
        count += sum(line["name"] in {"query", "request"} for line in outcome.own_lines)
        assert (host["started"], host["ended"]) == (count, count)


@pytest.mark.parametrize(
    "outcome",
    [n for n in CASES if CASES[n].options.get("provider", "configure") == "configure"],
    indirect=True,
)
def test_a_global_provider_that_nobody_set_stays_unset(outcome: Outcome) -> None:
    """Only what the environment asks the API or a distro for is there at the end."""
    is_asked_for = outcome.name in {"instrumented by a distro", "a provider from the environment"}
    assert outcome.answers["host"]["is_unset"] is not is_asked_for


@pytest.mark.parametrize("outcome", [n for n in CASES if CASES[n].exported], indirect=True)
def test_a_run_is_one_trace(outcome: Outcome) -> None:
    """Spans of a run share a trace, have their parents there, and records have their ids."""
    given = outcome.case.environment.get("TRACEPARENT", "-----").split("-")
    spans = outcome.by_id
    for line in outcome.exported:
        parent = spans.get(line["parent"])
        if line["name"] == "petsard run":
            assert parent is None or parent["name"] == "request"
            assert parent is not None or line["parent"] == (given[2] or None)
        else:
            assert parent is not None
            assert parent["trace"] == line["trace"]
    traces = {line["trace"] for line in outcome.exported if line["name"] == "petsard run"}
    assert len(traces) == (1 if given[1] else 3)
    for run in ("first", "second", "failed"):
        assert spans.keys() >= set(outcome.answers[f"{run} ids"])


@pytest.mark.parametrize(
    "outcome", [n for n in CASES if CASES[n].options.get("provider") == "sdk"], indirect=True
)
def test_a_provider_lives_until_the_process_ends(outcome: Outcome) -> None:
    """The host's own span is exported after all runs; the host shuts down, once, and last."""
    names = [line["name"] for line in outcome.own_lines]
    assert names.count("SHUTDOWN") == 1
    assert names[-1] == "SHUTDOWN"
    if outcome.case.exported == ALL and "raises" not in outcome.case.options:
        assert "traceidratio" in outcome.name or names[-2] == "host"


@pytest.mark.parametrize(
    "outcome",
    ["a provider set before", "length limit, a provider", "count limit, a provider",
     "link limit, a provider"],
    indirect=True,
)  # fmt: skip
def test_limits_of_the_host_hold_for_what_it_exports(outcome: Outcome) -> None:
    """What leaves is cut as the host wants it, and only that."""
    longest = max(line["longest"] for line in outcome.exported)
    attributes = max(line["attributes"] for line in outcome.exported)
    links = sum(line["links"] for line in outcome.exported)
    assert (longest == 64) is outcome.name.startswith("length")
    assert (attributes == 8) is outcome.name.startswith("count")
    assert links == (0 if outcome.name.startswith("link") else 16)


@pytest.mark.parametrize("outcome", ["a foreign provider"], indirect=True)
def test_a_foreign_provider_gets_our_spans(outcome: Outcome) -> None:
    """Whoever implements the API sees each span begin and end."""
    assert Counter(outcome.answers["foreign"]) == ALL


@pytest.mark.parametrize(
    "outcome", ["instrumented by a distro", "instrumented without a distro"], indirect=True
)
def test_an_instrumented_process_exports_our_spans(outcome: Outcome) -> None:
    """Where the distro sets a provider up, our spans are at its exporter; without, nowhere."""
    found = Counter(re.findall(r'^    "name": "(.*)",$', outcome.stdout, re.MULTILINE))
    assert found == (ALL if outcome.name == "instrumented by a distro" else Counter())


@pytest.mark.parametrize("outcome", [n for n in CASES if CASES[n].child is not None], indirect=True)
def test_a_child_process_ends_nothing_of_its_parents(outcome: Outcome) -> None:
    """It leaves as it would without us, and exports no span but one that it began itself."""
    case = outcome.case
    assert outcome.answers["child"] == case.child
    theirs = [line for line in outcome.lines if line["pid"] != outcome.answers["pid"]]
    spans = [line for line in theirs if line["name"] != "SHUTDOWN"]
    if outcome.name != "multiprocessing fork, a provider":
        assert spans == []
        return
    (work,) = spans
    assert (work["name"], outcome.by_id[work["parent"]]["name"]) == ("Loader.work", "Loader.load")


@pytest.mark.parametrize("outcome", ["within a request", "under a scheduler"], indirect=True)
def test_spans_of_others_nest_and_stay_out(outcome: Outcome) -> None:
    """Ours are under the host's, another library's under the module's, none is in a Status."""
    spans = outcome.by_id
    (query,) = [line for line in spans.values() if line["name"] == "query"]
    path = [query["name"]]
    while spans.get(query["parent"]) is not None:
        query = spans[query["parent"]]
        path.append(query["name"])
    ours = ["query", "Loader.load", "Loader[people]", "petsard run"]
    assert path == (ours if outcome.name == "under a scheduler" else [*ours, "request"])
    assert query["parent"] == ("0123456789abcdef" if outcome.name == "under a scheduler" else None)


@pytest.mark.parametrize("outcome", [n for n in CASES if "scheduler" in n], indirect=True)
def test_the_environments_context_reaches_the_modules(outcome: Outcome) -> None:
    """Trace, tracestate and baggage of whoever started the process are seen inside a module."""
    assert outcome.answers["inside"] == {
        "trace_id": TRACE,
        "trace_state": "vendor=value",
        "baggage": {"tenant": "north", "batch": "7"},
    }
