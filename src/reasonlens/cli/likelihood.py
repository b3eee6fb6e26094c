"""Measure how likely a base is to write what a thinking model writes: `reasonlens likelihood`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_of_pair, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Json,
    MaxNewTokens,
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
    from reasonlens.pairs.likelihood import LikelihoodResult


def likelihood(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/likelihood"),
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 16,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Optimise a vector for each behaviour too, to see to which loss it gets.")
    ] = False,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how likely a base is to write what a thinking model writes.

    Losses of either model's responses under either, ranks of the thinking model's tokens in the base, and how nearly
    the base writes the thinking model's behaviours if it tries several times. 100 test problems by default; `--quick`
    takes a quarter of them and half as many responses.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.LikelihoodSettings(
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_rows=rows,
        has_vectors=vectors,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    if test is not None:
        settings = replace(settings, n_test=test)
    result = reasonlens.likelihood(
        base, [name_or_path(name) for name in thinking], problems, settings=settings, out=out, device=device
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    next_of_pair("exchange", base, name_or_path(thinking[0]), problems, "--quick")


def _print(result: LikelihoodResult) -> None:
    from reasonlens.pairs.likelihood.pair_likelihood import in_words

    print_table(
        ("pair", "thinking by base", "base by base", "in top 1", "top 5", "top 10", "own top 5"),
        [
            (
                name,
                str(pair.loss("thinking", "base")),
                str(pair.loss("base", "base")),
                *(f"{pair.rank(rank).share.value:.3f}" for rank in (1, 5, 10)),
                f"{pair.rank(5).own_share.value:.3f}",
            )
            for name, pair in result.pairs.items()
        ],
        title="Loss in nats a token: value [95% interval over problems]; tokens among the base's likeliest",
        caption="thinking by base: the thinking model's responses, read by the base. Own: of the base's own tokens.",
    )
    for name, pair in result.pairs.items():
        for sentence in in_words(pair):
            say(f"{name}. {sentence}")
