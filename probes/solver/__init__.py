"""Linear probes by the thousand: all folds, behaviours and penalties of a layer as columns of one matrix product."""

from .design import Columns, Design, Solution
from .logistic import solve_logistic, solve_multinomial

__all__ = ["Columns", "Design", "Solution", "solve_logistic", "solve_multinomial"]
