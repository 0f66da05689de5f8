"""A history of many runs, made of one real run that is copied: quick to write, slow to read."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
Loader:
  cars: {{filepath: examples/cars.csv}}
Splitter:
  halves: {{num_samples: {splits}, train_split_ratio: 0.5, random_state: 1}}
"""

EXECUTIONS = 200
"""Module executions of each run: the Loader's, and a split for each other."""

NANOSECONDS_BETWEEN = 60_000_000_000
"""How much later each copy begins."""


def write_pipeline(path: Path) -> None:
    """Write the configuration of the run that is copied."""
    path.write_text(PIPELINE.format(splits=EXECUTIONS - 1))


def multiply(path: Path, runs: int) -> None:
    """Copy the one run of a history until there are so many.

    Each copy has a run id of its own, in its spans too, and begins later than the one before; the
    times of its spans stay those of the original, which nobody who measures looks at.
    """
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA synchronous = OFF")
        (original,) = connection.execute("SELECT run_id FROM run").fetchall()[0]
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(run)")]
        row = dict(zip(columns, connection.execute("SELECT * FROM run").fetchone(), strict=True))
        spans = connection.execute(
            "SELECT id, kind, is_ended, at_ns, is_error, changes, body FROM span"
        ).fetchall()
        for number in range(1, runs):
            run_id = f"{number:08x}{original[8:]}"
            later = number * NANOSECONDS_BETWEEN
            copy = {
                **row,
                "id": row["id"] + number,
                "run_id": run_id,
                "started_ns": row["started_ns"] + later,
                "ended_ns": row["ended_ns"] + later,
            }
            marks = ", ".join("?" * len(copy))
            connection.execute(f"INSERT INTO run VALUES ({marks})", tuple(copy.values()))  # noqa: S608  marks alone
            connection.executemany(
                "INSERT INTO span (id, kind, is_ended, at_ns, is_error, changes, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        span + (number << 40),
                        *facts,
                        body.replace(original.encode(), run_id.encode()).replace(
                            original[:8].encode(), run_id[:8].encode()
                        ),
                    )
                    for span, *facts, body in spans
                ),
            )
    connection.close()
