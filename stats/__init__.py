"""Statistics: intervals that cover, resampling over groups, exact tests and corrections.

A group is what is drawn: usually the problem, whose questions, sentences and spans are alike. Which function to use:

| what you have | function |
|---|---|
| independent trials that hit or miss | `wilson_proportion` |
| one value a group | `mean_over_groups` |
| sums above and below a line for each group | `ratio_over_groups` |
| two such ratios of the same groups | `ratio_difference_over_groups` |
| which questions an arm solved, and their problems | `accuracy_over_groups` |
| two arms that answered the same questions | `accuracy_difference_over_groups` |
| base, thinking model and arm on the same questions | `gap_recovered_over_groups` |
| two arms, questions independent of each other | `mcnemar_over_questions` |
| draws of a control, to show beside a figure | `mean_and_range` |
| any other figure that sums over groups | `bootstrap_counts`, `sum_by_group`, `percentile_ends` |
"""

from .accuracy import (
    accuracy_difference_over_groups,
    accuracy_draws,
    accuracy_over_groups,
)
from .gap import RecoveredGap, gap_recovered_over_groups
from .interval import Interval, mean_and_range
from .paired_tests import McNemar, mcnemar_over_questions
from .proportion import wilson_proportion
from .ratios import (
    mean_over_groups,
    ratio_difference_over_groups,
    ratio_over_groups,
)
from .resampling import (
    N_RESAMPLES,
    bootstrap_counts,
    percentile_ends,
    sum_by_group,
)

__all__ = [
    "N_RESAMPLES",
    "Interval",
    "McNemar",
    "RecoveredGap",
    "accuracy_difference_over_groups",
    "accuracy_draws",
    "accuracy_over_groups",
    "bootstrap_counts",
    "gap_recovered_over_groups",
    "mcnemar_over_questions",
    "mean_and_range",
    "mean_over_groups",
    "percentile_ends",
    "ratio_difference_over_groups",
    "ratio_over_groups",
    "sum_by_group",
    "wilson_proportion",
]
