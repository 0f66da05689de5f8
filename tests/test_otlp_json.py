"""OTLP's JSON and protobuf out of files: as the Collector has them, whole, torn and foreign."""

from __future__ import annotations

import gzip
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict, ParseError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from petsard_otel.exceptions import DecodeError, PetsardOtelError, SourceError
from petsard_otel.telemetry.otlp.jaeger_json import jaeger_data
from petsard_otel.telemetry.otlp.json_lines import json_line, read_lines, traces_data
from petsard_otel.telemetry.otlp.sources import read_messages, read_source

if TYPE_CHECKING:
    from pathlib import Path

LOGGER = "petsard_otel.telemetry.otlp.sources"

LINE = (
    '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":'
    '{"stringValue":"petsard"}}]},"scopeSpans":[{"scope":{"name":"petsard_otel","version":"1.0"},'
    '"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"1112131415161718",'
    '"traceState":"a=b","parentSpanId":"2122232425262728","flags":256,"name":"größer",'
    '"kind":1,"startTimeUnixNano":"1796000000123456789","endTimeUnixNano":"1796000000123456790",'
    '"attributes":[{"key":"n","value":{"intValue":"9007199254740993"}},'
    '{"key":"x","value":{"doubleValue":"NaN"}},'
    '{"key":"l","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}],'
    '"links":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"3132333435363738"}],'
    '"status":{"code":2}}]}]}]}'
)
"""A span as the Collector's `file` exporter writes it."""


def one_span(name: str = "petsard run") -> TracesData:
    """Make a message of one span."""
    data = TracesData()
    inside = data.resource_spans.add().scope_spans.add()
    inside.scope.name = "petsard_otel"
    inside.spans.add(
        trace_id=bytes(range(16)), span_id=bytes(range(8)), name=name, start_time_unix_nano=1
    )
    return data


def names(messages: list[TracesData]) -> list[str]:
    """Return the names of all spans."""
    return [
        span.name
        for data in messages
        for resource_spans in data.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def test_a_line_of_the_collector_is_read_to_the_last_digit() -> None:
    """Ids are hexadecimal, times and numbers of 64 bits are texts."""
    (message,) = read_lines(LINE.encode()).messages
    (span,) = message.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == "0102030405060708090a0b0c0d0e0f10"
    assert span.span_id.hex() == "1112131415161718"
    assert span.parent_span_id.hex() == "2122232425262728"
    assert span.links[0].span_id.hex() == "3132333435363738"
    assert (span.name, span.kind, span.status.code) == ("größer", 1, 2)
    assert span.start_time_unix_nano == 1796000000123456789
    assert span.attributes[0].value.int_value == 9007199254740993


def test_a_line_is_written_as_the_collector_writes_it() -> None:
    """Byte by byte: hexadecimal ids, numbers for enumerations, no spaces."""
    (message,) = read_lines(LINE.encode()).messages
    assert json.loads(json_line(message)) == json.loads(LINE)
    assert '"traceId":"0102030405060708090a0b0c0d0e0f10"' in json_line(message)
    assert "\n" not in json_line(message)


values: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.just(float("nan"))  # JSON has but one of its many bit patterns
        | st.text()
        | st.binary(max_size=9)
        | st.lists(values, max_size=3)
        | st.dictionaries(st.text(), values, max_size=3)
    )
)


def put(entries: Any, found: dict[str, Any]) -> None:
    """Add attributes to a message."""
    for name, value in found.items():
        fill(entries.add(key=name).value, value)


def fill(target: Any, value: Any) -> None:
    """Set an AnyValue."""
    if isinstance(value, dict):
        target.kvlist_value.SetInParent()
        put(target.kvlist_value.values, value)
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for inner in value:
            fill(target.array_value.values.add(), inner)
    elif value is not None:
        kinds = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes"}
        setattr(target, f"{kinds[type(value)]}_value", value)


