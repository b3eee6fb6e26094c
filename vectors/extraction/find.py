"""Find directions by the name of a method, from activations, moments or their files, with how stable they are.

Activations name their problems, so that these can be resampled (`bootstrap.py`) and the content that differs between
them removed (`content.py`). Moments do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...activations import Activations, Collection, Moments, Read
from ...activations.collection import choose_place
from ...activations.moments.window_sum import FILE
from ...models.sites import Site
from ...rundir import InputError, expanded, nearest_file
from .._directions import Directions
from .bootstrap import bootstrap_stability
from .content import project_out_content
from .methods import method_named
from .source import Source, at_layers

N_RESAMPLES = 200


def find_directions(
    source: Source | str | Path,
    *,
    method: str = "mean-difference",
    layers: str | Sequence[int] = "all",
    behaviours: Sequence[str] | None = None,
    n_resamples: int | None = None,
    remove_content: float = 0,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Directions:
    """Find the direction of every behaviour at every layer.

    Args:
        source: Activations or moments, or where `collect` wrote them.
        method: A name in `METHODS`.
        layers: Layers that were collected, or a text such as "0,4,10:20:2".
        behaviours: The behaviours to find directions for; None means all.
        n_resamples: Bootstrap resamples of the problems, for how stable the directions are; 0 draws none. None means
            200 of activations and none of moments.
        remove_content: How many content components to project out (4), or the share of their variance (0.5).
        seed: Seed of the resamples.
        progress: Show a progress bar over layers.
        **options: Options of the method.

    Returns:
        The directions, with their scores.

    Raises:
        InputError: The file, the method, an option, a layer or a behaviour does not exist, or moments are to be
            resampled.
    """
    source = open_source(source)
    if remove_content >= 1 and remove_content != int(remove_content):
        raise InputError(
            f"the content to remove is a count (4) or a share below 1 (0.5), and {remove_content} is neither"
        )
    content = int(remove_content) if remove_content >= 1 else remove_content
    extraction = method_named(method)
    extraction.check_options(method, options)
    source = at_layers(source, layers)
    if not isinstance(source, Activations):
        if n_resamples or content:
            raise InputError("moments keep no problems: to resample them or remove content, collect --keep activations")
        return extraction.find(source, behaviours=behaviours, **options)
    if n_resamples == 0:
        directions = extraction.find(source, behaviours=behaviours, **options)
        return project_out_content(directions, source, n_components=content) if content else directions
    return bootstrap_stability(
        source,
        method=method,
        behaviours=behaviours,
        n_resamples=N_RESAMPLES if n_resamples is None else n_resamples,
        remove_content=content,
        seed=seed,
        progress=progress,
        **options,
    )


def open_source(
    source: Source | Collection[Activations] | Collection[Moments] | str | Path,
    read: Read | str | None = None,
    site: Site | str | None = None,
) -> Source:
    """Take activations or moments, choose them in a collection, or open what `collect` wrote.

    Args:
        source: Activations or moments, a collection of either, or a directory or file of them.
        read: Which read, where there are several.
        site: Which site, likewise.

    Returns:
        Activations or moments; nothing large is read yet.

    Raises:
        InputError: There is neither at the path, the file is damaged, or it holds another read, or several.
    """
    if isinstance(source, Activations | Moments):
        choose_place([source.read], [source.site], read, site, "what was collected")
        return source
    if isinstance(source, Collection):
        return source.at(read, site)
    if not isinstance(source, str | Path):
        raise InputError(
            f"{source!r:.60} ({type(source).__name__}) holds no activations; give what `collect` returned or wrote. Of "
            "traces, collect them first: collect(model, traces)"
        )
    path = expanded(source)
    if not path.exists():
        raise InputError(
            f"there is nothing at {path}; `reasonlens collect --out {path}` collects activations.{nearest_file(path)}"
        )
    if path.is_dir() and (path / FILE).is_file():
        return Moments.open(path, read=read, site=site)
    try:
        return Activations.open(path, read=read, site=site)
    except InputError as error:
        if path.is_dir():
            raise
        try:
            return Moments.open(path, read=read, site=site)
        except InputError:
            raise error from None
