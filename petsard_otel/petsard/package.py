"""Which PETsARD this works with. A leaf."""

from __future__ import annotations

_instruments = ("petsard >= 1.10.0.dev0, < 2",)
"""In the form that OpenTelemetry's instrumentors give it; the extra `instruments` says the same."""