@st.composite
def messages(draw: st.DrawFn) -> TracesData:
    """Draw a TracesData of any content."""
    attributes = st.dictionaries(st.text(), values, max_size=3)
    ids = st.binary(max_size=16)
    data = TracesData()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = data.resource_spans.add(schema_url=draw(st.text()))
        put(resource_spans.resource.attributes, draw(attributes))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = draw(st.text())
        for _ in range(draw(st.integers(0, 2))):
            span = scope_spans.spans.add(
                trace_id=draw(ids),
                span_id=draw(ids),
                parent_span_id=draw(ids),
                name=draw(st.text()),
                kind=draw(st.integers(0, 9)),
                flags=draw(st.integers(0, 2**32 - 1)),
                start_time_unix_nano=draw(st.integers(0, 2**64 - 1)),
            )
            put(span.attributes, draw(attributes))
            put(span.events.add(name=draw(st.text())).attributes, draw(attributes))
            span.links.add(trace_id=draw(ids), span_id=draw(ids))
            span.status.message = draw(st.text())
    return data


@given(messages())
def test_what_is_written_is_read_back_the_same(data: TracesData) -> None:
    """Every kind of value, every id, every text."""
    line = json_line(data)
    assert "\n" not in line
    assert read_lines(f"{line}\n".encode()).damages == []
    assert traces_data(json.loads(line)).SerializeToString(
        deterministic=True
    ) == data.SerializeToString(deterministic=True)


ODD_SCALARS: list[Any] = [
    *({"stringValue": value} for value in ("\ud800", 7, None)),
    *({"boolValue": value} for value in ("true", 1, None)),
    *({"intValue": value} for value in (True, 1.0, 1.5, 2**63, -(2**63) - 1, 10**19)),
    *({"intValue": value} for value in ("1.0", "1e3", "+1", " 1", "01", "-0", "", "\u0661")),
    *({"intValue": value} for value in (str(2**63), "0" * 30 + "1", "1_0", "1\n")),
    *({"doubleValue": value} for value in (float("nan"), float("inf"), "NaN", "1.5", "x", True, 2)),
    *(
        {},
        None,
        1,
        {"string_value": "a"},
        {"bytesValue": "AAE="},
        {"later": 1},
        {"kvlistValue": {}},
    ),
    {"stringValue": "a", "later": 1},
    {"stringValue": "a", "intValue": 1},
]
plain_scalars = st.one_of(
    st.fixed_dictionaries({"stringValue": st.text(max_size=3)}),
    st.fixed_dictionaries({"boolValue": st.booleans()}),
    st.fixed_dictionaries(
        {
            "intValue": st.integers(-(2**63), 2**63 - 1).flatmap(
                lambda n: st.sampled_from([n, str(n)])
            )
        }
    ),
    st.fixed_dictionaries({"doubleValue": st.floats(allow_nan=False, allow_infinity=False)}),
)
scalars: st.SearchStrategy[Any] = plain_scalars | st.sampled_from(ODD_SCALARS)
ODD_ARRAYS: list[Any] = [
    {"arrayValue": {}},
    {"arrayValue": {"values": None}},
    {"arrayValue": {"values": {}}},
    {"arrayValue": {"values": [], "later": 1}},
    {"arrayValue": {"values": [{"arrayValue": {"values": [{"intValue": "1"}]}}]}},
    {"array_value": {"values": [{"intValue": "1"}]}},
    {"arrayValue": [{"intValue": "1"}]},
]
arrays = st.lists(scalars, max_size=2).map(lambda found: {"arrayValue": {"values": found}})
entries: st.SearchStrategy[Any] = st.one_of(
    (scalars | arrays | st.sampled_from(ODD_ARRAYS)).map(
        lambda value: {"key": "a", "value": value}
    ),
    plain_scalars.map(lambda value: {"key": "\u00e4", "value": value}),
    st.sampled_from([None, 1, {}, {"key": "a"}, {"value": {"intValue": 1}}]),
    st.sampled_from([{"key": 1, "value": {"intValue": 1}}, {"key": "\ud800", "value": {}}]),
    st.just({"key": "a", "value": {"intValue": 1}, "later": 1}),
    st.just({"key": "a", "value": {"intValue": 1}, "key_strindex": 1}),
)
attribute_lists: st.SearchStrategy[Any] = st.lists(entries, max_size=2) | st.sampled_from(
    [None, {}]
)


