"""Fit probes on collected activations, of one source or several.

Probes of the first source are fitted at all layers with all controls (`probes.sweep`). With more than one source,
probes of each are also tested on every other (`probes.transfer`): other traces, or base against thinking model.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..activations import Activations
from ..probes import sweep, transfer
from ..probes.folds import common_labels
from .probing import ProbeSettings, Probing
from .sentences import telling_sentences

logger = logging.getLogger(__name__)


def probe_sources(
    sources: Mapping[str, Activations],
    settings: ProbeSettings,
    *,
    device: str | None = None,
    progress: bool = True,
) -> Probing:
    """Fit probes on the first source at all layers; with several sources, test those of each on every source.

    Args:
        sources: Name -> activations.
        settings: Kind of probe, folds, controls.
        device: Where probes are fitted; None means CUDA if there is one (between sources: the CPU).
        progress: Show progress bars.

    Returns:
        AUROCs and effect sizes. A behaviour in too few problems for the folds is left out, and named in the log.
    """
    name, first = next(iter(sources.items()))
    probed, shared = settings.behaviours, settings.behaviours
    if probed is None:
        common = [set(common_labels(source.labels, source.problems, settings.n_folds)) for source in sources.values()]
        probed = tuple(behaviour for behaviour in first.behaviours if behaviour in common[0]) or first.behaviours
        shared = tuple(behaviour for behaviour in probed if behaviour in set.intersection(*common)) or None
        rare = [behaviour for behaviour in first.behaviours if behaviour not in probed]
        if rare:
            logger.info(f"not probed, in too few problems for {settings.n_folds} folds: {', '.join(rare)}")
    options: dict[str, Any] = {
        "estimator": settings.estimator,
        "penalties": settings.penalties,
        "n_folds": settings.n_folds,
        "n_bootstrap": settings.n_bootstrap,
        "seed": settings.seed,
        "progress": progress,
    }
    swept = sweep(
        first,
        behaviours=probed,
        **options,
        n_shuffles=settings.n_shuffles,
        n_permutations=settings.n_permutations,
        device=device,
    )
    return Probing(
        source=name,
        sweep=swept,
        transfer=transfer(sources, behaviours=shared, **options, device=device or "cpu") if len(sources) > 1 else None,
        injection=(),
        settings=settings,
        sentences=telling_sentences(swept, first),
    )
