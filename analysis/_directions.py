"""Find the directions of behaviours by any method, and test whether tell-tale words alone make them fire.

Directions are found from collected activations or moments, or of a model that reads traces; optimised ones through the
model. Where model and traces are at hand, tell-tale words are put before plain sentences of the traces
(`injection.py`): the method finds each direction anew without the sentence's problem. An optimised vector is tested as
it is, on problems that did not train it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..activations import Activations, Collection, Moments, Read, collect, collect_pairs
from ..activations.contrast import POSITIVE
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.identity import same_weights
from ..models.sites import BLOCK_OUTPUT
from ..probes.controls.injection_rate import InjectionRate
from ..probes.controls.known_text import is_inside
from ..probes.folds import common_labels
from ..rundir import InputError, listed, names_of, truth_of
from ..traces import PairSource, Trace, TraceSource, resolve_traces
from ..vectors import Directions, OptimisedSettings, optimised_directions
from ..vectors.extraction import Source, best_layers, find_directions, method_named, open_source
from ..vectors.extraction.single_dimension import warn_of_single_dimensions
from .injection import Detectors, inject

logger = logging.getLogger(__name__)

OPTIMISED = "optimised"
N_FOLDS = 5
NOT_RUN = "no injection control (do tell-tale words alone make a direction fire?):"


def directions(
    source: Source | Collection[Activations] | Collection[Moments] | str | Path | None = None,
    *,
    method: str = "mean-difference",
    model: ModelLike | None = None,
    traces: TraceSource | None = None,
    pairs: PairSource | None = None,
    layers: str | Sequence[int] = "all",
    read: str | None = None,
    site: str | None = None,
    behaviours: Sequence[str] | None = None,
    n_resamples: int | None = None,
    remove_content: float = 0,
    injection: bool = True,
    seed: int = 0,
    device: str | None = None,
    progress: bool = True,
    **options: Any,
) -> Directions:
    """Find the direction of every behaviour at every layer, and test whether words alone make it fire.

    Args:
        source: Activations or moments, or where `collect` wrote them. None: `model` reads `traces`; for "optimised"
            always.
        method: A name in `METHODS`, or "optimised".
        model: The model whose activations are read, or that the source is of; "optimised" searches through it.
        traces: "bundled", a file, or traces with labelled spans; with a source, those that it is of.
        pairs: In place of source and traces: contrast pairs, (positive, negative) texts or a file of them, that `model`
            reads at their last token (`read`). `behaviours` may name what the positive ones show.
        layers: 0-based blocks, or a text such as "0,4,10:20:2"; with a source, of those that were collected.
        read: Tokens of a span that are averaged where `source` is None, such as "mean" (the default) or "before:1"; of
            a source that holds several reads, which.
        site: Where in each block, such as "hook_out" (the default) or "hook_attn_out"; of a source with several, which.
        behaviours: The behaviours to find directions for; None means all.
        n_resamples: Bootstrap resamples of the problems, for how stable the directions are; 0 draws none. None means
            200 of activations, none of moments and none of optimised vectors.
        remove_content: How many content components to project out (4), or the share of their variance (0.5).
        injection: Put tell-tale words before plain sentences, and count how often the directions fire. This takes
            model and traces; without them, the log says that it was not done.
        seed: Seed of resamples, folds and sentences.
        device: Where a model that is loaded by name runs.
        progress: Show progress bars.
        **options: Options of the method; of "optimised" the fields of `OptimisedSettings`.

    Returns:
        The directions, with their scores, and in `injection` how often they fire, at the layer of `best_layers`.

    Raises:
        InputError: The source, the method, an option, a layer or a behaviour does not exist, moments are to be
            resampled, model and traces are needed or do not fit the source.
    """
    truth_of(injection, "injection")
    if pairs is not None:
        if source is not None or traces is not None or model is None or method == OPTIMISED:
            raise InputError(
                "pairs are read by a model: give --pairs and --model, no activations and no --traces, and any method "
                f"but {OPTIMISED}"
            )
        method_named(method).check_options(method, options)
        label = _name_of_pairs(behaviours)
        of_pairs = collect_pairs(
            load(model, device=device),
            pairs,
            label=label,
            layers=layers,
            read=read or "last",
            site=site or BLOCK_OUTPUT,
            progress=progress,
        )
        directions = find_directions(
            of_pairs,
            method=method,
            behaviours=[label],
            n_resamples=n_resamples,
            remove_content=remove_content,
            seed=seed,
            progress=progress,
            **options,
        )
        warn_of_single_dimensions(directions)
        return _untested(directions, injection, "contrast pairs hold no sentences to put words before")
    if (model is None) != (traces is None):
        present, missing = ("traces", "model") if model is None else ("model", "traces")
        raise InputError(f"{present} alone cannot be used: give --{missing} too (in Python {missing}=), or neither")
    if method == OPTIMISED:
        if source is not None or remove_content:
            raise InputError("optimised takes --model and --traces, no activations and no content to remove")
        if model is None or traces is None:
            raise InputError("--method optimised searches through a model: give --model and --traces")
        settings = OptimisedSettings.of(
            options,
            behaviours=None if behaviours is None else tuple(behaviours),
            n_resamples=n_resamples or 0,
            seed=seed,
        )
        handle, texts = load(model, device=device), resolve_traces(traces)
        optimised = optimised_directions(handle, texts, layers, settings, progress=progress)
        return _tested(optimised, injection, lambda: _rates_of_optimised(handle, texts, settings, optimised, progress))
    method_named(method).check_options(method, options)
    find: Callable[..., Directions] = partial(
        find_directions, method=method, behaviours=behaviours, remove_content=remove_content, seed=seed, **options
    )
    if model is None or traces is None:
        if source is None:
            raise InputError(
                f"{method} needs activations: give what `reasonlens collect --out` wrote, or --model and --traces"
            )
        directions = find(open_source(source, read, site), layers=layers, n_resamples=n_resamples, progress=progress)
        warn_of_single_dimensions(directions)
        return _untested(directions, injection, "it reads new texts; give --model and --traces of the activations")
    handle, texts = load(model, device=device), resolve_traces(traces)
    if source is None:
        where: dict[str, Any] = {"layers": layers, "read": read or "mean", "sites": site or BLOCK_OUTPUT}
        source = collect(handle, texts, **where, progress=progress)
    source = open_source(source, read, site)
    activations = source if isinstance(source, Activations) else None
    if activations is not None:
        _check_of(activations, handle, texts)
    directions = find(source, layers=layers, n_resamples=n_resamples, progress=progress)
    warn_of_single_dimensions(directions)
    if activations is None:
        return _untested(directions, injection, "moments keep no spans; collect --keep activations")
    return _tested(directions, injection, lambda: _rates(handle, texts, activations, find, directions, seed, progress))


def _name_of_pairs(behaviours: Sequence[str] | None) -> str:
    """Return what the positive prompts of pairs show, by the names that a user gave."""
    names = POSITIVE if behaviours is None else names_of(behaviours, "behaviours")
    if not isinstance(names, str) and len(names) != 1:
        raise InputError(
            f"pairs show one behaviour, and {len(names)} are named: {listed(names)}; give one (--behaviours)"
        )
    return names if isinstance(names, str) else names[0]


def _tested(directions: Directions, is_wanted: bool, rates: Callable[[], Sequence[InjectionRate]]) -> Directions:
    """Add the rates, if they are wanted and can be had; else the log says why not."""
    if not is_wanted or not is_inside(Read.parse(directions.read)):
        return _untested(directions, is_wanted, "")
    try:
        return replace(directions, injection=tuple(rates()))
    except InputError as error:  # words that the model cannot read, say: the directions are none the worse
        return _untested(directions, is_wanted, str(error))


def _untested(directions: Directions, is_wanted: bool, reason: str) -> Directions:
    """Log why directions have no rates."""
    if is_wanted:
        if not is_inside(Read.parse(directions.read)):
            reason = f"the read {directions.read} ends before the span, and takes none of its words"
        logger.info(f"{NOT_RUN} {reason}")
    return directions


def _rates(
    model: LanguageModel,
    traces: Sequence[Trace],
    activations: Activations,
    find: Callable[..., Directions],
    directions: Directions,
    seed: int,
    progress: bool,
) -> list[InjectionRate]:
    """Test directions that are found anew on the training problems of each fold."""
    layers = {name: row["layer"] for name, row in best_layers(directions).items()}
    common = common_labels(activations.labels, activations.problems, N_FOLDS)
    if rare := [name for name in layers if name not in common]:
        logger.info(f"{NOT_RUN} too few problems for {N_FOLDS} folds: {listed(rare, 10)}")

    def detectors(training: Activations, behaviours: Sequence[str], layer: int) -> Detectors:
        of_fold = find(training, layers=[layer], n_resamples=0, progress=False)
        return {name: {"direction": of_fold.at(name, layer).double().numpy()} for name in behaviours}

    return inject(
        model,
        traces,
        activations,
        {name: layer for name, layer in layers.items() if name in common},
        find=detectors,
        n_folds=N_FOLDS,
        seed=seed,
        progress=progress,
    )


def _rates_of_optimised(
    model: LanguageModel,
    traces: Sequence[Trace],
    settings: OptimisedSettings,
    directions: Directions,
    progress: bool,
) -> list[InjectionRate]:
    """Test the vectors themselves, on the problems that did not train them; no others are read again."""
    layers = {name: row["layer"] for name, row in best_layers(directions).items()}
    apart = {*directions.split["stop"], *directions.split["held_out"]}
    unseen = [trace for trace in traces if trace.problem in apart]
    reading: dict[str, Any] = {"template": settings.template, "truncate": settings.truncate, "progress": progress}
    activations = collect(model, unseen, layers=sorted(set(layers.values())), read=directions.read, **reading)

    def detectors(_training: Activations, behaviours: Sequence[str], layer: int) -> Detectors:
        return {name: {"direction": directions.at(name, layer).double().numpy()} for name in behaviours}

    shown = {name: layer for name, layer in layers.items() if name in activations.behaviours}  # no bias
    return inject(model, unseen, activations, shown, find=detectors, n_folds=1, seed=settings.seed, **reading)


def _check_of(source: Activations, model: LanguageModel, traces: Sequence[Trace]) -> None:
    """Check that activations are of this model and these traces."""
    if not same_weights(source.model, model):
        raise InputError(
            f"the activations are of {source.model.get('name', 'another model')}, and --model is {model.name}: give "
            "the model that they were collected from"
        )
    texts = {trace.id: trace.text for trace in traces}
    for example in source.examples:
        if texts.get(example.trace, "")[example.start : example.end] != example.text:
            raise InputError(
                f"the activations are of other traces: {example.trace!r:.60} has no {example.text!r:.60} at character "
                f"{example.start}; give the --traces that they were collected from"
            )
