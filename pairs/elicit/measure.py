"""The figures of each arm, computed from what it answered: accuracy, what it is above cheap controls, cost, robustness.

    gain      accuracy less that of the plain prompt, problems paired
    excess    accuracy less that of the strongest cheap control: in every resample the best of them
    spread    greatest less least accuracy over the wordings of the same problems

Cheap controls of an arm: the plain prompt, the majority of as many plain samples as cost at least as much, and, of
other arms than itself, the prompt to reason step by step where it costs no more. The spread of answers that do not
depend on the wording is that of a shuffle: answers to each problem are dealt anew to the wordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Bool, Float

from ...rundir import brief
from ...stats import (
    Interval,
    accuracy_difference_over_groups,
    accuracy_draws,
    accuracy_over_groups,
    bootstrap_counts,
    mean_over_groups,
    p_value_of_draws,
    percentile_ends,
    sum_by_group,
)
from .answering import GradedAnswer, Preparation
from .arm import ElicitArm, ElicitRole
from .arms import PLAIN, STEPS
from .cost import TrainingCost, samples_for
from .off_task import Sums, loss_change, loss_off_task
from .vote import elected

N_SHUFFLES = 999
AMONG = 0.95  # level of an interval; that of several arms together is Bonferroni's

Solved = Bool[np.ndarray, " n_questions"]
Worded = Float[np.ndarray, "n_questions n_wordings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitFigures:
    """One arm; intervals are 95%, over problems, those of losses over texts.

    Attributes:
        arm: Its name.
        role: What it is.
        note: What was chosen as it was prepared.
        n: Questions.
        accuracy: Share right.
        gain: Accuracy less that of the plain prompt.
        excess: Accuracy less that of the strongest cheap control.
        excess_among: The same with an interval that holds for all arms together.
        control: Which control that is.
        control_accuracy: Its accuracy.
        control_samples: Plain samples of the majority that stands beside the arm.
        is_matched: Whether these cost as much as the arm does.
        control_truncated: Share of the controls' responses that were cut off.
        unsure: Share of responses whose grade cannot be told; they count as not right.
        truncated: Share of responses that were cut off.
        calls: A response.
        prompt_tokens: A response.
        output_tokens: A response.
        passes: Forward passes a response.
        prompt_flops: A response.
        output_flops: A response.
        flops: Both together.
        training: What it learnt from.
        needs_thinking: Whether it is made of the thinking model or its responses, whose training comes on top.
        loss: Off the task, nats a token.
        loss_change: Less the base's.
        spread: Over wordings; NaN where there is one wording.
        spread_shuffled: Mean spread of shuffled answers.
        spread_p: Share of shuffles that spread as much.
        by_wording: Accuracy under each wording.
        n_reworded: Questions that were put in all wordings.
    """

    arm: str
    role: ElicitRole
    note: str
    n: int
    accuracy: Interval
    gain: Interval
    excess: Interval
    excess_among: Interval
    control: str
    control_accuracy: Interval
    control_samples: int
    is_matched: bool
    control_truncated: float
    unsure: float
    truncated: Interval
    calls: float
    prompt_tokens: Interval
    output_tokens: Interval
    passes: Interval
    prompt_flops: Interval
    output_flops: Interval
    flops: Interval
    training: TrainingCost
    needs_thinking: bool
    loss: Interval
    loss_change: Interval
    spread: Interval
    spread_shuffled: float
    spread_p: float
    by_wording: tuple[float, ...]
    n_reworded: int

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPoint:
    """The majority of so many plain samples."""

    n_samples: int
    accuracy: Interval
    flops: float  # a problem

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """An arm that leaves the weights alone, less one that changes them; problems (texts) paired."""

    timing: str
    weights: str
    accuracy: Interval
    flops: Interval  # a response
    loss: Interval  # off the task, nats a token
    spread: Interval  # over wordings

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmRecord:
    """What was logged of an arm.

    Attributes:
        arm: The arm.
        preparation: What it learnt from.
        needs_thinking: Whether it is made of the thinking model or its responses.
        answers: To each question, sample by sample, in the usual words.
        reworded: To the first questions, wording by wording, the usual one among them.
        nats: Of each text off the task.
        n_tokens: Of each text.
    """

    arm: ElicitArm
    preparation: Preparation
    needs_thinking: bool
    answers: Sequence[Sequence[GradedAnswer]]
    reworded: Sequence[Sequence[GradedAnswer]]
    nats: Sums
    n_tokens: Sums

    __repr__ = brief

    @property
    def solved(self) -> Solved:
        """Whether the first answer to each question is right."""
        return np.array([samples[0].is_solved is True for samples in self.answers])

    @property
    def flops(self) -> Float[np.ndarray, " n_questions"]:
        """Of the first answer to each question."""
        return np.array([samples[0].cost.flops for samples in self.answers])

    @property
    def worded(self) -> Worded:
        """Whether the answer to each question in each wording is right."""
        return np.array([[one.is_solved is True for one in some] for some in self.reworded], dtype=float)


def majority(plain: ArmRecord, n_samples: int) -> Solved:
    """Let so many samples of the plain prompt vote on each question.

    Args:
        plain: The arm of the plain prompt.
        n_samples: How many of its samples, from the first on.

    Returns:
        Whether the response that is elected is right.
    """
    return np.array(
        [samples[elected([one.ballot for one in samples[:n_samples]])].is_solved is True for samples in plain.answers]
    )


def control_curve(plain: ArmRecord, problems: Sequence[str]) -> tuple[ControlPoint, ...]:
    """Estimate what the majority of 1, 2, 4, ... plain samples reaches.

    Args:
        plain: The arm of the plain prompt.
        problems: Of each question.

    Returns:
        A point for each number of samples.
    """
    most = len(plain.answers[0])
    sizes = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
    prompt, output = plain_flops(plain)
    return tuple(
        ControlPoint(
            n_samples=n,
            accuracy=accuracy_over_groups(majority(plain, n).astype(float), problems),
            flops=prompt + n * output,
        )
        for n in sizes
    )


def plain_flops(plain: ArmRecord) -> tuple[float, float]:
    """Average the FLOPs of the plain prompt: of reading it, and of one sample's output over all samples."""
    costs = [one.cost for samples in plain.answers for one in samples]
    return float(np.mean([one.prompt_flops for one in costs])), float(np.mean([one.output_flops for one in costs]))


