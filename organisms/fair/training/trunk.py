"""Pre-training of the trunk that all bases of a family are adapted from.

1. Copying drill alone, fast (`copying.py`).
2. Texts: responses by a writer of middling habits, all of whose words are learnt, and drill, which makes every move in
   every state and of which only the content is learnt.

The hues of weak symbols are noise in all of them, so that no base has seen more of them than it is shown itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import LlamaForCausalLM

from ..policy import DRILL, Writer, mixed
from ..task import problems
from .copying import periodic_lesson, run_lesson
from .lesson import written_lesson
from .schedule import linear_decay

UNSEEN = 0.125  # a code at chance
MIDDLING = 0.5  # share of poor habits


@dataclass(frozen=True, slots=True)
class TrunkSettings:
    """Hold how long the trunk is trained, on what, and how fast.

    Args:
        copying_steps: Steps with copying drill.
        texts_from: Step from which there are texts.
        steps: In all.
        periodic_texts: Periodic sequences of a step.
        run_texts: Prompts with copied runs of a step.
        habit_texts: Responses of a step.
        drill_texts: Drill of a step.
        drill_words: Where drill is cut.
        problems: How many problems the texts are about.
        copying_rate: Learning rate while there is copying drill.
        learning_rate: Afterwards, at its peak.
    """

    copying_steps: int = 160
    texts_from: int = 120
    steps: int = 800
    periodic_texts: int = 32
    run_texts: int = 24
    habit_texts: int = 10
    drill_texts: int = 24
    drill_words: int = 130
    problems: int = 10_000
    copying_rate: float = 8e-3
    learning_rate: float = 4e-3

    def rate(self, step: int) -> float:
        """Give the learning rate of a step."""
        if step < self.copying_steps:
            return self.copying_rate * min(1.0, (step + 1) / 20)
        return linear_decay(self.learning_rate, 1, self.steps)(step)


def trunk_gradients(
    model: LlamaForCausalLM, settings: TrunkSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """Make the gradients of each step, for `training.loop.train`.

    Args:
        model: What is trained.
        settings: On what.
        seed: Of every draw, together with the step's number.

    Returns:
        A function of the step's number.
    """
    pool = list(islice(problems("train", seed), settings.problems))
    writer, drill = Writer(mixed(MIDDLING), UNSEEN), Writer(DRILL, UNSEEN)

    def gradients(step: int) -> Mapping[str, float]:
        generator = np.random.default_rng([seed, step])
        shown: dict[str, float] = {}
        if step < settings.copying_steps:
            run_problems = [pool[int(place)] for place in generator.integers(len(pool), size=settings.run_texts)]
            shown["periodic"] = periodic_lesson(settings.periodic_texts, generator).learn(model)
            shown["runs"] = run_lesson(run_problems, generator).learn(model)
        if step >= settings.texts_from:
            n_texts = settings.habit_texts + settings.drill_texts
            drawn = [pool[int(place)] for place in generator.integers(len(pool), size=n_texts)]
            habitual = written_lesson(drawn[: settings.habit_texts], writer, generator, decision_weight=1.0)
            drilled = written_lesson(
                drawn[settings.habit_texts :], drill, generator, decision_weight=0.0, max_words=settings.drill_words
            )
            shown |= {"habits": habitual.learn(model), "drill": drilled.learn(model)}
        return shown

    return gradients
