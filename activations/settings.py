"""Hold the settings of a collection, apart from its model and traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..models import LanguageModel
from ..rundir import InputError, whole_number
from ..traces import Template
from .layers import layer_numbers, parse_layers
from .read import Read


@dataclass(frozen=True, kw_only=True)
class CollectSettings:
    """Settings of `collect` and `collect_moments`."""

    layers: str | Sequence[int] | None = None  # 0-based blocks whose output is read, or "0,4,10:20:2"; None: all
    read: Read | str = "mean"  # which tokens of a span are averaged
    template: Template = "auto"  # how prompt and text become tokens (see `traces.encode`)
    truncate: bool = False  # cut texts longer than the context instead of refusing them
    include_markup: bool = False  # also average attention sinks, special and template tokens
    tokens_per_batch: int | None = None  # padded tokens of a forward pass; None: chosen for the device
    share_prefixes: bool = True  # run what several texts have in common once
    compile: bool = False  # run blocks through torch.compile: half a minute at first, faster after, other rounding

    def __post_init__(self) -> None:
        if not isinstance(self.read, Read):
            object.__setattr__(self, "read", Read.parse(self.read))
        if self.layers is not None and not isinstance(self.layers, str):
            layer_numbers(self.layers)
        if self.tokens_per_batch is not None:
            whole_number(self.tokens_per_batch, "tokens_per_batch")

    @property
    def tokens(self) -> Read:
        """`read` as a `Read`, also if it was passed as a text."""
        return Read.parse(str(self.read))

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Resolve `layers` for one model.

        Args:
            model: The model to read.

        Returns:
            The layers as ascending 0-based numbers.

        Raises:
            InputError: A layer does not exist, or there is none.
        """
        requested: Sequence[int]
        if self.layers is None:
            requested = range(model.n_layers)
        else:
            written = self.layers
            requested = parse_layers(written, model.n_layers) if isinstance(written, str) else layer_numbers(written)
        layers = tuple(sorted({model.layer_index(layer) for layer in requested}))
        if not layers:
            raise InputError(f"no layers asked for; {model.name} has blocks 0..{model.n_layers - 1}")
        return layers

    def describe(self, model: LanguageModel) -> dict[str, Any]:
        """Describe what determines the activations: collections with the same description may be joined.

        Args:
            model: The model to read.

        Returns:
            A dictionary that JSON can hold.
        """
        return {
            "model": model.identity(),
            "layers": list(self.layers_of(model)),
            "read": str(self.read),
            "template": self.template,
            "truncate": self.truncate,
            "include_markup": self.include_markup,
            "share_prefixes": self.share_prefixes,
            "compile": self.compile,
        }
