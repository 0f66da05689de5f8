"""JSON and CSV of any rows: every key each time, nothing rounded, nothing that a reader trips over.

What is a time, a duration or a name is up to the one who makes the rows.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet may take for the beginning of a formula."""


def json_text(document: object) -> str:
    """Return a document as indented JSON, pure ASCII, ended by a line feed.

    Numbers that JSON does not know, such as NaN, are null.
    """
    return json.dumps(_json_value(document), indent=2, allow_nan=False) + "\n"


def csv_text(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    guards_formulas: bool = False,
) -> str:
    """Return a header and one line a row as RFC 4180 has it, each ended by a line feed.

    What a row lacks is empty. Names are given as they are, control characters but NUL included:
    text for a file or a program, not for a terminal.

    Args:
        columns: The columns, in order.
        rows: What is in them.
        guards_formulas: Put an apostrophe before a text that a spreadsheet would take for a
            formula: what is kept may be another's, and who opens it does not expect it to run.
    """
    lines = [",".join(csv_field(column) for column in columns)]
    for row in rows:
        fields = (row.get(column) for column in columns)
        lines.append(",".join(csv_field(_guarded(f) if guards_formulas else f) for f in fields))
    text = "".join(f"{line}\n" for line in lines)
    return text.encode("utf-8", "backslashreplace").decode()


def csv_field(value: object) -> str:
    """Quote as RFC 4180 does; the csv module leaves a lone CR unquoted.

    A NUL becomes U+FFFD: many readers end a text there, and Python 3.10's gives the file up.
    """
    text = "" if value is None else str(value).replace("\0", "\ufffd")
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _guarded(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _json_value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    return value
