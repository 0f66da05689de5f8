"""Functions of PETsARD wrapped while they are to be watched, and given back as they were found."""

from __future__ import annotations

import os
import sys
import threading
from copy import deepcopy
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
    """Called in the place of a method: with it, its instance and its arguments."""


class BoundMethod(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A wrapped method of one object: pickled and copied as Python's own are, by its name."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._self_instance is None:
            return _find, (self.__module__, self.__qualname__)
        return getattr, (self._self_instance, self.__name__)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self._self_instance is None:
            return self
        return getattr(deepcopy(self._self_instance, memo), self.__name__)


class WrappedFunction(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """What stands in a class in the place of one of its functions."""

    __bound_function_wrapper__ = BoundMethod


class Replaced(NamedTuple):
    """Something of a module that was replaced, and by what."""

    owner: Any
    name: str
    original: Any
    replacement: Any


class Patches:
    """What has been wrapped and replaced, each once. Thread-safe; keeps no class alive."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._wrapped: dict[tuple[int, str], tuple[ref[type], bool]] = {}
        self._replaced: list[Replaced] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def wrap(self, owner: type, name: str, wrapper: Wrapper) -> None:
        """Wrap a class's method, unless it is; one that is inherited is wrapped for this class."""
        with self._lock:
            known = self._wrapped.get((id(owner), name))
            if known is not None and known[0]() is owner:
                return
            provider = provider_of(name, owner)
            if provider is None:
                raise AttributeError(f"{owner.__qualname__} has no {name!r}")
            setattr(owner, name, WrappedFunction(vars(provider)[name], wrapper))
            place = (id(owner), name)
            forget = lambda _: self._wrapped.pop(place, None)  # noqa: E731  bound to this place
            self._wrapped[place] = (ref(owner, forget), provider is owner)

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Put something in the place of an attribute of a module, unless it is there."""
        with self._lock:
            original = getattr(owner, name)
            if original is not replacement:
                setattr(owner, name, replacement)
                self._replaced.append(Replaced(owner, name, original, replacement))

    def undo(self) -> None:
        """Give everything back; what somebody else has replaced since then is left to him."""
        with self._lock:
            wrapped, self._wrapped = self._wrapped, {}
            for (_, name), (known, is_its_own) in wrapped.items():
                owner = known()
                current = None if owner is None else vars(owner).get(name)
                # By its class: a wrapper answers as what it wraps.
                if owner is None or type(current) is not WrappedFunction:
                    continue
                if is_its_own:
                    setattr(owner, name, current.__wrapped__)
                else:
                    delattr(owner, name)
            while self._replaced:
                replaced = self._replaced.pop()
                if getattr(replaced.owner, replaced.name) is replaced.replacement:
                    setattr(replaced.owner, replaced.name, replaced.original)

    def _renew_lock(self) -> None:
        """Free the child of a fork from a lock that a thread of its parent held."""
        self._lock = threading.RLock()


def provider_of(name: str, cls: type) -> type | None:
    """Return the class that an attribute of a class comes from, None where there is none."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def _find(module: str, qualname: str) -> Any:
    """Return what stands at a place, as unpickling a function by its name does."""
    return reduce(getattr, qualname.split("."), sys.modules[module])
