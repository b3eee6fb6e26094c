"""Probes that tell the behaviour of the sentence that comes, from whose activations and of whose sentences you like.

hybrid     on the base's activations, fitted to the thinking model's sentences (`probe_fit.py`): what the thinking model
           would do next, as far as the base's own state tells
thinking   on the thinking model's own activations, fitted to its own sentences: what it is about to do
base       on the base's activations, fitted to sentences that the base writes by itself: what the base would do next

Each reads the token before a sentence, after its model's own prompt. The hybrid chooses by the first, arms by the
others (`arms.py`); arXiv 2510.07364 chooses by the thinking model's activations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...generation import StepState
from ...models.device_copies import DeviceCopies
from ...rundir import atomic_path, brief, read_description, reading

FORMAT = "reasonlens.behaviour-probe/1"
Whose = Literal["thinking", "base"]


@dataclass(frozen=True, eq=False, kw_only=True)
class BehaviourProbe:
    """A linear probe at one block of the model whose sentences it is fitted to."""

    whose: Whose
    layer: int  # block of that model, from 0
    weight: Float[Tensor, "n_behaviours d_model"]
    offset: Float[Tensor, " n_behaviours"]  # -inf for a behaviour that the model's sentences do not show
    n_sentences: int

    __repr__ = brief

    def chooser(self, state: StepState) -> Int[Tensor, " rows"]:
        """Choose the likeliest behaviour: a `Chooser`. The thinking model's block must be read (`Plan`)."""
        activations = state.follower_activations if self.whose == "thinking" else state.activations
        assert activations is not None, "no thinking model reads along"
        weight, offset = (copies.on(activations.device) for copies in self._copies)
        return likeliest_behaviour(activations, weight, offset)

    @cached_property
    def _copies(self) -> tuple[DeviceCopies, DeviceCopies]:
        return DeviceCopies(self.weight), DeviceCopies(self.offset)

    def save(self, path: Path) -> None:
        """Write one safetensors file, atomically."""
        description = {
            "format": FORMAT,
            "whose": self.whose,
            "layer": self.layer,
            "n_sentences": self.n_sentences,
        }
        tensors = {"weight": self.weight.contiguous(), "offset": self.offset.contiguous()}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})

    @classmethod
    def open(cls, path: Path) -> BehaviourProbe:
        """Read back what `save` wrote.

        Raises:
            InputError: The file is something else.
        """
        description = read_description(path, "behaviour probe", (FORMAT,), "give what `reasonlens hybrid` wrote")
        with reading(path, "a behaviour probe"):
            with safe_open(path, framework="pt") as file:
                weight, offset = file.get_tensor("weight"), file.get_tensor("offset")
            return cls(
                whose=description["whose"],
                layer=description["layer"],
                weight=weight,
                offset=offset,
                n_sentences=description["n_sentences"],
            )


def likeliest_behaviour(
    activations: Float[Tensor, "rows d_model"],
    weight: Float[Tensor, "n_behaviours d_model"],
    offset: Float[Tensor, " n_behaviours"],
) -> Int[Tensor, " rows"]:
    """Return the behaviour to which a linear probe gives the highest score."""
    device = activations.device
    likeliest: Tensor = (activations.float() @ weight.T.to(device) + offset.to(device)).argmax(dim=-1)
    return likeliest


def as_far_up(layer: int, n_layers: int, n_other: int) -> int:
    """Find the block of another model that is as far up as a block of this one: itself where both are as deep."""
    return layer if n_other == n_layers else round(layer / max(n_layers - 1, 1) * (n_other - 1))
