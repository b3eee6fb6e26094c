"""Compare a base and a thinking model inside, and graft parts of weights: `reasonlens geometry`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_of_pair, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Folds,
    Json,
    Layers,
    MaxNewTokens,
    Names,
    OutDirectory,
    Problems,
    Quick,
    Quiet,
    Read,
    Rows,
    Samples,
    Seed,
    Temperature,
    TestProblems,
    Thinking,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.pairs.geometry import GeometryResult


def geometry(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/geometry"),
    quick: Quick = False,
    parts: Annotated[
        Names | None,
        typer.Option(
            "--parts",
            metavar="NAMES",
            help="Of cosines, angles, transfer, cka, tokens and grafts, joined by commas; default all that the models "
            "allow. More of them go on in the same directory.",
            parser=Names.parse,
        ),
    ] = None,
    test: TestProblems = None,
    layers: Layers = "all",
    read: Read = "mean",
    folds: Folds = 5,
    samples: Samples = 1,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a base and models trained from it inside, and put parts of their weights into the base.

    Cosines of directions, angles of subspaces, probes of one model on the other, CKA of layers, tokens that directions
    promote, and the gap that attention, MLPs or single blocks recover, each with its null. 100 test problems by
    default; `--quick` takes a quarter, with ridge probes.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.GeometrySettings(
        parts=parts,
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        layers=layers,
        read=read,
        n_folds=folds,
        n_rows=rows,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    if test is not None:
        settings = replace(settings, n_test=test)
    result = reasonlens.geometry(
        base, [name_or_path(name) for name in thinking], problems, settings=settings, out=out, device=device
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    next_of_pair("exchange", base, name_or_path(thinking[0]), problems, "--quick")


def _print(result: GeometryResult) -> None:
    for name, pair in result.pairs.items():
        if pair.grafts is not None:
            print_table(
                ("weights", "accuracy", "gap recovered", "moved at random", "above that", "share of the difference"),
                [
                    (
                        one.name,
                        str(one.accuracy),
                        *(("", "", "") if one.kind == "end" else map(str, (one.gap, one.control, one.above_control))),
                        f"{one.norm_share:.2f}",
                    )
                    for one in pair.grafts.figures
                ],
                title=f"{name}: the base with some of the thinking model's weights [95% interval over problems]",
                caption="Moved at random: accuracy of the control. Share: norm of the differences, of all.",
            )
        tokens = [one for one in pair.tokens if one.layer == max(token.layer for token in pair.tokens)]
        if tokens:
            keys = dict.fromkeys((one.model, one.behaviour) for one in tokens)
            print_table(
                ("model", "behaviour", "promotes", "lowers"),
                [
                    (
                        model,
                        behaviour,
                        *(
                            " ".join(
                                one.token
                                for one in tokens
                                if (one.model, one.behaviour, one.way) == (model, behaviour, way)
                            )
                            for way in ("raised", "lowered")
                        ),
                    )
                    for model, behaviour in keys
                ],
                title=f"{name}: tokens of each direction at the last block, through the unembedding",
            )
    for sentence in result.in_words():
        say(sentence)
