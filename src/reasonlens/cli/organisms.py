"""Train a family of model organisms, measure one, let one write labelled traces: `reasonlens organisms`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import UNKNOWN, next_command, print_json, print_table, say
from reasonlens.cli.door import Group
from reasonlens.cli.options import (
    Json,
    Model,
    OutDirectory,
    OutFile,
    ProblemCount,
    Quiet,
    Samples,
    Seed,
    group_options,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.stats import Interval

organisms = typer.Typer(
    help="The built-in model organisms: tiny models that reason in words, whose behaviours are known by rule.",
    cls=Group,
)
organisms.callback()(group_options)


@organisms.command()
def train(
    out: OutDirectory,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(help="Models trained side by side, each on one thread; the weights do not depend on it.", min=1),
    ] = 2,
    members: Annotated[
        str, typer.Option(help="Which to train, joined by commas: base, rl, random-reward, sft, one-example, sft-same.")
    ] = "all",
    quiet: Quiet = False,
) -> None:
    """Train a family: base, rl, random-reward, one-example, sft and sft-same. Resumes where a killed run stopped."""
    import reasonlens
    from reasonlens.organisms.training import FamilySettings, parse_members

    settings = FamilySettings(seed=seed, members=parse_members(members))
    seconds = reasonlens.organisms_train(out, settings, jobs)
    for name, took in seconds.items():
        say(f"{name:14} {took / 60:5.1f} min  {out / name}")
    next_command("organisms", "evaluate", "--family", out)


@organisms.command("traces")
def traces_of(
    out: OutFile,
    model: Model = "organism/rl",
    n_traces: Annotated[int, typer.Option("--n", help="How many responses.", min=1)] = 200,
    seed: Seed = 0,
    doubled: Annotated[
        bool, typer.Option("--doubled", help="Problems of the kind that only organism/sft learnt.")
    ] = False,
    greedy: Annotated[bool, typer.Option("--greedy", help="Likeliest words instead of samples.")] = False,
    quiet: Quiet = False,
) -> None:
    """Let an organism answer test problems and write its responses as traces, every sentence labelled by rule."""
    import reasonlens
    from reasonlens.traces import write_traces

    traces = reasonlens.organisms_traces(model, n_traces, seed=seed, doubled=doubled, greedy=greedy)
    write_traces(traces, out)
    say(f"{out}: {len(traces)} traces, {sum(len(trace.spans) for trace in traces)} labelled sentences")
    next_command("locate", "--model", model, "--traces", out, "--read", "before:1")


@organisms.command()
def evaluate(
    family: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY", help="Directory of a trained family; default the built-in one.", parser=path_of
        ),
    ] = None,
    n_problems: ProblemCount = 500,
    samples: Samples = 256,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a family on unseen problems: accuracy, skill, divergence from the base, pass@k, one-token takeover.

    `--n-problems` (20 or more) count for accuracy and forcing. For pass@k, `--samples` responses are sampled to each of
    60 ordinary and 60 differences-only problems; 0 leaves it out. `--json` prints model -> figure -> value, low, high,
    n.
    """
    import reasonlens
    from reasonlens.organisms.evaluation import EvaluateSettings

    table = reasonlens.organisms_evaluate(family, EvaluateSettings(problems=n_problems, samples=samples, seed=seed))
    if as_json:
        print_json({name: {key: figure.to_dict() for key, figure in row.items()} for name, row in table.items()})
    else:
        _print_family(table)
    next_command("hybrid", "--quick")


def _print_family(table: dict[str, dict[str, Interval]]) -> None:
    figures = dict.fromkeys(figure for row in table.values() for figure in row)
    print_table(
        ("figure", *table),
        [[figure, *(str(row.get(figure, UNKNOWN)) for row in table.values())] for figure in figures],
        title=f"Model organisms on {table['base']['accuracy'].n} test problems: value [95% interval over problems]",
        caption="A dash: not measured for this model. See docs/organisms.md for what each figure is.",
    )
