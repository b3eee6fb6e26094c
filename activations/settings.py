"""Hold the settings of a collection, apart from its model and traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from ..models import LanguageModel
from ..models.sites import BLOCK_OUTPUT, Site
from ..rundir import InputError, whole_number
from ..traces import Template
from .layers import layer_numbers, parse_layers
from .read import Read

Member = TypeVar("Member")
ManyReads: TypeAlias = tuple[Read | str, ...] | list[Read | str] | list[Read] | list[str]
ManySites: TypeAlias = tuple[Site | str, ...] | list[Site | str] | list[Site] | list[str]


@dataclass(frozen=True, kw_only=True)
class CollectSettings:
    """Settings of `collect` and `collect_moments`."""

    layers: str | Sequence[int] | None = None  # 0-based blocks that are read, or "0,4,10:20:2"; None: all
    read: Read | str | ManyReads = "mean"  # which tokens of a span are averaged; several: each by itself
    sites: Site | str | ManySites = BLOCK_OUTPUT  # where in each block
    template: Template = "auto"  # how prompt and text become tokens (see `traces.encode`)
    truncate: bool = False  # cut texts longer than the context instead of refusing them
    include_markup: bool = False  # also average attention sinks, special and template tokens
    tokens_per_batch: int | None = None  # padded tokens of a forward pass; None: chosen for the device
    share_prefixes: bool = True  # run what several texts have in common once
    compile: bool = False  # run blocks through torch.compile: half a minute at first, faster after, other rounding

    def __post_init__(self) -> None:
        _ = self.reads, self.all_sites  # parsed once, for what they may raise
        if self.layers is not None and not isinstance(self.layers, str):
            layer_numbers(self.layers)
        if self.tokens_per_batch is not None:
            whole_number(self.tokens_per_batch, "tokens_per_batch")

    @property
    def reads(self) -> tuple[Read, ...]:
        """The reads, also where there is only one."""
        several = self.read if isinstance(self.read, tuple | list) else (self.read,)
        return _distinct([one if isinstance(one, Read) else Read.parse(one) for one in several], "read")

    @property
    def all_sites(self) -> tuple[Site, ...]:
        """The sites, also where there is only one."""
        several = self.sites if isinstance(self.sites, tuple | list) else (self.sites,)
        return _distinct([one if isinstance(one, Site) else Site.parse(one) for one in several], "site")

    @property
    def is_single(self) -> bool:
        """Whether one read and one site were asked for by themselves, and not in a list."""
        return not isinstance(self.read, tuple | list) and not isinstance(self.sites, tuple | list)

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
            "reads": [str(read) for read in self.reads],
            "sites": [str(site) for site in self.all_sites],
            "template": self.template,
            "truncate": self.truncate,
            "include_markup": self.include_markup,
            "share_prefixes": self.share_prefixes,
            "compile": self.compile,
        }


def _distinct(members: list[Member], kind: str) -> tuple[Member, ...]:
    """Check that there is a member, and none twice."""
    if not members:
        raise InputError(f"no {kind} is named: there is nothing to collect; name one or several")
    repeated = next((member for member in members if members.count(member) > 1), None)
    if repeated is not None:
        raise InputError(f"the {kind} {str(repeated)!r} is named twice; name each {kind} once")
    return tuple(members)
