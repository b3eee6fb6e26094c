"""Probes on activations that are there already, of one source or several: tables, figures, a page, the probes to keep.

The first source is swept with all controls (`probes.sweep`); with more than one, probes are also trained on each and
tested on each (`probes.transfer`): other traces, base against thinking model, and the reverse.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..activations import (
    Activations,
    CollectSettings,
    Read,
    collect,
)
from ..models import load
from ..models.content import model_digest
from ..probes import sweep, transfer
from ..probes.folds import common_labels, grouped_folds
from ..probes.result import PROBES
from ..rundir import InputError, RunDirectory, file_digest
from ..rundir.result_files import REPORT, RESULTS
from ..traces import digest
from ._locate import resolve_traces
from .probing import ProbeSettings, Probing

logger = logging.getLogger(__name__)

PROBE_ARTIFACTS = (PROBES, RESULTS, REPORT)


def probe(
    sources: Mapping[str, Activations],
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Probing:
    """Sweep the first of `sources`, and with several train on each and test on each."""
    settings = settings or ProbeSettings()
    name, first = next(iter(sources.items()))
    probed, shared = settings.behaviours, settings.behaviours
    if probed is None:
        common = [set(common_labels(each.labels, each.problems, settings.n_folds)) for each in sources.values()]
        probed = tuple(each for each in first.behaviours if each in common[0]) or first.behaviours
        shared = tuple(each for each in probed if each in set.intersection(*common)) or None
        rare = [each for each in first.behaviours if each not in probed]
        if rare:
            logger.info(f"not probed, in too few problems for {settings.n_folds} folds: {', '.join(rare)}")
    given: dict[str, Any] = {
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
            **given,
            n_shuffles=settings.n_shuffles,
            n_permutations=settings.n_permutations,
            device=device,
        ),
        transfer=transfer(sources, behaviours=shared, **given, device=device or "cpu") if len(sources) > 1 else None,
        settings=settings,
    )


def open_sources(paths: list[Path]) -> dict[str, Activations]:
    """Activations by the names of their places. Raises InputError for two of one name."""
    found: dict[str, Activations] = {}
    for path in paths:
        name = path.name.removesuffix(".safetensors")
        if name in found:
            raise InputError(f"two of the activations are called {name!r}; rename one, so that they can be told apart")
        found[name] = Activations.open(path)
    return found


def probe_run(paths: list[Path], settings: ProbeSettings, out: Path) -> RunDirectory:
    """The run directory of these activations and settings: new, or done."""
    digests = {}
    for path in paths:
        file = path / "manifest.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError(f"{path} holds no activations; `reasonlens collect --out {path}` writes some")
        digests[path.name] = file_digest(file)[:16]
    return RunDirectory(out, "probe", settings=asdict(settings), inputs=digests)


def reading_run(model: str, traces: str, layers: str, read: str, settings: ProbeSettings, out: Path) -> RunDirectory:
    """The run directory of a model and traces that are yet to be read: new, to be resumed, or done."""
    Read.parse(read)
    found = resolve_traces(traces)
    grouped_folds(
        [span.label for trace in found for span in trace.spans],
        [trace.problem for trace in found for _ in trace.spans],
        settings.behaviours or (),
        settings.n_folds,
        settings.seed,
    )
    return RunDirectory(
        out,
        "probe",
        settings=asdict(settings) | {"layers": layers, "read": read},
        inputs={"model": model_digest(model), "traces": digest(found)},
        options={"model": model, "traces": traces},
    )


def read_sources(
    model: str,
    traces: str,
    layers: str,
    read: str,
    run: RunDirectory,
    *,
    device: str | None = None,
) -> dict[str, Activations]:
    """Activations of the traces, kept in the directory of the run, where a run that was cut off goes on."""
    loaded = load(model, device=device)
    CollectSettings(layers=layers, read=read).layers_of(loaded)  # what does not exist is refused before a directory is
    run.record()
    kept = run.path / "activations"
    return {Path(traces).stem: collect(loaded, resolve_traces(traces), layers=layers, read=read, out=kept)}


def write_probing(found: Probing, run: RunDirectory) -> None:
    """Probes, results and page into the directory of the run."""
    run.record()
    found.write(run.path)
    run.finish(PROBE_ARTIFACTS)
