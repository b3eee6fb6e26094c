"""What a model writes when it is asked, in padded batches over a key-value cache.

Every row draws with uniform numbers of its own, from the seed and its place in the list of prompts: the same whatever
the batch, and the same under every steering. So two conditions differ by what was done to the model and not by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from ..models import LanguageModel
from ..traces import Template, Trace, encode
from .sampling import Sampling, choose_tokens, row_uniforms
from .vocabulary import end_tokens


@dataclass(frozen=True, slots=True)
class Written:
    """One response."""

    text: str
    n_tokens: int
    is_truncated: bool  # cut off at the limit, with no end of its own


def encode_prompts(model: LanguageModel, prompts: Sequence[str], template: Template = "auto") -> list[list[int]]:
    """The token ids of each prompt, up to where its response begins."""
    asked = [Trace(f"prompt-{number}", prompt, "") for number, prompt in enumerate(prompts)]
    found: list[list[int]] = [each.token_ids.tolist() for each in encode(model, asked, template=template)]
    return found


@torch.inference_mode()
def write(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seed: int = 0,
    n_rows: int = 128,
    numbers: Sequence[int] | None = None,
) -> list[Written]:
    """A response to each prompt (token ids), in order. Steer the model around the call.

    n_rows: prompts that are run together. numbers: of the prompts, where they are some of many; random numbers go by
    them.
    """
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    written: dict[int, Written] = {}
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        known = rows if numbers is None else [numbers[row] for row in rows]
        uniforms = row_uniforms(seed, known, sampling.max_new_tokens)
        written |= zip(rows, _batch(model, [prompts[row] for row in rows], sampling, uniforms), strict=True)
    return [written[number] for number in range(len(prompts))]


def _batch(
    model: LanguageModel, prompts: Sequence[Sequence[int]], sampling: Sampling, uniforms: torch.Tensor
) -> list[Written]:
    stops = end_tokens(model)
    pad = stops[0] if stops else 0
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    uniforms = uniforms.to(model.device)
    is_end = torch.tensor(stops, device=model.device, dtype=torch.long)
    cache = DynamicCache(config=model.model.config)
    has_ended = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    said: list[torch.Tensor] = []
    room = (model.context_tokens or 2**31) - width
    for step in range(min(sampling.max_new_tokens, room)):
        given: dict[str, Any] = {
            "attention_mask": mask,
            "past_key_values": cache,
            "use_cache": True,
            "logits_to_keep": 1,
        }
        if model.takes_position_ids:
            given["position_ids"] = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        logits = model.model(ids, **given).logits[:, -1].float()
        token = choose_tokens(logits, sampling, uniforms[:, step])
        token = torch.where(has_ended, pad, token)
        said.append(token)
        has_ended |= torch.isin(token, is_end)
        if has_ended.all():
            break
        ids, mask = token[:, None], torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    rows: list[list[int]] = torch.stack(said, dim=1).tolist() if said else [[] for _ in prompts]
    return [_written(model, row, set(stops)) for row in rows]


def _written(model: LanguageModel, ids: list[int], stops: set[int]) -> Written:
    end = next((place for place, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[:end]
    text = model.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Written(str(text), len(kept) + (end is not None), end is None)
