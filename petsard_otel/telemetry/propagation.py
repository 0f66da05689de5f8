"""The trace context in environment variables: from a parent process, and on to children.

Uses the OpenTelemetry API alone, and the propagators that are in force there.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.propagators.textmap import Getter

from petsard_otel.telemetry.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context

# `opentelemetry.propagate` is imported where it is used: its import fails in a process whose
# OTEL_PROPAGATORS names one that is not installed, and that must not keep a pipeline from running.


def child_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which a child process finds the current span as its parent.

    For `subprocess.run(..., env=child_environment())`; for the workers of a pool see
    `adopt_environment`.

    Args:
        base: What else is in it; without it, a copy of this process's environment.

    Returns:
        `base` with TRACEPARENT, TRACESTATE and BAGGAGE, or what else the propagators in force
        write, for the current span; where no span is current, for the one that this process was
        started under. One that has nothing to say is left out, whatever `base` has.
    """
    environment = dict(os.environ if base is None else base)
    with Guard():
        from opentelemetry import propagate

        carried: dict[str, str] = {}
        propagate.inject(carried, context_or_environment())
        for field in propagate.get_global_textmap().fields:
            environment.pop(_variable(field), None)
        environment.update({_variable(field): value for field, value in carried.items()})
    return environment


def adopt_environment(environment: Mapping[str, str]) -> None:
    """Make this process a child of whoever called `child_environment({})`; called in the child.

    For processes that are not started with an environment of their own, as workers of a pool:
    `ProcessPoolExecutor(initializer=adopt_environment, initargs=(child_environment({}),))`.
    """
    with Guard():
        from opentelemetry import propagate

        for field in propagate.get_global_textmap().fields:
            os.environ.pop(_variable(field), None)
    os.environ.update(environment)


def context_from_environment(
    environ: Mapping[str, str] | None = None, *, guard: Guard | None = None
) -> Context:
    """Return the current context with what the environment carries: a parent span, baggage.

    What makes no sense there is passed over.

    Args:
        environ: Read this in place of the process's environment.
        guard: Counts a propagator that fails.
    """
    current = context_api.get_current()
    with guard or Guard():
        from opentelemetry import propagate

        carrier = os.environ if environ is None else environ
        return propagate.extract(carrier, current, getter=_VARIABLES)
    return current


def context_or_environment(guard: Guard | None = None) -> Context:
    """Return the current context; where it has no span, with what the environment carries."""
    current = context_api.get_current()
    if trace_api.get_current_span(current).get_span_context().is_valid:
        return current
    return context_from_environment(guard=guard)


def _variable(field: str) -> str:
    """Return the name under which a variable carries a propagator's field."""
    return re.sub(r"\W", "_", field, flags=re.ASCII).upper()


class _Variables(Getter["Mapping[str, str]"]):
    """Reads a propagator's fields from environment variables."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """Return a field's value, None where there is none or where it is no text."""
        value = carrier.get(_variable(key))
        return [value] if value and _is_text(value) else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """Return the names of all variables."""
        return list(carrier)


_VARIABLES = _Variables()


def _is_text(value: str) -> bool:
    """Tell whether a value was readable: other bytes stand in it as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
