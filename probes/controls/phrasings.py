"""Find the phrasing of each span of a behaviour, for probes that are trained without one of them.

The phrasing of a span is the first tell-tale word of its behaviour in it ("wait", "actually"), or the lack of one. For
a label without a list of such words it is the span's first word. A probe that is trained without one phrasing and still
detects it has learnt more than words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ...activations import Example
from ...traces.markers import MARKERS, first_marker

UNMARKED = "(no tell-tale word)"
MIN_SPANS = 5
MAX_PHRASINGS = 6


def phrasings(
    examples: Sequence[Example], behaviour: str, positive: Bool[np.ndarray, " n_examples"]
) -> dict[str, Bool[np.ndarray, " n_examples"]]:
    """Find the commonest phrasings of a behaviour, and mark the spans with each.

    Phrasings with fewer than five spans, or that leave fewer than five others to train on, are left out.
    """
    phrasing_of = np.array(
        [_phrasing(example.text, behaviour) if shows else "" for example, shows in zip(examples, positive, strict=True)]
    )
    common = Counter(phrasing_of[positive].tolist()).most_common(MAX_PHRASINGS)
    n_positive = int(positive.sum())
    return {
        phrasing: positive & (phrasing_of == phrasing)
        for phrasing, count in common
        if count >= MIN_SPANS and n_positive - count >= MIN_SPANS
    }


def _phrasing(text: str, behaviour: str) -> str:
    if behaviour in MARKERS:
        return first_marker(text, behaviour) or UNMARKED
    words = text.split()
    return words[0].strip(".,;:!?").casefold() if words else UNMARKED
