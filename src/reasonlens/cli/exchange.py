"""Let one model decide what a sentence does and another one write it: `reasonlens exchange`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Json,
    MaxNewTokens,
    Names,
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
    from reasonlens.pairs.exchange import ExchangeResult, ExchangeSettings

PLANS = Names(("subgoal-setting",))

Plans = Annotated[
    Names,
    typer.Option(
        metavar="NAMES",
        help="Behaviours whose sentences are plans: who decides writes them, word by word; `none`: there are none.",
        parser=Names.parse,
    ),
]


def exchange(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/exchange"),
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 2,
    plans: Plans = PLANS,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell which share of the gap between two models is *when* to do what, and which is *how* to do it.

    One model decides what each sentence does, and the other one writes it, both ways; nothing is steered or trained.
    One control writes the thinking model's behaviours in random order, another lets the thinking model exchange with
    itself. 200 test problems by default; `--quick` takes half as many. `reasonlens calibrate` shows how well this reads
    pairs of which the truth is known.
    """
    import reasonlens

    settings = exchange_settings(quick, test, samples, plans, max_new_tokens, temperature, rows, seed)
    result = reasonlens.exchange(
        base,
        [name_or_path(name) for name in thinking],
        problems,
        settings=settings,
        out=out,
        device=device,
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    next_command("calibrate", "--quick")


def exchange_settings(
    quick: bool,
    test: int | None,
    samples: int,
    plans: Names,
    max_new_tokens: int,
    temperature: float,
    rows: int,
    seed: int,
) -> ExchangeSettings:
    """Make the settings that the options of either command stand for."""
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.ExchangeSettings(
        plans=() if tuple(plans) == ("none",) else tuple(plans),
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_rows=rows,
        seed=seed,
    )
    if test is not None:
        settings = replace(settings, n_test=test)
    return settings.quicker() if quick else settings


def _print(result: ExchangeResult) -> None:
    print_table(
        ("pair", "base", "when", "how", "thinking", "gap", "when-share", "random order", "led_tokens"),
        [
            (
                name,
                *(f"{pair.cells[cell].accuracy.value:.3f}" for cell in ("base", "when", "how", "thinking")),
                str(pair.gap),
                str(pair.when_share),
                "–" if pair.control_share is None else str(pair.control_share),
                f"{pair.cells['when'].led_tokens:.1%}, {pair.cells['how'].led_tokens:.1%}",
            )
            for name, pair in result.pairs.items()
        ],
        title=f"{next(iter(result.pairs.values())).gap.n} test problems: value [95% interval over problems]",
        caption="when: the thinking model decides what each sentence does and the base writes it; how: the reverse. "
        "When-share: Shapley share of the gap that goes with who decides. Random order: share recovered by the same "
        "behaviours at other moments. Given: tokens of the decider's that led the writer on, in both.",
    )
    for name, verdict in result.verdicts.items():
        say(f"{name}. {verdict}")
