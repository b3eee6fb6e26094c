"""Tabulate the figures of trained vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...figures import FigureTable
from .arms import BASE
from .cosines import Cosine
from .measure import ArmFigures

WINDOW = 9  # steps of a running mean
MEASURES = {"reward": "reward", "kl": "KL, nats a token", "norm": "norm of the vectors"}


def training_table(steps: Sequence[Mapping[str, Any]]) -> FigureTable:
    """Tabulate the course of a training.

    Args:
        steps: Rows of its log.

    Returns:
        The table.
    """
    frame = pd.DataFrame(list(steps)).sort_values("step")
    rows = [
        pd.DataFrame(
            {
                "measure": title,
                "step": frame["step"].astype(float),
                "value": frame[name].astype(float),
                "mean": frame[name].astype(float).rolling(WINDOW, center=True, min_periods=1).mean(),
            }
        )
        for name, title in MEASURES.items()
    ]
    seconds, tokens = float(frame["seconds"].sum()), int(frame["tokens"].sum())
    caption = f"{len(frame)} steps, {tokens} tokens in {seconds:.0f} s; lines: mean over {WINDOW} steps"
    return FigureTable(
        figure="training_curves",
        rows=pd.concat(rows, ignore_index=True),
        options={"title": "Reward and KL to the base while vectors are trained", "caption": caption},
    )


def arms_table(figures: Sequence[ArmFigures]) -> FigureTable:
    """Tabulate what the arms solve.

    Args:
        figures: Of all models and arms.

    Returns:
        The table.
    """
    several = len({one.model for one in figures}) > 1
    bases = {one.model: one for one in figures if one.arm == BASE}
    rows = []
    for one in figures:
        arm = f"{one.model}: {one.arm}" if several else one.arm
        shown = {"right answers": (one.accuracy, bases[one.model].accuracy.value)}
        shown["right answers in form"] = (one.in_form, bases[one.model].in_form.value)
        if one.role != "end":
            shown["share of the gain"] = (one.share_of_gain, 1.0)
            if one.gap is not None:
                shown["gap recovered"] = (one.gap, 1.0)
        rows += [
            {
                "arm": arm,
                "measure": measure,
                "role": one.role,
                "value": interval.value,
                "low": interval.low,
                "high": interval.high,
                "reference": reference if one.model == figures[0].model else float("nan"),
                "n": interval.n,
            }
            for measure, (interval, reference) in shown.items()
        ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high", "reference", "n"), float))
    caption = (
        f"n = {figures[0].accuracy.n} problems, 95% intervals over them; lines: {figures[0].model} alone, and the "
        "whole gain or gap; shares are unclipped"
    )
    options = {"title": "What trained vectors solve, and controls", "caption": caption}
    return FigureTable(figure="arm_points", rows=frame, options=options)


def cosine_table(cosines: Sequence[Cosine], d_model: int) -> FigureTable:
    """Tabulate cosines with directions of behaviours.

    Args:
        cosines: A row for each block and behaviour.
        d_model: The width.

    Returns:
        The table.
    """
    rows = pd.DataFrame(
        [{"behaviour": f"block {one.layer}", "other": one.behaviour, "cosine": one.cosine} for one in cosines]
    )
    caption = f"95% of random vectors have a cosine within {1.96 / d_model**0.5:.2f} of 0 (width {d_model})"
    return FigureTable(
        figure="cosine_heatmap",
        rows=rows,
        options={"title": "Trained vectors beside directions of behaviours", "caption": caption},
    )
