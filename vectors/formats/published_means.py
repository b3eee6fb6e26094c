"""Read published means of reasoning behaviours (arXiv 2506.18167): {label: {"mean": (n_layers, d_model), "count": n}}.

Row L is the output of block L. Means become mean differences here:

    against "overall":  mean(label) - mean("overall")                              the published choice
    against "others":   mean(label) - mean of all other labels' means, weighted by their counts

With `rescale` each has the norm of the mean that was subtracted, as published. Counts become `n_examples`. The mean
norm of a token's activation cannot be computed from means, so residual norms are unknown. The format cannot be written,
since directions hold no class means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError, listed
from .._directions import Directions
from ..soundness import MAX_LAYERS
from .entry import Format
from .imported import imported
from .torch_file import checked_tensor, read_torch

OVERALL = "overall"


def read(
    path: str | Path,
    *,
    behaviour: str | None = None,
    against: Literal["overall", "others"] = "overall",
    rescale: bool = False,
) -> Directions:
    """Read the means and return the mean differences of all labels except `overall`, or of `behaviour` alone."""
    path = Path(path)
    if against not in ("overall", "others"):
        raise InputError(f"means can be taken against overall or others, and not {against!r}")
    means, counts = _means_and_counts(read_torch(path), path)
    labels = [label for label in means if label != OVERALL]
    if behaviour is not None and behaviour not in labels:
        raise InputError(f"{path} has no mean for {behaviour!r:.60}; there are {listed(labels, 10)}")
    if against == "overall" and OVERALL not in means:
        raise InputError(
            f"{path} has no mean for {OVERALL!r}: take the means against the other labels (against=others)"
        )
    if against == "others" and len(labels) < 2:
        raise InputError(f"{path} has no second label to take the mean against")
    rows = {}
    for label in [behaviour] if behaviour else labels:
        if against == "overall":
            baseline = means[OVERALL]
        else:
            weights = {other: counts[other] for other in labels if other != label}
            baseline = sum((means[other] * n for other, n in weights.items()), torch.zeros(())) / sum(weights.values())
        difference = means[label] - baseline  # (n_layers, d_model)
        if rescale:
            difference = difference * (baseline.norm(dim=1) / difference.norm(dim=1))[:, None]
        rows[label] = dict(enumerate(difference.float()))
    return imported(
        rows,
        path=path,
        method=f"mean difference against {against}{', rescaled' if rescale else ''}, of published means ({path.name})",
        n_examples={label: counts[label] for label in rows},
    )


def _means_and_counts(
    content: object, path: Path
) -> tuple[dict[str, Float[Tensor, "n_layers d_model"]], dict[str, int]]:
    """Return the mean (float64) and the count of each label; raise InputError for anything else."""
    expected = f'{path} does not hold published means ({{label: {{"mean": (n_layers, d_model), "count": n}}}})'
    if not isinstance(content, dict) or not content:
        raise InputError(expected)
    means, counts = {}, {}
    for label, entry in content.items():
        if not isinstance(label, str) or not isinstance(entry, dict) or not {"mean", "count"} <= set(entry):
            raise InputError(expected)
        mean, count = checked_tensor(entry["mean"], f"the mean of {label[:80]!r}", path), entry["count"]
        if type(count) is not int or not 0 < count < 1 << 53:
            raise InputError(f"{path}: the count of {label[:80]!r} is {str(count)[:40]}, and no number of examples")
        if mean.ndim != 2 or not 0 < len(mean) <= MAX_LAYERS:
            raise InputError(f"{path}: the mean of {label[:80]!r} has the shape {tuple(mean.shape)}")
        means[label], counts[label] = mean.double(), count
    if len({mean.shape for mean in means.values()}) > 1:
        raise InputError(f"{path} holds means of different shapes")
    return means, counts


FORMAT = Format(
    name="published-means",
    about="published means of reasoning behaviours (.pt), as mean differences",
    suffix=".pt",
    index="row L of (n_layers, d_model)",
    coefficient="no tool of its own",
    read=read,
    several=True,
    options={"against": str, "rescale": bool},
)
