"""Fit thousands of linear probes at once: folds, behaviours and penalties of a layer are columns of one product."""

from .closed_forms import solve_discriminant, solve_mean_difference, solve_ridge
from .design import Columns, Design, Solution
from .logistic import solve_logistic, solve_multinomial
from .methods import METHODS, Method, method_named

__all__ = [
    "METHODS",
    "Columns",
    "Design",
    "Method",
    "Solution",
    "method_named",
    "solve_discriminant",
    "solve_logistic",
    "solve_mean_difference",
    "solve_multinomial",
    "solve_ridge",
]
