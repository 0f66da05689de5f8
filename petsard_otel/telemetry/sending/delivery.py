"""Delivery of one signal's items: cut to size, tried again where that may help, and counted.

A receiver that is dead, slow or in a bad mood costs little time and no result.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.sending.problems import TIMED_OUT, TOO_LARGE, UNSENT, Problem, Remedy
from petsard_otel.telemetry.sending.quiet import Quiet
from petsard_otel.telemetry.sending.senders import sender_to
from petsard_otel.telemetry.sending.targets import GRPC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from petsard_otel.telemetry.sending.report import Report
    from petsard_otel.telemetry.sending.senders import Request, Sender
    from petsard_otel.telemetry.sending.targets import Target

T = TypeVar("T")

MAX_REQUEST_BYTES = 1_000_000
"""No request of several items is larger: a quarter of what gRPC takes by default, and within the
mebibyte that common proxies take."""

FIRST_PAUSE_SECONDS = 0.25
"""How long to wait before the second try; before each further one twice as long."""

_BROKEN = Problem("it could not be put into a request", Remedy.SPLIT)
_FORKED = Problem("a forked process cannot send over gRPC, only over HTTP", Remedy.STOP)

_inherited: list[Sender] = []
"""Senders of the parent process. A child must neither use nor end what they have open."""


class Delivery(Generic[T]):
    """Brings items of one signal to a receiver, and keeps count. Thread-safe."""

    def __init__(
        self,
        target: Target,
        encode: Callable[[Sequence[T]], Request],
        report: Report,
        note_accepted: Callable[[Sequence[T], str], None] | None = None,
    ) -> None:
        """Send nothing yet.

        Args:
            target: Where to.
            encode: Puts items into a request.
            report: Says what did not arrive.
            note_accepted: Is told which items a receiver has accepted, and its endpoint.
        """
        self.signal = target.signal
        self.endpoint = target.shown
        self.is_asked_for = target.is_asked_for
        self._target = target
        self._encode = encode
        self._report = report
        self._note_accepted = note_accepted
        self._guard = Guard()
        self._sender = sender_to(target)
        self._begin()
        report.deliveries.append(self)

    def _begin(self) -> None:
        """Set to what holds before anything is sent."""
        self.sampled = 0
        """How many items ought to arrive."""
        self.delivered = 0
        self.failed = 0
        self.problem: Problem | None = None
        """Why the last of those that failed did."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._deadline = math.inf
        self._is_sending = False
        self._is_down = False
        self._has_given_up = False
        # Last: from now on other threads of a forked child take it that all is new.
        self._process = os.getpid()

    def expect(self, number: int = 1) -> None:
        """Count items that ought to arrive."""
        self._mind_fork()
        with self._lock:
            self.sampled += number

    def send(self, items: Sequence[T]) -> bool:
        """Send items in as many requests as their size asks for; tell whether all arrived.

        Takes no longer than the target's timeout for each request; for all of them, once a
        receiver has failed. Called by one thread at a time.
        """
        self._mind_fork()
        waiting = deque([items])
        has_failed = False
        while waiting:
            part = waiting.popleft()
            problem: Problem | None = _BROKEN
            with self._guard, Quiet():
                problem = self._try(part)
            if problem is None:
                self._count(delivered=len(part))
                if self._note_accepted is not None:
                    with self._guard:
                        self._note_accepted(part, self.endpoint)
            elif problem.remedy is Remedy.SPLIT and len(part) > 1:
                middle = len(part) // 2
                waiting.extendleft((part[middle:], part[:middle]))
            else:
                has_failed = True
                lost = len(part)
                if problem.remedy not in {Remedy.SPLIT, Remedy.SKIP}:
                    lost += sum(map(len, waiting))
                    waiting.clear()
                    self._has_given_up = self._closing.is_set()
                self._count(failed=lost, problem=problem)
        return not has_failed

    def offer(self, request: Request, *, may_split: bool) -> Problem | None:
        """Try once to send something that is not counted; None where it arrived.

        Called by the thread that calls `send`, after that has succeeded.

        Args:
            request: What to send.
            may_split: Whether it can be sent in parts, where it is too large.
        """
        if may_split and request.ByteSize() > MAX_REQUEST_BYTES:
            return TOO_LARGE
        remaining = min(self._target.timeout_seconds, self._deadline - time.monotonic())
        if self._has_given_up or remaining <= 0:
            return UNSENT
        with self._guard, Quiet():
            return self._sender.send(request, remaining)
        return _BROKEN

    @property
    def is_closing(self) -> bool:
        """Whether what is left has to be done soon."""
        return self._closing.is_set()

    def close_by(self, deadline: float) -> None:
        """From now on do what can be done until then, by the monotonic clock."""
        self._mind_fork()
        self._deadline = deadline
        self._closing.set()

    def stop(self) -> None:
        """End what is under way, and send no more."""
        if self._is_sending and self.problem is None:
            self.problem = TIMED_OUT
        self._has_given_up = True
        self._sender.close()

    def _try(self, items: Sequence[T]) -> Problem | None:
        request = self._encode(items)
        if len(items) > 1 and request.ByteSize() > MAX_REQUEST_BYTES:
            return TOO_LARGE
        begun = time.monotonic()
        problem: Problem | None = UNSENT
        for tried in count():
            deadline = min(begun + self._target.timeout_seconds, self._deadline)
            remaining = deadline - time.monotonic()
            if self._has_given_up or remaining <= 0:
                break
            self._is_sending = True
            try:
                problem = self._sender.send(request, remaining)
            finally:
                self._is_sending = False
            if problem is None:
                self._is_down = False
                break
            pause = self._pause_before_retry(problem, tried)
            if pause is None or time.monotonic() + pause >= min(deadline, self._deadline):
                self._is_down = problem.remedy not in {Remedy.SPLIT, Remedy.SKIP}
                break
            if self._closing.is_set():
                time.sleep(pause)
            else:
                self._closing.wait(pause)
        return problem

    def _pause_before_retry(self, problem: Problem, tried: int) -> float | None:
        """Return how long to wait, None where another try is no use.

        While a receiver is down, each request is tried but once.
        """
        if self._is_down or problem.remedy not in {Remedy.RETRY, Remedy.WAIT}:
            return None
        if problem.remedy is Remedy.WAIT and self._closing.is_set():
            return None
        if problem.retry_after_seconds is not None and (problem.retry_after_seconds or not tried):
            return problem.retry_after_seconds
        return float(FIRST_PAUSE_SECONDS * 2**tried)

    def _count(self, delivered: int = 0, failed: int = 0, problem: Problem | None = None) -> None:
        with self._lock:
            self.delivered += delivered
            self.failed += failed
            if problem is not UNSENT or self.problem is None:
                self.problem = problem or self.problem
        if problem is not None and not self._closing.is_set():
            self._report.say_so_far()

    def _mind_fork(self) -> None:
        """In a forked process forget what the parent counted, and leave its connections alone."""
        if self._process == os.getpid():
            return
        _inherited.append(self._sender)
        self._begin()
        if self._target.protocol == GRPC:
            # gRPC's threads do not survive a fork, and a call without them may never return.
            self._sender = _Refusing(_FORKED)
        else:
            self._sender = sender_to(self._target)


class _Refusing:
    """A sender that does not send."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def send(self, request: Request, timeout_seconds: float) -> Problem | None:
        return self._problem

    def close(self) -> None:
        pass
