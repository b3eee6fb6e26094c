"""Select example sentences by their scores: recognised, missed and mistaken, from probes not trained on them."""

from __future__ import annotations

import numpy as np

from ..activations import Activations, Example
from ..probes import ProbeSweep

N_SHOWN = 3  # sentences of each kind

# Behaviour -> kind -> sentences: `text`, `label`, `trace`.
Sentences = dict[str, dict[str, list[dict[str, str]]]]


def telling_sentences(sweep: ProbeSweep, activations: Activations) -> Sentences:
    """Select sentences of every behaviour by their out-of-fold score at its best layer.

    Args:
        sweep: Probes with their out-of-fold scores.
        activations: The activations that the probes were fitted on.

    Returns:
        Behaviour -> kind -> sentences.
    """
    return {
        name: {
            kind: [{"text": example.text, "label": example.label, "trace": example.trace} for example in examples]
            for kind, examples in _chosen(index, name, sweep, activations).items()
        }
        for index, name in enumerate(sweep.behaviours)
    }


def _chosen(index: int, behaviour: str, sweep: ProbeSweep, activations: Activations) -> dict[str, list[Example]]:
    scores = sweep.scores[index, sweep.behaviours[behaviour].best]
    shows = activations.shows(behaviour)
    order = np.argsort(-scores)
    unmarked = [place for place in order if shows[place] and activations.examples[place].marked is False]
    chosen = {
        "found, without a tell-tale word": unmarked[:N_SHOWN],
        "missed": [place for place in order[::-1] if shows[place]][:N_SHOWN],
        "false alarms": [place for place in order if not shows[place]][:N_SHOWN],
    }
    return {kind: [activations.examples[place] for place in places] for kind, places in chosen.items()}
