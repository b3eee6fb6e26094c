"""Locate the directions of reasoning behaviours in a model, from traces to tables, figures and a page.

1. Read the activations of every labelled span at every layer, and those of the token before it, in one pass
   (`activations.collect`).
2. Extract the mean difference of each behaviour at each layer as its direction (`vectors.extraction`).
3. Fit a probe for each behaviour and layer, cross-validated by problem, with its controls (`probes.sweep`).
4. Fit the same probes at the last token before each span: they measure whether a behaviour can be predicted before it
   begins, as distinct from recognising it while it is read.
5. Put tell-tale words before plain sentences, and count how often probes and directions fire (`injection.py`).
6. Tabulate and draw the results (`location.py`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ..activations import (
    Activations,
    Collection,
    CollectSettings,
    Read,
    collect,
)
from ..activations.collector import Collector
from ..activations.store.store import MANIFEST
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.precision import check_precision
from ..models.sites import BLOCK_OUTPUT, Site
from ..probes import ProbeSweep, sweep
from ..probes.controls.injection_rate import InjectionRate
from ..probes.folds import common_labels, grouped_folds
from ..probes.result import PROBES
from ..rundir import InputError, RunDirectory, did_you_mean, settings_of
from ..rundir.result_files import REPORT, RESULTS
from ..traces import Trace, TraceSource, digest, resolve_traces
from ..vectors import mean_difference_directions
from ..vectors.extraction.single_dimension import warn_of_single_dimensions
from .injection import inject
from .location import VECTORS, Location
from .model_run import done_content, model_run
from .settings import LocateSettings
from .side_by_side import site_frame, sites_of

logger = logging.getLogger(__name__)

ARTIFACTS = (VECTORS, PROBES, RESULTS, REPORT)
ACTIVATIONS = "activations"
BEFORE = Read.before()


def locate(
    model: ModelLike = "smollm2-135m",
    traces: TraceSource = "bundled",
    *,
    settings: LocateSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Location:
    """Extract directions and fit probes for every labelled behaviour at every layer of a model.

    Args:
        model: The model, or its name or path.
        traces: "bundled", a file of traces, or traces with labelled spans (objects, or dictionaries as in the file).
        settings: Layers, read, probes, controls; None means the defaults.
        out: The run directory: vectors, probes, results, report and activations. An unfinished run with the same
            settings is resumed, one that is done is read back. None writes nothing.
        device: Where a model that is loaded by name runs.
        progress: Show progress bars.

    Returns:
        Directions and AUROCs of every behaviour and layer, with intervals and controls.

    Raises:
        InputError: The model, the traces, the settings or the directory cannot be used.
    """
    settings = settings_of(settings, LocateSettings)
    Read.parse(settings.read)
    examples = resolve_traces(traces)
    spans = [(span.label, trace.problem) for trace in examples for span in trace.spans]
    check_labels(spans, settings)
    run = model_run(out, "locate", model, examples, asdict(settings), device=device)
    if content := done_content(run, ARTIFACTS):
        return Location.from_dict(content).with_measured(run.path / ACTIVATIONS, run.path / VECTORS)
    with run:
        return _located(run, model, examples, settings, device, progress)


def _located(
    run: RunDirectory,
    model: ModelLike,
    examples: Sequence[Trace],
    settings: LocateSettings,
    device: str | None,
    progress: bool,
) -> Location:
    """Run every stage of `locate` inside the locked run directory."""
    spans = [(span.label, trace.problem) for trace in examples for span in trace.spans]
    with run.stage("model"):
        loaded = load(model, device=device, dtype=settings.dtype)
        check_precision(loaded, settings.dtype)
    read = Read.parse(settings.read)
    with_next = settings.next_behaviour and read != BEFORE
    with run.stage("activations"):
        reads = [read, BEFORE] if with_next else [read]
        sites = [BLOCK_OUTPUT]
        if settings.sites_of is not None:
            sites = sites_of(loaded, CollectSettings(layers=settings.layers).layers_of(loaded))
        collected = _collected(run, loaded, examples, reads, sites, settings, progress)
        activations = collected.at(read, BLOCK_OUTPUT).load()
    if activations.n_skipped:
        logger.info(_left_out(spans, activations))
    _log_rare(activations, settings)
    with run.stage("probes"):
        sweep_result = _swept(activations, settings, progress)
    next_sweep_result = None
    if with_next:
        with run.stage("next behaviour"):
            next_sweep_result = _next_swept(collected, settings, progress)
    sites_frame = pd.DataFrame()
    if settings.sites_of is not None:
        with run.stage("sites"):
            sites_frame = site_frame(collected, read, sweep_result, settings, progress)
    injection: list[InjectionRate] = []
    if settings.injection:
        with run.stage("injection"):
            injection = inject(
                loaded,
                examples,
                activations,
                {name: sweep_result.best_layer(name) for name in sweep_result.behaviours},
                template=settings.template,
                truncate=settings.truncate,
                n_folds=settings.n_folds,
                seed=settings.seed,
                progress=progress,
            )
    with run.stage("directions"):
        directions = mean_difference_directions(
            activations,
            against=settings.against,
            rescale=settings.rescale,
            data_digest=digest(examples),
            scores={
                name: {"auroc": [interval.value for interval in behaviour_sweep.auroc]}
                for name, behaviour_sweep in sweep_result.behaviours.items()
            },
        )
    warn_of_single_dimensions(directions)
    location = Location.of(
        activations=activations,
        directions=directions,
        sweep=sweep_result,
        next_sweep=next_sweep_result,
        injection=injection,
        sites=sites_frame,
        settings=settings,
    )
    if run.has_directory:
        with run.stage("report"):
            location.write(run.path)
        run.finish(ARTIFACTS)
    return location


def _collected(
    run: RunDirectory,
    model: LanguageModel,
    examples: Sequence[Trace],
    reads: list[Read],
    sites: list[Site],
    settings: LocateSettings,
    progress: bool,
) -> Collection[Activations]:
    """Read every trace once, into the run's directory if it has one, where a collection that was cut off is resumed."""
    reading: dict[str, Any] = {
        "layers": settings.layers,
        "template": settings.template,
        "truncate": settings.truncate,
        "sites": sites,
    }
    place = run.file(ACTIVATIONS)
    if place is not None and not place.is_dir():
        # Mistakes in the traces are raised before run.json is written and the model runs.
        window = Collector(model, CollectSettings(**reading, read=reads)).window(examples)
        check_labels([(example.label, example.problem) for example in window.reads[0].examples], settings)
    run.record()
    if place is not None and (place / MANIFEST).is_file():
        logger.info(f"resuming the activations in {place}")
    return collect(model, examples, **reading, read=reads, out=place, progress=progress)


