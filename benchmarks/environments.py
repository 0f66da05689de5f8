"""One environment for each peer, kept outside the repository and made once.

Their pins conflict with each other's and with ours, so none of them shares one. The environment
of a peer is named by what it holds; one that is not complete is made again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

INSTALL_TIMEOUT_SECONDS = 3600
"""How long one peer may take to install: the largest, PETsARD with all that it needs, is 6 GB."""


@dataclass(frozen=True)
class Environment:
    """What a peer needs: requirements, and the Python versions it runs on (any where empty)."""

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...] = ()


class NotInstalledError(Exception):
    """A peer cannot be had here; the text says why in a few words."""


def declared(extra: str) -> tuple[str, ...]:
    """Return what one of petsard-otel's extras adds, and what it needs itself.

    The extra comes first: a resolver settles first what it reads first, and anonymeter's newest
    holds pyarrow to what works with the numpy of both.
    """
    texts = [text.partition(";") for text in requires("petsard-otel") or ()]
    own = ["".join(parts) for parts in texts if "extra ==" not in parts[2]]
    added = [requirement for requirement, _, marker in texts if f"extra == '{extra}'" in marker]
    return (*added, *own)


LOGFIRE = Environment("logfire", ("logfire>=4",))
MLFLOW = Environment("mlflow", ("mlflow-skinny>=3.4,<4",))
PETSARD = Environment(
    "petsard",
    (
        "petsard==1.10.1",
        "numpy>=1.26.4,<2",
        "pandas>=2.3.2,<3",
        "pyyaml",
        "requests",
        "scikit-learn>=1.7.1,<2",
        "tqdm",
    ),
    pythons=("3.11", "3.10"),
)
PETSARD_WHOLE = Environment("petsard-whole", declared("petsard"), pythons=PETSARD.pythons)
"""PETsARD with all that its modules need, beside what petsard-otel needs."""


def python_in(environment: Environment) -> Path:
    """Return the interpreter of an environment, making it where it is not there yet.

    Raises:
        NotInstalledError: No fitting Python was found, or its packages cannot be installed.
    """
    base = _base_python(environment)
    described = "\n".join((*_version_and_path(base), *environment.requirements))
    key = hashlib.sha256(described.encode()).hexdigest()[:12]
    folder = _cache() / "envs" / f"bench-{environment.name}-{key}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if complete.exists():
        return python
    print(f"Installing {environment.name} into {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([base, "-m", "venv", str(folder)])
    _run([*_installer(python), *environment.requirements])
    complete.touch()
    return python


def _installer(python: Path) -> list[str]:
    """Return the command that installs: uv, which links what it has had, where `make` put it."""
    uv = _cache() / "tools" / "uv" / "bin" / "uv"
    if not uv.exists():
        return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    kept = ["--cache-dir", str(_cache() / "uv")]
    return [str(uv), "pip", "install", "--quiet", *kept, "--python", str(python)]


def _cache() -> Path:
    return Path(os.environ.get("PETSARD_OTEL_CACHE") or Path.home() / ".cache" / "petsard-otel")


def _base_python(environment: Environment) -> str:
    """Return this interpreter where the peer runs on it: then both are measured on one Python."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not environment.pythons or here in environment.pythons:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in environment.pythons:
        installed = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
        for candidate in (f"python{version}", *map(str, installed)):
            if _runs(candidate):
                return candidate
    raise NotInstalledError(f"needs Python {' or '.join(environment.pythons)}")


def _runs(python: str) -> bool:
    try:
        _version_and_path(python)
    except NotInstalledError:
        return False
    return True


def _version_and_path(python: str) -> list[str]:
    return _run(
        [python, "-c", "import sys; print(sys.version); print(sys.base_prefix)"]
    ).splitlines()


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [f"exit code {error.returncode}"]
        raise NotInstalledError(lines[-1][:100]) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(type(error).__name__) from None
    return done.stdout
