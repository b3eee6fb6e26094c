"""Hold a cross-validated AUROC with all that its interval needs, and compare it with another on the same spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ...rundir import brief
from ...stats import LEVEL, Interval
from ._concordance import Matrix, auroc, auroc_draws, concordance
from .expected import FEWEST_PAIRS, Error, expected_auroc, expected_difference, widened


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossValidated:
    """A cross-validated AUROC, in every resample of the problems, and with one more fold left out of the training."""

    value: float
    draws: Float[np.ndarray, " n_resamples"]  # the fitted probes as they are
    changes: Float[np.ndarray, " n_folds"]  # `expected.training_changes`
    n: int  # problems with an example, or those without one, whichever are fewer
    n_pairs: int  # of an example and one without, inside the folds
    n_problems: int  # that were resampled

    __repr__ = brief

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, " n_examples"],
        positive: Bool[np.ndarray, " n_examples"],
        problems: Int[np.ndarray, " n_examples"],
        folds: Int[np.ndarray, " n_examples"],
        counts: Matrix,
        changes: Float[np.ndarray, " n_folds"] | None = None,
        included: Bool[np.ndarray, " n_examples"] | None = None,
    ) -> CrossValidated:
        """Compute the AUROC of out-of-fold scores.

        Args:
            scores: Out-of-fold score of each example.
            positive: Whether the example shows the behaviour.
            problems: The problem of each example, as a number.
            folds: The fold of each example.
            counts: How often each problem is in each resample (`stats.bootstrap_counts`).
            changes: Changes of the AUROC if one more fold is left out of the training; None: nothing was trained.
            included: The examples to compare; None means all.

        Returns:
            The AUROC.
        """
        pairs = concordance(scores, positive, problems, folds, included)
        compared = np.ones(len(scores), dtype=bool) if included is None else included
        return cls(
            value=auroc(pairs),
            draws=auroc_draws(pairs, counts),
            changes=np.zeros(1) if changes is None else changes,
            n=min(len(np.unique(problems[compared & shown])) for shown in (positive, ~positive)),
            n_pairs=int(sum(fold.n_pairs for fold in pairs)),
            n_problems=counts.shape[1],
        )

    @property
    def error(self) -> Error:
        """The standard error of the AUROC."""
        return Error.of(self.draws, self.changes, self.n_problems)

    @property
    def is_enough(self) -> bool:
        """Whether there are enough pairs for an interval."""
        return self.n_pairs >= FEWEST_PAIRS

    @property
    def widening(self) -> float:
        """How much longer an interval is than that of the draws alone; 1 where these do not vary."""
        alone = Error.of(self.draws, np.zeros(1), self.n_problems).distance()
        return self.error.distance() / alone if alone else 1.0

    def interval(self) -> Interval:
        """Return the AUROC with the interval of what the procedure reaches on average on fresh problems."""
        return self.band(1.0)

    def band(self, stretch: float) -> Interval:
        """Return the AUROC with its interval, made longer.

        Args:
            stretch: How many times as long, on the probit scale.

        Returns:
            The AUROC; NaN ends with too few problems or pairs.
        """
        if not self.is_enough:
            return Interval(self.value, n=self.n)
        return expected_auroc(self.value, stretch * self.error.distance(), self.n)

    def widened_as(self, trained: CrossValidated) -> Interval:
        """Estimate with an interval that is widened as that of the AUROC of the same probes on all spans.

        Args:
            trained: That AUROC.

        Returns:
            The AUROC; NaN ends with too few problems or pairs.
        """
        if not self.is_enough:
            return Interval(self.value, n=self.n)
        return widened(self.value, self.draws, trained.widening, self.n)

    def minus(self, other: CrossValidated, level: float = LEVEL) -> Interval:
        """Subtract another AUROC on the same spans and folds.

        Args:
            other: The AUROC to subtract.
            level: Of the interval.

        Returns:
            The difference with its interval, paired over problems; NaN ends with too few problems or pairs.
        """
        if not self.is_enough:
            return Interval(self.value - other.value, n=self.n)
        error = Error.of(self.draws - other.draws, self.changes - other.changes, self.n_problems)
        return expected_difference(self.value - other.value, error.distance(level), self.n)
