"""`reasonlens probe`: believable probes on collected activations, and from one source to another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    from rich.table import Table


def probe(
    out: Annotated[Path, typer.Option(help="Directory for probes.safetensors, results.json and report.html.")],
    activations: Annotated[
        list[Path] | None,
        typer.Argument(
            help="What `reasonlens collect` wrote: a directory or file. Several: also train on each and test on each "
            "(other traces; the base and the thinking model). None: read `--traces` with `--model` first."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Without activations: hub id, model directory, .gguf file, or built in.")
    ] = "smollm2-135m",
    traces: Annotated[
        str, typer.Option(help="Without activations: JSONL file of labelled traces, or `bundled`.")
    ] = "bundled",
    layers: Annotated[str, typer.Option(help="Without activations: blocks whose output is read.")] = "all",
    read: Annotated[str, typer.Option(help="Without activations: tokens of a span to average.")] = "mean",
    behaviours: Annotated[
        str | None, typer.Option(help="Labels to probe, joined by commas; default all. Others still are negatives.")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="`logistic`, `ridge`, `lda` (whitened mean difference) or `mean-difference`.")
    ] = "logistic",
    penalties: Annotated[
        str | None,
        typer.Option(help="To choose among on inner folds, by commas, strongest first: C, alpha or shrinkage."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Cross-validation folds; none cuts a problem.")] = 5,
    bootstrap: Annotated[int, typer.Option(help="Resamples of the problems for every interval.", min=1)] = 1000,
    shuffles: Annotated[int, typer.Option(help="Repetitions of the shuffled-label control.", min=1)] = 5,
    permutations: Annotated[int, typer.Option(help="Of the labels, for p-values.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Of folds, controls and bootstrap.", min=0)] = 0,
    device: Annotated[
        str | None, typer.Option(help="Where probes are fitted; default CUDA where there is one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """Fit linear probes for every behaviour and layer, and say what they are worth.

    Sentences of one problem never stand on both sides of a split. The number to report has its layer and penalty chosen
    on inner folds. Beside it: permutation p-values, shuffled labels, control tasks, phrasings left out of training, and
    what words, position and token embeddings tell without the model.

    Score new text with what it writes: `reasonlens score OUT/probes.safetensors`.
    """
    with user_errors():
        from reasonlens.analysis._probe import (
            PROBE_ARTIFACTS,
            open_sources,
            probe_run,
            read_sources,
            reading_run,
            write_probing,
        )
        from reasonlens.analysis._probe import (
            probe as run_probe,
        )
        from reasonlens.analysis.probing import ProbeSettings
        from reasonlens.rundir import InputError

        try:
            given = None if penalties is None else tuple(float(each) for each in penalties.split(","))
        except ValueError:
            raise InputError(f"penalties are numbers joined by commas, and {penalties!r} is not (0.001,0.01)") from None
        settings = ProbeSettings(
            behaviours=tuple(name.strip() for name in behaviours.split(",")) if behaviours else None,
            estimator=estimator,
            penalties=given,
            n_folds=folds,
            n_bootstrap=bootstrap,
            n_shuffles=shuffles,
            n_permutations=permutations,
            seed=seed,
        )
        run = (
            probe_run(activations, settings, out)
            if activations
            else reading_run(model, traces, layers, read, settings, out)
        )
        if run.is_done(PROBE_ARTIFACTS):
            note(f"{out} is done already; remove it or choose another --out to run again")
        else:
            with run:
                sources = (
                    open_sources(activations)
                    if activations
                    else read_sources(model, traces, layers, read, run, device=device)
                )
                write_probing(run_probe(sources, settings=settings, device=device), run)
        text = (out / "results.json").read_text("utf-8")
    if as_json:
        typer.echo(text, nl=False)
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = 124  # a pipe has no width; rich would take 80 and cut names
        results = json.loads(text)
        console.print(_table(results))
        console.print(_explanations(results))
        if results["transfer"]:
            console.print(_transfer_table(results["transfer"]))
    note(f"report: {out / 'report.html'}")


def _table(results: dict[str, Any]) -> Table:
    """The numbers to report."""
    from rich.text import Text

    table = _empty(
        f"{results['model']['name']}: {results['n_spans']} spans of {results['n_problems']} problems, "
        f"read {results['read']}",
        ("layers", "AUROC", "AP", "R@1%", "Brier", "p", "n"),
        "AUROC [95% interval over problems]: layer and penalty of every fold chosen on the others; layers: those "
        "chosen. AP: average precision; R@1%: recall at 1% false positives; p: by permutation, corrected over layers, "
        "at the best layer; n: spans / problems.",
    )
    for name, found in results["behaviours"].items():
        best = found["layers"][str(found["best_layer"])]
        low, high = found["auroc_nested_low"], found["auroc_nested_high"]
        table.add_row(
            Text(name),
            ",".join(map(str, sorted(set(found["nested_layers"])))),
            Text(f"{_number(found['auroc_nested'])} [{_number(low)}, {_number(high)}]"),
            *(_number(found[f"nested_{key}"], 2) for key in ("average_precision", "recall_at_1_percent", "brier")),
            _number(best["p_value"]),
            f"{found['n_positive']} / {found['n_problems']}",
        )
    return table


def _explanations(results: dict[str, Any]) -> Table:
    """What else could explain them."""
    from rich.text import Text

    table = _empty(
        "AUROC of what else could explain it",
        ("best layer", "unmarked", "new wording", "words", "position", "tokens", "shuffled", "naive"),
        "At the best layer: all spans; those without tell-tale words; those of a wording left out of training; labels "
        "shuffled; a naive split through problems. Words, position, token embeddings: told without running the model.",
    )
    for name, found in results["behaviours"].items():
        best = found["layers"][str(found["best_layer"])]
        table.add_row(
            Text(name),
            f"{_number(best['auroc'])} at {found['best_layer']}",
            *(_number(best[f"auroc_{key}"]) for key in ("unmarked", "new_phrasing")),
            *(_number(found[f"auroc_{key}"]) for key in ("text", "position", "embeddings")),
            *(_number(best[f"auroc_{key}"]) for key in ("shuffled", "naive_split")),
        )
    return table


def _empty(title: str, columns: tuple[str, ...], caption: str | None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), caption=caption, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.add_column("behaviour", overflow="fold")
    for column in columns:
        table.add_column(Text(column), justify="right", no_wrap=True)
    return table


def _transfer_table(rows: list[dict[str, Any]]) -> Table:
    from rich.text import Text

    pairs = list(dict.fromkeys((row["trained_on"], row["tested_on"]) for row in rows))
    columns = tuple(f"{trained} -> {tested}" for trained, tested in pairs)
    table = _empty("Trained on -> tested on: AUROC [95% interval over problems]", columns, None)
    for name in dict.fromkeys(row["behaviour"] for row in rows):
        found = {(row["trained_on"], row["tested_on"]): row for row in rows if row["behaviour"] == name}
        cells = [found[pair] for pair in pairs]
        table.add_row(
            Text(name),
            *(
                Text(f"{_number(row['auroc'])} [{_number(row['auroc_low'])}, {_number(row['auroc_high'])}]")
                for row in cells
            ),
        )
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
