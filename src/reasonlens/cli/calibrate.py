"""Read the when-share of pairs of which the truth is known: `reasonlens calibrate`."""

from __future__ import annotations

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

    200 test problems by default; `--quick` takes half as many. Controls of an exchange are left out.
    """
    import reasonlens

    settings = exchange_settings(quick, test, samples, PLANS, 287, 1.0, 250, seed)
    result = reasonlens.calibrate(family, names, settings=settings, out=out, jobs=jobs)
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print_calibration(result)
    note(f"report: {out / 'report.html'}")
    next_command("exchange", "--thinking", "organism/rl-timing", "--out", "runs/one-pair")


def _print_calibration(result: Calibration) -> None:
    print_table(
        ("pair", "gap", "truth", "when-share", "led_tokens"),
        [
            (
                name,
                str(pair.gap),
                str(pair.truth),
                str(pair.readings["when-share"]),
                f"{pair.led_tokens:.1%}",
            )
            for name, pair in result.pairs.items()
        ],
        title="Shares of the gap that are when: value [95% interval over problems]",
        caption="Truth: by cross-play of decisions and content. The when-share knows neither.",
    )
    for name in result.names:
        share, n_compared = result.concordance(name)
        more = "" if name == "when-share" else f", {result.excess(name)} more than the when-share"
        order = "" if n_compared == 0 else f", {share:.0%} of {n_compared} pairs of pairs in order"
        error, n_pairs = result.mean_abs_error(name), len(result.errors(name))
        say(f"{name}: mean absolute error {error:.3f} on {n_pairs} pairs{more}{order}")
