"""Where a report is written: PETsARD's file names, whole files only, never outside the folder."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

MAX_FILE_NAME_BYTES = 255
"""What the usual file systems hold in one name."""

# "%" only where it would read as a quoted character, so that ordinary names stay as they are.
_UNUSABLE = re.compile(
    r"[\x00-\x1f/\\"
    + ('<>:"|?*' if os.name == "nt" else "")
    + r"\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})"
)


def report_path(output: str, name: str, suffix: str = ".csv") -> Path:
    """Return the file for a report: in the folder that `output` begins with, whatever the name.

    What a file name cannot hold is written as in `%2F`; a name that is too long is cut and ends
    in a hash of the whole, so that two reports never share a file.
    """
    folder, prefix = os.path.split(output)
    stem = prefix + _UNUSABLE.sub(_quoted, name)
    room = MAX_FILE_NAME_BYTES - len(suffix.encode())
    encoded = stem.encode("utf-8", "surrogateescape")
    if len(encoded) > room:
        mark = "~" + hashlib.sha256(encoded).hexdigest()[:12]
        stem = encoded[: room - len(mark)].decode("utf-8", "ignore") + mark
    return Path(folder, stem + suffix)


def write_csv(data: pd.DataFrame, path: Path) -> None:
    """Write a table without its index, as UTF-8."""
    with replacing(path) as file:
        data.to_csv(file, index=False)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file that takes the place of `path` once it is whole; makes the folders above it.

    Where the body raises, `path` is left as it was and nothing else stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _quoted(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
