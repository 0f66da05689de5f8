"""The command line, as a user starts it: in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
import warnings
from http.server import BaseHTTPRequestHandler
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from petsard_otel import Executor
from petsard_otel.cli.notices import Notices
from petsard_otel.cli.progress import LiveProgress

from .http_servers import http_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "petsard_otel"]

EXIT_CODES = """\
exit codes:
  0    the command did what it was asked to
  1    a module of the pipeline failed, or the output could not be written
  2    bad configuration, or bad usage
  130  interrupted by Ctrl-C
"""

PIPELINE = """\
Loader:
  people: {filepath: people.csv}
Splitter:
  halves: {num_samples: 2, train_split_ratio: 0.5, random_state: 1}
"""

FAILING = """\
Loader:
  people: {filepath: people.csv}
  "[b]ghosts[/b]": {filepath: ghosts.csv}
Splitter:
  halves: {train_split_ratio: 0.5, random_state: 1}
"""


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment without what changes a command's output."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PYTHON")) and name not in {"FORCE_COLOR", "NO_COLOR"}
    }
    return {**kept, "COLUMNS": "100", "TERM": "xterm-256color", **more}


def petsard_otel(
    *arguments: str, within: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        cwd=within,
        env=environment(**variables),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a table and configurations."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "people.csv").write_text("age,name\n" + "".join(f"{n},p{n}\n" for n in range(20)))
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "failing.yaml").write_text(FAILING)
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a pipeline as most people do."""
    return petsard_otel("run", "pipeline.yaml", within=folder)


