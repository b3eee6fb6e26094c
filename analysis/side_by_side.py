"""Probe one behaviour at every site of each block: does attention or the MLP bring what can be read of it?

The same probes as at the block's output, on the same folds, at the residual stream before and between, and on what
attention and MLP add; all sites are read in one pass. A site that some of the blocks lack is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from ..activations import Activations, Collection, Read
from ..figures import FigureTable
from ..models import LanguageModel
from ..models.find_place import places_of
from ..models.sites import BLOCK_OUTPUT, SITES, Site
from ..probes import ProbeSweep, sweep
from ..rundir import InputError
from .settings import LocateSettings

logger = logging.getLogger(__name__)

SIDE_BY_SIDE = tuple(map(Site, SITES[:5]))  # in the order of the forward pass
TITLE = "Where {} can be read: AUROC by site and layer"


def sites_of(model: LanguageModel, layers: Sequence[int]) -> list[Site]:
    """Find the sites that all of some blocks have; others are named in the log.

    Args:
        model: The model.
        layers: 0-based blocks.

    Returns:
        The sites, in the order of the forward pass.
    """
    sites = []
    for site in SIDE_BY_SIDE:
        try:
            places_of(model, layers, [site])
        except InputError as error:
            logger.info(f"left out of the sites: {error}")
        else:
            sites.append(site)
    return sites


def site_frame(
    collected: Collection[Activations],
    read: Read,
    output_sweep: ProbeSweep,
    settings: LocateSettings,
    progress: bool,
) -> pd.DataFrame:
    """Probe the behaviour of the settings at each site that was collected.

    Args:
        collected: The activations, of several sites.
        read: The read that is probed.
        output_sweep: The probes at the block's output.
        settings: Names the behaviour, and how it is probed.
        progress: Show progress bars.

    Returns:
        One row for each site and layer: site, layer, value (AUROC), low, high, n, is_best.
    """
    behaviour = str(settings.sites_of)
    rows = []
    for site in collected.sites:
        swept = output_sweep
        if site != BLOCK_OUTPUT:
            swept = sweep(
                collected.at(read, site).load(),
                behaviours=[behaviour],
                estimator=settings.estimator,
                penalties=settings.penalties,
                n_folds=settings.n_folds,
                n_bootstrap=settings.n_bootstrap,
                n_shuffles=1,
                n_permutations=1,
                seed=settings.seed,
                progress=progress,
            )
        figures, best = swept[behaviour], swept.best_layer(behaviour)
        rows += [
            {"site": str(site), "layer": layer}
            | {"value": auroc.value, "low": auroc.low, "high": auroc.high}
            | {"n": figures.n_positive, "is_best": layer == best}
            for layer, auroc in zip(swept.layers, figures.auroc, strict=True)
        ]
    return pd.DataFrame(rows)


def site_table(frame: pd.DataFrame, behaviour: str, output_sweep: ProbeSweep) -> FigureTable:
    """Tabulate the figure of the sites.

    Args:
        frame: What `site_frame` returned.
        behaviour: The behaviour.
        output_sweep: The probes at the block's output, for the caption.

    Returns:
        The table of the figure.
    """
    baseline = output_sweep[behaviour].comparison.strongest.value
    return FigureTable(
        figure="site_heatmap",
        rows=frame,
        options={
            "title": TITLE.format(behaviour),
            "caption": f"{output_sweep.caption}; ringed: best layer of each site; strongest baseline {baseline:.3f}",
        },
    )
