"""YAML, path or dict into a checked sequence of modules and tree of experiments.

Knows which modules there are and how experiments multiply; what a module's parameters mean is the
module's own business.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from petsard_otel.documents import MAX_VALUES, read_document
from petsard_otel.exceptions import ConfigError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from petsard_otel.documents import Document

MODULES = (
    "Loader",
    "Splitter",
    "Preprocessor",
    "Synthesizer",
    "Postprocessor",
    "Constrainer",
    "Evaluator",
    "Describer",
    "Reporter",
)
"""The modules that a configuration may have."""

EXECUTOR = "Executor"
"""The section that is about the run itself and is no module."""

_RESERVED_SUFFIX = re.compile(r"_(\[[^\]]*\])$")
_PLAIN = (str, bool, int, float)
_TEXTUAL = {*_PLAIN, bytes, NoneType}
_TEXTUAL_LIBRARIES = {"datetime", "decimal", "numpy", "pandas", "pathlib"}


@dataclass(frozen=True)
class Execution:
    """One module execution that a configuration asks for."""

    module: str
    experiment: str
    parameters: Mapping[str, Any] = field(repr=False)


class Config:
    """A checked configuration.

    Attributes:
        sequence: The modules, in the order in which they run.
        yaml: Module to experiment to parameters, splits written out.
        executor: The `Executor:` section, empty where there is none.
        source: The file it came from, None for a string or a dict.
        name: The stem of that file.
        hash: Identity of the content, 32 hexadecimal digits.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        own_modules: Iterable[str] = (),
    ) -> None:
        """Read and check a configuration.

        Args:
            config: Path of a YAML file, YAML text, or the same as a dict, which is not changed.
            own_modules: Modules that it may have besides the usual ones.

        Raises:
            ConfigError: Says where the mistake is and what to do.
        """
        self._document = document = read_document(config)
        self.hash = content_hash(document.content)
        content = _checked_mapping(document, (*MODULES, *own_modules))
        # Absolute, since a script may go to another folder before it runs.
        self.source = None if document.source is None else str(Path(document.source).absolute())
        self.name: str | None = None if document.source is None else Path(document.source).stem
        self.executor: dict[str, Any] = _checked_executor(document, content)
        self.yaml: dict[str, dict[str, dict[str, Any]]] = {
            module: _checked_experiments(document, module, experiments)
            for module, experiments in content.items()
            if module != EXECUTOR
        }
        if not self.yaml:
            raise document.error(
                f"there is no module to run; add one or more of {', '.join(MODULES)}"
            )
        if "Splitter" in self.yaml:
            self.yaml["Splitter"] = _split_out(document, self.yaml["Splitter"])
        self.sequence: list[str] = list(self.yaml)

    @property
    def experiment_count(self) -> int:
        """How many experiment paths there are: the product over the modules."""
        return math.prod(len(experiments) for experiments in self.yaml.values())

    @property
    def execution_count(self) -> int:
        """How many module executions a run has: shared beginnings are run once."""
        total, width = 0, 1
        for experiments in self.yaml.values():
            width *= len(experiments)
            total += width
        return total

    def executions(self) -> Iterator[Execution]:
        """Yield every execution of a run, in order, depth first."""
        return self._executions_from(0)

    def _executions_from(self, position: int) -> Iterator[Execution]:
        if position == len(self.sequence):
            return
        module = self.sequence[position]
        for experiment, parameters in self.yaml[module].items():
            yield Execution(module, experiment, parameters)
            yield from self._executions_from(position + 1)

    def locate(self, error: ConfigError) -> ConfigError:
        """Return an error that names module, experiment or key with its file and line added."""
        experiment = error.experiment
        if error.module == "Splitter" and experiment is not None:
            experiment = _RESERVED_SUFFIX.sub("", experiment)
        parts = (error.module, experiment, *(error.key or "").split("."))
        place = tuple(part for part in parts if part)
        return error.located(self._document.source, self._document.line(place))


def _checked_mapping(document: Document, modules: tuple[str, ...]) -> dict[str, Any]:
    content = document.content
    if not isinstance(content, dict):
        found = {list: "a list", type(None): "nothing"}.get(type(content), type(content).__name__)
        hint = (
            "; a path was meant? There is no such file"
            if document.source is None and isinstance(content, str)
            else ""
        )
        raise document.error(
            f"expected modules with their experiments (`Loader:` and so on), found {found}{hint}"
        )
    for module in content:
        if not isinstance(module, str) or module not in (*modules, EXECUTOR):
            name = _shown(module)
            near = difflib.get_close_matches(name, modules, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"unknown module {name!r}; {hint}Valid: {', '.join(modules)}",
                source=document.source,
                line=document.line((name,)),
            )
    return content


