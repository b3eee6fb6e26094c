"""Find directions that are mostly one dimension of the residual stream, and say so.

Some models have a few dimensions whose activations are hundreds of times as large as the others'. A mean difference is
in raw units, so that such a dimension can be nearly all of it; a strength then counts mostly that dimension, and what
it does to a text is not what the same strength of another direction does. `lda` weighs each dimension by its spread.
"""

from __future__ import annotations

import logging

import torch

from .._directions import Directions

logger = logging.getLogger(__name__)

MOST = 0.5  # share of a direction's squared norm


def warn_of_single_dimensions(directions: Directions) -> None:
    """Log a warning where more than half of a direction's squared norm is in one dimension.

    Args:
        directions: The directions; those of fewer than eight dimensions are not looked at.
    """
    names = list(directions.vectors)
    squares = torch.stack([directions.vectors[name] for name in names]).double().square()
    if squares.shape[-1] < 8:
        return
    # (n_behaviours, n_layers)
    shares, dimensions = (squares / squares.sum(dim=-1, keepdim=True).clamp(min=1e-300)).max(dim=-1)
    n_single = int((shares > MOST).sum())
    if not n_single:
        return
    behaviour, index = divmod(int(shares.argmax()), shares.shape[1])
    logger.warning(
        f"{n_single} of {shares.numel()} directions are mostly one dimension of the residual stream (that of "
        f"{names[behaviour]} at layer {directions.layers[index]}: {float(shares.max()):.0%} of its squared norm is "
        f"dimension {int(dimensions[behaviour, index])}), so that a strength counts mostly that dimension; compare "
        "directions by their KL on neutral text (steer sweep --max-kl)"
    )
