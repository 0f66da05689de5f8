"""The process's standard streams, so that nobody has to care whether somebody still reads them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
"""The descriptors that a process is born with."""


class ForgivingFile(io.FileIO):
    """A descriptor whose writing never raises: it keeps the first error and drops the rest.

    Under `| head -1` the reader goes while a pipeline runs, which must not fail for that; nor may
    the thread that draws the progress, or the interpreter when it flushes at its end.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what can be written, and say that all was."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


@contextmanager
def forgiving_streams() -> Iterator[tuple[ForgivingFile, ForgivingFile]]:
    """Make stdout and stderr such as never raise, and yield what is below them."""
    _open_closed_descriptors()
    given = sys.stdout, sys.stderr
    files = _file(STDOUT), _file(STDERR)
    streams = [_text(file, stream) for file, stream in zip(files, given, strict=True)]
    sys.stdout, sys.stderr = streams
    try:
        yield files
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = given


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what goes to stdout, from C libraries and child processes too."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, STDOUT)
        os.close(kept)


def _open_closed_descriptors() -> None:
    """Open what a shell's `>&-` closed, else the next file opened would become stdout."""
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _file(descriptor: int) -> ForgivingFile:
    return ForgivingFile(descriptor, "w", closefd=False)


def _text(file: ForgivingFile, given: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding="utf-8" if given is None else given.encoding,
        errors="backslashreplace",
        line_buffering=file.fileno() == STDERR or file.isatty(),
    )