def measure_arms(records: Mapping[str, ArmRecord], problems: Sequence[str]) -> tuple[ElicitFigures, ...]:
    """Measure every arm.

    Args:
        records: Arm -> what was logged; the plain prompt is among them.
        problems: Of each question; the questions of one are resampled together.

    Returns:
        Figures in the order of the arms.
    """
    n_compared = max(1, len(records) - 1)
    return tuple(_figures(record, records, problems, n_compared) for record in records.values())


def _figures(
    record: ArmRecord, records: Mapping[str, ArmRecord], problems: Sequence[str], n_compared: int
) -> ElicitFigures:
    plain, solved = records[PLAIN], record.solved.astype(float)
    own = [samples[0] for samples in record.answers]
    most = len(plain.answers[0])
    n_needed = samples_for(float(record.flops.mean()), *plain_flops(plain))
    n_samples = min(n_needed, most)
    controls = _controls(record, records, n_samples)
    draws = accuracy_draws([solved, *(of_control for of_control, _ in controls.values())], problems)
    best = max(controls, key=lambda name: float(controls[name][0].mean()))
    value = float(solved.mean() - controls[best][0].mean())
    excess = draws[:, 0] - draws[:, 1:].max(axis=1)
    n_problems = len(set(problems))

    def mean(values: Sequence[float]) -> Interval:
        return mean_over_groups(np.array(values, dtype=float), groups=problems)

    spread, shuffled, p = _spread(record.worded, problems[: len(record.reworded)])
    return ElicitFigures(
        arm=record.arm.name,
        role=record.arm.role,
        note=record.preparation.note,
        n=len(solved),
        accuracy=accuracy_over_groups(solved, problems),
        gain=accuracy_difference_over_groups(solved, plain.solved.astype(float), problems),
        excess=Interval(value, *percentile_ends(excess), n_problems),
        excess_among=Interval(value, *percentile_ends(excess, 1 - (1 - AMONG) / n_compared), n_problems),
        control=best,
        control_accuracy=accuracy_over_groups(controls[best][0], problems),
        control_samples=n_samples,
        is_matched=n_needed <= most,
        control_truncated=max(truncated for _, truncated in controls.values()),
        unsure=float(np.mean([one.is_solved is None for one in own])),
        truncated=mean([one.is_truncated for one in own]),
        calls=float(np.mean([one.cost.calls for one in own])),
        prompt_tokens=mean([one.cost.prompt_tokens for one in own]),
        output_tokens=mean([one.cost.output_tokens for one in own]),
        passes=mean([one.cost.passes for one in own]),
        prompt_flops=mean([one.cost.prompt_flops for one in own]),
        output_flops=mean([one.cost.output_flops for one in own]),
        flops=mean([one.cost.flops for one in own]),
        training=record.preparation.training,
        needs_thinking=record.needs_thinking,
        loss=loss_off_task(record.nats, record.n_tokens),
        loss_change=loss_change(record.nats, record.n_tokens, plain.nats, plain.n_tokens),
        spread=spread,
        spread_shuffled=shuffled,
        spread_p=p,
        by_wording=tuple(record.worded.mean(axis=0).tolist()),
        n_reworded=len(record.reworded),
    )


