"""Test whether tell-tale words alone make a probe or a direction fire: they are put before plain sentences.

1. Plain sentences: spans that neither show the behaviour nor hold one of its tell-tale words, from as many problems as
   there are. Each is cut out of its trace with all that stands before it.
2. Before each stands an opener of the behaviour ("Wait,") or a neutral one ("Here,"), and the model reads it.
3. Detectors (probe and mean difference, or directions by any method) are found without the sentence's problem, and fire
   where they score above all but 1% or 5% of the spans of its fold that do not show the behaviour. The read has the
   opener's tokens, or leaves them out.

What fires on an opener that changes nothing is a detector of words. (Most features that are found by contrast are:
arXiv 2601.05679.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from ..activations import Activations, Example, collect
from ..models import LanguageModel
from ..probes.controls.injection_rate import InjectionRate
from ..probes.controls.known_text import is_inside
from ..probes.estimators import LogisticProbe
from ..probes.folds import grouped_folds
from ..stats import Interval, ratio_over_groups
from ..traces import Span, Template, Trace, is_marked

N_SENTENCES = 20  # for each behaviour
FALSE_POSITIVE_RATES = (0.01, 0.05)
NEUTRAL = ("Here,", "Meanwhile,")
OPENERS: dict[str, tuple[str, ...]] = {
    "initializing": ("Okay,", "Alright, so"),
    "deduction": ("So", "Therefore,"),
    "adding-knowledge": ("Recall that", "I know that"),
    "example-testing": ("For example,", "Suppose that"),
    "uncertainty-estimation": ("Maybe", "I think that perhaps"),
    "backtracking": ("Wait,", "But wait, no,"),
    "subgoal-setting": ("First,", "Next,"),
    "verification": ("Let me check:", "To verify,"),
}


WITH, WITHOUT = "with the opener", "without the opener"  # labels of the two spans of an injected text

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
        A rate for each behaviour, detector and opener, with the opener's tokens in the read and without. A behaviour
        without a plain sentence has none. No rate where the read is before a span: nothing of it is read.

    Raises:
        InputError: The model cannot read a text.
    """
    read = activations.read
    if not is_inside(read):
        return []
    by_id = {trace.id: trace for trace in traces}
    texts: dict[str, Trace] = {}
    ids: dict[tuple[str, str], list[str]] = {}  # of the texts of a behaviour and an opener
    for behaviour in layers:
        # The same seed: behaviours share most sentences, so that what stands before them is run once.
        sentences = _plain(activations.examples, activations.labels, behaviour, np.random.default_rng(seed))
        for opener in (*_openers(behaviour, activations), *NEUTRAL):
            own = [_with_opener(by_id[one.trace], one, opener) for one in sentences if one.trace in by_id]
            texts |= {trace.id: trace for trace in own}
            ids[behaviour, opener] = [trace.id for trace in own]
    all_texts = sorted(texts.values(), key=lambda trace: trace.id)  # variants of a sentence side by side
    if not all_texts:
        return []
    needed = sorted(set(layers.values()))
    injected = collect(
        model,
        all_texts,
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
    fold_of = dict(zip(activations.problems, folds.tolist(), strict=True))
    values = {layer: injected.layer(layer).numpy() for layer in needed}
    detectors = {
        layer: _Fitted(activations, [name for name in layers if layers[name] == layer], layer, folds, find)
        for layer in needed
    }
    rates: list[InjectionRate] = []
    for (behaviour, opener), opener_ids in ids.items():
        layer, own_ids = layers[behaviour], set(opener_ids)
        for is_read in (True, False):
            rows = [
                index
                for index, example in enumerate(injected.examples)
                if example.trace in own_ids and example.label == (WITH if is_read else WITHOUT)
            ]
            if not rows:
                continue
            problems = [injected.examples[index].problem for index in rows]
            of_fold = np.array([fold_of[problem] for problem in problems])
            for detector, fires in detectors[layer].fires(behaviour, values[layer][rows], of_fold).items():
                rates.append(
                    InjectionRate(
                        behaviour=behaviour,
                        layer=layer,
                        detector=detector,
                        opener=opener,
                        is_telltale=opener not in NEUTRAL,
                        is_read=is_read,
                        at_1_percent=_rate(fires[0], problems),
                        at_5_percent=_rate(fires[1], problems),
                        n=len(rows),
                    )
                )
    return rates


class _Fitted:
    """Detectors of behaviours at one layer, found without each fold, with the scores above which they fire."""

    def __init__(
        self,
        activations: Activations,
        behaviours: Sequence[str],
        layer: int,
        folds: Int[np.ndarray, " n"],
        find: FindDetectors,
    ) -> None:
        values = activations.layer(layer).numpy().astype(np.float64)
        self._directions: list[Detectors] = []
        self._thresholds: list[dict[str, dict[str, Float[np.ndarray, " 2"]]]] = []
        for fold in range(int(folds.max()) + 1):
            directions = find(activations.at_rows(np.flatnonzero(folds != fold)), behaviours, layer)
            thresholds = {}
            for behaviour in behaviours:
                negatives = values[(folds == fold) & ~activations.shows(behaviour)]
                thresholds[behaviour] = {
                    name: np.quantile(negatives @ direction, [1 - rate for rate in FALSE_POSITIVE_RATES])
                    for name, direction in directions[behaviour].items()
                }
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


def _plain(
    examples: Sequence[Example], labels: Sequence[str], behaviour: str, generator: np.random.Generator
) -> list[Example]:
    """Choose spans that neither show the behaviour nor hold one of its words, from as many problems as there are."""
    plain = [
        example
        for example, label in zip(examples, labels, strict=True)
        if label != behaviour and not is_marked(example.text, behaviour) and len(example.text.split()) >= 4
    ]
    order = [plain[index] for index in generator.permutation(len(plain))]
    n_before: Counter[str] = Counter()
    ranked: list[tuple[int, int, Example]] = []
    for example in order:
        ranked.append((n_before[example.problem], len(ranked), example))
        n_before[example.problem] += 1
    return [example for _, _, example in sorted(ranked, key=lambda entry: entry[:2])[:N_SENTENCES]]


def _openers(behaviour: str, activations: Activations) -> tuple[str, ...]:
    """Return the openers of a behaviour; without a list the two words that begin its spans more often than others."""
    if behaviour in OPENERS:
        return OPENERS[behaviour]
    positive = activations.shows(behaviour)
    first = [(example.text.split() or [""])[0] for example in activations.examples]
    own = Counter(word for word, shown in zip(first, positive, strict=True) if shown)
    other = Counter(word for word, shown in zip(first, positive, strict=True) if not shown)
    n_own, n_other = max(own.total(), 1), max(other.total(), 1)
    telling = sorted(own, key=lambda word: other[word] / n_other - own[word] / n_own)
    return tuple(word for word in telling[:2] if own[word] / n_own > 2 * other[word] / n_other)


def _with_opener(trace: Trace, example: Example, opener: str) -> Trace:
    """Cut a trace off after one of its sentences, and put an opener before that."""
    sentence = trace.text[example.start : example.end]
    lower = sentence[:1].lower() + sentence[1:] if sentence[:2] not in ("I ", "I'") else sentence
    text = f"{trace.text[: example.start]}{opener} {lower}"
    start = example.start + len(opener) + 1
    return Trace(
        f"{trace.id}, {example.start}, {opener}",
        trace.prompt,
        text,
        (Span(example.start, len(text), WITH), Span(start, len(text), WITHOUT)),
        trace.problem,
    )


def _rate(fires: Bool[np.ndarray, " n"], problems: Sequence[str]) -> Interval:
    """Estimate the share that fires, over problems."""
    names, number = np.unique(problems, return_inverse=True)
    return ratio_over_groups(
        np.bincount(number, fires, len(names)).astype(float), np.bincount(number, minlength=len(names)).astype(float)
    )
