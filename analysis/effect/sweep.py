"""Measure how a direction changes the responses of a model, by strength: `reasonlens steer sweep`.

1. The model answers the questions unsteered.
2. It answers them with each behaviour's direction at each layer and strength; with at least 20 random directions of the
   same strength; and with the unembedding row of the behaviour's tell-tale word. All use the same random numbers.
   With `max_kl_nats`, only layers and strengths at which the direction itself moves neutral text by no more than that;
   the limit is applied before anything is answered.
3. An annotator counts behaviours, a grader counts right answers; the divergence from the unsteered model and the
   perplexity on neutral text measure the damage.
4. An effect is the rate of the behaviour minus that of the unsteered model, with an interval over paired problems. Its
   p-value is its rank among the random directions: (1 + number with at least this effect) / (1 + number of them).

Strengths and layers are chosen on these problems; a claim about the best of them needs other problems.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...generation import encode_prompts, write
from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...rundir import (
    InputError,
    RowLog,
    RunDirectory,
    callable_name,
    columns_of,
    content_digest,
    from_row,
    plain,
    settings_of,
    to_row,
)
from ...rundir.progress import with_progress
from ...traces.problem_sets import ProblemSet
from ...traces.questions import Question
from ...vectors import Directions
from ...vectors.fit import check_fit
from ...vectors.residual_norms import with_known_norms
from ...vectors.steering import (
    Steered,
    Steering,
    When,
    at_sentence_ends,
    steer,
)
from ...vectors.steering.sentence_ends import sentence_decay, through_sentences
from .condition import Condition, all_conditions
from .curves import FILES, StrengthCurves
from .damage import NeutralText, texts_for_norms
from .outcome import Outcome, outcome_of
from .settings import EffectSettings
from .task import Task, task_for

ROWS = "outcomes.jsonl"
COLUMNS = {"name": str, **columns_of(Outcome)}
# Settings that choose which outcomes there are, and change none of them
CONDITIONS = ("behaviours", "layers", "strengths", "n_random", "max_kl_nats")


def steer_sweep(
    model: ModelLike,
    directions: Directions,
    *,
    settings: EffectSettings | None = None,
    questions: str | Path | ProblemSet | Sequence[Question] | None = None,
    task: Task | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    ranked: Directions | None = None,
    force: bool = False,
    progress: bool = True,
) -> StrengthCurves:
    """Steer `model` with `directions` at every layer and strength of the settings, and with their controls.

    Args:
        model: The model that is steered, or its name or path.
        directions: Directions of each behaviour and layer, with the mean residual norm of the model at each layer.
        settings: Behaviours, layers, strengths, controls, sampling.
        questions: Questions, or the name or file of a problem set; an organism has problems of its own.
        task: Questions, annotator, grader and neutral text of your own, in place of `questions`.
        out: The run directory: outcomes (a row as soon as it is measured), results, table and page. An interrupted run
            is resumed. None writes nothing.
        device: Where a model that is loaded by name runs.
        ranked: Directions with AUROCs to rank layers by; None means `directions`.
        force: Accept directions of another model.
        progress: Show a progress bar.

    Returns:
        The outcome of every condition, with tables and figures by strength and layer.

    Raises:
        InputError: The directions do not fit the model, behaviours or layers are unknown, the model has no questions,
            or the directory holds another run.
    """
    settings = settings_of(settings, EffectSettings)
    loaded = load(model, device=device)
    check_fit(directions, loaded, force=force)
    behaviours = settings.behaviours or directions.behaviours
    for behaviour in behaviours:
        _ = directions[behaviour]
    layers = tuple(map(loaded.layer_index, directions.choose_layers(settings.layers, loaded.n_layers)))
    for layer in layers:
        directions.at(behaviours[0], layer)
    if settings.operation != "project-out":  # which has no strength, and needs no unit for it
        directions = with_known_norms(directions, loaded, layers, texts_for_norms)
    task = task or task_for(loaded, behaviours, questions, n_problems=settings.n_problems, seed=settings.seed)
    n_problems = len({question.problem for question in task.questions})
    if n_problems < 2:
        raise InputError(f"intervals need at least two problems, and there {'is 1' if n_problems else 'are 0'}")
    planned = all_conditions(behaviours, layers, settings.strengths, n_random=settings.n_random, tokens=task.tokens)
    about = {
        "model": loaded.identity(),
        "directions": {"method": directions.method, "model": directions.model, "data_digest": directions.data_digest},
        "settings": plain(replace(settings, behaviours=tuple(behaviours), layers=layers)),
    }
    trial = _Trial(loaded, directions, task, settings, force)
    ranking = ranked or directions
    with _open_run(out, loaded, directions, ranking, task, about["settings"]) as run:
        if settings.max_kl_nats is not None:
            with run.stage("limit"):
                planned = trial.within_limit(planned, settings.max_kl_nats, progress)
        with run.stage("outcomes"):
            outcomes = _measured(planned, trial, run.log(ROWS, key="name", columns=COLUMNS), progress)
        curves = StrengthCurves(
            outcomes=tuple(outcomes),
            behaviours=tuple(behaviours),
            layers=layers,
            strengths=tuple(sorted({*settings.strengths} - {0.0})),
            scores={name: ranking.scores.get(name, {}) for name in behaviours},
            score_layers=ranking.layers,
            about=about,
        )
        if run.has_directory:
            with run.stage("report"):
                curves.write(run.path)
            run.finish(FILES)
    return curves


def _measured(conditions: Sequence[Condition], trial: _Trial, log: RowLog, progress: bool) -> list[Outcome]:
    """Measure the conditions that the log does not hold."""
    outcomes = []
    for condition in with_progress(conditions, desc="conditions", unit="condition", progress=progress):
        if condition.name not in log:
            log.add([{"name": condition.name, **to_row(trial.outcome(condition))}])
        outcomes.append(from_row(Outcome, log[condition.name]))
    return outcomes


def _open_run(
    out: str | Path | None,
    model: LanguageModel,
    directions: Directions,
    ranking: Directions,
    task: Task,
    settings: dict[str, Any],
) -> RunDirectory:
    """Open the run directory; a run with more layers, strengths or controls continues from the stored outcomes."""
    if out is None:
        return RunDirectory(None, "steer sweep")
    conditions = {name: settings[name] for name in CONDITIONS}
    return RunDirectory(
        out,
        "steer sweep",
        settings={name: value for name, value in settings.items() if name not in CONDITIONS}
        | {
            "annotator": callable_name(task.annotator),
            "grader": None if task.grader is None else callable_name(task.grader),
        },
        changeable=conditions
        | {"tell-tale tokens": task.tokens, "ranking": content_digest([repr(ranking.scores), ranking.layers])},
        inputs={
            "model": weights_digest(model),
            "directions": digest_of(directions),
            "questions": content_digest(task.questions),
            "neutral text": content_digest(task.neutral),
        },
        options={"model": model.name, "directions": directions.method},
    )


def digest_of(directions: Directions) -> str:
    """Digest the vectors and norms of directions, without their scores and provenance."""
    vectors = {
        name: hashlib.sha256(vector.detach().float().cpu().contiguous().numpy().tobytes()).hexdigest()
        for name, vector in directions.vectors.items()
    }
    return content_digest([vectors, directions.layers, [repr(norm) for norm in directions.residual_norm]])


class _Trial:
    """One model and one task, on which conditions are measured."""

    def __init__(
        self, model: LanguageModel, directions: Directions, task: Task, settings: EffectSettings, force: bool
    ) -> None:
        self._model, self._directions, self._task, self._settings, self._force = (
            model,
            directions,
            task,
            settings,
            force,
        )
        self._prompts = encode_prompts(model, [question.prompt for question in task.questions], settings.template)
        self._neutral = NeutralText(model, task.neutral)
        decay = sentence_decay(settings.when)
        self._controller = through_sentences(model, decay) if decay else at_sentence_ends(model)

    def outcome(self, condition: Condition) -> Outcome:
        settings = self._settings
        with self._steered(condition, settings.when) as steered:
            written = write(self._model, self._prompts, settings.sampling, seed=settings.seed)
        return outcome_of(
            condition,
            self._task.questions,
            written,
            annotator=self._task.annotator,
            grader=self._task.grader,
            damage=self._neutral.damage(self._steered(condition, "all")),
            n_steered=0 if steered is None else steered.n_steered,
            n_run=0 if steered is None else steered.n_tokens,
        )

    def within_limit(self, conditions: Sequence[Condition], max_kl_nats: float, progress: bool) -> list[Condition]:
        """Leave out the cells whose direction exceeds the limit, and controls that no cell is left for.

        Raises InputError if a behaviour has no cell left.
        """
        directions = [condition for condition in conditions if condition.kind == "direction"]
        damage_nats = {
            (condition.behaviour, condition.layer, condition.strength): self._neutral.damage(
                self._steered(condition, "all")
            ).kl_nats
            for condition in with_progress(directions, desc="damage", unit="condition", progress=progress)
        }
        cells = {cell for cell, nats in damage_nats.items() if nats <= max_kl_nats}
        for behaviour in dict.fromkeys(behaviour for behaviour, _, _ in damage_nats):
            if behaviour not in {name for name, _, _ in cells}:
                least = min(nats for (name, _, _), nats in damage_nats.items() if name == behaviour)
                raise InputError(
                    f"every layer and strength of {behaviour!r:.60} moves neutral text by {least:.2g} nats a token or "
                    f"more, and the limit is {max_kl_nats:g}: try weaker strengths, or raise the limit"
                )
        places = {("", layer, strength) for _, layer, strength in cells}
        return [
            condition
            for condition in conditions
            if condition.kind == "unsteered"
            or (condition.behaviour, condition.layer, condition.strength) in cells | places
        ]

    def _steered(self, condition: Condition, when: str) -> AbstractContextManager[Steered | None]:
        if condition.kind == "unsteered":
            return nullcontext()
        direction = condition.direction(self._directions, self._model, self._task.tokens, self._settings.seed)
        controller = None if sentence_decay(when) is None else self._controller
        steering = Steering(
            direction=direction,
            layers=(condition.layer,),
            strength=condition.strength,
            operation=self._settings.operation,
            when=When.parse(when) if controller is None else When.response(),
            controller=controller,
        )
        return steer(self._model, steering, force=self._force)


__all__ = ["StrengthCurves", "EffectSettings", "steer_sweep"]
