"""Test whether tell-tale words alone make a probe or a direction fire: they are put before plain sentences.

1. Plain sentences of the traces, with all that stands before them (`injected_texts.py`).
2. Before each stands an opener of the behaviour ("Wait,") or a neutral one ("Here,"), and the model reads it, up to the
   last layer that is looked at. The same sentences as they stand in the traces have been read already.
3. Detectors (probe and mean difference, or directions by any method) are found without the sentence's problem, and fire
   where they score above all but 1% or 5% of the spans of its fold that do not show the behaviour. The read has the
   opener's tokens, or leaves them out.
4. An opener's effect is the share that fires with it minus the share of the same sentences that fires without any.
   Beside it stands the share of the behaviour's own spans that fires: a detector that finds few fires on little at all.

What fires on an opener that changes nothing is a detector of words. (Most features that are found by contrast are:
arXiv 2601.05679.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ..activations import Activations, collect
from ..models import LanguageModel
from ..probes.controls.injection_rate import InjectionRate
from ..probes.controls.known_text import begins_before, is_inside
from ..probes.estimators import LogisticProbe
from ..probes.folds import grouped_folds
from ..stats import Interval, mean_over_groups, ratio_difference_over_groups
from ..traces import Template, Trace
from .injected_texts import NEUTRAL, WITH, WITHOUT, choose_sentences, openers_of, with_opener

FALSE_POSITIVE_RATES = (0.01, 0.05)

Detectors: TypeAlias = dict[str, dict[str, Float[np.ndarray, " d_model"]]]  # behaviour -> detector -> its direction
# From training activations, at a layer.
FindDetectors: TypeAlias = Callable[[Activations, Sequence[str], int], Detectors]


def probe_and_difference(training: Activations, behaviours: Sequence[str], layer: int) -> Detectors:
    """Fit a probe and a mean difference for each behaviour.

    Args:
        training: Activations of labelled spans.
        behaviours: Labels.
        layer: 0-based block.

    Returns:
        Behaviour -> "probe" and "direction" -> its vector.
    """
    values = training.layer(layer).numpy().astype(np.float64)
    detectors: Detectors = {}
    for behaviour in behaviours:
        positive = training.shows(behaviour)
        difference = values[positive].mean(axis=0) - values[~positive].mean(axis=0)
        detectors[behaviour] = {"probe": LogisticProbe().fit(values, positive).direction_, "direction": difference}
    return detectors


def inject(
    model: LanguageModel,
    traces: Sequence[Trace],
    activations: Activations,
    layers: Mapping[str, int],
    *,
    find: FindDetectors = probe_and_difference,
    template: Template = "auto",
    truncate: bool = False,
    n_folds: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> list[InjectionRate]:
    """Count how often tell-tale words before plain sentences make detectors fire.

    Args:
        model: The model whose activations were collected.
        traces: The traces that they are of.
        activations: Activations of the traces' labelled spans; their read must be inside of spans.
        layers: Behaviour -> the 0-based block at which it is read.
        find: Finds the detectors without each fold.
        template: As the activations were collected.
        truncate: As the activations were collected.
        n_folds: Folds that cut no problem; 1: no span is for training, what `find` returns was found on others.
        seed: Of the folds and of the choice of sentences.
        progress: Show a progress bar over tokens.

    Returns:
        A rate for each behaviour, detector and opener, with the opener's tokens in the read and, unless the read begins
        before the span, without. A behaviour without a plain sentence has none. No rate where the read ends before the
        span: nothing of it is read.

    Raises:
        InputError: The model cannot read a text.
    """
    read = activations.read
    if not is_inside(read):
        return []
    # A read that begins before the sentence takes the opener's last tokens, wherever the span begins.
    variants = (True,) if begins_before(read) else (True, False)
    by_id = {trace.id: trace for trace in traces}
    texts: dict[str, Trace] = {}
    sentence_of: dict[tuple[str, str], dict[str, int]] = {}  # behaviour and opener -> text -> row of its plain sentence
    for behaviour in layers:
        sentences = choose_sentences(activations, behaviour, seed)
        for opener in (*openers_of(behaviour, activations), *NEUTRAL):
            for row in sentences:
                example = activations.examples[row]
                if example.trace in by_id:
                    text = with_opener(by_id[example.trace], example, opener)
                    texts[text.id] = text
                    sentence_of.setdefault((behaviour, opener), {})[text.id] = row
    if not texts:
        return []
    needed = sorted(set(layers.values()))
    injected = collect(
        model,
        list(texts.values()),
        layers=needed,
        read=read,
        sites=activations.site,
        template=template,
        truncate=truncate,
        progress=progress,
    )
    folds = np.zeros(len(activations.examples), dtype=np.int64)
    if n_folds > 1:
        folds = grouped_folds(activations.labels, activations.problems, list(layers), n_folds, seed)
    values = {layer: injected.layer(layer).numpy() for layer in needed}
    detectors = {
        layer: _Fitted(activations, [name for name in layers if layers[name] == layer], layer, folds, find)
        for layer in needed
    }
    rates: list[InjectionRate] = []
    for (behaviour, opener), rows_of in sentence_of.items():
        layer = layers[behaviour]
        for is_read in variants:
            rows = [
                index
                for index, example in enumerate(injected.examples)
                if example.trace in rows_of and example.label == (WITH if is_read else WITHOUT)
            ]
            plain = np.array([rows_of[injected.examples[index].trace] for index in rows], dtype=np.int64)
            if not rows:
                continue
            for detector, fires in detectors[layer].fires(behaviour, values[layer][rows], folds[plain]).items():
                on_spans = detectors[layer].on_spans[behaviour][detector]
                rates.append(
                    InjectionRate(
                        behaviour=behaviour,
                        layer=layer,
                        detector=detector,
                        opener=opener,
                        is_telltale=opener not in NEUTRAL,
                        is_read=is_read,
                        n=len(rows),
                        **_intervals(fires, on_spans, plain, activations.shows(behaviour), activations.problems),
                    )
                )
    return rates


class _Fitted:
    """Detectors of behaviours at one layer, found without each fold, with the scores above which they fire.

    Attributes:
        on_spans: Behaviour -> detector -> where it fires (at each false positive rate) on the spans, out of fold.
    """

    def __init__(
        self,
        activations: Activations,
        behaviours: Sequence[str],
        layer: int,
        folds: Int[np.ndarray, " n"],
        find: FindDetectors,
    ) -> None:
        values = activations.layer(layer).numpy().astype(np.float64)
        self.on_spans: dict[str, dict[str, Bool[np.ndarray, "2 n"]]] = {name: {} for name in behaviours}
        self._directions: list[Detectors] = []
        self._thresholds: list[dict[str, dict[str, Float[np.ndarray, " 2"]]]] = []
        for fold in range(int(folds.max()) + 1):
            rows = np.flatnonzero(folds == fold)
            directions = find(activations.at_rows(np.flatnonzero(folds != fold)), behaviours, layer)
            thresholds: dict[str, dict[str, Float[np.ndarray, " 2"]]] = {}
            for behaviour in behaviours:
                is_negative = ~activations.shows(behaviour)[rows]
                thresholds[behaviour] = {}
                for name, direction in directions[behaviour].items():
                    scores = values[rows] @ direction
                    above = np.quantile(scores[is_negative], [1 - rate for rate in FALSE_POSITIVE_RATES])
                    thresholds[behaviour][name] = above
                    on_spans = self.on_spans[behaviour].setdefault(name, np.zeros((2, len(values)), dtype=bool))
                    on_spans[:, rows] = scores > above[:, None]
            self._directions.append(directions)
            self._thresholds.append(thresholds)

    def fires(
        self, behaviour: str, values: Float[np.ndarray, "n d_model"], folds: Int[np.ndarray, " n"]
    ) -> dict[str, Bool[np.ndarray, "2 n"]]:
        """Check where each detector of the fold without a sentence's problem scores above its thresholds."""
        fired: dict[str, Bool[np.ndarray, "2 n"]] = {}
        for name in self._directions[0][behaviour]:
            scores = np.array(
                [row @ self._directions[fold][behaviour][name] for row, fold in zip(values, folds, strict=True)]
            )
            thresholds = np.stack([self._thresholds[fold][behaviour][name] for fold in folds], axis=1)
            fired[name] = scores > thresholds
        return fired


