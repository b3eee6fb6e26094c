"""Compute the figures of each behaviour from the scores of a sweep, with intervals and controls."""

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
    secondary_metrics,
)
from .metrics._concordance import FoldPairs, Matrix
from .nested import nested
from .protocol import HeldOutPhrasing, Protocol


class Measures:
    """The figures of a sweep, computed one behaviour at a time."""

    def __init__(
        self,
        activations: Activations,
        protocol: Protocol,
        fits: Sequence[LayerFit],
        embedding_fit: Core | None,
        problems: Int[np.ndarray, " n_examples"],
        counts: Matrix,
        seed: int,
    ) -> None:
        self._activations, self._protocol, self._fits = activations, protocol, fits
        self._problems, self._counts = problems, counts
        self._reported = [fit.core.reported(protocol.folds) for fit in fits]
        self._text = text_scores(activations.examples, protocol.shows, protocol.folds)
        self._position = position_scores(activations.examples, protocol.shows, protocol.folds, seed)
        self._embedding_fit = embedding_fit

    def behaviour_sweep(self, index: int, behaviour: str) -> BehaviourSweep:
        """Compute all figures of one behaviour, the `index`-th of the protocol."""
        fits, protocol, counts = self._fits, self._protocol, self._counts
        positive = protocol.shows[index]
        unmarked = _unmarked(self._activations, behaviour, positive)
        pairs = [self._pairs(scores[index], positive) for scores in self._reported]
        draws = np.stack([auroc_draws(layer, counts) for layer in pairs])
        values = np.array([auroc(layer) for layer in pairs])
        held_out = [
            (number, phrasing) for number, phrasing in enumerate(protocol.held_out) if phrasing.behaviour == index
        ]
        phrasing_pairs = [
            {phrasing.phrasing: self._phrasing_pairs(fit, number, phrasing) for number, phrasing in held_out}
            for fit in fits
        ]
        embedding_fit = self._embedding_fit
        permuted = np.stack([fit.permuted[index] for fit in fits])
        return BehaviourSweep(
            auroc=[auroc_given_probes(layer, counts) for layer in pairs],
            auroc_band=simultaneous_band(values, draws, counts.shape[1], bounds=(0.0, 1.0)),
            p_value=corrected_p_values(np.array([fit.ridge[index] for fit in fits]), permuted).tolist(),
            metrics=[self._metrics(scores[index], positive) for scores in self._reported],
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
                auroc_given_probes([fold for folds in layer.values() for fold in folds], counts)
                for layer in phrasing_pairs
            ],
            phrasings={
                phrasing.phrasing: (
                    int(phrasing.spans.sum()),
                    [auroc_given_probes(layer[phrasing.phrasing], counts) for layer in phrasing_pairs],
                )
                for _, phrasing in held_out
            },
            auroc_text=self._auroc(self._text[index], positive),
            auroc_position=self._auroc(self._position[index], positive),
            auroc_keyword=self._keyword(behaviour, positive),
            auroc_embeddings=Interval(float("nan"))
            if embedding_fit is None
            else self._auroc(embedding_fit.reported(protocol.folds)[index], positive),
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
        included: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> list[FoldPairs]:
        return concordance(scores, positive, self._problems, self._protocol.folds, included)

    def _auroc(
        self,
        scores: np.ndarray[Any, Any],
        positive: Bool[np.ndarray, " n_examples"],
        included: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> Interval:
        return auroc_given_probes(self._pairs(scores, positive, included), self._counts)

    def _metrics(self, scores: np.ndarray[Any, Any], positive: Bool[np.ndarray, " n_examples"]) -> Any:
        return secondary_metrics(
            scores,
            positive,
            self._problems,
            self._protocol.folds,
            self._counts,
            are_log_odds=self._protocol.method.gives_log_odds,
        )

    def _phrasing_pairs(self, fit: LayerFit, number: int, phrasing: HeldOutPhrasing) -> list[FoldPairs]:
        """Compare spans of a phrasing that was left out of training with all that do not show the behaviour."""
        included = phrasing.spans | ~self._protocol.shows[phrasing.behaviour]
        return self._pairs(fit.held_out[number], phrasing.spans, included)

    def _keyword(self, behaviour: str, positive: Bool[np.ndarray, " n_examples"]) -> Interval:
        """Compute the AUROC of "holds a tell-tale word"; NaN for a behaviour without a list of such words."""
        marked = [is_marked(example.text, behaviour) for example in self._activations.examples]
        return Interval(float("nan")) if None in marked else self._auroc(np.array(marked, dtype=float), positive)


def _unmarked(
    activations: Activations, behaviour: str, positive: Bool[np.ndarray, " n_examples"]
) -> Bool[np.ndarray, " n_examples"]:
    """Mark examples without a tell-tale word: by the trace's mark for positives, by the list of words for others."""
    return np.array(
        [
            (example.marked if is_positive else is_marked(example.text, behaviour) or False) is False
            for example, is_positive in zip(activations.examples, positive, strict=True)
        ]
    )
