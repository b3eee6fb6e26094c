"""The command line: parse, call the library, print. Results go to stdout, everything else to stderr.

Heavy imports stand inside the commands, so that `reasonlens --help` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.organisms.evaluation import Figure

app = typer.Typer(
    name="reasonlens",
    help="Locate reasoning directions in language models and test what they do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2."""
    from reasonlens.models import InputError

    try:
        yield
    except InputError as error:
        typer.echo(f"reasonlens: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("reasonlens: stopped; the same command takes up what was finished", err=True)
        raise typer.Exit(130) from None


def note(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def locate(
    model: Annotated[
        str,
        typer.Option(
            help="Hub id, model directory, .gguf file, or built in: smollm2-135m, organism/base, organism/rl."
        ),
    ] = "smollm2-135m",
    traces: Annotated[
        str, typer.Option(help="JSONL file of labelled traces, or `bundled` for those that come with reasonlens.")
    ] = "bundled",
    layers: Annotated[str, typer.Option(help="Blocks whose output is read, from 0: `all`, `0,4,10:20:2`.")] = "all",
    read: Annotated[
        str,
        typer.Option(
            help="Tokens of a span that are averaged: `mean` (all), `first`, `last`, `before:N` (the N that lead up to "
            "it), `window:A:B` (from A to B counted from its first; `window:-1:10` is the published choice)."
        ),
    ] = "mean",
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the results; default one of its own under runs/."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="`cpu`, `cuda`, `cuda:1`; default CUDA where there is one.")
    ] = None,
    behaviours: Annotated[
        str | None,
        typer.Option(help="Labels to probe, joined by commas; default all. Others still serve as negatives."),
    ] = None,
    template: Annotated[
        Literal["auto", "chat", "plain"],
        typer.Option(help="Whether prompts go through the chat template; `auto`: if the tokenizer has one."),
    ] = "auto",
    truncate: Annotated[bool, typer.Option(help="Cut texts longer than the model's context.")] = False,
    against: Annotated[
        Literal["others", "overall"],
        typer.Option(help="Mean differences against all other spans, or against the overall mean."),
    ] = "others",
    rescale: Annotated[bool, typer.Option(help="Give directions the norm of the overall mean activation.")] = False,
    folds: Annotated[int, typer.Option(help="Cross-validation folds; none cuts a problem.")] = 5,
    seed: Annotated[int, typer.Option(help="Of folds, shuffled labels and bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """Find where in a model the directions of reasoning behaviours lie.

    Reads the residual stream at every layer for every labelled span, takes each behaviour's mean-difference direction,
    and fits a probe for each behaviour and layer with its controls. Without options: SmolLM2-135M on the bundled
    traces, two to four minutes on a laptop.

    Writes vectors.safetensors, probes.safetensors, results.json, report.html and run.json (and the activations) into
    the output directory. The same command again takes up an interrupted run, or says that it is done.
    """
    with user_errors():
        from reasonlens.analysis import LocateSettings
        from reasonlens.analysis import locate as run_locate
        from reasonlens.analysis.locate import ARTIFACTS, open_run, resolve_traces
        from reasonlens.analysis.settings import default_out

        settings = LocateSettings(
            layers=layers,
            read=read,
            template=template,
            truncate=truncate,
            behaviours=tuple(name.strip() for name in behaviours.split(",")) if behaviours else None,
            against=against,
            rescale=rescale,
            n_folds=folds,
            seed=seed,
        )
        examples = resolve_traces(traces)
        out = out or default_out(model, traces, settings)
        if open_run(out, model, examples, settings).is_done(ARTIFACTS):
            note(f"{out} is done already; remove it or choose another --out to run again")
        else:
            run_locate(model, examples, settings=settings, out=out, device=device, note=note)
        text = (out / "results.json").read_text("utf-8")
        timings = open_run(out, model, examples, settings).timings_seconds
    if as_json:
        typer.echo(text, nl=False)
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = 110  # a pipe has no width; rich would take 80 and cut names
        console.print(_located_table(json.loads(text)))
    note("seconds: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in timings.items()))
    note(f"report: {out / 'report.html'}")


def _located_table(results: dict[str, Any]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(
            f"{results['model']['name']}: {results['traces']['n_spans']} spans of "
            f"{results['traces']['n_problems']} problems, read {results['settings']['read']}"
        ),
        caption="AUROC at the best layer [95% interval over problems]. Unmarked: spans without tell-tale words. "
        "Controls: labels shuffled (chance is 0.5), and what the span's words and its position tell without a model. "
        "n: spans / problems.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("layer", "AUROC", "unmarked", "shuffled", "words", "position", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in results["behaviours"].items():
        best = found["layers"][str(found["best_layer"])]
        unmarked = best["auroc_unmarked"]
        table.add_row(
            Text(name),
            str(found["best_layer"]),
            Text(f"{best['auroc']:.3f} [{best['auroc_low']:.3f}, {best['auroc_high']:.3f}]"),
            "–" if unmarked is None else f"{unmarked:.3f}",
            f"{best['auroc_shuffled']:.3f}",
            f"{found['auroc_text']:.3f}",
            f"{found['auroc_position']:.3f}",
            f"{found['n_positive']} / {found['n_problems']}",
        )
    return table


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what is installed, which devices there are, and what is missing and how to get it."""
    from reasonlens.doctor import diagnosis

    found = diagnosis()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for title, entries in found.items():
        typer.echo(title)
        for name, value in entries.items():
            typer.echo(f"  {name:24} {value}")


organisms = typer.Typer(
    help="The built-in model organisms: tiny models that reason in words, whose behaviours are known by rule.",
    no_args_is_help=True,
)
app.add_typer(organisms, name="organisms")


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
        seconds = train_family(out, settings, jobs, note)
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
        int, typer.Option(help="Responses to each of 100 problems for pass@k; 0 leaves it out.", min=0)
    ] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the test problems and of sampling.", min=0)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print model -> figure -> {value, low, high, n} instead of a table.")
    ] = False,
) -> None:
    """Measure a family on unseen problems: accuracy, skill, divergence from the base, pass@k, one-token takeover."""
    from reasonlens.organisms.evaluation import EvaluateSettings, evaluate_family

    with user_errors():
        table = evaluate_family(models, EvaluateSettings(problems=problems, samples=samples, seed=seed), note)
    if as_json:
        typer.echo(
            json.dumps({name: {key: value.to_json() for key, value in row.items()} for name, row in table.items()})
        )
        return
    from rich.console import Console

    Console().print(_organism_table(table))


def _organism_table(table: dict[str, dict[str, Figure]]) -> Table:
    from rich import box
    from rich.table import Table

    drawn = Table(
        title="Model organisms on test problems: value [95% interval over problems]",
        caption="A dash: not measured for this model. See docs/organisms.md for what each figure is.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    drawn.add_column("figure", no_wrap=True)
    for name in table:
        drawn.add_column(name, justify="right", overflow="fold")
    for figure in dict.fromkeys(figure for row in table.values() for figure in row):
        drawn.add_row(figure, *(str(row.get(figure, "–")) for row in table.values()))
    return drawn


def main() -> None:
    """The entry point of the `reasonlens` command."""
    sys.exit(app())


if __name__ == "__main__":
    main()
