"""Where a history is: beside the configuration, where the user says, or where one is found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from petsard_otel.exceptions import HistoryError
from petsard_otel.settings import HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from petsard_otel.settings import HistoryChoice

FOLDER = ".petsard-otel"
"""The folder of a history, beside the configuration whose runs it holds."""

FILE = "runs.db"
"""The database in it."""

SEARCH_DEPTH = 2
"""How many folders deep a history is looked for below the current one."""

SEARCHED_FOLDERS = 2000
"""So many folders are looked into at most."""


def place_of(choice: HistoryChoice, beside: str | None) -> Path:
    """Return the database that runs are written to; nothing is created.

    Args:
        choice: True for the usual place; else a path, as `given_place` reads it.
        beside: The configuration's file; None for one that is not in a file.
    """
    if isinstance(choice, bool):
        folder = Path() if beside is None else Path(beside).parent
        return (folder / FOLDER / FILE).absolute()
    return given_place(choice)


def given_place(given: str | os.PathLike[str]) -> Path:
    """Return the database that a path stands for.

    A configuration's file stands for the history beside it, a folder for the one in it, any other
    path for itself.
    """
    path = Path(given).absolute()
    if path.suffix.lower() in {".yaml", ".yml"}:
        return path.parent / FOLDER / FILE
    # `Path.is_dir` raises where it cannot be told.
    if os.path.isdir(path) or str(given).endswith(("/", "\\")):  # noqa: PTH112
        return path / FILE if path.name == FOLDER else path / FOLDER / FILE
    return path


def existing_place(given: str | os.PathLike[str] | None) -> Path:
    """Return the database that a reader means.

    Args:
        given: As `given_place` reads it; None: what PETSARD_OTEL_HISTORY names, else the one in
            the current folder or in the nearest folder around it, else the only one below it.

    Raises:
        HistoryError: There is none, or there are several.
    """
    try:
        return _existing_place(given)
    except FileNotFoundError:
        raise HistoryError("the current folder is gone: name a history by its whole path") from None


def _existing_place(given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return _checked(given_place(given))
    from petsard_otel.telemetry.privacy import settings_of_environment

    said = settings_of_environment().history
    if isinstance(said, str):
        return _checked(given_place(said))
    here = Path.cwd()
    for folder in (here, *here.parents):
        if _is_file(folder / FOLDER / FILE):
            return folder / FOLDER / FILE
    below = list(_below(here))
    if len(below) == 1:
        return below[0]
    if below:
        shown = "\n".join(f"  --history {path.parent.parent.relative_to(here)}" for path in below)
        raise HistoryError(f"there are several histories below this folder; say which:\n{shown}")
    raise HistoryError(
        f"there is no history here: no {FOLDER}/{FILE} in {str(here)!r}, around or below it. "
        "`petsard-otel run` writes one beside the configuration; name another by "
        f"--history PATH or {HISTORY}"
    )


def _is_file(path: Path) -> bool:
    """Tell whether there is a file; what is in a folder that is closed to us is not there."""
    return os.path.isfile(path)  # noqa: PTH113  `Path.is_file` raises there


def _checked(path: Path) -> Path:
    if not _is_file(path):
        raise HistoryError(f"there is no history at {str(path)!r}")
    return path


def _below(folder: Path) -> Iterator[Path]:
    """Yield the histories in the folders below, the nearest first."""
    level = [folder]
    looked = 0
    for _ in range(SEARCH_DEPTH):
        deeper = []
        for parent in level:
            try:
                children = sorted(child for child in parent.iterdir() if child.is_dir())
            except OSError:
                continue
            for child in children:
                if child.name.startswith("."):
                    continue
                looked += 1
                if looked > SEARCHED_FOLDERS:
                    return
                if _is_file(child / FOLDER / FILE):
                    yield child / FOLDER / FILE
                deeper.append(child)
        level = deeper
