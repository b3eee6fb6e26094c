"""How much of a pair's gap a base recovers when its decisions are pushed, by words or by vectors, without new weights.

All arms are fitted on the trained model's responses to training problems and answer the test problems with the random
numbers of the other cells.

    word               the likeliest boost of one second word, the same in every state
    words              boosts of all second words, the same in every state
    words-by-state     boosts of all second words, others in each state
    vector             one vector at every opener
    vectors-by-state   a vector for each state
    random-vectors     of the same norms, in random directions

The share is that of the gap, paired over problems: (accuracy with it - base) / (trained - base). On a pair whose gap is
skill, none should recover much: what a base cannot do, it does not do when told.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch.nn.functional import normalize
from transformers import LlamaForCausalLM

from ...stats import Interval, ratio_over_groups
from ..intervention import DecisionTexts, FitSettings, Intervention, fit_vectors, fit_word, fit_words
from ..sampling import readings, respond
from ..task import problems
from ._cross_play import Answers

LAYER = 2  # of four, for vectors recovered most there of both timing gaps on validation problems (docs/organisms.md)


def recovered(
    base: LlamaForCausalLM,
    trained: LlamaForCausalLM,
    before: Answers,
    after: Answers,
    *,
    n_texts: int,
    seed: int = 0,
    settings: FitSettings | None = None,
) -> dict[str, Interval]:
    """Measure what interventions recover of a pair's gap.

    Args:
        base: The model that was trained further.
        trained: What it became.
        before: Responses of the base to unseen problems.
        after: Responses of the trained model to the same problems.
        n_texts: Responses of the trained model, to as many training problems, that interventions are fitted on.
        seed: Of the random numbers that `before` and `after` were sampled with, and of the training problems.
        settings: How vectors are fitted.

    Returns:
        Arm -> share of the gap.
    """
    training_problems = list(islice(problems("train", seed), n_texts))
    responses = respond(trained, training_problems, seed)
    texts = DecisionTexts.of(training_problems, responses, readings(training_problems, responses))

    def random_vectors() -> Intervention:
        vectors = interventions["vectors-by-state"].table
        directions = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed))
        return Intervention(normalize(directions, dim=-1) * vectors.norm(dim=-1, keepdim=True), LAYER)

    makers: dict[str, Callable[[], Intervention]] = {
        "word": lambda: fit_word(base, texts),
        "words": lambda: fit_words(base, texts)[0],
        "words-by-state": lambda: fit_words(base, texts, is_gated=True)[0],
        "vector": lambda: fit_vectors(base, texts, LAYER, is_gated=False, settings=settings),
        "vectors-by-state": lambda: fit_vectors(base, texts, LAYER, settings=settings),
        "random-vectors": random_vectors,
    }
    interventions: dict[str, Intervention] = {}
    shares: dict[str, Interval] = {}
    problem_by_response = before.problem_by_response
    for name, make in makers.items():
        interventions[name] = make()
        written = respond(base, problem_by_response, seed, intervention=interventions[name])
        pushed = Answers(
            before.problems,
            before.n_samples,
            tuple(map(tuple, written)),
            tuple(readings(problem_by_response, written)),
        )
        gained, gap = pushed.solved - before.solved, after.solved - before.solved
        shares[name] = ratio_over_groups(gained, gap, groups=before.groups)
    return shares
