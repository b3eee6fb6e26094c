"""Measure what directions do, by layer and strength: `reasonlens steer sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import interval, next_command, note, number, print_json, print_table, signed_interval_of
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviours,
    Device,
    Force,
    Json,
    Layers,
    MaxNewTokens,
    ModelOrNone,
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
    Vectors,
    When,
    path_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from reasonlens.analysis.effect import StrengthCurves

STRENGTHS = Numbers((0.25, 0.5, 1, 2))


def sweep(
    vectors: Vectors,
    out: OutDirectory,
    model: ModelOrNone = None,
    behaviours: Behaviours = None,
    layers: Layers = "all",
    strengths: Strengths = STRENGTHS,
    random: RandomCount = 20,
    max_kl: Annotated[
        float | None,
        typer.Option(
            metavar="NATS",
            help="Try a direction only where it moves neutral text by at most this KL a token (try 0.1).",
        ),
    ] = None,
    problems: Problems = None,
    n_problems: ProblemCount = 50,
    auroc: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Directions with AUROCs to rank layers by, as `locate` writes; default those of VECTORS.",
            parser=path_of,
        ),
    ] = None,
    operation: Operation = "add",
    when: When = "sentences",
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 0.7,
    template: Template = "auto",
    seed: Seed = 0,
    device: Device = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure what each direction does, by layer and strength: how often its behaviour is written, what breaks.

    Always beside random directions of the same strength and the unembedding of the tell-tale word. Layers are ranked
    by effect beside their AUROC. Costs layers x strengths x (random + 2 x behaviours) rounds of answering: narrow
    `--layers` on a CPU.
    """
    import reasonlens
    from reasonlens.analysis.effect import EffectSettings
    from reasonlens.generation import Sampling
    from reasonlens.vectors import Directions

    directions = Directions.open(vectors)
    curves = reasonlens.steer_sweep(
        load_named(model, directions.model, vectors, device),
        directions,
        settings=EffectSettings(
            behaviours=behaviours,
            layers=layers,
            strengths=strengths,
            n_random=random,
            max_kl_nats=max_kl,
            n_problems=n_problems,
            operation=operation,
            when=when,
            template=template,
            sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
            seed=seed,
        ),
        questions=problems,
        ranked=Directions.open(auroc) if auroc else None,
        out=out,
        force=force,
    )
    results = curves.to_dict()
    table = curves.by_layer()
    if as_json:
        print_json(results)
    else:
        _print_layers(curves, table)
    note(f"report: {out / 'report.html'}")
    best = max(table.to_dict("records"), key=lambda row: row["effect"])
    aim = ("--behaviour", best["behaviour"], "--layer", best["layer"], "--strength", f"{best['strength']:g}")
    next_command("export", vectors, "--print", "transformers", *aim)


def _print_layers(curves: StrengthCurves, table: pd.DataFrame) -> None:
    accuracy = curves.unsteered.accuracy()
    print_table(
        (
            "behaviour",
            "layer",
            "strength",
            "change of rate",
            "random",
            "p",
            "corrected",
            "wrong way",
            "KL",
            "AUROC",
            "rank: effect",
            "AUROC",
        ),
        [
            (
                row["behaviour"],
                str(row["layer"]),
                f"{row['strength']:g}",
                signed_interval_of(row, "effect"),
                f"{row['random_mean']:+.3f}, {row['random_max']:+.3f}",
                f"{row['p_value']:.3f}",
                f"{row['p_corrected']:.3f}",
                interval(row["wrong_way"], row["wrong_way_low"], row["wrong_way_high"]),
                f"{row['kl_nats']:.2f}",
                number(row["auroc"]),
                number(row["rank_effect"], 0),
                number(row["rank_auroc"], 0),
            )
            for row in table.to_dict("records")
        ],
        title=f"{curves.about['model']['name']}: {len(set(curves.unsteered.problems))} problems"
        + (f", unsteered accuracy {accuracy}" if accuracy else "")
        + (f" ({unsure:.1%} unsure)" if (unsure := curves.unsteered.unsure()) else ""),
        caption="Change of the behaviour's rate [95% interval over problems] at the strength of the largest, beside "
        f"the mean and the largest of {table['n_random'].min()} random directions; p: rank among them, which cannot be "
        f"below {1 / (1 + table['n_random'].min()):.3f} (--random); corrected: over all {curves.n_cells} combinations "
        "of layer, strength and behaviour, by the largest effect of each random direction. Wrong way: share of "
        "problems whose rate falls [95%]. KL: nats a token on neutral text. Ranks: 1 for the highest layer.",
    )
