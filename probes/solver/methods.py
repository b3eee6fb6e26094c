"""List the kinds of probe by name. A new one is a function of the type `Solver`, listed here; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from ...rundir import InputError, entry_of, number_between, shown
from .closed_forms import solve_discriminant, solve_mean_difference, solve_ridge
from .design import Columns, Design, Solution
from .logistic import ROUGH_TOLERANCE, solve_logistic

Solver = Callable[[Design, Columns], Solution]


@dataclass(frozen=True, slots=True)
class Method:
    """A kind of probe: how columns are solved, and the penalties to choose from."""

    solve: Solver
    penalty_name: str
    penalties: tuple[float, ...]  # strongest first
    limits: tuple[float, float]  # the least and the greatest penalty that float32 can solve
    gives_log_odds: bool
    about: str  # a few words for lists
    solve_roughly: Solver | None = None  # as near as a mean over draws of random labels needs; None: a closed form

    def penalties_of(self, penalties: object) -> tuple[float, ...]:
        """Check the penalties to choose from.

        Args:
            penalties: Numbers within `limits`, strongest first; None means those of the kind.

        Returns:
            The penalties, in their order.

        Raises:
            InputError: It is no list of numbers, is empty, or one is out of the limits.
        """
        if penalties is None:
            return self.penalties
        if not isinstance(penalties, Iterable) or isinstance(penalties, str | bytes | Mapping):
            raise InputError(
                f"penalties takes a list of numbers, strongest first, and not {shown(penalties)}; give "
                f"{list(self.penalties)}"
            )
        numbers = tuple(
            number_between(number, f"penalties ({self.penalty_name})", *self.limits) for number in penalties
        )
        if not numbers:
            raise InputError(f"penalties names none to choose from: give None, or such as {list(self.penalties)}")
        return numbers


METHODS: dict[str, Method] = {
    "logistic": Method(
        solve_logistic,
        "C",
        (1e-3, 1e-2, 1e-1, 1.0),
        (1e-8, 1e8),
        True,
        "logistic regression, L2",
        partial(solve_logistic, tolerance=ROUGH_TOLERANCE),
    ),
    "ridge": Method(
        solve_ridge, "alpha", (1e4, 1e3, 1e2, 1e1), (1e-6, 1e12), False, "ridge regression on labels 1 and -1"
    ),
    "lda": Method(
        solve_discriminant, "shrinkage", (0.9, 0.5, 0.2, 0.05), (1e-6, 1.0), True, "linear discriminant, shrunk"
    ),
    "mean-difference": Method(solve_mean_difference, "none", (1.0,), (1e-6, 1e12), False, "mean difference"),
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
    return entry_of(METHODS, name, "unknown kind of probe {}")
