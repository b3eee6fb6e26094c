"""Arms whose training is another command's: vectors trained by reward, and the thinking model itself.

Vectors are those of a file that `train-vectors` wrote, or trained here within a stated number of steps. A step costs
2 FLOPs a parameter for each token of a prompt or response that is run: once to sample it, once to read it and once
more where a gradient goes back, once where the base reads it for the divergence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ...generation.vocabulary import same_tokens
from ...models import LanguageModel
from ...models.steered_name import read_vectors
from ...rundir import expanded, parse_json
from ...rundir.result_files import RESULTS
from ...traces.problem_sets import ProblemSet
from ..likelihood import read_texts
from ..reward import RewardSettings, TrainedVectors, train_vectors
from .arm import ElicitContext, PreparedArm
from .cost import TrainingCost, n_parameters
from .off_task import unread
from .prompting import asking, plain

FOLDER = "arms/reward-vectors"
FLOPS_A_TOKEN = 2.0  # a parameter


def open_reward_vectors(
    file: str | Path, base: LanguageModel
) -> tuple[Float[Tensor, "n_layers d_model"], TrainingCost]:
    """Read trained vectors, and what they learnt from where the results of `train-vectors` lie beside them.

    Args:
        file: A file of vectors.
        base: The model that gets them.

    Returns:
        One row a block, and the cost.

    Raises:
        InputError: The file cannot be read, or fits another model.
    """
    path = expanded(file)
    vectors = read_vectors(path, base.n_layers, base.d_model)
    results = path.parent / RESULTS
    content: Any = parse_json(results.read_bytes(), RESULTS) if results.is_file() else None
    if not isinstance(content, dict) or not str(content.get("format", "")).startswith("reasonlens.trained_vectors/"):
        return vectors, UNKNOWN
    return vectors, _cost_of(TrainedVectors.from_dict(content), base)


UNKNOWN = TrainingCost(n_problems=None, n_examples=None, flops=float("nan"), about="not known")


def prepare_reward_vectors(context: ElicitContext) -> PreparedArm:
    """Take vectors trained by reward, or train them."""
    pair, settings, vectors, cost = context.pair, context.settings, context.reward_vectors, context.reward_training
    if vectors is None:
        trained = train_vectors(
            pair.base,
            ProblemSet("train", pair.train, pair.grader) if context.has_words else None,
            template=pair.base_template,
            settings=RewardSettings(
                steps=settings.reward_steps,
                sampling=settings.sampling,
                n_train=max(1, len(pair.train) - 2) if context.has_words else len(pair.train),
                n_test=2,
                ablations="none",
                n_random=0,
                n_rows=settings.n_rows,
                seed=settings.seed,
            ),
            out=context.run.file(FOLDER),
            progress=context.progress,
        )
        vectors, cost = trained.vectors, _cost_of(trained, pair.base)
    steered = pair.base.with_vectors(vectors)
    return PreparedArm(
        answer=asking(context, steered, pair.base_template, plain),
        read=lambda texts: read_texts(steered, texts, pair.base_template),
        training=cost,
        note=f"vectors at {int(vectors.any(dim=-1).sum())} blocks",
    )


def prepare_thinking(context: ElicitContext) -> PreparedArm:
    """Ask the thinking model, as it is asked itself."""
    pair, settings = context.pair, context.settings
    flops = float("nan") if settings.thinking_flops is None else settings.thinking_flops
    can_read = same_tokens(pair.base, pair.thinking)
    is_known = settings.thinking_flops is not None or settings.thinking_examples is not None
    return PreparedArm(
        answer=asking(context, pair.thinking, pair.thinking_template, plain),
        read=(lambda texts: read_texts(pair.thinking, texts, pair.thinking_template)) if can_read else unread,
        training=TrainingCost(
            n_problems=None,
            n_examples=settings.thinking_examples,
            flops=flops,
            about="as stated" if is_known else "not known",
        ),
    )


def _cost_of(trained: TrainedVectors, base: LanguageModel) -> TrainingCost:
    settings = trained.settings
    n_examples = len(trained.steps) * settings.problems * settings.samples
    n_tokens = sum(int(row["tokens_run"]) for row in trained.steps)
    return TrainingCost(
        n_problems=min(settings.n_train, len(trained.steps) * settings.problems),
        n_examples=n_examples,
        flops=FLOPS_A_TOKEN * n_parameters(base) * n_tokens,
        about="2 x parameters x tokens that were run, of prompts and responses; a gradient runs them once more",
    )
