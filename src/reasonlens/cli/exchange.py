"""Exchange the sentences of two models, and check what that reads: `reasonlens exchange`, `reasonlens calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.completion import complete_models
from reasonlens.cli.console import next_command, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    Device,
    Json,
    MaxNewTokens,
    Names,
    OutDirectory,
    Problems,
    Quiet,
    Samples,
    Seed,
    Temperature,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.pairs.exchange import Calibration, ExchangeResult, ExchangeSettings

THINKING = Names(("organism/rl-timing", "organism/sft-timing", "organism/rl-skill", "organism/sft-skill"))
PLANS = Names(("subgoal-setting",))

Quick = Annotated[bool, typer.Option("--quick", help="Half as many problems, and no control in random order.")]
TestProblems = Annotated[int, typer.Option("--test", help="Problems that are answered, at most.", min=2)]
Plans = Annotated[
    Names,
    typer.Option(
        metavar="NAMES",
        help="Behaviours whose sentences are plans: who decides writes them, word by word.",
        parser=Names.parse,
    ),
]
Rows = Annotated[int, typer.Option(help="Responses that are written together.", min=1)]


def exchange(
    base: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model without the training: hub id, directory, .gguf, built in; default the base of each organism.",
            parser=name_or_path,
            autocompletion=complete_models,
        ),
    ] = None,
    thinking: Annotated[
        Names,
        typer.Option(
            metavar="MODELS",
            help="Model with it, or several joined by commas: each makes a pair with the base.",
            parser=Names.parse,
            autocompletion=complete_models,
        ),
    ] = THINKING,
    problems: Problems = None,
    out: OutDirectory = Path("runs/exchange"),
    quick: Quick = False,
    test: TestProblems = 200,
    samples: Samples = 2,
    plans: Plans = PLANS,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 200,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell which share of the gap between two models is *when* to do what, and which is *how* to do it.

    One model decides what each sentence does, and the other one writes it, both ways; nothing is steered or trained. A
    control writes the thinking model's behaviours in random order. `reasonlens calibrate` shows how well this reads
    pairs of which the truth is known.
    """
    import reasonlens

    settings = _settings(quick, test, samples, plans, max_new_tokens, temperature, rows, seed)
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


def calibrate(
    family: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY", help="Directory of a family with figures; default the built-in one.", parser=path_of
        ),
    ] = None,
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
    test: TestProblems = 200,
    samples: Samples = 2,
    jobs: Annotated[int, typer.Option(help="Pairs that are measured side by side, each on one thread.", min=1)] = 2,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the when-share on pairs of which the truth is known: mean error, order, every pair beside its truth."""
    import reasonlens

    settings = _settings(quick, test, samples, PLANS, 287, 1.0, 200, seed)
    result = reasonlens.calibrate(family, names, settings=settings, out=out, jobs=jobs)
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print_calibration(result)
    note(f"report: {out / 'report.html'}")
    next_command("exchange", "--thinking", "organism/rl-timing", "--out", "runs/one-pair")


def _settings(
    quick: bool,
    test: int,
    samples: int,
    plans: Names,
    max_new_tokens: int,
    temperature: float,
    rows: int,
    seed: int,
) -> ExchangeSettings:
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.ExchangeSettings(
        plans=tuple(plans),
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_test=test,
        n_rows=rows,
        seed=seed,
    )
    return settings.quicker() if quick else settings


def _print(result: ExchangeResult) -> None:
    print_table(
        ("pair", "base", "when", "how", "thinking", "gap", "when-share", "random order", "given"),
        [
            (
                name,
                *(f"{pair.cells[cell].accuracy.value:.3f}" for cell in ("base", "when", "how", "thinking")),
                str(pair.gap),
                str(pair.when_share),
                "–" if pair.control_share is None else str(pair.control_share),
                f"{pair.cells['when'].given:.1%}, {pair.cells['how'].given:.1%}",
            )
            for name, pair in result.pairs.items()
        ],
        title=f"{next(iter(result.pairs.values())).gap.n} test problems: value [95% interval over problems]",
        caption="when: the thinking model decides what each sentence does and the base writes it; how: the reverse. "
        "When-share: Shapley share of the gap that goes with who decides. Random order: share recovered by the same "
        "behaviours at other moments. Given: tokens of the decider's that led the writer on, in both.",
    )


def _print_calibration(result: Calibration) -> None:
    print_table(
        ("pair", "gap", "truth", "when-share", "random order", "given"),
        [
            (
                name,
                str(pair.gap),
                str(pair.truth),
                str(pair.readings["when-share"]),
                str(pair.readings.get("behaviours in random order", "–")),
                f"{pair.given:.1%}",
            )
            for name, pair in result.pairs.items()
        ],
        title="Shares of the gap that are when: value [95% interval over problems]",
        caption="Truth: by cross-play of decisions and content. The when-share knows neither.",
    )
    for row in result.scores().itertuples(index=False):
        order = "" if row.n_compared == 0 else f", {row.concordance:.0%} of {row.n_compared} pairs of pairs in order"
        say(f"{row.reading}: mean absolute error {row.mean_abs_error:.3f} on {row.n_pairs} pairs{order}")
