"""From the scores of a sweep to the figures of each behaviour, with intervals and controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ..activations import Activations
from ..stats import (
    Interval,
    corrected_p_values,
    mean_and_range,
    simultaneous_band,
)
from ..traces import is_marked
from .behaviour_sweep import BehaviourSweep
from .controls.baselines import position_scores, text_scores
from .layer_fit import Core, LayerFit
from .metrics import (
    auroc,
    auroc_draws,
    auroc_given_probes,
    cohens_d,
    concordance,
    worth,
)
from .metrics._concordance import FoldPairs, Matrix
from .nested import nested
from .protocol import Held, Protocol


class Measures:
    """From scores to figures with intervals, one behaviour at a time."""

    def __init__(
        self,
        activations: Activations,
        protocol: Protocol,
        fits: Sequence[LayerFit],
        embedded: Core | None,
        problems: Int[np.ndarray, " n_examples"],
        counts: Matrix,
        seed: int,
    ) -> None:
        self._activations, self._protocol, self._fits = activations, protocol, fits
        self._problems, self._counts = problems, counts
        self._reported = [fit.core.reported(protocol.folds) for fit in fits]
        self._text = text_scores(activations.examples, protocol.shows, protocol.folds)
        self._position = position_scores(activations.examples, protocol.shows, protocol.folds, seed)
        self._embeddings = embedded

    def of(self, index: int, behaviour: str) -> BehaviourSweep:
        fits, protocol, counts = self._fits, self._protocol, self._counts
        positive = protocol.shows[index]
        unmarked = _unmarked(self._activations, behaviour, positive)
        pairs = [self._pairs(scores[index], positive) for scores in self._reported]
        draws = np.stack([auroc_draws(layer, counts) for layer in pairs])
        values = np.array([auroc(layer) for layer in pairs])
        own = [(number, held) for number, held in enumerate(protocol.held) if held.behaviour == index]
        new = [{held.phrasing: self._held(fit, number, held) for number, held in own} for fit in fits]
        embedded = self._embeddings
        permuted = np.stack([fit.permuted[index] for fit in fits])
        return BehaviourSweep(
            auroc=[auroc_given_probes(layer, counts) for layer in pairs],
            auroc_band=simultaneous_band(values, draws, counts.shape[1], bounds=(0.0, 1.0)),
            p_value=corrected_p_values(np.array([fit.ridge[index] for fit in fits]), permuted).tolist(),
            worth=[self._worth(scores[index], positive) for scores in self._reported],
            nested=nested(
                [fit.core for fit in fits],
                index,
                positive,
                self._problems,
                protocol.folds,
                counts,
                layers=self._activations.layers,
                penalties=protocol.penalties,
                are_log_odds=protocol.method.gives_log_odds,
            ),
            auroc_unmarked=[self._auroc(scores[index], positive, unmarked) for scores in self._reported],
            auroc_shuffled=[mean_and_range(fit.shuffled[index]) for fit in fits],
            auroc_naive_split=[
                auroc_given_probes(
                    concordance(fit.naive[index], positive, self._problems, protocol.naive_folds), counts
                )
                for fit in fits
            ],
            auroc_new_phrasing=[
                auroc_given_probes([fold for found in layer.values() for fold in found], counts) for layer in new
            ],
            phrasings={
                held.phrasing: (
                    int(held.spans.sum()),
                    [auroc_given_probes(layer[held.phrasing], counts) for layer in new],
                )
                for _, held in own
            },
            auroc_text=self._auroc(self._text[index], positive),
            auroc_position=self._auroc(self._position[index], positive),
            auroc_keyword=self._keyword(behaviour, positive),
            auroc_embeddings=Interval(float("nan"))
            if embedded is None
            else self._auroc(embedded.reported(protocol.folds)[index], positive),
            effect_size=[cohens_d(fit.projections[index], positive, self._problems, counts) for fit in fits],
            penalty=[protocol.penalties[fit.core.best_penalty[index]] for fit in fits],
            n_positive=int(positive.sum()),
            n_negative=int((~positive).sum()),
            n_unmarked=int((positive & unmarked).sum()),
            n_problems=len(np.unique(self._problems[positive])),
        )

    def _pairs(
        self,
        scores: np.ndarray[Any, Any],
        positive: Bool[np.ndarray, " n_examples"],
        kept: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> list[FoldPairs]:
        return concordance(scores, positive, self._problems, self._protocol.folds, kept)

    def _auroc(
        self,
        scores: np.ndarray[Any, Any],
        positive: Bool[np.ndarray, " n_examples"],
        kept: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> Interval:
        return auroc_given_probes(self._pairs(scores, positive, kept), self._counts)

    def _worth(self, scores: np.ndarray[Any, Any], positive: Bool[np.ndarray, " n_examples"]) -> Any:
        return worth(
            scores,
            positive,
            self._problems,
            self._protocol.folds,
            self._counts,
            are_log_odds=self._protocol.method.gives_log_odds,
        )

    def _held(self, fit: LayerFit, number: int, held: Held) -> list[FoldPairs]:
        """Spans of a phrasing that was left out of training, against all that do not show the behaviour."""
        return self._pairs(fit.held[number], held.spans, held.spans | ~self._protocol.shows[held.behaviour])

    def _keyword(self, behaviour: str, positive: Bool[np.ndarray, " n_examples"]) -> Interval:
        """Of "holds a tell-tale word" as the only cue; NaN for a behaviour without a list of such words."""
        marked = [is_marked(example.text, behaviour) for example in self._activations.examples]
        return Interval(float("nan")) if None in marked else self._auroc(np.array(marked, dtype=float), positive)


def _unmarked(
    activations: Activations, behaviour: str, positive: Bool[np.ndarray, " n_examples"]
) -> Bool[np.ndarray, " n_examples"]:
    """Examples without a tell-tale word of `behaviour`: the spans' own word for it, the list's for all others."""
    return np.array(
        [
            (example.marked if shows else is_marked(example.text, behaviour) or False) is False
            for example, shows in zip(activations.examples, positive, strict=True)
        ]
    )
