"""What a collection is asked to read, beside its model and traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..models import InputError, LanguageModel
from ..traces import Template
from .read import Read


@dataclass(frozen=True, kw_only=True)
class CollectSettings:
    """What is read, and in which batches."""

    layers: Sequence[int] | None = None  # 0-based blocks whose output is read, negative ones from the end; None: all
    read: Read = field(default_factory=Read.mean)  # which tokens of a span are averaged
    template: Template = "auto"  # how prompt and text become tokens (see `traces.encode`)
    truncate: bool = False  # cut texts longer than the context instead of refusing them
    include_markup: bool = False  # also average attention sinks, special and template tokens
    tokens_per_batch: int | None = None  # padded tokens of a forward pass; None: found for the device
    share_prefixes: bool = True  # run what texts have in common once

    def __post_init__(self) -> None:
        if self.tokens_per_batch is not None and self.tokens_per_batch < 1:
            raise InputError(f"a batch needs at least one token, and tokens_per_batch is {self.tokens_per_batch}")

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers asked for as ascending indices from 0. Raises InputError where one does not exist."""
        asked = range(model.n_layers) if self.layers is None else self.layers
        wanted = tuple(sorted({model.layer_index(layer) for layer in asked}))
        if not wanted:
            raise InputError(f"no layers asked for; {model.name} has blocks 0..{model.n_layers - 1}")
        return wanted

    def describe(self, model: LanguageModel) -> dict[str, Any]:
        """What decides the numbers that come out, as JSON: two collections that agree in it may be joined."""
        return {
            "model": model.identity(),
            "layers": list(self.layers_of(model)),
            "read": str(self.read),
            "template": self.template,
            "truncate": self.truncate,
            "include_markup": self.include_markup,
            "share_prefixes": self.share_prefixes,
        }
