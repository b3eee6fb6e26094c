"""What hybrid decoding is compared with: each model alone over the same tokens, and the algorithm without a cache.

plain      one model over a key-value cache, the response's tokens given, rows dropped as they end: what decoding these
           very texts costs that model at the least
uncached   every token from the whole text anew, of both models, and once more of the base where it is steered
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from reasonlens.generation import StepState, end_tokens
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import Mechanism, Plan

Rows = Sequence[Sequence[int]]


def left_padded(rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


@torch.inference_mode()
def plain(model: LanguageModel, prompts: Rows, responses: Rows) -> list[list[int]]:
    """The model's likeliest token before each token of the responses."""
    ids, mask = left_padded(prompts, model.device)
    longest = max(map(len, responses))
    response_ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in responses], device=model.device)
    lengths = torch.tensor([len(row) for row in responses], device=model.device)
    stops = torch.tensor(end_tokens(model), device=model.device, dtype=torch.long)
    alive = torch.arange(len(prompts), device=model.device)
    cache = DynamicCache(config=model.model.config)
    likeliest: list[list[int]] = [[] for _ in prompts]
    for step in range(longest):
        position_ids = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        inputs = {"attention_mask": mask, "position_ids": position_ids, model.cache_name: cache}
        output = model.model(ids, use_cache=True, **inputs)
        tokens = output.logits[:, -1].float().argmax(dim=-1)
        for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
            likeliest[row].append(token)
        ends_by_itself = torch.isin(response_ids[alive, step], stops)
        going = ~ends_by_itself & (lengths[alive] > step + 1)
        if not going.any():
            break
        if not going.all():
            going_rows = going.nonzero()[:, 0]
            alive, mask = alive[going_rows], mask[going_rows]
            cache.batch_select_indices(going_rows)
        ids, mask = response_ids[alive, step][:, None], torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
    return likeliest


@torch.inference_mode()
def uncached(
    base: LanguageModel, thinking: LanguageModel, prompts: Rows, plan: Plan, n_new: int, first: int = 0
) -> list[list[int]]:
    """Hybrid responses, greedily. first: number of the first prompt, for gates that go by it."""
    assert plan.mechanism is not None
    texts = [list(prompt) for prompt in prompts]
    stops, alive = set(end_tokens(base)), list(range(len(prompts)))
    for step in range(n_new):
        ids, mask = left_padded([texts[row] for row in alive], base.device)
        own, activations = _last(base, ids, mask, plan.mechanism.layer)
        led, _ = _last(thinking, ids, mask, None)
        state = StepState(
            step=step,
            rows=torch.tensor(alive, device=ids.device) + first,
            last_ids=ids[:, -1],
            activations=activations,
            logits=own,
            follower_logits=led,
        )
        tokens = own.argmax(dim=-1)
        gated = plan.gate(state).nonzero()[:, 0]
        if len(gated):
            behaviour = torch.zeros_like(tokens) if plan.chooser is None else plan.chooser(state)
            strength = (
                torch.ones(len(tokens), device=ids.device) if plan.strength is None else plan.strength(state, behaviour)
            )
            moved = _moved(plan.mechanism, behaviour[gated], strength[gated])
            steered, _ = _last(base, ids[gated], mask[gated], plan.mechanism.layer, moved)
            tokens[gated] = steered.argmax(dim=-1)
        for row, token in zip(alive, tokens.tolist(), strict=True):
            texts[row].append(token)
        alive = [row for row, token in zip(alive, tokens.tolist(), strict=True) if token not in stops]
        if not alive:
            break
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def _moved(mechanism: Mechanism, behaviour: Tensor, strength: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda activations: mechanism.applied(activations, behaviour, strength)


def _last(
    model: LanguageModel, ids: Tensor, mask: Tensor, layer: int | None, moved: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Logits of the next token, and the activation of the last token at the layer."""
    outputs: list[Tensor] = []

    def hook(module: object, args: object, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        if moved is not None:
            hidden = torch.cat([hidden[:, :-1], moved(hidden[:, -1])[:, None]], dim=1)
        outputs.append(hidden[:, -1])
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = None if layer is None else model.blocks[layer].register_forward_hook(hook)
    try:
        position_ids = (mask.cumsum(dim=1) - 1).clamp_min(0)
        logits = model.model(ids, attention_mask=mask, position_ids=position_ids, use_cache=False).logits[:, -1].float()
    finally:
        if handle is not None:
            handle.remove()
    return logits, outputs[0] if outputs else logits
