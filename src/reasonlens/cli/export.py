"""`reasonlens export`, `import` and `convert`: directions in the files of other tools, and code that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    from reasonlens.models import LanguageModel
    from reasonlens.vectors import Directions

BEHAVIOUR = typer.Option(help="Which behaviour; may be left out where there is one only.")
LAYERS = typer.Option(help="Blocks whose output the vectors act on, from 0: `all`, `12`, `8:12`, `0,4,10:20:2`.")
STRENGTH = typer.Option(
    help="Scale vectors so that a coefficient of 1 in the other tool is this many mean residual norms; default: as "
    "they stand."
)
MODEL = typer.Option(help="Model that the vectors are for: they are checked against it, and its name is noted.")
FORCE = typer.Option("--force", help="Take vectors of another model of the same width and depth.")
OPTIONS = typer.Option(
    "--set", metavar="NAME=VALUE", help="An option of the format, such as `hook_type=hook_resid_post`; may be repeated."
)


def _list_formats(wanted: bool) -> None:
    if not wanted:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from reasonlens.vectors.formats import FORMATS

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("format", "read", "write", "what it is", "output of block L"):
        table.add_column(column)
    for entry in FORMATS.values():
        reads, writes = ("yes" if able else "" for able in (entry.read, entry.write))
        table.add_row(entry.name, reads, writes, entry.about, entry.index)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    raise typer.Exit()


FORMATS_FLAG = typer.Option("--formats", is_eager=True, callback=_list_formats, help="List the formats and leave.")


def export(
    vectors: Annotated[Path, typer.Argument(help="File of directions: vectors.safetensors of `reasonlens locate`.")],
    format: Annotated[str | None, typer.Option(help="Whose file to write: see --formats.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write (a directory for `baked`, or for a file of each behaviour)."),
    ] = None,
    print_for: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="TOOL",
            help="Print code ready to paste instead: transformers, transformer-lens, nnsight, nnterp, vllm-lens, "
            "steering-vectors, repeng, llama.cpp, hotwire, easysteer.",
        ),
    ] = None,
    behaviour: Annotated[str | None, BEHAVIOUR] = None,
    layers: Annotated[str | None, LAYERS] = None,
    layer: Annotated[int | None, typer.Option(help="The same for one block; negative ones count from the end.")] = None,
    strength: Annotated[float | None, STRENGTH] = None,
    model: Annotated[str | None, MODEL] = None,
    force: Annotated[bool, FORCE] = False,
    without_layer_0: Annotated[
        bool, typer.Option("--without-layer-0", help="llama.cpp cannot steer layer 0: leave it out.")
    ] = False,
    zero_filled: Annotated[
        bool, typer.Option("--zero-filled", help="repeng: vectors of zeros for all blocks without one.")
    ] = False,
    options: Annotated[list[str] | None, OPTIONS] = None,
    formats: Annotated[bool, FORMATS_FLAG] = False,
) -> None:
    """Write directions for another tool, or print the code that uses them there.

    Examples:

    `reasonlens export vectors.safetensors --format repeng --behaviour backtracking --strength 1.5 --out b.gguf`

    `reasonlens export vectors.safetensors --print transformer-lens --behaviour backtracking --layer 12`

    `reasonlens export vectors.safetensors --format baked --model REF --layer 12 --strength 1 --out DIR`

    Layers are counted as everywhere in reasonlens: L is the block, from 0, whose *output* the vector is added to. Each
    format gets the index that its tool means by that.
    """
    with user_errors():
        from reasonlens.rundir import InputError
        from reasonlens.vectors.formats import (
            export_directions,
            format_named,
            import_directions,
            snippet,
        )

        if (format is None) == (print_for is None):
            raise InputError("say what to write (--format; --formats lists them) or to print (--print), one of them")
        if layers is not None and layer is not None:
            raise InputError("give one of --layer and --layers, not both")
        directions = import_directions(vectors, "safetensors")
        chosen = _chosen(layers if layer is None else str(layer), directions)
        if print_for is not None:
            if chosen is not None and len(chosen) != 1:
                raise InputError(f"a snippet steers one layer, and {len(chosen)} are chosen: give --layer")
            single = None if chosen is None else chosen[0]
            parts = snippet(
                print_for, directions, vectors, behaviour=behaviour, layer=single, strength=strength, model=model
            )
            typer.echo("\n".join(part for part in parts if part).rstrip())
            return
        assert format is not None
        entry = format_named(format)
        if out is None:
            raise InputError("say where to write (--out)")
        given = _parsed(options)
        given |= {"without_layer_0": True} if without_layer_0 else {}
        given |= {"zero_filled": True} if zero_filled else {}
        files = export_directions(
            directions,
            out,
            format,
            behaviour=behaviour,
            layers=chosen,
            strength=strength,
            model=_loaded(model),
            force=force,
            **given,
        )
    for file in files:
        typer.echo(str(file))
    note(f"the output of block L: {entry.index}. There, {entry.coefficient}.")


def import_(
    file: Annotated[Path, typer.Argument(help="File of another tool.")],
    format: Annotated[str, typer.Option(help="Whose file it is: see --formats.")],
    out: Annotated[Path, typer.Option(help="File of directions to write, .safetensors.")],
    behaviour: Annotated[
        str | None, typer.Option(help="What to call it, where the file does not say; of several, the one to take.")
    ] = None,
    model: Annotated[str | None, MODEL] = None,
    force: Annotated[bool, FORCE] = False,
    options: Annotated[list[str] | None, OPTIONS] = None,
    formats: Annotated[bool, FORMATS_FLAG] = False,
) -> None:
    """Read another tool's vectors as directions of reasonlens.

    Example: `reasonlens import b.gguf --format repeng --model REF --out vectors.safetensors`

    Nothing that is in the file is run: a .pt is read as tensors only. What the file does not say stays unknown; without
    mean residual norms such directions steer with absolute strengths only.
    """
    with user_errors():
        from reasonlens.vectors.formats import import_directions

        directions = import_directions(
            file, format, behaviour=behaviour, model=_loaded(model), force=force, **_parsed(options)
        )
        directions.save(out)
    _say_what_came_in(directions, out)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File of one tool.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write for another.")],
    from_: Annotated[str, typer.Option("--from", help="Whose file IN is: see --formats.")],
    to: Annotated[str, typer.Option(help="Whose file to write.")],
    behaviour: Annotated[str | None, BEHAVIOUR] = None,
    layers: Annotated[str | None, LAYERS] = None,
    strength: Annotated[float | None, STRENGTH] = None,
    model: Annotated[str | None, MODEL] = None,
    force: Annotated[bool, FORCE] = False,
    options: Annotated[list[str] | None, OPTIONS] = None,
    formats: Annotated[bool, FORMATS_FLAG] = False,
) -> None:
    """Turn one tool's file of vectors into another's, each with its own count of layers.

    Example: `reasonlens convert behaviour.svec behaviour.gguf --from svec --to llama.cpp`

    `--set` options go to the format of OUT where it has them, else to that of IN.
    """
    with user_errors():
        from reasonlens.vectors.formats import export_directions, format_named, import_directions

        given, loaded = _parsed(options), _loaded(model)
        out = {name: value for name, value in given.items() if name in format_named(to).options}
        into = {name: value for name, value in given.items() if name not in out}
        directions = import_directions(source, from_, behaviour=behaviour, model=loaded, force=force, **into)
        chosen = _chosen(layers, directions)
        files = export_directions(
            directions,
            target,
            to,
            behaviour=behaviour,
            layers=chosen,
            strength=strength,
            model=loaded,
            force=force,
            **out,
        )
    for written in files:
        typer.echo(str(written))
    note(f"layers {_spoken(directions.layers if chosen is None else chosen)} of reasonlens's count")


def _chosen(text: str | None, directions: Directions) -> list[int] | None:
    """Layers of a command line; those of a range or `all` need not all be there, single ones must."""
    if text is None:
        return None
    from reasonlens.activations.layers import parse_layers
    from reasonlens.rundir import InputError

    known = directions.model.get("n_layers")
    n_layers = known if isinstance(known, int) and known > max(directions.layers) else max(directions.layers) + 1
    chosen: list[int] = []
    for part in text.split(","):
        numbers = parse_layers(part, n_layers)
        if ":" in part or part == "all":
            chosen += [number for number in numbers if number in directions.layers]
        else:
            chosen += [number + n_layers if number < 0 else number for number in numbers]
    if not chosen:
        raise InputError(f"layers {text!r} name none of those that there are: {_spoken(directions.layers)}")
    return sorted(set(chosen))


def _parsed(options: list[str] | None) -> dict[str, Any]:
    """`name=value` pairs; true, false and numbers as such."""
    import json

    from reasonlens.rundir import InputError

    parsed: dict[str, Any] = {}
    for option in options or ():
        name, equals, text = option.partition("=")
        if not equals or not name.strip():
            raise InputError(f"cannot read --set {option!r}: write name=value")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        parsed[name.strip().replace("-", "_")] = value if isinstance(value, bool | int | float) else text
    return parsed


def _loaded(model: str | None) -> LanguageModel | None:
    if model is None:
        return None
    from reasonlens.models import load

    return load(model)


def _say_what_came_in(directions: Directions, out: Path) -> None:
    import math

    for behaviour in directions.behaviours:
        count = directions.n_examples.get(behaviour)
        of = f", {count} examples" if count is not None else ""
        typer.echo(f"{behaviour}: layers {_spoken(directions.layers)}, d_model {directions.d_model}{of}")
    if all(math.isnan(norm) for norm in directions.residual_norm):
        note("mean residual norms are not known: steer with absolute strengths (absolute=True)")
    note(f"written: {out}")


def _spoken(layers: tuple[int, ...] | list[int]) -> str:
    numbers = list(layers)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(map(str, numbers))
