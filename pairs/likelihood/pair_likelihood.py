"""What was read of one pair: losses, ranks and matches, and what they say in words."""

from __future__ import annotations

from dataclasses import dataclass

from ...rundir import brief
from ...stats import Interval
from .matching import BASE, ITSELF, Match
from .perplexity import ALL, EVERY, Loss, RankShare
from .vectors_loss import VectorLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLikelihood:
    """What was read of one pair.

    Attributes:
        base: Name of the base.
        thinking: Name of the thinking model.
        losses: Of the responses of each model, read by each.
        ranks: Of the thinking model's tokens among the base's likeliest.
        matches: Of behaviours, by number of responses.
        vectors: Losses of optimised vectors; empty: not asked for.
    """

    base: str
    thinking: str
    losses: tuple[Loss, ...]
    ranks: tuple[RankShare, ...]
    matches: tuple[Match, ...]
    vectors: tuple[VectorLoss, ...]

    LOOK = ".losses, .ranks, .matches"
    __repr__ = brief

    def loss(self, writer: str, reader: str) -> Interval:
        """Give the loss of one model's responses under one model, nats a token."""
        return next(loss.nats_a_token for loss in self.losses if (loss.writer, loss.reader) == (writer, reader))

    def rank(self, rank: int, behaviour: str = EVERY, place: str = ALL) -> RankShare:
        """Give the share of the thinking model's tokens among so many likeliest of the base."""
        return next(one for one in self.ranks if (one.behaviour, one.place, one.rank) == (behaviour, place, rank))

    def match(self, source: str = BASE) -> list[Match]:
        """Give the curve of one source: the base, its controls, or the thinking model itself."""
        return [match for match in self.matches if match.source == source]


def in_words(pair: PairLikelihood) -> list[str]:
    """Say what was read of a pair, each figure with what it stands beside.

    Args:
        pair: Its figures.

    Returns:
        Sentences.
    """
    top = pair.rank(5)
    sentences = [
        f"The base gives the thinking model's responses a loss of {pair.loss('thinking', 'base')} nats a token, and "
        f"its own {pair.loss('base', 'base')}; the thinking model {pair.loss('thinking', 'thinking')} and "
        f"{pair.loss('base', 'thinking')}.",
        f"Of the thinking model's tokens {top.share} are among the base's 5 likeliest, of the base's own "
        f"{top.own_share}.",
    ]
    base = pair.match()
    if base:
        others = [curve[-1] for source in _sources(pair) if (curve := pair.match(source))]
        beside = "; ".join(f"{match.source} {match.distance} of {match.k}" for match in others)
        sentences.append(
            f"The nearest of {base[-1].k} responses of the base differs from the thinking model's behaviours by "
            f"{base[-1].distance} of their number (0: the same), {beside}."
        )
    return sentences


def _sources(pair: PairLikelihood) -> list[str]:
    sources = dict.fromkeys(match.source for match in pair.matches)
    return [source for source in sources if source not in (BASE, ITSELF)] + [ITSELF]
