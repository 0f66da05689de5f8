"""Sentinels in any data: one pass over each view of it, however many sentinels there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from petsard_otel.audit.sentinels import ALPHABET, WINDOW, windows_of
from petsard_otel.audit.views import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from petsard_otel.audit.sentinels import Sentinel

DIGITS = 9
"""So many digits of a number, at their place before or after the point, are a find."""

FEW_DIGITS = 6
"""So many are one where the number is written with an exponent, as `%g` does."""

WHOLE_DIGITS = 12
"""A whole number of so many digits is also found amid other digits."""

_LETTERS = re.compile(f"[{ALPHABET}]{{{WINDOW},}}".encode())
# Each pattern begins with what is rare, since that is what `re` looks for fast; the label may begin
# some characters before.
_LABELS = (
    (re.compile(rb"17[0-9]{2}-[0-9]{2}-[0-9]{2}"), 0, 10),
    (re.compile(rb" days"), 5, 10),
    (re.compile(rb"p[0-9]{5}d"), 0, 7),
    (re.compile(rb"-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-"), 8, 36),
)
_THOUSANDS = re.compile(rb"[0-9]{1,3}(?:[,_' ][0-9]{3}){2,}(?:\.[0-9]+)?")
_NUMBER = re.compile(rb"[0-9][0-9.]{6,}(?:e[+-]?[0-9]{1,3})?")
_VARINT = re.compile(rb"\x18[\x80-\xff]{3,9}[\x00-\x7f]")
_WHOLE = re.compile(f"[0-9]{{{WHOLE_DIGITS},}}")


class Hit(NamedTuple):
    """A sentinel that was found, and the encoding it was in."""

    sentinel: Sentinel
    encoding: str


class Searcher:
    """Looks for sentinels. Cost: about 0.2 seconds a megabyte, however many there are."""

    def __init__(self, sentinels: Iterable[Sentinel]) -> None:
        self._windows: dict[bytes, Sentinel] = {}
        self._labels: dict[bytes, Sentinel] = {}
        self._numbers: dict[tuple[str, int], Sentinel] = {}
        self._whole: dict[str, Sentinel] = {}
        self._values: dict[object, Sentinel] = {}
        self._packed: dict[bytes, Sentinel] = {}
        self._varints: dict[bytes, Sentinel] = {}
        for sentinel in sentinels:
            self._take(sentinel)
        self._lengths = {len(digits) for digits in self._whole}

    def hits(self, data: bytes) -> set[Hit]:
        """Return what is found in data, whole or cut, under each encoding."""
        found = {
            Hit(self._varints[form], "a varint")
            for form in set(_VARINT.findall(data))
            if form in self._varints
        }
        for encoding, view in views(data):
            lowered = view.lower()
            for sentinel in (*self._in_letters(lowered), *self._in_labels(lowered)):
                found.add(Hit(sentinel, encoding or "plain text"))
            for sentinel in self._in_numbers(lowered):
                found.add(Hit(sentinel, encoding or "digits"))
            for sentinel in self._in_bytes(view):
                found.add(Hit(sentinel, f"bytes in {encoding}" if encoding else "bytes"))
        return found

    def of_number(self, value: float) -> Sentinel | None:
        """Return the sentinel that a number is, None where it is none."""
        return self._values.get(value)

    def _take(self, sentinel: Sentinel) -> None:
        for core in sentinel.cores:
            for window in windows_of(core):
                self._windows[window.encode()] = sentinel
        for label in sentinel.labels:
            self._labels[label.lower().encode()] = sentinel
        for form in sentinel.packed:
            self._packed[form] = sentinel
        for number in sentinel.numbers:
            self._take_number(number, sentinel)

    def _take_number(self, number: Decimal, sentinel: Sentinel) -> None:
        self._values[number] = sentinel
        self._values[float(number)] = sentinel
        for count in (DIGITS, FEW_DIGITS):
            # Cut after so many digits, and rounded to them.
            for digits, exponent in (_key(f"{number:e}"), _key(f"{number:.{count - 1}e}")):
                self._numbers[digits[:count], exponent] = sentinel
        if number == number.to_integral_value():
            digits = str(int(number))
            if len(digits) >= WHOLE_DIGITS:
                self._whole[digits] = sentinel
            if int(number) < 2**63:
                self._varints[_varint(int(number))] = sentinel

    def _in_letters(self, data: bytes) -> Iterator[Sentinel]:
        for run in set(_LETTERS.findall(data)):
            for at in range(len(run) - WINDOW + 1):
                found = self._windows.get(run[at : at + WINDOW])
                if found is not None:
                    yield found

    def _in_labels(self, data: bytes) -> Iterator[Sentinel]:
        for pattern, before, length in _LABELS:
            for match in pattern.finditer(data):
                start = match.start() - before
                found = self._labels.get(data[max(start, 0) : start + length])
                if found is not None:
                    yield found

    def _in_numbers(self, data: bytes) -> Iterator[Sentinel]:
        if not self._numbers:
            return
        tokens = set(_NUMBER.findall(data))
        tokens |= {re.sub(rb"[,_' ]", b"", token) for token in set(_THOUSANDS.findall(data))}
        for token in tokens:
            text = token.decode()
            digits, exponent = _key(text)
            count = DIGITS if len(digits) >= DIGITS else FEW_DIGITS
            if len(digits) >= DIGITS or (len(digits) >= FEW_DIGITS and "e" in text):
                found = self._numbers.get((digits[:count], exponent))
                if found is not None:
                    yield found
            yield from self._in_digits(text)

    def _in_digits(self, text: str) -> Iterator[Sentinel]:
        """Look for whole numbers that other digits stand beside."""
        if len(text) < WHOLE_DIGITS:
            return
        for run in _WHOLE.findall(text):
            for length in self._lengths:
                for at in range(len(run) - length + 1):
                    found = self._whole.get(run[at : at + length])
                    if found is not None:
                        yield found

    def _in_bytes(self, data: bytes) -> Iterator[Sentinel]:
        """Look for eight bytes in a row, at any place."""
        if not self._packed or len(data) < 8:
            return
        import numpy as np

        wanted = np.frombuffer(b"".join(self._packed), dtype="<u8")
        # The first two bytes tell nearly all that is none of them.
        is_beginning = np.zeros(1 << 16, dtype=bool)
        is_beginning[wanted.astype(np.uint16)] = True
        for shift in range(min(8, len(data) - 7)):
            end = len(data) - (len(data) - shift) % 8
            read = np.frombuffer(data[shift:end], dtype="<u8")
            likely = read[is_beginning[read.astype(np.uint16)]]
            for value in likely[np.isin(likely, wanted)]:
                yield self._packed[value.tobytes()]


def _key(text: str) -> tuple[str, int]:
    """Return a number's digits from its first that is not zero, and that digit's place."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    zeros = len(whole + fraction) - len(digits)
    return digits, int(exponent or 0) + len(whole) - 1 - zeros


def _varint(value: int) -> bytes:
    """Return a whole number as protobuf writes it in an attribute's value, its tag included."""
    out = bytearray(b"\x18")
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
