"""Spans as a table: one row each, for pandas, a spreadsheet or a database. Knows no OpenTelemetry.

The same columns come in every table, whatever is in the spans. What has no column of its own is
in `attributes`, where all of a span's attributes are.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from petsard_otel import attributes as key
from petsard_otel.exporting.spans import (
    KINDS,
    MAX_TIME_NS,
    STATUSES,
    distinct,
    name_of,
    utc_text,
    value_json,
)
from petsard_otel.reports.machine_text import FORMULA_STARTS, csv_field
from petsard_otel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from petsard_otel.telemetry.otlp.spans import OtlpSpan

Type = Literal["text", "whole", "number", "flag", "texts", "time"]
"""What a column holds; any of it may be missing."""

_OWN_COLUMNS: dict[str, Type] = {
    "trace_id": "text",
    "span_id": "text",
    "parent_span_id": "text",
    "name": "text",
    "kind": "text",
    "start_time": "time",
    "end_time": "time",
    "duration_seconds": "number",
    "status": "text",
    "status_message": "text",
    "scope_name": "text",
    "scope_version": "text",
}

ATTRIBUTE_COLUMNS: dict[str, Type] = {
    key.RUN_ID: "text",
    key.RUN_NAME: "text",
    key.RUN_RESULT: "text",
    key.CONFIG_HASH: "text",
    key.SEQUENCE: "texts",
    key.ENGINE: "text",
    key.EXPERIMENT_COUNT: "whole",
    key.MODULE_NAME: "text",
    key.MODULE_POSITION: "whole",
    key.EXPERIMENT_NAME: "text",
    key.EXPERIMENT_PATH: "text",
    key.OPERATOR_TYPE: "text",
    key.SNAPSHOT_ID: "text",
    key.SCHEMA_INPUT_ID: "text",
    key.SCHEMA_INPUT_HASH: "text",
    key.SCHEMA_OUTPUT_ID: "text",
    key.SCHEMA_OUTPUT_HASH: "text",
    key.SCHEMA_OUTPUT_FIELD_COUNT: "whole",
    key.SCHEMA_OUTPUT_JSON: "text",
    key.SCHEMA_ADDED: "texts",
    key.SCHEMA_ADDED_COUNT: "whole",
    key.SCHEMA_REMOVED: "texts",
    key.SCHEMA_REMOVED_COUNT: "whole",
    key.SCHEMA_RETYPED: "texts",
    key.SCHEMA_RETYPED_COUNT: "whole",
    key.SCHEMA_INFERRED_HASH: "text",
    key.SCHEMA_INFERRED_MATCHES: "flag",
    key.OUTPUT_ROWS: "whole",
    key.OUTPUT_COLUMNS: "whole",
    key.OUTPUT_STATISTICS: "texts",
    key.OUTPUT_STATISTICS_COUNT: "whole",
    key.PROCESS_MEMORY: "whole",
    key.STEP_NAME: "text",
    key.STEP_SOURCE: "text",
    key.SCHEMA_HASH: "text",
    key.SCHEMA_PART: "whole",
    key.SCHEMA_PARTS: "whole",
    key.SCHEMA_JSON: "text",
    key.ERROR_TYPE: "text",
    key.EXCEPTION_MESSAGE: "text",
}
"""The attributes of ours that have a column, under their own names."""

COLUMNS: dict[str, Type] = {
    **_OWN_COLUMNS,
    **ATTRIBUTE_COLUMNS,
    "attributes": "text",
    "links": "text",
    "resource": "text",
}
"""All columns in their order. The last three hold JSON."""

_ROWS_AT_ONCE = 10_000
"""How many rows are held at a time while a Parquet file is made."""


def spans_csv(spans: Iterable[OtlpSpan]) -> Iterator[bytes]:
    r"""Yield a header and one line a span as RFC 4180 has it, in UTF-8, each ended by a line feed.

    Times are ISO 8601 in UTC to the nanosecond, lists are JSON, what is missing is empty.

    A text that a spreadsheet would take for a formula has an apostrophe before it: a file of spans
    may be another's, and who opens it does not expect it to run anything. A NUL, which readers
    stumble over, is U+FFFD. Nothing else is changed, and `attributes`, as JSON, has every text as
    it was.
    """
    yield _line(COLUMNS)
    for span in distinct(spans):
        yield _line(_csv_text(value) for value in _row(span).values())


def spans_parquet(spans: Iterable[OtlpSpan]) -> bytes:
    """Return a Parquet file: times to the nanosecond in UTC, numbers as numbers, lists as lists.

    Its metadata says which version of petsard-otel made it, and of which runs.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "text": pa.string(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "time": pa.timestamp("ns", tz="UTC"),
    }
    everything = distinct(spans)
    runs = dict.fromkeys(_typed(span.attributes.get(key.RUN_ID), "text") for span in everything)
    schema = pa.schema(
        [pa.field(name, types[type_]) for name, type_ in COLUMNS.items()],
        metadata={
            "petsard_otel.version": __version__,
            key.RUN_ID: " ".join(run for run in runs if run is not None),
        },
    )
    file = io.BytesIO()
    with parquet.ParquetWriter(file, schema) as writer:
        for at in range(0, len(everything), _ROWS_AT_ONCE):
            rows = [_row(span) for span in everything[at : at + _ROWS_AT_ONCE]]
            columns = [
                pa.array([_storable(row[field.name]) for row in rows], field.type)
                for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return file.getvalue()


def _row(span: OtlpSpan) -> dict[str, Any]:
    """Return a span by column: times are whole nanoseconds, and what it lacks is None."""
    end_time = span.end_time
    row = {
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "parent_span_id": None if span.parent is None else f"{span.parent.span_id:016x}",
        "name": span.name,
        "kind": name_of(KINDS, span.kind),
        "start_time": _Time(span.start_time),
        "end_time": None if end_time is None else _Time(end_time),
        "duration_seconds": None if end_time is None else (end_time - span.start_time) / 1e9,
        "status": name_of(STATUSES, span.status_code),
        "status_message": span.status_message or None,
        "scope_name": span.instrumentation_scope.name or None,
        "scope_version": span.instrumentation_scope.version or None,
    }
    for name, type_ in ATTRIBUTE_COLUMNS.items():
        row[name] = _typed(span.attributes.get(name), type_)
    row["attributes"] = value_json(span.attributes)
    row["links"] = value_json(
        [
            {"trace_id": f"{link.trace_id:032x}", "span_id": f"{link.span_id:016x}"}
            for link in span.links
        ]
    )
    row["resource"] = value_json(span.resource)
    return row


class _Time(int):
    """Nanoseconds since the epoch, to be told from other whole numbers."""

    __slots__ = ()


def _typed(value: Any, type_: Type) -> Any:
    """Return a value that is of its column's type; what is damaged is in `attributes` alone."""
    if type_ == "text":
        return value if isinstance(value, str) else None
    if type_ == "flag":
        return value if isinstance(value, bool) else None
    if type_ == "whole":
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, list | tuple) and all(isinstance(inner, str) for inner in value):
        return list(value)
    return None


def _storable(value: Any) -> Any:
    """Return what pyarrow takes: no half a surrogate pair, no time after the year 2262."""
    if isinstance(value, _Time):
        return int(value) if value <= MAX_TIME_NS else None
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, list):
        return [_utf8(inner) for inner in value]
    return value


def _csv_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, _Time):
        return utc_text(value)
    if isinstance(value, list):
        return value_json(value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return str(value)


def _line(texts: Iterable[str]) -> bytes:
    return (",".join(csv_field(text) for text in texts) + "\n").encode("utf-8", "replace")


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
