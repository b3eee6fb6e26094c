"""Both models at every token of the rollouts: what the base's activations are, and whether the models differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from ...activations.engine.pooling import block_output
from ...models import LanguageModel
from ...traces import Template, Trace, encode
from ..effect.writing import encode_prompts
from .pair import Pair

MOST_TOKENS = 40_000  # of the rollouts: more change a linear probe little
LOGITS_PER_BATCH = 2**28  # a gigabyte of 32-bit numbers


@torch.inference_mode()
def token_table(
    pair: Pair, traces: Sequence[Trace], layers: Sequence[int], *, progress: bool = False
) -> tuple[Float[Tensor, "n n_layers d_model"], Bool[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """At every token from which one of a response is predicted: the base's activations, and whether the models differ.

    Both read the rollout after prompts of their own. The third: number of the problem. Rollouts are taken in order
    until there are MOST_TOKENS tokens.
    """
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(trace.problem for trace in traces))}
    found: list[Tensor] = []
    differs: list[Tensor] = []
    problem: list[Int[np.ndarray, " n"]] = []
    left = list(traces)
    with tqdm(desc="comparing models", unit="rollout", total=len(traces), disable=not progress) as bar:
        while left and sum(map(len, differs)) < MOST_TOKENS:
            part = left[: _n_rows(pair, left)]
            left = left[len(part) :]
            base = _read(pair.base, part, pair.base_template, layers)
            thinking = _read(pair.thinking, part, pair.thinking_template, ())
            for trace, (acts, own), (_, led) in zip(part, base, thinking, strict=True):
                n = min(len(own), len(led))
                found.append(acts[len(own) - n :])
                differs.append(own[len(own) - n :] != led[len(led) - n :])
                problem.append(np.full(n, numbers[trace.problem]))
            bar.update(len(part))
    return torch.cat(found), torch.cat(differs).numpy(), np.concatenate(problem)


def _n_rows(pair: Pair, traces: Sequence[Trace]) -> int:
    """How many of the next rollouts are read together: their logits must have room."""
    vocabulary = max(int(each.model.get_output_embeddings().weight.shape[0]) for each in (pair.base, pair.thinking))
    longest = max(len(trace.prompt) + len(trace.text) for trace in traces[:64])  # characters, no fewer than tokens
    return max(1, min(64, LOGITS_PER_BATCH // (vocabulary * max(longest, 1))))


def _read(
    model: LanguageModel, traces: Sequence[Trace], template: Template, layers: Sequence[int]
) -> list[tuple[Float[Tensor, "n n_layers d_model"], Int[Tensor, " n"]]]:
    """For each trace, at the tokens that predict its response: activations and likeliest next tokens."""
    encoded = encode(model, traces, template=template, truncate=True)
    prompts = encode_prompts(model, [trace.prompt for trace in traces], template)
    ids = torch.zeros(len(encoded), max(len(each) for each in encoded), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, each in enumerate(encoded):
        ids[row, : len(each)], mask[row, : len(each)] = torch.from_numpy(each.token_ids), 1
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: object, args: object, output: Any) -> None:
            seen[layer] = block_output(output).float().cpu()

        return hook

    hooks = [model.blocks[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        given = {"attention_mask": mask.to(model.device), "use_cache": False}
        if model.takes_position_ids:
            given["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0).to(model.device)
        likeliest = model.model(ids.to(model.device), **given).logits.argmax(dim=-1).cpu()
    finally:
        for hook in hooks:
            hook.remove()
    acts = torch.stack([seen[layer] for layer in layers], dim=2) if layers else torch.zeros(*ids.shape, 0, 0)
    return [
        (acts[row, len(prompt) - 1 : len(each) - 1], likeliest[row, len(prompt) - 1 : len(each) - 1])
        for row, (each, prompt) in enumerate(zip(encoded, prompts, strict=True))
    ]
