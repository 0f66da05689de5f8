"""Spans as a history gives them, made by hand."""

from __future__ import annotations

from typing import Any

from petsard_otel.telemetry.otlp.spans import Identity, OtlpSpan, Scope

TRACE = 0xABCD
RUN = "3f2a1b9c" + "0" * 24
RESOURCE = {"service.name": "petsard"}

INTERNAL, SERVER = 1, 2
UNSET, ERROR = 0, 2

NOW = 1_796_000_000_123_456_789
"""A Monday in November 2026; its last digits are lost in a floating-point number."""


def otlp_span(
    number: int,
    name: str,
    start: int,
    end: int | None,
    parent: int | None = None,
    *,
    links: tuple[int, ...] = (),
    run: str | None = RUN,
    status: int = UNSET,
    kind: int = INTERNAL,
    resource: dict[str, Any] | None = None,
    message: str = "",
    **attributes: Any,
) -> OtlpSpan:
    """Make a span, `start` and `end` nanoseconds after NOW; `__` in a name stands for a dot."""
    said = {key.replace("__", "."): value for key, value in attributes.items()}
    return OtlpSpan(
        name=name,
        kind=kind,
        context=Identity(TRACE, number),
        parent=None if parent is None else Identity(TRACE, parent),
        start_time=NOW + start,
        end_time=None if end is None else NOW + end,
        attributes=said if run is None else {"petsard.run.id": run, **said},
        links=tuple(Identity(TRACE, link) for link in links),
        status_code=status,
        status_message=message,
        instrumentation_scope=Scope("petsard_otel" if run else "requests", "1.0"),
        resource=RESOURCE if resource is None else resource,
    )


def run_spans() -> list[OtlpSpan]:
    """Make a small run: a loader with a wide schema, a preprocessor with a step, a failure."""
    return [
        otlp_span(
            1,
            "petsard run",
            0,
            1000,
            kind=SERVER,
            status=ERROR,
            petsard__run__name="adult",
            petsard__run__result="error",
            petsard__sequence=("Loader", "Preprocessor", "Synthesizer"),
            error__type="ValueError",
        ),
        otlp_span(
            2, "Loader[a]", 10, 200, 1, petsard__module__name="Loader", petsard__output__rows=7
        ),
        otlp_span(3, "schema", 199, 200, 2, petsard__schema__part=1, petsard__schema__json="{"),
        otlp_span(4, "schema", 199, 200, 2, petsard__schema__part=2, petsard__schema__json="}"),
        otlp_span(
            5,
            "Preprocessor[b]",
            200,
            500,
            1,
            links=(2,),
            petsard__module__name="Preprocessor",
            petsard__schema__added=("x", "y"),
        ),
        otlp_span(
            6,
            "Preprocessor.fit",
            200,
            300,
            5,
            petsard__module__name="Preprocessor",
            petsard__step__name="fit",
        ),
        otlp_span(
            7,
            "Synthesizer[c]",
            500,
            1000,
            1,
            links=(5,),
            status=ERROR,
            petsard__module__name="Synthesizer",
            error__type="ValueError",
        ),
    ]
