"""Directions and probes along steps: against the directions of the package, a planted turn, and no turn."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, sin

import numpy as np
import pytest
import torch

from reasonlens import mean_difference_directions
from reasonlens.pairs.dynamics.curve import ANGLE, ANGLE_LAST, NORM, TRANSFER
from reasonlens.pairs.dynamics.reading import StepReading, angles, reading_curves

from ...probes.test_sweep import activations_of

LABELS = ["a" if n % 3 == 0 else "b" if n % 3 == 1 else "c" for n in range(360)]
PROBLEMS = [n // 12 for n in range(360)]


def step(turn: float, length: float = 3.0) -> StepReading:
    """`a` lies along a direction that turns by so many degrees from step to step; the noise is the same at all."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(360, 1, 16, generator=generator)
    direction = torch.zeros(16)
    direction[0], direction[1] = cos(radians(turn)), sin(radians(turn))
    values[:, 0] += length * torch.tensor([label == "a" for label in LABELS]).float()[:, None] * direction
    activations = activations_of(values, LABELS, PROBLEMS)
    return StepReading(activations, activations)


def test_an_angle_is_the_arc_cosine_and_exactly_0_of_equal_vectors() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 50, 8))
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert angles(one, other) == pytest.approx(np.degrees(np.arccos(cosines)))
    assert (angles(one, one) == 0).all() and angles(one, -one) == pytest.approx(180)


def test_directions_are_those_of_the_package_and_a_planted_turn_is_read() -> None:
    steps = {0: step(0), 10: step(40), 20: step(40, length=6.0)}
    curves, levels = reading_curves(steps, ["a", "b", "c"], ["a"], seed=0, progress=False)
    by_name = {(one.measure, one.series): one.values for one in curves}
    for number, reading in enumerate(steps.values()):
        directions = mean_difference_directions(reading.directed)
        for name in ("a", "b", "c"):
            length = float(directions.vectors[name][0].norm() / reading.directed.residual_norm[0])
            assert by_name[NORM, name][number].value == pytest.approx(length, rel=1e-5)
    first, turned, longer = by_name[ANGLE, "a"]
    assert (first.value, first.low, first.high) == (0, 0, 0)
    assert 34 < turned.low <= turned.value <= turned.high < 46
    assert by_name[ANGLE_LAST, "a"][1].value < 10 and by_name[ANGLE_LAST, "a"][2].value == 0
    assert by_name[NORM, "a"][2].low > by_name[NORM, "a"][1].high and 34 < longer.value < 46
    level = {one.measure: one.value for one in levels}
    assert level[NORM] < by_name[NORM, "a"][0].low / 3 and 0 < level[ANGLE] < 30 and level[TRANSFER] == 0.5
    home, away, _ = by_name[TRANSFER, "a"]
    assert home.value > away.value > 0.8 and home.n == 30
    assert [one.is_shown for one in curves if one.series == "b"] == [False] * 4


def test_a_probe_of_the_base_is_at_chance_where_its_direction_is_gone() -> None:
    curves, _ = reading_curves({0: step(0), 10: step(90)}, ["a"], ["a"], seed=0, progress=False)
    home, gone = next(one.values for one in curves if one.measure == TRANSFER)
    assert home.low > 0.9 and gone.low < 0.5 < gone.high + 0.05


def test_what_is_not_read_at_every_step_is_not_followed() -> None:
    whole = step(0)
    renamed = replace(whole.directed, examples=tuple(replace(one, label="b") for one in whole.directed.examples))
    curves, levels = reading_curves({0: whole, 10: StepReading(renamed, renamed)}, ["a"], ["a"], seed=0, progress=False)
    assert curves == () and levels == () and reading_curves({}, ["a"], ["a"], seed=0, progress=False) == ((), ())
