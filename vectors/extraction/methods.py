"""The ways to find directions, by name. A new one is a function of the type `ExtractionMethod`, listed here.

Every method takes activations or their moments and gives the direction of every behaviour at every layer in one call,
pointing towards the behaviour, in the units of the residual stream. What it was done with stands in `method`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError
from ..directions import Directions
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
    """behaviours: those wanted, None: all; spans of the others are negatives either way. Options have defaults."""

    def __call__(self, source: Source, *, behaviours: Sequence[str] | None = None) -> Directions: ...


@dataclass(frozen=True, slots=True)
class Method:
    """A way to find directions, and the same under resampled problems (`sample.Resampled`, with the same options)."""

    find: ExtractionMethod
    resampled: Callable[..., Float[Tensor, "n_weightings n_behaviours d_model"]]
    options: tuple[str, ...]
    words: str

    def checked(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Raises InputError for an option that the method does not have."""
        for option in options:
            if option not in self.options:
                raise InputError(f"{name} has no option {option!r}; it has {', '.join(self.options)}")
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
    """Raises InputError for a name that is not listed."""
    if name not in METHODS:
        raise InputError(f"there is no way {name!r} to find directions; there are {', '.join(METHODS)}")
    return METHODS[name]
