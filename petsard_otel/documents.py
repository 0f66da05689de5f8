"""YAML text, a file of it, or a dict, with the line of every key. Knows nothing of modules.

Read safely: duplicate keys, loops and alias bombs are refused, and every mistake is a ConfigError.
"""

from __future__ import annotations

import difflib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from petsard_otel.exceptions import ConfigError

MAX_VALUES = 200_000
"""How many values a document may have once its aliases are written out."""

Place = tuple[str, ...]
"""Where in a document: the keys on the way to it."""

_PATH_LIKE = re.compile(r"^[^\n]*\.ya?ml$", re.IGNORECASE)


@dataclass
class Document:
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
        """Return an error that names the place, with its file and line."""
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
        """Return the line of a place, or of the nearest place around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read_document(config: object) -> Document:
    """Read what a user gives as a configuration: a path, YAML text or a dict.

    Raises:
        ConfigError: It cannot be read; says where and what to do.
    """
    if isinstance(config, dict):
        return Document(config)
    if isinstance(config, os.PathLike):
        return read_document_file(Path(os.fsdecode(config)))
    if not isinstance(config, str):
        raise ConfigError(
            "expected the path of a YAML file, YAML text or a dict as configuration, "
            f"found {type(config).__name__}"
        )
    if not config.strip():
        raise ConfigError("the configuration is empty; give the path of a YAML file or YAML text")
    if "\n" not in config and _exists(config):
        return read_document_file(Path(config))
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
    # The current folder may be gone, the file's folder may be closed to us, or no folder at all.
    with suppress(OSError, ValueError):
        if not path.is_absolute():
            message += f" in {str(Path.cwd())!r}"
        folder = path.parent
        names = [entry.name for entry in folder.iterdir() if entry.suffix in {".yaml", ".yml"}]
        near = difflib.get_close_matches(path.name, names, n=1)
        if near:
            message += f"; did you mean {str(folder / near[0])!r}?"
    return message


def read_document_file(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: It is not there, cannot be read, or is not YAML.
    """
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
    except ValueError:
        raise ConfigError(f"{str(path)!r} has characters that no path can have") from None
    if not text.strip():
        raise ConfigError("the file is empty", source=str(path))
    return _parse(text, str(path))


def _parse(text: str, source: str | None) -> Document:
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
    except (ValueError, OverflowError, LookupError, AttributeError) as error:
        # The last two where a value does not fit its explicit tag, as in `!!bool maybe`.
        raise ConfigError(
            f"a value cannot be read ({type(error).__name__}); put it into quotes if it is text",
            source=source,
        ) from None
    return Document(content, source, lines)


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
