"""Count what a response costs: calls, tokens, forward passes and floating-point operations.

    FLOPs  =  2 x parameters x tokens that the model ran        (Kaplan et al. 2020, arXiv 2001.08361)

Parameters are those that every token is multiplied by: all but an input embedding that is no output layer too. Of a
response of n tokens to a prompt of m tokens, the pass over the prompt gives the first token and n - 1 passes of one
token the rest: n passes, m tokens of the prompt and n - 1 of the output; the last token is written and never run.
Attention over earlier tokens is left out, which for short texts is little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from ...models import LanguageModel
from ...rundir import brief


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCost:
    """What one response cost, over all calls of all models that had a part in it.

    Attributes:
        calls: Prompts that were answered.
        prompt_tokens: Of all prompts, as each model reads them.
        output_tokens: That were written, ends included.
        passes: Forward passes; those of a model that reads along count too.
        prompt_flops: Of reading prompts.
        output_flops: Of running what was written.
    """

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    passes: int = 0
    prompt_flops: float = 0.0
    output_flops: float = 0.0

    __repr__ = brief

    @property
    def flops(self) -> float:
        """Prompts and output together."""
        return self.prompt_flops + self.output_flops

    def __add__(self, other: ResponseCost) -> ResponseCost:
        return ResponseCost(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            passes=self.passes + other.passes,
            prompt_flops=self.prompt_flops + other.prompt_flops,
            output_flops=self.output_flops + other.output_flops,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """What an arm learnt from, and what that cost; NaN and None where it is not known.

    Attributes:
        n_problems: Different problems that it learnt from or was chosen on.
        n_examples: Texts: responses that were learnt from, or written to choose.
        flops: Of all passes that were needed.
        about: How it was counted, in words.
    """

    n_problems: int | None = 0
    n_examples: int | None = 0
    flops: float = 0.0
    about: str = "nothing is trained"

    __repr__ = brief


def n_parameters(model: LanguageModel) -> int:
    """Count the parameters that each token is multiplied by.

    Args:
        model: The model.

    Returns:
        All parameters, each once, without an input embedding that is not the output layer too.
    """
    total = sum(weight.numel() for weight in model.model.parameters())
    head = model.model.get_output_embeddings()
    embedding = next(model.model.get_input_embeddings().parameters())
    is_tied = head is not None and any(weight is embedding for weight in head.parameters())
    return total if is_tied else total - embedding.numel()


def response_cost(model: LanguageModel, n_prompt: int, n_written: int) -> ResponseCost:
    """Count what one call costs.

    Args:
        model: The model that writes.
        n_prompt: Tokens of the prompt.
        n_written: Tokens that it wrote, an end included; 0: the prompt left no room, and nothing was run.

    Returns:
        The cost.
    """
    if not n_written:
        return ResponseCost(calls=1)
    per_token = 2.0 * n_parameters(model)
    return ResponseCost(
        calls=1,
        prompt_tokens=n_prompt,
        output_tokens=n_written,
        passes=n_written,
        prompt_flops=per_token * n_prompt,
        output_flops=per_token * (n_written - 1),
    )


def total(costs: Iterable[ResponseCost]) -> ResponseCost:
    """Add up costs."""
    return reduce(ResponseCost.__add__, costs, ResponseCost())


def samples_for(flops: float, prompt_flops: float, output_flops: float) -> int:
    """Count the samples of one prompt that cost at least as much as something else.

    Args:
        flops: Of the other.
        prompt_flops: Of reading the prompt, which all samples share.
        output_flops: Of the output of one sample.

    Returns:
        The least number n with prompt_flops + n x output_flops >= flops, 1 or more.
    """
    n = 1
    while prompt_flops + n * output_flops < flops * (1 - 1e-12) and output_flops > 0:
        n += 1
    return n
