"""What was measured of one pair, part by part; a part that was not measured is empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...rundir import brief
from ..verdict_sentence import Verdict
from .cosines import DirectionCosine
from .grafts import Grafts
from .probe_transfer import ProbeTransfer
from .similarity import LayerSimilarity
from .subspaces import SubspaceOverlap
from .words import graft_verdict, spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedToken:
    """A token that a behaviour's direction promotes or lowers through the unembedding.

    Attributes:
        model: `base` or `thinking`.
        behaviour: Whose direction.
        layer: Of which block.
        way: `raised` or `lowered`.
        rank: 1: the one that is moved most.
        token: Its text.
        score: Logit less the mean over the vocabulary.
        random_95: Of random directions 95% have no token of a higher score, either way.
    """

    model: str
    behaviour: str
    layer: int
    way: Literal["raised", "lowered"]
    rank: int
    token: str
    score: float
    random_95: float

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGeometry:
    """What was measured of one pair.

    Attributes:
        base: Name of the base.
        thinking: Name of the thinking model.
        n_problems: With texts that both models read; 0: none were read.
        n_spans: In these texts.
        cosines: Of directions, by behaviour and layer.
        overlaps: Of the behaviours' subspaces, by layer.
        transfers: Of probes both ways, by behaviour and layer.
        similarities: Of layers, each with each.
        tokens: That directions promote and lower.
        grafts: What parts of the weights recover; None: not measured.
        left_out: Part that these models do not allow -> why.
    """

    base: str
    thinking: str
    n_problems: int
    n_spans: int
    cosines: tuple[DirectionCosine, ...]
    overlaps: tuple[SubspaceOverlap, ...]
    transfers: tuple[ProbeTransfer, ...]
    similarities: tuple[LayerSimilarity, ...]
    tokens: tuple[PromotedToken, ...]
    grafts: Grafts | None
    left_out: dict[str, str]

    LOOK = ".cosines, .overlaps, .transfers, .similarities, .tokens, .grafts"
    __repr__ = brief

    def verdict(self) -> Verdict | None:
        """Conclude which weights carry the gap, by the rules of docs/geometry.md; None where no graft was measured."""
        return None if self.grafts is None else graft_verdict(self.grafts)

    def in_words(self) -> list[str]:
        """Say what was measured, each figure with what it stands beside; the conclusion last."""
        sentences = spoken(self.cosines, self.overlaps, self.transfers, self.similarities, self.tokens)
        sentences += [f"Without {part}: {reason}." for part, reason in self.left_out.items()]
        verdict = self.verdict()
        return sentences if verdict is None else [*sentences, str(verdict)]
