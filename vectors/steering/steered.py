"""Count the tokens that a steered model runs and those that are changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from ...rundir import listed, looked_at
from .scope import Scope
from .steering import Steering
from .step import Step

P = ParamSpec("P")
R = TypeVar("R")


class Steered:
    """Counts of what steering has done so far; reading one waits for the device."""

    def __init__(self, steerings: Sequence[Steering], device: torch.device, scope: Scope) -> None:
        self.steerings, self._scope = tuple(steerings), scope
        self.n_forwards = 0  # forward passes of the model
        self._tokens = torch.zeros((), dtype=torch.int64, device=device)
        self._steered = torch.zeros((), dtype=torch.int64, device=device)
        # (index of the steering, layers that changed the same tokens) -> number of tokens
        self._by_layers: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    @property
    def n_tokens(self) -> int:
        """The number of tokens run: without padding and what follows the end of a response, each counted once."""
        return int(self._tokens)

    @property
    def n_steered(self) -> int:
        """The number of these tokens whose activation was changed, by any steering at any layer."""
        return int(self._steered)

    @property
    def share(self) -> float:
        """The share n_steered / n_tokens; NaN before any token."""
        return self.n_steered / self.n_tokens if self.n_tokens else float("nan")

    def by_layer(self) -> list[dict[str, Any]]:
        """Count the changed tokens of each steering at each layer, as rows: behaviour, layer, site, n_steered."""
        return [
            {
                "behaviour": steering.direction.behaviour,
                "layer": layer,
                "site": str(steering.site),
                "n_steered": sum(
                    int(n) for (index, layers), n in self._by_layers.items() if index == number and layer in layers
                ),
            }
            for number, steering in enumerate(self.steerings)
            for layer in steering.layers
        ]

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make a function that is steered in whatever thread it runs, as `generate` with a streamer needs it.

        Args:
            function: What runs the model. It has to return before the `with` block ends.

        Returns:
            The same function, for `Thread(target=...)` or an executor.
        """
        return self._scope.carried(function)

    def count(self, step: Step) -> None:
        """Add the tokens of a forward pass to the counts.

        Args:
            step: The pass, after it has run.
        """
        self.n_forwards += 1
        device = step.is_real.device
        self._tokens = self._tokens.to(device) + step.count_new(step.is_real)
        layers_by_mask: dict[tuple[int, int], tuple[Tensor, list[int]]] = {}
        for number, layer, mask in step.changes:
            layers_by_mask.setdefault((number, id(mask)), (mask, []))[1].append(layer)
        changed = None
        for (number, _), (mask, layers) in layers_by_mask.items():
            mask = mask.to(device)
            n_new = step.count_new(mask)
            key = number, tuple(layers)
            self._by_layers[key] = self._by_layers[key] + n_new if key in self._by_layers else n_new
            changed = mask if changed is None else changed | mask
        if changed is not None:
            self._steered = self._steered.to(device) + (n_new if len(layers_by_mask) == 1 else step.count_new(changed))

    @looked_at(".n_tokens, .n_steered, .by_layer()")
    def __repr__(self) -> str:
        behaviours = listed(steering.direction.behaviour for steering in self.steerings)
        return f"Steered({behaviours}; {self.n_steered} of {self.n_tokens} tokens changed, {self.n_forwards} passes)"
