"""Add up the moments of one read by label, in place, where the activations are.

1. The rows of a batch are put in the order of their labels by one index, which is copied without waiting; each label is
   then a slice.
2. Comoments of all labels are there before the first batch, so that the budget of the passes knows them; batches are
   merged into them one layer at a time.
3. What goes to the host goes once a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..engine.transfer import HostCopies, to_device
from .summary import Summary, joined


@dataclass(frozen=True, eq=False)
class LabelSums:
    """The moments of one read at each site, by label and over whole stretches."""

    labels: tuple[str, ...]
    code: Int[np.ndarray, " n_spans"]  # which of the labels each span of the window has
    by_label: list[list[Summary]]  # site, label
    stretches: list[Summary]  # site

    @classmethod
    def of_none(
        cls, names: Sequence[str], n_sites: int, n_layers: int, d_model: int, covariance: bool, device: torch.device
    ) -> LabelSums:
        """Make sums of nothing, on a device.

        Args:
            names: The label of each span of the window.
            n_sites: The number of sites.
            n_layers: The number of layers.
            d_model: The width of the activations.
            covariance: Whether to add up comoments.
            device: Where.

        Returns:
            The sums.
        """
        labels = tuple(dict.fromkeys(names))
        code_of = {label: code for code, label in enumerate(labels)}
        return cls(
            labels=labels,
            code=np.array([code_of[name] for name in names], dtype=np.int64),
            by_label=[
                [Summary.of_none(n_layers, d_model, covariance=covariance, device=device) for _ in labels]
                for _ in range(n_sites)
            ],
            stretches=[Summary.of_none(n_layers, d_model, device=device) for _ in range(n_sites)],
        )

    def add(self, spans: Int[np.ndarray, " n"], means: Float[Tensor, "n_sites n_layers n d_model"]) -> None:
        """Add some spans of the window."""
        if not len(spans):
            return
        codes = self.code[spans]
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(self.labels))
        stops = np.cumsum(counts).tolist()
        index = to_device(order, means.device)
        for sums, of_site in zip(self.by_label, means, strict=True):
            in_order = of_site.index_select(1, index)
            for code, (count, stop) in enumerate(zip(counts.tolist(), stops, strict=True)):
                if count:
                    sums[code] = sums[code].include(in_order[:, stop - count : stop])

    def add_stretches(
        self, means: Float[Tensor, "n_sites n_layers n_stretches d_model"], chosen: Bool[np.ndarray, " n_stretches"]
    ) -> None:
        """Add the chosen ones of some stretches."""
        if not chosen.all():
            means = means.index_select(2, to_device(np.flatnonzero(chosen), means.device))
        for slot, of_site in enumerate(means):
            self.stretches[slot] = self.stretches[slot].include(of_site)

    def on_host(self) -> tuple[list[dict[str, Summary]], list[Summary]]:
        """Copy all sums to the CPU: those by label of each site, and those of its stretches."""
        every = [summary for sums in (*self.by_label, self.stretches) for summary in sums]
        small = HostCopies().begin([tensor for one in every for tensor in (one.mean, one.m2)]).tensors()
        copies = iter(
            [
                Summary(one.count, mean, m2, None if one.comoment is None else one.comoment.cpu())
                for one, mean, m2 in zip(every, small[::2], small[1::2], strict=True)
            ]
        )
        return [{label: next(copies) for label in self.labels} for _ in self.by_label], list(copies)


def on_host(
    parts: Sequence[LabelSums], slots: Sequence[Sequence[int]]
) -> tuple[list[dict[str, Summary]], list[Summary]]:
    """Copy the sums of one read to the CPU and put the layers of several devices together.

    Args:
        parts: Sums of some layers each.
        slots: Which layers these are.

    Returns:
        The sums by label of each site, and those of its stretches.
    """
    copied = [part.on_host() for part in parts]
    if len(copied) == 1:
        return copied[0]
    by_label = [
        {label: joined([of_site[label] for of_site in of_parts], slots) for label in parts[0].labels}
        for of_parts in zip(*(by_label for by_label, _ in copied), strict=True)
    ]
    return by_label, [joined(of_parts, slots) for of_parts in zip(*(stretches for _, stretches in copied), strict=True)]