def _intervals(
    fires: Bool[np.ndarray, "2 n_sentences"],
    on_spans: Bool[np.ndarray, "2 n"],
    plain: Int[np.ndarray, " n_sentences"],
    shows: Bool[np.ndarray, " n"],
    problems: Sequence[str],
) -> dict[str, Interval]:
    """Estimate the shares that fire, over problems, at each false positive rate.

    Args:
        fires: On the sentences with an opener.
        on_spans: On all spans as they stand in the traces.
        plain: Which of the spans are the sentences.
        shows: Which of them show the behaviour.
        problems: The problem of each span.

    Returns:
        With the opener, without any, the difference of these, and of the behaviour's own spans.
    """
    of_sentences, of_own = np.array(problems)[plain], np.array(problems)[shows]
    intervals: dict[str, Interval] = {}
    for rate, with_it, spans in zip(FALSE_POSITIVE_RATES, fires, on_spans, strict=True):
        percent = f"at_{rate:.0%}".replace("%", "_percent")
        intervals[percent] = mean_over_groups(with_it.astype(float), groups=of_sentences)
        intervals[f"plain_{percent}"] = mean_over_groups(spans[plain].astype(float), groups=of_sentences)
        intervals[f"above_plain_{percent}"] = _difference(with_it, spans[plain], of_sentences)
        intervals[f"recall_{percent}"] = mean_over_groups(spans[shows].astype(float), groups=of_own)
    return intervals


def _difference(
    fires: Bool[np.ndarray, " n"], plain: Bool[np.ndarray, " n"], problems: Shaped[np.ndarray, " n"]
) -> Interval:
    """Estimate how much more often sentences fire with an opener than without, over problems.

    Where none changes, or all do, no resample differs; there the ends are those of the share that changes.
    """
    change = fires.astype(float) - plain
    if np.ptp(change):
        ones = np.ones(len(fires))
        return ratio_difference_over_groups(fires.astype(float), ones, plain.astype(float), ones, groups=problems)
    share = mean_over_groups(np.abs(change), groups=problems)
    if change[0] > 0:
        return share
    return Interval(float(change[0]), -share.high, share.high if not change[0] else -share.low, share.n)
