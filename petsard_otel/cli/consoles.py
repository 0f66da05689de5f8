"""Where the commands write for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from typing import TextIO


def console_on(stream: TextIO) -> Console:
    """Make a console that takes texts as they are."""
    return Console(file=stream, markup=False, highlight=False, emoji=False)


def is_live(errors: Console) -> bool:
    """Tell whether lines can be drawn again; FORCE_COLOR makes a terminal of a pipe for rich."""
    return sys.stderr.isatty() and not errors.is_dumb_terminal
