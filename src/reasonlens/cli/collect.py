"""Collect activations or their moments, on this machine or over a Ray cluster: `reasonlens collect`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from reasonlens.cli.console import next_command, note, one_line, print_json, say
from reasonlens.cli.options import (
    Device,
    Dtype,
    Json,
    Layers,
    Model,
    OutDirectory,
    Quiet,
    Reads,
    Sites,
    Template,
    Traces,
    Truncate,
)

if TYPE_CHECKING:
    from reasonlens.activations import Activations, Collection, Moments


def collect(
    out: OutDirectory,
    model: Model = "smollm2-135m",
    traces: Traces = "bundled",
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
    layers: Layers = "all",
    read: Reads = None,
    site: Sites = None,
    template: Template = "auto",
    truncate: Truncate = False,
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
        Literal["float32", "float16", "bfloat16"], typer.Option(help="Number format of the activations on disk.")
    ] = "float32",
    hidden_states: Annotated[
        Path | None,
        typer.Option(help="A directory of hidden states that vLLM has written of these traces, instead of a pass."),
    ] = None,
    device: Device = None,
    device_map: Annotated[
        str | None, typer.Option(help="`auto` spreads a model that is larger than one GPU over several (accelerate).")
    ] = None,
    dtype: Dtype = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="`ray`: one worker a GPU, or for every four cores.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a running Ray cluster, `auto` or `ray://host:10001`; default: one is started here."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers on Ray; default one a GPU.", min=1)] = None,
    gpus_per_worker: Annotated[float | None, typer.Option(help="Default 1 where there are GPUs.", min=0)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read the residual stream of labelled spans at every layer, in one pass over each text.

    Sentences are averaged inside the forward pass, texts that begin alike share that beginning, later blocks and the
    head never run, and long texts go in parts. Traces are streamed: memory does not grow with their number.

    With `--engine ray`, `--traces` may also be .jsonl or .parquet at a URL that Ray reads (`s3://...`).

    Several reads and sites take one pass: `--read mean --read before:1`. What opens the directory chooses one of them,
    with `--read` or `reasonlens.Activations.open(DIR, read="before:1")`; `reasonlens.Moments.open` likewise.
    """
    import torch

    import reasonlens

    if covariance and keep != "moments":
        raise reasonlens.InputError("--covariance goes with --keep moments")
    if engine != "ray" and (address or workers or gpus_per_worker is not None):
        raise reasonlens.InputError("--address, --workers and --gpus-per-worker go with --engine ray")
    if hidden_states is not None and (engine == "ray" or keep == "moments"):
        raise reasonlens.InputError("--hidden-states goes with --keep activations and --engine local")
    reading: dict[str, Any] = {
        "layers": layers,
        "read": read or ["mean"],
        "sites": site or ["hook_out"],
        "template": template,
        "truncate": truncate,
        "include_markup": include_markup,
        "tokens_per_batch": tokens_per_batch,
        "share_prefixes": share_prefixes,
        "compile": compile_blocks,
    }
    options: dict[str, Any] = {"dtype": dtype, "device_map": device_map, "device": device}
    options = {name: value for name, value in options.items() if value is not None}
    start = time.perf_counter()
    tensor_dtype = getattr(torch, store_dtype)
    bundled = reasonlens.bundled_traces() if traces == "bundled" else None
    collected: Collection[Activations] | Collection[Moments]
    if engine == "ray":
        on_ray = reasonlens.collect_on_ray(
            model,
            bundled or traces,
            out,
            keep=keep,
            settings=reasonlens.CollectSettings(**reading),
            cluster=reasonlens.ClusterSettings(
                address=address, workers=workers, gpus_per_worker=gpus_per_worker, load_options=options
            ),
            dtype=tensor_dtype,
            covariance=covariance,
        )
        collected = cast("Collection[Activations] | Collection[Moments]", on_ray)
    else:
        loaded, stream = reasonlens.load(model, **options), bundled or reasonlens.iter_traces(traces)
        if keep == "moments":
            collected = reasonlens.collect_moments(loaded, stream, out=out, covariance=covariance, **reading)
        else:
            collected = reasonlens.collect(
                loaded, stream, hidden_states=hidden_states, out=out, dtype=tensor_dtype, **reading
            )
    about = _about(collected) | {"out": str(out), "seconds": round(time.perf_counter() - start, 1)}
    if as_json:
        print_json(about)
    else:
        _print_about(about)
    note(f"seconds: {about['seconds']:.1f}")
    if keep == "moments":
        choice = ["--read", read[0]] if read and len(read) > 1 else []
        next_command("directions", out, *choice, "--out", "vectors.safetensors")
    else:
        choice = [word for one in read for word in ("--read", one)] if read and len(read) > 1 else []
        next_command("probe", out, *choice, "--out", f"{out}-probes")


def _print_about(about: dict[str, Any]) -> None:
    from reasonlens.activations.layers import written_layers

    reads = about["reads"]
    n_spans = ", ".join(dict.fromkeys(str(read["n_spans"]) for read in reads.values()))
    n_problems = ", ".join(dict.fromkeys(str(read["n_problems"]) for read in reads.values()))
    say(f"{about['out']}: {about['kind']} of {n_spans} spans of {n_problems} problems")
    layers = written_layers(about["layers"])
    site = "" if about["sites"] == ["hook_out"] else f", site {', '.join(about['sites'])}"
    say(f"  {about['model']}, layers {layers}, d_model {about['d_model']}, read {', '.join(reads)}{site}")
    for name, read in reads.items():
        if len(reads) > 1:
            say(f"  {name}:")
        for label, count in read["labels"].items():
            say(f"  {count:7} {one_line(label)}")
        if read["n_skipped"]:
            say(f"  {read['n_skipped']:7} left out: no token of theirs may be read")


def _about(collected: Collection[Activations] | Collection[Moments]) -> dict[str, Any]:
    from reasonlens import Moments

    members: dict[str, Activations | Moments] = {str(read): one for (read, _), one in collected.members.items()}
    first = next(iter(members.values()))
    return {
        "kind": "moments" if isinstance(first, Moments) else "activations",
        "model": first.model["name"],
        "layers": list(first.layers),
        "sites": list(map(str, collected.sites)),
        "d_model": first.overall_mean.shape[-1],
        "reads": {name: _about_read(member) for name, member in members.items()},
    }


def _about_read(collected: Activations | Moments) -> dict[str, Any]:
    from reasonlens import Moments

    if isinstance(collected, Moments):
        n_problems = collected.n_problems
        labels = {label: collected.of_label(label).count for label in collected.behaviours}
    else:
        n_problems = len(set(collected.problems))
        labels = {label: int(collected.shows(label).sum()) for label in collected.behaviours}
    return {
        "n_spans": sum(labels.values()),
        "n_problems": n_problems,
        "n_skipped": collected.n_skipped,
        "labels": labels,
    }
