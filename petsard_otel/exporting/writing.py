"""Where an export goes: a file that its owner alone can read, all of it or nothing, or stdout."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from petsard_otel.exceptions import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR


def write_file(chunks: Iterable[bytes], path: Path, *, may_overwrite: bool = False) -> None:
    """Write a file under its name once all of it is there; until then, what was there stays.

    It can be read by its owner alone, whatever the umask and whatever it replaces. A pipe or a
    device, such as /dev/stdout, is written to as it is.

    Args:
        chunks: What to write; nothing is asked of it where the file may not be written.
        path: The file.
        may_overwrite: Whether to replace a file that is there.

    Raises:
        ExportError: It is there already, or cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                file.writelines(chunks)
            return
        if not may_overwrite and os.path.lexists(path):
            raise _already_there(path)
        _replace(chunks, path, may_overwrite=may_overwrite)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise ExportError(f"{str(path)!r} cannot be written: {problem}") from error


def write_stdout(chunks: Iterable[bytes], *, is_binary: bool) -> None:
    """Write to stdout, not to a terminal what would only upset it.

    Raises:
        ExportError: It is a terminal, and what is to be written is not text.
    """
    if is_binary and sys.stdout.isatty():
        raise ExportError(
            "what this format writes is not for a terminal: name a file by --output PATH, "
            "or send it somewhere by | or >"
        )
    sys.stdout.flush()
    sys.stdout.buffer.writelines(chunks)
    sys.stdout.buffer.flush()


def _replace(chunks: Iterable[bytes], path: Path, *, may_overwrite: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # The umask may have taken even the owner's rights.
            temporary.chmod(_OWNER_ONLY)
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        if may_overwrite or not _is_linked(temporary, path):
            temporary.replace(path)
    finally:
        # Gone under this name where all went well, and where it was given two names.
        with suppress(FileNotFoundError):
            temporary.unlink()


def _is_linked(temporary: Path, path: Path) -> bool:
    """Give a file its name unless there is one of that name by now.

    False where this file system cannot do both at once, and none was there a moment ago.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _already_there(path) from None
    except OSError:
        if os.path.lexists(path):
            raise _already_there(path) from None
        return False
    return True


def _already_there(path: Path) -> ExportError:
    return ExportError(f"{str(path)!r} is there already: add --force to replace it")
