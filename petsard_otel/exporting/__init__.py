"""Runs in the formats of other programs: tables, and traces for a viewer."""
