"""Describe one forward pass for steering: which tokens it runs, and where they stand in their rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ...rundir import InputError


@dataclass(eq=False, kw_only=True)
class Step:
    """The tokens of a forward pass; with a key-value cache these are only the new ones."""

    ids: Int[Tensor, "rows tokens"] | None  # None if the model is called with embeddings
    first_column: int  # of the padded batch, prompt and response: the number of columns in the cache before this pass
    positions: Int[Tensor, "rows tokens"]  # among the real tokens of the row, from 0, whatever the padding
    is_real: Bool[Tensor, "rows tokens"]  # neither padding nor after the end of the row's response
    n_prompt: Int[Tensor, " rows"] | None  # real tokens of each row's prompt; None where it is not known
    n_new: int  # how many of the last columns no earlier pass has run; fewer than all only without a cache
    prompt_rows: Int[Tensor, " rows"] | None = None  # the row of the first pass of each row; None: its own
    # (index of the steering, layer, tokens changed there); layers that change the same tokens share the mask.
    changes: list[tuple[int, int, Bool[Tensor, "rows tokens"]]] = field(default_factory=list)
    masks: dict[object, Bool[Tensor, "rows tokens"]] = field(default_factory=dict)  # of each steering, computed once

    @property
    def n_rows(self) -> int:
        """The number of texts in the batch."""
        return self.positions.shape[0]

    @property
    def n_tokens(self) -> int:
        """The number of columns that this pass runs."""
        return self.positions.shape[1]

    def prompt_tokens(self) -> Int[Tensor, " rows"]:
        """Return the number of prompt tokens of each row.

        Raises:
            InputError: The end of the prompt is not known.
        """
        if self.n_prompt is None:
            raise InputError(
                f"cannot tell where the prompt ends: this pass runs {self.n_tokens} tokens on a cache that was filled "
                "outside of steer(), by parts, or for other rows. Give n_prompt_tokens=, or steer when='all'."
            )
        return self.n_prompt

    def is_response(self) -> Bool[Tensor, "rows tokens"]:
        """Mark the tokens of the response, without the last token of the prompt.

        Raises:
            InputError: The end of the prompt is not known.
        """
        return self.is_real & (self.positions >= self.prompt_tokens()[:, None])

    def count_new(self, mask: Bool[Tensor, "rows tokens"]) -> Int[Tensor, ""]:
        """Count the tokens of a mask that no earlier pass has run.

        Args:
            mask: True for the tokens to count.

        Returns:
            The count, on the device of the mask, so that nothing waits for it.
        """
        new = mask if self.n_new == self.n_tokens else mask[:, self.n_tokens - self.n_new :]
        return new.sum(dtype=torch.int64)