def _controls(
    record: ArmRecord, records: Mapping[str, ArmRecord], n_samples: int
) -> dict[str, tuple[Float[np.ndarray, " n_questions"], float]]:
    """Name the cheap controls of an arm: what each made of every question, and its share of open responses."""
    plain = records[PLAIN]
    cut = _share_open([one for samples in plain.answers for one in samples[:n_samples]])
    controls = {"plain": (plain.solved.astype(float), cut)}
    if n_samples > 1:
        controls[f"majority of {n_samples}"] = (majority(plain, n_samples).astype(float), cut)
    steps = records.get(STEPS)
    if steps is not None and record.arm.name not in (PLAIN, STEPS) and steps.flops.mean() <= record.flops.mean():
        controls[STEPS] = (steps.solved.astype(float), _share_open([samples[0] for samples in steps.answers]))
    return controls


def _share_open(answers: Sequence[GradedAnswer]) -> float:
    """The share of answers that may be right for all that is known: cut off, or not to be told."""
    return float(np.mean([one.is_truncated or one.is_solved is None for one in answers]))


def compare_arms(records: Mapping[str, ArmRecord], problems: Sequence[str]) -> tuple[ArmComparison, ...]:
    """Compare each arm that leaves the weights alone with each that changes them.

    Args:
        records: Arm -> what was logged.
        problems: Of each question.

    Returns:
        A row for each two.
    """
    timing = [record for record in records.values() if record.arm.role == "timing"]
    weights = [record for record in records.values() if record.arm.role == "weights"]
    return tuple(_comparison(one, other, problems) for one in timing for other in weights)


def _comparison(one: ArmRecord, other: ArmRecord, problems: Sequence[str]) -> ArmComparison:
    groups = problems[: len(one.reworded)]
    first, second = (_spread_draws(record.worded, groups) for record in (one, other))
    difference = spread_of(one.worded) - spread_of(other.worded)
    return ArmComparison(
        timing=one.arm.name,
        weights=other.arm.name,
        accuracy=accuracy_difference_over_groups(one.solved.astype(float), other.solved.astype(float), problems),
        flops=mean_over_groups(one.flops - other.flops, groups=problems),
        loss=loss_change(one.nats, one.n_tokens, other.nats, other.n_tokens),
        spread=Interval(difference, *percentile_ends(first - second), len(set(groups)))
        if one.worded.shape[1] > 1
        else Interval(nan, n=len(set(groups))),
    )


def spread_of(worded: Worded) -> float:
    """Compute the greatest less the least accuracy over wordings."""
    accuracies = worded.mean(axis=0)
    return float(accuracies.max() - accuracies.min())


def _spread(worded: Worded, problems: Sequence[str]) -> tuple[Interval, float, float]:
    """Estimate the spread over wordings; the mean spread of shuffled answers, and the share that spread as much."""
    n = len(set(problems))
    if worded.shape[1] < 2:
        return Interval(nan, n=n), nan, nan
    value = spread_of(worded)
    random = np.random.default_rng(0)
    shuffled = np.array([spread_of(random.permuted(worded, axis=1)) for _ in range(N_SHUFFLES)])
    ends = percentile_ends(_spread_draws(worded, problems))
    return Interval(value, *ends, n), float(shuffled.mean()), float(p_value_of_draws(value, shuffled))


def _spread_draws(worded: Worded, problems: Sequence[str]) -> Float[np.ndarray, " n_resamples"]:
    if worded.shape[1] < 2:
        return np.array([nan])
    sums = sum_by_group(np.concatenate([np.ones((len(worded), 1)), worded], axis=1), problems)
    totals = bootstrap_counts(len(sums)) @ sums
    accuracies = totals[:, 1:] / totals[:, :1]
    spread: Float[np.ndarray, " n_resamples"] = accuracies.max(axis=1) - accuracies.min(axis=1)
    return spread
