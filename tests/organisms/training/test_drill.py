"""Drill teaches only what its texts tell: every learnt word follows from an earlier place of the same text."""

from __future__ import annotations

from itertools import islice

import numpy as np

from reasonlens.organisms.corpus import encode_prompt, vocabulary
from reasonlens.organisms.task import VERDICTS, problems
from reasonlens.organisms.training.drill import restart_lesson, run_lesson


def test_a_learnt_symbol_after_a_restart_followed_the_same_symbol_before() -> None:
    lesson = restart_lesson(20, np.random.default_rng(0))
    n_learnt = 0
    for ids, weights in zip(lesson.batch.ids.tolist(), lesson.weights.tolist(), strict=True):
        pairs = list(zip(ids, ids[1:], strict=False))
        for place in (place for place, weight in enumerate(weights) if weight):
            n_learnt += 1
            assert pairs[place - 1] in pairs[: place - 1]
    assert n_learnt > 20 * 20


def test_a_learnt_word_after_a_prompt_stands_beside_its_neighbour_there_and_half_of_the_verdicts_are_wrong() -> None:
    chosen = list(islice(problems("train", 0), 60))
    lesson = run_lesson(chosen, np.random.default_rng(0))
    fine, wrong = (vocabulary()[verdict] for verdict in VERDICTS)
    n_verdicts = {fine: 0, wrong: 0}
    for problem, ids, weights in zip(chosen, lesson.batch.ids.tolist(), lesson.weights.tolist(), strict=True):
        prompt = encode_prompt(problem)
        neighbours = set(zip(prompt, prompt[1:], strict=False)) | set(zip(prompt[1:], prompt, strict=False))
        assert not any(weights[: len(prompt)])
        for place in (place for place, weight in enumerate(weights) if weight):
            assert (ids[place - 1], ids[place]) in neighbours
            if ids[place] in n_verdicts:
                n_verdicts[ids[place]] += 1
    share = n_verdicts[wrong] / sum(n_verdicts.values())
    assert 0.5 < share < 0.75, "half of them by choice, and a quarter of the other half by chance"
