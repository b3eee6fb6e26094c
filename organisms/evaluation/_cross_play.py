"""Play a base and a trained model against one another: the decisions of the one with the content of the other.

    cell             who decides    who says all other words
    base             base           base
    timing           trained        base        what training changed in *when*
    skill            base           trained     what it changed in *how*
    thinking         trained        trained

All four answer the same problems, several times each, at temperature 1 and with the same random numbers: a token on
which two models agree is the same in both, so cells differ by the models and little by chance. The Shapley shares of
the gap over the two causes are the truth of a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from transformers import LlamaForCausalLM

from ...stats import Interval, ShapleyShares, accuracy_over_groups, shapley_shares_over_groups
from ..labeller import Reading
from ..sampling import readings, respond
from ..task import Problem

CELLS: tuple[str, ...] = ("base", "timing", "skill", "thinking")


@dataclass(frozen=True, eq=False)
class Answers:
    """Responses to problems, `n_samples` to each, those of a problem side by side."""

    problems: tuple[Problem, ...]
    n_samples: int
    responses: tuple[tuple[int, ...], ...]
    readings: tuple[Reading, ...]

    @property
    def problem_by_response(self) -> list[Problem]:
        """The problem of each response."""
        return [problem for problem in self.problems for _ in range(self.n_samples)]

    @property
    def groups(self) -> list[str]:
        """The group of each problem, over which intervals resample."""
        return [problem.group for problem in self.problems]

    @property
    def solved(self) -> Float[np.ndarray, " problems"]:
        """Share of the responses to each problem that solve it."""
        return self._shares([reading.is_solved for reading in self.readings])

    @property
    def process_right(self) -> Float[np.ndarray, " problems"]:
        """Share of the responses to each problem that solve it and have every sentence right."""
        return self._shares([reading.is_process_right for reading in self.readings])

    @property
    def accuracy(self) -> Interval:
        """The share solved, over problems."""
        return accuracy_over_groups(self.solved, self.groups)

    @property
    def process_accuracy(self) -> Interval:
        """The share solved with every sentence right, over problems."""
        return accuracy_over_groups(self.process_right, self.groups)

    def _shares(self, outcomes: Sequence[bool]) -> Float[np.ndarray, " problems"]:
        by_problem = np.reshape(np.array(outcomes, dtype=np.float64), (len(self.problems), self.n_samples))
        return np.asarray(by_problem.mean(axis=1))


def answer(
    model: LlamaForCausalLM,
    problems: Sequence[Problem],
    n_samples: int,
    seed: int,
    decider: LlamaForCausalLM | None = None,
) -> Answers:
    """Sample responses of a model, or of two together, and read them.

    Args:
        model: Who says all words but decisions.
        problems: What is asked.
        n_samples: Responses to each.
        seed: Of the random numbers; two models that are asked with the same seed draw alike.
        decider: Who decides; None: the model itself.

    Returns:
        The responses with their readings.
    """
    problem_by_response = [problem for problem in problems for _ in range(n_samples)]
    responses = respond(model, problem_by_response, seed, decider)
    return Answers(
        tuple(problems), n_samples, tuple(map(tuple, responses)), tuple(readings(problem_by_response, responses))
    )


def cross_play(
    base: LlamaForCausalLM, trained: LlamaForCausalLM, problems: Sequence[Problem], n_samples: int, seed: int = 0
) -> dict[str, Answers]:
    """Sample the four cells of a pair.

    Args:
        base: The model that was trained further.
        trained: What it became.
        problems: Unseen ones.
        n_samples: Responses to each problem in each cell.
        seed: Of the random numbers, which all cells share.

    Returns:
        The answers of each of `CELLS`.
    """
    return {
        "base": answer(base, problems, n_samples, seed),
        "timing": answer(base, problems, n_samples, seed, decider=trained),
        "skill": answer(trained, problems, n_samples, seed, decider=base),
        "thinking": answer(trained, problems, n_samples, seed),
    }


def shares_of(cells: dict[str, Answers]) -> ShapleyShares:
    """Share the gap of a pair among timing, the first cause, and skill, the second.

    Args:
        cells: The four of `cross_play`.

    Returns:
        Gap, gains and shares over problems.
    """
    neither, timing, skill, both = (cells[cell].solved for cell in CELLS)
    return shapley_shares_over_groups(neither, timing, skill, both, cells["base"].groups)
