"""Values that occur nowhere else, so that finding one anywhere proves where it came from.

A sentinel knows the forms in which it may show up; how data is searched for them is not its
business.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "ghjkmnpqrstvwxyz"
"""Letters of a text's core: no digit of a hexadecimal number, no vowel that makes a word."""

CORE_LENGTH = 24
"""Letters of a core: cut in three, one piece is still found."""

WINDOW = 8
"""So many letters of a core in a row are a find."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_DAY = 86_400_000_000
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Sentinel:
    """One planted value.

    Attributes:
        kind: What it stands for, such as `text cell`.
        place: Where it was planted, such as `Loader[cars], column 3 (str)`.
        value: What was planted.
        is_local: May be shown in this process, in reports, but must not leave it.
        cores: Letters to look for.
        numbers: Numbers to look for, in any notation.
        labels: Other texts to look for: dates, spans of days, UUIDs.
        packed: Eight bytes in a row to look for.
    """

    kind: str
    place: str
    value: object
    is_local: bool = False
    cores: tuple[str, ...] = ()
    numbers: tuple[Decimal, ...] = ()
    labels: tuple[str, ...] = ()
    packed: tuple[bytes, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        article = "an" if self.kind[0] in "aeiou" else "a"
        return f"{article} {self.kind} of {self.place}"


class Mint:
    """Makes sentinels, each another, and remembers them all.

    It draws from the system, so that the random generators which modules seed are left alone.
    """

    def __init__(self) -> None:
        self.sentinels: list[Sentinel] = []
        self._random = random.SystemRandom()
        self._windows: set[str] = set()
        self._said: dict[tuple[str, str], str] = {}
        self._counted: dict[str, int] = {}

    def text(self, kind: str, place: str, *, is_local: bool = False) -> str:
        """Make a text whose core is surrounded by characters that encodings change."""
        core = self._core()
        value = f"é {core} %41'\"ü"
        self._keep(Sentinel(kind, place, value, is_local, cores=(core,)))
        return value

    def said(self, kind: str, place: str, *, is_local: bool = False) -> str:
        """Return one text for a kind and place, the same at every call."""
        key = kind, place
        if key not in self._said:
            self._said[key] = self.text(kind, place, is_local=is_local)
        return self._said[key]

    def counted(self, place: str) -> int:
        """Return one whole number for a place, the same at every call."""
        if place not in self._counted:
            self._counted[place] = self.integer(place)
        return self._counted[place]

    def name(self, kind: str, place: str, *, is_local: bool = False) -> str:
        """Make a text that can also be the name of a folder, a column or a parameter."""
        core = self._core()
        self._keep(Sentinel(kind, place, core, is_local, cores=(core,)))
        return core

    def cell(self, like: object, place: str) -> object | None:
        """Make a cell of the type that another one has, None where that type has too few values."""
        for type_, make in _MAKERS.items():
            if type(like) is type_:
                return make(self, place)
        return None

    def integer(self, place: str, digits: int = 12) -> int:
        """Make a whole number; up to 15 digits a float holds it as well."""
        value = self._digits(digits)
        packed = (*_eight_bytes(value), struct.pack("<d", value), struct.pack(">d", value))
        self._keep(
            Sentinel("whole-number cell", place, value, numbers=(Decimal(value),), packed=packed)
        )
        return value

    def float_(self, place: str, low: float | None = None, high: float | None = None) -> float:
        """Make a number of 12 digits before its point, or one between two others."""
        value = self._digits(12) + self._digits(3) / 1000
        if low is not None and high is not None and low < high:
            value = self._random.uniform(low, high)
        self._keep_float(value, place, repr(value))
        return value

    def float32(self, place: str) -> float:
        """Make a number that 32 bits hold; it is written with seven to nine digits, or in full."""
        value: float = struct.unpack("<f", struct.pack("<f", self._digits(10)))[0]
        texts = (f"{value:.{digits}g}" for digits in (7, 8, 9))
        self._keep_float(value, place, repr(value), *texts)
        return value

    def _keep_float(self, value: float, place: str, *texts: str) -> None:
        packed = (struct.pack("<d", value), struct.pack(">d", value))
        numbers = tuple(Decimal(text) for text in texts)
        self._keep(Sentinel("number cell", place, value, numbers=numbers, packed=packed))

    def decimal(self, place: str) -> Decimal:
        """Make a decimal number."""
        value = Decimal(f"{self._digits(12)}.{self._digits(4)}")
        self._keep(Sentinel("decimal cell", place, value, numbers=(value,)))
        return value

    def bytes_(self, place: str) -> bytes:
        """Make bytes around a core."""
        core = self._core()
        value = b"\xff\x00" + core.encode() + b"\x00\xfe"
        self._keep(Sentinel("cell of bytes", place, value, cores=(core,)))
        return value

    def uuid(self, place: str) -> UUID:
        """Make a UUID."""
        value = UUID(int=self._random.getrandbits(128), version=4)
        packed = (value.bytes[:8], value.bytes[8:])
        self._keep(Sentinel("UUID cell", place, value, labels=(str(value),), packed=packed))
        return value

    def moment(self, place: str, step: int = 1) -> dt.datetime:
        """Make a moment of the 18th century, without a zone: nothing else speaks of those days.

        Args:
            place: Where it is planted.
            step: It is a multiple of so many microseconds.
        """
        day = dt.datetime(1701, 1, 1)  # noqa: DTZ001  the cells of most tables have no zone
        day += dt.timedelta(days=self._random.randrange(36_000))
        value = day + dt.timedelta(microseconds=self._within_a_day(step))
        since = (value.replace(tzinfo=dt.timezone.utc) - _EPOCH) // _MICROSECOND
        self._keep_time("moment cell", place, value, since, _days_around(value.date()))
        return value

    def date(self, place: str) -> dt.date:
        """Make a day of the 18th century."""
        value = dt.date(1701, 1, 1) + dt.timedelta(days=self._random.randrange(36_000))
        self._keep(Sentinel("date cell", place, value, labels=(value.isoformat(),)))
        return value

    def time_span(self, place: str, step: int = 1) -> dt.timedelta:
        """Make a span of over 30,000 days, a multiple of `step` microseconds."""
        days = self._random.randrange(30_000, 99_999)
        value = dt.timedelta(days, microseconds=self._within_a_day(step))
        since = value // _MICROSECOND
        self._keep_time("time-span cell", place, value, since, (f"{days} days", f"p{days}d"))
        return value

    def _within_a_day(self, step: int) -> int:
        return self._random.randrange(0, _DAY, step)

    def _keep_time(
        self, kind: str, place: str, value: object, microseconds: int, labels: tuple[str, ...]
    ) -> None:
        """Take in a point or span of time, with what it is in seconds and parts of them."""
        seconds = Decimal(microseconds).scaleb(-6)
        counts = (microseconds // 10**6, microseconds // 1000, microseconds, microseconds * 1000)
        packed = (
            *(form for count in counts for form in _eight_bytes(count)),
            struct.pack("<d", float(seconds)),
            struct.pack(">d", float(seconds)),
        )
        numbers = (abs(seconds), *(Decimal(abs(count)) for count in counts))
        self._keep(Sentinel(kind, place, value, numbers=numbers, labels=labels, packed=packed))

    def _keep(self, sentinel: Sentinel) -> None:
        self.sentinels.append(sentinel)

    def _core(self) -> str:
        while True:
            core = "".join(self._random.choices(ALPHABET, k=CORE_LENGTH))
            windows = set(windows_of(core))
            if windows.isdisjoint(self._windows) and len(windows) > CORE_LENGTH - WINDOW:
                self._windows |= windows
                return core

    def _digits(self, count: int) -> int:
        """Make a number that begins unlike the seconds since 1970, and never ends in a zero.

        Not even where it is rounded: a number without its last digits would be too short.
        """
        first = self._random.choice("345678")
        return int(first + "".join(self._random.choices("12345678", k=count - 1)))


_MAKERS: dict[type, Callable[[Mint, str], object]] = {
    str: lambda mint, place: mint.text("text cell", place),
    int: Mint.integer,
    float: Mint.float_,
    Decimal: Mint.decimal,
    bytes: Mint.bytes_,
    UUID: Mint.uuid,
    dt.datetime: Mint.moment,
    dt.date: Mint.date,
    dt.timedelta: Mint.time_span,
}
"""What makes a cell of which type."""


def windows_of(core: str) -> list[str]:
    """Return every piece of a core that is a find by itself."""
    return [core[at : at + WINDOW] for at in range(len(core) - WINDOW + 1)]


def _eight_bytes(value: int) -> tuple[bytes, ...]:
    if not -(2**63) <= value < 2**63:
        return ()
    return struct.pack("<q", value), struct.pack(">q", value)


def _days_around(day: dt.date) -> tuple[str, ...]:
    """Return a day and its neighbours, which it may be in another zone."""
    return tuple((day + dt.timedelta(days=shift)).isoformat() for shift in (-1, 0, 1))
