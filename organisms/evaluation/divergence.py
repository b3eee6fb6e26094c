"""How far training moved a model from its base, in nats a token, on decisions and on content apart.

    KL(trained || base) = sum over words of p_trained (log p_trained - log p_base)

at each token of the trained model's own responses. Times the number of tokens, and summed over both kinds, it is the
divergence of whole responses; a large part on decisions says that training changed *when*, one on content *how*. It
says how much changed, not what the change is worth: for that see the shares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import LlamaForCausalLM

from ...stats import Interval, ratio_over_groups
from ..corpus import encode_prompt, make_batch
from ..task import Problem

N_TEXTS = 32  # a forward pass


@torch.inference_mode()
def divergence(
    base: LlamaForCausalLM,
    trained: LlamaForCausalLM,
    problems: Sequence[Problem],
    responses: Sequence[Sequence[int]],
) -> dict[str, Interval]:
    """Measure the divergence of a trained model from its base along responses.

    Args:
        base: The model that was trained further.
        trained: What it became.
        problems: What each response answers.
        responses: Token ids, sampled from the trained model.

    Returns:
        `decision` and `content`: nats a token, over problems.
    """
    sums: dict[str, list[float]] = {"decision": [], "content": []}
    counts: dict[str, list[float]] = {"decision": [], "content": []}
    for first in range(0, len(problems), N_TEXTS):
        prompts = [encode_prompt(problem) for problem in problems[first : first + N_TEXTS]]
        batch = make_batch(prompts, responses[first : first + N_TEXTS])
        log_base, log_trained = (
            model(batch.ids, use_cache=False).logits[:, :-1].log_softmax(-1) for model in (base, trained)
        )
        nats = (log_trained.exp() * (log_trained - log_base)).sum(-1)
        for kind, where in (("decision", batch.is_decision[:, 1:]), ("content", batch.is_content[:, 1:])):
            sums[kind] += (nats * where).sum(1).tolist()
            counts[kind] += where.sum(1).tolist()
    groups = [problem.group for problem in problems]
    return {
        kind: ratio_over_groups(np.array(sums[kind]), np.array(counts[kind], dtype=np.float64), groups=groups)
        for kind in sums
    }
