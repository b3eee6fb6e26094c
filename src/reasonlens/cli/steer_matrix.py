"""Steer models with each other's directions: `reasonlens steer matrix`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import interval, next_command, note, print_json, print_table, signed_interval_of
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviour,
    Device,
    Json,
    Layer,
    MaxNewTokens,
    Names,
    Numbers,
    Operation,
    OutDirectory,
    ProblemCount,
    Problems,
    Quiet,
    RandomCount,
    Seed,
    Strengths,
    Temperature,
    Template,
    When,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    import pandas as pd

STRENGTHS = Numbers((0.5, 1))


def matrix(
    vectors: Annotated[
        list[Path],
        typer.Argument(
            metavar="VECTORS...",
            help="Two or more files of directions, each of a model of the same width and depth.",
            parser=path_of,
        ),
    ],
    out: OutDirectory,
    behaviour: Behaviour,
    layer: Layer,
    models: Annotated[
        Names | None,
        typer.Option(
            metavar="NAMES",
            help="Models of the files, in their order, joined by commas; default by the files.",
            parser=Names.parse,
        ),
    ] = None,
    strengths: Strengths = STRENGTHS,
    random: RandomCount = 20,
    problems: Problems = None,
    n_problems: ProblemCount = 50,
    operation: Operation = "add",
    when: When = "sentences",
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 0.7,
    template: Template = "auto",
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Steer each model with the directions of each: source x target.

    Where a base model's direction moves the thinking model but not the base, both hold it and only one acts on it.
    """
    import reasonlens
    from reasonlens.analysis.effect import EffectSettings
    from reasonlens.generation import Sampling
    from reasonlens.rundir import InputError
    from reasonlens.vectors import Directions

    if len(vectors) < 2:
        raise InputError("a matrix needs the directions of two or more models; `steer sweep` takes one")
    opened = [Directions.open(path) for path in vectors]
    names = models or [str(directions.model.get("name", "")) for directions in opened]
    if len(set(names)) != len(vectors) or "" in names:
        raise InputError(f"name {len(vectors)} different models, one for each file (--models); got {', '.join(names)}")
    loaded = {
        name: load_named(name_or_path(name), directions.model, path, device)
        for name, directions, path in zip(names, opened, vectors, strict=True)
    }
    crossed = reasonlens.steer_matrix(
        loaded,
        dict(zip(names, opened, strict=True)),
        settings=EffectSettings(
            behaviours=(behaviour,),
            layers=(layer,),
            strengths=strengths,
            n_random=random,
            n_problems=n_problems,
            operation=operation,
            when=when,
            template=template,
            sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
            seed=seed,
        ),
        questions=problems,
        out=out,
    )
    effects = crossed.effects()
    if as_json:
        print_json(json.loads(effects.to_json(orient="records")))
    else:
        _print_matrix(effects)
    note(f"report: {out / 'report.html'}")
    next_command("steer", "sweep", vectors[0], "--behaviours", behaviour, "--out", "runs/sweep")


def _print_matrix(effects: pd.DataFrame) -> None:
    print_table(
        ("directions of", "steered", "strength", "change of rate", "p", "corrected", "wrong way", "KL", "n"),
        [
            (
                row["source"],
                row["target"],
                f"{row['strength']:g}",
                signed_interval_of(row, "effect"),
                f"{row['p_value']:.3f}",
                f"{row['p_corrected']:.3f}",
                interval(row["wrong_way"], row["wrong_way_low"], row["wrong_way_high"]),
                f"{row['kl_nats']:.2f}",
                str(row["n_problems"]),
            )
            for row in effects.to_dict("records")
        ],
        caption="p: rank among random directions of the same strength; corrected: over all strengths of a source and "
        "target. Wrong way: share of problems whose rate falls [95%].",
        n_names=2,
    )
