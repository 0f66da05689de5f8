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
from pathlib import Path

INSTALL_TIMEOUT_SECONDS = 900
"""How long one peer may take to install: the largest is 270 MB."""


@dataclass(frozen=True)
class Environment:
    """What a peer needs: requirements, and the Python versions it runs on (any where empty)."""

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...] = ()


class NotInstalledError(Exception):
    """A peer cannot be had here; the text says why in a few words."""


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
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, *environment.requirements])
    complete.touch()
    return python


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
