"""Test whether tell-tale words alone make a probe or a direction fire: they are put before plain sentences.

1. Plain sentences: spans that neither show the behaviour nor hold one of its tell-tale words, from as many problems as
   there are. Each is cut out of its trace with all that stands before it.
2. Before each stands an opener of the behaviour ("Wait,") or a neutral one ("Here,"), and the model reads it.
3. Probe and mean difference are trained without the sentence's problem, and fire where they score above all but 1% or
   5% of the spans of its fold that do not show the behaviour. The read has the opener's tokens, or leaves them out.

What fires on an opener that changes nothing is a detector of words. (Most features that are found by contrast are:
arXiv 2601.05679.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ..activations import Activations, Example, collect
from ..models import LanguageModel
from ..probes.controls.known_text import is_inside
from ..probes.estimators import LogisticProbe
from ..probes.folds import grouped_folds
from ..rundir import brief
from ..stats import Interval, ratio_over_groups
from ..traces import Span, Template, Trace, is_marked

PLAIN = ("behaviour", "layer", "detector", "opener", "is_telltale", "is_read", "n")  # columns that are no interval
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


@dataclass(frozen=True, kw_only=True)
class InjectionRate:
    """How often one opener makes one detector of a behaviour fire on plain sentences."""

    behaviour: str
    layer: int
    detector: str  # "probe" or "direction"
    opener: str
    is_telltale: bool  # of the behaviour; neutral otherwise
    is_read: bool  # whether the read has the opener's tokens
    at_1_percent: Interval  # share that fires at a false positive rate of 1%
    at_5_percent: Interval
    n: int  # sentences

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON; None for NaN."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            **self.at_1_percent.json_columns("at_1_percent"),
            **self.at_5_percent.json_columns("at_5_percent"),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> InjectionRate:
        """Restore what `to_dict` returned."""
        plain: dict[str, Any] = {name: row[name] for name in PLAIN}
        return cls(
            **plain,
            at_1_percent=Interval.from_columns(row, "at_1_percent"),
            at_5_percent=Interval.from_columns(row, "at_5_percent"),
        )


def inject(
    model: LanguageModel,
    traces: Sequence[Trace],
    activations: Activations,
    layers: Mapping[str, int],
    *,
    template: Template = "auto",
    n_folds: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> list[InjectionRate]:
    """Count how often tell-tale words before plain sentences make probes and directions fire.

    Args:
        model: The model whose activations were collected.
        traces: The traces that they are of.
        activations: Activations of the traces' labelled spans; their read must be inside of spans.
        layers: Behaviour -> the 0-based block at which it is read.
        template: As the activations were collected.
        n_folds: Folds that cut no problem.
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
    injected = collect(model, all_texts, layers=needed, read=read, template=template, progress=progress)
    folds = grouped_folds(activations.labels, activations.problems, list(layers), n_folds, seed)
    fold_of = dict(zip(activations.problems, folds.tolist(), strict=True))
    rates: list[InjectionRate] = []
    for behaviour, layer in layers.items():
        detectors = _Detectors(activations, behaviour, layer, folds)
        values = injected.layer(layer).numpy()
        for opener in [opener for named, opener in ids if named == behaviour]:
            own_ids = set(ids[behaviour, opener])
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
                for detector, fires in detectors.fires(values[rows], of_fold).items():
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


WITH, WITHOUT = "with the opener", "without the opener"  # labels of the two spans of an injected text


def loudest(rates: Sequence[InjectionRate]) -> list[dict[str, Any]]:
    """Summarise the rates by behaviour and detector, at a false positive rate of 5%.

    Args:
        rates: Of `inject`.

    Returns:
        A row for each: the tell-tale opener on which it fires most often, the share with that opener's tokens in the
        read and without, and the share on the neutral opener on which it fires most.
    """
    rows = []
    for behaviour, detector in dict.fromkeys((rate.behaviour, rate.detector) for rate in rates):
        own = [rate for rate in rates if (rate.behaviour, rate.detector) == (behaviour, detector)]
        read = [rate for rate in own if rate.is_read]
        telltale = [rate for rate in read if rate.is_telltale]
        neutral = [rate for rate in read if not rate.is_telltale]
        if not telltale or not neutral:
            continue
        most = max(telltale, key=lambda rate: rate.at_5_percent.value)
        without = next(rate for rate in own if rate.opener == most.opener and not rate.is_read)
        most_neutral = max(neutral, key=lambda rate: rate.at_5_percent.value)
        rows.append(
            {
                "behaviour": behaviour,
                "detector": detector,
                "opener": most.opener,
                "n": most.n,
                **most.at_5_percent.json_columns("fires"),
                **without.at_5_percent.json_columns("fires_without"),
                "neutral": most_neutral.opener,
                **most_neutral.at_5_percent.json_columns("fires_neutral"),
            }
        )
    return rows


class _Detectors:
    """Probe and mean difference of one behaviour, trained without each fold, with the scores above which they fire."""

    def __init__(self, activations: Activations, behaviour: str, layer: int, folds: Int[np.ndarray, " n"]) -> None:
        values, positive = activations.layer(layer).numpy().astype(np.float64), activations.shows(behaviour)
        self._directions: list[dict[str, Float[np.ndarray, " d_model"]]] = []
        self._thresholds: list[dict[str, Float[np.ndarray, " 2"]]] = []
        for fold in range(int(folds.max()) + 1):
            train = folds != fold
            probe = LogisticProbe().fit(values[train], positive[train])
            difference = values[train & positive].mean(axis=0) - values[train & ~positive].mean(axis=0)
            directions = {"probe": probe.direction_, "direction": difference}
            negatives = values[(folds == fold) & ~positive]
            self._directions.append(directions)
            self._thresholds.append(
                {
                    name: np.quantile(negatives @ direction, [1 - rate for rate in FALSE_POSITIVE_RATES])
                    for name, direction in directions.items()
                }
            )

    def fires(
        self, values: Float[np.ndarray, "n d_model"], folds: Int[np.ndarray, " n"]
    ) -> dict[str, Bool[np.ndarray, "2 n"]]:
        """Check where each detector of the fold without a sentence's problem scores above its thresholds."""
        fired: dict[str, Bool[np.ndarray, "2 n"]] = {}
        for name in self._directions[0]:
            scores = np.array([row @ self._directions[fold][name] for row, fold in zip(values, folds, strict=True)])
            thresholds = np.stack([self._thresholds[fold][name] for fold in folds], axis=1)
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
