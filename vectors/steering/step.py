"""One forward pass, as far as steering has to know it: which tokens it runs, and where they stand in their rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ...rundir import InputError


@dataclass(eq=False, kw_only=True)
class Step:
    """The tokens of a forward pass; with a key-value cache these are only the new ones."""

    ids: Int[Tensor, "rows tokens"] | None  # None for a model that is given embeddings
    first_column: int  # of the padded batch, prompt and response: how many columns the cache holds already
    positions: Int[Tensor, "rows tokens"]  # among the real tokens of the row, from 0, whatever the padding
    is_real: Bool[Tensor, "rows tokens"]  # no padding, and not after the end of the row's response
    n_prompt: Int[Tensor, " rows"] | None  # real tokens of each row's prompt; None where it cannot be known
    n_new: int  # of the last columns, those that no earlier pass has run: all but where there is no cache
    # Number of a steering, layer, and which tokens it has changed there; layers with the same tokens share the mask.
    changes: list[tuple[int, int, Bool[Tensor, "rows tokens"]]] = field(default_factory=list)
    masks: dict[object, Bool[Tensor, "rows tokens"]] = field(default_factory=dict)  # of each steering, made once

    @property
    def n_rows(self) -> int:
        return self.positions.shape[0]

    @property
    def n_tokens(self) -> int:
        return self.positions.shape[1]

    def prompt_tokens(self) -> Int[Tensor, " rows"]:
        """How many tokens the prompt of each row has. Raises InputError where that cannot be known."""
        if self.n_prompt is None:
            raise InputError(
                f"cannot tell where the prompt ends: this pass runs {self.n_tokens} tokens on a cache that was filled "
                "outside of steer(), by parts, or for other rows. Give n_prompt_tokens=, or steer when='all'."
            )
        return self.n_prompt

    def is_response(self) -> Bool[Tensor, "rows tokens"]:
        """The tokens of the response, its last prompt token not among them."""
        return self.is_real & (self.positions >= self.prompt_tokens()[:, None])

    def count_new(self, mask: Bool[Tensor, "rows tokens"]) -> Int[Tensor, ""]:
        """How many of these tokens no earlier pass has run; stays on the device."""
        new = mask if self.n_new == self.n_tokens else mask[:, self.n_tokens - self.n_new :]
        return new.sum(dtype=torch.int64)
