"""What executions are called where several are of one module and experiment."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def differences(paths: Sequence[str]) -> list[str]:
    """Tell executions of one module and experiment apart, by their paths, else by their number.

    >>> differences(["Loader[a]_Splitter[x]", "Loader[b]_Splitter[x]"])
    ['a', 'b']
    >>> differences(["Loader[a]", "Loader[a]"])
    ['', '#2']
    """
    parted = [path_parts(path) for path in paths]
    if len(set(parted)) < 2:
        return [f"#{number}" if number > 1 else "" for number in range(1, len(paths) + 1)]
    common = set(parted[0]).intersection(*parted[1:])
    seen: dict[tuple[str, ...], int] = defaultdict(int)
    found = []
    for path in parted:
        seen[path] += 1
        parts = [part[part.index("[") + 1 : -1] for part in path if part not in common]
        found.append(", ".join(parts) + (f" #{seen[path]}" if seen[path] > 1 else ""))
    return found


def path_parts(path: str) -> tuple[str, ...]:
    """Cut an experiment path into its `Module[experiment]`s."""
    return tuple(re.findall(r"[A-Za-z]\w*?\[.*?\](?=_[A-Za-z]\w*?\[|$)", path, re.DOTALL))
