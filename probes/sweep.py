"""One probe for every behaviour and layer, cross-validated with problems as groups, with its controls.

1. Split the problems into folds, the same for every layer and behaviour.
2. At each layer and fold: standardise on the training folds, fit each behaviour against all other spans, score the
   test fold; the same several times with the labels shuffled over the spans (the control, which must be at chance).
3. AUROC and effect size out of fold, with a bootstrap over problems (`concordance.py`, `effect_size.py`); AUROC again
   on the spans that hold no tell-tale word of the behaviour, and of the tell-tale words alone.
4. What the words of a span, and its place in the response, tell without any model (`baselines.py`).
5. The layer that is best on the same folds it is reported on is chosen a little too well. So each behaviour also gets
   the AUROC of a layer chosen, for every fold, on the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from joblib import Parallel, cpu_count, delayed
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..activations import Activations
from ..models import InputError
from ..traces import is_marked
from .baselines import position_scores, text_scores
from .concordance import Estimate, FoldPairs, Matrix, auroc, auroc_interval, concordance, resamples
from .effect_size import cohens_d, held_out_projections
from .folds import grouped_folds
from .logistic import C, fit_logistic, unstandardised
from .result import BehaviourSweep, ProbeSweep


@dataclass(frozen=True, eq=False, slots=True)
class _LayerFit:
    """Out-of-fold scores at one layer, and the probes fitted on everything."""

    scores: Float[np.ndarray, "n_behaviours n_examples"]
    shuffled_scores: Float[np.ndarray, "n_shuffles n_behaviours n_examples"]
    projections: Float[np.ndarray, "n_behaviours n_examples"]
    weights: Float[np.ndarray, "n_behaviours d_model"]
    biases: Float[np.ndarray, " n_behaviours"]


def sweep(
    activations: Activations,
    *,
    behaviours: Sequence[str] | None = None,
    n_folds: int = 5,
    n_bootstrap: int = 1000,
    n_shuffles: int = 5,
    penalty: float = C,
    seed: int = 0,
    progress: bool = True,
) -> ProbeSweep:
    """Probes for `behaviours` (default: every label) at all layers of `activations`.

    A behaviour's negatives are all other labelled spans. penalty: scikit-learn's C. n_shuffles: how many times the
    control is repeated; one alone is noisy. seed: of folds, shuffling and bootstrap. Raises InputError when a
    behaviour has fewer spans or problems than folds, or does not occur.
    """
    chosen = tuple(activations.behaviours if behaviours is None else behaviours)
    shows = np.stack([activations.shows(behaviour) for behaviour in chosen])
    folds = grouped_folds(activations.labels, activations.problems, chosen, n_folds, seed)
    generator = np.random.default_rng(seed)
    shuffled = np.stack([_shuffled(shows, folds, generator) for _ in range(n_shuffles)])
    names, problems = np.unique(activations.problems, return_inverse=True)
    counts = resamples(len(names), n_bootstrap, seed)

    jobs = (
        delayed(_fit_layer)(activations.layer(layer).numpy(), shows, shuffled, folds, penalty)
        for layer in activations.layers
    )
    fits: list[_LayerFit] = list(
        tqdm(
            Parallel(n_jobs=min(cpu_count(), len(activations.layers)), return_as="generator")(jobs),
            desc="fitting probes",
            unit="layer",
            total=len(activations.layers),
            disable=not progress,
        )
    )
    from_text = text_scores(activations.examples, shows, folds)
    from_position = position_scores(activations.examples, shows, folds, seed)
    found = {}
    for index, behaviour in enumerate(chosen):
        positive = shows[index]
        unmarked = _unmarked(activations, behaviour, positive)
        pairs = [concordance(fit.scores[index], positive, problems, folds) for fit in fits]
        controls = [
            [
                auroc(concordance(fit.shuffled_scores[shuffle, index], shuffled[shuffle, index], problems, folds))
                for shuffle in range(n_shuffles)
            ]
            for fit in fits
        ]
        plain = [concordance(fit.scores[index], positive, problems, folds, unmarked) for fit in fits]
        found[behaviour] = BehaviourSweep(
            auroc=[auroc_interval(layer, counts) for layer in pairs],
            auroc_unmarked=[auroc_interval(layer, counts) for layer in plain],
            auroc_shuffled=[Estimate(float(np.mean(layer)), min(layer), max(layer)) for layer in controls],
            auroc_text=auroc_interval(concordance(from_text[index], positive, problems, folds), counts),
            auroc_position=auroc_interval(concordance(from_position[index], positive, problems, folds), counts),
            auroc_keyword=_keyword_auroc(activations, behaviour, positive, problems, folds, counts),
            auroc_held_out_layer=auroc_interval(_layer_chosen_elsewhere(pairs), counts),
            effect_size=[cohens_d(fit.projections[index], positive, problems, counts) for fit in fits],
            n_positive=int(positive.sum()),
            n_negative=int((~positive).sum()),
            n_unmarked=int((positive & unmarked).sum()),
            n_problems=len(np.unique(problems[positive])),
        )
    return ProbeSweep(
        behaviours=found,
        layers=activations.layers,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        n_shuffles=n_shuffles,
        n_problems=len(names),
        penalty=penalty,
        seed=seed,
        model=activations.model,
        read=str(activations.read),
        weights=np.stack([fit.weights for fit in fits], axis=1).astype(np.float32),
        biases=np.stack([fit.biases for fit in fits], axis=1).astype(np.float32),
        scores=np.stack([fit.scores for fit in fits], axis=1).astype(np.float32),
    )


def _fit_layer(
    acts: Float[np.ndarray, "n_examples d_model"],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    shuffled: Bool[np.ndarray, "n_shuffles n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    penalty: float,
) -> _LayerFit:
    acts = acts.astype(np.float64)
    scores, shuffled_scores = np.empty(shows.shape), np.empty(shuffled.shape)
    with threadpool_limits(1):  # one process per core already
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            scaler = StandardScaler().fit(acts[train])
            seen, unseen = scaler.transform(acts[train]), scaler.transform(acts[test])
            for labels, out in [(shows, scores), *zip(shuffled, shuffled_scores, strict=True)]:
                for index, positive in enumerate(labels):
                    probe = fit_logistic(seen, positive[train], penalty)
                    out[index, test] = unseen @ probe.weight + probe.bias
        scaler = StandardScaler().fit(acts)
        everything = scaler.transform(acts)
        final = [unstandardised(fit_logistic(everything, positive, penalty), scaler) for positive in shows]
        projections = np.stack([held_out_projections(acts, positive, folds) for positive in shows])
    return _LayerFit(
        scores=scores,
        shuffled_scores=shuffled_scores,
        projections=projections,
        weights=np.stack([probe.weight for probe in final]),
        biases=np.array([probe.bias for probe in final]),
    )


def _shuffled(
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    generator: np.random.Generator,
    n_tries: int = 1000,
) -> Bool[np.ndarray, "n_behaviours n_examples"]:
    """The labels in another order of the examples, such that a probe can still be trained for every fold."""
    for _ in range(n_tries):
        candidate = shows[:, generator.permutation(len(folds))]
        parts = [candidate[:, folds != fold] for fold in np.unique(folds)]
        if all(part.any(axis=1).all() and not part.all(axis=1).any() for part in parts):
            return candidate
    raise InputError("a behaviour is too rare for a control of shuffled labels; leave it out (--behaviours)")


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


def _keyword_auroc(
    activations: Activations,
    behaviour: str,
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    counts: Matrix,
) -> Estimate:
    """The AUROC of "holds a tell-tale word" as the only cue; NaN for a behaviour without a list of such words."""
    marked = [is_marked(example.text, behaviour) for example in activations.examples]
    if None in marked:
        return Estimate(float("nan"))
    return auroc_interval(concordance(np.array(marked, dtype=np.float64), positive, problems, folds), counts)


def _layer_chosen_elsewhere(layers: list[list[FoldPairs]]) -> list[FoldPairs]:
    """For each fold, its pairs at the layer that is best on all other folds."""
    n_folds = len(layers[0])

    def best_without(fold: int) -> int:
        rest = [auroc([pairs for other, pairs in enumerate(layer) if other != fold]) for layer in layers]
        if np.isnan(rest).all():
            raise InputError("no fold holds both a behaviour and its absence; ask for fewer folds (--folds)")
        return int(np.nanargmax(rest))

    return [layers[best_without(fold)][fold] for fold in range(n_folds)]
