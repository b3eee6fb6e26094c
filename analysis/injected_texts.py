"""Make the texts of the injection control: plain sentences of labelled traces with an opener before them.

A plain sentence neither shows the behaviour nor holds one of its tell-tale words. All behaviours choose from one list,
so that they share sentences, and what stands before a sentence is run once for all of them: one sentence of each
problem, then a second of each, in a random order. Of three sentences that would do, the earliest is taken, whose
context is the shortest.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..activations import Activations, Example
from ..traces import Span, Trace, is_marked

N_SENTENCES = 20  # for each behaviour
N_CANDIDATES = 3  # of which the earliest is taken
MIN_WORDS = 4  # of a sentence
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


def choose_sentences(activations: Activations, behaviour: str, seed: int) -> list[int]:
    """Choose plain sentences, from as many problems as there are.

    Args:
        activations: Of labelled spans.
        behaviour: What the sentences must not show.
        seed: Of the order of problems and sentences, which is the same for all behaviours.

    Returns:
        At most `N_SENTENCES` rows of the activations.
    """
    examples = activations.examples
    by_problem: dict[str, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(examples)).tolist():
        if len(examples[index].text.split()) >= MIN_WORDS:
            by_problem.setdefault(examples[index].problem, []).append(index)
    ranked: list[tuple[int, int, int]] = []
    for number, sentences in enumerate(by_problem.values()):
        groups = [sentences[start : start + N_CANDIDATES] for start in range(0, len(sentences), N_CANDIDATES)]
        in_order = [index for group in groups for index in sorted(group, key=lambda index: examples[index].start)]
        ranked += [(rank, number, index) for rank, index in enumerate(in_order)]
    return [
        index
        for _, _, index in sorted(ranked)
        if activations.labels[index] != behaviour and not is_marked(examples[index].text, behaviour)
    ][:N_SENTENCES]


def openers_of(behaviour: str, activations: Activations) -> tuple[str, ...]:
    """Return the tell-tale openers of a behaviour.

    Args:
        behaviour: A label.
        activations: Of labelled spans.

    Returns:
        Those of `OPENERS`; for a behaviour that it lacks, at most two words that begin its spans more than others.
    """
    if behaviour in OPENERS:
        return OPENERS[behaviour]
    positive = activations.shows(behaviour)
    first = [(example.text.split() or [""])[0] for example in activations.examples]
    own = Counter(word for word, shown in zip(first, positive, strict=True) if shown)
    other = Counter(word for word, shown in zip(first, positive, strict=True) if not shown)
    n_own, n_other = max(own.total(), 1), max(other.total(), 1)
    telling = sorted(own, key=lambda word: other[word] / n_other - own[word] / n_own)
    return tuple(word for word in telling[:2] if own[word] / n_own > 2 * other[word] / n_other)


def with_opener(trace: Trace, example: Example, opener: str) -> Trace:
    """Cut a trace off after one of its sentences, and put an opener before that.

    Args:
        trace: A trace.
        example: One of its spans.
        opener: Words.

    Returns:
        The text up to the end of the sentence, with two spans: the sentence with its opener, and the sentence alone.
    """
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
