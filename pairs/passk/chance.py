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
from ...rundir import RunDirectory, brief
from ...rundir.progress import with_progress
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


def chance_of_pair(
    pair: Pair, ks: Sequence[int], run: RunDirectory, *, is_measured: bool, seed: int, progress: bool = True
) -> Chance | None:
    """Find the strongest guesser that is known for the problems of a pair.

    Args:
        pair: The models and problems.
        ks: Numbers of guesses.
        run: Keeps what was measured, in `chance.jsonl`.
        is_measured: Whether organisms' own words are tried as well.
        seed: Of what is measured.
        progress: Whether a bar is shown.

    Returns:
        Its curve; None where chance is not known.
    """
    if not is_organism(pair.base):
        return chance_of_answers(pair.test, ks)
    rates = {curve.guesser: curve.success.value for curve in exact_curves()}
    if is_measured:
        models = {model.name: model for model in (pair.base, pair.thinking)}
        rates |= measured_rates([*models.values()], run, seed, progress)
    guesser = max(rates, key=lambda name: rates[name])
    return chance_of_rate(rates[guesser], ks, guesser)


def measured_rates(
    models: Sequence[LanguageModel], run: RunDirectory, seed: int, progress: bool = True
) -> dict[str, float]:
    """Measure how often guessers succeed who speak with the words of models.

    Args:
        models: Organisms.
        run: Keeps `chance.jsonl`, a row for each model and guesser with the rate and the ends of its interval (null:
            not known): what is there is not measured again.
        seed: Of problems and draws.
        progress: Whether a bar is shown.

    Returns:
        Guesser and speaker in words -> success rate of one guess.
    """
    columns = {"model": str, "guesser": str, "rate": float, "low": float | None, "high": float | None}
    log = run.log("chance.jsonl", key=("model", "guesser"), columns=columns)
    jobs = [(model, guesser) for model in models for guesser in GUESSERS]
    for model, guesser in with_progress(jobs, desc="guessers", unit="guesser", progress=progress):
        if (model.name, guesser) not in log:
            assert isinstance(model.model, LlamaForCausalLM)
            rate = guessing_success(model.model, GUESSERS[guesser], seed=seed)
            low, high = (None if end != end else end for end in (rate.low, rate.high))
            log.add([{"model": model.name, "guesser": guesser, "rate": rate.value, "low": low, "high": high}])
    return {f"{guesser}, words of {model.name}": float(log[model.name, guesser]["rate"]) for model, guesser in jobs}
