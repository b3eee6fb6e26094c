"""Put parts of the thinking model's weights into the base, and measure which part of the gap each recovers.

    gap recovered by a graft = (graft - base) / (thinking - base)        of accuracies, unclipped

Parts: attention of all blocks, their MLPs, embeddings and norms, whatever else blocks hold, and all of one block. The
control of each moves the same tensors as far, in a random direction: entries of their differences shuffled, with random
signs. All of them, both ends too, are asked as the thinking model is, with the same random numbers. The graft of all
weights is the thinking model, which is checked on logits before anything is measured.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from ...activations.layers import choose_layers
from ...models import LanguageModel
from ...models.grafting import check_graftable, difference_norm, graft, permuted_graft, tensors_of
from ...models.parts import PARTS, weight_places
from ...rundir import InputError, RunDirectory, brief
from ...rundir.progress import with_progress
from ...stats import (
    Interval,
    accuracy_difference_over_groups,
    accuracy_over_groups,
    gap_recovered_over_groups,
)
from ..pair import Pair, encoded
from ..sampling import Sampler
from .settings import GeometrySettings

logger = logging.getLogger(__name__)

BASE, THINKING = "base", "thinking"
Kind = Literal["end", "part", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraftFigures:
    """What a graft solves; intervals are over problems, paired with both ends and with its control.

    Attributes:
        name: `base`, `thinking`, a part, or `block L`.
        kind: End, part or block.
        accuracy: Share of responses that are right.
        gain: Accuracy less the base's.
        gap: Share of the gap; NaN where none is shown.
        control: Accuracy of the control, over its draws; NaN for ends.
        control_gap: Share of the gap that the control recovers.
        above_control: Accuracy less the control's.
        n_weights: That are taken.
        norm_share: Norm of their differences, as a share of that of all.
    """

    name: str
    kind: Kind
    accuracy: Interval
    gain: Interval
    gap: Interval
    control: Interval
    control_gap: Interval
    above_control: Interval
    n_weights: int
    norm_share: float

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class GraftContrast:
    """By how much one graft solves more than another, on the same questions."""

    first: str
    second: str
    difference: Interval

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafts:
    """What the grafts of a pair solve.

    Attributes:
        figures: Ends, parts, blocks.
        contrasts: Between parts.
        no_gap: Why there is no gap to recover; empty where there is one.
        n_controls: Draws of each control.
        open_share: Share of the responses that were cut off or cannot be told, of the end or graft with most of them.
    """

    figures: tuple[GraftFigures, ...]
    contrasts: tuple[GraftContrast, ...]
    no_gap: str
    n_controls: int
    open_share: float  # of the responses that were cut off or cannot be told, of the end or graft with most

    LOOK = ".figures, .of(name)"
    __repr__ = brief

    def of(self, name: str) -> GraftFigures:
        """Give the figures of one graft."""
        return next(figures for figures in self.figures if figures.name == name)

    @property
    def parts(self) -> list[GraftFigures]:
        """The grafts of parts."""
        return [figures for figures in self.figures if figures.kind == "part"]


@dataclass(frozen=True, eq=False, slots=True)
class _Graft:
    name: str
    kind: Kind
    names: tuple[str, ...]  # of tensors


def planned_grafts(base: LanguageModel, layers: str = "all") -> list[tuple[str, Kind, tuple[str, ...]]]:
    """List the grafts of a model.

    Args:
        base: The model that takes weights.
        layers: Blocks that are grafted one by one.

    Returns:
        Name, kind and tensors of each; parts without a tensor are left out.
    """
    places = weight_places(base)
    grafts: list[tuple[str, Kind, tuple[str, ...]]] = [
        (part, "part", tuple(name for name, place in places.items() if place.part == part)) for part in PARTS
    ]
    for layer in choose_layers(layers, tuple(range(base.n_layers)), base.n_layers):
        names = tuple(name for name, place in places.items() if place.layer == layer)
        grafts.append((f"block {layer}", "block", names))
    return [one for one in grafts if one[2]]


def measure_grafts(pair: Pair, settings: GeometrySettings, run: RunDirectory, progress: bool) -> Grafts:
    """Let every graft, its control and both ends answer the test problems.

    Args:
        pair: Models of one architecture.
        settings: How much is sampled, blocks and draws of the control.
        run: Keeps the responses.
        progress: Whether progress is shown.

    Returns:
        What they solve.

    Raises:
        InputError: The models are of different architectures, or answers cannot be graded.
    """
    check_graftable(pair.base, pair.thinking)
    _check_whole(pair)
    planned = [_Graft(*one) for one in planned_grafts(pair.base, settings.layers)]
    groups = [question.problem for question in pair.test for _ in range(settings.sampling.n_samples)]

    open_shares: list[float] = []

    def solved(model: LanguageModel, log: str, is_control: bool = False) -> Float[np.ndarray, " n_responses"]:
        stand_in = replace(pair, thinking=model)
        sampler = Sampler(
            pair=stand_in,
            role="thinking",
            sampling=settings.sampling,
            seed=settings.seed,
            n_rows=settings.n_rows,
            log=log,
        )
        written = [response for some in sampler.responses(run, progress) for response in some]
        grades = [response.is_solved for response in written]
        if all(grade is None for grade in grades):
            raise InputError(f"{pair.name}: no answer can be graded, so no graft either: give problems with answers")
        if not is_control:
            is_open = [one.is_solved is None or (one.is_truncated and not one.is_solved) for one in written]
            open_shares.append(float(np.mean(is_open)))
        return np.array([float(grade is True) for grade in grades])

    ends = {BASE: solved(pair.base, "grafts/base"), THINKING: solved(pair.thinking, THINKING)}
    answers: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for one in with_progress(planned, desc=f"{pair.name}: grafts", unit="graft", progress=progress):
        log = f"grafts/{one.name.replace(' ', '-')}"
        own = solved(graft(pair.base, pair.thinking, one.names, f"{pair.base.name}, {one.name}"), log)
        controls = [
            solved(
                permuted_graft(pair.base, pair.thinking, one.names, f"{pair.base.name}, {one.name} permuted", seed),
                f"{log}-permuted-{seed}",
                is_control=True,
            )
            for seed in range(settings.seed, settings.seed + settings.n_controls)
        ]
        answers[one.name] = own, np.mean(controls, axis=0)
    return _figures(pair, planned, ends, answers, groups, settings, max(open_shares))


def _figures(
    pair: Pair,
    planned: list[_Graft],
    ends: dict[str, np.ndarray],
    answers: dict[str, tuple[np.ndarray, np.ndarray]],
    groups: list[str],
    settings: GeometrySettings,
    open_share: float,
) -> Grafts:
    base, thinking = ends[BASE], ends[THINKING]
    unknown = Interval(nan, n=len(set(groups)))
    total_norm = difference_norm(pair.base, pair.thinking, tuple(tensors_of(pair.base)))
    sizes = {name: tensor.numel() for name, tensor in tensors_of(pair.base).items()}

    def gap(solved: np.ndarray) -> Interval:
        return gap_recovered_over_groups(base, thinking, solved, groups).share

    figures = [
        GraftFigures(
            name=name,
            kind="end",
            accuracy=accuracy_over_groups(solved, groups),
            gain=accuracy_difference_over_groups(solved, base, groups),
            gap=gap(solved),
            control=unknown,
            control_gap=unknown,
            above_control=unknown,
            n_weights=0 if name == BASE else sum(sizes.values()),
            norm_share=float(name == THINKING),
        )
        for name, solved in ends.items()
    ]
    for one in planned:
        own, control = answers[one.name]
        norm = difference_norm(pair.base, pair.thinking, one.names)
        figures.append(
            GraftFigures(
                name=one.name,
                kind=one.kind,
                accuracy=accuracy_over_groups(own, groups),
                gain=accuracy_difference_over_groups(own, base, groups),
                gap=gap(own),
                control=accuracy_over_groups(control, groups),
                control_gap=gap(control),
                above_control=accuracy_difference_over_groups(own, control, groups),
                n_weights=sum(sizes[name] for name in one.names),
                norm_share=norm / total_norm if total_norm else nan,
            )
        )
    parts = [one.name for one in planned if one.kind == "part"]
    contrasts = [
        GraftContrast(
            first=first,
            second=second,
            difference=accuracy_difference_over_groups(answers[first][0], answers[second][0], groups),
        )
        for place, first in enumerate(parts)
        for second in parts[place + 1 :]
    ]
    return Grafts(
        figures=tuple(figures),
        contrasts=tuple(contrasts),
        no_gap=gap_recovered_over_groups(base, thinking, thinking, groups).no_gap,
        n_controls=settings.n_controls,
        open_share=open_share,
    )


@torch.inference_mode()
def _check_whole(pair: Pair) -> None:
    """Raise InputError unless the graft of all weights has the thinking model's logits, bit for bit."""
    full = graft(pair.base, pair.thinking, tuple(tensors_of(pair.base)), "all weights")
    ids = torch.tensor([encoded(pair, pair.test[:1])[1][0]], device=pair.base.device)
    own = full.model(ids).logits
    other = pair.thinking.model(ids.to(pair.thinking.device)).logits.to(own.device)
    if not torch.equal(own, other):
        raise InputError(
            f"{pair.base.name} with all weights of {pair.thinking.name} computes something else than "
            f"{pair.thinking.name}: the models differ in more than their weights, and grafts say nothing"
        )
