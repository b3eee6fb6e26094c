"""Activations from which a method cannot find a direction give a reason, or a zero that steering refuses: never NaN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens import Activations, InputError, Moments, directions
from reasonlens.vectors.extraction import METHODS

KINDS = ("constant", "zero", "two points", "one constant layer", "NaN", "infinity", "beyond float32")


def degenerate(activations: Activations, kind: str) -> Activations:
    values = activations.load().values.clone()
    shows_behaviour = torch.from_numpy(activations.shows("backtracking"))
    if kind in ("constant", "zero"):
        values[:] = 1.5 if kind == "constant" else 0
    elif kind == "two points":
        values[:] = torch.where(shows_behaviour, 1.0, -1.0)[:, None, None]
    elif kind == "one constant layer":
        values[:, 1] = 1.5
    elif kind == "beyond float32":
        values *= 1e30
    else:
        values[3, 1, 2] = torch.nan if kind == "NaN" else torch.inf
    return replace(
        activations,
        values=values,
        overall_mean=values.nan_to_num(0, 0, 0).mean(dim=0),
        residual_norm=torch.ones(values.shape[1]),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_method_gives_finite_directions_or_says_why_not(planted, kind: str, method: str) -> None:
    activations = degenerate(planted(n_problems=12, per_problem=6, d_model=8)[0], kind)
    options = [{"n_resamples": 0}, {"n_resamples": 10}]
    options += [{"n_resamples": 0, "rescale": True}] if method == "mean-difference" else []
    for chosen in options:
        try:
            found = directions(activations, method=method, progress=False, **chosen)
        except InputError as error:
            assert "layer" in str(error) or "shrinkage" in str(error)
            continue
        assert all(vectors.isfinite().all() for vectors in found.vectors.values())
        assert all(np.isfinite(values).all() for values in found.scores.get("backtracking", {}).values())
    if method in ("mean-difference", "lda", "ridge"):
        try:
            found = directions(Moments.of(activations, covariance=True), method=method)
        except InputError:
            return
        assert all(vectors.isfinite().all() for vectors in found.vectors.values())


def test_what_is_zero_cannot_be_rescaled_and_what_is_not_can(planted) -> None:
    activations = planted()[0]
    rescaled = directions(activations, n_resamples=0, rescale=True)
    torch.testing.assert_close(
        rescaled.vectors["doubt"].norm(dim=-1), activations.overall_mean.norm(dim=-1), rtol=1e-5, atol=0
    )
    constant = degenerate(activations, "one constant layer")
    for source in (constant, Moments.of(constant)):
        with pytest.raises(InputError, match="for 'deduction' at layer 3 is zero, and zero cannot be rescaled"):
            directions(source, rescale=True)
    zero = directions(constant, n_resamples=0)
    with pytest.raises(InputError, match="direction for 'backtracking' at layer 3 is zero"):
        zero["backtracking"].unit(3)