@given(attribute_lists)
@settings(max_examples=600)
def test_attributes_are_read_as_json_format_reads_them(attributes: Any) -> None:
    """Those that are read past it, because it is slow, and those that are left to it."""
    expected = None
    with suppress(ParseError, UnicodeEncodeError):
        expected = ParseDict({"attributes": attributes}, Span(), ignore_unknown_fields=True)
    found = None
    with suppress(DecodeError):
        data = traces_data(
            {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": attributes}]}]}]}
        )
        found = data.resource_spans[0].scope_spans[0].spans[0]
    # By their text, in which a NaN is equal to another.
    assert str(found) == str(expected)


def test_lists_in_lists_are_read_as_deep_as_protobuf_has_them() -> None:
    """Deeper ones are refused, here and not where they are looked at."""
    value: dict[str, Any] = {"stringValue": "a"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    span = {"attributes": [{"key": "a", "value": value}]}
    with pytest.raises(DecodeError, match="not as OTLP has it"):
        traces_data({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def test_enumerations_by_name_numbers_as_numbers_and_unknown_fields_are_taken() -> None:
    """What OTLP leaves to who writes."""
    document = {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "0A" * 16,
                                "spanId": "0b" * 8,
                                "kind": "SPAN_KIND_SERVER",
                                "startTimeUnixNano": 1796000000123456789,
                                "status": {"code": "STATUS_CODE_ERROR"},
                                "later": {"than": ["we"]},
                            }
                        ],
                        "unknown": 1,
                    }
                ]
            }
        ]
    }
    (span,) = traces_data(document).resource_spans[0].scope_spans[0].spans
    assert (span.kind, span.status.code) == (2, 2)
    assert span.start_time_unix_nano == 1796000000123456789
    assert span.trace_id == b"\x0a" * 16


@pytest.mark.parametrize("name", ["trace_id", "span_id"])
def test_names_in_snake_case_are_unknown_fields(name: str) -> None:
    """OTLP has none; read as Protocol Buffers have them, hexadecimal digits would be base64."""
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{name: "0a" * 16, "name": "n"}]}]}]}
    (span,) = traces_data(document).resource_spans[0].scope_spans[0].spans
    assert (span.trace_id, span.span_id, span.name) == (b"", b"", "n")


def test_spans_under_a_name_in_snake_case_are_not_read() -> None:
    """Their ids would be other ones."""
    document = {"resourceSpans": [{"scope_spans": [{"spans": [{"traceId": "0a" * 16}]}]}]}
    assert list(traces_data(document).resource_spans[0].scope_spans) == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"resourceSpans": 1},
        {"resourceSpans": [1]},
        {"resourceSpans": [{"scopeSpans": {"spans": []}}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "Jane Roe"}]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": 7}]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": {"Jane": "Roe"}}]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "Jane Roe"}]}]}]},
    ],
)
def test_other_json_is_refused_without_a_word_of_it(document: Any) -> None:
    """The error says that it is no OTLP, and quotes nothing."""
    with pytest.raises(DecodeError) as caught:
        traces_data(document)
    assert str(caught.value) in {"no OTLP", "not as OTLP has it"}


