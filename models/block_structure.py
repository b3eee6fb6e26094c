"""Find which modules of a block compute its sites, by the sums that the residual stream is made of.

No architecture is known by name. All modules of a block are watched in one pass, and what holds of the numbers decides
(X: before the block, Y: after it; T: what some module returns; f: 1, or the configuration's residual multiplier):

    one after the other      X + f T1 = M, which a later module receives, and M + f T2 = Y
    norms after the sums     X + f T1 = N, normed to M; M + f T2 = N', normed to Y
    side by side             X + f T1 + f T2 = Y
    one part alone           X + f T1 = Y

A sum holds where it is off by no more than the rounding of the model's precision, and confirms a part only where that
part changes it by more. What no sum confirms does not count as found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

N_ROUNDINGS = 4  # by how many units of rounding a sum of two or three terms may be off

Stream = Float[Tensor, "tokens d_model"]  # float64, on the CPU


@dataclass(frozen=True, eq=False, kw_only=True)
class Event:
    """What a module received or returned in a pass."""

    path: str  # within the block
    module: nn.Module
    values: Stream
    is_input: bool
    is_flat: bool  # of shape (batch x position, d_model)
    is_attention: bool  # in, or of, a module that is called attention
    is_mlp: bool

    @property
    def own_path(self) -> str:
        """The path without the steps by which a TransformerLens block leads to the block that it stands for."""
        return self.path.replace("_original_component.", "")

    @property
    def is_norm(self) -> bool:
        """Whether the module is a norm, which may stand behind what it norms."""
        return "norm" in type(self.module).__name__.lower() and not (self.is_attention or self.is_mlp)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A tensor that a module of the block receives or returns, and by what the block multiplies it."""

    path: str
    is_input: bool = False
    is_flat: bool = False
    factor: float = 1.0


@dataclass(kw_only=True)
class BlockStructure:
    """Where the sites of a block are; None: not confirmed."""

    attention: Part | None = None  # what attention adds
    attention_output: Part | None = None  # before a norm and a factor
    projection: str | None = None  # the linear map that sums the heads
    middle: Part | None = None
    first: Part | None = None  # what makes the stream before the block that in the middle; None: a norm comes between
    mlp: Part | None = None
    mlp_output: Part | None = None
    has_attention: bool = False
    has_mlp: bool = False
    is_parallel: bool = False
    modules: tuple[str, ...] = ()  # the names of the block's own modules that ran


def structure_of(
    events: Sequence[Event], before: Stream, after: Stream, eps: float, factors: Sequence[float]
) -> BlockStructure:
    """Find the parts of a block.

    Args:
        events: What its modules received and returned in one pass, in order. A module that ran several times (a
            dropout that attention and MLP share) computes no site.
        before: The residual stream before the block.
        after: The residual stream after it.
        eps: The spacing of numbers at 1 in the precision in which the block computes.
        factors: By what it may multiply what it adds.

    Returns:
        The parts.
    """
    runs = Counter(event.path for event in events if not event.is_input)
    events = [event for event in events if runs[event.path] <= 1]
    search = _Search(events, before, after, eps, factors)
    for find in (search.one_after_the_other, search.side_by_side, search.alone):
        structure = find()
        if structure is not None:
            break
    else:
        structure = BlockStructure()
    structure.has_attention = any(event.is_attention for event in events)
    structure.has_mlp = any(event.is_mlp for event in events)
    structure.modules = tuple(dict.fromkeys(event.own_path.split(".")[0] for event in events if not event.is_norm))
    return structure


