"""Compare pass@k of a base and a thinking model at every k, and find where the one overtakes the other.

    D(k) = pass@k of the thinking model - pass@k of the base        crossover k* = least k with D(k) <= 0

The thinking model is surely ahead where the band of D over all k lies above 0, surely behind where it lies below. A k
can be the crossover if D(k) <= 0 is not refuted at k (lower end of k's own 95% interval at 0 or below), and D(j) > 0 at
no smaller j (upper end of the band at 0 or above). Either fails for the true k* in 2.5% of experiments, so the set
holds it in 95%. The same where k* is beyond the largest k: no j refutes D(j) > 0. (Bands over k: cf. arXiv 2609.22547.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ...rundir import InputError, brief
from ...stats import Groups, Interval, all_right_curves, paired_curves_over_groups, pass_curves
from .counts import Numbers

EVERY = 256  # up to here every k is looked at
STEP = 1.02  # beyond, each k is larger by 2%
TIE = 1e-12

Line = tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCurves:
    """The two curves of one grading, and their difference (thinking model less base), at each k.

    Attributes:
        k: Numbers of samples, ascending.
        base: pass@k of the base, with an interval of this k alone.
        base_band: The same with the band of all k.
        thinking: pass@k of the thinking model.
        thinking_band: The same with the band of all k.
        difference: pass@k of the thinking model less that of the base.
        difference_band: The same with the band of all k.
        base_all: pass^k of the base: all k samples are right.
        thinking_all: pass^k of the thinking model.
    """

    k: tuple[int, ...]
    base: Line
    base_band: Line
    thinking: Line
    thinking_band: Line
    difference: Line
    difference_band: Line
    base_all: Line
    thinking_all: Line

    LOOK = ".crossover, .crossover_set, .gain_k, .loss_k"
    __repr__ = brief

    @classmethod
    def of(
        cls,
        base: tuple[Numbers, Numbers],
        thinking: tuple[Numbers, Numbers],
        ks: Sequence[int],
        *,
        groups: Groups | None = None,
        seed: int = 0,
        n_resamples: int = 4000,
    ) -> AttemptCurves:
        """Estimate the curves.

        Args:
            base: Right samples and samples of each problem, of the base.
            thinking: The same of the thinking model.
            ks: Numbers of samples, none above the fewest of any problem.
            groups: The problem of each question; None: each is one of its own.
            seed: Of the resamples.
            n_resamples: Resamples to draw.

        Returns:
            The curves.
        """
        passed = paired_curves_over_groups(
            pass_curves(*base, ks), pass_curves(*thinking, ks), groups, seed, n_resamples
        )
        all_right = paired_curves_over_groups(
            all_right_curves(*base, ks), all_right_curves(*thinking, ks), groups, seed, n_resamples
        )
        return cls(
            k=tuple(ks),
            base=tuple(passed.first),
            base_band=tuple(passed.first_band),
            thinking=tuple(passed.second),
            thinking_band=tuple(passed.second_band),
            difference=tuple(passed.difference),
            difference_band=tuple(passed.difference_band),
            base_all=tuple(all_right.first),
            thinking_all=tuple(all_right.second),
        )

    @property
    def crossover(self) -> int | None:
        """The least k at which the base is as good as the thinking model; None: at no k that was estimated."""
        return next((k for k, point in zip(self.k, self.difference, strict=True) if point.value <= TIE), None)

    @property
    def crossover_set(self) -> tuple[int, ...]:
        """The k that can be the crossover, with 95% confidence; `crossover_may_be_beyond` belongs to the set."""
        return tuple(
            k
            for k, point, is_open in zip(self.k, self.difference, self._is_open(), strict=False)
            if is_open and not point.low > 0
        )

    @property
    def crossover_may_be_beyond(self) -> bool:
        """Whether the base may stay behind at every k that was estimated."""
        return self._is_open()[-1]

    @property
    def gain_k(self) -> tuple[int, ...]:
        """The k at which the thinking model is surely ahead, all k looked at together."""
        return tuple(k for k, band in zip(self.k, self.difference_band, strict=True) if band.low > 0)

    @property
    def loss_k(self) -> tuple[int, ...]:
        """The k at which the thinking model is surely behind."""
        return tuple(k for k, band in zip(self.k, self.difference_band, strict=True) if band.high < 0)

    @property
    def undecided_k(self) -> tuple[int, ...]:
        """The k at which neither is sure."""
        decided = {*self.gain_k, *self.loss_k}
        return tuple(k for k in self.k if k not in decided)

    def standing(self, place: int) -> str:
        """Name what is sure at a k.

        Args:
            place: Of the k in `k`.

        Returns:
            `ahead`, `behind` or `undecided`, of the thinking model.
        """
        band = self.difference_band[place]
        return "ahead" if band.low > 0 else "behind" if band.high < 0 else "undecided"

    def _is_open(self) -> list[bool]:
        """For each k whether no smaller one refutes that the thinking model is ahead; a last entry for beyond."""
        is_open = [True]
        for band in self.difference_band:
            is_open.append(is_open[-1] and not band.high < 0)
        return is_open


def attempt_numbers(least: int, chosen: Sequence[int] | None = None) -> tuple[int, ...]:
    """List the k at which curves are estimated.

    Args:
        least: The fewest samples of any problem.
        chosen: Those asked for; None: every k up to 256, beyond in steps of 2%, up to `least`.

    Returns:
        The k, ascending.

    Raises:
        InputError: A k is above the fewest samples.
    """
    if chosen is not None:
        if above := [k for k in chosen if k > least]:
            raise InputError(
                f"k = {above[0]} needs as many samples of every problem, and one has {least}: choose k up to {least}, "
                "sample more, or leave out problems with few samples (--least-samples)"
            )
        return tuple(sorted(set(chosen)))
    ks = list(range(1, min(least, EVERY) + 1))
    while ks[-1] < least:
        ks.append(min(least, round(ks[-1] * STEP)))
    return tuple(ks)


def ranges(ks: Sequence[int], among: Sequence[int]) -> str:
    """Write numbers of samples as ranges.

    Args:
        ks: Some of them.
        among: All that were looked at, ascending.

    Returns:
        Such as "1–11, 40"; "none" for none.
    """
    chosen, runs, before = set(ks), list[list[int]](), -inf
    for place, k in enumerate(among):
        if k in chosen:
            if before == place - 1:
                runs[-1][1] = k
            else:
                runs.append([k, k])
            before = place
    return ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in runs) or "none"


def line_columns(name: str, line: Line, band: Line | None = None) -> dict[str, list[float]]:
    """Lay out a line as columns of plain values.

    Args:
        name: Of the line.
        line: Its points, with intervals of each alone.
        band: The same points with the band of all k; None: there is none.

    Returns:
        `name`, `name_low`, `name_high`; with a band the ends are the band's, and those of each point alone are
        `name_point_low` and `name_point_high`.
    """
    alone = "_point" if band is not None else ""
    columns = {
        name: [point.value for point in line],
        f"{name}{alone}_low": [point.low for point in line],
        f"{name}{alone}_high": [point.high for point in line],
    }
    if band is not None:
        columns |= {f"{name}_low": [point.low for point in band], f"{name}_high": [point.high for point in band]}
    return columns


def line_of(columns: Mapping[str, Any], name: str, n: int, ends: str = "") -> Line:
    """Read a line back from columns.

    Args:
        columns: As `line_columns` names them.
        name: Of the line.
        n: Problems behind each point.
        ends: Infix of the ends: empty, or `_point`.

    Returns:
        The points.
    """
    rows = zip(columns[name], columns[f"{name}{ends}_low"], columns[f"{name}{ends}_high"], strict=True)
    return tuple(Interval.from_columns({"x": value, "x_low": low, "x_high": high}, "x", n) for value, low, high in rows)
