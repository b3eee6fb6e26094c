"""`reasonlens organisms`: train a family of model organisms, measure one, let one write labelled traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.stats import Interval

organisms = typer.Typer(
    help="The built-in model organisms: tiny models that reason in words, whose behaviours are known by rule.",
    no_args_is_help=True,
)


@organisms.command()
def train(
    out: Annotated[Path, typer.Option(help="Directory of the family: one model directory for each of its members.")],
    seed: Annotated[int, typer.Option(help="Seed of everything: weights, corpora, rollouts.", min=0)] = 0,
    jobs: Annotated[
        int,
        typer.Option(help="Models trained side by side, each on one thread; the weights do not depend on it.", min=1),
    ] = 2,
    members: Annotated[
        str, typer.Option(help="Which to train, joined by commas: base, rl, random-reward, sft, one-example, sft-same.")
    ] = "all",
) -> None:
    """Train a family: base, rl, random-reward, one-example, sft and sft-same. Resumes where a killed run stopped."""
    from reasonlens.organisms.training import FamilySettings, parse_members, train_family

    with user_errors():
        settings = FamilySettings(seed=seed, members=parse_members(members))
        seconds = train_family(out, settings, jobs)
    for name, took in seconds.items():
        typer.echo(f"{name:14} {took / 60:5.1f} min  {out / name}")


@organisms.command("traces")
def organism_traces_command(
    out: Annotated[Path, typer.Option(help="JSONL file to write, for `reasonlens locate --traces`.")],
    model: Annotated[str, typer.Option(help="organism/rl, organism/rl@60, or a directory of a trained one.")] = (
        "organism/rl"
    ),
    n_traces: Annotated[int, typer.Option("--n", help="How many responses.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Seed of problems and sampling.", min=0)] = 0,
    doubled: Annotated[bool, typer.Option("--doubled", help="Problems of the kind that only organism/sft learnt.")] = (
        False
    ),
    greedy: Annotated[bool, typer.Option("--greedy", help="Likeliest words instead of samples.")] = False,
) -> None:
    """Let an organism answer test problems and write its responses as traces, every sentence labelled by rule."""
    from reasonlens.organisms import organism_traces
    from reasonlens.traces import write_traces

    with user_errors():
        traces = organism_traces(model, n_traces, seed=seed, doubled=doubled, greedy=greedy)
        write_traces(traces, out)
    typer.echo(f"{out}: {len(traces)} traces, {sum(len(trace.spans) for trace in traces)} labelled sentences")


@organisms.command()
def evaluate(
    models: Annotated[
        Path | None,
        typer.Option(help="Directory of a trained family; default the built-in one."),
    ] = None,
    problems: Annotated[int, typer.Option(help="Test problems for accuracy and forcing.", min=20)] = 500,
    samples: Annotated[
        int,
        typer.Option(
            help="Responses to each of 60 ordinary and 60 differences-only problems for pass@k; 0: none.",
            min=0,
        ),
    ] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the test problems and of sampling.", min=0)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print model -> figure -> {value, low, high, n} instead of a table.")
    ] = False,
) -> None:
    """Measure a family on unseen problems: accuracy, skill, divergence from the base, pass@k, one-token takeover."""
    from reasonlens.organisms.evaluation import EvaluateSettings, evaluate_family

    with user_errors():
        table = evaluate_family(models, EvaluateSettings(problems=problems, samples=samples, seed=seed))
    if as_json:
        typer.echo(
            json.dumps({name: {key: value.to_dict() for key, value in row.items()} for name, row in table.items()})
        )
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 180  # a pipe has no width; rich would take 80 and cut numbers
    console.print(_organism_table(table))


def _organism_table(table: dict[str, dict[str, Interval]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    n = table["base"]["accuracy"].n
    drawn = Table(
        title=Text(f"Model organisms on {n} test problems: value [95% interval over problems]"),
        caption="A dash: not measured for this model. See docs/organisms.md for what each figure is.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    drawn.add_column("figure", no_wrap=True)
    for name in table:
        drawn.add_column(name, justify="right", overflow="fold")
    for figure in dict.fromkeys(figure for row in table.values() for figure in row):
        drawn.add_row(figure, *(Text(str(row.get(figure, "–"))) for row in table.values()))
    return drawn
