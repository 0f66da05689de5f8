"""Which process writes a run, whether it is still there, and how much memory it has."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

STALE_SECONDS = 60
"""A process that we cannot look for, as on another machine, is gone after so long a silence."""

_START_TOLERANCE_SECONDS = 2.0
"""How far two readings of one process's start may lie apart, where they hang on the wall clock."""


@lru_cache(maxsize=1)
def this_machine() -> str:
    """Return what two processes have in common that can see each other's process ids.

    On Linux the machine's boot and the namespace of process ids, of which each container has its
    own; elsewhere the machine's name.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  no path, an inode
    return platform.node()


def start_of(pid: int) -> float | None:
    """Return when a process began; None where it is gone, 0 where that cannot be told.

    In seconds since the epoch, on Linux since the machine's start: nobody sets that clock.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return _since_boot(pid) if sys.platform == "linux" else float(process.create_time())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    except (psutil.Error, OSError):
        return 0.0


def _since_boot(pid: int) -> float:
    # The second field is a name, which may have blanks and parentheses in it.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_alive(machine: str, pid: int, started: float, silent_seconds: float) -> bool:
    """Tell whether a process that wrote a run is still there.

    Args:
        machine: Where it ran, as `this_machine` has it.
        pid: Its id there.
        started: When it began; an id is used again.
        silent_seconds: How long nothing has been heard of it.
    """
    if machine != this_machine():
        return silent_seconds < STALE_SECONDS
    found = start_of(pid)
    if found is None:
        return False
    return not found or not started or abs(found - started) < _START_TOLERANCE_SECONDS


def memory_bytes() -> int | None:
    """Return this process's resident memory."""
    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None
