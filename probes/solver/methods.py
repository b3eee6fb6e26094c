"""List the kinds of probe by name. A new one is a function of the type `Solver`, listed here; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...rundir import InputError
from .closed_forms import solve_discriminant, solve_mean_difference, solve_ridge
from .design import Columns, Design, Solution
from .logistic import solve_logistic

Solver = Callable[[Design, Columns], Solution]


@dataclass(frozen=True, slots=True)
class Method:
    """A kind of probe: how columns are solved, and the penalties to choose from."""

    solve: Solver
    penalty_name: str
    penalties: tuple[float, ...]  # strongest first
    gives_log_odds: bool
    about: str  # a few words for lists


METHODS: dict[str, Method] = {
    "logistic": Method(solve_logistic, "C", (1e-3, 1e-2, 1e-1, 1.0), True, "logistic regression, L2"),
    "ridge": Method(solve_ridge, "alpha", (1e4, 1e3, 1e2, 1e1), False, "ridge regression on labels 1 and -1"),
    "lda": Method(solve_discriminant, "shrinkage", (0.9, 0.5, 0.2, 0.05), True, "linear discriminant, shrunk"),
    "mean-difference": Method(solve_mean_difference, "none", (1.0,), False, "mean difference"),
}


def method_named(name: str) -> Method:
    """Look up a kind of probe by its name.

    Args:
        name: A key of `METHODS`.

    Returns:
        The kind.

    Raises:
        InputError: There is no kind of this name.
    """
    if name not in METHODS:
        raise InputError(f"unknown kind of probe {name!r}: use {', '.join(METHODS)}")
    return METHODS[name]
