"""Compare ways to get more out of a base on one set of problems: `reasonlens elicit`.

1. Every arm that the models allow is made ready (`arms.py`), answers the test problems in the usual words and some of
   them in others, and reads texts off the task (`answering.py`).
2. Its accuracy stands beside that of the plain prompt and of the strongest cheap control (`measure.py`), with what a
   response and the training cost (`cost.py`).
3. A sentence by written rules says what follows (`verdict_rules.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models import load
from ...models._load import ModelLike
from ...models.organism import names_organism
from ...organisms import is_organism
from ...rundir import (
    InputError,
    RowLog,
    RunDirectory,
    content_digest,
    did_you_mean,
    expanded,
    members_of,
    plain,
    settings_of,
    tensors_digest,
)
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ...traces import digest
from ...vectors import Directions
from ...vectors.fit import check_fit
from ..identity import inputs_of
from ..opening import Problems, open_pairs, problem_set_of
from ..pair import Pair, check_lengths, organism_pair, question_pair
from ..reward.cosines import directions_digest
from .answering import COLUMNS, KEY, TEXT_COLUMNS, TEXT_KEY, Answering, AnswerKey, graded_answer
from .arm import ElicitArm, ElicitContext
from .arms import ARMS, PLAIN
from .measure import ArmRecord, compare_arms, control_curve, measure_arms
from .off_task import texts_off_task
from .result import ElicitResult
from .rewording import FRAMES
from .settings import ElicitSettings
from .trained import UNKNOWN, open_reward_vectors

logger = logging.getLogger(__name__)

ARTIFACTS = (RESULTS, TABLE, REPORT)


def elicit(
    base: ModelLike | None = None,
    thinking: ModelLike | None = None,
    problems: Problems | None = None,
    *,
    pair: Pair | None = None,
    directions: Directions | str | Path | None = None,
    reward_vectors: str | Path | None = None,
    settings: ElicitSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> ElicitResult:
    """Compare prompts, steering, hybrids, fine-tuning on one problem and training by reward on one set of problems.

    Args:
        base: Model that is to do better; None: of an organism the base that it was trained from.
        thinking: Model with the training; None: none, and arms that need one do not run. Without base and problems
            `organism/rl-timing`.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pair: What is compared in place of these three (`question_pair`, `organism_pair`).
        directions: Of behaviours, to steer with; those with layer and strength (`steer find`) are taken as they are.
            None: they are found.
        reward_vectors: File of vectors that `train-vectors` wrote for the base.
        settings: Arms and sizes; default `ElicitSettings()`.
        out: Directory for results.json, table.csv, report.html and all answers; the same call goes on there where it
            was cut off, arm by arm and problem by problem. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        Figures of each arm with intervals over problems, and what follows from them.

    Raises:
        InputError: Models, problems, vectors or settings cannot be used, an arm that is named cannot run, or `out`
            holds another run.
    """
    settings = settings_of(settings, ElicitSettings)
    unknown = [name for name in settings.arms if name not in ARMS]
    if unknown:
        raise InputError(
            f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}.{did_you_mean(unknown[0], ARMS)}"
        )
    pair, has_thinking = _pair(base, thinking, problems, pair, settings, device)
    check_lengths(pair)
    has_words = not is_organism(pair.base)
    if has_words and settings.n_wordings > len(FRAMES):
        raise InputError(f"there are {len(FRAMES)} wordings of a question, and {settings.n_wordings} are asked for")
    if isinstance(directions, str | Path):
        directions = Directions.open(directions)
    if directions is not None:
        check_fit(directions, pair.base)
    rows, cost = (None, UNKNOWN) if reward_vectors is None else open_reward_vectors(reward_vectors, pair.base)
    texts = texts_off_task(settings.n_off_task, settings.seed, has_words=has_words)
    place = None if out is None else expanded(out)
    inputs: dict[str, Any] = inputs_of(pair) | {
        "thinking": inputs_of(pair)["thinking"] if has_thinking else None,
        "texts": digest(texts),
        "directions": None
        if directions is None
        else content_digest([directions_digest(directions), plain(directions.choices)]),
        "reward_vectors": None if rows is None else tensors_digest("reward", {"rows": rows})[:16],
    }
    with RunDirectory(
        place,
        "elicit",
        settings=settings.compared(),
        inputs=inputs,
        changeable=settings.changeable(),
        options={"n_rows": settings.n_rows, "base": pair.base.name},
    ) as run:
        context = ElicitContext(
            pair=pair,
            has_thinking=has_thinking,
            has_words=has_words,
            settings=settings,
            directions=directions,
            reward_vectors=rows,
            reward_training=cost,
            run=run,
            progress=progress,
        )
        chosen, refused = choose_arms(context)
        run.record()
        records: dict[str, ArmRecord] = {}
        answers = run.log("answers.jsonl", key=KEY, columns=COLUMNS)
        readings = run.log("readings.jsonl", key=TEXT_KEY, columns=TEXT_COLUMNS)
        for arm in chosen:
            try:
                with run.stage(arm.name):
                    records[arm.name] = _record(Answering(context, arm), answers, readings, texts)
            except InputError as error:
                if arm.name in settings.arms or arm.name == PLAIN:
                    raise
                logger.warning(f"no arm {arm.name}: {error}")
                refused[arm.name] = str(error)
        names = [question.problem for question in pair.test]
        result = ElicitResult(
            base=pair.base.name,
            thinking=pair.thinking.name if has_thinking else None,
            arms=measure_arms(records, names),
            control=control_curve(records[PLAIN], names),
            comparisons=compare_arms(records, names),
            refused=refused,
            settings=settings,
        )
        if place is not None:
            result.write(place)
            run.finish(ARTIFACTS)
    return result


def choose_arms(context: ElicitContext) -> tuple[list[ElicitArm], dict[str, str]]:
    """Choose the arms that run.

    Args:
        context: Models and settings.

    Returns:
        The arms in the order of the table, the plain prompt first; and why others do not run.

    Raises:
        InputError: One that is named cannot run.
    """
    named = context.settings.arms
    arms = [arm for arm in ARMS.values() if arm.name in (PLAIN, *named) or not named]
    refused = {arm.name: reason for arm in arms if (reason := arm.refusal(context))}
    for name in named:
        if name in refused:
            raise InputError(f"the arm {name} cannot run: {refused[name]}. Leave it out of the arms (--arms)")
    return [arm for arm in arms if arm.name not in refused], refused


def _pair(
    base: ModelLike | None,
    thinking: ModelLike | None,
    problems: Problems | None,
    pair: Pair | None,
    settings: ElicitSettings,
    device: str | None,
) -> tuple[Pair, bool]:
    """Open models and problems; and whether there is a thinking model."""
    counts: dict[str, Any] = {
        "n_train": settings.n_train,
        "n_validation": settings.n_validation,
        "n_test": settings.n_test,
    }
    if pair is not None:
        (pair,) = members_of([pair], Pair, "pair", "give what question_pair or organism_pair returned")
        return pair, pair.thinking is not pair.base
    if base is None and thinking is None:
        if problems is not None:
            raise InputError("which model is to do better? give --base (base=), and --thinking if there is one")
        thinking = "organism/rl-timing"
    if thinking is not None:
        (opened,) = open_pairs(base, thinking, problems, **counts, seed=settings.seed, device=device)
    elif problems is None and names_organism(base):
        opened = organism_pair(str(base), str(base), **counts, seed=settings.seed)
        opened = replace(opened, thinking=opened.base)
    elif problems is None:
        raise InputError(f"{base} needs problems to solve: give --problems: gsm8k, math-500 or a file of them")
    else:
        assert base is not None
        problem_set = problem_set_of(problems, sum(counts.values()), settings.seed)
        handle = load(base, device=device)
        opened = question_pair(handle, handle, problem_set.questions, grader=problem_set.grader, **counts)
    if not is_organism(opened.base):
        opened = replace(opened, base_template=settings.template)
    return opened, thinking is not None


def _record(answering: Answering, answers: RowLog, readings: RowLog, texts: Sequence[Any]) -> ArmRecord:
    """Prepare an arm, let it answer and read, and gather what was logged."""
    settings, name = answering.context.settings, answering.arm.name
    n_questions = len(answering.context.pair.test)
    n_samples = settings.sampling.n_samples if name == PLAIN else 1
    n_reworded = min(settings.n_reworded, n_questions)
    preparation = answering.preparation()
    usual: list[AnswerKey] = [(name, 0, question, k) for question in range(n_questions) for k in range(n_samples)]
    others: list[AnswerKey] = [
        (name, wording, question, 0) for wording in range(1, settings.n_wordings) for question in range(n_reworded)
    ]
    answering.answers(answers, usual)
    if others:
        answering.answers(answers, others)
    answering.readings(readings, texts)
    return ArmRecord(
        arm=answering.arm,
        preparation=preparation,
        needs_thinking=answering.arm.needs_thinking(answering.context),
        answers=[
            [graded_answer(answers[name, 0, question, sample]) for sample in range(n_samples)]
            for question in range(n_questions)
        ],
        reworded=[
            [graded_answer(answers[name, wording, question, 0]) for wording in range(settings.n_wordings)]
            for question in range(n_reworded)
        ],
        nats=np.array([readings[name, number]["nats"] for number in range(len(texts))]),
        n_tokens=np.array([float(readings[name, number]["n_tokens"]) for number in range(len(texts))]),
    )
