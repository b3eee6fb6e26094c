"""Compare a base and a thinking model at k samples of each problem: `reasonlens passk`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.completion import complete_models
from reasonlens.cli.console import interval, next_command, next_of_pair, note, print_json, print_table, say
from reasonlens.cli.options import (
    Base,
    Device,
    Json,
    MaxNewTokens,
    Numbers,
    OutDirectoryOrNone,
    Problems,
    Quick,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    TestProblems,
    TopP,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.pairs.passk import PasskResult

OUT = Path("runs/passk")


def passk(
    base: Base = None,
    thinking: Annotated[
        str | None,
        typer.Option(
            "--thinking",
            metavar="MODEL",
            help="Model with the training; default organism/rl-timing.",
            parser=name_or_path,
            autocompletion=complete_models,
        ),
    ] = None,
    problems: Problems = None,
    base_counts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='In place of sampling: rows {"id", "n", "c"} of the base (n samples, c right), or a log of inspect_ai '
            "(JSON) or lm-eval.",
            parser=path_of,
        ),
    ] = None,
    thinking_counts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same of the thinking model.", parser=path_of)
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which score of a log counts, where it has several.")
    ] = None,
    out: OutDirectoryOrNone = None,
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 64,
    k: Annotated[
        Numbers | None,
        typer.Option(
            "--k",
            metavar="NUMBERS",
            help="Numbers of samples to look at, joined by commas; default all up to the fewest of any problem.",
            parser=Numbers.parse,
        ),
    ] = None,
    chance: Annotated[
        float | None, typer.Option(help="Success rate of a guess, where it is not known from the problems.")
    ] = None,
    measure_chance: Annotated[
        bool, typer.Option("--measure-chance", help="Of organisms: also let guessers speak with the models' own words.")
    ] = False,
    least_samples: Annotated[
        int, typer.Option(help="Leave out problems with fewer samples of either model.", min=1)
    ] = 1,
    step_by_step: Annotated[bool, typer.Option("--step-by-step", help="Ask the base to reason step by step.")] = False,
    resamples: Annotated[int, typer.Option(help="Resamples of the problems for bands and intervals.", min=100)] = 4000,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell who solves more with k samples of each problem, and from which k on the base overtakes the thinking model.

    Samples both models, or reads counts of right samples. The band holds for all k at once, so it says where training
    surely helps and where it surely hurts. 100 problems and 64 samples by default; `--quick` takes half as many of
    both. More `--samples` on the same `--out` are added to those that are there.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    sampling = Sampling(n_samples=samples, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens)
    settings = reasonlens.PasskSettings(
        sampling=sampling,
        n_rows=rows,
        step_by_step=step_by_step,
        measures_chance=measure_chance,
        ks=None if k is None else _whole(k),
        chance=chance,
        least_samples=least_samples,
        n_resamples=resamples,
        seed=seed,
    )
    if test is not None:
        settings = replace(settings, n_test=test)
    if quick:
        settings = settings.quicker()
    is_sampled = base_counts is None and thinking_counts is None
    place = OUT if out is None and is_sampled else out
    result = reasonlens.passk(
        base,
        thinking,
        problems,
        base_counts=base_counts,
        thinking_counts=thinking_counts,
        score=score,
        settings=settings,
        out=place,
        device=device,
    )
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    if place is not None:
        note(f"report: {place / 'report.html'}")
    if is_sampled:
        next_of_pair("exchange", base, thinking or "organism/rl-timing", problems, "--quick")
    elif place is None:
        counts = [("--base-counts", base_counts), ("--thinking-counts", thinking_counts), ("--score", score)]
        words = [word for name, value in counts if value is not None for word in (name, value)]
        next_command("passk", *words, "--out", OUT)
    else:
        next_command("runs", place)


def _whole(numbers: Numbers) -> tuple[int, ...]:
    from reasonlens.rundir import InputError

    if fractions := [number for number in numbers if number != int(number) or number < 1]:
        raise InputError(f"--k takes whole numbers from 1, joined by commas, and {fractions[0]:g} is none")
    return tuple(int(number) for number in numbers)


def _print(result: PasskResult) -> None:
    frame = result.to_frame()
    last = frame["k"].max()
    is_shown = [k & (k - 1) == 0 or k == last or result.settings.ks is not None for k in frame["k"]]
    print_table(
        ("grading", "k", "base", "thinking", "thinking less base", "thinking is surely", "chance"),
        [
            (
                row["grading"],
                str(row["k"]),
                *(
                    interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
                    for name in ("base", "thinking", "difference")
                ),
                row["standing"],
                "–" if row["chance"] != row["chance"] else f"{row['chance']:.2g}",
            )
            for row in frame[is_shown].to_dict("records")
        ],
        title=f"pass@k of {len(result.base_counts)} problems: value [95% band over problems, all k at once]",
        caption="A k is ahead or behind where the whole band is. Chance: what guesses reach.",
    )
    for sentence in result.sentences():
        say(sentence)
