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
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from petsard_otel.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

MAX_VALUES = 200_000
"""How many values a configuration may have once its aliases are written out."""

_RESERVED_SUFFIX = re.compile(r"_(\[[^\]]*\])$")
_PATH_LIKE = re.compile(r"^[^\n]*\.ya?ml$", re.IGNORECASE)
_PLAIN = (str, bool, int, float)

Place = tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """One module execution that a configuration asks for."""

    module: str
    experiment: str
    parameters: Mapping[str, Any]


@dataclass
class _Document:
    """What was read, and where each part of it stands."""

    content: Any
    source: str | None = None
    lines: dict[Place, int] = field(default_factory=dict)

    def error(
        self,
        message: str,
        *,
        module: str | None = None,
        experiment: str | None = None,
        key: str | None = None,
    ) -> ConfigError:
        place = tuple(part for part in (module, experiment, key) if part is not None)
        return ConfigError(
            message,
            module=module,
            experiment=experiment,
            key=key,
            source=self.source,
            line=self.line(place),
        )

    def line(self, place: Place) -> int | None:
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


class Config:
    """A checked configuration.

    Attributes:
        sequence: The modules, in the order in which they run.
        yaml: Module to experiment to parameters, splits written out.
        executor: The `Executor:` section, empty where there is none.
        name: The stem of the file it came from, None for a string or a dict.
        hash: Identity of the content, 32 hexadecimal digits.
    """

    def __init__(self, config: str | os.PathLike[str] | Mapping[str, Any]) -> None:
        """Read and check a configuration.

        Args:
            config: Path of a YAML file, YAML text, or the same as a dict, which is not changed.

        Raises:
            ConfigError: Says where the mistake is and what to do.
        """
        self._document = document = _read(config)
        content = _checked_mapping(document)
        self.name: str | None = None if document.source is None else Path(document.source).stem
        self.hash = _hash(content)
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


def _read(config: object) -> _Document:
    if isinstance(config, dict):
        return _Document(config)
    if isinstance(config, os.PathLike):
        return _read_file(Path(config))
    if not isinstance(config, str):
        raise ConfigError(
            "expected the path of a YAML file, YAML text or a dict as configuration, "
            f"found {type(config).__name__}"
        )
    if not config.strip():
        raise ConfigError("the configuration is empty; give the path of a YAML file or YAML text")
    if "\n" not in config and _exists(config):
        return _read_file(Path(config))
    if _PATH_LIKE.match(config) and ": " not in config:
        raise ConfigError(_missing_file(Path(config)))
    return _parse(config, None)


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _missing_file(path: Path) -> str:
    message = f"there is no file {str(path)!r}"
    if not path.is_absolute():
        message += f" in {str(Path.cwd())!r}"
    folder = path.parent
    if folder.is_dir():
        names = [entry.name for entry in folder.iterdir() if entry.suffix in {".yaml", ".yml"}]
        near = difflib.get_close_matches(path.name, names, n=1)
        if near:
            message += f"; did you mean {str(folder / near[0])!r}?"
    return message