def test_damaged_lines_are_passed_over_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names file, lines and what is wrong with them; it quotes nothing."""
    first, last = json_line(one_span("first")), json_line(one_span("last"))
    path = tmp_path / "traces.jsonl"
    lines = [first, first[:99], '{"patient": "Jane Roe"}', "", '{"resourceMetrics": []}', last]
    path.write_bytes("\n".join(lines).encode() + b"\r\n\xff\xfe\n" + last.encode()[:80])
    before = path.read_bytes()

    with caplog.at_level(logging.WARNING, LOGGER):
        found = read_messages(path)

    assert names(found) == ["first", "last"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0] == (
        f"{str(path)!r} is damaged, and what can be read is used: 4 of 7 lines cannot be read "
        "(line 2: no JSON; line 3: no OTLP; line 7: not UTF-8; line 8: cut off)"
    )
    assert path.read_bytes() == before


def test_a_warning_names_no_more_than_ten_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A file of which most is damaged fills no screen."""
    content = "x\n" * 30 + json_line(one_span())
    assert names(read_messages(content.encode())) == ["petsard run"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0] == (
        "what was given is damaged, and what can be read is used: 30 of 31 lines cannot be read "
        "(lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more: no JSON)"
    )


def test_one_document_over_several_lines_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """As a person's tools leave it, and as Jaeger's API wraps it."""
    document = {"result": json.loads(json_line(one_span()))}
    text = json.dumps(document, indent=2).encode()
    assert names(read_messages(text)) == ["petsard run"]
    assert names(read_messages(b"\xef\xbb\xbf" + text)) == ["petsard run"]
    assert caplog.messages == []


def test_a_message_of_more_than_sixteen_megabytes_may_have_its_length_before_it() -> None:
    """Then it does not begin with a zero."""
    body = one_span("x" * 17_000_000).SerializeToString()
    (name,) = names(read_messages(len(body).to_bytes(4, "big") + body))
    assert len(name) == 17_000_000


def test_a_torn_message_that_begins_as_a_text_does_is_read_as_far_as_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is whole of it is no worse for its first bytes being a line feed and a brace."""
    data = one_span("x" * 60)
    data.resource_spans[0].schema_url = "u" * (123 - len(data.SerializeToString()))
    data.MergeFrom(one_span("second"))
    body = data.SerializeToString()
    assert body[:2] == b"\n{"
    assert names(read_messages(body[:-5])) == ["x" * 60]
    assert caplog.messages == [
        "what was given is damaged, and what can be read is used: one message is cut off or damaged"
    ]


BODY = one_span("a").SerializeToString()
PREFIXED = len(BODY).to_bytes(4, "big") + BODY


@pytest.mark.parametrize(
    ("content", "expected", "warning"),
    [
        (LINE.encode(), ["größer"], None),
        (b"\xef\xbb\xbf" + LINE.encode(), ["größer"], None),
        (b"\n\r\n " + LINE.encode() + b"\n", ["größer"], None),
        (gzip.compress(LINE.encode()) + gzip.compress(b"\n" + LINE.encode()), ["größer"] * 2, None),
        (gzip.compress(BODY), ["a"], None),
        (BODY + BODY, ["a", "a"], None),
        (PREFIXED + PREFIXED, ["a", "a"], None),
        (BODY + BODY[:-3], ["a"], "one message is cut off or damaged"),
        (PREFIXED + PREFIXED[:-3], ["a"], "one message is cut off or damaged"),
        (
            PREFIXED + b"\0\0\0\2\xff\xff" + PREFIXED,
            ["a", "a"],
            "one message is cut off or damaged",
        ),
        (
            len(BODY + BODY).to_bytes(4, "big") + BODY,
            ["a"],
            "one message is cut off or damaged",
        ),
        (b"\n\n" + b" \n" * 5 + LINE.encode(), ["größer"], None),
        (one_span("x" * 64).SerializeToString(), ["x" * 64], None),
        (
            gzip.compress(f"{LINE}\n{LINE}\n".encode() * 999, mtime=0)[:-9],
            None,
            "its compression is cut off or damaged",
        ),
    ],
)
def test_each_form_is_told_by_its_bytes(
    content: bytes,
    expected: list[str] | None,
    warning: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the file is called: JSON or protobuf, compressed or not, torn or not."""
    path = tmp_path / "file"
    path.write_bytes(content)
    for found in (read_messages(str(path)), read_messages(path), read_messages(content)):
        if expected is None:
            assert len(names(found)) > 900
        else:
            assert names(found) == expected
    assert all(warning is not None and warning in text for text in caplog.messages)
    assert len(caplog.messages) == (0 if warning is None else 3)


