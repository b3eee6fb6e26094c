"""Where do a base and a thinking model diverge, and what are the tokens there worth?

1. Each model answers the test problems alone while the other one reads along: divergences at every position of the
   texts of either, how few positions hold them, and which (`concentration.py`).
2. On validation problems thresholds are found by which divergence meets each budget (`thresholds.py`).
3. Each model answers again with the other one's token at the positions above the threshold: the thinking model's into
   the base, and the base's into the thinking model (`swapping.py`). Controls change as many tokens at random, early
   and unsure positions (`choosers.py`).
4. Accuracy, share of the gap and excess over the controls at each budget (`swap_points.py`), and a sentence by written
   rules (`conclusion.py`).

arXiv 2605.16874 (decision tokens), 2603.22446 (swaps both ways), 2506.01939 (entropy), 2605.06241 (promoted tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...models._load import ModelLike
from ...rundir import InputError, RunDirectory, settings_of
from ...stats import accuracy_difference_over_groups
from ..measuring import measure_each, pairs_to_measure
from ..opening import TRAINED_ORGANISMS, Problems
from ..pair import Pair
from ..sampling import Role
from .answers import SwapAnswer, answers_of
from .choosers import CHOOSERS
from .concentration import Concentration, concentration_of
from .conclusion import conclusion_of, standings
from .pair_decisions import WRITERS, PairDecisions
from .places import places_of
from .result import DecisionsResult
from .settings import DecisionsSettings
from .swap_points import ALL, ENDS, SwapPoint, rates, swap_points
from .swap_points import ALONE as NONE
from .swapping import ALONE, OTHER, SwapArm
from .thresholds import thresholds_of

Arms = dict[tuple[str, float], list[SwapAnswer]]


def decisions(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: DecisionsSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> DecisionsResult:
    """Measure where a base and a thinking model diverge, and what swapping the tokens there is worth.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is measured in place of all these (`question_pair`, `organism_pair`); with validation problems.
        settings: Budgets, and how much is written; default `DecisionsSettings()`.
        out: Directory for results.json, table.csv, report.html and all responses; the same call goes on there where it
            was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        Divergences, accuracy by budget both ways, and conclusions of each pair, with intervals over problems.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, DecisionsSettings)
    to_measure = pairs_to_measure(base, thinking, problems, pairs, chosen, device, chosen.n_validation)
    for pair in to_measure:
        if not pair.validation:
            raise InputError(f"{pair.name} has no validation problems, on which thresholds are chosen: give it some")
        if len({question.problem for question in pair.test}) < 2:
            raise InputError(f"{pair.name} is tested on one problem, and an interval needs two or more: give it more")
    return measure_each(
        "decisions",
        to_measure,
        chosen,
        out,
        lambda pair, run: _of_pair(pair, chosen, run, progress),
        lambda measured: DecisionsResult(pairs=measured, settings=chosen),
    )


def _of_pair(pair: Pair, settings: DecisionsSettings, run: RunDirectory, progress: bool) -> PairDecisions:
    problems = [question.problem for question in pair.test]
    alone = {
        writer: answers_of(pair, writer, {"alone": ALONE}, settings, run, progress, keeps_places=True)["alone"]
        for writer in WRITERS
    }
    arms = {writer: _swapped(pair, writer, alone[writer], settings, run, progress) for writer in WRITERS}
    ends = (alone["base"], alone["thinking"])
    points: list[SwapPoint] = []
    verdicts = {}
    for writer in WRITERS:
        points += swap_points(writer, arms[writer], ends, problems)
        at_headline = {chooser: arms[writer][chooser, settings.headline] for chooser in CHOOSERS}
        verdicts[str(writer)] = conclusion_of(
            writer, settings.headline, standings(writer, at_headline, *ends, problems)
        )
    base, thinking = (rates(answers, len(problems)) for answers in ends)
    return PairDecisions(
        base=pair.base.name,
        thinking=pair.thinking.name,
        gap=accuracy_difference_over_groups(thinking, base, problems),
        concentrations=tuple(_concentration(pair, writer, alone[writer], settings) for writer in WRITERS),
        points=tuple(points),
        verdicts=verdicts,
    )


def _swapped(
    pair: Pair,
    writer: Role,
    alone: list[SwapAnswer],
    settings: DecisionsSettings,
    run: RunDirectory,
    progress: bool,
) -> Arms:
    """Let a model answer with the other one's tokens at each budget, by each chooser."""
    thresholds = thresholds_of(pair, writer, settings, run, progress)
    cells = {f"{chooser}-{budget:g}": (chooser, budget) for budget in settings.budgets for chooser in CHOOSERS}
    swaps = {name: SwapArm(cell[0], thresholds[cell]) for name, cell in cells.items()}
    answers = answers_of(pair, writer, swaps | {"all": OTHER}, settings, run, progress)
    return {
        (ENDS, NONE): alone,
        **{cell: answers[name] for name, cell in cells.items()},
        (ENDS, ALL): answers["all"],
    }


def _concentration(
    pair: Pair, writer: Role, answers: Sequence[SwapAnswer], settings: DecisionsSettings
) -> Concentration:
    n_samples = len(answers) // len(pair.test)
    questions = [question for question in pair.test for _ in range(n_samples)]
    if not any(one.tokens for one in answers):
        raise InputError(f"{pair.name}: the {writer} model writes nothing, so there is nothing to compare")
    return concentration_of(
        writer,
        answers,
        [question.problem for question in questions],
        places_of(pair, writer, answers, [question.prompt for question in questions]),
        settings.near_zero,
    )
