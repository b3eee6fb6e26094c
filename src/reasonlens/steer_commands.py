"""`reasonlens steer`: write with a direction, sweep over doses, and steer models with each other's directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.console import note, user_errors, visible

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.analysis.effect import DoseCurves, EffectSettings
    from reasonlens.models import LanguageModel
    from reasonlens.vectors import Directions

steer = typer.Typer(
    name="steer",
    help="Steer a model with directions: write, sweep over doses with controls, or one model with another's.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

VECTORS = typer.Argument(help="File of directions: what `locate`, `directions` or `import` writes.")
MODEL = typer.Option(help="Model to steer; default the one that the directions were found in.")
STRENGTH_HELP = "In units of the mean norm of the residual stream at the layer"
WHEN_HELP = (
    "Tokens that are steered: `all`, `prompt`, `response` (from the last of the prompt on), `response:N`, `from:N`, or "
    "`sentences`: where a sentence of the response begins."
)
OPERATION_HELP = "What is done: `add`, `add-preserving-norm`, `project-out`, `clamp`."


@steer.command()
def write(
    vectors: Annotated[Path, VECTORS],
    prompt: Annotated[str, typer.Option(help="What the model is asked.")],
    behaviour: Annotated[str, typer.Option(help="Whose direction.")],
    layer: Annotated[int, typer.Option(help="Block whose output is steered, from 0; negative ones from the end.")],
    strength: Annotated[float, typer.Option(help=f"{STRENGTH_HELP}; negative: away from the behaviour.")] = 1.0,
    model: Annotated[str | None, MODEL] = None,
    operation: Annotated[str, typer.Option(help=OPERATION_HELP)] = "add",
    when: Annotated[str, typer.Option(help=WHEN_HELP)] = "response",
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Strength in units of the vector itself, as in other tools.")
    ] = False,
    max_new_tokens: Annotated[int, typer.Option(help="Length of the response.", min=1)] = 120,
    temperature: Annotated[float, typer.Option(help="Of sampling; 0: greedy.", min=0)] = 0.0,
    template: Annotated[
        str, typer.Option(help="`chat`, `plain`, or `auto`: chat where the tokenizer has one.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of sampling; the same for both responses.", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="`cpu`, `cuda`; default CUDA where there is one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Steer another model of the same width.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print both responses and the counts as JSON.")] = False,
) -> None:
    """Answer a prompt twice, unsteered and steered, with the same random numbers.

    Example: `reasonlens steer write runs/.../vectors.safetensors --behaviour backtracking --layer 14 --strength 0.5
    --prompt "What is 17 times 23?"`
    """
    with user_errors():
        from reasonlens.analysis.continuation import Sampling
        from reasonlens.analysis.effect import write as written_by
        from reasonlens.analysis.effect.writing import encode_prompts
        from reasonlens.vectors.steering import steer as steering

        directions = _opened(vectors)
        loaded = _loaded(directions, model, device)
        if not absolute and operation != "project-out":
            directions = _with_norms(directions, loaded, [layer])
        sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens)
        prompts = encode_prompts(loaded, [prompt], _template(template))
        options: dict[str, Any] = {"layer": layer, "strength": strength, "operation": operation, "absolute": absolute}
        with steering(loaded, directions[behaviour], force=force, **options, **_tokens(when, loaded)) as steered:
            (after,) = written_by(loaded, prompts, sampling, seed=seed)
        (before,) = written_by(loaded, prompts, sampling, seed=seed)
        result = {
            "unsteered": before.text,
            "steered": after.text,
            "n_steered": steered.n_steered,
            "n_tokens": steered.n_tokens,
        }
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for title, text in (("unsteered", before.text), (f"{behaviour} x {strength:g} at layer {layer}", after.text)):
        console.print(Text(title, style="bold underline"))
        console.print(Text(visible(text)), soft_wrap=True)
        console.print()
    note(f"{steered.n_steered} of {steered.n_tokens} tokens steered")


@steer.command()
def sweep(
    vectors: Annotated[Path, VECTORS],
    out: Annotated[Path, typer.Option(help="Directory for results.json, report.html and what is written; resumes.")],
    model: Annotated[str | None, MODEL] = None,
    behaviours: Annotated[str | None, typer.Option(help="Whose directions, joined by commas; default all.")] = None,
    layers: Annotated[str, typer.Option(help="Blocks to steer at: `all`, `0,4,10:20:2`.")] = "all",
    strengths: Annotated[str, typer.Option(help=f"{STRENGTH_HELP}, joined by commas.")] = "0.25,0.5,1,2",
    random: Annotated[int, typer.Option(help="Random directions of the same dose at each layer and strength.")] = 20,
    problems: Annotated[int, typer.Option(help="Problems that are asked, at most.", min=2)] = 50,
    questions: Annotated[
        Path | None,
        typer.Option(help="JSONL of `question` and `answer`; model organisms have problems of their own."),
    ] = None,
    auroc: Annotated[
        Path | None,
        typer.Option(help="Directions with AUROCs to rank layers by, as `locate` writes; default those of VECTORS."),
    ] = None,
    operation: Annotated[str, typer.Option(help=OPERATION_HELP)] = "add",
    when: Annotated[str, typer.Option(help=WHEN_HELP)] = "sentences",
    max_new_tokens: Annotated[int, typer.Option(help="Length of the responses.", min=1)] = 160,
    temperature: Annotated[float, typer.Option(help="Of sampling; 0: greedy.", min=0)] = 0.7,
    template: Annotated[
        str, typer.Option(help="`chat`, `plain`, or `auto`: chat where the tokenizer has one.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of problems, sampling and random directions.", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="`cpu`, `cuda`; default CUDA where there is one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Steer another model of the same width.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """What each direction does, by layer and dose: how often its behaviour is written, what it breaks, what it solves.

    Always beside random directions of the same dose and the unembedding of the tell-tale word. Layers are ranked by
    effect beside their AUROC. Costs layers x strengths x (random + 2 x behaviours) rounds of answering: narrow
    `--layers` on a CPU.
    """
    with user_errors():
        directions = _opened(vectors)
        loaded = _loaded(directions, model, device)
        settings = _settings(
            loaded, directions, behaviours, layers, strengths, random, problems, operation, when, max_new_tokens,
            temperature, template, seed,
        )  # fmt: skip
        if operation != "project-out":
            directions = _with_norms(directions, loaded, list(settings.layers or directions.layers))
        if auroc is not None:
            directions = _with_auroc(directions, _opened(auroc))
        from reasonlens.analysis.effect import dose_curves
        from reasonlens.analysis.run_directory import write_json, write_text

        found = dose_curves(
            loaded, directions, settings=settings, questions=_asked(questions), out=out, force=force, note=note
        )
        write_json(out / "results.json", found.to_dict())
        found.to_frame().to_csv(out / "conditions.csv", index=False)
        write_text(out / "report.html", found.report())
    if as_json:
        typer.echo((out / "results.json").read_text("utf-8"), nl=False)
    else:
        _print(_layer_table(found))
    note(f"report: {out / 'report.html'}")


@steer.command()
def matrix(
    vectors: Annotated[
        list[Path], typer.Argument(help="Two or more files of directions, each of a model of the same width and depth.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for effects.csv, matrix.html and what is written; resumes.")],
    behaviour: Annotated[str, typer.Option(help="Whose direction.")],
    layer: Annotated[int, typer.Option(help="Block whose output is steered, from 0.")],
    models: Annotated[
        str | None, typer.Option(help="Models of the files, in their order, joined by commas; default by the files.")
    ] = None,
    strengths: Annotated[str, typer.Option(help=f"{STRENGTH_HELP} of the steered model.")] = "0.5,1",
    random: Annotated[int, typer.Option(help="Random directions of the same dose.")] = 20,
    problems: Annotated[int, typer.Option(help="Problems that are asked, at most.", min=2)] = 50,
    questions: Annotated[Path | None, typer.Option(help="JSONL of `question` and `answer`.")] = None,
    operation: Annotated[str, typer.Option(help=OPERATION_HELP)] = "add",
    when: Annotated[str, typer.Option(help=WHEN_HELP)] = "sentences",
    max_new_tokens: Annotated[int, typer.Option(help="Length of the responses.", min=1)] = 160,
    temperature: Annotated[float, typer.Option(help="Of sampling; 0: greedy.", min=0)] = 0.7,
    template: Annotated[str, typer.Option(help="`chat`, `plain` or `auto`.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of problems, sampling and random directions.", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="`cpu`, `cuda`; default CUDA where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the effects as JSON.")] = False,
) -> None:
    """Steer each model with the directions of each: source x target.

    Where a base model's direction moves the thinking model but not the base, both hold it and only one acts on it.
    """
    with user_errors():
        from reasonlens.analysis.effect import steering_matrix
        from reasonlens.analysis.run_directory import write_text
        from reasonlens.models import InputError

        if len(vectors) < 2:
            raise InputError("a matrix needs the directions of two or more models; `steer sweep` takes one")
        opened = [_opened(path) for path in vectors]
        names = models.split(",") if models else [str(each.model.get("name", "")) for each in opened]
        if len(set(names)) != len(vectors) or "" in names:
            raise InputError(
                f"name {len(vectors)} different models, one for each file (--models); got {', '.join(names)}"
            )
        loaded = [_loaded(each, name, device) for each, name in zip(opened, names, strict=True)]
        opened = [_with_norms(each, one, [layer]) for each, one in zip(opened, loaded, strict=True)]
        settings = _settings(
            loaded[0], opened[0], behaviour, str(layer), strengths, random, problems, operation, when, max_new_tokens,
            temperature, template, seed,
        )  # fmt: skip
        found = steering_matrix(
            dict(zip(names, loaded, strict=True)),
            dict(zip(names, opened, strict=True)),
            settings=settings,
            questions=_asked(questions),
            out=out,
            note=note,
        )
        effects = found.effects()
        effects.to_csv(out / "effects.csv", index=False)
        page = found.figure(behaviour, loaded[0].layer_index(layer)).to_html(include_plotlyjs=True, full_html=True)
        write_text(out / "matrix.html", page)
    if as_json:
        typer.echo(effects.to_json(orient="records", indent=1))
    else:
        _print(_matrix_table(effects))
    note(f"figure: {out / 'matrix.html'}")


def _opened(path: Path) -> Directions:
    from reasonlens.vectors import Directions

    return Directions.open(path)


def _loaded(directions: Directions, model: str | None, device: str | None) -> LanguageModel:
    import reasonlens

    name = model or directions.model.get("name")
    if not name:
        raise reasonlens.InputError("the directions do not say which model they are of; give --model")
    return reasonlens.load(name, device=device, note=note)


def _with_norms(directions: Directions, model: LanguageModel, layers: list[int]) -> Directions:
    """With residual norms measured where the file has none."""
    import math

    from reasonlens.vectors.residual_norms import with_norms_of

    norms = dict(zip(directions.layers, directions.residual_norm, strict=True))
    unknown = [layer for layer in layers if math.isnan(norms.get(layer, 0.0))]
    if not unknown:
        return directions
    note("the file does not say how long activations are: measuring it on neutral text")
    from reasonlens.analysis.effect.neutral import NEUTRAL

    return with_norms_of(directions, model, NEUTRAL)


def _with_auroc(directions: Directions, ranked: Directions) -> Directions:
    """With the AUROC of each behaviour and layer that another file has."""
    from dataclasses import replace
    from math import nan

    scores = {}
    for behaviour in directions.behaviours:
        known = dict(zip(ranked.layers, ranked.scores.get(behaviour, {}).get("auroc", ()), strict=False))
        aurocs = [known.get(layer, nan) for layer in directions.layers]
        scores[behaviour] = {**directions.scores.get(behaviour, {}), **({"auroc": aurocs} if known else {})}
    return replace(directions, scores=scores)


def _template(name: str) -> Any:
    from reasonlens.models import InputError

    if name not in ("auto", "chat", "plain"):
        raise InputError(f"a template is auto, chat or plain, and {name!r} is none")
    return name


def _tokens(when: str, model: LanguageModel) -> dict[str, Any]:
    """The options of `steer` for a text that says which tokens."""
    from reasonlens.vectors.steering import at_sentence_ends

    return {"when": "response", "controller": at_sentence_ends(model)} if when == "sentences" else {"when": when}


def _settings(
    model: LanguageModel, directions: Directions, behaviours: str | None, layers: str, strengths: str, random: int,
    problems: int, operation: str, when: str, max_new_tokens: int, temperature: float, template: str, seed: int,
) -> EffectSettings:  # fmt: skip
    from reasonlens.activations.layers import parse_layers
    from reasonlens.analysis.continuation import Sampling
    from reasonlens.analysis.effect import EffectSettings
    from reasonlens.models import InputError

    try:
        doses = tuple(float(each) for each in strengths.split(","))
    except ValueError as error:
        raise InputError(f"strengths are numbers joined by commas, and {strengths!r} is not") from error
    return EffectSettings(
        behaviours=tuple(name.strip() for name in behaviours.split(",")) if behaviours else None,
        layers=None if layers == "all" else tuple(parse_layers(layers, model.n_layers)),
        strengths=doses,
        n_random=random,
        n_problems=problems,
        operation=operation,
        when=when,
        template=_template(template),
        sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
        seed=seed,
    )


def _asked(questions: Path | None) -> Any:
    from reasonlens.traces.questions import read_questions

    return None if questions is None else read_questions(questions)


def _print(table: Table) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 124
    console.print(table)


def _layer_table(found: DoseCurves) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    accuracy = found.unsteered.accuracy()
    table = Table(
        title=Text(
            f"{found.about['model']['name']}: {len(found.unsteered.n_sentences)} problems"
            + (f", unsteered accuracy {accuracy}" if accuracy else "")
        ),
        caption="Change of the behaviour's rate [95% interval over problems] at the strength of the largest, beside "
        "the mean and the largest of random directions; p: rank among them, not corrected for that choice. KL: nats a "
        "token on neutral text. Ranks: 1 for the best layer.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("layer", "strength", "change of rate", "random", "p", "KL", "AUROC", "rank: effect", "AUROC"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.by_layer().to_dict("records"):
        table.add_row(
            Text(row["behaviour"]),
            str(row["layer"]),
            f"{row['strength']:g}",
            Text(f"{row['effect']:+.3f} [{row['effect_low']:+.3f}, {row['effect_high']:+.3f}]"),
            f"{row['random_mean']:+.3f}, {row['random_max']:+.3f}",
            f"{row['p_value']:.3f}",
            f"{row['kl_nats']:.2f}",
            _known(row["auroc"], ".3f"),
            _known(row["rank_effect"], ".0f"),
            _known(row["rank_auroc"], ".0f"),
        )
    return table


def _matrix_table(effects: Any) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, caption="p: rank among random directions of the same dose.", caption_justify="left"
    )
    for column in ("directions of", "steered", "strength", "change of rate", "p", "KL", "n"):
        table.add_column(column, justify="left" if column in ("directions of", "steered") else "right")
    for row in effects.to_dict("records"):
        table.add_row(
            Text(row["source"]),
            Text(row["target"]),
            f"{row['strength']:g}",
            Text(f"{row['effect']:+.3f} [{row['effect_low']:+.3f}, {row['effect_high']:+.3f}]"),
            f"{row['p_value']:.3f}",
            f"{row['kl_nats']:.2f}",
            str(row["n_problems"]),
        )
    return table


def _known(value: float, form: str) -> str:
    return "–" if value != value else format(value, form)
