"""Compare ways to elicit reasoning from a base: `reasonlens elicit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.completion import complete_models
from reasonlens.cli.console import interval_of, next_command, next_of_pair, note, number, print_json, print_table, say
from reasonlens.cli.options import (
    Base,
    Behaviours,
    Device,
    Json,
    KlLimit,
    LayersOrNone,
    MaxNewTokens,
    Names,
    Numbers,
    OutDirectory,
    Problems,
    Quick,
    Quiet,
    Rows,
    Samples,
    Seed,
    Strengths,
    Temperature,
    Template,
    TestProblems,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.pairs.elicit import ElicitResult

STRENGTHS = Numbers((0.5, 1, 1.5))


def elicit(
    base: Base = None,
    thinking: Annotated[
        str | None,
        typer.Option(
            "--thinking",
            metavar="MODEL",
            help="Model with the training, where there is one; without --base and --problems organism/rl-timing.",
            parser=name_or_path,
            autocompletion=complete_models,
        ),
    ] = None,
    problems: Problems = None,
    out: OutDirectory = Path("runs/elicit"),
    arms: Annotated[
        Names | None,
        typer.Option(
            metavar="NAMES",
            help="Ways to compare, joined by commas: plain, step-by-step, cognitive-tools, steering, hybrid, "
            "reward-vectors, one-example, thinking; default all that the models allow.",
            parser=Names.parse,
        ),
    ] = None,
    quick: Quick = False,
    steer_with: Annotated[
        Path | None,
        typer.Option(
            metavar="VECTORS",
            help="Directions to steer with, such as `steer find` writes; default: found on the training problems.",
            parser=path_of,
        ),
    ] = None,
    reward_vectors: Annotated[
        Path | None,
        typer.Option(metavar="VECTORS", help="Vectors that `train-vectors` wrote for the base.", parser=path_of),
    ] = None,
    reward_steps: Annotated[
        int, typer.Option(help="Without such a file: steps to train some in; 0: no such arm.", min=0)
    ] = 0,
    train: Annotated[int | None, typer.Option(help="Problems that arms learn from; default 100.", min=1)] = None,
    validation: Annotated[
        int | None, typer.Option(help="Problems on which directions and strengths are chosen; default 40.", min=2)
    ] = None,
    test: TestProblems = None,
    samples: Samples = 16,
    wordings: Annotated[
        int, typer.Option(help="Ways in which problems are put, the usual one among them; 1: no others.", min=1)
    ] = 3,
    reworded: Annotated[
        int | None, typer.Option(help="Test problems that are put in the other ways; default 50.", min=2)
    ] = None,
    off_task: Annotated[
        int | None, typer.Option(help="Texts off the task whose loss is measured; default 40.", min=2)
    ] = None,
    behaviours: Behaviours = None,
    layers: LayersOrNone = None,
    strengths: Strengths = STRENGTHS,
    kl_limit: KlLimit = 1.0,
    examples: Annotated[int, typer.Option(help="Responses to the one problem of `one-example`.", min=2)] = 32,
    tuning_steps: Annotated[int, typer.Option(help="Steps of fine-tuning on one problem.", min=1)] = 40,
    tuning_rate: Annotated[float, typer.Option(help="Learning rate of fine-tuning, at its peak.")] = 1e-4,
    thinking_examples: Annotated[
        int | None, typer.Option(help="Responses that the thinking model was trained on, where that is known.", min=1)
    ] = None,
    thinking_flops: Annotated[
        float | None, typer.Option(help="FLOPs of the thinking model's training, where they are known.", min=0)
    ] = None,
    template: Template = "auto",
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare ways to get more out of a base: prompts, steering, a hybrid, one example, training by reward.

    Each beside the strongest cheap control, the majority of as many plain samples as it costs among them, with tokens,
    FLOPs, training examples, loss off the task and accuracy in other words. `--quick` takes a quarter of the problems
    and half as many samples of the plain prompt; arms are prepared as usual.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.ElicitSettings(
        arms=() if arms is None else arms,
        sampling=Sampling(n_samples=max(1, samples), temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        template=template,
        n_wordings=wordings,
        behaviours=None if behaviours is None else tuple(behaviours),
        layers=layers,
        strengths=tuple(strengths),
        kl_limit_nats=kl_limit,
        n_examples=examples,
        steps=tuning_steps,
        learning_rate=tuning_rate,
        reward_steps=reward_steps,
        thinking_examples=thinking_examples,
        thinking_flops=thinking_flops,
        n_rows=rows,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    sizes: dict[str, Any] = {
        "n_train": train,
        "n_validation": validation,
        "n_test": test,
        "n_reworded": reworded,
        "n_off_task": off_task,
    }
    settings = replace(settings, **{name: size for name, size in sizes.items() if size is not None})
    result = reasonlens.elicit(
        base,
        thinking,
        problems,
        directions=steer_with,
        reward_vectors=reward_vectors,
        settings=settings,
        out=out,
        device=device,
    )
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    if thinking is None and base is not None:
        next_command("train-vectors", "--base", base, *(() if problems is None else ("--problems", problems)))
    else:
        next_of_pair("exchange", base, thinking or "organism/rl-timing", problems, "--quick")


def _print(result: ElicitResult) -> None:
    print_table(
        ("arm", "accuracy", "over plain", "excess", "control", "FLOPs a response", "passes", "examples", "training"),
        [
            (
                one.arm,
                str(one.accuracy),
                str(one.gain),
                str(one.excess),
                one.control if one.is_matched else f"{one.control} (costs less)",
                f"{one.flops.value:.2e}",
                f"{one.passes.value:.0f}",
                "–" if one.training.n_examples is None else str(one.training.n_examples),
                "–" if one.training.flops != one.training.flops else f"{one.training.flops:.2e}",
            )
            for one in result.arms
        ],
        title=f"{result.arms[0].accuracy.n} test problems: value [95% interval over problems]",
        caption="Excess: over the strongest cheap control, which the next column names. Training: FLOPs.",
    )
    print_table(
        ("arm", "loss off the task, less the base's", "spread over wordings", "shuffled", "cut off", "chosen"),
        [
            (
                one.arm,
                str(one.loss_change),
                interval_of(one.spread.columns("spread"), "spread"),
                number(one.spread_shuffled),
                f"{one.truncated.value:.2f}",
                one.note,
            )
            for one in result.arms
        ],
        title="How fragile",
        caption=f"Loss: nats a token, {result.arms[0].loss.n} texts. Spread: greatest less least accuracy of the same "
        "problems; of shuffled answers beside it.",
    )
    for sentence in result.sentences()[-1 - len(result.refused) :]:
        say(sentence)
