"""What arguments have to look like; each mistake says what was expected."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petsard_otel.reports.rules import Rules

_AGES = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


def config_path(text: str) -> str:
    """Refuse the empty path, which an unset variable of a shell script leaves."""
    if not text:
        raise argparse.ArgumentTypeError("expected the path of a YAML file (found '')")
    return text


def path(text: str) -> str:
    """Refuse the empty path, as `config_path` does."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path (found '')")
    return text


def url(text: str) -> str:
    """Check the URL of a receiver."""
    from petsard_otel.telemetry.sending.targets import found_url, is_web_url

    if not is_web_url(text):
        raise argparse.ArgumentTypeError(
            f"expected a URL such as http://localhost:4317 {found_url(text)}"
        )
    return text


def age(text: str) -> float:
    """Read how old a run may be, such as `30d`, in seconds."""
    return _quantity(text, _AGES, "an age such as 30d, 12h or 2w")


def size(text: str) -> int:
    """Read how large a history may be, such as `500MB`, in bytes."""
    return int(_quantity(text, _SIZES, "a size such as 500MB or 2GB"))


def count(text: str) -> int:
    """Read how many there may be, at least one."""
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 (found {text!r})")
    return int(text)


def _quantity(text: str, units: dict[str, int], expected: str) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s?([a-z]{1,2})", text.strip().lower())
    if found is None or found[2] not in units:
        raise argparse.ArgumentTypeError(f"expected {expected} (found {text!r})")
    return float(found[1]) * units[found[2]]


def rules(text: str) -> Rules:
    """Read what breaks a comparison, such as `schema,slower=20%`."""
    from petsard_otel.reports.rules import parse_rules

    try:
        return parse_rules(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
