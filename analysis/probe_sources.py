"""Probes on activations that are there already, of one source or several: tables, figures, a page, the probes to keep.

The first source is swept with all controls (`probes.sweep`); with more than one, probes are also trained on each and
tested on each (`probes.transfer`): other traces, base against thinking model, and the reverse.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..activations import Activations
from ..probes import sweep, transfer
from ..probes.folds import common_labels
from .probing import ProbeSettings, Probing

logger = logging.getLogger(__name__)


def probe_sources(
    sources: Mapping[str, Activations],
    settings: ProbeSettings,
    *,
    device: str | None = None,
    progress: bool = True,
) -> Probing:
    """Sweep the first source, and with several train on each and test on each.

    Args:
        sources: Name -> activations.
        settings: What `probe` does.
        device: Where probes are fitted.
        progress: Show progress bars.

    Returns:
        What was measured. A behaviour in too few problems for the folds is left out, which is logged.
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
    return Probing(
        source=name,
        sweep=sweep(
            first,
            behaviours=probed,
            **options,
            n_shuffles=settings.n_shuffles,
            n_permutations=settings.n_permutations,
            device=device,
        ),
        transfer=transfer(sources, behaviours=shared, **options, device=device or "cpu") if len(sources) > 1 else None,
        settings=settings,
    )
