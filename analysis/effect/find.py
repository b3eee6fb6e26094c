"""Find the layer and strength at which a direction brings its behaviour about: `reasonlens steer find`.

1. The model answers problems unsteered, and steered at each layer and strength: all of them on few problems, the better
   half on twice as many, and so on (`stats/halving.py`). All use the same random numbers.
2. The objective is the share of sentences that show the behaviour.
3. KL(steered || unsteered) of the next token, averaged over the tokens of the steered responses, is what steering moves
   the model by: both read the same text, after the same prompt. What exceeds the limit is dropped.

A search that is cut off goes on at the cell where it stopped. What it finds is chosen on these problems: a claim about
it needs others, and controls (`steer sweep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...rundir import InputError, RunDirectory, callable_name, content_digest, plain, settings_of
from ...rundir.progress import ProgressBar
from ...stats import Halving, successive_halving
from ...stats.halving import rungs
from ...traces.problem_sets import ProblemSet
from ...traces.questions import Question
from ...vectors import Choice, Directions
from ...vectors.fit import check_fit
from ...vectors.residual_norms import with_known_norms
from .answers import COLUMNS, KEY, Answers, Cell
from .damage import texts_for_norms
from .find_settings import FindSettings
from .steering_search import FILES, VECTORS, SteeringSearch, Tried
from .sweep import digest_of
from .task import Task, task_for


def steer_find(
    model: ModelLike,
    directions: Directions,
    *,
    settings: FindSettings | None = None,
    questions: str | Path | ProblemSet | Sequence[Question] | None = None,
    task: Task | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    force: bool = False,
    progress: bool = True,
) -> SteeringSearch:
    """Find the layer and strength of each behaviour, within a limit of KL.

    Args:
        model: The model that is steered, or its name or path.
        directions: Directions of each behaviour and layer.
        settings: Behaviours, layers, strengths, limit, sampling.
        questions: Questions, or the name or file of a problem set; an organism has problems of its own.
        task: Questions and annotator of your own, in place of `questions`.
        out: The run directory: answers (a row as soon as a cell is measured), results, table, page, and
            `vectors.safetensors`: the directions with what was found, for `export` and `steer_write`. None writes
            nothing.
        device: Where a model that is loaded by name runs.
        force: Accept directions of another model.
        progress: Show a progress bar.

    Returns:
        Every trial and the choice; `.directions` holds what was found.

    Raises:
        InputError: No layer and strength of a behaviour keeps to the limit, the directions do not fit the model, the
            model has no questions, or the directory holds another run.
    """
    settings = settings_of(settings, FindSettings)
    loaded = load(model, device=device)
    check_fit(directions, loaded, force=force)
    behaviours = tuple(settings.behaviours or directions.behaviours)
    layers = tuple(map(loaded.layer_index, directions.choose_layers(settings.layers, loaded.n_layers)))
    for behaviour in behaviours:
        directions.at(behaviour, layers[0])
    directions = with_known_norms(directions, loaded, layers, texts_for_norms)
    task = task or task_for(loaded, behaviours, questions, n_problems=settings.n_problems, seed=settings.seed)
    if len({question.problem for question in task.questions}) < 2:
        raise InputError(f"intervals need at least two problems, and there are {len(task.questions)} questions")
    settings = replace(settings, behaviours=behaviours, layers=layers)
    directory = RunDirectory(
        out,
        "steer find",
        settings=plain(settings) | {"annotator": callable_name(task.annotator)},
        inputs={
            "model": weights_digest(loaded),
            "directions": digest_of(directions),
            "questions": content_digest(task.questions),
        },
        options={"model": loaded.name},
    )
    cells = [(layer, strength) for layer in layers for strength in settings.strengths]
    n = len(task.questions)
    with directory as run:
        log = run.log("answers.jsonl", key=KEY, columns=COLUMNS)
        plan = [(0, 0), *rungs(len(cells), n)]
        n_most = sum(count * (size - plan[rung][1]) for rung, (count, size) in enumerate(plan[1:]))
        with (
            ProgressBar(total=n + n_most * len(behaviours), desc="search", unit="problem", progress=progress) as bar,
            run.stage("search"),
        ):
            answers = Answers(loaded, directions, task, settings, force, log, bar)
            searches = {name: _search(answers, name, cells, settings) for name in behaviours}
        tried = {name: _tried(answers, name, search) for name, search in searches.items()}
        choices = {name: _choice(searches[name], settings, loaded, n) for name in behaviours}
        result = SteeringSearch(
            trials={name: tuple(rows) for name, rows in tried.items()},
            effects={name: answers.effect(name, search) for name, search in searches.items()},
            n_decoded={name: search.n_decoded for name, search in searches.items()},
            n_grid=len(cells) * n,
            directions=replace(directions, choices=directions.choices | choices),
            choices=choices,
            about={"model": loaded.identity(), "settings": plain(settings)},
        )
        if run.has_directory:
            result.write(run.path)
            run.finish((*FILES, VECTORS))
    return result


def _search(answers: Answers, behaviour: str, cells: Sequence[Cell], settings: FindSettings) -> Halving[Cell]:
    search = successive_halving(
        cells,
        lambda cell, n: answers.measured(behaviour, cell, n),
        n_problems=len(answers.task.questions),
        kl_limit_nats=settings.kl_limit_nats,
    )
    if search.choice is None:
        least = min(search.trials, key=lambda trial: trial.measured.kl_nats)
        raise InputError(
            f"every layer and strength of {behaviour!r:.60} moves the model by {least.measured.kl_nats:.2g} nats a "
            f"token or more (layer {least.cell[0]}, strength {least.cell[1]:g}), and the limit is "
            f"{settings.kl_limit_nats:g}: try weaker strengths (--strengths), or raise the limit (--kl-limit)"
        )
    return search


def _tried(answers: Answers, behaviour: str, search: Halving[Cell]) -> list[Tried]:
    return [
        Tried(
            rung=trial.rung,
            layer=trial.cell[0],
            strength=trial.cell[1],
            n=trial.n,
            rate=trial.measured.objective,
            unsteered_rate=answers.rate(behaviour, None, trial.n),
            kl_nats=trial.measured.kl_nats,
            share_steered=trial.measured.gentleness[0],
            dropped=trial.dropped,
        )
        for trial in search.trials
    ]


def _choice(search: Halving[Cell], settings: FindSettings, model: LanguageModel, n: int) -> Choice:
    assert search.choice is not None
    layer, strength = search.choice.cell
    return Choice(
        layer=layer,
        strength=strength,
        kl_nats=search.choice.measured.kl_nats,
        when=settings.when,
        about=f"steer find: {n} problems of {model.name}, steered: {settings.when}, {settings.operation}, limit "
        f"{settings.kl_limit_nats:g} nats a token",
    )


__all__ = ["FindSettings", "steer_find"]
