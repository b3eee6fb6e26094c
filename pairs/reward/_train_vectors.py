"""Train vectors by reward in a frozen base, and find out what they do.

1. One vector a block, from zero, follows the policy gradient on sampled responses (`training.py`).
2. The base with all vectors, with each alone, with each left out, and with controls answers test problems (`arms.py`).
3. The vectors are compared with directions of behaviours, and the last one's effect on logits is listed.
4. The same vectors are put into other bases of the same shape.

Bias-only adaptation (arXiv 2505.18706, 2509.06608). The result is a pair: BASE and BASE+vectors.safetensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...activations.layers import parse_layers
from ...analysis.model_run import done_content
from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.content import model_digest
from ...organisms import is_organism
from ...rundir import InputError, RunDirectory, content_digest, expanded, settings_of
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ...traces.encoding import Template
from ...vectors import Directions
from ...vectors.reward import coordinate_sizes
from ..opening import Problems
from .arms import BASE, THINKING, VECTORS, VectorArm, vector_arms
from .cosines import cosines_with, directions_digest, organism_directions
from .measure import answer_all, figures_of
from .promoted import promoted_tokens
from .result import TrainedVectors, rows_of, trained_directions
from .settings import RewardSettings
from .task import RewardTask, open_task
from .training import STATE, steps_of, train_on

FILE = "vectors.safetensors"
ARTIFACTS = (FILE, RESULTS, TABLE, REPORT)
N_MEASURED = 16  # responses on which the size of the residual stream is measured, and shifts of logits


def train_vectors(
    base: ModelLike,
    problems: Problems | None = None,
    *,
    thinking: ModelLike | None = None,
    also: Sequence[ModelLike] = (),
    directions: Directions | str | Path | None = None,
    template: Template = "plain",
    settings: RewardSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> TrainedVectors:
    """Train one vector a block of a frozen base by the reward of its answers, and measure what the vectors do.

    Args:
        base: The model, whose weights stay as they are.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; `organism` or None: those of the organisms, for a base that is one.
        thinking: A model of which the gap to the base is to be recovered; None: none.
        also: Other bases of the same shape in which the same vectors are tried.
        directions: Of behaviours, with which the vectors are compared; None: of organisms, extracted here.
        template: Whether questions go through the chat template; a base of a pair is asked the bare question.
        settings: How it is trained and measured; default `RewardSettings()`.
        out: Directory for vectors.safetensors, results.json, table.csv, report.html, the log and all answers; the same
            call goes on there where it was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        The vectors, and what base, vectors, ablations, controls and other bases solved, with intervals over problems.

    Raises:
        InputError: Models, problems, directions or settings cannot be used, or `out` holds another run.
    """
    settings = settings_of(settings, RewardSettings)
    handle = load(base, device=device)
    layers = _numbers(settings.layers, handle)
    ablated = [] if settings.ablations == "none" else _numbers(settings.ablations, handle)
    task = open_task(handle, problems, settings, template)
    others = _others(handle, also, device)
    final = None if thinking is None else load(thinking, device=device)
    if isinstance(directions, str | Path):
        directions = Directions.open(directions)
    inputs = {
        "base": model_digest(handle),
        "problems": content_digest(task.inputs),
        "thinking": None if final is None else model_digest(final),
        "also": {name: model_digest(model) for name, model in others.items()},
        "directions": None if directions is None else directions_digest(directions),
        "template": template,
    }
    compared = {name: value for name, value in asdict(settings).items() if name != "n_rows"}
    options = {"model": handle.name, "n_rows": settings.n_rows}
    place = None if out is None else expanded(out)
    with RunDirectory(place, "train-vectors", settings=compared, inputs=inputs, options=options) as run:
        done = done_content(run, ARTIFACTS)
        if done is not None:
            return TrainedVectors.from_dict(done)
        run.record()
        with run.stage("training"):
            trained = run.once(
                FILE,
                make=lambda: _trained(task, handle, layers, settings, run, progress),
                save=Directions.save,
                open=Directions.open,
            )
        rows = rows_of(trained)
        jobs = [(handle.name, handle, arm) for arm in vector_arms(rows, ablated, settings.n_random, settings.seed)]
        if final is not None:
            jobs.append((handle.name, final, VectorArm(THINKING, "end", None)))
        for name, model in others.items():
            jobs += [(name, model, VectorArm(BASE, "end", None)), (name, model, VectorArm(VECTORS, "transfer", rows))]
        with run.stage("arms"):
            log = answer_all(task, jobs, settings, run, progress)
        if directions is None and is_organism(handle):
            directions = organism_directions(handle, layers, settings.seed)
        result = TrainedVectors(
            directions=trained,
            arms=figures_of(log, [(name, arm) for name, _, arm in jobs]),
            steps=steps_of(run),
            cosines=[] if directions is None else cosines_with(rows, directions, handle),
            promoted=promoted_tokens(handle, rows[max(layers)], max(layers), *_sampled(task, handle, settings)),
            promoted_at=max(layers),
            settings=settings,
        )
        if run.has_directory:
            result.write(run.path)
            (run.path / STATE).unlink(missing_ok=True)
        run.finish(ARTIFACTS)
    return result


def _trained(
    task: RewardTask,
    base: LanguageModel,
    layers: list[int],
    settings: RewardSettings,
    run: RunDirectory,
    progress: bool,
) -> Directions:
    """Train the vectors and hold them with the size of the residual stream, which is the unit of a step."""
    prompts, responses = _sampled(task, base, settings)
    texts = [task.text(base, response) for response in responses]
    questions = [question.prompt for question in task.train[: len(prompts)]]
    units = coordinate_sizes(base, questions, texts, layers, task.template)
    rows = train_on(task, base, units, settings, run, progress)
    if not bool(rows.any()):
        raise InputError(
            f"no response earned more than the others of its group in {settings.steps} steps, so the vectors are zero: "
            "give problems that the base solves now and then, or more samples of each (--samples)"
        )
    return trained_directions(
        rows[layers],
        layers=layers,
        residual_norm=[unit * base.d_model**0.5 for unit in units.values()],
        model=base.identity(),
        read="mean",
        method=f"policy gradient on the reward of sampled responses, {settings.steps} steps",
        n_problems=len(task.train),
    )


def _sampled(
    task: RewardTask, base: LanguageModel, settings: RewardSettings
) -> tuple[list[list[int]], list[list[int]]]:
    """Let the base answer a few problems that are trained on."""
    questions = task.train[:N_MEASURED]
    return task.prompts(base, questions), task.respond(base, questions, settings.seed)


def _numbers(text: str, base: LanguageModel) -> list[int]:
    return sorted({base.layer_index(layer) for layer in parse_layers(text, base.n_layers)})


def _others(base: LanguageModel, also: Sequence[ModelLike], device: str | None) -> dict[str, LanguageModel]:
    """Load other bases, and check that the vectors fit them."""
    others: dict[str, LanguageModel] = {}
    for model in also:
        other = load(model, device=device)
        if other.name in (base.name, *others):
            raise InputError(f"{other.name} is there already: name each other base once (--also)")
        if (other.n_layers, other.d_model) != (base.n_layers, base.d_model):
            raise InputError(
                f"{other.name} has {other.n_layers} blocks of width {other.d_model}, and {base.name} {base.n_layers} "
                f"of width {base.d_model}: vectors are tried in bases of the same shape (--also)"
            )
        if other.tokenizer.get_vocab() != base.tokenizer.get_vocab():
            raise InputError(f"{other.name} has other tokens than {base.name}: try the vectors in a base of the same")
        others[other.name] = other
    return others
