"""The command line: parse, call the library, print. Results go to stdout, everything else to stderr.

Heavy imports stand inside the commands, so that `reasonlens --help` answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reasonlens.cli.collect import collect
from reasonlens.cli.console import note, notes_on_stderr, user_errors
from reasonlens.cli.directions import directions
from reasonlens.cli.export import convert, export, import_
from reasonlens.cli.figure import figure
from reasonlens.cli.hybrid import hybrid
from reasonlens.cli.organisms import organisms
from reasonlens.cli.probe import probe
from reasonlens.cli.score import score
from reasonlens.cli.stability import stability
from reasonlens.cli.steer import steer

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    name="reasonlens",
    help="Locate reasoning directions in language models and test what they do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.callback()
def common(context: typer.Context) -> None:
    """Locate reasoning directions in language models and test what they do."""
    context.with_resource(notes_on_stderr())


app.add_typer(organisms, name="organisms")
app.add_typer(steer, name="steer")
app.command()(collect)
app.command()(probe)
app.command()(score)
app.command()(stability)
app.command()(directions)
app.command()(hybrid)
app.command()(export)
app.command()(figure)
app.command("import")(import_)
app.command()(convert)


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
            "it), `window:BEGIN:END` (counted from its first; -1 and 10 are the published choice)."
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
    next_behaviour: Annotated[
        bool,
        typer.Option(
            "--next/--no-next", help="Also probe the last token before each span: does the model know what comes?"
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help="Of folds, shuffled labels, permutations and bootstrap.")] = 0,
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
        from reasonlens.analysis._locate import ARTIFACTS, open_run, resolve_traces
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
            next_behaviour=next_behaviour,
            seed=seed,
        )
        examples = resolve_traces(traces)
        out = out or default_out(model, traces, settings)
        if open_run(out, model, examples, settings).is_done(ARTIFACTS):
            note(f"{out} is done already; remove it or choose another --out to run again")
        else:
            run_locate(model, examples, settings=settings, out=out, device=device)
        text = (out / "results.json").read_text("utf-8")
        timings = open_run(out, model, examples, settings).timings_seconds
    if as_json:
        typer.echo(text, nl=False)
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = 124  # a pipe has no width; rich would take 80 and cut names
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
        caption="AUROC [95% interval over problems], the layer of every fold chosen on the others; next: the same at "
        "the last token before the span. Unmarked: spans without tell-tale words, at the best layer. Controls: labels "
        "shuffled (chance is 0.5), and what the span's words, its position and its token embeddings tell without the "
        "model. n: spans / problems.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("layer", "AUROC", "next", "unmarked", "shuffled", "words", "position", "tokens", "n"):
        table.add_column(column, justify="right", no_wrap=True)

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    coming = results["next_behaviours"] or {}
    for name, found in results["behaviours"].items():
        best = found["layers"][str(found["best_layer"])]
        low, high = found["auroc_nested_low"], found["auroc_nested_high"]
        table.add_row(
            Text(name),
            str(found["best_layer"]),
            Text(f"{number(found['auroc_nested'])} [{number(low)}, {number(high)}]"),
            number(coming.get(name, {}).get("auroc_nested")),
            number(best["auroc_unmarked"]),
            number(best["auroc_shuffled"]),
            number(found["auroc_text"]),
            number(found["auroc_position"]),
            number(found["auroc_embeddings"]),
            f"{found['n_positive']} / {found['n_problems']}",
        )
    return table


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what is installed, which devices there are, and what is missing and how to get it."""
    from reasonlens.cli.diagnosis import diagnosis

    found = diagnosis()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for title, entries in found.items():
        typer.echo(title)
        for name, value in entries.items():
            typer.echo(f"  {name:24} {value}")
