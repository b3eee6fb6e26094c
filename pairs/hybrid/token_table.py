"""Both models at every token of the rollouts: what the base's activations are, and whether the models differ.

A token of the base is looked at where one of the thinking model begins at the same character: with one tokenizer that
is everywhere. With two, what both would say is compared as text, as far as both go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...generation import end_tokens
from ...generation.alignment import Spelling, agree
from ...generation.vocabulary import same_tokens, width
from ...models import LanguageModel
from ...models.blocks import block_output
from ...models.causality import check_causal
from ...models.one_pass import one_pass
from ...rundir import InputError
from ...rundir.progress import ProgressBar
from ...traces import Template, Trace, encode
from ..pair import Pair

MOST_TOKENS = 40_000  # of the rollouts: more change a linear probe little
LOGITS_PER_BATCH = 2**28  # a gigabyte of 32-bit numbers


@torch.inference_mode()
def token_table(
    pair: Pair, traces: Sequence[Trace], layers: Sequence[int], *, progress: bool = False
) -> tuple[Float[Tensor, "n n_layers d_model"], Bool[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """At every token from which one of a response is predicted: the base's activations, and whether the models differ.

    Both read the rollout after prompts of their own. The third: number of the problem. Rollouts are taken in order
    until there are MOST_TOKENS tokens. Raises InputError where nothing can be compared.
    """
    differ = _differ(pair)
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(trace.problem for trace in traces))}
    activations: list[Tensor] = []
    differs: list[Tensor] = []
    problem: list[Int[np.ndarray, " n"]] = []
    left = list(traces)
    with ProgressBar(desc="comparing models", unit="rollout", total=len(traces), progress=progress) as bar:
        while left and sum(map(len, differs)) < MOST_TOKENS:
            part = left[: _n_rows(pair, left)]
            left = left[len(part) :]
            base = _read(pair.base, part, pair.base_template, layers)
            thinking = _read(pair.thinking, part, pair.thinking_template, ())
            for trace, (trace_activations, own), (_, led) in zip(part, base, thinking, strict=True):
                shared = [character for character in own if character in led]
                if not shared:
                    continue
                activations.append(trace_activations[[own[character][0] - 1 for character in shared]])
                differs.append(torch.tensor([differ(own[character][1], led[character][1]) for character in shared]))
                problem.append(np.full(len(shared), numbers[trace.problem]))
            bar.update(len(part))
    if not activations:
        raise InputError(f"the rollouts leave {pair.base.name} and {pair.thinking.name} no token to be compared at")
    return torch.cat(activations), torch.cat(differs).numpy(), np.concatenate(problem)


def _differ(pair: Pair) -> Callable[[int, int], bool]:
    """Whether the next tokens of base and thinking model are two different things to say."""
    own_ends, led_ends = set(end_tokens(pair.base)), set(end_tokens(pair.thinking))
    if same_tokens(pair.base, pair.thinking):
        every = own_ends | led_ends
        return lambda own, led: own != led and not (own in every and led in every)
    base, thinking = Spelling(pair.base.tokenizer), Spelling(pair.thinking.tokenizer)

    def differ(own: int, led: int) -> bool:
        if own in own_ends or led in led_ends:
            return not (own in own_ends and led in led_ends)
        return not agree(base.bytes_of([own]), thinking.bytes_of([led]))

    return differ


def _n_rows(pair: Pair, traces: Sequence[Trace]) -> int:
    """How many of the next rollouts are read together: their logits must have room."""
    vocabulary = max(width(model) for model in (pair.base, pair.thinking))
    longest = max(len(trace.prompt) + len(trace.text) for trace in traces[:64])  # characters, no fewer than tokens
    return max(1, min(64, LOGITS_PER_BATCH // (vocabulary * max(longest, 1))))


def _read(
    model: LanguageModel, traces: Sequence[Trace], template: Template, layers: Sequence[int]
) -> list[tuple[Float[Tensor, "n n_layers d_model"], dict[int, tuple[int, int]]]]:
    """Of each trace its activations, and where tokens begin: character -> token, and what the model would say there."""
    check_causal(model)
    encoded = encode(model, traces, template=template, truncate=True)
    ids = torch.zeros(len(encoded), max(len(text) for text in encoded), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(encoded):
        ids[row, : len(text)], mask[row, : len(text)] = torch.from_numpy(text.token_ids), 1
    outputs: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: object, args: object, output: Any) -> None:
            outputs[layer] = block_output(output).float().cpu()

        return hook

    with one_pass(model, {layer: keep(layer) for layer in layers}):
        inputs = {"attention_mask": mask.to(model.device), "use_cache": False}
        if model.takes_position_ids:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0).to(model.device)
        likeliest = model.model(ids.to(model.device), **inputs).logits.argmax(dim=-1).cpu()
    activations = torch.stack([outputs[layer] for layer in layers], dim=2) if layers else torch.zeros(*ids.shape, 0, 0)
    return [(activations[row], _begins(text.characters, likeliest[row].tolist())) for row, text in enumerate(encoded)]


def _begins(characters: Int[np.ndarray, "n_tokens 2"], likeliest: list[int]) -> dict[int, tuple[int, int]]:
    begins: dict[int, tuple[int, int]] = {}
    for place, (start, end) in enumerate(characters.tolist()):
        if place and end > start:
            begins.setdefault(start, (place, likeliest[place - 1]))
    return begins
