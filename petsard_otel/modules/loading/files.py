"""How a file becomes a table. Knows no schema, but for which columns have to stay text.

Errors name files, lines and columns, never a cell.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import ParseError as XmlError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from petsard_otel.exceptions import DataError
from petsard_otel.modules.loading.schema import mask, replaced
from petsard_otel.modules.parameters import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from petsard_otel.modules.loader import LoaderParameters
    from petsard_otel.modules.loading.schema import AttributeParameters

FIRST_ROW = {"header": None, "names": None, "dtype": None, "nrows": 1}
"""pandas' options for a look at the first row of a file."""


NO_EXCEL = (
    *(zipfile.BadZipFile, zlib.error, XmlError, EOFError),
    *(LookupError, OSError, RuntimeError, ValueError),
)
NO_PARQUET = (pa.ArrowException, LookupError, OSError, TypeError, ValueError)
"""What pandas raises on such files after random bytes were written into them."""


class Source(NamedTuple):
    """A file, and what is known of it before it is read."""

    path: Path
    parameters: LoaderParameters
    attributes: Mapping[str, AttributeParameters]


def read_table(source: Source) -> pd.DataFrame:
    """Read a file by its ending. Missing cells are NaN or NaT; labels are text.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It cannot be read, holds no rows, or lacks a column that is named.
    """
    path = source.path
    require_file(path)
    with path.open("rb") as file:
        if not file.read(1):
            raise DataError(f"{path} is empty; expected a header and rows")
    data = READERS[path.suffix.lower()](source)
    if data.empty:
        raise DataError(f"{path}: expected a header and rows, found no rows")
    _require_columns(source, data)
    objects = {
        str(name): column.where(column.notna(), np.nan)
        for name, column in data.items()
        if pd.api.types.is_object_dtype(column)
    }
    return replaced(data, objects)


def require_file(path: Path) -> None:
    """Say what is wrong with a path that leads to no file."""
    if path.is_dir():
        raise DataError(f"{path} is a directory; name the file in it")
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FileNotFoundError(f"there is no file {path}{where}; check the path")


def _require_columns(source: Source, data: pd.DataFrame) -> None:
    names = [name for name, each in source.attributes.items() if each.default_value is None]
    if isinstance(source.parameters.na_values, dict):
        names.extend(source.parameters.na_values)
    for name in names:
        if name not in data.columns:
            raise DataError(f"{source.path}: {unknown_name('column', name, data.columns)}")


def _read_text(source: Source) -> pd.DataFrame:
    """Read .csv or .tsv. What a guessed number would spoil stays text until it is cast."""
    options = _pandas_options(source)
    options |= {"sep": "\t" if source.path.suffix.lower() == ".tsv" else ","}
    spoilt = {"datetime", "int", "str"}
    options["dtype"] = {
        name: str for name, each in source.attributes.items() if each.kind in spoilt
    }
    try:
        if source.parameters.header_names is not None:
            _require_width(source, pd.read_csv(source.path, **options | FIRST_ROW))
        # Types that are guessed chunk by chunk would depend on where a chunk ends.
        data: pd.DataFrame = pd.read_csv(source.path, low_memory=False, **options)
    except UnicodeDecodeError:
        raise _not_utf8(source) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{source.path} is empty; expected a header and rows") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{source.path}: {_parser_problem(str(error))}") from None
    # Where rows are longer than the header, pandas takes their first cells for row labels.
    if not data.index.equals(pd.RangeIndex(len(data))):
        raise DataError(
            f"{source.path}: the header names {data.shape[1]} columns and the rows hold more; "
            "name every column"
        )
    return data


def _pandas_options(source: Source) -> dict[str, Any]:
    """Return the options that pandas takes for text and for Excel alike."""
    na_values = source.parameters.na_values
    if na_values is None:
        declared = source.attributes.items()
        na_values = {name: each.na_values for name, each in declared if each.na_values}
    options = {"na_values": na_values, "nrows": source.parameters.nrows}
    if source.parameters.header_names is not None:
        options |= {"header": None, "names": source.parameters.header_names}
    return options


