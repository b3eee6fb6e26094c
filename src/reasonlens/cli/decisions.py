"""Measure where two models diverge and what the tokens there are worth: `reasonlens decisions`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import interval, next_of_pair, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Json,
    MaxNewTokens,
    Numbers,
    OutDirectory,
    Problems,
    Quick,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    TestProblems,
    Thinking,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.pairs.decisions import DecisionsResult

BUDGETS = Numbers((0.01, 0.02, 0.04, 0.08, 0.16))


def decisions(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/decisions"),
    quick: Quick = False,
    test: TestProblems = None,
    thresholds_on: Annotated[
        int | None, typer.Option(help="Validation problems on which thresholds are chosen; default 20.", min=2)
    ] = None,
    samples: Samples = 1,
    budgets: Annotated[
        Numbers,
        typer.Option(
            metavar="NUMBERS",
            help="Shares of a response's tokens that the other model may say, joined by commas; none and all of them "
            "are always measured.",
            parser=Numbers.parse,
        ),
    ] = BUDGETS,
    headline: Annotated[
        float, typer.Option(help="The budget that the closing sentence is about.", min=0, max=1)
    ] = 0.08,
    near_zero: Annotated[
        float, typer.Option(metavar="NATS", help="Divergence below which a position counts as near zero.", min=0)
    ] = 0.001,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure where two models diverge, token by token, and what swapping the tokens there is worth.

    Both ways: the thinking model's tokens into the base, and the base's into the thinking model, at the positions where
    the two diverge most, beside as many random, early and unsure positions. 100 test problems by default; `--quick`
    takes a quarter of them and the headline's budget alone.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.DecisionsSettings(
        budgets=tuple(budgets),
        headline=headline,
        near_zero=near_zero,
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_rows=rows,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    if test is not None:
        settings = replace(settings, n_test=test)
    if thresholds_on is not None:
        settings = replace(settings, n_validation=thresholds_on)
    result = reasonlens.decisions(
        base, [name_or_path(name) for name in thinking], problems, settings=settings, out=out, device=device
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    next_of_pair("exchange", base, name_or_path(thinking[0]), problems, "--quick")


def _print(result: DecisionsResult) -> None:
    for name, pair in result.pairs.items():
        print_table(
            ("writes", "positions", "budget", "swapped", "changed", "accuracy", "gap", "excess", "in top 5"),
            [
                (
                    point.writer,
                    point.chooser,
                    f"{point.budget:.3g}",
                    f"{point.swapped.value:.3f}",
                    f"{point.changed.value:.3f}",
                    str(point.accuracy),
                    *(interval(one.value, one.low, one.high) for one in (point.gap, point.excess)),
                    interval(point.in_top[1].value, point.in_top[1].low, point.in_top[1].high),
                )
                for point in pair.points
            ],
            title=f"{name}: {pair.gap.n} test problems, value [95% interval over problems]",
            caption="gap: share recovered where the base writes, lost where the thinking model does. Excess: what "
            "divergence has more than this control; of divergence: than its strongest one. In top 5: changed tokens "
            "among the writer's 5 likeliest.",
            n_names=2,
        )
        for sentence in result.sentences(name):
            say(f"{name}. {sentence}")
