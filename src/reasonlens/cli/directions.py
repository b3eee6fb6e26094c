"""`reasonlens directions`: directions of behaviours by any method, with how stable each is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens import Activations, Directions, Moments

OPTIMISED = "optimised"
N_RESAMPLES = 200


def directions(
    out: Annotated[Path, typer.Option(help="File to write: safetensors, a tensor (layers, d_model) a behaviour.")],
    activations: Annotated[
        Path | None,
        typer.Argument(
            help="What `reasonlens collect` wrote: a directory or file of activations or moments. Not for `optimised`."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="`mean-difference`, `pca` (of paired differences), `lda`, `logistic`, `ridge`, or `optimised`: by "
            "gradient descent through `--model` on `--traces`."
        ),
    ] = "mean-difference",
    model: Annotated[
        str | None, typer.Option(help="For `optimised`: hub id, model directory, .gguf file, or built in.")
    ] = None,
    traces: Annotated[
        str | None, typer.Option(help="For `optimised`: JSONL file of labelled traces, or `bundled`.")
    ] = None,
    layers: Annotated[str, typer.Option(help="Blocks, from 0: `all`, `0,4,10:20:2`.")] = "all",
    behaviours: Annotated[
        str | None, typer.Option(help="Labels, joined by commas; default all. Others still are negatives.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An option of the method, NAME=VALUE, as often as needed: `against=overall`, `rescale=true` "
            "(mean-difference), `centred=true` (pca), `shrinkage=0.5` (lda), `C=0.1`, `alpha=100`, and for `optimised` "
            "`bias=true`, `where=sentence`, `max_strength=2`, `max_steps=100` and the like.",
        ),
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            help=f"Resamples of the problems; 0: none. Default {N_RESAMPLES}; none for moments, which keep no "
            "problems, and for `optimised`, where each is one more vector to find.",
            min=0,
        ),
    ] = None,
    remove_content: Annotated[
        float, typer.Option(help="Project out the K leading directions between problems (4), or a share (0.5).", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of resamples, and of the search.", min=0)] = 0,
    device: Annotated[
        str | None, typer.Option(help="For `optimised`: `cpu`, `cuda`; default CUDA where there is one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON instead of the table.")] = False,
) -> None:
    """Find a direction for every behaviour at every layer, and say how far the problems determine it.

    Example: `reasonlens directions acts --method lda --out vectors.safetensors`

    Collect with `--read before:1` for directions that mean *about to start*, which is what steering needs.
    """
    with user_errors():
        from reasonlens.rundir import InputError
        from reasonlens.vectors.extraction import best_layers

        named = tuple(name.strip() for name in behaviours.split(",")) if behaviours else None
        options = _options(settings or [])
        if remove_content >= 1 and remove_content != int(remove_content):
            raise InputError(f"--remove-content takes a count (4) or a share below 1 (0.5), not {remove_content}")
        content = int(remove_content) if remove_content >= 1 else remove_content
        if method == OPTIMISED:
            if activations is not None or content:
                raise InputError("optimised takes --model and --traces, no activations and no content to remove")
            found = _optimised(model, traces, layers, named, options, bootstrap or 0, seed, device)
        else:
            if model is not None or traces is not None:
                raise InputError("--model and --traces go with --method optimised; others take what `collect` wrote")
            if activations is None:
                raise InputError(
                    f"{method} needs activations: give what `reasonlens collect --out` wrote; optimised needs none"
                )
            found = _extracted(_opened(activations), method, layers, named, options, bootstrap, content, seed)
        found.save(out)
        rows = best_layers(found)
    if as_json:
        about = {"method": found.method, "model": found.model, "read": found.read, "out": str(out)}
        typer.echo(json.dumps(about | {"layers": list(found.layers), "behaviours": rows, "scores": found.scores}))
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = 124  # a pipe has no width; rich would take 80 and cut names
        console.print(_table(found, rows))
    note(f"directions: {out}")


def _opened(path: Path) -> Activations | Moments:
    from reasonlens import Activations, Moments
    from reasonlens.rundir import InputError

    if not path.exists():
        raise InputError(f"there is nothing at {path}; `reasonlens collect --out {path}` collects activations")
    if path.is_dir() and (path / "moments.safetensors").is_file():
        return Moments.open(path)
    try:
        return Activations.open(path)
    except InputError as error:
        if path.is_dir():
            raise
        try:
            return Moments.open(path)
        except InputError:
            raise error from None


def _extracted(
    source: Activations | Moments,
    method: str,
    layers: str,
    behaviours: tuple[str, ...] | None,
    options: dict[str, Any],
    bootstrap: int | None,
    content: int | float,
    seed: int,
) -> Directions:
    from reasonlens import Activations
    from reasonlens.activations import parse_layers
    from reasonlens.rundir import InputError
    from reasonlens.vectors.extraction import (
        at_layers,
        bootstrap_stability,
        method_named,
        project_out_content,
    )

    found = method_named(method)
    found.check_options(method, options)
    if layers != "all":
        source = at_layers(source, parse_layers(layers, max(source.layers) + 1))
    if not isinstance(source, Activations):
        if bootstrap or content:
            raise InputError("moments keep no problems: to resample them or remove content, collect --keep activations")
        return found.find(source, behaviours=behaviours, **options)
    if bootstrap == 0:
        plain = found.find(source, behaviours=behaviours, **options)
        return project_out_content(plain, source, n_components=content) if content else plain
    return bootstrap_stability(
        source,
        method=method,
        behaviours=behaviours,
        n_resamples=N_RESAMPLES if bootstrap is None else bootstrap,
        remove_content=content,
        seed=seed,
        progress=True,
        **options,
    )


def _optimised(
    model: str | None,
    traces: str | None,
    layers: str,
    behaviours: tuple[str, ...] | None,
    options: dict[str, Any],
    n_resamples: int,
    seed: int,
    device: str | None,
) -> Directions:
    import dataclasses

    from reasonlens import bundled_traces, load, read_traces
    from reasonlens.rundir import InputError
    from reasonlens.vectors.extraction import OptimisedSettings, optimised_directions

    if model is None or traces is None:
        raise InputError("--method optimised searches through a model: give --model and --traces")
    known = {field.name for field in dataclasses.fields(OptimisedSettings)} - {"behaviours", "seed", "n_resamples"}
    for name in options:
        if name not in known:
            raise InputError(f"optimised has no option {name!r}; it has {', '.join(sorted(known))}")
    chosen = OptimisedSettings(behaviours=behaviours, seed=seed, n_resamples=n_resamples, **options)
    texts = bundled_traces() if traces == "bundled" else read_traces(traces)
    loaded = load(model, device=device)
    return optimised_directions(loaded, texts, layers, chosen, progress=True)


def _options(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE as numbers, true, false or words."""
    from reasonlens.rundir import InputError

    options: dict[str, Any] = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or not name or not value:
            raise InputError(f"--set takes NAME=VALUE, and {each!r} is not (shrinkage=0.5)")
        try:
            options[name] = json.loads(value.lower())
        except json.JSONDecodeError:
            options[name] = value
    return options


