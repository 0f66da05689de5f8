"""The one line about what did not arrive."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.problems import UNSENT

if TYPE_CHECKING:
    from petsard_otel.telemetry.sending.delivery import Delivery

LONG_LIVED_SECONDS = 30
"""A process that has been sending for longer hears of a failure at once, a shorter one at its end,
when all there is to say can be said in one line."""

_logger = logging.getLogger("petsard_otel.telemetry.sending")


class Report:
    """The one line about what did not arrive, of all signals of a configuration."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery[Any]] = []
        # Taking the only entry of a list needs no lock, which a fork might find held.
        self._turns = [True]
        self._begun = time.monotonic()

    def delivery_of(self, signal: str) -> Delivery[Any] | None:
        """Return how a signal fares; None where it is not sent."""
        return next((found for found in self.deliveries if found.signal == signal), None)

    def claim(self) -> None:
        """Leave it to the caller to say `sentence()`."""
        self._turns.clear()

    def say_so_far(self) -> None:
        """Log the line while a process runs on, unless it has been said."""
        if time.monotonic() - self._begun < LONG_LIVED_SECONDS:
            return
        text = self.sentence(so_far=True)
        if text is not None and self._is_first():
            with Guard():
                _logger.warning("%s", text)

    def say_at_end(self) -> None:
        """Log the line when no more will be sent, unless it has been said."""
        text = self.sentence()
        if text is not None and self._is_first():
            with Guard():
                _logger.warning("%s", text)

    def sentence(
        self, note: str = "", *, so_far: bool = False, aside: str = "the results are not affected"
    ) -> str | None:
        """Say what arrived of what was expected, where, and why no more; None where all did.

        Args:
            note: Put after the endpoint.
            so_far: Judge by what has been tried, not by what was expected.
            aside: What it means for the reader.
        """
        lacking = [
            (found, part) for found in self.deliveries if (part := _lack(found, so_far=so_far))
        ]
        if not lacking:
            return None
        parts = [part for _, part in lacking]
        what = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
        first = lacking[0][0]
        problem = first.problem or UNSENT
        return (
            f"{'so far ' if so_far else ''}{what} reached the collector at {first.endpoint}{note}: "
            f"{problem.text}; {aside}"
        )

    def _is_first(self) -> bool:
        try:
            return self._turns.pop()
        except IndexError:
            return False


def _lack(delivery: Delivery[Any], *, so_far: bool) -> str | None:
    """Say how much of a signal is missing."""
    expected = delivery.delivered + delivery.failed if so_far else delivery.sampled
    if delivery.delivered >= expected:
        return None
    if delivery.problem is not None and delivery.problem.is_unserved and not delivery.is_asked_for:
        _logger.debug("%s takes no %s", delivery.endpoint, delivery.signal)
        return None
    if delivery.signal == "metrics":
        return "not all metrics" if delivery.delivered else "no metrics"
    noun = "span" if delivery.signal == "traces" else "log record"
    noun += "" if expected == 1 else "s"
    if not delivery.delivered:
        return f"none of {expected} {noun}"
    return f"only {delivery.delivered} of {expected} {noun}"
