"""Arms that write the behaviour's wordings where the hybrid adds a vector: would its words alone do?

Wordings are found in the thinking model's rollouts (`wordings.py`), begin where the hybrid's gate opens as a sentence
starts, and are of the behaviour that the hybrid would steer towards. Forced are their first token, two, or all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ._decode import Plan
from .arm import Arm, ArmContext, hybrid_plan
from .gate import both, sentence_start
from .wordings import first_tokens


def _phrase(n_tokens: int | None) -> Callable[[ArmContext], Plan]:
    """Write the first tokens of wordings, or all of them, where the hybrid's gate opens as a sentence starts."""

    def plan(context: ArmContext) -> Plan:
        of_behaviours = context.components.wordings
        assert of_behaviours is not None
        return replace(
            hybrid_plan(context),
            act="force",
            gate=both(context.gate, sentence_start(context.components.sentence_ends)),
            wordings=of_behaviours if n_tokens is None else first_tokens(of_behaviours, n_tokens),
            strength=None,
            through=None,  # a wording ends by itself
        )

    return plan


PHRASE_ARMS = (
    Arm(
        name="phrase-1",
        about="the first token of a wording of the behaviour, where the models differ as a sentence starts, no vector",
        role="control",
        needs=frozenset({"thinking model", "wordings"}),
        plan=_phrase(1),
    ),
    Arm(
        name="phrase-2",
        about="likewise, the first two tokens",
        role="control",
        needs=frozenset({"thinking model", "wordings"}),
        plan=_phrase(2),
    ),
    Arm(
        name="phrase-whole",
        about="likewise, a whole wording, up to the word that identifies the behaviour",
        role="control",
        needs=frozenset({"thinking model", "wordings"}),
        by_default=True,
        plan=_phrase(None),
    ),
)
