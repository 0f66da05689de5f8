"""A private folder that the audited pipeline works in, so that no file of the user's is written.

Input files are reached through a folder whose name is a secret, as a path with a password is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from petsard_otel.config import EXECUTOR
from petsard_otel.documents import read_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from petsard_otel.audit.sentinels import Mint

MAX_PATH_LENGTH = 4096
"""A longer text is no path."""


class Workspace:
    """The folder, and the user's configuration as it is run in there.

    Attributes:
        private: Another folder, for what the audit itself keeps: its path is no secret.
        content: The user's configuration, as it was given.
        config: What the Executor is given: a path where the user gave one, else a dict.
    """

    def __init__(self, folder: Path, config: str | os.PathLike[str] | Mapping[str, Any]) -> None:
        self.private = folder.parent
        self._folder = folder
        self._links = 0
        document = read_document(config)
        self.content: dict[str, Any] = document.content
        redirected = self._redirected()
        self.config: Path | dict[str, Any] = redirected
        if document.source is not None:
            self.config = folder / f"{Path(document.source).stem}.yaml"
            text = yaml.safe_dump(redirected, allow_unicode=True, sort_keys=False)
            self.config.write_text(text, encoding="utf-8")

    def _redirected(self) -> dict[str, Any]:
        """Return the configuration with every path in it led through the folder."""
        content = {name: self._reached(section) for name, section in self.content.items()}
        if content.get(EXECUTOR):
            logs = str(self._folder / "logs")
            content[EXECUTOR] |= {
                "log_output_type": "file",
                "log_dir": logs,
                "log_filename": "audited.log",
            }
        for number, parameters in enumerate((content.get("Reporter") or {}).values()):
            prefix = os.path.basename(parameters.get("output") or "petsard")  # noqa: PTH119  "out/" has an empty one
            parameters["output"] = str(self._folder / f"reports-{number}" / prefix)
        return content

    def _reached(self, value: Any) -> Any:
        """Return a value with the existing files that it names linked into the folder."""
        if isinstance(value, dict):
            return {name: self._reached(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [self._reached(entry) for entry in value]
        if isinstance(value, str | Path) and _is_file(str(value)):
            return self._linked(Path(value).absolute())
        return deepcopy(value)

    def _linked(self, path: Path) -> str:
        """Link a file, or copy it where links cannot be made, under its own name."""
        self._links += 1
        link = self._folder / f"input-{self._links}" / path.name
        link.parent.mkdir()
        try:
            link.symlink_to(path)
        except OSError:
            shutil.copyfile(path, link)
        return str(link)


@contextmanager
def workspace(
    config: str | os.PathLike[str] | Mapping[str, Any], mint: Mint
) -> Iterator[Workspace]:
    """Make a folder that its owner alone can read, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="petsard-otel-audit-") as root:
        secret = mint.name("secret", "the configuration, in every path of a file")
        folder = Path(root) / secret
        folder.mkdir(mode=0o700)
        yield Workspace(folder, config)


def _is_file(text: str) -> bool:
    """Tell whether a text is the path of a file; a bare word never is, whatever lies around."""
    if not text or len(text) > MAX_PATH_LENGTH or "\0" in text:
        return False
    return (os.sep in text or Path(text).suffix != "") and os.path.isfile(text)  # noqa: PTH113  `Path.is_file` raises where a name is too long
