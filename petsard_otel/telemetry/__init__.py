"""Spans, metrics and what may leave the process. The only room that knows the OpenTelemetry SDK."""