def _table(found: Directions, rows: dict[str, dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    was_searched = any("held_out_loss" in row for row in rows.values())
    was_resampled = any("bootstrap_cosine" in row for row in rows.values())
    has_halves = any("half_cosine" in row for row in rows.values())
    has_removed = any("content_removed" in row for row in rows.values())
    columns = ["layer", "norm"]
    said = ["norm: length in units of the mean residual norm; n: spans / problems."]
    if was_searched:
        columns += ["loss", "first token"]
        said.append(
            "Layer: least held-out loss. Loss (nats a token) and probability of the sentence's first token, held-out "
            "problems: unsteered -> steered (random direction of the same length)."
        )
    if was_resampled:
        columns += ["bootstrap", *(["chance", "halves"] if has_halves else [])]
        said.append("Bootstrap: cosine of resampled problems' directions with all problems' [95%].")
    if has_halves:
        said.append(
            "Layer: most alike halves. Chance: the same with labels shuffled. Halves: cosine of two halves' directions."
        )
    if has_removed:
        columns.append("removed")
        said.append("Removed: share of the square that was content.")
    table = Table(
        title=Text(f"{found.model.get('name', '')}: {found.method.split('; length')[0]}; read {found.read}"),
        caption=" ".join(said),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in (*columns, "n"):
        table.add_column(column, justify="right", no_wrap=True)
    for behaviour, row in rows.items():
        cells = [str(row["layer"]), _number(row["norm"])]
        if was_searched:
            cells += [_change(row, "held_out_loss"), _change(row, "first_token_probability")]
        if was_resampled:
            low, high = (row.get(f"bootstrap_cosine_{end}") for end in ("low", "high"))
            cells.append(f"{_number(row.get('bootstrap_cosine'))} [{_number(low)}, {_number(high)}]")
        if has_halves:
            cells += [_number(row.get("chance_cosine")), _number(row.get("half_cosine"))]
        if has_removed:
            cells.append(_number(row.get("content_removed")))
        cells.append(f"{row['n_spans']} / {row['n_problems']}")
        table.add_row(Text(behaviour), *(Text(cell) for cell in cells))
    return table


def _change(row: dict[str, Any], figure: str) -> str:
    before, after, random = (row.get(f"{figure}{arm}") for arm in ("_unsteered", "", "_random"))
    return f"{_number(before)} -> {_number(after)} ({_number(random)})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