class _Search:
    def __init__(
        self, events: Sequence[Event], before: Stream, after: Stream, eps: float, factors: Sequence[float]
    ) -> None:
        self.events, self.before, self.after, self.eps, self.factors = events, before, after, eps, factors

    def one_after_the_other(self) -> BlockStructure | None:
        for at, event in enumerate(self.events):
            if event.is_input:
                first = self._added([self.before], event.values, self.events[:at])
                if first is not None:
                    return self._second_after(*first, at)
        return None

    def _second_after(self, first: Event, factor: float, at: int) -> BlockStructure | None:
        earlier, middle, later = self.events[:at], self.events[at], self.events[at:]
        structure = BlockStructure()
        if any(event.is_attention for event in later):
            return structure  # not attention first and then the MLP
        if any(event.is_attention for event in earlier):
            self._set_attention(structure, first, factor, earlier)
        structure.middle, structure.first = _part(middle), _part(first, factor)
        second = self._added([middle.values], self.after, later)
        if second is None:
            second = self._after_norm(structure, later)
        if second is not None:
            self._set_mlp(structure, *second, later)
        return structure

    def _after_norm(self, structure: BlockStructure, later: Sequence[Event]) -> tuple[Event, float] | None:
        """Find the second part where the stream itself is normed after each sum; the middle is then the normed one."""
        normed = _returned_by(later[0], later)
        if normed is None:
            return None
        for at, event in enumerate(later):
            returned = _returned_by(event, later[at:]) if event.is_input else None
            if returned is None or not torch.equal(returned.values, self.after):
                continue
            second = self._added([normed.values], event.values, later[:at])
            if second is not None:
                structure.middle, structure.first = _part(normed), None
                return second
        return None

    def side_by_side(self) -> BlockStructure | None:
        for attention in reversed(self.events):
            if attention.is_input or not (attention.is_attention or attention.is_norm):
                continue
            for factor in self.factors:
                others = [event for event in self.events if not event.is_attention and event is not attention]
                second = self._added([self.before, factor * attention.values], self.after, others)
                if second is not None and not self._holds(self.after, self.before, factor * second[0].values):
                    structure = BlockStructure(is_parallel=True)
                    self._set_attention(structure, attention, factor, self.events)
                    self._set_mlp(structure, *second, others)
                    return structure
        return None

    def alone(self) -> BlockStructure | None:
        only = self._added([self.before], self.after, self.events)
        if only is None:
            return None
        structure = BlockStructure()
        if any(event.is_attention for event in self.events):
            self._set_attention(structure, *only, self.events)
        elif any(event.is_mlp for event in self.events):
            self._set_mlp(structure, *only, self.events)
        return structure

    def _set_attention(self, structure: BlockStructure, added: Event, factor: float, events: Sequence[Event]) -> None:
        structure.attention = _part(added, factor)
        own = _same(_before_norm(added, events), events)
        attention = [event for event in own if event.is_attention]
        outermost = [event for event in attention if "." not in event.own_path]
        structure.attention_output = _part(outermost[0]) if outermost else None
        projections = [event.path for event in attention if _is_linear(event.module)]
        structure.projection = projections[-1] if projections else None

    def _set_mlp(self, structure: BlockStructure, added: Event, factor: float, events: Sequence[Event]) -> None:
        structure.mlp = _part(added, factor)
        own = _same(_before_norm(added, events), events)
        outermost = [event for event in own if "." not in event.own_path and (event.is_mlp or _is_linear(event.module))]
        structure.mlp_output = _part(outermost[0]) if outermost else None

    def _added(self, terms: list[Stream], total: Stream, events: Iterable[Event]) -> tuple[Event, float] | None:
        """Find the last output which, with the terms, makes up the total, and its factor."""
        if self._holds(total, *terms):
            return None  # whatever was added is lost in rounding
        for event in reversed(list(events)):
            for factor in () if event.is_input else self.factors:
                if self._holds(total, *terms, factor * event.values):
                    return event, factor
        return None

    def _holds(self, total: Stream, *terms: Stream) -> bool:
        """Tell whether a sum is its total to rounding; the first token is looked at first, since most sums fail."""
        for rows in (slice(0, 1), slice(1, None)):
            off = (sum(term[rows] for term in terms) - total[rows]).abs()
            bound = sum((term[rows].abs() for term in terms), total[rows].abs()) * (N_ROUNDINGS * self.eps)
            if bool((off > bound).any()):
                return False
        return True


def _is_linear(module: nn.Module) -> bool:
    """Tell whether a module is a plain linear map; quantised ones and adapters compute something else."""
    return type(module) in (nn.Linear, Conv1D) or type(module).__name__ == "FalconLinear"


def _part(event: Event, factor: float = 1.0) -> Part:
    return Part(path=event.path, is_input=event.is_input, is_flat=event.is_flat, factor=factor)


def _returned_by(received: Event, events: Sequence[Event]) -> Event | None:
    """Return what a module returned next."""
    return next((event for event in events if event.module is received.module and not event.is_input), None)


def _before_norm(added: Event, events: Sequence[Event]) -> Event:
    """Return what a norm received if it computed what is added; else what is added."""
    computed = _same(added, events)[0]
    if not computed.is_norm:
        return added
    return next(event for event in events if event.module is computed.module and event.is_input)


def _same(output: Event, events: Sequence[Event]) -> list[Event]:
    """Return all outputs with the values of one event, in order."""
    return [event for event in events if not event.is_input and torch.equal(event.values, output.values)]