def _read_file(path: Path) -> _Document:
    if os.path.isdir(path):  # noqa: PTH112  `Path.is_dir` raises where a name is too long
        raise ConfigError(f"{str(path)!r} is a directory; give the path of a YAML file in it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(_missing_file(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the file is not UTF-8 text (byte {error.start}); save it as UTF-8",
            source=str(path),
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
    if not text.strip():
        raise ConfigError("the file is empty; it needs at least one module", source=str(path))
    return _parse(text, str(path))


def _parse(text: str, source: str | None) -> _Document:
    """Read YAML text, safely, and note the line of every key."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            lines = _lines(node, source)
            content = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, source) from None
    except yaml.YAMLError:
        raise ConfigError(
            "the text has characters that YAML does not allow; remove control characters",
            source=source,
        ) from None
    except RecursionError:
        raise ConfigError("the YAML is nested too deeply", source=source) from None
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"a value cannot be read ({type(error).__name__}); put it into quotes if it is text",
            source=source,
        ) from None
    return _Document(content, source, lines)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, source: str | None) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "not valid YAML"
    message = f"not valid YAML: {problem}"
    if "\\t" in problem or (mark is not None and _has_tab(text, mark.line)):
        message = "YAML is indented by spaces, and this line has a tab; replace it"
    elif "but found another document" in problem:
        message = "expected one YAML document, found a second one; remove what follows the '---'"
    return ConfigError(message, source=source, line=None if mark is None else mark.line + 1)


def _has_tab(text: str, line: int) -> bool:
    lines = text.splitlines()
    if line >= len(lines):
        return False
    indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
    return "\t" in indent


def _lines(root: yaml.Node | None, source: str | None) -> dict[Place, int]:
    """Note the line of every key; refuse duplicate keys, loops and alias bombs."""
    lines: dict[Place, int] = {}
    left = MAX_VALUES
    stack: list[tuple[yaml.Node, Place, frozenset[int]]] = []
    if root is not None:
        lines[()] = root.start_mark.line + 1
        stack.append((root, (), frozenset()))
    while stack:
        node, place, around = stack.pop()
        left -= 1
        if left < 0:
            raise ConfigError(
                f"the configuration has more than {MAX_VALUES:,} values "
                "once its aliases are written out",
                source=source,
            )
        if id(node) in around:
            raise ConfigError(
                "an alias contains itself", source=source, line=node.start_mark.line + 1
            )
        inside = around | {id(node)}
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key_node, value_node in node.value:
                line = key_node.start_mark.line + 1
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
                is_merge = key_node.tag == "tag:yaml.org,2002:merge"
                if key in seen and isinstance(key_node, yaml.ScalarNode) and not is_merge:
                    raise ConfigError(
                        f"the key {key!r} is here twice, first in line {seen[key]}; "
                        "rename or remove one",
                        source=source,
                        line=line,
                    )
                seen[key] = line
                lines.setdefault((*place, key), line)
                stack.append((value_node, (*place, key), inside))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((entry, place, inside) for entry in node.value)
    return lines


def _checked_mapping(document: _Document) -> dict[str, Any]:
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
        if not isinstance(module, str) or module not in (*MODULES, EXECUTOR):
            near = difflib.get_close_matches(str(module), MODULES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"unknown module {module!r}; {hint}Valid: {', '.join(MODULES)}",
                source=document.source,
                line=document.line((str(module),)),
            )
    return content


def _checked_executor(document: _Document, content: dict[str, Any]) -> dict[str, Any]:
    section = content.get(EXECUTOR, {})
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise document.error(
            f"expected options such as `log_level: INFO`, found {type(section).__name__}",
            module=EXECUTOR,
        )
    return dict(section)


def _checked_experiments(
    document: _Document, module: str, experiments: object
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
                f"an experiment's name is text; write {str(name)!r} in quotes "
                f"(found {type(name).__name__})",
                module=module,
                experiment=str(name),
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
                    key=str(key),
                )
        checked[name] = dict(parameters)
    return checked


def _split_out(
    document: _Document, experiments: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Write `num_samples: n` out as n experiments of one split each."""
    written = {}
    for name, parameters in experiments.items():
        count = parameters.get("num_samples", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise document.error(
                f"expected a whole number from 1, found {count!r}",
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


def _hash(content: dict[str, Any]) -> str:
    try:
        text = json.dumps(_canonical(content, itertools.count(1)), ensure_ascii=True)
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply, or contains itself") from None
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: object, counted: Iterator[int]) -> object:
    """Return a value of plain JSON types that differs wherever the value differs."""
    if next(counted) > MAX_VALUES:
        raise ConfigError(f"the configuration has more than {MAX_VALUES:,} values")
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {
            "dict": [[_canonical(k, counted), _canonical(v, counted)] for k, v in value.items()]
        }
    if isinstance(value, list | tuple):
        return [_canonical(entry, counted) for entry in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted(str(entry) for entry in value)}
    return {type(value).__name__: str(value)}
