"""Find the layer and strength at which directions act: `reasonlens steer find`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasonlens.cli.console import next_command, note, print_json, print_table, signed_interval_of
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviours,
    Device,
    Force,
    Json,
    KlLimit,
    Layers,
    MaxNewTokens,
    ModelOrNone,
    Numbers,
    Operation,
    OutDirectory,
    ProblemCount,
    Problems,
    Quiet,
    Seed,
    Strengths,
    Temperature,
    Template,
    Vectors,
    When,
)

if TYPE_CHECKING:
    from reasonlens.analysis.effect import SteeringSearch

STRENGTHS = Numbers((0.1, 0.2, 0.3, 0.5, 0.75, 1))


def find(
    vectors: Vectors,
    out: OutDirectory,
    model: ModelOrNone = None,
    behaviours: Behaviours = None,
    layers: Layers = "all",
    strengths: Strengths = STRENGTHS,
    kl_limit: KlLimit = 1.0,
    problems: Problems = None,
    n_problems: ProblemCount = 50,
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
    """Find the layer and strength at which each direction brings its behaviour about, within a limit of KL.

    Example: `reasonlens steer find vectors.safetensors --problems gsm8k --out runs/found`

    All layers and strengths are tried on few problems, the better half on twice as many, and so on. The directions are
    written to `--out` with what was found, where `export` and `steer write` read it. The choice is no evidence: test it
    with `steer sweep`, which has controls, on other problems.
    """
    import reasonlens
    from reasonlens.analysis.effect import FindSettings
    from reasonlens.generation import Sampling
    from reasonlens.vectors import Directions

    directions = Directions.open(vectors)
    search = reasonlens.steer_find(
        load_named(model, directions.model, vectors, device),
        directions,
        settings=FindSettings(
            behaviours=behaviours,
            layers=layers,
            strengths=strengths,
            kl_limit_nats=kl_limit,
            n_problems=n_problems,
            operation=operation,
            when=when,
            template=template,
            sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
            seed=seed,
        ),
        questions=problems,
        out=out,
        force=force,
    )
    if as_json:
        print_json(search.to_dict())
    else:
        _print(search)
    note(f"report: {out / 'report.html'}")
    best = max(search.choices, key=lambda name: search.effects[name].value)
    chosen = search.choices[best]
    next_command(
        *("steer", "sweep", out / "vectors.safetensors", "--behaviours", best, "--layers", chosen.layer),
        *("--strengths", f"{chosen.strength:g}", *(() if when == "sentences" else ("--when", when))),
        *("--seed", seed + 1, "--out", "runs/sweep"),
    )


def _print(search: SteeringSearch) -> None:
    print_table(
        ("behaviour", "layer", "strength", "change of rate", "KL", "answered", "full grid"),
        [
            (
                name,
                str(choice.layer),
                f"{choice.strength:g}",
                signed_interval_of(search.effects[name].columns("effect"), "effect"),
                f"{choice.kl_nats:.2f}",
                str(search.n_decoded[name]),
                str(search.n_grid),
            )
            for name, choice in search.choices.items()
        ],
        title=f"{search.about['model']['name']}: layer and strength",
        caption="Change of the behaviour's rate [95% interval over problems], on the problems that layer and strength "
        "were chosen on: too good. KL: nats a token written, steered from unsteered. Answered: problems, once for each "
        "layer and strength.",
    )
