"""Moments: in local time for people, in UTC for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsard_otel.records import utc_datetime

if TYPE_CHECKING:
    from datetime import datetime


def utc_text(time_ns: int | None) -> str | None:
    """Return a moment as ISO 8601 in UTC, to the microsecond; None of None.

    >>> utc_text(1_763_870_706_000_007_000)
    '2025-11-23T04:05:06.000007+00:00'
    """
    return None if time_ns is None else utc_datetime(time_ns).isoformat(timespec="microseconds")


def local_text(time_ns: int) -> str:
    """Return a moment to the second, in the time zone of this machine."""
    return f"{_local(time_ns):%Y-%m-%d %H:%M:%S}"


def local_minute(time_ns: int) -> str:
    """Return a moment to the minute, in the time zone of this machine."""
    return f"{_local(time_ns):%Y-%m-%d %H:%M}"


def clock_text(time_ns: int, beside_ns: int) -> str:
    """Return the time of day, with its date where that is another than the one it stands beside."""
    moment = _local(time_ns)
    if moment.date() == _local(beside_ns).date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _local(time_ns: int) -> datetime:
    return utc_datetime(time_ns).astimezone()
