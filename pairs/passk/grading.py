"""What one way of grading shows: the curves at every k, the coverage sets, and Cover@tau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...rundir import brief, from_row, to_row
from ...stats import without_nan
from .attempts import AttemptCurves, attempt_numbers, line_columns, line_of
from .counts import Matched, numbers
from .coverage import Coverage, CoverAt, cover_at
from .settings import PasskSettings

ANSWERS, STEPS = "answer right", "every step right too"
LINES = ("base", "thinking", "difference")
OF_ALL = ("base_all", "thinking_all")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Graded:
    """The estimates of one grading.

    Attributes:
        curves: pass@k of both models at each k.
        coverage: Problems by which model has a right sample of them.
        cover_at: Share of problems with at least so many right samples.
    """

    curves: AttemptCurves
    coverage: Coverage
    cover_at: tuple[CoverAt, ...]

    __repr__ = brief

    @classmethod
    def of(cls, matched: Matched, right: str, settings: PasskSettings) -> Graded:
        """Estimate everything from counts.

        Args:
            matched: Of both models.
            right: The field that counts right samples: `c` or `right_steps`.
            settings: What is estimated.

        Returns:
            The estimates.

        Raises:
            InputError: A k is above the fewest samples of any problem.
        """
        base, thinking = ((numbers(some, right), numbers(some, "n")) for some in (matched.base, matched.thinking))
        groups = matched.groups
        curves = AttemptCurves.of(
            base,
            thinking,
            attempt_numbers(matched.least, settings.ks),
            groups=groups,
            seed=settings.seed,
            n_resamples=settings.n_resamples,
        )
        return cls(
            curves=curves,
            coverage=Coverage.of(base, thinking, groups, settings.seed),
            cover_at=cover_at(base, thinking, settings.taus, groups, settings.seed),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the curves are columns, one entry a k, with None for NaN."""
        curves = self.curves
        columns: dict[str, list[float]] = {}
        for name in LINES:
            columns |= line_columns(name, getattr(curves, name), getattr(curves, f"{name}_band"))
        for name in OF_ALL:
            columns |= line_columns(name, getattr(curves, name))
        coverage = to_row(self.coverage)
        return {
            "k": list(curves.k),
            **{name: [without_nan(value) for value in values] for name, values in columns.items()},
            "crossover": curves.crossover,
            "crossover_set": list(curves.crossover_set),
            "crossover_may_be_beyond": curves.crossover_may_be_beyond,
            "gain_k": list(curves.gain_k),
            "undecided_k": list(curves.undecided_k),
            "loss_k": list(curves.loss_k),
            **{name: coverage[name] for name in ("both", "only_base", "only_thinking", "neither")},
            "coverage": coverage,
            "cover_at": [to_row(row) for row in self.cover_at],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], n: int) -> Graded:
        """Read back what `to_dict` returned.

        Args:
            content: Plain values.
            n: Problems behind each point.

        Returns:
            The estimates; sets of k follow from the curves.
        """
        lines: dict[str, Any] = {}
        for name in LINES:
            lines[name] = line_of(content, name, n, "_point")
            lines[f"{name}_band"] = line_of(content, name, n)
        for name in OF_ALL:
            lines[name] = line_of(content, name, n)
        return cls(
            curves=AttemptCurves(k=tuple(int(k) for k in content["k"]), **lines),
            coverage=from_row(Coverage, content["coverage"]),
            cover_at=_rows(content["cover_at"]),
        )


def _rows(rows: Sequence[Mapping[str, Any]]) -> tuple[CoverAt, ...]:
    return tuple(from_row(CoverAt, row) for row in rows)
