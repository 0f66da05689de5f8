"""OTLP/JSON lines, written and read: each a TracesData, as the Collector's `file` exporter has it.

The mapping of Protocol Buffers to JSON, but for ids, which OTLP has in hexadecimal, not in base64.
"""

from __future__ import annotations

import codecs
import json
import re
from base64 import b64decode, b64encode
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from petsard_otel.exceptions import DecodeError
from petsard_otel.telemetry.otlp.json_attributes import add_attributes, taken_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

OTHER_SIGNALS = frozenset({"resourceMetrics", "resourceLogs", "resourceProfiles"})
"""What lines of OTLP begin with that hold no spans."""

_IDS = ("traceId", "spanId", "parentSpanId")


class Damage(NamedTuple):
    """A line that could not be read. Lines count from 1; nothing of a line's text is said."""

    line: int
    problem: str


class Lines(NamedTuple):
    """What lines of OTLP/JSON hold: traces, and the lines that could not be read."""

    messages: list[TracesData]
    damages: list[Damage]
    filled: int
    """How many lines have something in them."""


def json_line(data: TracesData) -> str:
    """Return a message as a line of OTLP/JSON, without its line feed."""
    document = json_format.MessageToDict(data, use_integers_for_enums=True)
    document.setdefault("resourceSpans", [])
    _each_id(document, _hex_of_base64)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def read_lines(content: bytes) -> Lines:
    """Return the traces in lines of OTLP/JSON; what cannot be read is counted and passed over.

    Lines of metrics, logs and profiles are no damage. One JSON document over several lines is read
    as well, as a person's tools may have left it.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    texts = content.split(b"\n")
    found = Lines([], [], sum(1 for text in texts if text.strip()))
    for number, text in enumerate(texts, start=1):
        if text.strip():
            try:
                found.messages.extend(_messages_in(text))
            except DecodeError as error:
                is_last = number == len(texts)
                is_torn = is_last and str(error) in {NO_JSON, NOT_UTF8}
                problem = "cut off" if is_torn else str(error)
                found.damages.append(Damage(number, problem))
    if found.filled > 1 and not found.messages:
        try:
            return Lines(list(_messages_in(content)), [], 1)
        except DecodeError:
            pass
    return found


NO_JSON = "no JSON"
"""What is wrong with a text that no reader of JSON takes."""

NOT_UTF8 = "not UTF-8"
"""What is wrong with bytes that are no text."""


def parsed(text: str | bytes) -> Any:
    """Return what a JSON text stands for.

    Raises:
        DecodeError: It is none, or not in UTF-8; nothing of it is quoted.
    """
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError:
        raise DecodeError(NOT_UTF8) from None
    except (ValueError, RecursionError):
        raise DecodeError(NO_JSON) from None


def traces_data(document: Any) -> TracesData:
    """Return the TracesData that a parsed JSON document stands for, which is changed on the way.

    Fields that we do not know are ignored.

    Raises:
        DecodeError: It is not OTLP's JSON; nothing of it is quoted.
    """
    if not isinstance(document, dict) or "resourceSpans" not in document:
        raise DecodeError("no OTLP")
    try:
        _each_id(document, _base64_of_hex)
        taken = [taken_attributes(span) for span in _spans_in(document)]
        data = json_format.ParseDict(document, TracesData(), ignore_unknown_fields=True)
        for span, attributes in zip(_spans_of(data), taken, strict=True):
            add_attributes(span, attributes)
    except (ValueError, TypeError, AttributeError, RecursionError, json_format.ParseError):
        raise DecodeError("not as OTLP has it") from None
    return data


def _messages_in(text: bytes) -> Iterator[TracesData]:
    document = parsed(text)
    if isinstance(document, dict):
        # As Jaeger's query API wraps it.
        document = document.get("result", document)
    if not (isinstance(document, dict) and OTHER_SIGNALS & document.keys()):
        yield traces_data(document)


def _each_id(document: dict[str, Any], convert: Callable[[str], str]) -> None:
    """Convert the ids of all spans and of their links, in place."""
    for span in _spans_in(document):
        for holder in (span, *_entries(span, "links")):
            for name in _IDS:
                found = holder.get(name)
                holder.pop(_snake(name), None)
                if found is not None:
                    holder[name] = convert(found)


def _spans_in(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource_spans in _entries(document, "resourceSpans"):
        for scope_spans in _entries(resource_spans, "scopeSpans"):
            yield from _entries(scope_spans, "spans")


def _spans_of(data: TracesData) -> Iterator[Span]:
    for resource_spans in data.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def _entries(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects in a list; OTLP has no snake case, which json_format would take too."""
    if _snake(name) != name:
        holder.pop(_snake(name), None)
    found = holder.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DecodeError("not as OTLP has it")
    return found


@cache
def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _base64_of_hex(text: str) -> str:
    return b64encode(bytes.fromhex(text)).decode()


def _hex_of_base64(text: str) -> str:
    return b64decode(text).hex()