def test_a_protobuf_may_begin_as_a_text_does() -> None:
    """A line feed and a brace: one of the forms above is that."""
    assert one_span("x" * 64).SerializeToString()[:2] == b"\n{"


@given(st.text(" \t\r\n"))
def test_white_space_before_a_line_is_no_protobuf(space: str) -> None:
    """Though a message may begin with a line feed, and consist of such."""
    assert names(read_messages(f"{space}{LINE}".encode())) == ["größer"]


@given(st.integers(0, 2000))
def test_all_whole_spans_before_the_end_of_a_torn_protobuf_are_read(end: int) -> None:
    """Wherever it is cut off: a span is there as soon as all its bytes are."""
    data = one_span("0")
    spans = data.resource_spans[0].scope_spans[0].spans
    for number in range(1, 40):
        spans.add(name=str(number), span_id=bytes([number] * 8))
    body = data.SerializeToString()[:end]
    if not body:
        return
    whole = [span.name for span in spans if span.SerializeToString() in body]
    try:
        found = names(read_messages(body))
    except SourceError:
        found = []
    assert found == whole


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\x28\xb5\x2f\xfd..........", "unpack it first, by zstd -d"),
        (b"\0\0\0\x0e\x28\xb5\x2f\xfd..........", "unpack it first, by zstd -d"),
        (b'{"patient": "Jane Roe"}', "1 of 1 lines cannot be read (line 1: no OTLP)"),
        (b"name,diagnosis\nJane Roe,x\n", "2 of 2 lines cannot be read (lines 1, 2: no JSON)"),
        (b'{"resourceMetrics":[]}', "it holds is OTLP, but no traces"),
        (b'{"resourceSpans', "1 of 1 lines cannot be read (line 1: cut off)"),
        (b"\x1f\x8b", "its compression is cut off or damaged"),
        (bytes(range(256)), "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_what_holds_no_traces_at_all_is_an_error(content: bytes, said: str, tmp_path: Path) -> None:
    """It says what was expected and found, and quotes nothing."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_source(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(repr(str(path)))
    assert "Jane" not in str(caught.value)


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """No such file, a folder, a name that cannot be one."""
    with pytest.raises(SourceError, match="there is no file"):
        read_source(tmp_path / "nothing.jsonl")
    with pytest.raises(SourceError, match="is a folder; expected a file with OTLP/JSON lines"):
        read_source(tmp_path)
    with pytest.raises(SourceError, match="cannot be read: ValueError"):
        read_source("a\0b")


@given(st.binary(max_size=200) | st.text().map(str.encode))
@example(b"\0")
@example(b"\n\x02\n\0")
@example(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}')
@example(b'{"resourceSpans":[{"resource":{"droppedAttributesCount":1e999}}]}')
@example(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":-1}]}]}]}')
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """No error but ours."""
    try:
        found = read_source(content)
    except PetsardOtelError:
        return
    assert isinstance(found, list)


@given(st.data())
def test_any_change_of_a_line_is_read_or_refused(data: st.DataObject) -> None:
    """A byte that fell over, was lost or was put in: no error but ours."""
    line = bytearray(LINE.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with suppress(PetsardOtelError):
        read_source(bytes(line))


NAMES = (
    *("resourceSpans", "resource", "scopeSpans", "scope", "spans", "attributes", "key", "value"),
    *("traceId", "links", "kind", "status", "arrayValue", "values", "data", "processes", "type"),
    *("processID", "tags", "references", "spanID", "traceID"),
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
)


@given(json_values)
def test_any_json_is_traces_or_refused(document: Any) -> None:
    """Whatever stands where something else is expected: no error but ours."""
    for document_ in (document, {"resourceSpans": document}, {"data": document}):
        for read in (traces_data, jaeger_data):
            with suppress(DecodeError):
                read(json.loads(json.dumps(document_)))
