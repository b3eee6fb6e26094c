"""Exchange directions with other tools: `reasonlens export`, `import` and `convert`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note, print_table, say
from reasonlens.cli.next_steer import middle_of, next_steer_write
from reasonlens.cli.options import (
    BehaviourOrNone,
    Force,
    Format,
    FormatOrNone,
    LayerOrNone,
    LayersOrNone,
    ModelOrNone,
    OutFile,
    OutFileOrNone,
    Quiet,
    Settings,
    StrengthOrNone,
    Vectors,
    assignments,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.models import LanguageModel


def _list_formats(requested: bool) -> None:
    if not requested:
        return
    from reasonlens.vectors.formats import FORMATS

    print_table(
        ("format", "read", "write", "what it is", "output of block L"),
        [
            (entry.name, "yes" if entry.read else "", "yes" if entry.write else "", entry.about, entry.index)
            for entry in FORMATS.values()
        ],
        n_names=5,
    )
    raise typer.Exit


Formats = Annotated[
    bool, typer.Option("--formats", is_eager=True, callback=_list_formats, help="List the formats and leave.")
]


def export(
    vectors: Vectors,
    format: FormatOrNone = None,
    out: OutFileOrNone = None,
    print_for: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="TOOL",
            help="Print code ready to paste instead: transformers, transformer-lens, nnsight, nnterp, vllm-lens, "
            "steering-vectors, repeng, llama.cpp, hotwire, easysteer.",
        ),
    ] = None,
    behaviour: BehaviourOrNone = None,
    layers: LayersOrNone = None,
    layer: LayerOrNone = None,
    strength: StrengthOrNone = None,
    model: ModelOrNone = None,
    force: Force = False,
    zero_filled: Annotated[
        bool, typer.Option("--zero-filled", help="repeng: vectors of zeros for all blocks without one.")
    ] = False,
    settings: Settings = None,
    formats: Formats = False,
    quiet: Quiet = False,
) -> None:
    """Write directions for another tool, or print the code that uses them there.

    Examples:

    `reasonlens export vectors.safetensors --format repeng --behaviour backtracking --strength 1.5 --out b.gguf`

    `reasonlens export vectors.safetensors --print transformer-lens --behaviour backtracking --layer 12`

    `reasonlens export vectors.safetensors --format baked --model REF --layer 12 --strength 1 --out DIR`

    Layers are counted as everywhere in reasonlens: L is the block, from 0, whose *output* the vector is added to. Each
    format gets the index that its tool means by that, and no layer that its tool cannot steer; these are named. With
    `--strength`, vectors are scaled so that a coefficient of 1 in the other tool is this many mean residual norms; else
    they go as they stand. Without layer and strength, those that `steer find` or `hybrid` found are taken, where
    VECTORS says them (`--layers all`: all, as they stand). `--model` is what they are checked against. `--out` is a
    directory for `baked`, and for a file of each behaviour.
    """
    import reasonlens
    from reasonlens.rundir import InputError
    from reasonlens.vectors.formats import exported_at, format_named, snippet

    if (format is None) == (print_for is None):
        raise InputError("say what to write (--format; --formats lists them) or to print (--print), one of them")
    if layers is not None and layer is not None:
        raise InputError("give one of --layer and --layers, not both")
    directions = reasonlens.import_(vectors, "safetensors")
    chosen = layers if layer is None else str(layer)
    if print_for is not None:
        single = None if chosen is None else directions.choose_layers(chosen)
        if single is not None and len(single) != 1:
            raise InputError(f"a snippet steers one layer, and {len(single)} are chosen: give --layer")
        code = snippet(
            print_for,
            directions,
            vectors,
            behaviour=behaviour,
            layer=single[0] if single else None,
            strength=strength,
            model=model,
        )
        say("\n".join(part for part in code if part).rstrip())
        next_command("export", "--formats")
        return
    assert format is not None
    entry = format_named(format)
    if out is None:
        raise InputError("say where to write (--out)")
    options = assignments(settings)
    options |= {"zero_filled": True} if zero_filled else {}
    files = reasonlens.export(
        directions,
        out,
        format,
        behaviour=behaviour,
        layers=chosen,
        strength=strength,
        model=_load(model),
        force=force,
        **options,
    )
    for file in files:
        say(str(file))
    note(f"the output of block L: {entry.index}. There, {entry.coefficient}.")
    shown = behaviour or directions.behaviours[0]
    in_file = behaviour if entry.several else shown
    held, held_strength = exported_at(directions, format, behaviour=in_file, layers=chosen, strength=strength)
    aim = (
        "--behaviour",
        shown,
        "--layer",
        middle_of(held),
        *(() if held_strength is None else ("--strength", held_strength)),
    )
    next_command("export", vectors, "--print", "transformers", *aim)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of another tool.", parser=path_of)],
    format: Format,
    out: OutFile,
    behaviour: BehaviourOrNone = None,
    model: ModelOrNone = None,
    force: Force = False,
    settings: Settings = None,
    formats: Formats = False,
    quiet: Quiet = False,
) -> None:
    """Read another tool's vectors as directions of reasonlens.

    Example: `reasonlens import b.gguf --format repeng --model REF --out vectors.safetensors`

    `--behaviour` is what to call them where the file does not say; of several, the one to take. Nothing that is in the
    file is run: a .pt is read as tensors only. What the file does not say stays unknown; without mean residual norms
    such directions steer with absolute strengths only.
    """
    import reasonlens
    from reasonlens.activations.layers import written_layers

    directions = reasonlens.import_(
        file, format, behaviour=behaviour, model=_load(model), force=force, **assignments(settings)
    )
    directions.save(out)
    for name in directions.behaviours:
        count = directions.n_examples.get(name)
        examples = f", {count} examples" if count is not None else ""
        say(f"{name}: layers {written_layers(directions.layers)}, d_model {directions.d_model}{examples}")
    if all(math.isnan(norm) for norm in directions.residual_norm):
        note("mean residual norms are not known: steer with absolute strengths (--absolute)")
    note(f"written: {out}")
    next_steer_write(out, directions, directions.behaviours[0], middle_of(directions.layers))


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File of one tool.", parser=path_of)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write for another.", parser=path_of)],
    from_: Annotated[str, typer.Option("--from", metavar="FORMAT", help="Whose file IN is: see --formats.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="Whose file to write: see --formats.")],
    behaviour: BehaviourOrNone = None,
    layers: LayersOrNone = None,
    strength: StrengthOrNone = None,
    model: ModelOrNone = None,
    force: Force = False,
    settings: Settings = None,
    formats: Formats = False,
    quiet: Quiet = False,
) -> None:
    """Turn one tool's file of vectors into another's, each with its own count of layers.

    Example: `reasonlens convert behaviour.svec behaviour.gguf --from svec --to llama.cpp`

    `--set` options go to the format of OUT where it has them, else to that of IN.
    """
    import reasonlens

    files = reasonlens.convert(
        source,
        target,
        from_,
        to,
        behaviour=behaviour,
        layers=layers,
        strength=strength,
        model=_load(model),
        force=force,
        **assignments(settings),
    )
    for file in files:
        say(str(file))
    next_command("import", files[0], "--format", to, "--out", "vectors.safetensors")


def _load(model: str | None) -> LanguageModel | None:
    from reasonlens.models import load

    return None if model is None else load(model)
