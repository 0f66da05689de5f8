"""What the exit codes mean. A leaf."""

from __future__ import annotations

SUCCESS = 0
"""The command did what it was asked to."""

FAILED = 1
"""A module of the pipeline failed, or the output could not be written."""

BAD_USAGE = 2
"""The configuration or the arguments cannot be used."""

INTERRUPTED = 130
"""Ctrl-C, as shells report it."""
