"""What the modules of the current experiment path have made, named as PETsARD names it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import pandas as pd
from pydantic import BeforeValidator, field_validator

from petsard_otel.modules.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from petsard_otel.status import Status

DEFAULT_OUTPUT = "petsard"
"""PETsARD's prefix of every file."""

PATH_COLUMN = "full_expt_name"
"""The first column of a report that holds several experiment paths."""


def _listed(value: object) -> object:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError("give a name, or a list of names")
    return names


Names = Annotated[list[str], BeforeValidator(_listed)]
"""One name, or a list of them."""


class ReporterParameters(Parameters):
    """What every method of the Reporter takes."""

    method: str
    output: str = DEFAULT_OUTPUT

    @field_validator("output", mode="before")
    @classmethod
    def _usable_output(cls, output: object) -> object:
        if isinstance(output, str):
            os.fsencode(output)
            if "\0" in output:
                raise ValueError("a file name cannot hold the character NUL")
        return DEFAULT_OUTPUT if output is None or output == "" else output


class ReportMethod(Protocol):
    """One `method` of the Reporter: made from its parameters, fed, asked to write."""

    def collect(self, status: Status) -> dict[str, Any]:
        """Take from `status` what the report is made of."""

    def write(self, input: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Write the files; return the reports by name, for `Status.get_report`."""


@dataclass(frozen=True, slots=True, eq=False)
class TableResult:
    """A table that the last module of `path` made; `part` is its key where it made several."""

    path: tuple[tuple[str, str], ...]
    part: str | None
    data: pd.DataFrame

    @property
    def module(self) -> str:
        """The module that made the table."""
        return self.path[-1][0]

    @property
    def experiment(self) -> str:
        """The experiment that made the table, with the number of the split where it has one."""
        return self.path[-1][1]

    @property
    def full_name(self) -> str:
        """The whole path, such as `Loader[cars]_Splitter[half_[train]]`."""
        module, experiment = self.path[-1]
        last = experiment if self.part is None else f"{experiment}_[{self.part}]"
        return path_name((*self.path[:-1], (module, last)))

    def comes_from(self, sources: Iterable[str]) -> bool:
        """Tell whether a source names the module or the experiment, with or without its split."""
        names = {self.module, self.experiment, re.sub(r"_\[[^\]]*\]$", "", self.experiment)}
        return not names.isdisjoint(sources)


def path_name(path: Iterable[tuple[str, str]]) -> str:
    """Return an experiment path as PETsARD writes it: `Loader[a]_Synthesizer[b]`."""
    return "_".join(f"{module}[{experiment}]" for module, experiment in path)


def table_results(status: Status) -> list[TableResult]:
    """Collect every table made along the current experiment path, reports aside."""
    results: list[TableResult] = []
    path: tuple[tuple[str, str], ...] = ()
    for module, experiment in status.get_full_expt().items():
        if module == "Reporter":
            continue
        path = (*path, (module, experiment))
        made = status.get_result(module)
        parts = made if isinstance(made, dict) else {None: made}
        results += [
            TableResult(path, None if part is None else str(part), data)
            for part, data in parts.items()
            if isinstance(data, pd.DataFrame)
        ]
    return results
