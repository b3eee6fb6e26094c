"""Select example sentences by score: found, missed and mistaken at every layer, by probes not trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activations import Activations
from ..probes import ProbeSweep

N_SHOWN = 3  # sentences of each kind
N_CHARACTERS = 400  # of a sentence
FOUND, MISSED, MISTAKEN = "found, highest score", "missed, lowest score", "false alarms, highest score of others"

# `spans`: `text`, `label`, `trace`, `marked` (holds a tell-tale word; None: not known) of each span that is shown, and
# `cells`: behaviour -> layer, as text -> kind -> pairs of a place in `spans` and a score.
Sentences = dict[str, Any]


def telling_sentences(sweep: ProbeSweep, activations: Activations) -> Sentences:
    """Select sentences of every behaviour and layer by their out-of-fold score.

    Args:
        sweep: Probes with their out-of-fold scores.
        activations: The activations that the probes were fitted on.

    Returns:
        The sentences, each once, and which are shown where. Those that are found come without a tell-tale word first.
    """
    places: dict[int, int] = {}
    cells: dict[str, Any] = {}
    for index, behaviour in enumerate(sweep.behaviours):
        shows = np.asarray(activations.shows(behaviour), dtype=bool)
        marked = np.array([example.marked is not False for example in activations.examples])
        cells[behaviour] = {}
        for slot, layer in enumerate(sweep.layers):
            scores = sweep.scores[index, slot]
            order = np.argsort(-scores, kind="stable")
            own = order[shows[order]]
            chosen = {
                FOUND: sorted(own, key=lambda place: bool(marked[place])),
                MISSED: own[::-1],
                MISTAKEN: order[~shows[order]],
            }
            cells[behaviour][str(layer)] = {
                kind: [
                    [places.setdefault(int(place), len(places)), round(float(scores[place]), 3)]
                    for place in rows[:N_SHOWN]
                ]
                for kind, rows in chosen.items()
            }
    examples = [activations.examples[place] for place in places]
    return {
        "spans": [
            {
                "text": one.text if len(one.text) <= N_CHARACTERS else one.text[:N_CHARACTERS] + "…",
                "label": one.label,
                "trace": one.trace,
                "marked": one.marked,
            }
            for one in examples
        ],
        "cells": cells,
    }
