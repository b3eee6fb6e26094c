"""Print how far probes are above what could be known without the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonlens.cli.console import UNKNOWN, interval_of, number, print_table


def print_excess(behaviours: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """Print the table of numbers to report: the excess of each probe over its strongest baseline.

    Args:
        behaviours: Behaviour -> its row of results.json.
        title: Line above the table.
    """
    print_table(
        ("behaviour", "excess", "standing", "AUROC", "baseline", "matched", "n"),
        [
            (
                name,
                _signed(row),
                row["standing"],
                interval_of(row, "auroc_nested"),
                f"{number(row['auroc_strongest'])} {row['strongest_baseline']}",
                f"{number(row['auroc_matched'])} ({row['n_matched']})",
                f"{row['n_positive']} / {row['n_problems']}",
            )
            for name, row in behaviours.items()
        ],
        title=title,
        caption="Excess, the number to report: AUROC of the probe minus that of the strongest baseline, which has not "
        "run the model (position, words or token embeddings as far as they are known at the token read, or all "
        "together), paired over problems [95% interval]. Layer, penalty and baseline of every fold are chosen on the "
        "others. Matched: AUROC among spans with a partner of like first word, length and place (n). n: spans / "
        "problems.",
    )


def _signed(row: Mapping[str, Any]) -> str:
    values = (row["excess"], row["excess_low"], row["excess_high"])
    value, low, high = (UNKNOWN if number is None else f"{number:+.3f}" for number in values)
    return f"{value} [{low}, {high}]"
