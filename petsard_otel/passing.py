"""Context managers around code of the host: what that raises goes through as it is. A leaf."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")

_TRACEBACK: Any = BaseException.__dict__["__traceback__"]


class Passing(Generic[T]):
    """What `passing` makes of a generator: it is entered once, and swallows nothing."""

    def __init__(self, generator: Generator[T]) -> None:
        self._generator = generator

    def __enter__(self) -> T:
        return next(self._generator)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            next(self._generator, None)
            return
        try:
            self._generator.throw(error)
        except BaseException as raised:
            # Python makes a RuntimeError of a StopIteration that leaves a generator.
            if raised is not error and raised.__cause__ is not error:
                raise
        # Not by assignment, which an error may forbid: it may be a frozen dataclass.
        _TRACEBACK.__set__(error, traceback)


def passing(function: Callable[P, Generator[T]]) -> Callable[P, Passing[T]]:
    """Make a context manager of a generator function, as `contextlib.contextmanager` does.

    That one assigns to the exception which it lets through, and so replaces one that cannot be
    assigned to by another.
    """

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Passing[T]:
        return Passing(function(*args, **kwargs))

    return make
