"""The rows of the table: which figure stands beside which, and what it has to reach.

Pure: figures in, text out. A peer that is not there is shown with the figure that was measured
when the targets were set, marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WALL_TIME_ALLOWANCE_SECONDS = 2.0
"""What a run with telemetry may take longer than one without, beside 1 %."""


@dataclass(frozen=True)
class Target:
    """What a figure has to reach: a ratio to the peer, a value of its own, or a wall time."""

    ratio: float | None = None
    value: float | None = None
    is_wall_time: bool = False

    def is_met(self, ours: float, peer: float | None) -> bool | None:
        """Tell whether it is reached; None where the peer it needs is missing."""
        if self.value is not None:
            return ours <= self.value
        if peer is None:
            return None
        if self.is_wall_time:
            return ours - peer <= 0.01 * peer + WALL_TIME_ALLOWANCE_SECONDS
        return None if self.ratio is None else ours <= self.ratio * peer

    def is_met_by(self, ratio: float) -> bool | None:
        """Tell whether a ratio that was measured pair by pair reaches it."""
        return None if self.ratio is None else ratio <= self.ratio

    def text(self, unit: str) -> str:
        """Return the target for people."""
        if self.value is not None:
            return f"≤ {quantity(self.value, unit)}"
        if self.is_wall_time:
            return f"+ 1 %, {WALL_TIME_ALLOWANCE_SECONDS:.0f} s"
        return "" if self.ratio is None else f"≤ {self.ratio:.2f} x"


NO_TARGET = Target()


@dataclass(frozen=True)
class Peer:
    """What stands beside a figure of ours: the name of its figure, and what ours has to reach.

    `known` is what was measured when the targets were set, for where the peer is not installed.
    `paired` is the figure of how ours and the peer compare pair by pair, where both were measured
    so: it stands for the ratio of their medians.
    """

    label: str
    figure: str
    target: Target = NO_TARGET
    known: float | None = None
    paired: str | None = None


@dataclass(frozen=True)
class Row:
    """A figure of ours, with the peers it is compared to; `unit` is "s" or "B"."""

    what: str
    figure: str
    peers: tuple[Peer, ...]
    unit: str = "s"


ROWS = (
    Row(
        "one execution recorded, 14 columns",
        "ours.put",
        (
            Peer("OpenTelemetry SDK span", "bare_sdk.span", Target(ratio=2.0)),
            Peer("the same, all attributes at once", "bare_sdk.span_at_once"),
            Peer("Logfire span", "logfire.span", Target(ratio=1 / 3), known=155e-6),
            Peer("MLflow span", "mlflow.span", known=355e-6),
            Peer("MLflow span, its trace written", "mlflow.trace", known=4.5e-3),
            Peer("PETsARD put and timing", "petsard.put", known=38e-6),
            Peer("the same past 1,000 snapshots", "petsard.put_past_1000", known=100e-6),
        ),
    ),
    Row(
        "the same, in a new schema object",
        "ours.put_new_object",
        (Peer("ours, the same object", "ours.put"),),
    ),
    Row(
        "1,000 columns, unchanged",
        "ours.put_1000",
        (Peer("ours, 14 columns", "ours.put", Target(ratio=2.0)),),
    ),
    Row(
        "1,000 columns, changed",
        "ours.put_1000_changed",
        (Peer("PETsARD diff alone", "petsard.diff_1000", Target(value=5e-3), known=32.7e-3),),
    ),
    Row(
        "keeping one execution on disk, as it starts and as it ends",
        "ours.keeping",
        (Peer("recording it", "ours.put", Target(value=100e-6)),),
    ),
    Row(
        "the 100,000th execution",
        "ours.put_late",
        (
            Peer("ours, the 1,000th", "ours.put_early", Target(ratio=1.1)),
            Peer("PETsARD, the 5,000th", "petsard.put_at_5000"),
        ),
    ),
    Row(
        "get_timing_report_data, 10,000 rows",
        "ours.timing_10000",
        (Peer("PETsARD", "petsard.timing_10000", Target(value=9e-3), known=36e-3),),
    ),
    Row(
        "memory per retained execution",
        "ours.bytes_per_put",
        (Peer("PETsARD", "petsard.bytes_per_put", Target(value=2048)),),
        unit="B",
    ),
    Row(
        "pipeline, collector up",
        "ours.run_up",
        (Peer("ours, telemetry off", "ours.run_off", Target(is_wall_time=True)),),
    ),
    Row(
        "pipeline, collector dead",
        "ours.run_dead",
        (Peer("ours, telemetry off", "ours.run_off", Target(is_wall_time=True)),),
    ),
    Row(
        "PETsARD on 10,000 rows, instrumented",
        "instrumented.run",
        (
            Peer(
                "plain, around each",
                "instrumented.run_plain",
                Target(ratio=1.01),
                paired="instrumented.run_ratio",
            ),
        ),
    ),
    Row(
        "the same, processor time",
        "instrumented.cpu",
        (
            Peer(
                "plain, around each",
                "instrumented.cpu_plain",
                paired="instrumented.cpu_ratio",
            ),
        ),
    ),
    Row(
        "petsard-otel --help",
        "ours.help",
        (Peer("python -c pass", "python.start", Target(value=0.25)),),
    ),
    *(
        Row(
            f"petsard-otel {name}, 1,000 runs of 200 executions",
            f"ours.{name}",
            (Peer("python -c pass", "python.start", Target(value=1.0)),),
        )
        for name in ("runs", "show", "timing", "schema", "compare")
    ),
)

NOT_INSTALLED = "*"
"""Marks a figure of a peer that is not installed."""


def lines(row: Row, figures: Mapping[str, float]) -> list[tuple[str, str, str, str, str]]:
    """Return a row as text, ours first: who, figure, ratio of ours to it, target, met."""
    ours = figures.get(row.figure)
    shown = "not measured" if ours is None else quantity(ours, row.unit)
    return [
        (row.what, shown, "", "", ""),
        *(_peer_line(row, peer, figures) for peer in row.peers),
    ]


def _peer_line(
    row: Row, peer: Peer, figures: Mapping[str, float]
) -> tuple[str, str, str, str, str]:
    ours, figure = figures.get(row.figure), figures.get(peer.figure)
    if figure is not None:
        shown = quantity(figure, row.unit)
    elif peer.known is not None:
        shown = quantity(peer.known, row.unit) + NOT_INSTALLED
    else:
        shown = "none" + NOT_INSTALLED
    paired = figures.get(peer.paired or "")
    if paired is not None:
        ratio, met = f"{paired:.3f} x", peer.target.is_met_by(paired)
    else:
        ratio = "" if ours is None or figure is None else f"{ours / figure:.2f} x"
        met = None if ours is None else peer.target.is_met(ours, figure)
    return (
        f"  {peer.label}",
        shown,
        ratio,
        peer.target.text(row.unit),
        {True: "yes", False: "NO", None: ""}[met],
    )


def quantity(value: float, unit: str) -> str:
    """Return a figure with a unit of a fitting size."""
    if unit == "B":
        return f"{value:,.0f} B"
    for factor, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value / 1e-6:.3g} µs"
