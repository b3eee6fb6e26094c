"""The hybrid of `reasonlens hybrid` at its usual arm: the base, steered where the thinking model would say otherwise.

Vectors and probes are made of the thinking model's responses to the training problems, layer and strength chosen on the
validation problems. Both models run at every token, and the blocks above the layer once more where the base is steered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...generation import Sampling, encode_prompts
from ...generation.vocabulary import same_tokens
from ...models import LanguageModel
from ...traces import Trace, encode
from ..hybrid import ARMS, HybridSettings
from ..hybrid._decode import Plan
from ..hybrid.answering import answer
from ..hybrid.arms import HYBRID
from ..hybrid.experiment import Experiment
from ..hybrid.forced import forced_nats
from ..hybrid.make_components import make_components
from ..hybrid.plans import plan_of
from ..hybrid.rollouts import labelled_rollouts
from ..hybrid.tuning import tuned_on_validation
from ..likelihood import TokenReading
from ..pair import encoded
from .arm import ArmAnswer, ElicitContext, PreparedArm, Query
from .cost import ResponseCost, TrainingCost, n_parameters, response_cost
from .meter import Meter
from .off_task import unread

FOLDER = "arms/hybrid"


def prepare_hybrid(context: ElicitContext) -> PreparedArm:
    """Make the components of a hybrid and choose layer and strength."""
    pair, settings = context.pair, context.settings
    sampling = settings.sampling if settings.sampling.is_greedy else replace(settings.sampling, n_samples=1)
    hybrid = HybridSettings(
        arms=(HYBRID,),
        layers=settings.layers,
        strengths=settings.strengths,
        kl_limit_nats=settings.kl_limit_nats,
        n_train=len(pair.train),
        n_validation=len(pair.validation),
        n_test=len(pair.test),
        n_seeds=1,
        rollout=sampling,
        sampling=sampling,
        n_rows=settings.n_rows,
        seed=settings.seed,
    )
    meter = Meter()
    experiment = Experiment.of(pair, hybrid, context.run.file(FOLDER), progress=context.progress)
    with experiment.directory as directory, meter.watching([pair.base, pair.thinking]):
        directory.record()
        rollouts = labelled_rollouts(experiment)
        components = make_components(experiment, rollouts)
        tuned, search = tuned_on_validation(experiment, components)
        directory.finish()
    plan = plan_of(HYBRID, components, tuned, hybrid, seed=1000 * hybrid.seed)
    share_above = (pair.base.n_layers - 1 - tuned.layer) / pair.base.n_layers
    can_read = plan.through is None and same_tokens(pair.base, pair.thinking)
    return PreparedArm(
        answer=lambda questions: _answers(experiment, plan, sampling, share_above, questions),
        read=(lambda texts: _read(experiment, plan, texts)) if can_read else unread,
        training=TrainingCost(
            n_problems=len(pair.train) + len(pair.validation),
            n_examples=len(pair.train) + int(search.groupby(["layer", "strength"])["n"].max().sum()),
            flops=meter.flops,
            about="measured: rollouts, vectors, probes and search",
        ),
        note=f"block {tuned.layer}, strength {tuned.strength:g}",
    )


def _answers(
    experiment: Experiment, plan: Plan, sampling: Sampling, share_above: float, questions: Sequence[Query]
) -> list[ArmAnswer]:
    pair = experiment.pair
    own = [query.question for query in questions]
    records, _ = answer(experiment, ARMS[HYBRID], plan, own, [query.number for query in questions])
    prompts = zip(*encoded(pair, own), strict=True)
    return [
        ArmAnswer(
            text=record.text,
            is_truncated=record.is_truncated,
            cost=_cost(pair.base, pair.thinking, len(base), len(thinking), record.n_tokens)
            + _steered(pair.base, record.n_effective, share_above),
        )
        for record, (base, thinking) in zip(records, prompts, strict=True)
    ]


def _cost(base: LanguageModel, thinking: LanguageModel, n_base: int, n_thinking: int, n_written: int) -> ResponseCost:
    """Count one response that two models run; it is written once."""
    cost, along = response_cost(base, n_base, n_written), response_cost(thinking, n_thinking, n_written)
    return replace(cost + along, calls=1, output_tokens=n_written)


def _steered(base: LanguageModel, n_tokens: int, share_above: float) -> ResponseCost:
    """Count the second passes of steered tokens through the blocks above."""
    return ResponseCost(passes=n_tokens, output_flops=2.0 * n_parameters(base) * n_tokens * share_above)


def _read(experiment: Experiment, plan: Plan, texts: Sequence[Trace]) -> list[TokenReading]:
    """Read texts; the tokens are those that the base reads after its prompt."""
    pair = experiment.pair
    prompts = [text.prompt for text in texts]
    base = encode_prompts(pair.base, prompts, pair.base_template)
    encoded_texts = encode(pair.base, texts, template=pair.base_template, truncate=True)
    responses = [text.token_ids[len(prompt) :].tolist() for text, prompt in zip(encoded_texts, base, strict=True)]
    nats = forced_nats(
        pair.base,
        pair.thinking,
        base,
        encode_prompts(pair.thinking, prompts, pair.thinking_template),
        responses,
        plan,
        n_rows=experiment.settings.n_rows,
    )
    return [
        TokenReading(
            nats=of_text,
            ranks=np.zeros(len(of_text), dtype=int),
            spans=np.full(len(of_text), -1),
            is_first=np.zeros(len(of_text), dtype=bool),
            n_characters=len(text.text),
        )
        for text, of_text in zip(texts, nats, strict=True)
    ]
