"""Read the when-share of pairs of which the truth is known: `reasonlens calibrate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, read_json, say
from reasonlens.cli.exchange import PLANS, exchange_settings
from reasonlens.cli.options import Family, Jobs, Json, Names, OutDirectory, Quick, Quiet, Samples, Seed, TestProblems

if TYPE_CHECKING:
    from reasonlens.pairs.exchange import Calibration


def calibrate(
    family: Family = None,
    names: Annotated[
        Names | None,
        typer.Option(
            "--pairs",
            metavar="NAMES",
            help="Trained members, joined by commas; default all of which the truth is known.",
            parser=Names.parse,
        ),
    ] = None,
    out: OutDirectory = Path("runs/calibrate"),
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 2,
    jobs: Jobs = 2,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the when-share on pairs of which the truth is known: mean error, order, every pair beside its truth.

    200 test problems by default; `--quick` takes half as many and leaves the controls out.
    """
    import reasonlens

    settings = exchange_settings(quick, test, samples, PLANS, 287, 1.0, 250, seed)
    settings = replace(settings, has_controls=not quick)
    result = reasonlens.calibrate(family, names, settings=settings, out=out, jobs=jobs)
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print_calibration(result)
    note(f"report: {out / 'report.html'}")
    next_command("exchange", "--thinking", "organism/rl-timing", "--out", "runs/one-pair")


def _print_calibration(result: Calibration) -> None:
    print_table(
        ("pair", "gap", "truth", "when-share", "random order", "led_tokens"),
        [
            (
                name,
                str(pair.gap),
                str(pair.truth),
                str(pair.readings["when-share"]),
                str(pair.readings.get("behaviours in random order", "–")),
                f"{pair.led_tokens:.1%}",
            )
            for name, pair in result.pairs.items()
        ],
        title="Shares of the gap that are when: value [95% interval over problems]",
        caption="Truth: by cross-play of decisions and content. The when-share knows neither.",
    )
    for row in result.scores().itertuples(index=False):
        order = "" if row.n_compared == 0 else f", {row.concordance:.0%} of {row.n_compared} pairs of pairs in order"
        say(f"{row.reading}: mean absolute error {row.mean_abs_error:.3f} on {row.n_pairs} pairs{order}")
