"""Where spans are read from: files of OTLP, bytes, and a Jaeger. Changes none of them.

What can be read is used. What cannot be is told in one warning, by place and count; nothing of it
is quoted.
"""

from __future__ import annotations

import codecs
import gzip
import io
import logging
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from petsard_otel.exceptions import SourceError
from petsard_otel.telemetry.otlp.binary import NOTHING, is_delimited, read_binary
from petsard_otel.telemetry.otlp.json_lines import read_lines
from petsard_otel.telemetry.otlp.spans import spans_of
from petsard_otel.telemetry.sending.targets import without_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    from petsard_otel.telemetry.otlp.json_lines import Damage
    from petsard_otel.telemetry.otlp.spans import OtlpSpan

Source: TypeAlias = "str | os.PathLike[str] | bytes"
"""A path, the URL of a trace in a Jaeger, or what a file holds."""

EXPECTED = (
    "OTLP/JSON lines, as the Collector's `file` exporter writes them, or OTLP in protobuf; "
    "either may be compressed by gzip"
)
"""What a file has to be."""

MAX_SHOWN_LINES = 10
"""How many lines a warning names; it counts the rest."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PASSWORD = re.compile(r"[^@]*:[^@]*@")
"""How a URL begins that has a password, whatever its scheme."""

_CHUNK_BYTES = 1 << 20
_logger = logging.getLogger(__name__)


def read_source(source: Source) -> list[OtlpSpan]:
    """Return the spans in a source, those of other programs among them.

    Raises:
        SourceError: It cannot be read, or holds no traces at all.
    """
    return [span for data in read_messages(source) for span in spans_of(data)]


def warn(text: str) -> None:
    """Log what is wrong with a source of which something could be read."""
    _logger.warning("%s", text)


def read_messages(source: Source, say: Callable[[str], None] = warn) -> list[TracesData]:
    """Return the traces in a source as OTLP, those of other programs among them.

    Args:
        source: A path of a file with OTLP/JSON lines or protobuf, what such a file holds, or a
            URL such as `http://localhost:16686/trace/<id>`.
        say: Is told what of it is damaged.

    Raises:
        SourceError: It cannot be read, or holds no traces at all.
    """
    if isinstance(source, bytes):
        return _messages_in(source, shown(source), say)
    if isinstance(source, str) and _is_url(source):
        from petsard_otel.telemetry.otlp.jaeger import read_trace

        return read_trace(source)
    try:
        content = Path(source).read_bytes()
    except IsADirectoryError:
        raise SourceError(f"{shown(source)} is a folder; expected a file with {EXPECTED}") from None
    except FileNotFoundError:
        raise SourceError(f"there is no file {shown(source)}") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise SourceError(f"{shown(source)} cannot be read: {problem}") from None
    return _messages_in(content, shown(source), say)


def shown(source: Source) -> str:
    """Return what an error calls a source: no password, nothing of what it holds."""
    if isinstance(source, bytes):
        return "what was given"
    text = os.fspath(source)
    is_misspelt = _PASSWORD.match(text) is not None and not os.path.exists(text)  # noqa: PTH110  `Path.exists` raises
    return repr(without_password(text) if _is_url(text) or is_misspelt else text)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _messages_in(content: bytes, name: str, say: Callable[[str], None]) -> list[TracesData]:
    problems = []
    if content.startswith(_GZIP):
        content, is_whole = _unpacked(content)
        if not is_whole:
            problems.append("its compression is cut off or damaged")
    if _ZSTD in (content[:4], content[4:8]):
        raise SourceError(f"{name} is compressed by zstd; unpack it first, by zstd -d")
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        problems.append("it is empty")
        raise SourceError(f"{name} holds no traces: {'; '.join(problems)}; expected {EXPECTED}")
    messages, found = _read(content)
    problems += found
    if not messages:
        what = "; ".join(problems) or "what it holds is OTLP, but no traces"
        raise SourceError(f"{name} holds no traces that can be read: {what}; expected {EXPECTED}")
    if problems:
        say(f"{name} is damaged, and what can be read is used: {'; '.join(problems)}")
    return messages


def _read(content: bytes) -> tuple[list[TracesData], list[str]]:
    """Return what a file holds, and what is wrong with it."""
    is_text = content.lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{")
    found = NOTHING
    if is_delimited(content) or not is_text or content.startswith(b"\n"):
        # A message of protobuf begins with a line feed, as a text may.
        found = read_binary(content)
        if found.messages and not found.damaged:
            return found.messages, []
    lines = read_lines(content) if is_text or not found.messages else None
    if lines is None or (found.messages and not lines.messages):
        torn = "one message is" if found.damaged == 1 else f"{found.damaged} messages are"
        return found.messages, [f"{torn} cut off or damaged"]
    return lines.messages, _problems(lines.damages, lines.filled)


def _problems(damages: list[Damage], count: int) -> list[str]:
    """Say which lines could not be read, and why."""
    if not damages:
        return []
    by_problem: dict[str, list[int]] = {}
    for damage in damages:
        by_problem.setdefault(damage.problem, []).append(damage.line)
    parts = []
    for problem, lines in by_problem.items():
        numbers = ", ".join(map(str, lines[:MAX_SHOWN_LINES]))
        more = f" and {len(lines) - MAX_SHOWN_LINES} more" if len(lines) > MAX_SHOWN_LINES else ""
        parts.append(f"line{'s' if len(lines) > 1 else ''} {numbers}{more}: {problem}")
    return [f"{len(damages)} of {count} lines cannot be read ({'; '.join(parts)})"]


def _unpacked(content: bytes) -> tuple[bytes, bool]:
    """Return what is compressed, as far as it can be had, and whether that is all."""
    found = bytearray()
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        try:
            while chunk := file.read1(_CHUNK_BYTES):
                found += chunk
        except (OSError, EOFError, zlib.error):
            return bytes(found), False
    return bytes(found), True
