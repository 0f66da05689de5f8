"""Who may use files and folders: their owner alone, or others as well."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_to_others(folder: Path) -> Iterator[str]:
    """Yield which of a folder, and of what is in it, others than its owner may use, and how."""
    if os.name != "posix":
        # Elsewhere a mode says nothing of others.
        return
    for path in (folder, *sorted(folder.rglob("*"))):
        # The log of a database may be removed meanwhile.
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & _OTHERS:
                yield f"{path.name} may be used by others than its owner (its mode is {mode:03o})"


@contextmanager
def permissive_umask() -> Iterator[None]:
    """Have new files get every permission that is asked for, while the block runs.

    The umask is the process's.
    """
    former = os.umask(0)
    try:
        yield
    finally:
        os.umask(former)
