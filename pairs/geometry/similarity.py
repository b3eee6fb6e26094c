"""Compare what two models make of the same spans, every layer with every layer, by debiased linear CKA.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),      K = X X', L = Y Y'      (Kornblith et al. 2019)
    HSIC(K, L) = [tr K~ L~ + (1' K~ 1)(1' L~ 1) / (n-1)(n-2) - 2 (1' K~ L~ 1) / (n-2)] / n (n-3)

with K~, L~ the kernels without their diagonals: the unbiased estimator of Song et al. (2012), which is 0 on average
where nothing is shared, however wide the models are. It is computed from sums over spans, without an n x n matrix. CKA
knows no rotation and no scale. Controls: spans of one model permuted, over all and within problems. The interval of a
layer with its like leaves one problem out at a time (jackknife; Efron & Tibshirani 1993, chapter 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student

from ...rundir import brief
from ...rundir.progress import with_progress
from ...stats import Interval, mean_and_range, row_permutations
from .texts import PairActivations

Rows = Float[np.ndarray, "n_examples d_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSimilarity:
    """How alike two layers are.

    Attributes:
        layer: Block of the base.
        thinking_layer: Block of the thinking model.
        cka: Debiased CKA; an interval, 95% over problems, where the layers stand at the same depth.
        permuted: With one model's spans in another order: mean, least and greatest; NaN at other depths.
        within: The same, spans permuted within problems only: what problems alone give.
    """

    layer: int
    thinking_layer: int
    cka: Interval
    permuted: Interval
    within: Interval

    __repr__ = brief

    @property
    def is_like(self) -> bool:
        """Whether both layers stand at the same depth."""
        return self.permuted.n > 0


def layer_similarities(
    activations: PairActivations, *, n_shuffles: int, seed: int, progress: bool = False
) -> list[LayerSimilarity]:
    """Compare every layer of the base with every one of the thinking model.

    Args:
        activations: Of both models.
        n_shuffles: Permutations of each control.
        seed: Of these.
        progress: Whether progress is shown.

    Returns:
        One row for each two layers.
    """
    problems = activations.problems
    like = set(activations.layer_pairs)
    orders = [row_permutations(len(problems), n_shuffles, [seed, 7], groups) for groups in (None, problems)]
    base = {layer: Kernel(_rows(activations.base.layer(layer).numpy())) for layer in activations.base.layers}
    thinking = {
        layer: Kernel(_rows(activations.thinking.layer(layer).numpy())) for layer in activations.thinking.layers
    }
    cells = [(one, other) for one in base for other in thinking]
    nothing = Interval(float("nan"))
    rows = []
    for layers in with_progress(cells, desc="comparing layers", unit="pair", progress=progress):
        first, second = base[layers[0]], thinking[layers[1]]
        value = cka(first, second)
        controls = (nothing, nothing)
        interval = Interval(value, n=activations.n_problems)
        if layers in like:
            interval = _jackknife(value, first, second, problems)
            permuted, within = (
                mean_and_range(np.array([_permuted_cka(first, second, order) for order in some])) for some in orders
            )
            controls = permuted, within
        rows.append(
            LayerSimilarity(
                layer=layers[0], thinking_layer=layers[1], cka=interval, permuted=controls[0], within=controls[1]
            )
        )
    return rows


class Kernel:
    """A linear kernel without its diagonal, by the rows that it is made of."""

    def __init__(self, rows: Rows) -> None:
        """Hold rows.

        Args:
            rows: One for each span, float64. A constant added to all of them changes nothing.
        """
        self.rows = rows

    @cached_property
    def diagonal(self) -> Float[np.ndarray, " n_examples"]:
        """The squared norm of each row."""
        squares: Float[np.ndarray, " n_examples"] = np.einsum("ij,ij->i", self.rows, self.rows)
        return squares

    @cached_property
    def row_sums(self) -> Float[np.ndarray, " n_examples"]:
        """The sum of each row of the kernel, its diagonal left out."""
        sums: Float[np.ndarray, " n_examples"] = self.rows @ self.rows.sum(axis=0) - self.diagonal
        return sums

    @cached_property
    def norm(self) -> float:
        """The HSIC with itself."""
        return hsic(self, self)


def hsic(first: Kernel, second: Kernel, product: Float[np.ndarray, "d_first d_second"] | None = None) -> float:
    """Compute the unbiased HSIC of two kernels of the same spans.

    Args:
        first: A kernel.
        second: Another one.
        product: X' Y of their rows, where it is known already.

    Raises:
        ValueError: There are fewer than four spans, or the kernels are of different ones.
    """
    n = len(first.rows)
    if n < 4 or len(second.rows) != n:
        raise ValueError(f"an unbiased HSIC takes four rows or more, as many of each; not {n} and {len(second.rows)}")
    product = first.rows.T @ second.rows if product is None else product
    trace = float(np.sum(product * product) - first.diagonal @ second.diagonal)
    sums = float(first.row_sums.sum() * second.row_sums.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2 * float(first.row_sums @ second.row_sums) / (n - 2)) / (n * (n - 3))


def cka(first: Kernel, second: Kernel) -> float:
    """Compute the debiased CKA of two kernels; NaN where one of them holds nothing beyond noise.

    Args:
        first: A kernel.
        second: Another one of the same spans.
    """
    squares = first.norm * second.norm
    if min(first.norm, second.norm) <= 0:
        return float("nan")
    return float(hsic(first, second) / squares**0.5)


def _permuted_cka(first: Kernel, second: Kernel, order: Int[np.ndarray, " n_examples"]) -> float:
    """Compute the CKA with the second kernel's spans in another order, which leaves its norm as it is."""
    squares = first.norm * second.norm
    return float(hsic(first, Kernel(second.rows[order])) / squares**0.5) if squares > 0 else float("nan")


def _jackknife(value: float, first: Kernel, second: Kernel, problems: Int[np.ndarray, " n_examples"]) -> Interval:
    """Make the interval that leaving out one problem at a time gives."""
    numbers: Sequence[int] = np.unique(problems).tolist()
    n = len(numbers)
    left = np.array(leave_one_out(first, second, [problems != one for one in numbers]))
    error = float(np.sqrt((n - 1) / n * np.sum((left - left.mean()) ** 2)))
    half = float(student.ppf(0.975, n - 1)) * error
    return Interval(value, value - half, min(1.0, value + half), n)


def leave_one_out(first: Kernel, second: Kernel, parts: Sequence[Bool[np.ndarray, " n_examples"]]) -> list[float]:
    """Compute the CKA of parts of the spans, each from the sums of all less those of what it leaves out.

    Args:
        first: A kernel.
        second: Another one of the same spans.
        parts: Which spans stay, of each part.

    Returns:
        One CKA for each part.
    """
    pairs = ((first, second), (first, first), (second, second))
    products = [one.rows.T @ other.rows for one, other in pairs]
    values = []
    for stays in parts:
        kernels = {id(kernel): Kernel(kernel.rows[stays]) for kernel in (first, second)}
        between, own, others = (
            hsic(
                kernels[id(one)],
                kernels[id(other)],
                product - one.rows[~stays].T @ other.rows[~stays],
            )
            for (one, other), product in zip(pairs, products, strict=True)
        )
        values.append(between / (own * others) ** 0.5 if min(own, others) > 0 else float("nan"))
    return values


def _rows(activations: Float[np.ndarray, "n_examples d_model"]) -> Rows:
    """Centre rows, which changes no unbiased HSIC and saves digits."""
    rows = activations.astype(np.float64)
    centred: Rows = rows - rows.mean(axis=0)
    return centred
