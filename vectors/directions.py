"""Directions: one vector for each behaviour and layer, in one safetensors file that any tool can read.

Each behaviour is a plain tensor (n_layers, d_model) under its own name; the file's metadata holds, under
"reasonlens", a JSON description of where it came from. Row i belongs to block `layers[i]`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..rundir import InputError, atomic_path
from .direction import Direction

FORMAT = "reasonlens.directions/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Directions:
    """`directions["backtracking"]` is that behaviour's `Direction`; vectors are in the units of the residual stream."""

    vectors: dict[str, Float[Tensor, "n_layers d_model"]]
    layers: tuple[int, ...]  # the 0-based blocks at whose output the rows apply
    method: str  # how they were found
    model: dict[str, Any]  # LanguageModel.identity()
    read: str
    residual_norm: tuple[float, ...]  # mean token norm of the residual stream at each: the unit of a dose; NaN: unknown
    n_examples: dict[str, int]  # spans that show the behaviour
    n_problems: int
    site: str = "blocks.{layer}.hook_out"
    operation: str = "add"  # what to do with a vector to bring the behaviour about
    scores: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # behaviour -> figure -> one per layer
    data_digest: str = ""  # of the traces

    def __getitem__(self, behaviour: str) -> Direction:
        if behaviour not in self.vectors:
            raise InputError(f"no direction for {behaviour!r}; there are directions for {', '.join(self.vectors)}")
        return Direction(
            behaviour=behaviour,
            vectors=self.vectors[behaviour],
            layers=self.layers,
            residual_norm=self.residual_norm,
            model=self.model,
            operation=self.operation,
        )

    @property
    def behaviours(self) -> tuple[str, ...]:
        return tuple(self.vectors)

    @property
    def d_model(self) -> int:
        return next(iter(self.vectors.values())).shape[1]

    def at(self, behaviour: str, layer: int) -> Float[Tensor, " d_model"]:
        """The vector for the output of block `layer`. Raises InputError for a layer that is not covered."""
        return self[behaviour].at(layer)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        description = {
            "format": FORMAT,
            "layers": self.layers,
            "method": self.method,
            "model": self.model,
            "site": self.site,
            "read": self.read,
            "operation": self.operation,
            "residual_norm": [None if math.isnan(norm) else norm for norm in self.residual_norm],
            "norms": {name: vectors.norm(dim=-1).tolist() for name, vectors in self.vectors.items()},
            "n_examples": self.n_examples,
            "n_problems": self.n_problems,
            "scores": self.scores,
            "data_digest": self.data_digest,
        }
        with atomic_path(Path(path)) as temporary:
            save_file(
                {name: vectors.float().contiguous() for name, vectors in self.vectors.items()},
                temporary,
                metadata={"reasonlens": json.dumps(description)},
            )

    @classmethod
    def open(cls, path: str | Path) -> Directions:
        """Read back what `save` wrote. Raises InputError when the file is something else."""
        try:
            with safe_open(path, framework="pt") as file:
                description = json.loads((file.metadata() or {}).get("reasonlens", "{}"))
                if description.get("format") != FORMAT:
                    raise InputError(f"{path} holds no directions of reasonlens (format {FORMAT})")
                stored = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"cannot read directions from {path}: {error}") from error
        try:
            return cls(
                vectors={name: stored[name] for name in description["norms"]},
                layers=tuple(description["layers"]),
                residual_norm=tuple(math.nan if norm is None else norm for norm in description["residual_norm"]),
                **{
                    key: description[key]
                    for key in (
                        *("method", "model", "site", "read", "operation"),
                        *("n_examples", "n_problems", "scores", "data_digest"),
                    )
                },
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: its description lacks {error}; write it again") from error
