"""`reasonlens collect`: activations, or their moments, of labelled traces, on this machine or over a Ray cluster."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    from reasonlens.activations import Activations, Moments


def collect(
    out: Annotated[Path, typer.Option(help="Directory to write to. The same command takes up an interrupted run.")],
    model: Annotated[
        str, typer.Option(help="Hub id, model directory, .gguf file, or built in: smollm2-135m, organism/base.")
    ] = "smollm2-135m",
    traces: Annotated[
        str,
        typer.Option(
            help="JSONL file of labelled traces, or `bundled`. With `--engine ray` also .parquet, a directory of a "
            "Hugging Face dataset, `hf:NAME`, and what Ray reads (`s3://...`)."
        ),
    ] = "bundled",
    keep: Annotated[
        Literal["activations", "moments"],
        typer.Option(
            help="`activations`: a vector for every labelled span and layer. `moments`: only their count, mean and "
            "variance by label and layer, a few megabytes however many traces."
        ),
    ] = "activations",
    covariance: Annotated[
        bool, typer.Option("--covariance", help="With moments: whole covariance matrices too.")
    ] = False,
    layers: Annotated[str, typer.Option(help="Blocks whose output is read, from 0: `all`, `0,4,10:20:2`.")] = "all",
    read: Annotated[
        str,
        typer.Option(help="Tokens of a span to average: `mean`, `first`, `last`, `before:N`, `window:BEGIN:END`."),
    ] = "mean",
    template: Annotated[
        Literal["auto", "chat", "plain"], typer.Option(help="Whether prompts go through the chat template.")
    ] = "auto",
    truncate: Annotated[bool, typer.Option(help="Cut texts longer than the model's context.")] = False,
    include_markup: Annotated[
        bool, typer.Option("--include-markup", help="Also read attention sinks, special and template tokens.")
    ] = False,
    tokens_per_batch: Annotated[
        int | None,
        typer.Option(help="Padded tokens of a forward pass; default 4096 on a CPU, what fits on CUDA.", min=1),
    ] = None,
    share_prefixes: Annotated[bool, typer.Option(help="Run what texts begin with in common once.")] = True,
    compile_blocks: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile: half a minute at first, faster after.")
    ] = False,
    store_dtype: Annotated[
        Literal["float32", "float16", "bfloat16"], typer.Option(help="Of the activations on disk.")
    ] = "float32",
    device: Annotated[
        str | None, typer.Option(help="`cpu`, `cuda`, `cuda:1`; default CUDA where there is one.")
    ] = None,
    device_map: Annotated[
        str | None, typer.Option(help="`auto` spreads a model that is larger than one GPU over several (accelerate).")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Of the weights: `bfloat16`, `float16`, `float32`.")] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="`ray`: one worker a GPU, or for every four cores.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Of a running Ray cluster, `auto` or `ray://host:10001`; default one here."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers on Ray; default one a GPU.", min=1)] = None,
    gpus_per_worker: Annotated[float | None, typer.Option(help="Default 1 where there are GPUs.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was collected as JSON.")] = False,
) -> None:
    """Read the residual stream of labelled spans at every layer, in one pass over each text.

    Sentences are averaged inside the forward pass, texts that begin alike share that beginning, later blocks and the
    head never run, and long texts go in parts. Traces are streamed: memory does not grow with their number.

    From Python: `reasonlens.Activations.open(DIR)`, `reasonlens.Moments.open(DIR)`.
    """
    with user_errors():
        from reasonlens.rundir import InputError

        if covariance and keep != "moments":
            raise InputError("--covariance goes with --keep moments")
        if engine != "ray" and (address or workers or gpus_per_worker is not None):
            raise InputError("--address, --workers and --gpus-per-worker go with --engine ray")
        reading: dict[str, Any] = {
            "layers": layers,
            "read": read,
            "template": template,
            "truncate": truncate,
            "include_markup": include_markup,
            "tokens_per_batch": tokens_per_batch,
            "share_prefixes": share_prefixes,
            "compile": compile_blocks,
        }
        options: dict[str, Any] = {"dtype": dtype, "device_map": device_map, "device": device}
        options = {name: value for name, value in options.items() if value is not None}
        import torch

        import reasonlens

        start = time.perf_counter()
        kept_as = getattr(torch, store_dtype)
        bundled = reasonlens.bundled_traces() if traces == "bundled" else None
        found: Activations | Moments
        if engine == "ray":
            found = reasonlens.collect_on_ray(
                model,
                bundled or traces,
                out,
                keep=keep,
                settings=reasonlens.CollectSettings(**reading),
                cluster=reasonlens.ClusterSettings(
                    address=address, workers=workers, gpus_per_worker=gpus_per_worker, load_options=options
                ),
                dtype=kept_as,
                covariance=covariance,
            )
        else:
            loaded, coming = reasonlens.load(model, **options), bundled or reasonlens.iter_traces(traces)
            if keep == "moments":
                found = reasonlens.collect_moments(loaded, coming, out=out, covariance=covariance, **reading)
            else:
                found = reasonlens.collect(loaded, coming, out=out, dtype=kept_as, **reading)
        seconds = time.perf_counter() - start
    about = _about(found) | {"out": str(out), "seconds": round(seconds, 1)}
    if as_json:
        typer.echo(json.dumps(about))
        return
    typer.echo(f"{out}: {about['kind']} of {about['n_spans']} spans of {about['n_problems']} problems")
    typer.echo(
        f"  {about['model']}, layers {_ranges(about['layers'])}, d_model {about['d_model']}, read {about['read']}"
    )
    for label, count in about["labels"].items():
        typer.echo(f"  {count:7} {label}")
    if about["n_skipped"]:
        typer.echo(f"  {about['n_skipped']:7} left out: no token of theirs may be read")
    note(f"seconds: {seconds:.1f}")


def _about(found: Activations | Moments) -> dict[str, Any]:
    from reasonlens import Moments

    if isinstance(found, Moments):
        kind, n_problems = "moments", found.n_problems
        labels = {label: found.of_label(label).count for label in found.behaviours}
    else:
        kind, n_problems = "activations", len(set(found.problems))
        labels = {label: int(found.shows(label).sum()) for label in found.behaviours}
    return {
        "kind": kind,
        "model": found.model["name"],
        "layers": list(found.layers),
        "d_model": found.overall_mean.shape[-1],
        "read": str(found.read),
        "n_spans": sum(labels.values()),
        "n_problems": n_problems,
        "n_skipped": found.n_skipped,
        "labels": labels,
    }


def _ranges(layers: list[int]) -> str:
    """0..29 where they follow each other, else each."""
    if len(layers) > 2 and layers == list(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}..{layers[-1]}"
    return ", ".join(map(str, layers))
