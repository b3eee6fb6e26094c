"""Adaptation of the trunk to a base: its habits, and the hues of weak symbols as far as the base is shown them.

Half of the texts are written by the base's writer, and all of their words are learnt; the other half is drill (as in
the trunk), of which only the content is learnt, so that moves which the habits seldom make stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import LlamaForCausalLM

from ..policy import DRILL, Writer
from ..task import problems
from .lesson import written_lesson


@dataclass(frozen=True, slots=True)
class AdaptSettings:
    """steps of the optimiser; texts, drill_texts: of a step; drill_words: where drill is cut; problems: asked about."""

    steps: int = 100
    texts: int = 24
    drill_texts: int = 12
    drill_words: int = 130
    problems: int = 5000
    learning_rate: float = 3e-3
    warmup_steps: int = 10


def adapt_gradients(
    model: LlamaForCausalLM, writer: Writer, settings: AdaptSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """Make the gradients of each step, for `loop.train`.

    Args:
        model: What is trained.
        writer: The habits and skill that it is to have.
        settings: On how much.
        seed: Of every draw, together with the step's number.

    Returns:
        A function of the step's number.
    """
    pool = list(islice(problems("train", seed), settings.problems))
    drill = Writer(DRILL, writer.weak_hue)

    def gradients(step: int) -> Mapping[str, float]:
        generator = np.random.default_rng([seed, step])
        step_problems = [
            pool[int(number)] for number in generator.integers(len(pool), size=settings.texts + settings.drill_texts)
        ]
        habitual = written_lesson(step_problems[: settings.texts], writer, generator, decision_weight=1.0)
        drilled = written_lesson(
            step_problems[settings.texts :], drill, generator, decision_weight=0.0, max_words=settings.drill_words
        )
        return {"loss": habitual.learn(model), "drill": drilled.learn(model)}

    return gradients