def _log_rare(activations: Activations, settings: LocateSettings) -> None:
    """Log the behaviours that occur in too few problems to be probed."""
    probed = check_labels(zip(activations.labels, activations.problems, strict=True), settings)
    rare = [behaviour for behaviour in activations.behaviours if behaviour not in probed]
    if rare and settings.behaviours is None:
        logger.info(f"not probed, in too few problems for {settings.n_folds} folds: {', '.join(rare)}")


def _swept(activations: Activations, settings: LocateSettings, progress: bool) -> ProbeSweep:
    """Fit probes for the behaviours of the settings, or for all that occur in enough problems."""
    probed = check_labels(zip(activations.labels, activations.problems, strict=True), settings)
    return sweep(
        activations,
        behaviours=[behaviour for behaviour in activations.behaviours if behaviour in probed],
        estimator=settings.estimator,
        penalties=settings.penalties,
        n_folds=settings.n_folds,
        n_bootstrap=settings.n_bootstrap,
        n_shuffles=settings.n_shuffles,
        n_permutations=settings.n_permutations,
        seed=settings.seed,
        progress=progress,
    )


def _next_swept(collected: Collection[Activations], settings: LocateSettings, progress: bool) -> ProbeSweep | None:
    """Fit probes at the last token before each span; None where too few spans have one that may be read.

    A span at the beginning of a response has none: the token before it is markup.
    """
    try:
        return _swept(collected.at(BEFORE, BLOCK_OUTPUT).load(), settings, progress)
    except InputError as error:
        logger.info(f"not probed at the last token before each span: {error}")
        return None


def check_labels(labels_and_problems: Iterable[tuple[str, str]], settings: LocateSettings) -> Sequence[str]:
    """Choose the behaviours to probe, and check that they can be cross-validated before anything slow is run.

    Args:
        labels_and_problems: Label and problem of every span.
        settings: Behaviours and number of folds.

    Returns:
        The behaviours of the settings; if there are none, all that occur in at least as many problems as there are
        folds.

    Raises:
        InputError: There are no spans, a behaviour is not among the labels, or problems are too few for the folds.
    """
    spans = list(labels_and_problems)
    if not spans:
        raise InputError(
            "the traces hold no labelled span; label some: reasonlens label FILE --by keywords --out labelled.jsonl"
        )
    labels, problems = zip(*spans, strict=True)
    requested = {*(settings.behaviours or ()), *([] if settings.sites_of is None else [settings.sites_of])}
    missing = requested - set(labels)
    if missing:
        first, known = sorted(missing)[0], sorted(set(labels))
        raise InputError(
            f"no span is labelled {first!r}; the labels are {', '.join(known)}.{did_you_mean(first, known)}"
        )
    common = common_labels(labels, problems, settings.n_folds)
    probed = settings.behaviours or common or sorted(set(labels))
    if settings.sites_of is not None and settings.sites_of not in probed:
        raise InputError(
            f"{settings.sites_of!r} is not among the behaviours that are probed ({', '.join(probed)}): name it "
            "there too (--behaviours), or another one for the sites (--sites-of)"
        )
    grouped_folds(labels, problems, probed, settings.n_folds, settings.seed)
    return probed


def _left_out(spans: list[tuple[str, str]], activations: Activations) -> str:
    """Describe the spans that were not read, by label."""
    by_label = Counter(label for label, _ in spans) - Counter(activations.labels)
    return (
        f"left out: {activations.n_skipped} of {len(spans)} spans hold no token that the read {activations.read} may "
        f"take ({', '.join(f'{label} {count}' for label, count in by_label.most_common())})"
    )
