"""Logfire: one span with 12 attributes, sent nowhere and printed nowhere."""

from __future__ import annotations

from importlib.metadata import version

import logfire

from benchmarks.measure import ATTRIBUTES, is_quick, report, seconds_per_call


def main() -> None:
    """Measure and report."""
    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    attributes = {key.replace(".", "_"): value for key, value in ATTRIBUTES.items()}

    def span() -> None:
        with logfire.span("Preprocessor[default]", **attributes):
            pass

    batches = 20 if is_quick(__doc__ or "") else 60
    report(
        {"logfire.span": seconds_per_call(span, calls=100, batches=batches)},
        {"logfire": version("logfire")},
    )


if __name__ == "__main__":
    main()
