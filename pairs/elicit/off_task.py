"""Measure what an arm does to text that has nothing to do with the task: its loss, beside the base's.

    loss    sum of -log p of all tokens / number of tokens, in nats

Models in words read the bundled traces. Organisms read legal responses with other habits than any of theirs: those of
the drill from which the trunk learnt the language, on validation problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import nan

import numpy as np
from jaxtyping import Float

from ...organisms import Writer, problems, write
from ...organisms.policy import DRILL
from ...stats import Interval, ratio_difference_over_groups, ratio_over_groups
from ...traces import Trace, bundled_traces
from ..likelihood import TokenReading

Sums = Float[np.ndarray, " n_texts"]


def texts_off_task(n_texts: int, seed: int, *, has_words: bool) -> list[Trace]:
    """Choose the texts that are read.

    Args:
        n_texts: How many, at most.
        seed: Of the choice.
        has_words: Whether they are in words; else in the language of organisms.

    Returns:
        The texts; each is a problem of its own.
    """
    if has_words:
        traces = bundled_traces()
        order = np.random.default_rng(seed).permutation(len(traces))[:n_texts]
        return [Trace(traces[place].id, traces[place].prompt, traces[place].text) for place in order.tolist()]
    generator = np.random.default_rng(seed)
    return [
        Trace(f"drill-{number}", problem.prompt, " ".join(write(problem, Writer(DRILL), generator)))
        for number, problem in enumerate(islice(problems("validation", seed), n_texts))
    ]


def loss_off_task(nats: Sums, n_tokens: Sums) -> Interval:
    """Estimate the loss, with an interval over texts.

    Args:
        nats: Of all tokens of each text.
        n_tokens: Of each text.

    Returns:
        Nats a token; NaN where no token was read.
    """
    return ratio_over_groups(nats, n_tokens) if n_tokens.sum() else Interval(nan, n=len(nats))


def loss_change(nats: Sums, n_tokens: Sums, base_nats: Sums, base_tokens: Sums) -> Interval:
    """Estimate by how much a loss is above the base's, texts paired.

    Args:
        nats: Of all tokens of each text, as the arm reads it.
        n_tokens: Of each text, in the arm's tokens.
        base_nats: The same of the base.
        base_tokens: The same of the base.

    Returns:
        Nats a token; positive where the arm holds the texts to be less likely, NaN where one of the two read no token.
    """
    if not n_tokens.sum() or not base_tokens.sum():
        return Interval(nan, n=len(nats))
    return ratio_difference_over_groups(nats, n_tokens, base_nats, base_tokens)


def unread(traces: Sequence[Trace]) -> list[TokenReading]:
    """Read nothing: for what has other tokens than the base, whose nats a token are not the base's.

    Args:
        traces: Texts.

    Returns:
        A reading of no token for each.
    """
    nothing = np.zeros(0)
    return [TokenReading(nothing, nothing.astype(int), nothing.astype(int), nothing.astype(bool), 0) for _ in traces]
