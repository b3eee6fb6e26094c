"""Define the best layer: the one with the highest cross-validated AUROC, of one behaviour or of several on average.

`locate` and `probe` name this layer in tables, figures, results and the next command; `common_layer` is the same over
the mean of all behaviours. The AUROC *at* the best layer is chosen on the folds that it is reported on; the number to
report is the nested one.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def best_slot(aurocs: Float[np.ndarray, "n_behaviours n_layers"]) -> int:
    """Find the layer with the highest AUROC, on average over behaviours.

    Args:
        aurocs: Cross-validated AUROC of each behaviour at each layer; NaN where it is not defined.

    Returns:
        The index of the layer, the first one among equals; 0 where no AUROC is defined.
    """
    is_known = ~np.isnan(aurocs).all(axis=0)
    means = np.full(aurocs.shape[1], -np.inf)
    means[is_known] = np.nanmean(aurocs[:, is_known], axis=0)
    return int(means.argmax())
