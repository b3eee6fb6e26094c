"""Print how far probes are above what could be known without the model, and whether words alone make them fire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        "together), paired over problems [95% interval, its lower end over every baseline]. Layer and penalty of every "
        "fold are chosen on the others. Just above: not once corrected for all behaviours. Matched: AUROC among spans "
        "with a partner of like first word, length and place (n). n: spans / problems.",
    )


def _signed(row: Mapping[str, Any]) -> str:
    values = (row["excess"], row["excess_low"], row["excess_high"])
    value, low, high = (UNKNOWN if number is None else f"{number:+.3f}" for number in values)
    return f"{value} [{low}, {high}]"


def print_injection(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print how often detectors fire on plain sentences after a tell-tale opener.

    Args:
        rows: `injection_loudest` of results.json; nothing is printed if there are none.
    """
    if not rows:
        return
    print_table(
        ("behaviour", "detector", "opener", "fires", "left out", "neutral", "n"),
        [
            (
                row["behaviour"],
                row["detector"],
                row["opener"],
                interval_of(row, "fires", 2),
                number(row["fires_without"], 2),
                number(row["fires_neutral"], 2),
                str(row["n"]),
            )
            for row in rows
        ],
        n_names=3,
        title="Tell-tale openers before plain sentences: share that fires at 5% false positives",
        caption="Opener: the tell-tale one on which it fires most; left out: of the read, the model has still read it; "
        "neutral: the neutral opener on which it fires most. About 0.05 is what nothing does. n: sentences.",
    )
