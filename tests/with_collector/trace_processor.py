"""Perfetto's trace processor, as its viewer has it, asked in SQL."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

PROGRAM = Path(__file__).parent / "perfetto_viewer" / "trace_processor.js"

_BYTES_AT_ONCE = 1 << 20
"""How much of a trace is sent in one message."""

_PROTOS = ProtoFactory(PlatformDelegate())


class TraceProcessor:
    """A process that has read one trace. Columns of a query need names that differ."""

    def __init__(self, trace: bytes, folder: Path) -> None:
        """Start it and have it read a trace; what it complains of goes to a file in `folder`."""
        self._complaints = (folder / "trace_processor.log").open("wb")
        self._process = subprocess.Popen(
            ["node", PROGRAM, os.environ["PERFETTO_VIEWER"]],  # noqa: S607  Node.js is on the PATH
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        methods = _PROTOS.TraceProcessorRpc
        for at in range(0, len(trace), _BYTES_AT_ONCE):
            piece = trace[at : at + _BYTES_AT_ONCE]
            self._send(methods.TPM_APPEND_TRACE_DATA, append_trace_data=piece)
            reply = self._receive()
            assert not reply.append_result.error, reply.append_result.error
        self._send(methods.TPM_FINALIZE_TRACE_DATA)
        self._receive()

    def __enter__(self) -> TraceProcessor:  # noqa: PYI034  Self is of Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)
        self._complaints.close()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        self._send(_PROTOS.TraceProcessorRpc.TPM_QUERY_STREAMING, sql=sql)
        names: list[str] = []
        batches: list[Any] = []
        while not batches or not batches[-1].is_last_batch:
            result = self._receive().query_result
            assert not result.error, result.error
            names += result.column_names
            batches += result.batch
        return [tuple(vars(row).values()) for row in QueryResultIterator(names, batches)]

    def _send(self, method: int, *, sql: str | None = None, **fields: Any) -> None:
        stream = _PROTOS.TraceProcessorRpcStream()
        message = stream.msg.add(request=method, **fields)
        if sql is not None:
            message.query_args.sql_query = sql
        assert self._process.stdin is not None
        self._process.stdin.write(stream.SerializeToString())
        self._process.stdin.flush()

    def _receive(self) -> Any:
        """Return the next reply: each is a field of the stream that all of them are."""
        assert self._read(1) == b"\n"
        length = shift = 0
        while True:
            (byte,) = self._read(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte <= 0x7F:
                break
        return _PROTOS.TraceProcessorRpc.FromString(self._read(length))

    def _read(self, length: int) -> bytes:
        assert self._process.stdout is not None
        found = self._process.stdout.read(length)
        assert len(found) == length, "the trace processor has ended"
        return found


def open_trace(chunks: Iterable[bytes], folder: Path) -> TraceProcessor:
    """Have a trace read that comes in pieces."""
    return TraceProcessor(b"".join(chunks), folder)
