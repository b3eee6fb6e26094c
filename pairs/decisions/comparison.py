"""Compare what two models would say next, at one position of a text that both read.

    m = (p + q) / 2
    JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2        in nats, 0 to log 2; symmetric, finite

p and q are the models' distributions at temperature 1, whatever is sampled. Published beside it: KL both ways. The
entropy of the base's distribution says how open the base is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import StepState
from ...generation.vocabulary import NEVER
from ..sampling import Role

LOG_2 = 0.6931471805599453


@dataclass(frozen=True, eq=False, slots=True)
class Compared:
    """Both models before a token is chosen, in all rows.

    Attributes:
        js: Jensen-Shannon divergence, nats.
        kl_thinking_base: KL(thinking || base), nats.
        kl_base_thinking: KL(base || thinking), nats.
        base_entropy: Of the base's distribution, nats.
        step: Tokens of the response that are written already.
        rows: Number of each row among all, by which random numbers go.
    """

    js: Float[Tensor, " rows"]
    kl_thinking_base: Float[Tensor, " rows"]
    kl_base_thinking: Float[Tensor, " rows"]
    base_entropy: Float[Tensor, " rows"]
    step: int
    rows: Int[Tensor, " rows"]

    @classmethod
    def at(cls, state: StepState, writer: Role) -> Compared:
        """Compare the model that writes with the one that reads along.

        Args:
            state: Before a token is chosen.
            writer: Which of the pair writes.

        Returns:
            The comparison.
        """
        assert state.follower_logits is not None, "no model reads along"
        one, other = (
            logits.float().log_softmax(dim=-1).clamp_min(NEVER) for logits in (state.logits, state.follower_logits)
        )
        base, thinking = (one, other) if writer == "base" else (other, one)
        return cls(
            js=jensen_shannon_nats(base, thinking),
            kl_thinking_base=_kl(thinking, base),
            kl_base_thinking=_kl(base, thinking),
            base_entropy=-(base.exp() * base).sum(dim=-1),
            step=state.step,
            rows=state.rows,
        )


def jensen_shannon_nats(p: Float[Tensor, "rows vocabulary"], q: Float[Tensor, "rows vocabulary"]) -> Tensor:
    """Compute the Jensen-Shannon divergence of each row.

    Args:
        p: Logarithms of probabilities.
        q: Those of the other distribution.

    Returns:
        Nats, of shape (rows,), 0 to log 2.
    """
    mean = torch.logaddexp(p, q) - LOG_2
    return ((_kl(p, mean) + _kl(q, mean)) / 2).clamp(0, LOG_2)


def token_ranks(logits: Float[Tensor, "rows vocabulary"], tokens: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """Count, for each row, the tokens that are likelier than one of them, and add 1.

    Args:
        logits: Of the next token.
        tokens: One for each row.

    Returns:
        1 where no other token is likelier.
    """
    ranks: Tensor = 1 + (logits > logits.gather(1, tokens[:, None])).sum(dim=1)
    return ranks


def _kl(p: Float[Tensor, "rows vocabulary"], q: Float[Tensor, "rows vocabulary"]) -> Float[Tensor, " rows"]:
    nats: Tensor = (p.exp() * (p - q)).sum(dim=-1).clamp_min(0)
    return nats
