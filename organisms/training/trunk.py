"""Pre-training of the trunk that all bases of a family are adapted from, in five phases.

1. Periodic sequences alone, fast, until a model begins to copy what followed last time; in a mixture that takes longer.
2. Sequences with restarts (`drill.py`), with a few periodic ones, until it copies from any place.
3. Copied runs of prompts, with a few sequences with restarts.
4. The same beside texts: responses by a writer of middling habits, and drill, which makes every move in every state.
   Towards the end of this phase there are tries to compare codes in, the few words that come late weigh more, and the
   decisions of the drill are learnt too, though no base keeps them: what tells states apart comes from them.
5. Texts alone.

A trunk that does not pass the gate then is trained on in rounds, of which the first half holds copied runs again beside
the texts: what is copied inexactly does not become exact by texts alone (a trunk that named the next candidate rightly
in 86% was at 87% after 860 more steps of texts, and at 96% after a round of 300).

The hues of weak symbols are noise in all texts, so that no base has seen more of them than it is shown itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import LlamaForCausalLM

from ..policy import DRILL, Writer, mixed
from ..task import Problem, problems
from .drill import match_lesson, periodic_lesson, restart_lesson, run_lesson
from .lesson import written_lesson
from .schedule import FLOOR

UNSEEN = 0.125  # a code at chance
MIDDLING = 0.5  # share of poor habits
WARMUP_STEPS = 20


@dataclass(frozen=True, slots=True)
class TrunkSettings:
    """Hold how long the trunk is trained, on what, and how fast.

    Args:
        restart_from: Step at which the second phase begins.
        run_from: Step at which the third phase begins.
        texts_from: Step at which the fourth phase begins.
        match_from: Step from which there are tries; before texts are half learnt, comparing is not.
        copying_until: Step at which the fifth phase begins.
        steps: In all, where the trunk then passes the gate.
        more_steps: Of each further round, in which the learning rate falls anew.
        most_rounds: After which a trunk that still does not pass is refused.
        periodic_texts: Periodic sequences of a step of the first phase; an eighth as many in the second.
        restart_texts: Sequences with restarts of a step of the second phase; an eighth as many in the next two.
        run_texts: Prompts with copied runs of a step of the third phase; half as many in the fourth.
        match_texts: Texts of tries of a step of the fourth phase.
        habit_texts: Responses of a step.
        drill_texts: Drill of a step.
        drill_words: Where drill is cut.
        problems: How many problems the texts are about.
        rates: Learning rates of the first three phases, of the fourth, and of the fifth before it falls.
    """

    restart_from: int = 160
    run_from: int = 260
    texts_from: int = 380
    match_from: int = 580
    copying_until: int = 720
    steps: int = 1300
    more_steps: int = 400
    most_rounds: int = 8
    periodic_texts: int = 64
    restart_texts: int = 48
    run_texts: int = 32
    match_texts: int = 48
    habit_texts: int = 10
    drill_texts: int = 24
    drill_words: int = 130
    problems: int = 10_000
    rates: tuple[float, float, float] = (8e-3, 5e-3, 4e-3)

    def rate(self, step: int) -> float:
        """Give the learning rate of a step; in the last phase, and each further round, it falls from the middle on."""
        copying, mixed_in, texts = self.rates
        if step < self.texts_from:
            return copying * min(1.0, (step + 1) / WARMUP_STEPS)
        if step < self.copying_until:
            return mixed_in
        if step < self.steps:
            left = (self.steps - step) / (self.steps - self.copying_until)
        else:
            left = 1 - self._place(step)
        return texts * (FLOOR + (1 - FLOOR) * min(1.0, 2 * left))

    def is_copying(self, step: int) -> bool:
        """Tell whether a step has copied runs."""
        return self.run_from <= step < self.copying_until if step < self.steps else self._place(step) < 0.5

    def _place(self, step: int) -> float:
        """Tell how far a further round has come, 0 to 1."""
        return (step - self.steps) % self.more_steps / self.more_steps


def trunk_gradients(
    model: LlamaForCausalLM, settings: TrunkSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """Make the gradients of each step, for `loop.train`.

    Args:
        model: What is trained.
        settings: On what.
        seed: Of every draw, together with the step's number.

    Returns:
        A function of the step's number.
    """
    pool = list(islice(problems("train", seed), settings.problems))
    writer, drill = Writer(mixed(MIDDLING), UNSEEN), Writer(DRILL, UNSEEN)

    def sample(generator: np.random.Generator, n_problems: int) -> list[Problem]:
        return [pool[int(place)] for place in generator.integers(len(pool), size=n_problems)]

    def gradients(step: int) -> Mapping[str, float]:
        generator = np.random.default_rng([seed, step])
        losses: dict[str, float] = {}
        if step < settings.run_from:
            n_periodic = settings.periodic_texts // (1 if step < settings.restart_from else 8)
            losses["periodic"] = periodic_lesson(max(1, n_periodic), generator).learn(model)
        if settings.restart_from <= step < settings.run_from or settings.is_copying(step):
            n_restarts = settings.restart_texts // (1 if step < settings.run_from else 8)
            losses["restarts"] = restart_lesson(max(1, n_restarts), generator).learn(model)
        if settings.is_copying(step):
            n_runs = settings.run_texts // (1 if step < settings.texts_from else 2)
            losses["runs"] = run_lesson(sample(generator, n_runs), generator).learn(model)
        if settings.match_from <= step < settings.copying_until:
            losses["matches"] = match_lesson(settings.match_texts, generator).learn(model)
        if step >= settings.texts_from:
            is_late = step >= settings.match_from
            habit_problems = sample(generator, settings.habit_texts)
            losses["habits"] = written_lesson(
                habit_problems, writer, generator, decision_weight=1.0, has_emphasis=is_late
            ).learn(model)
            drilled = written_lesson(
                sample(generator, settings.drill_texts),
                drill,
                generator,
                decision_weight=float(is_late),
                max_words=settings.drill_words,
                has_emphasis=is_late,
            )
            losses["drill"] = drilled.learn(model)
        return losses

    return gradients
