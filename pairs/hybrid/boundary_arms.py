"""Arms that steer where sentences start, whatever a thinking model says: would that do, without its moments?

All of them, or as many at random as the hybrid steers tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from ._decode import Plan
from .arm import Arm, ArmContext, hybrid_plan
from .gate import both, positions, sentence_start
from .record import RowRecord
from .through import Through


def boundary_rate(
    records: Sequence[RowRecord], ends_sentence: Bool[Tensor, " vocabulary"], through: Through | None = None
) -> float:
    """Compute at which share of the sentences that start in a run as many tokens are steered as its gate was open at.

    Args:
        records: Of the run.
        ends_sentence: Tokens of the base that end a sentence.
        through: How long steering goes on from a start; None: its first token alone.

    Returns:
        At most 1: all sentences, from the start on, are the most that can be steered. 0 for no records.
    """
    lasting = 1 if through is None else through.n_tokens
    n_most = 0  # tokens steered if each start were
    for record in records:
        place = 0  # in the sentence
        for has_ended in ends_sentence[list(record.tokens)].tolist():
            n_most += place < lasting
            place = 0 if has_ended else place + 1
    return min(sum(record.n_gated for record in records) / max(n_most, 1), 1.0)


def _boundaries(context: ArmContext) -> Plan:
    return replace(hybrid_plan(context), gate=sentence_start(context.components.sentence_ends))


def _random_boundaries(context: ArmContext) -> Plan:
    ends = context.components.sentence_ends
    rate = boundary_rate(context.hybrid_records, ends, context.through)
    return replace(hybrid_plan(context), gate=both(sentence_start(ends), positions(rate, context.seed)))


BOUNDARY_ARMS = (
    Arm(  # no thinking model runs
        name="boundaries",
        about="the hybrid's vectors wherever a sentence starts",
        role="control",
        by_default=True,
        plan=_boundaries,
    ),
    Arm(
        name="random-boundaries",
        about="the hybrid's vectors where sentences start, at random, as many",
        role="control",
        plan=_random_boundaries,
    ),
)
