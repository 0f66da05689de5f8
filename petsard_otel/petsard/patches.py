"""Functions of PETsARD wrapped while they are to be watched, and given back as they were found."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
    """Called in the place of a method: with it, its instance and its arguments."""

_ABSENT: Any = object()


class Patch(NamedTuple):
    """One attribute that was replaced, and by what."""

    owner: Any
    name: str
    original: Any
    replacement: Any


class Patches:
    """What has been replaced, each attribute once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[tuple[int, str], Patch] = {}

    def wrap(self, owner: type, name: str, wrapper: Wrapper) -> None:
        """Wrap a class's method; one that is inherited is wrapped for this class alone."""
        self.replace(owner, name, wrapt.FunctionWrapper(_found(owner, name), wrapper))

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Replace an attribute of a class or a module; what has been replaced stays so."""
        with self._lock:
            if (id(owner), name) in self._made:
                return
            original = vars(owner).get(name, _ABSENT)
            setattr(owner, name, replacement)
            self._made[id(owner), name] = Patch(owner, name, original, replacement)

    def undo(self) -> None:
        """Give everything back; what somebody else has replaced since then is left to him."""
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
            for patch in reversed(made):
                if vars(patch.owner).get(patch.name) is not patch.replacement:
                    continue
                if patch.original is _ABSENT:
                    delattr(patch.owner, patch.name)
                else:
                    setattr(patch.owner, patch.name, patch.original)


def provider_of(name: str, cls: type) -> type | None:
    """Return the class that an attribute of a class comes from, None where there is none."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def _found(owner: type, name: str) -> Any:
    """Return an attribute as it stands in the class that has it, not bound to any."""
    provider = provider_of(name, owner)
    if provider is None:
        raise AttributeError(f"{owner.__qualname__} has no {name!r}")
    return vars(provider)[name]
