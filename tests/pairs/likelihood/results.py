"""A result made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

from reasonlens.pairs.likelihood import (
    LikelihoodResult,
    LikelihoodSettings,
    Loss,
    Match,
    PairLikelihood,
    RankShare,
    VectorLoss,
)
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"


def share(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.07, 100)


def likelihood_result() -> LikelihoodResult:
    """One pair; the base never shows one of the behaviours."""
    losses = [
        Loss(writer=writer, reader=reader, nats_a_token=share(0.5), nats_a_character=share(0.1), n_tokens=1000)
        for writer in ("base", "thinking")
        for reader in ("base", "thinking")
    ]
    ranks = [
        RankShare(
            behaviour=behaviour,
            place=place,
            rank=rank,
            share=share(0.6),
            own_share=share(0.5) if behaviour == "all" else Interval(nan, n=100),
            excess=share(0.1) if behaviour == "all" else Interval(nan, n=100),
            n_tokens=900,
        )
        for behaviour in ("all", EVIL)
        for place in ("all", "first token", "rest")
        for rank in (1, 5, 10)
    ]
    matches = [
        Match(source, k, share(0.4 / k), share(0.1 * k))
        for source in ("base", "other problems", "shuffled", "thinking model")
        for k in (1, 4)
    ]
    vector = VectorLoss(writer="thinking", behaviour=EVIL, layer=1, loss=0.9, unsteered=1.1, random=nan, n_sentences=60)
    pair = PairLikelihood(
        base=EVIL,
        thinking=EVIL,
        losses=tuple(losses),
        ranks=tuple(ranks),
        matches=tuple(matches),
        vectors=(vector,),
    )
    return LikelihoodResult(pairs={EVIL: pair}, settings=LikelihoodSettings())
