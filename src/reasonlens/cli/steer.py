"""Write with a direction, sweep over strengths, steer models with each other's directions: `reasonlens steer`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import (
    next_command,
    note,
    number,
    print_json,
    print_rich,
    print_table,
    visible,
)
from reasonlens.cli.door import Group
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviour,
    Behaviours,
    Device,
    Force,
    Json,
    Layer,
    Layers,
    MaxNewTokens,
    ModelOrNone,
    Names,
    Numbers,
    Operation,
    OutDirectory,
    ProblemCount,
    Problems,
    Prompt,
    Quiet,
    RandomCount,
    Seed,
    Strength,
    Strengths,
    Temperature,
    Template,
    Vectors,
    When,
    group_options,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from reasonlens.analysis.effect import DoseCurves

SWEEP_STRENGTHS, MATRIX_STRENGTHS = Numbers((0.25, 0.5, 1, 2)), Numbers((0.5, 1))

steer = typer.Typer(
    name="steer",
    help="Steer a model with directions: write, sweep over strengths with controls, or one model with another's.",
    cls=Group,
    rich_markup_mode="markdown",
)

steer.callback()(group_options)


@steer.command()
def write(
    vectors: Vectors,
    prompt: Prompt,
    behaviour: Behaviour,
    layer: Layer,
    strength: Strength = 1.0,
    model: ModelOrNone = None,
    operation: Operation = "add",
    when: When = "response",
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Strength in units of the vector itself, as in other tools.")
    ] = False,
    max_new_tokens: MaxNewTokens = 120,
    temperature: Temperature = 0.0,
    template: Template = "auto",
    seed: Seed = 0,
    device: Device = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a prompt twice, unsteered and steered, with the same random numbers.

    Example: `reasonlens steer write runs/.../vectors.safetensors --behaviour backtracking --layer 14 --strength 0.5
    --prompt "What is 17 times 23?"`

    By default steers the model that the directions were found in.
    """
    from reasonlens.analysis.effect import steered_response
    from reasonlens.generation import Sampling
    from reasonlens.vectors import Directions

    directions = Directions.open(vectors)
    loaded = load_named(model, directions.model, vectors, device)
    response = steered_response(
        loaded,
        directions,
        prompt,
        behaviour=behaviour,
        layer=layer,
        strength=strength,
        operation=operation,
        when=when,
        absolute=absolute,
        sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
        template=template,
        seed=seed,
        force=force,
    )
    if as_json:
        print_json(response.to_dict())
    else:
        from rich.text import Text

        steered = f"{behaviour} x {strength:g} at layer {layer}"
        for title, text in (("unsteered", response.unsteered), (steered, response.steered)):
            print_rich(Text(title, style="bold underline"), Text(visible(text)), Text(), wrap=False)
    note(f"{response.n_steered} of {response.n_tokens} tokens steered")
    next_command("steer", "sweep", vectors, "--behaviours", behaviour, "--layers", layer, "--out", "runs/sweep")


@steer.command()
def sweep(
    vectors: Vectors,
    out: OutDirectory,
    model: ModelOrNone = None,
    behaviours: Behaviours = None,
    layers: Layers = "all",
    strengths: Strengths = SWEEP_STRENGTHS,
    random: RandomCount = 20,
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
    max_new_tokens: MaxNewTokens = 160,
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
    from reasonlens.analysis.effect import EffectSettings, dose_curves
    from reasonlens.generation import Sampling
    from reasonlens.vectors import Directions

    directions = Directions.open(vectors)
    curves = dose_curves(
        load_named(model, directions.model, vectors, device),
        directions,
        settings=EffectSettings(
            behaviours=behaviours,
            layers=layers,
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


@steer.command()
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
    strengths: Strengths = MATRIX_STRENGTHS,
    random: RandomCount = 20,
    problems: Problems = None,
    n_problems: ProblemCount = 50,
    operation: Operation = "add",
    when: When = "sentences",
    max_new_tokens: MaxNewTokens = 160,
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
    from reasonlens.analysis.effect import EffectSettings, steering_matrix
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
    crossed = steering_matrix(
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


def _print_layers(curves: DoseCurves, table: pd.DataFrame) -> None:
    accuracy = curves.unsteered.accuracy()
    print_table(
        ("behaviour", "layer", "strength", "change of rate", "random", "p", "KL", "AUROC", "rank: effect", "AUROC"),
        [
            (
                row["behaviour"],
                str(row["layer"]),
                f"{row['strength']:g}",
                _effect(row),
                f"{row['random_mean']:+.3f}, {row['random_max']:+.3f}",
                f"{row['p_value']:.3f}",
                f"{row['kl_nats']:.2f}",
                number(row["auroc"]),
                number(row["rank_effect"], 0),
                number(row["rank_auroc"], 0),
            )
            for row in table.to_dict("records")
        ],
        title=f"{curves.about['model']['name']}: {len(curves.unsteered.n_sentences)} problems"
        + (f", unsteered accuracy {accuracy}" if accuracy else ""),
        caption="Change of the behaviour's rate [95% interval over problems] at the strength of the largest, beside "
        "the mean and the largest of random directions; p: rank among them, not corrected for that choice. KL: nats a "
        "token on neutral text. Ranks: 1 for the best layer.",
    )


def _print_matrix(effects: pd.DataFrame) -> None:
    print_table(
        ("directions of", "steered", "strength", "change of rate", "p", "KL", "n"),
        [
            (
                row["source"],
                row["target"],
                f"{row['strength']:g}",
                _effect(row),
                f"{row['p_value']:.3f}",
                f"{row['kl_nats']:.2f}",
                str(row["n_problems"]),
            )
            for row in effects.to_dict("records")
        ],
        caption="p: rank among random directions of the same strength.",
        n_names=2,
    )


def _effect(row: dict[Any, Any]) -> str:
    return f"{row['effect']:+.3f} [{row['effect_low']:+.3f}, {row['effect_high']:+.3f}]"
