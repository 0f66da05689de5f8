"""Reading OTEL_* variables. A value that cannot be used is a `ConfigError` that names its variable.

The SDK warns of such values and takes its defaults, so that what was asked for quietly is not done.
Imports no OpenTelemetry.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from petsard_otel.exceptions import ConfigError

Setting: TypeAlias = tuple[str, "str | None"]
"""A variable and its value."""

EXPORT_VARIABLES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
)
"""Environment variables each of which says that something is to be sent, or that it is not."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read(variable: str) -> str | None:
    """Return a variable's value; an empty one is one that is not set."""
    return os.environ.get(variable, "").strip() or None


def setting(signal: str, what: str) -> Setting:
    """Return the OTEL_EXPORTER_OTLP_* variable in force: the signal's own, else that of all."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}"
    found = read(own)
    return (own, found) if found is not None else (common, read(common))


def choice(found: Setting, choices: tuple[str, ...]) -> str | None:
    """Check that a value is one of several words, in any case."""
    variable, value = found
    if value is not None and value.lower() not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise ConfigError(f"{variable} is {listed} (found {value!r})")
    return None if value is None else value.lower()


def number(found: Setting, unit: str) -> float | None:
    """Check that a value is a number above 0."""
    variable, value = found
    if value is None:
        return None
    try:
        parsed = float(value)
    except ValueError:
        parsed = math.nan
    if not 0 < parsed < math.inf:
        raise ConfigError(f"{variable} is a number of {unit} above 0 (found {value!r})")
    return parsed


def whole_number(variable: str) -> int | None:
    """Check that a variable is a whole number above 0."""
    value = read(variable)
    if value is not None and (not value.isdecimal() or int(value) == 0):
        raise ConfigError(f"{variable} is a whole number above 0 (found {value!r})")
    return None if value is None else int(value)


def existing_file(found: Setting) -> str | None:
    """Check that a value is the path of a file.

    An error never quotes what is no path by its looks: it may be the very key.
    """
    variable, value = found
    if value is None or _is_file(value):
        return value
    if not value.isprintable() or "-----" in value:
        raise ConfigError(f"{variable} is the path of a file, and this is no path")
    raise ConfigError(f"{variable} is the path of a file, and there is none at {value!r}")


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        # Too long for a path, or with a character that none has.
        return False


def headers(found: Setting) -> tuple[tuple[str, str], ...]:
    """Check and read headers, `name=value,name=value`, URL-encoded where need be.

    An error never quotes a value: it is likely to be a password.
    """
    variable, value = found
    entries = {}
    for entry in (value or "").split(","):
        if not entry.strip():
            continue
        name, _, text = (part.strip() for part in entry.partition("="))
        # As other SDKs do: what holds a space was not encoded, so there is nothing to decode.
        text = text if " " in text else unquote(text)
        name = unquote(name).lower()
        # A token by itself may end in equals signs.
        is_token = "=" not in entry or (entry.rstrip().endswith("=") and not text.strip("="))
        if not _HEADER_NAME.fullmatch(name) or is_token:
            raise ConfigError(f"{variable} is a list of name=value, and one entry has no such form")
        if not (text.isascii() and text.isprintable()):
            raise ConfigError(f"{variable} has a value for {name!r} that no header can have")
        entries[name] = text
    return tuple(entries.items())


LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
)
"""What the SDK reads whenever it makes a provider, and fails on."""

EXEMPLARS = "OTEL_METRICS_EXEMPLAR_FILTER"


def check_sdk_variables() -> None:
    """Check the variables that the SDK reads by itself, and raises a `ValueError` for."""
    choice((EXEMPLARS, read(EXEMPLARS)), ("always_on", "always_off", "trace_based"))
    for variable in LIMITS:
        value = read(variable)
        if value is not None and not value.isdecimal() and value.lower() != "unset":
            raise ConfigError(f"{variable} is a whole number (found {value!r})")


def check_resource_attributes() -> None:
    """Check that every entry of OTEL_RESOURCE_ATTRIBUTES is `key=value`."""
    for entry in (read("OTEL_RESOURCE_ATTRIBUTES") or "").split(","):
        name, separator, _ = entry.partition("=")
        if entry.strip() and not (separator and name.strip()):
            raise ConfigError(
                f"OTEL_RESOURCE_ATTRIBUTES is a list of key=value (found {entry.strip()!r})"
            )
