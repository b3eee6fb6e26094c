"""How likely each model holds each model's responses, and among how many likeliest tokens theirs are.

    nats a token    sum of -log p(token) / number of tokens, over all responses; perplexity = exp of it

Four cells: responses of the base and of the thinking model, each read by both. That a base gives a thinking model's
responses a low loss says little by itself: beside it stands the loss that it gives its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import Interval, ratio_difference_over_groups, ratio_over_groups
from ...traces import Trace
from .settings import RANKS
from .token_reading import TokenReading

ALL, FIRST, REST = "all", "first token", "rest"  # of sentences
UNLABELLED = "no behaviour"
EVERY = "all"  # behaviours


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Responses of one model, read by one model.

    Attributes:
        writer: Whose responses they are: `base` or `thinking`.
        reader: Which model reads.
        nats_a_token: Mean loss, over problems.
        nats_a_character: The same by character, which models with different tokens can be compared by.
        n_tokens: That were read.
    """

    writer: str
    reader: str
    nats_a_token: Interval
    nats_a_character: Interval
    n_tokens: int

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class RankShare:
    """Of tokens of the thinking model's responses, how many are among the likeliest of the base.

    Attributes:
        behaviour: Of the sentences that the tokens stand in.
        place: In the sentence: `first token`, `rest`, or `all`.
        rank: Among so many likeliest tokens.
        share: Of the thinking model's tokens.
        own_share: Of the base's own tokens in such places; NaN where it has none.
        excess: `share` less `own_share`, problems paired.
        n_tokens: Tokens of the thinking model.
    """

    behaviour: str
    place: str
    rank: int
    share: Interval
    own_share: Interval
    excess: Interval
    n_tokens: int

    __repr__ = brief


Tally = Float[np.ndarray, "n_problems 2"]  # tokens among the likeliest, and all tokens, of each problem


def loss_of(writer: str, reader: str, traces: Sequence[Trace], readings: Sequence[TokenReading]) -> Loss:
    """Compute the loss of some responses.

    Args:
        writer: Whose they are.
        reader: Which model read them.
        traces: The responses.
        readings: One for each.

    Returns:
        The loss, with intervals over problems.
    """
    groups = [trace.problem for trace in traces]
    nats = np.array([reading.nats.sum() for reading in readings])
    n_tokens = np.array([len(reading.nats) for reading in readings], dtype=np.float64)
    n_characters = np.array([reading.n_characters for reading in readings], dtype=np.float64)
    return Loss(
        writer=writer,
        reader=reader,
        nats_a_token=ratio_over_groups(nats, n_tokens, groups=groups),
        nats_a_character=ratio_over_groups(nats, n_characters, groups=groups),
        n_tokens=int(n_tokens.sum()),
    )


def rank_shares(
    thinking: Sequence[Trace],
    thinking_readings: Sequence[TokenReading],
    base: Sequence[Trace],
    base_readings: Sequence[TokenReading],
) -> list[RankShare]:
    """Compute shares of tokens among the base's likeliest, by behaviour and place.

    Args:
        thinking: Responses of the thinking model.
        thinking_readings: By the base.
        base: Responses of the base; a problem that one model left without a text counts for the other.
        base_readings: By the base.

    Returns:
        A row for each behaviour, place and rank; all behaviours together come first.
    """
    problems = list(dict.fromkeys(trace.problem for trace in (*thinking, *base)))
    of_thinking = _tallies(thinking, thinking_readings, problems)
    of_base = _tallies(base, base_readings, problems)
    empty = np.zeros((len(problems), 2))
    rows = []
    for (behaviour, place, rank), tally in of_thinking.items():
        own = of_base.get((behaviour, place, rank), empty)
        has_own = bool(own[:, 1].sum())
        unknown = Interval(float("nan"), n=len(problems))
        rows.append(
            RankShare(
                behaviour=behaviour,
                place=place,
                rank=rank,
                share=ratio_over_groups(tally[:, 0], tally[:, 1]),
                own_share=ratio_over_groups(own[:, 0], own[:, 1]) if has_own else unknown,
                excess=ratio_difference_over_groups(*tally.T, *own.T) if has_own else unknown,
                n_tokens=int(tally[:, 1].sum()),
            )
        )
    return rows


def _tallies(
    traces: Sequence[Trace], readings: Sequence[TokenReading], problems: Sequence[str]
) -> Mapping[tuple[str, str, int], Tally]:
    places = {problem: place for place, problem in enumerate(problems)}
    tallies: dict[tuple[str, str, int], Tally] = {}
    for trace, reading in zip(traces, readings, strict=True):
        labels = np.array([*(span.label for span in trace.spans), UNLABELLED], dtype=object)[reading.spans]
        for behaviour in (EVERY, *dict.fromkeys(labels)):
            of_behaviour = np.ones(len(labels), dtype=bool) if behaviour == EVERY else labels == behaviour
            in_place = {
                ALL: of_behaviour,
                FIRST: of_behaviour & reading.is_first,
                REST: of_behaviour & ~reading.is_first,
            }
            for place, where in in_place.items():
                if not where.any():
                    continue
                for rank in RANKS:
                    tally = tallies.setdefault((behaviour, place, rank), np.zeros((len(problems), 2)))
                    tally[places[trace.problem]] += (reading.ranks[where] <= rank).sum(), where.sum()
    return tallies
