"""Follow a training along its checkpoints or a published table: `reasonlens dynamics`."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reasonlens.cli.completion import complete_models
from reasonlens.cli.console import interval, next_command, next_of_pair, note, number, print_json, print_table, say
from reasonlens.cli.options import (
    Base,
    Device,
    Json,
    LayerOrNone,
    MaxNewTokens,
    Names,
    Numbers,
    OutDirectoryOrNone,
    Problems,
    Quick,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    Template,
    TestProblems,
    TopP,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens.pairs.dynamics import DynamicsResult
    from reasonlens.stats import Interval

OUT = Path("runs/dynamics")


def dynamics(
    checkpoints: Annotated[
        str | None,
        typer.Option(
            "--checkpoints",
            metavar="CHECKPOINTS",
            help="STEP=MODEL joined by commas, a directory with a sub-directory for each step, or an organism; default "
            "organism/rl-timing.",
            parser=name_or_path,
            autocompletion=complete_models,
        ),
    ] = None,
    base: Base = None,
    problems: Problems = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help="In place of checkpoints: JSON with the share of right samples of each problem at each evaluation, or "
            "CSV with the columns step and avg_NAME.",
            parser=path_of,
        ),
    ] = None,
    condition: Annotated[
        Names | None,
        typer.Option(
            "--condition", metavar="NAMES", help="Runs of a CSV, joined by commas; default all.", parser=Names.parse
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            "--evaluations",
            help="Evaluations of each problem that are read from a JSON; problems with fewer are left out. Default: as "
            "many as all have.",
            min=3,
        ),
    ] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(
            "--trained-on",
            metavar="SET",
            help="Problems that were trained on, as --problems: when are they memorised? Known of organisms that were "
            "trained on one example.",
            parser=name_or_path,
        ),
    ] = None,
    form: Annotated[
        Literal["auto", "box", "mark", "tags", "phrase", "ended"],
        typer.Option(
            "--form",
            help="Form of an answer: `box` (\\boxed), `mark` (####), `tags` (`<answer>`), `phrase` (the answer is), "
            "`ended` (by itself); `auto`: any of the first four.",
        ),
    ] = "auto",
    attempts: Annotated[
        int, typer.Option("--attempts", metavar="K", help="pass@1 is set against pass@K; at most --samples.", min=1)
    ] = 16,
    texts: Annotated[
        Literal["base", "own", "none"],
        typer.Option(
            "--texts", help="Whose responses each step reads, for directions and probes: the base's, its own, or none."
        ),
    ] = "base",
    layer: LayerOrNone = None,
    when_at: Annotated[
        Numbers | None,
        typer.Option(
            "--when-at",
            metavar="STEPS",
            help="Steps, joined by commas, at which sentences are also exchanged with the base; costly.",
            parser=Numbers.parse,
        ),
    ] = None,
    out: OutDirectoryOrNone = None,
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 16,
    template: Template = "plain",
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Follow a training: accuracy and its form, behaviours, directions, probes and pass@k, and where they change.

    The same problems, prompts and random numbers at every step. 60 problems and 16 samples by default; `--quick` takes
    a third of the problems and half of the samples.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.DynamicsSettings(
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens),
        attempts=attempts,
        form=form,
        template=template,
        texts=texts,
        layer=layer,
        when_at=tuple(when_at or ()),
        condition=tuple(condition or ()),
        evaluations=evaluations,
        n_rows=rows,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    if test is not None:
        settings = replace(settings, n_test=test)
    place = OUT if out is None and table is None else out
    result = reasonlens.dynamics(
        checkpoints,
        base,
        problems,
        table=table,
        trained_on=trained_on,
        settings=settings,
        out=place,
        device=device,
    )
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    if place is not None:
        note(f"report: {place / 'report.html'}")
    if table is None:
        last = "organism/rl-timing" if checkpoints is None else _last_model(checkpoints)
        next_of_pair("exchange", base, last, problems, "--quick")
    elif place is None:
        next_command("dynamics", "--table", table, "--out", OUT)
    else:
        next_command("runs", place)


def _last_model(checkpoints: str) -> str:
    """Name the model of the last step: of `STEP=MODEL,…`, of a directory, or an organism, which is its own."""
    if "=" in checkpoints:
        return max((one.split("=", 1) for one in checkpoints.split(",")), key=lambda one: float(one[0]))[1]
    return checkpoints


def _print(result: DynamicsResult) -> None:
    """Print the curves that the figure draws, and where they change."""
    for name, run in result.runs.items():
        shown = [curve for curve in run.curves if curve.is_shown]
        places = _chosen(len(run.steps))
        print_table(
            ("measure", "of", *(f"{run.steps[place]:g}" for place in places)),
            [
                (
                    curve.measure,
                    "" if curve.series == curve.measure else curve.series,
                    *(_text(curve.values[place]) for place in places),
                )
                for curve in shown
            ],
            title=f"{name} by {run.axis}: value [95% interval over problems]",
        )
        print_table(
            ("measure", "of", "changes at", "before", "after", "p, corrected", "shape", "control: p"),
            [
                (
                    one.measure,
                    "" if one.series == one.measure else one.series,
                    _text(one.at, 1),
                    f"{one.before:.3f}",
                    f"{one.after:.3f}",
                    f"{one.p_corrected:.3f}",
                    one.shape,
                    f"{one.control_p:.3f}",
                )
                for one in run.changes
            ],
            title="Changes: where two levels fit best",
            caption="p: of no change, steps permuted within each problem, corrected over the curves. Control: a curve "
            "whose steps were permuted.",
        )
        if run.gains:
            print_table(
                ("step", "gain over the base", "of the form", "beyond it", "share of the form"),
                [
                    (f"{one.step:g}", *(_text(getattr(one, part)) for part in ("gain", "form", "beyond", "form_share")))
                    for one in run.gains
                ],
                title="The gain in accuracy, split exactly",
            )
    for sentence in result.sentences():
        say(sentence)


def _text(one: Interval, digits: int = 3) -> str:
    """Write a value, with its interval where it has one."""
    return number(one.value, digits) if isnan(one.low) else interval(one.value, one.low, one.high, digits)


def _chosen(n_steps: int, most: int = 7) -> list[int]:
    """Choose the steps that a table shows: evenly, with the first and the last."""
    if n_steps <= most:
        return list(range(n_steps))
    return sorted({round(place * (n_steps - 1) / (most - 1)) for place in range(most)})
