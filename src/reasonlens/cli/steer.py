"""`reasonlens steer`: write with a direction, sweep over doses, and steer models with each other's directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reasonlens.cli.console import note, user_errors, visible
from reasonlens.cli.steer_inputs import (
    asked_questions,
    chosen_tokens,
    effect_settings,
    loaded_model,
    named_template,
    opened_directions,
    with_auroc,
    with_norms,
)
from reasonlens.cli.steer_tables import layer_table, matrix_table, print_table

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
        from reasonlens.generation import Sampling, encode_prompts
        from reasonlens.generation import write as written_by
        from reasonlens.vectors.steering import steer as steering

        directions = opened_directions(vectors)
        loaded = loaded_model(directions, model, device)
        if not absolute and operation != "project-out":
            directions = with_norms(directions, loaded, [layer])
        sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens)
        prompts = encode_prompts(loaded, [prompt], named_template(template))
        options: dict[str, Any] = {"layer": layer, "strength": strength, "operation": operation, "absolute": absolute}
        with steering(loaded, directions[behaviour], force=force, **options, **chosen_tokens(when, loaded)) as steered:
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
        directions = opened_directions(vectors)
        loaded = loaded_model(directions, model, device)
        settings = effect_settings(
            loaded, directions, behaviours, layers, strengths, random, problems, operation, when, max_new_tokens,
            temperature, template, seed,
        )  # fmt: skip
        if operation != "project-out":
            directions = with_norms(directions, loaded, list(settings.layers or directions.layers))
        if auroc is not None:
            directions = with_auroc(directions, opened_directions(auroc))
        from reasonlens.analysis.effect import dose_curves
        from reasonlens.rundir import write_json, write_text

        found = dose_curves(
            loaded, directions, settings=settings, questions=asked_questions(questions), out=out, force=force
        )
        write_json(out / "results.json", found.to_dict())
        found.to_frame().to_csv(out / "conditions.csv", index=False)
        write_text(out / "report.html", found.report())
    if as_json:
        typer.echo((out / "results.json").read_text("utf-8"), nl=False)
    else:
        print_table(layer_table(found))
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
        from reasonlens.rundir import InputError, write_text

        if len(vectors) < 2:
            raise InputError("a matrix needs the directions of two or more models; `steer sweep` takes one")
        opened = [opened_directions(path) for path in vectors]
        names = models.split(",") if models else [str(each.model.get("name", "")) for each in opened]
        if len(set(names)) != len(vectors) or "" in names:
            raise InputError(
                f"name {len(vectors)} different models, one for each file (--models); got {', '.join(names)}"
            )
        loaded = [loaded_model(each, name, device) for each, name in zip(opened, names, strict=True)]
        opened = [with_norms(each, one, [layer]) for each, one in zip(opened, loaded, strict=True)]
        settings = effect_settings(
            loaded[0], opened[0], behaviour, str(layer), strengths, random, problems, operation, when, max_new_tokens,
            temperature, template, seed,
        )  # fmt: skip
        found = steering_matrix(
            dict(zip(names, loaded, strict=True)),
            dict(zip(names, opened, strict=True)),
            settings=settings,
            questions=asked_questions(questions),
            out=out,
        )
        effects = found.effects()
        effects.to_csv(out / "effects.csv", index=False)
        page = found.figure(behaviour, loaded[0].layer_index(layer)).to_html(include_plotlyjs=True, full_html=True)
        write_text(out / "matrix.html", page)
    if as_json:
        typer.echo(effects.to_json(orient="records", indent=1))
    else:
        print_table(matrix_table(effects))
    note(f"figure: {out / 'matrix.html'}")
