"""What two models of one tokeniser can both say, and how a response ends.

A base and what was trained from it often share their tokens and end with different ones (`<|endoftext|>`,
`<|im_end|>`), and their output layers may be padded to different widths. Where their ends differ, all are one here:
which of them a model means to say is no disagreement. Whichever is said ends the response. Padding is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..models import LanguageModel

NEVER = -1e9  # a logit: finite, so that divergences are


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens that are said."""

    n_tokens: int
    ends: tuple[int, ...]
    is_one_end: bool  # the first of `ends` stands for all of them
    is_greedy: bool

    @classmethod
    def of(
        cls, base: LanguageModel, same_tokens: LanguageModel | None, more_ends: Sequence[int], is_greedy: bool
    ) -> Vocabulary:
        """Of a base and, if it has the same tokens, a thinking model. more_ends: that also end a response."""
        models = [base] if same_tokens is None else [base, same_tokens]
        n_tokens = min(width(model) for model in models)
        sets = [*(end_tokens(model) for model in models), *([list(more_ends)] if more_ends else [])]
        found = tuple(dict.fromkeys(end for each in sets for end in each if end < n_tokens))
        return cls(n_tokens, found, any(set(each) != set(sets[0]) for each in sets), is_greedy)

    def told(self, logits: Float[Tensor, "rows width"]) -> Float[Tensor, "rows n_tokens"]:
        """Logits of what is said, all ends as one: greedily as likely as the likeliest, sampled as all together."""
        logits = logits[:, : self.n_tokens]
        if not self.is_one_end or len(self.ends) < 2:
            return logits
        places = torch.tensor(self.ends, device=logits.device)
        own = logits.index_select(1, places)
        one = own.amax(dim=1) if self.is_greedy else own.logsumexp(dim=1)
        return logits.index_fill(1, places, NEVER).index_copy(1, places[:1], one[:, None])


def end_tokens(model: LanguageModel) -> list[int]:
    """List the tokens that end a text: the tokenizer's, and those that the model's own settings add (end of a turn)."""
    configured = getattr(model.model.generation_config, "eos_token_id", None)
    configured = [configured] if isinstance(configured, int) else configured or []
    return sorted({*configured, model.tokenizer.eos_token_id} - {None})


def width(model: LanguageModel) -> int:
    """How many logits a model has."""
    return int(model.model.get_output_embeddings().weight.shape[0])


def same_tokens(base: LanguageModel, thinking: LanguageModel) -> bool:
    """Whether both have one tokeniser."""
    return bool(thinking.tokenizer.get_vocab() == base.tokenizer.get_vocab())
