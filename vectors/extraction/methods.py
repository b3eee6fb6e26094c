"""List the methods of finding directions by name. A new one is a function of the type `ExtractionMethod`, listed here.

Every method takes activations or their moments and returns the direction of every behaviour at every layer in one call,
pointing towards the behaviour, in the units of the residual stream. `Directions.method` says what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError, did_you_mean, entry_of
from .._directions import Directions
from ._mean_difference import mean_difference_directions, resampled_mean_difference
from .discriminant import lda_directions, resampled_lda
from .pairs import pca_directions, resampled_pca
from .probe_weights import (
    logistic_directions,
    resampled_logistic,
    resampled_ridge,
    ridge_directions,
)
from .source import Source


class ExtractionMethod(Protocol):
    """A function that finds the directions of behaviours.

    `behaviours` names those to find directions for, None means all; spans of the others are negatives either way. All
    other options have defaults.
    """

    def __call__(self, source: Source, *, behaviours: Sequence[str] | None = None) -> Directions:
        """Find the directions."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of finding directions, and the same method under resampled problems."""

    find: ExtractionMethod
    resampled: Callable[..., Float[Tensor, "n_weightings n_behaviours d_model"]]  # a `ResampledMethod` with `options`
    options: tuple[str, ...]  # names of the options that both functions take
    about: str  # a few words for lists

    def check_options(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Refuse options that the method does not have.

        Args:
            name: What the method is called, for the message.
            options: Option -> value.

        Returns:
            The same options.

        Raises:
            InputError: The method has no such option.
        """
        for option in options:
            if option not in self.options:
                raise InputError(
                    f"{name} has no option {option!r}; it has {', '.join(self.options)}."
                    f"{did_you_mean(option, self.options)}"
                )
        return options


METHODS: dict[str, Method] = {
    "mean-difference": Method(
        mean_difference_directions, resampled_mean_difference, ("against", "rescale"), "difference of class means"
    ),
    "pca": Method(pca_directions, resampled_pca, ("centred",), "principal direction of paired differences"),
    "lda": Method(lda_directions, resampled_lda, ("shrinkage",), "linear discriminant, covariance shrunk"),
    "logistic": Method(logistic_directions, resampled_logistic, ("C",), "weights of a logistic regression"),
    "ridge": Method(ridge_directions, resampled_ridge, ("alpha",), "weights of a ridge regression"),
}


def method_named(name: str) -> Method:
    """Look up a method by its name.

    Args:
        name: A key of `METHODS`.

    Returns:
        The method.

    Raises:
        InputError: There is no method of this name.
    """
    return entry_of(METHODS, name, "there is no way {} to find directions")
