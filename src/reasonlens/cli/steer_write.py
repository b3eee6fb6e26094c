"""Write with a direction, beside the unsteered model: `reasonlens steer write`."""

from __future__ import annotations

from typing import Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_rich, visible
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviour,
    Device,
    Force,
    Json,
    LayerOrNone,
    MaxNewTokens,
    ModelOrNone,
    Operation,
    Prompt,
    Quiet,
    Seed,
    StrengthOrNone,
    Temperature,
    Template,
    Vectors,
    WhenOrNone,
)


def write(
    vectors: Vectors,
    prompt: Prompt,
    behaviour: Behaviour,
    layer: LayerOrNone = None,
    strength: StrengthOrNone = None,
    model: ModelOrNone = None,
    operation: Operation = "add",
    when: WhenOrNone = None,
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

    Example: `reasonlens steer write runs/.../vectors.safetensors --behaviour uncertainty-estimation --layer 14
    --prompt "What is 17 times 23?"`

    By default steers the model that the directions were found in, with the strongest steering that moves neutral text
    by at most 0.1 nats a token: more makes most models write nonsense. Without `--layer`: where and as strongly as
    `steer find` has found, at the tokens that it steered; else `--when` is `response`.
    """
    import reasonlens
    from reasonlens.analysis.effect.strength_limit import KL_LIMIT_NATS
    from reasonlens.generation import Sampling
    from reasonlens.vectors import Directions

    directions = Directions.open(vectors)
    loaded = load_named(model, directions.model, vectors, device)
    response = reasonlens.steer_write(
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

        steered = f"{behaviour} x {response.strength:g} at layer {response.layer}"
        for title, text in (("unsteered", response.unsteered), (steered, response.steered)):
            print_rich(Text(title, style="bold underline"), Text(visible(text)), Text(), wrap=False)
    if response.kl_nats is not None:
        note(
            f"strength {response.strength:g}: the strongest tried that moves neutral text by at most {KL_LIMIT_NATS:g} "
            f"nats a token ({response.kl_nats:.2g}); --strength sets another"
        )
    note(f"{response.n_steered} of {response.n_tokens} tokens steered")
    next_command(
        "steer", "sweep", vectors, "--behaviours", behaviour, "--layers", response.layer, "--out", "runs/sweep"
    )
