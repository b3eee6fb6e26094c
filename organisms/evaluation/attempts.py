"""Pass@k of a model with many samples a problem, on problems of either way.

A policy that has collapsed onto one way solves more at k = 1 and fewer at large k, on problems of the other way most of
all: what the base still finds now and then, it no longer tries.
"""

from __future__ import annotations

from itertools import islice

from transformers import LlamaForCausalLM

from ...stats import Interval, mean_over_groups, pass_at_k
from ..task import problems
from ..world import WAYS
from ._cross_play import answer
from .chance import PASS_AT


def attempt_curves(
    model: LlamaForCausalLM, n_problems: int, n_samples: int, seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """Estimate pass@k of a model on unseen problems.

    Args:
        model: Who answers.
        n_problems: Problems of each kind.
        n_samples: Responses to each.
        seed: Of problems and draws.

    Returns:
        `ordinary` (both ways, as they are drawn), `hue` and `form` -> k -> the mean over problems, for those k of
        `PASS_AT` that the samples allow.
    """
    curves: dict[str, dict[str, Interval]] = {}
    for kind, way in (("ordinary", None), *((way, way) for way in WAYS)):
        answers = answer(model, list(islice(problems("test", seed, way), n_problems)), n_samples, seed)
        n_right = (answers.solved * n_samples).round().astype(int)
        curves[kind] = {
            str(k): mean_over_groups(pass_at_k(n_right, n_samples, k), groups=answers.groups)
            for k in PASS_AT
            if k <= n_samples
        }
    return curves
