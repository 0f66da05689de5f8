"""The Reporter's `save_schema`: the structure of each table, one row a table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import yaml
from pydantic import AfterValidator

from petsard_otel.exceptions import UnexecutedError
from petsard_otel.modules.parameters import read_parameters, unknown_name
from petsard_otel.modules.reporting.files import replacing, report_path, write_csv
from petsard_otel.modules.reporting.results import Names, ReporterParameters, table_results
from petsard_otel.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.modules.reporting.results import TableResult
    from petsard_otel.schema import Attribute
    from petsard_otel.status import Status

logger = logging.getLogger(__name__)

STATISTICS = ("min", "max", "mean", "std")
"""The properties of numbers that `properties` takes."""

PROPERTIES = (
    "type",
    "category",
    "dtype",
    "nullable",
    "unique_count",
    "precision",
    *STATISTICS,
    "categories",
)
"""What `properties` takes."""

MAX_CATEGORIES = 10
"""Columns of text with more distinct values have them left out."""


def _known_properties(given: list[str]) -> list[str]:
    for name in given:
        if name not in PROPERTIES:
            raise ValueError(unknown_name("property", name, PROPERTIES))
    return given


class SaveSchemaParameters(ReporterParameters):
    """Parameters of `save_schema`."""

    source: Names
    properties: Annotated[Names, AfterValidator(_known_properties)] | None = None
    yaml_output: bool = False


class SaveSchema:
    """Writes the structure of the tables that the sources made.

    The file grows from one experiment path to the next, as that of `save_report` does.
    """

    def __init__(self, experiment: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = read_parameters(SaveSchemaParameters, "Reporter", experiment, parameters)
        self._report_name = f"schema[{experiment}]"

    def collect(self, status: Status) -> dict[str, Any]:
        """Take the tables of the current experiment path, their schemas, and earlier reports."""
        results = [r for r in table_results(status) if r.comes_from(self._parameters.source)]
        schemas = {result.module: _schema_of(status, result.module) for result in results}
        return {"results": results, "schemas": schemas, "reports": status.get_report()}

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write `{output}_schema_{sources}_summary.csv`, and a YAML file each where asked to."""
        sources = "-".join(self._parameters.source)
        if not input["results"]:
            logger.warning("no table of %s on this experiment path; no file is written", sources)
            return {}
        rows = []
        for result in input["results"]:
            fields = self._fields(result, input["schemas"][result.module])
            rows.append(_flat_row(result.full_name, fields))
            if self._parameters.yaml_output:
                self._write_yaml(result, fields)
        report = _appended(
            input["reports"].get(self._report_name), pd.DataFrame(rows, dtype=object)
        )
        write_csv(report, report_path(self._parameters.output, f"_schema_{sources}_summary"))
        return {self._report_name: report}

    def _fields(self, result: TableResult, schema: Schema | None) -> dict[str, dict[str, Any]]:
        found = Schema.from_dataframe(result.data, result.full_name).attributes
        known = {} if schema is None else schema.attributes
        return {
            name: self._described(known.get(name, attribute), result.data.iloc[:, position])
            for position, (name, attribute) in enumerate(found.items())
        }

    def _described(self, attribute: Attribute, column: pd.Series[Any]) -> dict[str, Any]:
        wanted = self._parameters.properties or PROPERTIES
        described: dict[str, Any] = {
            "type": attribute.type,
            "category": attribute.category,
            "dtype": str(column.dtype),
            "nullable": attribute.nullable,
        }
        if attribute.precision is not None:
            described["precision"] = attribute.precision
        if "unique_count" in wanted or "categories" in wanted:
            described |= _distinct(column)
        if not set(wanted).isdisjoint(STATISTICS):
            described |= _statistics(column)
        return {name: described[name] for name in wanted if name in described}

    def _write_yaml(self, result: TableResult, fields: dict[str, dict[str, Any]]) -> None:
        rows, columns = result.data.shape
        name = f"_schema_{result.full_name}"
        with replacing(report_path(self._parameters.output, name, ".yaml")) as file:
            yaml.safe_dump(
                {"columns": _with_statistics(fields), "shape": {"rows": rows, "columns": columns}},
                file,
                allow_unicode=True,
                sort_keys=False,
            )


def _schema_of(status: Status, module: str) -> Schema | None:
    try:
        schema = status.get_metadata(module)
    except UnexecutedError:
        return None
    return schema if isinstance(schema, Schema) else None


def _distinct(column: pd.Series[Any]) -> dict[str, Any]:
    """Count the distinct values, and name them where they are few and text.

    Empty for cells that cannot be compared, such as lists.
    """
    try:
        count = int(column.nunique())
    except TypeError:
        return {}
    described: dict[str, Any] = {"unique_count": count}
    is_text = column.dtype.kind == "O" or isinstance(column.dtype, pd.CategoricalDtype)
    if is_text and count <= MAX_CATEGORIES:
        described["categories"] = [str(value) for value in column.dropna().unique()]
    return described


def _statistics(column: pd.Series[Any]) -> dict[str, Any]:
    """Summarise a column of numbers; empty for any other."""
    kind = column.dtype.kind
    if kind not in "biuf":
        return {}
    values = column.dropna()
    if values.empty:
        return dict.fromkeys(STATISTICS)
    exact = float if kind == "f" else int
    numbers = values.astype("float64")
    return {
        "min": exact(values.min()),
        "max": exact(values.max()),
        "mean": float(numbers.mean()),
        "std": float(numbers.std()) if len(numbers) > 1 else None,
    }


def _with_statistics(fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Put the statistics of each field under a key of their own, as PETsARD's YAML has them."""
    nested = {}
    for name, properties in fields.items():
        plain = {key: value for key, value in properties.items() if key not in STATISTICS}
        statistics = {key: value for key, value in properties.items() if key in STATISTICS}
        nested[name] = plain | ({"statistics": statistics} if statistics else {})
    return nested


def _flat_row(source: str, fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"source": source}
    for name, properties in fields.items():
        for key, value in properties.items():
            row[f"[{name}]_{key}"] = "|".join(value) if isinstance(value, list) else value
    return row


def _appended(earlier: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Put the rows below the earlier ones, a source seen again in its old place."""
    if earlier is not None:
        places = dict.fromkeys([*earlier["source"], *rows["source"]])
        both = pd.concat([earlier, rows]).drop_duplicates("source", keep="last")
        rows = both.set_index("source").loc[list(places)].reset_index()
    return rows[["source", *sorted(rows.columns.drop("source"))]]
