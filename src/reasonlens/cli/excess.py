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
                _signed(row, "excess"),
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


def _signed(row: Mapping[str, Any], name: str, digits: int = 3) -> str:
    values = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    value, low, high = (UNKNOWN if number is None else f"{number:+.{digits}f}" for number in values)
    return f"{value} [{low}, {high}]"


def print_injection(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print how often detectors fire on plain sentences after a tell-tale opener, and without one.

    Args:
        rows: `injection_loudest` of results.json; nothing is printed if there are none.
    """
    if not rows:
        return
    no_left_out = all(row["fires_without"] is None for row in rows)
    left_out = "the read begins before the sentence, so that it cannot leave the opener out"
    print_table(
        (
            *("behaviour", "detector", "opener", "above plain", "fires", "plain", "left out", "neutral"),
            *("own spans", "of openers", "n"),
        ),
        [
            (
                row["behaviour"],
                row["detector"],
                row["opener"],
                _signed(row, "above_plain", 2),
                interval_of(row, "fires", 2),
                interval_of(row, "fires_plain", 2),
                number(row["fires_without"], 2),
                number(row["fires_neutral"], 2),
                number(row["recall"], 2),
                str(row["n_openers"]),
                str(row["n"]),
            )
            for row in rows
        ],
        n_names=3,
        title="Tell-tale openers before plain sentences: share that fires at 5% false positives",
        caption="Above plain, the number to read: share that fires with the opener minus share of the same sentences "
        "that fires as they stand (plain), paired over problems [95% interval]. Opener: the loudest of the behaviour's "
        "(of openers: how many were tried). Left out: of the read, the model has still read it"
        f"{f' (none: {left_out})' if no_left_out else ''}. Neutral: the loudest of the neutral openers. Own spans: "
        "share of the behaviour's own spans that fires; a detector that misses most of them fires on little else. n: "
        "sentences.",
    )