def _require_width(source: Source, first: pd.DataFrame) -> None:
    names = source.parameters.header_names or []
    if len(names) != first.shape[1]:
        raise DataError(
            f"{source.path}: expected {len(names)} columns, one for each of header_names, "
            f"found {first.shape[1]}"
        )


def _not_utf8(source: Source) -> DataError:
    return DataError(f"{source.path}: expected text in UTF-8; save the file again as UTF-8")


def _parser_problem(text: str) -> str:
    """Say what pandas' parser said, but for what could be a cell."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text):
        expected, line, saw = found.groups()
        return f"expected {expected} cells in line {line}, found {saw}; quote cells with commas"
    if found := re.search(r"EOF inside string starting at row (\d+)", text):
        return f"a quote that opens in row {int(found[1])} is never closed"
    return "expected one line of cells for each row; look at the file in an editor"


def _read_excel(source: Source) -> pd.DataFrame:
    """Read the first worksheet."""
    options = _pandas_options(source)
    options["dtype"] = {name: str for name, each in source.attributes.items() if each.kind == "str"}
    try:
        with pd.ExcelFile(source.path, engine="openpyxl") as workbook:
            if not workbook.sheet_names:
                raise DataError(f"{source.path}: expected a worksheet, found none")
            if source.parameters.header_names is not None:
                _require_width(source, pd.read_excel(workbook, **options | FIRST_ROW))
            data: pd.DataFrame = pd.read_excel(workbook, **options)
            return data.rename(columns=str)
    except NO_EXCEL:
        raise DataError(
            f"{source.path}: expected an Excel workbook, found a file that is none, is damaged or "
            "has a password; save it again as .xlsx"
        ) from None


def _read_parquet(source: Source) -> pd.DataFrame:
    """Read a Parquet file; an index that was stored under a name becomes columns."""
    try:
        names = pq.read_schema(source.path).names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is None:
            data = pd.read_parquet(source.path)
    except NO_PARQUET:
        raise DataError(
            f"{source.path}: expected a Parquet file, found a file that is none or is damaged; "
            "write it again"
        ) from None
    if twice is not None:
        raise DataError(
            f"{source.path}: expected columns of different names, found two called {twice!r}; "
            "give one of them another name"
        )
    named = [name for name in data.index.names if name is not None]
    return _like_text(data.reset_index(level=named).reset_index(drop=True), source)


def _read_json(source: Source) -> pd.DataFrame:
    """Read records, or columns. Not by pandas' reader, which rounds the last digit of numbers."""
    try:
        content = json.loads(source.path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise _not_utf8(source) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{source.path}: expected JSON that is one list of records, cannot read on from "
            f"line {error.lineno}, column {error.colno}"
        ) from None
    cells = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list) or not all(
        isinstance(cell, dict | list) for cell in cells
    ):
        raise DataError(f"{source.path}: expected a list of records, found other JSON")
    try:
        data = pd.DataFrame(content)
    except ValueError:
        raise DataError(f"{source.path}: expected columns of one length") from None
    return _like_text(data.reset_index(drop=True), source)


def _like_text(data: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Do for a file that has types what pandas does when it reads text."""
    data = data.rename(columns=str)
    na_values = source.parameters.na_values or {}
    if isinstance(na_values, list):
        na_values = dict.fromkeys(data.columns, na_values)
    masked = {str(name): mask(data[name], na_values[name]) for name in data if name in na_values}
    return replaced(data, masked).head(source.parameters.nrows or len(data))


READERS: Mapping[str, Callable[[Source], pd.DataFrame]] = {
    ".csv": _read_text,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".tsv": _read_text,
    ".xlsm": _read_excel,
    ".xlsx": _read_excel,
}
"""What reads a file, by its ending."""
