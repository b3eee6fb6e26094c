"""Train a family of model organisms, measure one, let one write labelled traces: `reasonlens organisms`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reasonlens.cli.console import next_command, print_json, print_table, say
from reasonlens.cli.door import Group
from reasonlens.cli.options import (
    Family,
    Jobs,
    Json,
    Model,
    OutDirectory,
    OutDirectoryOrNone,
    OutFile,
    ProblemCount,
    Quiet,
    Samples,
    Seed,
    group_options,
)

if TYPE_CHECKING:
    from reasonlens.organisms.evaluation import Evaluation

organisms = typer.Typer(
    help="The built-in model organisms: tiny models that reason in words, whose behaviours are known by rule.",
    cls=Group,
)
organisms.callback()(group_options)


@organisms.command()
def train(
    out: OutDirectory,
    seed: Seed = 0,
    jobs: Jobs = 2,
    members: Annotated[
        str,
        typer.Option(
            help="Which to train, joined by commas, with all that they are made from: trunk,base-timing,rl-timing."
        ),
    ] = "all",
    quiet: Quiet = False,
) -> None:
    """Train a family: a trunk, its bases, and what is trained from them. Resumes where a killed run stopped."""
    import reasonlens
    from reasonlens.organisms.training import FamilySettings, parse_members

    settings = FamilySettings(seed=seed, members=parse_members(members))
    seconds = reasonlens.organisms_train(out, settings, jobs)
    for name, took in seconds.items():
        say(f"{name:18} {took / 60:5.1f} min  {out / name}")
    next_command("organisms", "evaluate", "--family", out)


@organisms.command("traces")
def traces_of(
    out: OutFile,
    model: Model = "organism/rl-timing",
    n_traces: Annotated[int, typer.Option("--n", help="How many responses.", min=1)] = 200,
    seed: Seed = 0,
    way: Annotated[
        Literal["hue", "form"] | None,
        typer.Option(help="Only problems that are solved by this way; default as they come, four of five by hue."),
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Likeliest words instead of samples.")] = False,
    quiet: Quiet = False,
) -> None:
    """Let an organism answer test problems and write its responses as traces, every sentence labelled by rule."""
    import reasonlens
    from reasonlens.traces import write_traces

    traces = reasonlens.organisms_traces(model, n_traces, seed=seed, way=way, greedy=greedy)
    write_traces(traces, out)
    say(f"{out}: {len(traces)} traces, {sum(len(trace.spans) for trace in traces)} labelled sentences")
    next_command("locate", "--model", model, "--traces", out, "--read", "before:1")


@organisms.command()
def evaluate(
    family: Family = None,
    out: OutDirectoryOrNone = None,
    n_problems: ProblemCount = 200,
    samples: Samples = 4,
    pass_samples: Annotated[
        int, typer.Option(help="Responses to each of 60 problems of each kind for pass@k; 0 leaves it out.", min=0)
    ] = 256,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a family on unseen problems: how much of each pair's gap is timing and how much is skill.

    Base and trained model are played against one another: the decisions of the one with the content of the other.
    `--samples` responses are sampled to each of `--n-problems` (10 or more). `--json` prints `chance_pass_at_256`,
    `pairs` (gap, timing_share, skill_share, ...), `models` and what guessers reach; numbers are value, low, high, n.
    """
    import reasonlens
    from reasonlens.organisms.evaluation import EvaluateSettings

    settings = EvaluateSettings(problems=n_problems, samples=samples, pass_samples=pass_samples, seed=seed)
    evaluation = reasonlens.organisms_evaluate(family, settings, out)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        _print_family(evaluation)
    next_command("hybrid", "--quick")


def _print_family(evaluation: Evaluation) -> None:
    print_table(
        ("model", "base", "accuracy", "of base", "gap", "timing share", "skill share"),
        [
            (
                name,
                pair.base,
                str(pair.accuracy["thinking"]),
                str(pair.accuracy["base"]),
                str(pair.gap),
                str(pair.timing_share),
                str(pair.skill_share),
            )
            for name, pair in evaluation.pairs.items()
        ],
        title="Pairs of model organisms on "
        f"{next(iter(evaluation.pairs.values())).gap.n} test problems: value [95% interval over problems]",
        caption=f"Shares of the gap by cross-play. The strongest guesser without timing solves "
        f"{evaluation.chance_pass_at_256:.4f} with 256 guesses. See docs/organisms.md for what each figure is.",
    )
