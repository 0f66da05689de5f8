"""All journals of this process: one for each database, closed at its end, begun anew in a fork.

No thread is within SQLite while another one forks, since the child would inherit its locks, held
for ever.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

from petsard_otel.history.journal import FORK_SECONDS, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_IDLE_JOURNALS = 3
"""Of so many databases that are not being written the connection is kept."""

_journals: dict[Path, Journal] = {}
"""Those that are in use, or may be soon."""

_every: WeakSet[Journal] = WeakSet()
"""Also those that are no longer known, but may still hold something."""

_beside = threading.Lock()
"""Held by a thread of ours that is within SQLite beside the journals."""

_held: list[threading.Lock | threading.RLock] = []
"""The locks that a fork holds."""


def journal_at(path: Path) -> Journal:
    """Return this process's journal of a database."""
    known = _journals.get(path)
    if known is None:
        for other in list(_journals.values())[:-MAX_IDLE_JOURNALS]:
            if other.rest():
                _journals.pop(other.path, None)
        known = _journals.setdefault(path, Journal(path, _journals))
        _every.add(known)
    return known


@contextmanager
def beside_journals() -> Iterator[None]:
    """Be within SQLite in a thread of ours: what is opened in the block is closed in it."""
    with _beside:
        yield


def accept_everywhere(span_ids: Sequence[int], endpoint: str) -> None:
    """Note in every journal of this process which of its spans a receiver has accepted."""
    for journal in list(_journals.values()):
        journal.accept(span_ids, endpoint)


def open_places() -> list[Path]:
    """Return the databases that this process writes."""
    return list(_journals)


@contextmanager
def others_aside() -> Iterator[None]:
    """Know none of the databases that this process writes, but those that are begun in the block.

    Nothing is read of the others, sent from them or noted in them, and those of the block are
    closed at its end. Not beside runs in other threads.
    """
    others = _journals.copy()
    _journals.clear()
    try:
        yield
    finally:
        for journal in list(_journals.values()):
            journal.close()
        _journals.update(others)


def is_kept() -> bool:
    """Tell whether what this process records is written somewhere."""
    return any(journal.is_usable for journal in list(_journals.values()))


def close_all() -> None:
    """Close every journal of this process."""
    for journal in list(_every):
        journal.close()


def _before_fork() -> None:
    if _beside.acquire(timeout=FORK_SECONDS):
        _held.append(_beside)
    for journal in list(_every):
        _held.extend(journal.hold())


def _after_fork() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    global _beside  # noqa: PLW0603  the parent's may be held by a thread that is not here
    _beside = threading.Lock()
    _held.clear()
    for journal in list(_every):
        journal.begin_anew_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )

# At import, so that what sends spans, which registers later, comes to its end before this does:
# what a receiver accepts at the very last is noted.
atexit.register(close_all)