def _checked_executor(document: Document, content: dict[str, Any]) -> dict[str, Any]:
    section = content.get(EXECUTOR, {})
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise document.error(
            f"expected options such as `log_level: INFO`, found {type(section).__name__}",
            module=EXECUTOR,
        )
    for key in section:
        if not isinstance(key, str):
            raise document.error(
                f"an option's name is text, found {type(key).__name__}",
                module=EXECUTOR,
                key=_shown(key),
            )
    return dict(section)


def _checked_experiments(
    document: Document, module: str, experiments: object
) -> dict[str, dict[str, Any]]:
    if experiments is None or experiments == {}:
        raise document.error(
            "has no experiment; name one and give it parameters, as in `default: {method: ...}`",
            module=module,
        )
    if not isinstance(experiments, dict):
        raise document.error(
            f"expected experiments by name, found {type(experiments).__name__}", module=module
        )
    checked = {}
    for name, parameters in experiments.items():
        if not isinstance(name, str):
            raise document.error(
                f"an experiment's name is text; write {_shown(name)!r} in quotes "
                f"(found {type(name).__name__})",
                module=module,
                experiment=_shown(name),
            )
        if not name.strip():
            raise document.error("an experiment's name is empty", module=module, experiment=name)
        if _RESERVED_SUFFIX.search(name):
            raise document.error(
                "an experiment's name must not end in '_[...]', which marks a split; rename it",
                module=module,
                experiment=name,
            )
        if not isinstance(parameters, dict):
            found = "nothing" if parameters is None else type(parameters).__name__
            raise document.error(
                f"expected parameters such as `method: default`, found {found}",
                module=module,
                experiment=name,
            )
        for key in parameters:
            if not isinstance(key, str):
                raise document.error(
                    f"a parameter's name is text, found {type(key).__name__}",
                    module=module,
                    experiment=name,
                    key=_shown(key),
                )
        checked[name] = dict(parameters)
    return checked


def _split_out(
    document: Document, experiments: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Write `num_samples: n` out as n experiments of one split each."""
    written = {}
    for name, parameters in experiments.items():
        count = parameters.get("num_samples", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            found = count if type(count) in _PLAIN else _shown(count)
            raise document.error(
                f"expected a whole number from 1, found {found!r}",
                module="Splitter",
                experiment=name,
                key="num_samples",
            )
        if count > MAX_VALUES:
            raise document.error(
                f"at most {MAX_VALUES:,} splits can be asked for, found {count:,}",
                module="Splitter",
                experiment=name,
                key="num_samples",
            )
        width = len(str(count))
        for number in range(1, count + 1):
            written[f"{name}_[{count}-{number:0{width}}]"] = {**parameters, "num_samples": 1}
    return written


def content_hash(content: object) -> str:
    """Return the identity of a configuration's content: 32 hexadecimal digits.

    Raises:
        ConfigError: It has too many values, or none that a hash could be made of.
    """
    try:
        text = json.dumps(_canonical(content, itertools.count(1)), ensure_ascii=True)
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply, or contains itself") from None
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: object, counted: Iterator[int]) -> object:
    """Return a value of plain JSON types that differs wherever the value differs."""
    if next(counted) > MAX_VALUES:
        raise ConfigError(f"the configuration has more than {MAX_VALUES:,} values")
    if type(value) is int and not -(2**63) <= value < 2**64:
        raise ConfigError("a number has over 64 bits; put it into quotes if it is text")
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {
            "dict": [[_canonical(k, counted), _canonical(v, counted)] for k, v in value.items()]
        }
    if isinstance(value, list | tuple):
        return [_canonical(entry, counted) for entry in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted(json.dumps(_canonical(entry, counted)) for entry in value)}
    return {type(value).__name__: _shown(value)}


def _shown(value: object) -> str:
    """Return the text of a value that YAML can hold, and the like; of any other its type's name.

    Another's text may fail, or be a new one in each process.
    """
    cls = type(value)
    if cls in _TEXTUAL or cls.__module__.partition(".")[0] in _TEXTUAL_LIBRARIES:
        return str(value)
    return f"<{cls.__name__}>"
