"""The OpenTelemetry SDK alone: one span with 12 attributes, and a processor that does nothing."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from benchmarks.measure import ATTRIBUTES, is_quick, report, seconds_per_call


def main() -> None:
    """Measure the span as it is mostly written, and in the way that costs least."""
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    tracer = provider.get_tracer("benchmark")

    def span() -> None:
        with tracer.start_as_current_span("Preprocessor[default]") as span:
            for key, value in ATTRIBUTES.items():
                span.set_attribute(key, value)

    def span_at_once() -> None:
        with tracer.start_as_current_span("Preprocessor[default]", attributes=ATTRIBUTES):
            pass

    batches = 20 if is_quick(__doc__ or "") else 60
    report(
        {
            "bare_sdk.span": seconds_per_call(span, calls=100, batches=batches),
            "bare_sdk.span_at_once": seconds_per_call(span_at_once, calls=100, batches=batches),
        },
        {"opentelemetry-sdk": version("opentelemetry-sdk")},
    )


if __name__ == "__main__":
    main()
