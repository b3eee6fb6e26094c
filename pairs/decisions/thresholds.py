"""Find, on validation problems, the thresholds at which divergence meets a budget and controls change as many tokens.

1. The writer answers alone, the other model reads along: every chooser's scores at every position. The threshold of
   divergence at a budget b is the (1 - b) quantile of its scores. Of the tokens that are then swapped, a share c of all
   tokens is changed: the others are what the writer would have said too.
2. A control is to change as many. Its threshold is the score that c of all positions exceed at which the two models
   say different tokens; so random positions are a random part of the changes that all of the other model's tokens make.
3. Swapped tokens lead to other texts, in which scores lie elsewhere. So all choosers and budgets write once more with
   these thresholds, and what they scored gives the thresholds that are used.

Matched by tokens swapped, random positions changed a third of what divergence did, and were beaten for that alone. How
many tokens are swapped and changed on the test problems is counted there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...rundir import RunDirectory
from ...rundir.progress import ProgressBar
from ..pair import Pair, encoded
from ..sampling import Role
from .choosers import CHOOSERS, CONTROLS, TESTED
from .settings import DecisionsSettings
from .swapping import ALONE, COLUMNS, SwapArm, swap

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


def matching_threshold(scores: Float[Tensor, " n"], differs: Bool[Tensor, " n"], share_changed: float) -> float:
    """Find the score that some share of all positions exceeds at which the models say different tokens.

    Args:
        scores: Of all positions, one or more.
        differs: Whether a swap changes the token there.
        share_changed: Of all positions, that are to be changed.

    Returns:
        The least such score; where no position can be changed the highest score, so that none is swapped.
    """
    if not bool(differs.any()):
        return float(scores.max())
    of_changes = scores[differs]
    return threshold_for(of_changes, min(1.0, share_changed * len(scores) / len(of_changes)))


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
    scored: dict[Cell, tuple[Tensor, Tensor]] = {}  # score at each position, and whether a swap changes its token
    for place, (chooser, budget) in enumerate(cells):
        some = texts[place * n_questions : (place + 1) * n_questions] if before else texts
        scores = torch.cat([text.scores for text in some])[:, names.index(chooser)]
        differs = torch.cat([text.places[:, COLUMNS.index("differs")] for text in some]).bool()
        scored[chooser, budget] = scores, differs
    thresholds = {}
    for budget in settings.budgets:
        scores, differs = scored[TESTED, budget]
        thresholds[TESTED, budget] = threshold = threshold_for(scores, budget)
        share_changed = float(((scores > threshold) & differs).double().mean())
        for control in CONTROLS:
            thresholds[control, budget] = matching_threshold(*scored[control, budget], share_changed)
    return thresholds
