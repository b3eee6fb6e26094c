"""What changes along a training, and when: accuracy and its form, behaviours, directions, probes, many attempts.

1. Every checkpoint answers the same problems with the same random numbers (`step_run.py`); the base's texts are read by
   each (`reading.py`).
2. The gain over the base is split exactly into form and what lies beyond (`gain.py`); pass@1 and pass@k are followed
   (`collapse.py`), and what was trained on (`memorising.py`).
3. Change-points of all curves, with intervals over problems, tests against permuted steps, and shapes (`changes.py`).

Published tables take the place of checkpoints (`published.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ...models import load
from ...models._load import ModelLike
from ...models.content import model_digest
from ...models.organism import names_organism
from ...rundir import InputError, RunDirectory, expanded, file_digest, settings_of
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ...traces import Annotator
from ...traces.questions import Question
from ..identity import inputs_of
from ..opening import Problems, problem_set_of
from ..pair import Pair, check_lengths, organism_pair, question_pair
from .checkpoints import Checkpoint, Checkpoints, checkpoints_of
from .following import Following, example_of
from .from_tables import run_of_behaviours, run_of_problems
from .published import ProblemTable, read_table
from .result import DynamicsResult
from .settings import DynamicsSettings

CHECKPOINTS = "organism/rl-timing"
ARTIFACTS = (RESULTS, TABLE, REPORT)


def dynamics(
    checkpoints: Checkpoints | None = None,
    base: ModelLike | None = None,
    problems: Problems | None = None,
    *,
    table: str | Path | None = None,
    trained_on: Problems | None = None,
    annotator: Annotator | None = None,
    settings: DynamicsSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> DynamicsResult:
    """Follow a training along its checkpoints, or along a published table of it.

    Args:
        checkpoints: Step -> model, or `10=MODEL,20=MODEL`, a directory with a sub-directory for each step, or an
            organism; None: `organism/rl-timing`.
        base: Model before the training; None: step 0 of the checkpoints, or an organism's own.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        table: A published table in place of all these: JSON of problems, or CSV of behaviours.
        trained_on: Problems that were trained on, to see when they are memorised; None: those of an organism that was
            trained on one example, else none.
        annotator: Labels the sentences of responses; None: tell-tale words, of organisms their labeller.
        settings: How much is sampled, and what is estimated; default `DynamicsSettings()`.
        out: Directory for results.json, table.csv, report.html, and all responses; the same call goes on there where
            it was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        What was followed, with intervals over problems, change-points and controls.

    Raises:
        InputError: Checkpoints, problems, table or settings cannot be used, or `out` holds another run or is being
            written.
    """
    settings = settings_of(settings, DynamicsSettings)
    place = None if out is None else expanded(out)
    if table is not None:
        if any(argument is not None for argument in (checkpoints, base, problems, trained_on, annotator)):
            raise InputError("a table takes the place of checkpoints: give --table, or models and problems, not both")
        return _of_table(expanded(table), settings, place)
    if settings.condition or settings.evaluations is not None:
        raise InputError("runs and evaluations are chosen of published tables: give --table, or leave them out")
    source = CHECKPOINTS if checkpoints is None else checkpoints
    steps = checkpoints_of(source, base)
    _check(settings, steps)
    pair = _pair(steps, problems, annotator, settings, device)
    examples = _examples(source, trained_on, settings)
    check_lengths(replace(pair, train=examples))
    return _of_checkpoints(_name(source, pair), pair, steps, examples, settings, place, progress)


def _of_table(table: Path, settings: DynamicsSettings, place: Path | None) -> DynamicsResult:
    content = read_table(table, settings.condition, settings.evaluations)
    digest = file_digest(table)
    with RunDirectory(place, "dynamics", inputs={"table": digest}, changeable=asdict(settings)) as run:
        run.record()
        if isinstance(content, ProblemTable):
            result = DynamicsResult(runs={content.name: run_of_problems(content, settings)}, settings=settings)
        else:
            tables, notes = content
            runs = {one.name: run_of_behaviours(one, settings) for one in tables}
            result = DynamicsResult(runs=runs, settings=settings, notes=notes)
        _write(result, run)
    return result


def _of_checkpoints(
    name: str,
    pair: Pair,
    steps: Sequence[Checkpoint],
    examples: Sequence[Question],
    settings: DynamicsSettings,
    place: Path | None,
    progress: bool,
) -> DynamicsResult:
    inputs = {key: value for key, value in inputs_of(pair).items() if key not in ("base", "thinking")}
    inputs["checkpoints"] = {str(one.step): model_digest(one.model) for one in steps}
    inputs["trained_on"] = [[question.prompt, question.answer] for question in examples]
    with RunDirectory(
        place,
        "dynamics",
        settings=settings.of_responses(),
        inputs=inputs,
        changeable=settings.of_estimates(),
        options={"n_rows": settings.n_rows},
    ) as run:
        run.record()
        followed = Following(
            name=name,
            pair=pair,
            checkpoints=steps,
            trained_on=examples,
            settings=settings,
            run=run,
            progress=progress,
        ).follow()
        result = DynamicsResult(runs={name: followed}, settings=settings)
        _write(result, run)
    return result


def _check(settings: DynamicsSettings, steps: Sequence[Checkpoint]) -> None:
    """Refuse settings that do not go with the steps, before anything is sampled."""
    if settings.attempts > settings.sampling.n_samples:
        raise InputError(
            f"pass@{settings.attempts} needs as many samples of each problem, and {settings.sampling.n_samples} are "
            "drawn: lower --attempts, or raise --samples"
        )
    known = [one.step for one in steps]
    for step in settings.when_at:
        if step not in known[1:]:
            raise InputError(
                f"sentences are exchanged at a step behind the base's, and {step:g} (--when-at) is none of "
                f"{', '.join(map(str, known[1:]))}"
            )


def _pair(
    steps: Sequence[Checkpoint],
    problems: Problems | None,
    annotator: Annotator | None,
    settings: DynamicsSettings,
    device: str | None,
) -> Pair:
    """Open the base and the problems that all steps answer; both models of the pair are the base."""
    base = steps[0].model
    if problems is None:
        others = [one.model for one in steps if not names_organism(one.model)]
        if others:
            raise InputError(
                f"{_shown(others[0])} needs problems to solve: give --problems: gsm8k, math-500, reasoning-gym:KIND or "
                "a file of questions and answers"
            )
        pair = organism_pair(
            str(base), str(base), n_train=0, n_validation=0, n_test=settings.n_test, seed=settings.seed
        )
    else:
        problem_set = problem_set_of(problems, settings.n_test, settings.seed)
        handle = load(base, device=device)
        pair = question_pair(
            handle,
            handle,
            problem_set.questions,
            n_train=0,
            n_validation=0,
            n_test=settings.n_test,
            grader=problem_set.grader,
        )
        pair = replace(pair, base_template=settings.template, thinking_template=settings.template)
    return pair if annotator is None else replace(pair, annotator=annotator)


def _examples(source: Checkpoints, trained_on: Problems | None, settings: DynamicsSettings) -> tuple[Question, ...]:
    if trained_on is None:
        return example_of(source)
    return tuple(problem_set_of(trained_on, settings.n_test, settings.seed).questions[: settings.n_test])


def _name(source: Checkpoints, pair: Pair) -> str:
    if isinstance(source, Mapping) or "=" in str(source):
        return f"training of {pair.base.name}"
    return Path(str(source)).name


def _shown(model: ModelLike) -> str:
    return model if isinstance(model, str) else str(getattr(model, "name", type(model).__name__))


def _write(result: DynamicsResult, run: RunDirectory) -> None:
    if run.has_directory:
        result.write(run.path)
        run.finish(ARTIFACTS)
