"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import petsard_otel

ROOT = Path(petsard_otel.__file__).parent
FILES = {
    path.relative_to(ROOT).with_suffix("").as_posix(): path for path in sorted(ROOT.rglob("*.py"))
}

LEAVES = {"exceptions", "attributes", "settings", "version"}
"""May import nothing of ours."""


def imports(name: str, *, at_import_time: bool = False) -> set[str]:
    """Give the modules that a file imports, TYPE_CHECKING aside."""
    found: set[str] = set()
    stack: list[ast.AST] = [ast.parse(FILES[name].read_text())]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            found.add(str(node.module))
        stack.extend(ast.iter_child_nodes(node))
    return found


def ours(name: str) -> set[str]:
    """Give the files of ours that a file imports."""
    return {
        found.removeprefix("petsard_otel.").replace(".", "/")
        for found in imports(name)
        if found.startswith("petsard_otel.")
    }


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_leaves_import_nothing_of_ours(name: str) -> None:
    """A leaf can be read without reading anything else."""
    assert ours(name) == set()


def test_nothing_needs_the_command_line() -> None:
    """It is the uppermost room."""
    assert {
        name
        for name in FILES
        if not name.startswith("cli/") and any(found.startswith("cli") for found in ours(name))
    } <= {"__main__"}


@pytest.mark.parametrize(
    "name",
    ["records", "schema", "store", "config", "documents", "adapter", "state",
     *(f"exporting/{name}" for name in ("lanes", "perfetto", "spans", "tables", "wire")),
     *(name for name in FILES if name.startswith("reports/"))],
)  # fmt: skip
def test_the_values_and_their_readers_know_no_telemetry(name: str) -> None:
    """Store, records, schema and reports import neither OpenTelemetry nor PETsARD."""
    assert not {i for i in imports(name) if i.split(".")[0] in {"opentelemetry", "petsard"}}
    assert not {found for found in ours(name) if found.startswith(("telemetry", "modules"))}


def test_the_store_builds_on_records_and_schema_alone() -> None:
    """What is held does not depend on who asks."""
    assert ours("store") == {"records", "schema"}
    assert ours("records") == set()
    assert ours("schema") == set()


@pytest.mark.parametrize(
    "name",
    [
        "telemetry/spans",
        "telemetry/open_span",
        "telemetry/metrics",
        "telemetry/log_export",
        "telemetry/propagation",
    ],
)
def test_the_producing_side_uses_the_api_alone(name: str) -> None:
    """Spans can be made where no SDK is installed."""
    assert not {found for found in imports(name) if found.startswith("opentelemetry.sdk")}


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("petsard/")])
def test_petsards_room_uses_the_api_and_the_instrumentor_alone(name: str) -> None:
    """What knows PETsARD makes spans as everybody does."""
    assert {found for found in imports(name) if found.startswith("opentelemetry")} <= {
        "opentelemetry.instrumentation.instrumentor"
    }


def test_petsard_is_known_by_one_room_alone() -> None:
    """Everywhere else PETsARD's objects are known by the module of their class."""
    knows = {name for name in FILES if {i.partition(".")[0] for i in imports(name)} & {"petsard"}}
    assert knows == {
        "petsard/convention",
        "petsard/engine",
        "petsard/errors",
        "petsard/schema",
        "petsard/status",
    }
    reached = {name for name in FILES if any(o.startswith("petsard/") for o in ours(name))}
    assert {name for name in reached if not name.startswith("petsard/")} == {
        "convention",
        "engines",
    }


def test_encoding_uses_no_opentelemetry() -> None:
    """Encoding is pure."""
    assert not {found for found in imports("telemetry/encoding") if "opentelemetry" in found}


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("modules/")])
def test_modules_know_neither_store_nor_executor(name: str) -> None:
    """A built-in module is written as a user's adapter is: on public ground and step_span."""
    assert ours(name) <= {
        "documents",
        "exceptions",
        "schema",
        "telemetry/spans",
        "settings",
        *(found for found in FILES if found.startswith(("modules/", "reports/"))),
        "modules",
    }


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_the_rooms_for_it_import_the_sdk(name: str) -> None:
    """The SDK is known by the telemetry room, by what examines it, and by what helps to test."""
    found = {found for found in imports(name) if found.startswith("opentelemetry.sdk")}
    assert not found or name in {
        "doctor/doctor",
        "doctor/providers",
        "doctor/trial",
        "doctor/variables",
        "telemetry/setup",
        "telemetry/mirror",
        "telemetry/recording",
        "telemetry/sending/exporters",
        "telemetry/sending/pipelines",
        "testing",
    }


@pytest.mark.parametrize("name", [n for n in FILES if not n.startswith("modules/")])
def test_heavy_libraries_are_imported_late(name: str) -> None:
    """Outside the built-in modules pandas and scikit-learn come with their first use."""
    if name in {"petsard/engine", "petsard/errors"}:
        # The two that are imported only where PETsARD is.
        return
    heavy = {"pandas", "sklearn", "scipy", "petsard", "pyarrow", "numpy"}
    assert not {i for i in imports(name, at_import_time=True) if i.split(".")[0] in heavy}


@pytest.mark.parametrize("arguments", [["-c", "import petsard_otel"],
                                       ["-m", "petsard_otel", "--help"]])  # fmt: skip
def test_importing_the_package_imports_nothing_heavy(arguments: list[str]) -> None:
    """`import petsard_otel` and `--help` answer at once."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "petsard_otel" in loaded
    assert not loaded & {"pandas", "numpy", "sklearn", "scipy", "petsard", "opentelemetry.sdk"}


def names_in(node: ast.AST) -> set[str]:
    """Give the names that an expression is made of."""
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}


def test_one_place_swallows_errors() -> None:
    """There is no broad `except`; the guard is the only one that holds errors back."""
    broad = []
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or {"Exception", "BaseException"} & names_in(node.type)
            ):
                is_passed_on = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if not is_passed_on:
                    broad.append(f"{name}:{node.lineno}")
    assert broad == []


def test_the_public_names_are_few_and_all_there() -> None:
    """At most 15 names, in order, and each can be imported."""
    assert petsard_otel.__all__ == [
        "Adapter",
        "Attribute",
        "ChangeRecord",
        "Config",
        "ConfigError",
        "ExecutionSnapshot",
        "Executor",
        "PETsARDInstrumentor",
        "Schema",
        "SchemaDiff",
        "Status",
        "TimingRecord",
        "UnexecutedError",
        "configure",
        "step_span",
    ]
    for name in petsard_otel.__all__:
        assert getattr(petsard_otel, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        petsard_otel.Nothing  # noqa: B018  the access is the test
