"""Train vectors by reward in a frozen base: `reasonlens train-vectors`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    Base,
    Device,
    Json,
    Layers,
    MaxNewTokens,
    Names,
    OutDirectory,
    Problems,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    Template,
    TestProblems,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.pairs.reward import TrainedVectors

NO_NAMES = Names(())


def train_vectors(
    base: Base = None,
    problems: Problems = None,
    trained: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model that was trained as a whole: how much of its gap to the base do vectors recover?",
            parser=name_or_path,
        ),
    ] = None,
    also: Annotated[
        Names,
        typer.Option(
            metavar="MODELS",
            help="Other bases of the same shape, joined by commas, in which the same vectors are tried.",
            parser=Names.parse,
        ),
    ] = NO_NAMES,
    directions: Annotated[
        Path | None,
        typer.Option(
            metavar="VECTORS",
            help="Directions of behaviours, to compare the vectors with; default of organisms: extracted anew.",
            parser=path_of,
        ),
    ] = None,
    layers: Layers = "all",
    out: OutDirectory = Path("runs/train-vectors"),
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.", min=1)] = 60,
    groups: Annotated[int, typer.Option(help="Problems in each step.", min=1)] = 8,
    samples: Samples = 8,
    learning_rate: Annotated[
        float,
        typer.Option(help="What a step moves a coordinate by, in units of its size in the residual stream."),
    ] = 0.02,
    kl_weight: Annotated[
        float,
        typer.Option(help="Reward lost for each nat a token of KL to the base; 0: the KL is measured only.", min=0),
    ] = 0.0,
    form: Annotated[
        Literal["any", "line", "number"],
        typer.Option(help="Form without which an answer earns nothing: a bare `number`, or one in the first `line`."),
    ] = "any",
    partial: Annotated[
        float, typer.Option(help="Reward of a right answer in another form; in the form it is 1.", min=0, max=1)
    ] = 0.0,
    pool: Annotated[int, typer.Option(help="Problems to train on; asked again where they run out.", min=1)] = 1000,
    test: TestProblems = None,
    ablations: Annotated[
        str, typer.Option(help="Blocks whose vector is tried alone, and left out, as --layers; `none`.")
    ] = "all",
    random_vectors: Annotated[int, typer.Option(help="Draws of random vectors of the same norms.", min=0)] = 2,
    template: Template = "plain",
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train one vector a block of a frozen base by the reward of its answers, and find out what the vectors do.

    Each block's vector is tried alone and left out; random vectors of the same norms and the same vectors at other
    blocks are the controls. The base with its vectors is a model by name, BASE+DIRECTORY/vectors.safetensors, and so a
    pair for `hybrid` and `exchange`.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    if base is None:
        raise reasonlens.InputError("which model gets vectors? give --base, such as --base organism/base-timing")
    settings = reasonlens.RewardSettings(
        layers=layers,
        steps=steps,
        problems=groups,
        samples=samples,
        learning_rate=learning_rate,
        kl_weight=kl_weight,
        form=form,
        partial=partial,
        sampling=Sampling(n_samples=1, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_train=pool,
        n_test=200 if test is None else test,
        ablations=ablations,
        n_random=random_vectors,
        n_rows=rows,
        seed=seed,
    )
    result = reasonlens.train_vectors(
        base,
        problems,
        thinking=trained,
        also=[name_or_path(name) for name in also],
        directions=directions,
        template=template,
        settings=settings,
        out=out,
        device=device,
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    problem_words = () if problems is None or problems == "organism" else ("--problems", problems)
    next_command("exchange", "--thinking", f"{base}+{out / 'vectors.safetensors'}", *problem_words)


def _print(result: TrainedVectors) -> None:
    print_table(
        ("base", "arm", "right", "right in form", "gain in form", "share of gain", "gap recovered"),
        [
            (
                one.model,
                one.arm,
                f"{one.accuracy.value:.3f}",
                f"{one.in_form.value:.3f}",
                str(one.gain_in_form),
                str(one.share_of_gain),
                "–" if one.gap is None else str(one.gap),
            )
            for one in result.arms
        ],
        title=f"{result.arms[0].accuracy.n} test problems: value [95% interval over problems]",
        caption="Shares are of right answers in form, unclipped: of the gain of all vectors, and of the gap to the "
        "model that was trained as a whole.",
    )
    say(f"gain in form {result.gain}; beyond format {result.gain_beyond_format}")
