"""Names, durations and sizes as people read them: shown, never obeyed.

Names come from users' data. No control character and no escape sequence in one gets through; that
markup is not read as such is up to the one who prints.
"""

from __future__ import annotations

MAX_NAME_LENGTH = 60
"""Characters of a name that are shown."""

MAX_WORD_LENGTH = 20
"""Characters that are shown where a short word is expected: a module, a step, a status."""


def visible(text: object) -> str:
    r"""Return text with every character that does not print replaced by its escape.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in str(text)
    )


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that reads best, with about three digits.

    >>> [format_duration(s) for s in (0.00001234, 0.0123, 1.2345, 65, 7505)]
    ['12.3 µs', '12.3 ms', '1.23 s', '1m 05s', '2h 05m']
    """
    if not seconds:
        return "0 s"
    for unit, scale in (("µs", 1e6), ("ms", 1e3), ("s", 1.0)):
        text = _three_digits(seconds * scale)
        if float(text) < (60 if unit == "s" else 1000):
            return f"{text} {unit}"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h {minutes:02}m"


def format_size(size_bytes: float) -> str:
    """Return a number of bytes in the unit that reads best.

    >>> [format_size(size) for size in (812, 65_300, 199_400_000, 7_912_000_000)]
    ['812 B', '65.3 kB', '199 MB', '7.91 GB']
    """
    for unit, scale in (("B", 1.0), ("kB", 1e3), ("MB", 1e6)):
        text = f"{size_bytes:.0f}" if unit == "B" else _three_digits(size_bytes / scale)
        if float(text) < 1000:
            return f"{text} {unit}"
    return f"{_three_digits(size_bytes / 1e9)} GB"


def _three_digits(number: float) -> str:
    for limit, decimals in ((9.995, 2), (99.95, 1)):
        if number < limit:
            return f"{number:.{decimals}f}"
    return f"{number:.0f}"


def shortened(name: object, length: int = MAX_NAME_LENGTH) -> str:
    """Return a name as `visible` has it, cut where it is long."""
    text = visible(name)
    return text if len(text) <= length else text[: length - 3] + "..."


def word(text: object) -> str:
    """Return what should be a short word, cut where it is not."""
    return shortened(text, MAX_WORD_LENGTH)
