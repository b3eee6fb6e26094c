"""Check that a model reads from left to right: what it computes at a token depends on that token and those before.

Texts are run padded without a mask, in parts over a cache, and with a beginning that several share. All of this is
right only where no token attends to later ones. Encoders, diffusion language models and decoders with
`use_bidirectional_attention` attend to all, and no one setting says so for every architecture. So it is measured, once
for each model: two rows that differ in their last tokens run in one short pass, and the outputs before have to agree.
"""

from __future__ import annotations

import contextvars
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..rundir import InputError
from .handle import LanguageModel
from .one_pass import one_pass

# Of no divisor but 1 and itself, so that a model which attends both ways inside blocks of any other size is found out.
N_SAME, N_CHANGED = 11, 5
# Relative to the norm of a token's output. Causal models differ by 0, or by rounding where kernels depend on the batch;
# those that attend both ways by 0.002 (a random BERT) to 0.9.
TOLERANCE, HALF_PRECISION_TOLERANCE = 1e-4, 2e-2

_is_causal: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def check_causal(model: LanguageModel) -> None:
    """Refuse a model in which tokens attend to later ones; a short pass at the first call for a model.

    Args:
        model: The model that is about to be read, or to write.

    Raises:
        InputError: Changing the end of a text changes the outputs before it.
    """
    if model.model not in _is_causal:
        try:  # in a context of its own, outside of any `steer`
            _is_causal[model.model] = contextvars.Context().run(_agrees_before_a_change, model)
        except torch.OutOfMemoryError:
            return  # the run that follows says so, with the remedy
    if not _is_causal[model.model]:
        raise InputError(
            f"{model.name} attends to later tokens too (as encoders, diffusion models and use_bidirectional_attention "
            "do): what it computes at a token changes with the text after it. Only models that read from left to right "
            "can be read; give a causal language model."
        )


def _agrees_before_a_change(model: LanguageModel) -> bool:
    n_same, n_changed = N_SAME, N_CHANGED
    limit = model.context_tokens
    if limit is not None and limit < n_same + n_changed:
        n_same, n_changed = limit - 1, 1
    vocabulary = len(next(model.model.get_input_embeddings().parameters()))
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (1, n_same + n_changed), generator=generator).repeat(2, 1)
    ids[1, n_same:] = (ids[1, n_same:] + 1 + vocabulary // 2) % vocabulary
    with torch.inference_mode(), one_pass(model):
        outputs: Float[Tensor, "two tokens d_model"] = model.body(input_ids=ids.to(model.device), use_cache=False)[0]
    one, other = outputs[:, :n_same].double()
    distance = (one - other).norm(dim=-1) / one.norm(dim=-1).clamp_min(1e-30)
    tolerance = TOLERANCE if outputs.dtype.itemsize >= 4 else HALF_PRECISION_TOLERANCE
    return not bool((distance > tolerance).any())
