"""What may leave the process: the one gate through which every attribute of ours passes.

A list of keys, each with a class and a type; what is not on it, of another type, or of a class
that was not opted into, stays. Knows no OpenTelemetry.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from petsard_otel import attributes as key
from petsard_otel.exceptions import ConfigError
from petsard_otel.schema import Schema
from petsard_otel.settings import MAX_ATTRIBUTE_BYTES, Settings
from petsard_otel.telemetry.budget import split_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.telemetry.encoding import Attributes, AttributeValue

_logger = logging.getLogger(__name__)

AnyStructure = TypeVar("AnyStructure")


class PrivacyClass(Enum):
    """What an attribute tells, and so what has to be opted into before it leaves."""

    STRUCTURE = "structure"
    """Names, types, nullability, counts and times: leaves by default."""

    STATISTICS = "statistics"
    """Numbers computed from cells: leaves where `PETSARD_OTEL_CAPTURE=statistics`."""

    MESSAGE = "message"
    """What an exception says, which may quote a cell: leaves where
    `PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES=true`."""


class Rule(NamedTuple):
    """What the value under a key tells, and the types that it may have."""

    privacy_class: PrivacyClass
    types: frozenset[type]


_TEXT = Rule(PrivacyClass.STRUCTURE, frozenset({str}))
_TEXTS = Rule(PrivacyClass.STRUCTURE, frozenset({tuple}))
_COUNT = Rule(PrivacyClass.STRUCTURE, frozenset({int}))
_TRUTH = Rule(PrivacyClass.STRUCTURE, frozenset({bool}))

ALLOWED: Mapping[str, Rule] = {
    key.RUN_ID: _TEXT,
    key.RUN_NAME: _TEXT,
    key.RUN_RESULT: _TEXT,
    key.CONFIG_HASH: _TEXT,
    key.SEQUENCE: _TEXTS,
    key.ENGINE: _TEXT,
    key.EXPERIMENT_COUNT: _COUNT,
    key.MODULE_NAME: _TEXT,
    key.MODULE_POSITION: _COUNT,
    key.EXPERIMENT_NAME: _TEXT,
    key.EXPERIMENT_PATH: _TEXT,
    key.OPERATOR_TYPE: _TEXT,
    key.SNAPSHOT_ID: _TEXT,
    key.SCHEMA_INPUT_ID: _TEXT,
    key.SCHEMA_INPUT_HASH: _TEXT,
    key.SCHEMA_OUTPUT_ID: _TEXT,
    key.SCHEMA_OUTPUT_HASH: _TEXT,
    key.SCHEMA_OUTPUT_FIELD_COUNT: _COUNT,
    key.SCHEMA_OUTPUT_JSON: _TEXT,
    key.SCHEMA_ADDED: _TEXTS,
    key.SCHEMA_ADDED_COUNT: _COUNT,
    key.SCHEMA_REMOVED: _TEXTS,
    key.SCHEMA_REMOVED_COUNT: _COUNT,
    key.SCHEMA_RETYPED: _TEXTS,
    key.SCHEMA_RETYPED_COUNT: _COUNT,
    key.SCHEMA_INFERRED_HASH: _TEXT,
    key.SCHEMA_INFERRED_MATCHES: _TRUTH,
    key.OUTPUT_ROWS: _COUNT,
    key.OUTPUT_COLUMNS: _COUNT,
    key.OUTPUT_STATISTICS: Rule(PrivacyClass.STATISTICS, frozenset({tuple})),
    key.OUTPUT_STATISTICS_COUNT: _COUNT,
    key.PROCESS_MEMORY: _COUNT,
    key.STEP_NAME: _TEXT,
    key.STEP_SOURCE: _TEXT,
    key.SCHEMA_HASH: _TEXT,
    key.SCHEMA_PART: _COUNT,
    key.SCHEMA_PARTS: _COUNT,
    key.SCHEMA_JSON: _TEXT,
    key.ERROR_TYPE: _TEXT,
    key.CODE_FUNCTION_NAME: _TEXT,
    key.CODE_LINE_NUMBER: _COUNT,
    key.EXCEPTION_MESSAGE: Rule(PrivacyClass.MESSAGE, frozenset({str})),
}
"""Every key that may be on a span, a metric or a log record of ours."""

_STEP_CONTEXT = Rule(PrivacyClass.STRUCTURE, frozenset({bool, int, float}))
"""A user's context under a key of the user's choice: numbers and truth values; text stays."""

MAX_SHOWN_SCHEMAS = 16
"""How many schemas a gate remembers with their hashed names."""

_process_key = secrets.token_bytes(32)


class Privacy:
    """The gate of one run, and what its settings let through. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._classes = {PrivacyClass.STRUCTURE}
        if settings.capture == "statistics":
            self._classes.add(PrivacyClass.STATISTICS)
        if settings.exception_messages:
            self._classes.add(PrivacyClass.MESSAGE)
        self._key: bytes | None = None
        if settings.field_names == "hashed":
            given = settings.field_names_key
            self._key = _process_key if given is None else given.encode(errors="surrogateescape")
        self._whole: set[tuple[Any, ...]] = set()
        self._shown: dict[str, Schema] = {}
        self._has_warned = False

    @property
    def captures_statistics(self) -> bool:
        """Whether numbers computed from cells may leave."""
        return PrivacyClass.STATISTICS in self._classes

    @property
    def captures_messages(self) -> bool:
        """Whether messages of exceptions may leave."""
        return PrivacyClass.MESSAGE in self._classes

    def admit(self, attributes: Attributes) -> Attributes:
        """Return those attributes that may leave: the same object where all of them may.

        A key that is on no list is a mistake of ours: the first one is logged, without its value.
        """
        shape = (*attributes, *map(type, attributes.values()))
        if shape in self._whole:
            return attributes
        admitted = {
            name: value for name, value in attributes.items() if self._is_admitted(name, value)
        }
        if len(admitted) < len(attributes):
            return admitted
        if tuple not in shape and ALLOWED.keys() >= attributes.keys():
            self._whole.add(shape)
        return attributes

    def _is_admitted(self, name: str, value: AttributeValue) -> bool:
        rule = ALLOWED.get(name)
        if rule is None and name.startswith(key.STEP_CONTEXT_PREFIX):
            rule = _STEP_CONTEXT
        if rule is None:
            if not self._has_warned:
                self._has_warned = True
                _logger.warning("an attribute that is on no list was left out: %s", name[:64])
            return False
        if rule.privacy_class not in self._classes or type(value) not in rule.types:
            return False
        return type(value) is not tuple or all(type(entry) is str for entry in value)

    def shown(self, schema: AnyStructure) -> AnyStructure | Schema:
        """Return a schema as it may leave: itself, or one with hashed names of columns."""
        if self._key is None or not isinstance(schema, Schema):
            return schema
        known = self._shown.get(schema.hash)
        if known is None:
            known = Schema.of(
                schema.id,
                (
                    replace(attribute, name=self.field_name(attribute.name))
                    for attribute in schema.attributes.values()
                ),
            )
            self._shown[schema.hash] = known
            while len(self._shown) > MAX_SHOWN_SCHEMAS:
                del self._shown[next(iter(self._shown))]
        return known.renamed(schema.id)

    def field_name(self, name: str) -> str:
        """Return a column's name as it may leave."""
        if self._key is None:
            return name
        digest = hmac.digest(self._key, name.encode(errors="surrogatepass"), "sha256")
        return f"field_{digest.hex()[:16]}"

    def config_hash(self, config_hash: str) -> str:
        """Return a configuration's identity as it may leave: with hashed names under their key."""
        if self._key is None:
            return config_hash
        return hmac.digest(self._key, config_hash.encode(), "sha256").hex()[: len(config_hash)]

    def message(self, error: BaseException | None) -> Attributes:
        """Return what an exception says, where that was opted into, cut at the size budget."""
        if error is None or not self.captures_messages:
            return {}
        text = str(error).encode(errors="replace").decode()
        return {key.EXCEPTION_MESSAGE: next(iter(split_text(text, MAX_ATTRIBUTE_BYTES)), "")}


def settings_of_environment() -> Settings:
    """Read the PETSARD_OTEL_* variables.

    Raises:
        ConfigError: One of them has a value that it cannot have.
    """
    try:
        return Settings.from_environment()
    except ValueError as error:
        raise ConfigError(str(error)) from None
