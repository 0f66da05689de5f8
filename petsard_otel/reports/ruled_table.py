"""The table that a terminal is shown: a rule below its head, above its foot, and none around it."""

from __future__ import annotations

from rich import box
from rich.table import Table


def ruled_table(*, gap: int = 1, has_footer: bool = False) -> Table:
    """Return one without columns; `gap` is how many cells stand between two of them."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        show_footer=has_footer,
        header_style="bold",
        footer_style="bold",
    )
