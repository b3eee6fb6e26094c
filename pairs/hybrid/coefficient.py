"""The coefficient network: how strongly to steer, from the base model's own activation at the steered layer.

    a(h, c) = softplus(head_c(GELU(W x))),    x = h sqrt(d_model) / n,    h' = h + a(h, c) n v_c

n is the mean residual norm at the layer, so that x is of the same size in every model; W has 512 rows, each behaviour a
linear head of its own, and biases begin at 0.5. (arXiv 2510.07364.) v_c need not be of length 1: its length goes into
the strength, |v_c| a(h, c), and its direction into the mechanism. `coefficient_fit.py` trains both together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, softplus

from ...generation import StepState
from ...rundir import atomic_path, brief, read_description, reading
from .mechanism import Mechanism

FORMAT = "reasonlens.coefficients/2"
HIDDEN, BIAS = 512, 0.5


class CoefficientNetwork(nn.Module):
    """Vectors of behaviours, in units of the mean residual norm, and the network that scales them."""

    vectors: Tensor

    def __init__(self, n_behaviours: int, d_model: int, residual_norm: float, *, seed: int = 0) -> None:
        super().__init__()
        self.scale = d_model**0.5 / residual_norm
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.hidden = nn.Linear(d_model, HIDDEN)
            self.heads = nn.Linear(HIDDEN, n_behaviours)
        nn.init.constant_(self.hidden.bias, BIAS)
        nn.init.constant_(self.heads.bias, BIAS)
        self.vectors = nn.Parameter(torch.zeros(n_behaviours, d_model))

    def amount(
        self, activations: Float[Tensor, "rows d_model"], behaviour: Int[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """a(h, c)."""
        coefficients: Tensor = softplus(self.heads(gelu(self.hidden(activations * self.scale))))
        return coefficients.gather(1, behaviour[:, None])[:, 0]

    def moved(
        self, activations: Float[Tensor, "rows d_model"], behaviour: Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows d_model"]:
        """How far the activations go, in units of the mean residual norm."""
        return self.amount(activations, behaviour)[:, None] * self.vectors[behaviour]


@dataclass(frozen=True, eq=False, kw_only=True)
class Coefficients:
    """Behaviour vectors and the network that sets their strength, as they were trained for one base model and layer."""

    mechanism: Mechanism
    network: CoefficientNetwork
    scores: dict[str, Any] = field(default_factory=dict)  # losses in nats, and numbers of tokens
    model: dict[str, Any] = field(default_factory=dict)  # LanguageModel.identity()

    LOOK = ".mechanism, .scores"
    __repr__ = brief

    @classmethod
    def of(
        cls,
        network: CoefficientNetwork,
        *,
        behaviours: tuple[str, ...],
        layer: int,
        residual_norm: float,
        scores: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
    ) -> Coefficients:
        """What a network with its vectors amounts to."""
        units = normalize(network.vectors.detach().cpu().float(), dim=-1)
        mechanism = Mechanism(behaviours=behaviours, units=units, layer=layer, residual_norm=residual_norm)
        return cls(mechanism=mechanism, network=network.requires_grad_(False), scores=scores or {}, model=model or {})

    def strength(self, state: StepState, behaviour: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The length of the behaviour's vector times its coefficient: a `StrengthRule`."""
        network = self.network.to(state.activations.device)
        with torch.no_grad():
            length: Tensor = network.vectors.norm(dim=-1)[behaviour]
            return length * network.amount(state.activations.float(), behaviour)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        described = {
            "format": FORMAT,
            "behaviours": self.mechanism.behaviours,
            "layer": self.mechanism.layer,
            "residual_norm": self.mechanism.residual_norm,
            "scores": self.scores,
            "model": self.model,
        }
        tensors = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        with atomic_path(Path(path)) as temporary:
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(described)})

    @classmethod
    def open(cls, path: str | Path) -> Coefficients:
        """Read back what `save` wrote. Raises InputError when the file is something else."""
        remedy = "give what `reasonlens hybrid` wrote"
        described = read_description(path, "coefficients", (FORMAT,), remedy)
        with reading(path, "coefficients"):
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            n_behaviours, d_model = tensors["vectors"].shape
            network = CoefficientNetwork(n_behaviours, d_model, described["residual_norm"])
            network.load_state_dict(tensors)
            return cls.of(
                network,
                behaviours=tuple(described["behaviours"]),
                layer=described["layer"],
                residual_norm=described["residual_norm"],
                scores=described["scores"],
                model=described["model"],
            )
