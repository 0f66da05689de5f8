"""Bringing what was recorded to an OTLP receiver: where to, how, and what came of it."""
