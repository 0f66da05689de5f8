"""OTLP messages, written and read."""
