"""What a hybrid is made of, at every layer that is tried: vectors, which of them, when, and how strongly."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...generation import Gate, StepState
from ...models.device_copies import DeviceCopies
from ...rundir import atomic_path, brief, read_description, reading
from ...traces import Trace
from ...vectors import Directions
from ._decode import Chooser
from .behaviour_probe import BehaviourProbe, Whose, likeliest_behaviour
from .coefficient import Coefficients
from .first_words import FirstWords
from .gate import probe_over
from .mechanism import Mechanism
from .wordings import Wordings

FORMAT = "reasonlens.hybrid-probes/3"
SHARES = np.linspace(0, 1, 1001)  # of tokens, by which thresholds of the gate are kept


@dataclass(frozen=True, eq=False, kw_only=True)
class Probes:
    """Linear probes on the base model's own activations, at the token before: no thinking model is needed to use them.

    which: the behaviour of the sentence that comes. when: whether the thinking model's likeliest token is another one.
    """

    which: dict[int, tuple[Float[Tensor, "n_behaviours d_model"], Float[Tensor, " n_behaviours"]]]  # weights, offsets
    when: dict[int, tuple[Float[Tensor, " d_model"], float]]
    quantiles: dict[int, Float[Tensor, " n_shares"]]  # of the log odds of `when` on the rollouts, at SHARES
    auroc_when: dict[int, float]  # on rollouts the probe has not seen; NaN where they never differ, or always
    n_disagreements: int
    n_tokens: int  # of the rollouts, of which those are some

    __repr__ = brief

    def threshold_at(self, layer: int, share: float) -> float:
        """Find the log odds that `when` exceeds at a share of the tokens of the rollouts.

        Args:
            layer: Of the probe.
            share: Of the tokens, 0 to 1.

        Returns:
            The threshold; 0 for a probe that is the same everywhere, since the models never differed, or always.
        """
        if not np.isfinite(self.when[layer][1]):
            return 0.0
        return float(np.interp(1 - share, SHARES, self.quantiles[layer].numpy()))

    def save(self, path: Path) -> None:
        """Write one safetensors file, atomically."""
        tensors: dict[str, Tensor] = {}
        for layer, (weight, offset) in self.which.items():
            tensors |= {f"which.{layer}.weight": weight.contiguous(), f"which.{layer}.offset": offset.contiguous()}
        for layer, (direction, bias) in self.when.items():
            tensors[f"when.{layer}.weight"] = direction.contiguous()
            tensors[f"when.{layer}.offset"] = torch.tensor([bias], dtype=torch.float64)
            tensors[f"when.{layer}.quantiles"] = self.quantiles[layer].contiguous()
        description = {
            "format": FORMAT,
            "layers": list(self.which),
            "auroc_when": [self.auroc_when[layer] for layer in self.which],
            "n_disagreements": self.n_disagreements,
            "n_tokens": self.n_tokens,
        }
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})

    @classmethod
    def open(cls, path: Path) -> Probes:
        """Read back what `save` wrote.

        Raises:
            InputError: The file is something else.
        """
        remedy = "give what `reasonlens hybrid` wrote"
        description = read_description(path, "probes of a hybrid", (FORMAT,), remedy)
        with reading(path, "probes of a hybrid"):
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            layers = [int(layer) for layer in description["layers"]]
            return cls(
                which={layer: (tensors[f"which.{layer}.weight"], tensors[f"which.{layer}.offset"]) for layer in layers},
                when={
                    layer: (tensors[f"when.{layer}.weight"], float(tensors[f"when.{layer}.offset"])) for layer in layers
                },
                quantiles={layer: tensors[f"when.{layer}.quantiles"] for layer in layers},
                auroc_when=dict(zip(layers, description["auroc_when"], strict=True)),
                n_disagreements=description["n_disagreements"],
                n_tokens=description["n_tokens"],
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """All that the arms of a pair are put together from."""

    traces: tuple[Trace, ...]  # rollouts of the thinking model, labelled
    directions: Directions  # of the behaviours
    bias: Directions | None  # one general vector, "bias"; None where no arm needs it
    probes: Probes
    sentence_ends: Bool[Tensor, " vocabulary"]  # tokens of the base that end a sentence
    first_words: FirstWords | None = None  # of the behaviours; None where no arm needs them
    wordings: Wordings | None = None  # likewise
    # What else tells the behaviour that comes, by whose sentences it is, and the layer of the base; added as needed.
    behaviour_probes: dict[tuple[Whose, int], BehaviourProbe] = field(default_factory=dict)
    networks: dict[int, Coefficients] = field(default_factory=dict)  # layer -> what sets strengths; added to as needed

    LOOK = ".traces, .directions, .probes"
    __repr__ = brief

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The behaviours that the base is steered towards, by their numbers in records."""
        return self.directions.behaviours

    def mechanism(self, layer: int) -> Mechanism:
        """Take the vectors of the behaviours at `layer`."""
        return Mechanism.of(self.directions, layer, self.behaviours)

    def chooser(self, layer: int) -> Chooser:
        """Choose the behaviour that comes, by the probe at `layer`."""
        weight, offset = map(DeviceCopies, self.probes.which[layer])

        def choose(state: StepState) -> Int[Tensor, " rows"]:
            device = state.activations.device
            return likeliest_behaviour(state.activations, weight.on(device), offset.on(device))

        return choose

    def gate(self, layer: int, threshold: float = 0.0) -> Gate:
        """Open the gate where the probe at `layer` gives log odds above a threshold."""
        weight, offset = self.probes.when[layer]
        return probe_over(weight, offset, threshold)
