"""Compute the figures of each behaviour from the scores of a sweep, with intervals and controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from ..activations import Activations
from ..stats import LEVEL, Interval, corrected_p_values, maximum_quantile, mean_and_range
from ..traces import is_marked
from .behaviour_sweep import BehaviourSweep
from .comparison import Comparison
from .controls.baseline_scores import fit_baselines
from .controls.known_text import is_inside
from .controls.matched import matched_spans
from .core import Core, changes_over
from .layer_fit import LayerFit, design_of, fit_core
from .metrics import (
    ONE_LAYER,
    CrossValidated,
    SecondaryMetrics,
    auroc,
    auroc_draws,
    auroc_given_probes,
    cohens_d,
    concordance,
    secondary_metrics,
    widened,
)
from .metrics._concordance import FoldPairs, Matrix, concordance_by_layer
from .nested import choose, nested
from .protocol import HeldOutPhrasing, Protocol


class Measures:
    """The figures of a sweep, computed one behaviour at a time."""

    def __init__(
        self,
        activations: Activations,
        behaviours: Sequence[str],
        protocol: Protocol,
        fits: Sequence[LayerFit],
        baselines: Mapping[str, Core],
        problems: Int[np.ndarray, " n_examples"],
        counts: Matrix,
    ) -> None:
        self._activations, self._behaviours = activations, behaviours
        self._protocol, self._fits = protocol, fits
        self._problems, self._counts = problems, counts
        self._reported = [fit.core.reported(protocol.folds) for fit in fits]
        self._baselines = baselines

    def behaviour_sweep(self, index: int) -> BehaviourSweep:
        """Compute all figures of the `index`-th behaviour of the protocol."""
        behaviour = self._behaviours[index]
        fits, protocol, counts = self._fits, self._protocol, self._counts
        positive = protocol.shows[index]
        unmarked = _unmarked(self._activations, behaviour, positive)
        by_layer = [
            self._cross_validated(fit.core.reported(protocol.folds)[index], positive, fit.core.changes(index))
            for fit in fits
        ]
        quantile = maximum_quantile(
            np.array([layer.value for layer in by_layer]), np.stack([layer.draws for layer in by_layer])
        )
        scores, choices = choose([fit.core for fit in fits], index, protocol.folds)
        held_out = [
            (number, phrasing) for number, phrasing in enumerate(protocol.held_out) if phrasing.behaviour == index
        ]
        pairs_of = [self._new_phrasing_pairs(number, phrasing) for number, phrasing in held_out]
        at_best = self._cross_validated(scores, positive, changes_over([fit.core for fit in fits], index))
        permuted = np.stack([fit.permuted[index] for fit in fits])
        return BehaviourSweep(
            auroc=[layer.interval() for layer in by_layer],
            auroc_band=[layer.band(quantile / ONE_LAYER) for layer in by_layer],
            p_value=corrected_p_values(np.array([fit.ridge[index] for fit in fits]), permuted).tolist(),
            metrics=[
                self._metrics(scores[index], positive, layer.widening)
                for scores, layer in zip(self._reported, by_layer, strict=True)
            ],
            nested=nested(
                at_best,
                scores,
                choices,
                positive,
                self._problems,
                protocol.folds,
                counts,
                layers=self._activations.layers,
                penalties=protocol.penalties,
                are_log_odds=protocol.method.gives_log_odds,
            ),
            auroc_unmarked=[
                self._cross_validated(scores[index], positive, included=unmarked).widened_as(layer)
                for scores, layer in zip(self._reported, by_layer, strict=True)
            ],
            auroc_shuffled=[mean_and_range(fit.shuffled[index]) for fit in fits],
            auroc_naive_split=[
                auroc_given_probes(
                    concordance(fit.naive[index], positive, self._problems, protocol.naive_folds), counts
                )
                for fit in fits
            ],
            auroc_new_phrasing=self._new_phrasings([phrasing for _, phrasing in held_out], pairs_of, by_layer),
            phrasings={
                phrasing.phrasing: (
                    int(phrasing.spans.sum()),
                    self._new_phrasings([phrasing], [pairs], by_layer),
                )
                for (_, phrasing), pairs in zip(held_out, pairs_of, strict=True)
            },
            auroc_keyword=self._keyword(behaviour, positive),
            comparison=self._comparison(index, positive, at_best, by_layer, scores),
            effect_size=[
                cohens_d(fit.projections[index], positive, self._problems, counts, layer.widening)
                for fit, layer in zip(fits, by_layer, strict=True)
            ],
            penalty=[protocol.penalties[fit.core.best_penalty[index]] for fit in fits],
            n_positive=int(positive.sum()),
            n_negative=int((~positive).sum()),
            n_unmarked=int((positive & unmarked).sum()),
            n_problems=len(np.unique(self._problems[positive])),
        )

    def _comparison(
        self,
        index: int,
        positive: Bool[np.ndarray, " n_examples"],
        at_best: CrossValidated,
        by_layer: Sequence[CrossValidated],
        scores: Float[np.ndarray, " n_examples"],
    ) -> Comparison:
        """Compare the probe of layers chosen on inner folds (its scores) and that of each layer with the baselines."""
        baselines = {
            name: self._cross_validated(core.reported(self._protocol.folds)[index], positive, core.changes(index))
            for name, core in self._baselines.items()
        }
        name = max(baselines, key=lambda baseline: baselines[baseline].value)
        strongest = baselines[name]
        n_behaviours = len(self._protocol.shows)
        pairs = matched_spans(self._activations.examples, self._activations.read, positive, self._protocol.folds)
        return Comparison(
            aurocs={baseline: auroc.interval() for baseline, auroc in baselines.items()},
            name=name,
            strongest=strongest.interval(),
            excess=replace(at_best.minus(strongest), low=lowest_end(at_best, baselines.values(), LEVEL)),
            corrected_low=lowest_end(at_best, baselines.values(), 1 - (1 - LEVEL) / n_behaviours),  # Bonferroni
            n_behaviours=n_behaviours,
            excess_by_layer=[layer.minus(strongest) for layer in by_layer],
            matched=self._cross_validated(scores, positive, included=pairs.mask).widened_as(at_best),
            n_matched=pairs.n,
        )

    def _cross_validated(
        self,
        scores: Float[np.ndarray, " n_examples"],
        positive: Bool[np.ndarray, " n_examples"],
        changes: Float[np.ndarray, " n_folds"] | None = None,
        included: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> CrossValidated:
        return CrossValidated.of(
            scores, positive, self._problems, self._protocol.folds, self._counts, changes, included
        )

    def _metrics(
        self, scores: Float[np.ndarray, " n_examples"], positive: Bool[np.ndarray, " n_examples"], widening: float
    ) -> SecondaryMetrics:
        return secondary_metrics(
            scores,
            positive,
            self._problems,
            self._protocol.folds,
            self._counts,
            are_log_odds=self._protocol.method.gives_log_odds,
            widening=widening,
        )

    def _new_phrasing_pairs(self, number: int, phrasing: HeldOutPhrasing) -> list[list[FoldPairs]]:
        """Count pairs of spans of a phrasing left out of training and spans without the behaviour, by layer."""
        included = phrasing.spans | ~self._protocol.shows[phrasing.behaviour]
        scores = np.stack([fit.held_out[number] for fit in self._fits])
        return concordance_by_layer(scores, phrasing.spans, self._problems, self._protocol.folds, included)

    def _new_phrasings(
        self,
        phrasings: Sequence[HeldOutPhrasing],
        pairs_of: Sequence[Sequence[list[FoldPairs]]],
        by_layer: Sequence[CrossValidated],
    ) -> list[Interval]:
        """Estimate at each layer the AUROC of phrasings that were left out of training, from the pairs of each."""
        spans = np.zeros(len(self._problems), dtype=bool)
        for phrasing in phrasings:
            spans |= phrasing.spans
        n_problems = len(np.unique(self._problems[spans]))
        intervals = []
        for number, trained in enumerate(by_layer):
            pairs = [fold_pairs for of_phrasing in pairs_of for fold_pairs in of_phrasing[number]]
            n = min(n_problems, trained.n)
            intervals.append(widened(auroc(pairs), auroc_draws(pairs, self._counts), trained.widening, n))
        return intervals

    def _keyword(self, behaviour: str, positive: Bool[np.ndarray, " n_examples"]) -> Interval:
        """Compute the AUROC of "holds a tell-tale word"; NaN for a behaviour without a list of such words."""
        marked = [is_marked(example.text, behaviour) for example in self._activations.examples]
        if None in marked or not is_inside(self._activations.read):
            return Interval(float("nan"))
        return self._cross_validated(np.array(marked, dtype=float), positive).interval()


def lowest_end(probe: CrossValidated, baselines: Iterable[CrossValidated], level: float) -> float:
    """Compute the lowest lower end of a probe's excess over each baseline, at a level; NaN without intervals."""
    return min(probe.minus(baseline, level).low for baseline in baselines)


def baseline_cores(activations: Activations, protocol: Protocol, seed: int) -> dict[str, Core]:
    """Fit the baselines in the folds of the probes, each as the cross-validation of a layer is held."""
    embeddings = activations.embeddings
    rows = None if embeddings is None else embeddings.numpy()
    cores = fit_baselines(activations.examples, activations.read, protocol.shows, protocol.folds, rows, seed)
    return cores if embeddings is None else {"embeddings": fit_core(design_of(embeddings, protocol), protocol)} | cores


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
