"""Which wording gives each span of a behaviour away: what "leave one phrasing out" leaves out.

The phrasing of a span is the tell-tale word of its behaviour that stands first in it ("wait", "actually"), or that it
holds none; for a label without a list of such words, the span's first word. A probe that is trained without one
phrasing and still finds it has learnt more than words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ...activations import Example
from ...traces.markers import MARKERS, first_marker

UNMARKED = "(no tell-tale word)"
FEWEST_SPANS = 5
MOST_PHRASINGS = 6


def phrasings(
    examples: Sequence[Example], behaviour: str, positive: Bool[np.ndarray, " n_examples"]
) -> dict[str, Bool[np.ndarray, " n_examples"]]:
    """The commonest phrasings of a behaviour, and which of its spans have each.

    None with fewer than five spans, none that leaves fewer than five of others to train on.
    """
    of_example = np.array(
        [_phrasing(example.text, behaviour) if up else "" for example, up in zip(examples, positive, strict=True)]
    )
    common = Counter(of_example[positive].tolist()).most_common(MOST_PHRASINGS)
    n_positive = int(positive.sum())
    return {
        phrasing: positive & (of_example == phrasing)
        for phrasing, count in common
        if count >= FEWEST_SPANS and n_positive - count >= FEWEST_SPANS
    }


def _phrasing(text: str, behaviour: str) -> str:
    if behaviour in MARKERS:
        return first_marker(text, behaviour) or UNMARKED
    words = text.split()
    return words[0].strip(".,;:!?").casefold() if words else UNMARKED
