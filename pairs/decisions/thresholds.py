"""Find, on validation problems, the thresholds at which each chooser swaps as many tokens as a budget allows.

1. The writer answers alone, the other model reads along: every chooser's scores at every position. The threshold of a
   budget b is the (1 - b) quantile of the scores.
2. Swapped tokens lead to other texts, in which scores lie elsewhere. So all choosers and budgets write once more with
   these thresholds, and the quantiles of what they scored are the thresholds that are used.

How many tokens are swapped on the test problems is counted there: the budget is what was aimed at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import RunDirectory
from ...rundir.progress import ProgressBar
from ..pair import Pair, encoded
from ..sampling import Role
from .choosers import CHOOSERS
from .settings import DecisionsSettings
from .swapping import ALONE, SwapArm, SwappedText, swap

KEY = ("round", "chooser", "budget")

Cell = tuple[str, float]  # chooser and budget


def thresholds_of(
    pair: Pair, writer: Role, settings: DecisionsSettings, run: RunDirectory, progress: bool
) -> dict[Cell, float]:
    """Find the threshold of each chooser and budget.

    Args:
        pair: The models; validation problems are answered.
        writer: Which of them writes.
        settings: Budgets, sampling and rounds.
        run: Keeps `thresholds/ROLE.jsonl`, a row for each round, chooser and budget.
        progress: Whether a bar is shown.

    Returns:
        Chooser and budget -> threshold.
    """
    log = run.log(
        f"thresholds/{writer}.jsonl",
        about={"writer": writer, "problems": pair.digest},
        key=KEY,
        columns={"round": int, "chooser": str, "budget": float, "threshold": float},
    )
    cells = [(chooser, budget) for chooser in CHOOSERS for budget in settings.budgets]
    thresholds: dict[Cell, float] = {}
    n_rounds = settings.n_rounds + 1
    with ProgressBar(desc=f"{pair.name}: thresholds, {writer}", unit="round", total=n_rounds, progress=progress) as bar:
        for number in range(n_rounds):
            if log.missing([(number, *cell) for cell in cells]):
                renewed = _round(pair, writer, settings, cells, thresholds)
                log.add(
                    [
                        {"round": number, "chooser": chooser, "budget": budget, "threshold": threshold}
                        for (chooser, budget), threshold in renewed.items()
                        if (number, chooser, budget) not in log
                    ]
                )
            thresholds = {cell: float(log[number, *cell]["threshold"]) for cell in cells}
            bar.update(1)
    return thresholds


def threshold_for(scores: Float[Tensor, " n"], budget: float) -> float:
    """Find the score that a share of the positions exceeds.

    Args:
        scores: Of all positions, one or more.
        budget: The share.

    Returns:
        The least score that no more than this share is above; ties at it are not swapped.
    """
    ordered = scores.sort(descending=True).values
    return float(ordered[min(round(budget * len(ordered)), len(ordered) - 1)])


def _round(
    pair: Pair, writer: Role, settings: DecisionsSettings, cells: Sequence[Cell], before: Mapping[Cell, float]
) -> dict[Cell, float]:
    """Write with the thresholds of the round before, or alone in the first one, and set them anew."""
    names = list(CHOOSERS)
    arms = [SwapArm(chooser, before[chooser, budget]) for chooser, budget in cells] if before else [ALONE]
    n_questions = len(pair.validation)
    prompts = encoded(pair, pair.validation)
    texts, _ = swap(
        pair,
        writer,
        (prompts[0] * len(arms), prompts[1] * len(arms)),
        [arm for arm in arms for _ in range(n_questions)],
        settings.sampling,
        numbers=[*range(n_questions)] * len(arms),
        seed=settings.seed,
        n_rows=settings.n_rows,
    )
    thresholds = {}
    for place, (chooser, budget) in enumerate(cells):
        some = texts[place * n_questions : (place + 1) * n_questions] if before else texts
        thresholds[chooser, budget] = threshold_for(_scores(some)[:, names.index(chooser)], budget)
    return thresholds


def _scores(texts: Sequence[SwappedText]) -> Float[Tensor, "n_tokens n_choosers"]:
    return torch.cat([text.scores for text in texts])
