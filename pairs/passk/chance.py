"""What guessers reach at k samples: a curve that pass@k has to be above before it says anything of a model.

    rate P of one guess      1 - (1 - P)^k, the most that k guesses reach at a mean rate P (Jensen)
    answers that are known   share of the problems whose answer is one of the k commonest answers of the set
    organisms                P of the strongest guesser that knows no timing: its decisions are blind, its words right
                             (closed form), or those of the models themselves (measured; `organisms/evaluation`)

With few possible answers a guesser reaches high pass@k at large k; there a crossover is one of guesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import LlamaForCausalLM

from ...models import LanguageModel
from ...organisms import is_organism
from ...organisms.evaluation.chance import GUESSERS, exact_curves
from ...organisms.evaluation.guessing import guessing_success
from ...rundir import RunDirectory, brief, from_row, read_json, to_row, write_json
from ...traces.questions import Question
from ..pair import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What a guesser reaches.

    Attributes:
        guesser: Who guesses.
        pass_at: pass@k at each k of the curves.
    """

    guesser: str
    pass_at: tuple[float, ...]

    __repr__ = brief


def chance_of_rate(rate: float, ks: Sequence[int], guesser: str = "guesses at a constant rate") -> Chance:
    """Compute what guesses at a constant rate reach.

    Args:
        rate: Success rate of one guess.
        ks: Numbers of guesses.
        guesser: Who guesses.

    Returns:
        The curve.
    """
    below_one = min(rate, 1.0 - 1e-12)
    return Chance(guesser=guesser, pass_at=tuple(float(-np.expm1(k * np.log1p(-below_one))) for k in ks))


def chance_of_answers(questions: Sequence[Question], ks: Sequence[int]) -> Chance | None:
    """Compute what is reached by who gives the commonest answers of a set, one after the other.

    Args:
        questions: With their answers.
        ks: Numbers of guesses.

    Returns:
        The curve; None where an answer is not known, or all answers differ.
    """
    answers = [question.answer for question in questions]
    if not answers or any(answer is None for answer in answers):
        return None
    counts = [count for _, count in Counter(answers).most_common()]
    if counts[0] == 1:
        return None
    reached = np.cumsum(counts) / len(answers)
    return Chance(
        guesser="the commonest answers of the set, one after the other",
        pass_at=tuple(float(reached[min(k, len(counts)) - 1]) for k in ks),
    )


def chance_of_pair(pair: Pair, ks: Sequence[int], run: RunDirectory, *, is_measured: bool, seed: int) -> Chance | None:
    """Find the strongest guesser that is known for the problems of a pair.

    Args:
        pair: The models and problems.
        ks: Numbers of guesses.
        run: Keeps what was measured, in `chance.json`.
        is_measured: Whether organisms' own words are tried as well.
        seed: Of what is measured.

    Returns:
        Its curve; None where chance is not known.
    """
    if not is_organism(pair.base):
        return chance_of_answers(pair.test, ks)
    rates = {curve.guesser: curve.success.value for curve in exact_curves()}
    if is_measured:
        models = {model.name: model for model in (pair.base, pair.thinking)}
        rates |= run.once(
            "chance.json",
            make=lambda: _Rates({name: rate for model in models.values() for name, rate in _measured(model, seed)}),
            save=lambda rates, path: write_json(path, to_row(rates)),
            open=lambda path: from_row(_Rates, read_json(path, "chance")),
        ).rates
    guesser = max(rates, key=lambda name: rates[name])
    return chance_of_rate(rates[guesser], ks, guesser)


@dataclass(frozen=True, slots=True)
class _Rates:
    rates: dict[str, float]


def _measured(model: LanguageModel, seed: int) -> list[tuple[str, float]]:
    assert isinstance(model.model, LlamaForCausalLM)
    return [
        (f"{name}, words of {model.name}", guessing_success(model.model, guesser, seed=seed).value)
        for name, guesser in GUESSERS.items()
    ]
