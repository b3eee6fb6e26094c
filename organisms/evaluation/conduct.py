"""What a model does and what it can, along its own responses: shares of rows of the table of sentences.

Each figure is a ratio over problems: sentences of one response are alike, and a long response counts for more.

- `step_accuracy`: share of the sentences of a kind whose every word after the opening is right.
- `behaviour_rates`: share of all sentences that show a behaviour.
- `decisions`: in each state, the share of each move (with `end` and `nonsense`: how responses break off there).
- `way_decisions`: in each context of a plan, how often its way is hue (the first plan), or the last way (later ones).
- `off_grammar`: share of sentences that are none of the language, split by what fails, the opening or what follows it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool

from ...stats import Interval, ratio_over_groups
from ..language import BEHAVIOUR, MOVES
from ..machine import STATES
from .sentences import KINDS

Figures = dict[str, Interval]


def step_accuracy(sentences: pd.DataFrame) -> Figures:
    """Measure how often each kind of content is said rightly.

    Args:
        sentences: Table of `sentence_table`.

    Returns:
        Kind -> share of its sentences that are right; a kind that never comes is left out.
    """
    right = sentences["is_right"].to_numpy(dtype=bool)
    kinds = sentences["kind"].to_numpy()
    return _shares(sentences, {kind: (right & (kinds == kind), kinds == kind) for kind in KINDS})


def behaviour_rates(sentences: pd.DataFrame) -> Figures:
    """Measure how often each behaviour is shown.

    Args:
        sentences: Table of `sentence_table`.

    Returns:
        Behaviour -> share of all sentences.
    """
    moves = sentences["move"].to_numpy()
    is_sentence = moves != "end"
    return _shares(sentences, {BEHAVIOUR[move]: (moves == move, is_sentence) for move in MOVES})


def decisions(sentences: pd.DataFrame) -> dict[str, Figures]:
    """Measure the policy: what is decided in each state.

    Args:
        sentences: Table of `sentence_table`.

    Returns:
        State -> move -> share of the decisions there; states that never come and moves never made are left out.
    """
    states, moves = sentences["state"].to_numpy(), sentences["move"].to_numpy()
    return {
        state: _shares(
            sentences,
            {
                move: ((states == state) & (moves == move), states == state)
                for move in (*MOVES, "end", "nonsense")
                if ((states == state) & (moves == move)).any()
            },
        )
        for state in STATES
        if (states == state).any()
    }


def way_decisions(sentences: pd.DataFrame) -> Figures:
    """Measure how the way of a plan is chosen.

    Args:
        sentences: Table of `sentence_table`.

    Returns:
        Context -> share of its plans that take hue (`first`) or the way of the last plan (`next`, `again`).
    """
    contexts, keeps = sentences["context"].to_numpy(), sentences["keeps_way"].to_numpy(dtype=bool)
    return _shares(
        sentences,
        {context: (keeps & (contexts == context), contexts == context) for context in ("first", "next", "again")},
    )


def off_grammar(sentences: pd.DataFrame) -> Figures:
    """Measure how often a sentence is none of the language.

    Args:
        sentences: Table of `sentence_table`.

    Returns:
        `opening` and `content`: share of all sentences that fail in their first two words, or after them.
    """
    moves, is_said = sentences["move"].to_numpy(), sentences["is_said"].to_numpy(dtype=bool)
    is_sentence, is_nonsense = moves != "end", moves == "nonsense"
    return _shares(
        sentences, {"opening": (is_nonsense, is_sentence), "content": (~is_said & ~is_nonsense, is_sentence)}
    )


def _shares(
    sentences: pd.DataFrame, parts: Mapping[str, tuple[Bool[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]]
) -> Figures:
    """Divide rows of a part by rows of all cases, over groups."""
    numbers, groups = pd.factorize(sentences["group"])
    figures: Figures = {}
    for name, (part, cases) in parts.items():
        if cases.any():
            above, below = (np.bincount(numbers, rows, len(groups)) for rows in (part, cases))
            has_any = below > 0  # a problem that never comes there says nothing
            figures[name] = ratio_over_groups(above[has_any], below[has_any])
    return figures