@pytest.fixture(scope="module")
def failed(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a pipeline whose third execution fails."""
    return petsard_otel("run", "failing.yaml", within=folder)


# Help and usage.


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_the_help_of_every_command_shows_examples_and_exit_codes(arguments: list[str]) -> None:
    """Help is complete, and narrow enough for a terminal of 80 columns."""
    found = petsard_otel(*arguments, COLUMNS="80")
    assert found.returncode == 0
    assert found.stderr == ""
    assert EXIT_CODES in found.stdout
    assert "examples:\n  petsard-otel run pipeline.yaml\n" in found.stdout
    assert max(map(len, found.stdout.splitlines())) < 80


def test_help_answers_at_once() -> None:
    """`--help` takes under 0.25 s of processor time, whatever else this machine does."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = spent()
        petsard_otel("--help")
        times.append(spent() - before)
    assert min(times) < 0.25


def test_the_version_is_printed() -> None:
    """`--version` names the program and its version."""
    found = petsard_otel("--version")
    assert (found.returncode, found.stderr) == (0, "")
    assert re.fullmatch(r"petsard-otel \d+\.\d+\.\d+\n", found.stdout)


def test_the_installed_command_is_this_one() -> None:
    """`petsard-otel` and `python -m petsard_otel` call the same function."""
    (command,) = entry_points(group="console_scripts", name="petsard-otel")
    assert command.value == "petsard_otel.cli:main"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["walk"], "invalid choice: 'walk'"),
        (["run"], "the following arguments are required: CONFIG"),
        (["run", ""], "argument CONFIG: expected the path of a YAML file (found '')"),
        (["run", "a.yaml", "--form", "json"], "unrecognized arguments: --form json"),
        (["run", "a.yaml", "--format", "xml"], "invalid choice: 'xml'"),
        (["run", "a.yaml", "--engine", "diesel"], "invalid choice: 'diesel'"),
        (["run", "a.yaml", "--protocol", "http/json"], "invalid choice: 'http/json'"),
        (["run", "a.yaml", "--endpoint", "localhost:4317"], "expected a URL such as http://"),
        (["run", "a.yaml", "--endpoint", "http://"], "expected a URL such as http://"),
        (["run", "a.yaml", "--endpoint", "http://host:99999"], "expected a URL such as http://"),
        (["run", "a.yaml", "--endpoint", "http://[::1"], "expected a URL such as http://"),
    ],
)
def test_bad_usage_is_told_apart(arguments: list[str], message: str) -> None:
    """Arguments that cannot be used end with code 2, the usage and what is wrong."""
    found = petsard_otel(*arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("usage: petsard-otel")
    assert message in found.stderr


# A run.


def test_a_run_prints_timing_changes_and_summary(table: subprocess.CompletedProcess[str]) -> None:
    """The results are on stdout, in plain text where it is no terminal."""
    assert table.returncode == 0
    assert "\x1b" not in table.stdout
    lines = [line.split() for line in table.stdout.splitlines()]
    modules = [line[:2] for line in lines if line[-1:] == ["ok"]]
    assert modules == [
        ["Loader", "people"],
        ["Splitter", "halves_[2-1]"],
        ["Splitter", "halves_[2-2]"],
    ]
    assert "no schema changes" in table.stdout
    assert "completed" in table.stdout
    assert "Loader > Splitter" in table.stdout


def test_progress_is_a_line_for_each_execution(table: subprocess.CompletedProcess[str]) -> None:
    """In a pipe, stderr has nothing but one plain line for each execution, with its duration."""
    lines = [re.sub(r"[\d.]+ (µs|ms|s)$", "TIME", line) for line in table.stderr.splitlines()]
    assert [re.sub(r" +TIME$", " TIME", line) for line in lines] == [
        "[1/3] Loader[people] TIME",
        "[2/3]   Splitter[halves_[2-1]] TIME",
        "[3/3]   Splitter[halves_[2-2]] TIME",
    ]


def test_json_alone_is_on_stdout(folder: Path) -> None:
    """With --format json a program can read stdout, even where PETsARD's log is to go there."""
    (folder / "logging.yaml").write_text("Executor: {log_output_type: stdout}\n" + PIPELINE)
    found = petsard_otel("run", "logging.yaml", "--format", "json", within=folder)
    assert found.returncode == 0
    records = json.loads(found.stdout)
    assert [(r["module_name"], r["experiment_name"], r["source"]) for r in records] == [
        ("Loader", "people", "module"),
        ("Splitter", "halves_[2-1]", "module"),
        ("Splitter", "halves_[2-2]", "module"),
    ]
    assert list(records[0]) == [
        "record_id",
        "module_name",
        "experiment_name",
        "step_name",
        "start_time",
        "end_time",
        "duration_seconds",
        "source",
        "status",
        "experiment_path",
        "trace_id",
        "span_id",
        "parent_record_id",
    ]
    assert "[1/3] Loader[people]" in found.stderr
    assert "completed" in found.stderr
    assert found.stderr.count("PETsARD.Executor") == 5


def test_quiet_csv_with_steps(folder: Path) -> None:
    """--quiet leaves stderr empty, --steps adds what happened inside the modules."""
    found = petsard_otel("run", "pipeline.yaml", "--format", "csv", "--steps", "-q", within=folder)
    assert (found.returncode, found.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    modules = {row["record_id"] for row in rows if row["source"] == "module"}
    steps = [row for row in rows if row["source"] == "step"]
    assert len(modules) == 3
    assert {row["step_name"] for row in steps} == {"load", "split"}
    assert {row["parent_record_id"] for row in steps} == modules


# Mistakes.


def test_a_failed_module_is_named_and_the_rest_is_printed(
    failed: subprocess.CompletedProcess[str],
) -> None:
    """Code 1; the last line says which module failed and why; markup in its name is text."""
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith(
        "petsard-otel: error: Loader[[b]ghosts[/b]] failed: FileNotFoundError: there is no file "
    )
    ends = [line.split()[-1] for line in failed.stdout.splitlines() if line.startswith(("L", "S"))]
    assert ends == ["ok", "ok", "error"]
    assert "Loader    [b]ghosts[/b] " in failed.stdout
    assert "failed" in failed.stdout
    assert re.search(r"\[3/4\] Loader\[\[b\]ghosts\[/b\]\] .*  error$", failed.stderr, re.MULTILINE)


def test_a_failure_has_a_path_and_on_request_a_traceback(folder: Path) -> None:
    """Where others came before a module, its path is told; --traceback adds the place in code."""
    (folder / "unwritable.yaml").write_text(
        "Loader: {people: {filepath: people.csv}}\n"
        "Reporter: {saved: {method: save_data, source: Loader, output: people.csv/below}}\n"
    )
    found = petsard_otel("run", "unwritable.yaml", "--quiet", "--traceback", within=folder)
    assert found.returncode == 1
    *trace, error, path = found.stderr.splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert "reporter" in found.stderr
    assert re.match(r"petsard-otel: error: Reporter\[saved\] failed: \w+Error: .", error)
    assert path == "  on the path Loader[people] > Reporter[saved]"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.yaml", None, "there is no file 'nowhere.yaml'"),
        (".", None, "'.' is a directory"),
        ("x" * 5000, None, "cannot be read: File name too long"),
        ("empty.yaml", "", "empty.yaml: the file is empty"),
        ("tab.yaml", "Loader:\n\ta: {}\n", "tab.yaml:2: "),
        ("key.yaml", "Loader:\n  a: {filepth: a.csv}\n", "key.yaml:2: Loader[a].filepth: "),
        (
            "log.yaml",
            "Executor: {log_dir: people.csv/below}\nLoader: {a: {filepath: people.csv}}\n",
            "Executor: the log cannot be written: ",
        ),
    ],
)
def test_a_bad_configuration_is_one_line(
    folder: Path, name: str, content: str | None, message: str
) -> None:
    """Code 2, nothing on stdout, one line on stderr that says where the mistake is."""
    if content is not None:
        (folder / name).write_text(content)
    found = petsard_otel("run", name, within=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("petsard-otel: error: ")
    assert found.stderr.count("\n") == 1
    assert message in found.stderr


def test_a_protocol_needs_somewhere_to_send(folder: Path) -> None:
    """--protocol alone would send nothing, so it is a mistake."""
    found = petsard_otel("run", "pipeline.yaml", "--protocol", "grpc", within=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert "add --endpoint URL" in found.stderr


def test_an_unusable_variable_is_named_as_the_cause(folder: Path) -> None:
    """A value that the SDK refuses ends with code 2, not with a traceback."""
    found = petsard_otel(
        "run",
        "pipeline.yaml",
        within=folder,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(
        "petsard-otel: error: OTEL_EXPORTER_OTLP_TIMEOUT is a number of seconds above 0"
    )


def test_no_password_is_in_a_complaint(folder: Path) -> None:
    """What is shown of an endpoint that cannot be used may end up in a log of the CI."""
    url = "http://user:s3cret@ho st:1"
    found = petsard_otel("run", "pipeline.yaml", "--endpoint", url, within=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert "(found 'http://ho st:1')" in found.stderr
    assert "s3cret" not in found.stderr


def test_no_password_is_in_a_complaint_of_too_many_arguments(folder: Path) -> None:
    """As where --endpoint is forgotten."""
    found = petsard_otel("doctor", "http://user:s3cret@host:1?key=s3cret", within=folder)
    assert found.returncode == 2
    assert found.stderr.endswith("error: unrecognized arguments: http://host:1\n")
    assert "s3cret" not in found.stderr


@pytest.mark.parametrize("command", ["run", "audit"])
def test_a_variable_that_the_sdk_fails_on_is_named(folder: Path, command: str) -> None:
    """It does so at its import; that is no reason for a traceback."""
    found = petsard_otel(
        command, "pipeline.yaml", within=folder, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="lots"
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "petsard-otel: error: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT is a whole number (found 'lots')\n"
    )


# Readers that go, disks that are full, interrupts.


@pytest.mark.parametrize(("arguments", "both"), [([], False), (["--format", "csv"], True)])
def test_a_reader_may_go(folder: Path, arguments: list[str], both: bool) -> None:  # noqa: FBT001
    """`| head -1`, or `2>&1 | head -1`, changes neither the run nor its exit code."""
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        [*COMMAND, "run", "pipeline.yaml", *arguments],
        check=False,
        stdout=write,
        stderr=write if both else subprocess.PIPE,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment(),
    )
    os.close(write)
    assert found.returncode == 0
    if not both:
        assert "Error" not in found.stderr
        assert "[3/3]   Splitter[halves_[2-2]]" in found.stderr


def test_a_full_disk_is_an_error(folder: Path) -> None:
    """Results that could not be written are never taken for written ones."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        found = subprocess.run(
            [*COMMAND, "run", "pipeline.yaml", "--quiet"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            cwd=folder,
            env=environment(),
        )
    assert found.returncode == 1
    assert found.stderr == (
        "petsard-otel: error: cannot write the output: No space left on device\n"
    )


def test_closed_streams_are_no_matter(folder: Path) -> None:
    """A process without stdin, stdout and stderr runs its pipeline all the same."""
    command = " ".join([*COMMAND, "run pipeline.yaml <&- >&- 2>&-"])
    found = subprocess.run(
        ["/bin/sh", "-c", command], check=False, cwd=folder, env=environment(), timeout=120
    )
    assert found.returncode == 0


def test_an_interrupt_prints_what_had_finished(folder: Path) -> None:
    """Ctrl-C while a module runs: code 130, one line, and the timing of the modules before it."""
    os.mkfifo(folder / "slow.csv")
    (folder / "slow.yaml").write_text(
        "Loader: {people: {filepath: people.csv}, slow: {filepath: slow.csv}}"
    )
    process = subprocess.Popen(
        [*COMMAND, "run", "slow.yaml", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("[1/2] Loader[people] ")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [(r["experiment_name"], r["status"]) for r in json.loads(stdout)] == [
        ("people", "success"),
        ("slow", "cancelled"),
    ]
    assert stderr.splitlines()[-1] == "petsard-otel: error: interrupted in Loader[slow]"
    assert "Traceback" not in stderr


def test_an_interrupt_before_anything_ran_is_one_line(folder: Path) -> None:
    """Ctrl-C while the configuration is read: code 130, nothing but one line."""
    os.mkfifo(folder / "slow-config.yaml")
    process = subprocess.Popen(
        [*COMMAND, "run", "slow-config.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    )
    with open(folder / "slow-config.yaml", "w"):  # noqa: PTH123
        # Opened: the command reads it now, and waits for its content.
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (stdout, stderr) == ("", "petsard-otel: error: interrupted\n")


# Sending spans.


class Receiver(BaseHTTPRequestHandler):
    """An OTLP receiver that keeps the ids of the spans it is sent."""

    received: list[tuple[str, str]]

    def do_POST(self) -> None:
        """Take a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            type(self).received += [
                (span.trace_id.hex(), span.name)
                for resource_spans in request.resource_spans
                for scope_spans in resource_spans.scope_spans
                for span in scope_spans.spans
            ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Give the URL of a running receiver and what it has received."""
    Receiver.received = []
    with http_server(Receiver) as port:
        yield f"http://127.0.0.1:{port}", Receiver.received


def test_spans_reach_an_endpoint(folder: Path, receiver: tuple[str, list[tuple[str, str]]]) -> None:
    """The last line says how many spans went where, and in which trace; they did."""
    url, received = receiver
    found = petsard_otel(
        *("run", "pipeline.yaml", "--endpoint", url, "--protocol", "http/protobuf"),
        within=folder,
        PETSARD_OTEL_TRACE_URL="none",
    )
    assert found.returncode == 0
    trace_id = received[0][0]
    names = sorted(name for _, name in received)
    assert names == [
        *("Loader.load", "Loader[people]", "Splitter.split", "Splitter.split"),
        *("Splitter[halves]", "Splitter[halves]", "petsard run"),
    ]
    assert found.stderr.splitlines()[-1] == f"7 spans sent to {url} (trace {trace_id})"
    assert trace_id in found.stdout


def test_spans_go_where_the_variables_say(
    folder: Path, receiver: tuple[str, list[tuple[str, str]]]
) -> None:
    """OTEL_EXPORTER_OTLP_ENDPOINT needs no option; a sampler may leave the run out."""
    url, received = receiver
    found = petsard_otel(
        *("run", "pipeline.yaml"),
        within=folder,
        OTEL_EXPORTER_OTLP_ENDPOINT=url.replace("://", "://user:secret@"),
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert found.returncode == 0
    assert received == []
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"no span sent to {url} (trace ")
    assert last.endswith("): the OTEL_* variables leave this run out")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_collector_is_one_warning(folder: Path, protocol: str) -> None:
    """The results are the same, in good time, with one line for all that the exporters log."""
    started = time.monotonic()
    found = petsard_otel(
        *("run", "pipeline.yaml", "--format", "csv", "--quiet"),
        *("--endpoint", "http://127.0.0.1:9", "--protocol", protocol),
        within=folder,
    )
    assert time.monotonic() - started < 15
    assert found.returncode == 0
    assert len(found.stdout.splitlines()) == 4
    (line,) = found.stderr.splitlines()
    assert re.fullmatch(
        r"warning: none of 7 spans and no metrics reached the collector at http://127\.0\.0\.1:9 "
        r"\(trace \w{32}\): connection refused; the results are not affected "
        r"and `petsard-otel push` sends what is lacking",
        line,
    )


# Terminals.


def on_terminal(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command on a terminal of its own; give its exit code and all it wrote."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment(**variables),
    ) as process:
        os.close(theirs)
        written = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            written += chunk
    os.close(ours)
    return process.returncode, written.decode()


def test_a_terminal_shows_progress_live(folder: Path) -> None:
    """Each execution is ticked off with its duration, and the cursor is given back."""
    code, written = on_terminal(folder, "run", "pipeline.yaml")
    assert code == 0
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written)
    for label in ("Loader[people]", "  Splitter[halves_[2-1]]", "  Splitter[halves_[2-2]]"):
        assert re.search(rf"✓ {re.escape(label)} +[\d.]+ (µs|ms|s)\r?\n", shown), label
    assert "\x1b[3" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_no_color_is_honoured(folder: Path) -> None:
    """NO_COLOR leaves a terminal without colours; the live line may still move the cursor."""
    code, written = on_terminal(folder, "run", "pipeline.yaml", NO_COLOR="1")
    assert code == 0
    assert "✓ Loader[people]" in written
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", written)


def test_a_dumb_terminal_gets_plain_lines(folder: Path) -> None:
    """Where a cursor cannot be moved, progress is written as into a pipe."""
    code, written = on_terminal(folder, "run", "pipeline.yaml", TERM="dumb")
    assert code == 0
    assert "\x1b" not in written
    assert "[1/3] Loader[people]" in written


def played(written: str) -> tuple[list[str], int]:
    """Give the lines that a terminal is left with, and how far the cursor went up at most."""
    lines, row, highest = [""], 0, 0
    for ups, control, text in re.findall(
        r"((?:\x1b\[1A\x1b\[2K)+)|(\x1b\[[\d;?]*[a-zA-Z]|\r|\n)|([^\x1b\r\n]+)", written
    ):
        if ups:
            count = ups.count("1A")
            highest = max(highest, count)
            for up in range(count):
                lines[row - up - 1] = ""
            row -= count
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control == "\x1b[2K":
            lines[row] = ""
        elif text:
            lines[row] += text
    return lines, highest


def test_finished_lines_scroll_away_once_each(folder: Path) -> None:
    """However fast executions end, each leaves one line, in order; the live part is small."""
    experiments = {
        f"e{number:03}": {"filepath": str(folder / "people.csv")} for number in range(200)
    }
    executor = Executor({"Loader": experiments})
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=10)
    progress = LiveProgress(executor, console)
    with progress:
        executor.run(progress)
    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    screen, highest = played(written)
    assert highest <= 1
    assert re.search(r"Loader\[e\d+\] +0:00 .*\d+/200", re.sub(r"\x1b\[[\d;]*m", "", written))
    assert not any("/200" in line for line in screen)
    ticked = [match[1] for line in screen if (match := re.match(r"✓ Loader\[(e\d+)\]", line))]
    assert ticked == list(experiments)


# Warnings.


def test_warnings_are_tidy_lines() -> None:
    """Our loggers' and Python's warnings are one line each; afterwards all is as it was."""
    console = Console(file=io.StringIO(), width=40)
    notices = Notices(console)
    handlers = list(logging.getLogger("petsard_otel").handlers)
    shown = warnings.showwarning
    with notices.installed():
        logging.getLogger("petsard_otel.telemetry").warning(
            "two\nlines, and %s", "an \x1b[31mescape"
        )
        logging.getLogger("petsard_otel.telemetry").info("unseen")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("this changes,\n  soon", FutureWarning, stacklevel=1)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == (
        "warning: two lines, and an \\x1b[31mescape\nwarning: FutureWarning: this changes, soon\n"
    )
    assert logging.getLogger("petsard_otel").handlers == handlers
    assert warnings.showwarning is shown
