"""Find the tokens that can be emitted, and which of them end a response.

A base and what was trained from it often share their tokens and end with different ones (`<|endoftext|>`,
`<|im_end|>`), and their output layers may be padded to different widths. Where their ends differ, all are merged into
one: which of them a model would take is no disagreement. Whichever is emitted ends the response. Padding is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..models import LanguageModel
from ..models.device_copies import uploaded

NEVER = -1e9  # a logit: finite, so that divergences are


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens that can be emitted."""

    n_tokens: int | None  # the first so many of the output layer; None: all
    ends: tuple[int, ...]
    is_one_end: bool = False  # the first of `ends` stands for all of them
    is_greedy: bool = True

    @classmethod
    def of(
        cls, base: LanguageModel, same_tokens: LanguageModel | None, more_ends: Sequence[int], is_greedy: bool
    ) -> Vocabulary:
        """Find what a model and its follower can both emit.

        Args:
            base: The model that writes.
            same_tokens: Its follower, if it has the same tokenizer.
            more_ends: Tokens that also end a response.
            is_greedy: Whether the likeliest token is taken.

        Returns:
            Their tokens in common, and the ends of both.
        """
        models = [base] if same_tokens is None else [base, same_tokens]
        n_tokens = min(width(model) for model in models)
        end_sets = [*(end_tokens(model) for model in models), *([list(more_ends)] if more_ends else [])]
        ends = tuple(dict.fromkeys(end for some in end_sets for end in some if end < n_tokens))
        return cls(n_tokens, ends, any(set(some) != set(end_sets[0]) for some in end_sets), is_greedy)

    def merged(self, logits: Float[Tensor, "rows width"]) -> Float[Tensor, "rows n_tokens"]:
        """Cut off padding and merge all ends into the first: as likely as the likeliest greedily, as all when sampled.

        Args:
            logits: Of a model's output layer.

        Returns:
            Logits over the tokens that can be emitted; ends but the first have `NEVER`.
        """
        if self.n_tokens is not None:
            logits = logits[:, : self.n_tokens]
        if not self.is_one_end or len(self.ends) < 2:
            return logits
        places = _places(self.ends, logits.device)
        of_ends = logits.index_select(1, places)
        one = of_ends.amax(dim=1) if self.is_greedy else of_ends.logsumexp(dim=1)
        return logits.index_fill(1, places, NEVER).index_copy(1, places[:1], one[:, None])


@lru_cache(maxsize=64)
def _places(ends: tuple[int, ...], device: torch.device) -> Int[Tensor, " ends"]:
    """Copy the ends to a device, once and not at every token."""
    with torch.inference_mode(False):
        return uploaded(list(ends), device)


def end_tokens(model: LanguageModel) -> list[int]:
    """List the tokens that end a text: the tokenizer's, and those that the model's own settings add (end of a turn).

    Args:
        model: The model that writes.

    Returns:
        Token ids, in order; none for a model that never ends a text.
    """
    configured = getattr(model.model.generation_config, "eos_token_id", None)
    configured = [configured] if isinstance(configured, int) else configured or []
    return sorted({*configured, model.tokenizer.eos_token_id} - {None})


def width(model: LanguageModel) -> int:
    """Count the logits of a model's output layer."""
    return int(model.model.get_output_embeddings().weight.shape[0])


def same_tokens(base: LanguageModel, thinking: LanguageModel) -> bool:
    """Tell whether two models have the same tokenizer, by its vocabulary."""
    return bool(thinking.tokenizer.get_vocab() == base.tokenizer.get_vocab())
