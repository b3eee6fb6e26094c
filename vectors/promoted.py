"""Tell which tokens a vector promotes, and which it lowers, through the final norm and the unembedding.

    score(token) = W_U[token] (norm(v) - norm(0)),    less its mean over the vocabulary,    v scaled to sqrt(d_model)

What the model's own code makes of its last block's output is its `norm` (with whatever projection stands there): v is
put in the place of that output. Without norm(0), the bias of a LayerNorm, this is the linear part of the logit lens
(nostalgebraist 2020) that direct logit attribution uses (Elhage et al. 2021). The control: random vectors of the same
length, and how high the highest score of any token is of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..models import LanguageModel
from ..models.one_pass import one_pass
from ..models.place import with_first
from ..rundir import InputError, whole_number

AT_ONCE = 64  # vectors of one pass
LEVEL = 0.95  # quantile of the control


@torch.inference_mode()
def unembedded(model: LanguageModel, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n vocabulary"]:
    """Compute the score of every token under each of some vectors.

    Args:
        model: The model whose final norm and unembedding are used.
        vectors: In the units of the residual stream; their length makes no difference.

    Returns:
        The scores, float32, on the CPU: of the tokens that the tokenizer has. Those of a vector have a mean of 0.
    """
    rows = normalize(vectors.double(), dim=-1) * vectors.shape[-1] ** 0.5
    rows = torch.cat([torch.zeros_like(rows[:1]), rows])
    logits = torch.cat([_logits(model, rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE)])
    scores = (logits[1:] - logits[:1])[:, : len(model.tokenizer)]
    return scores - scores.mean(dim=-1, keepdim=True)


def promoted_frame(
    model: LanguageModel,
    vectors: Mapping[tuple[str, int], Float[Tensor, " d_model"]],
    *,
    n: int = 10,
    n_random: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Tabulate the tokens that each vector promotes and lowers most, beside random vectors.

    Args:
        model: The model whose final norm and unembedding are used.
        vectors: (Behaviour, layer) -> vector.
        n: Tokens each way.
        n_random: Random vectors.
        seed: Of these vectors.

    Returns:
        `behaviour`, `layer`, `way` (raised, lowered), `rank` from 1, `token`, `score` and `random_95`: of random
        vectors 95% have no token of a higher score, either way.

    Raises:
        InputError: A number is not a whole one from 1.
    """
    n, n_random = whole_number(n, "n"), whole_number(n_random, "n_random")
    generator = torch.Generator().manual_seed(seed)
    random = unembedded(model, torch.randn(n_random, model.d_model, generator=generator))
    bound = float(np.quantile(random.abs().amax(dim=1).numpy(), LEVEL))
    scores = unembedded(model, torch.stack(list(vectors.values())))
    rows: list[dict[str, Any]] = []
    for (behaviour, layer), of_vector in zip(vectors, scores, strict=True):
        for way, sign in (("raised", 1), ("lowered", -1)):
            top = (sign * of_vector).topk(min(n, len(of_vector)))
            rows += [
                {
                    "behaviour": behaviour,
                    "layer": layer,
                    "way": way,
                    "rank": rank,
                    "token": str(model.tokenizer.decode([token])),
                    "score": sign * score,
                    "random_95": bound,
                }
                for rank, (score, token) in enumerate(zip(top.values.tolist(), top.indices.tolist(), strict=True), 1)
            ]
    return pd.DataFrame(rows)


def _logits(model: LanguageModel, rows: Float[Tensor, "n d_model"]) -> Float[Tensor, "n rows_of_the_unembedding"]:
    """Run what the model makes of its last block's output, with rows in the place of that output."""
    head = model.model.get_output_embeddings()
    if head is None:
        raise InputError(f"{model.name} has no unembedding: give a model with a language-model head")

    def put(module: nn.Module, args: object, output: Any) -> Any:
        stream = output[0] if isinstance(output, tuple | list) else output
        return with_first(output, rows[:, None].to(stream.device, stream.dtype))

    ids = torch.zeros(len(rows), 1, dtype=torch.long, device=model.device)
    with one_pass(model, {model.n_layers - 1: put}):
        output = model.body(ids, use_cache=False)
    logits: Tensor = head(output[0][:, -1]).float().cpu()
    return logits
