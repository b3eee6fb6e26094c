"""Estimate with intervals that cover, resample over groups, test exactly, and correct for having looked at much.

A group is what is drawn: usually the problem, whose questions, sentences and spans are alike. Which function to use:

| what you have | function |
|---|---|
| independent trials that hit or miss | `wilson_proportion` |
| trials that hit or miss, several a group | `proportion_over_groups` |
| one value a group, or several | `mean_over_groups` |
| sums above and below a line for each group | `ratio_over_groups` |
| two such ratios of the same groups | `ratio_difference_over_groups`, `ratio_quotient_over_groups` |
| how unevenly something is spread over places | `lorenz_over_groups` |
| which questions an arm solved, and their problems | `accuracy_over_groups` |
| two arms that answered the same questions | `accuracy_difference_over_groups` |
| base, thinking model and arm on the same questions | `gap_recovered_over_groups` |
| how much more of the gap one arm recovers than another | `gap_excess_over_groups` |
| the same four times, with two causes changed or not | `shapley_shares_over_groups` |
| whether two arms on the same questions differ | `sign_flip_test_over_groups` |
| whether two sets of different problems differ | `permutation_test_over_groups` |
| samples of each problem, and how many are right | `pass_at_k`, then `mean_over_groups` |
| the same at many k | `pass_curves`, `all_right_curves` |
| two curves of the same problems | `paired_curves_over_groups` |
| draws of each problem, and the least of k of them | `expected_least`, then `mean_over_groups` |
| a curve along training of each problem | `change_point_over_groups` |
| the same: does it change, and does it jump | `change_test_over_groups`, `change_shape_over_groups` |
| one curve, nothing else known | `change_point_of_series`, `change_test_of_series`, `change_shape_of_series` |
| labels of the same sentences by two annotators | `cohen_kappa_over_groups` |
| by several, all of them or with gaps | `fleiss_kappa_over_groups`, `krippendorff_alpha_over_groups` |
| two estimates of which only the intervals are known | `difference_of_intervals` |
| readings of things whose truth is known | `concordance` |
| many settings to choose from, each costly to measure | `successive_halving` |
| a figure at many layers, and its draws | `simultaneous_band` (or `maximum_quantile`), `corrected_p_values` |
| a figure, and its draws under a null | `p_value_of_draws`; `row_permutations` draws labels within groups |
| many p-values | `holm` |
| draws of a control, to show beside a figure | `mean_and_range` |
| any other figure of sums over groups | `bootstrap_counts`, `sum_by_group`, `percentile_ends` |

Each returns or makes an `Interval(value, low, high, n)`, 95% unless asked otherwise, or a p-value. "Over groups" in a
name: the interval is over other groups of the same kind, with everything else (models, sampling, probes) as it is. A
misuse raises ValueError.
"""

from .accuracy import Solved, accuracy_difference_over_groups, accuracy_draws, accuracy_over_groups
from .agreement import cohen_kappa_over_groups, fleiss_kappa_over_groups, krippendorff_alpha_over_groups
from .attempts import all_right_curves, pass_at_k, pass_curves
from .change_point import change_point_of_series, change_point_over_groups
from .change_shape import (
    Shape,
    change_shape_of_series,
    change_shape_over_groups,
    change_test_of_series,
    change_test_over_groups,
)
from .difference import difference_of_intervals
from .gap import RecoveredGap, gap_excess_over_groups, gap_recovered_over_groups
from .group_tests import GroupTest, permutation_test_over_groups, sign_flip_test_over_groups
from .halving import CellMeasure, Halving, Trial, successive_halving
from .holm_correction import holm
from .interval import Interval, mean_and_range, without_nan
from .least_of_k import expected_least
from .lorenz import Lorenz, lorenz_over_groups
from .maximum import corrected_p_values, maximum_quantile, simultaneous_band
from .ordering import concordance
from .paired_curves import PairedCurves, paired_curves_over_groups
from .permutation import p_value_of_draws, row_permutations
from .proportion import proportion_over_groups, wilson_proportion
from .ratios import mean_over_groups, ratio_difference_over_groups, ratio_over_groups, ratio_quotient_over_groups
from .resampling import LEVEL, N_RESAMPLES, Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group
from .shapley import ShapleyShares, shapley_shares_over_groups

__all__ = [
    "GroupTest",
    "Groups",
    "Halving",
    "Interval",
    "LEVEL",
    "Lorenz",
    "CellMeasure",
    "N_RESAMPLES",
    "PairedCurves",
    "RecoveredGap",
    "Seed",
    "Shape",
    "ShapleyShares",
    "Solved",
    "Trial",
    "accuracy_difference_over_groups",
    "accuracy_draws",
    "accuracy_over_groups",
    "all_right_curves",
    "bootstrap_counts",
    "cohen_kappa_over_groups",
    "change_point_of_series",
    "change_point_over_groups",
    "change_shape_of_series",
    "change_shape_over_groups",
    "change_test_of_series",
    "change_test_over_groups",
    "concordance",
    "corrected_p_values",
    "difference_of_intervals",
    "expected_least",
    "gap_recovered_over_groups",
    "holm",
    "fleiss_kappa_over_groups",
    "gap_excess_over_groups",
    "gap_recovered_over_groups",
    "krippendorff_alpha_over_groups",
    "lorenz_over_groups",
    "maximum_quantile",
    "mean_and_range",
    "mean_over_groups",
    "p_value_of_draws",
    "paired_curves_over_groups",
    "pass_at_k",
    "pass_curves",
    "percentile_ends",
    "permutation_test_over_groups",
    "proportion_over_groups",
    "ratio_difference_over_groups",
    "ratio_over_groups",
    "ratio_quotient_over_groups",
    "row_permutations",
    "shapley_shares_over_groups",
    "sign_flip_test_over_groups",
    "simultaneous_band",
    "successive_halving",
    "sum_by_group",
    "wilson_proportion",
    "without_nan",
]
