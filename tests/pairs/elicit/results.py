"""A result made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from reasonlens.pairs.elicit import (
    ArmComparison,
    ControlPoint,
    ElicitFigures,
    ElicitResult,
    ElicitSettings,
    TrainingCost,
)
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"


def about(value: float, width: float = 0.05, n: int = 100) -> Interval:
    return Interval(value, value - width, value + width, n)


PLAIN = ElicitFigures(
    arm="plain",
    role="prompt",
    note="",
    n=100,
    accuracy=about(0.2),
    gain=about(0.0, 0.0),
    excess=about(0.0, 0.0),
    excess_among=about(0.0, 0.0),
    control="plain",
    control_accuracy=about(0.2),
    control_samples=1,
    is_matched=True,
    control_truncated=0.0,
    unsure=0.0,
    truncated=about(0.01, 0.01),
    calls=1.0,
    prompt_tokens=about(50.0, 0.0),
    output_tokens=about(200.0, 9.0),
    passes=about(200.0, 9.0),
    prompt_flops=about(8e7, 0.0),
    output_flops=about(3e8, 1e7),
    flops=about(4e8, 1e7),
    training=TrainingCost(),
    needs_thinking=False,
    loss=about(0.9, n=20),
    loss_change=about(0.0, 0.0, n=20),
    spread=about(0.05),
    spread_shuffled=0.05,
    spread_p=0.5,
    by_wording=(0.2, 0.25, 0.22),
    n_reworded=50,
)


def arm(name: str, role: str, accuracy: float, excess: float, **changes: object) -> ElicitFigures:
    """Figures of an arm that is surely above its control where `excess` is above 0.05."""
    figures = replace(
        PLAIN,
        arm=name,
        role=role,  # type: ignore[arg-type]
        accuracy=about(accuracy),
        gain=about(accuracy - 0.2),
        excess=about(excess),
        excess_among=about(excess),
        control="majority of 3",
        training=TrainingCost(n_problems=10, n_examples=100, flops=1e12, about="counted"),
    )
    return replace(figures, **changes)  # type: ignore[arg-type]


def comparison(timing: str, weights: str, **changes: Interval) -> ArmComparison:
    row = ArmComparison(
        timing=timing,
        weights=weights,
        accuracy=about(0.0, 0.03),
        flops=about(2e8, 1e7),
        loss=about(-0.2),
        spread=about(0.0),
    )
    return replace(row, **changes)


def elicit_result() -> ElicitResult:
    """Five arms, one of them with a hostile note and a training of which nothing is known."""
    arms = (
        PLAIN,
        arm("step-by-step", "prompt", 0.25, 0.02, note=EVIL),
        arm("steering", "timing", 0.35, 0.1, flops=about(6e8, 1e7)),
        arm("one-example", "weights", 0.4, 0.15),
        arm(
            "thinking",
            "weights",
            0.5,
            0.3,
            training=TrainingCost(n_problems=None, n_examples=None, flops=nan, about=EVIL),
            spread=about(0.1),
        ),
    )
    return ElicitResult(
        base=EVIL,
        thinking=EVIL,
        arms=arms,
        control=tuple(ControlPoint(n_samples=n, accuracy=about(0.2 + 0.01 * n), flops=4e8 * n) for n in (1, 2, 4)),
        comparisons=tuple(comparison("steering", name) for name in ("one-example", "thinking")),
        refused={"hybrid": EVIL},
        settings=ElicitSettings(),
    )
