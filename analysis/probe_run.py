"""Probe into a run directory: from activations that were collected, or from traces that a model reads first.

A run that is done is left alone, and one that was cut off while reading is resumed where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..activations import Activations, CollectSettings, Read, collect
from ..models import load
from ..models.content import model_digest
from ..probes.folds import grouped_folds
from ..probes.result import PROBES
from ..rundir import InputError, RunDirectory, file_digest
from ..rundir.result_files import REPORT, RESULTS
from ..traces import digest, resolve_traces
from ._probe import probe
from .probing import ProbeSettings, Probing

logger = logging.getLogger(__name__)

ARTIFACTS = (PROBES, RESULTS, REPORT)


def probe_files(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    progress: bool = True,
) -> RunDirectory:
    """Probe collected activations into a run directory; where that is done already, leave it alone.

    Args:
        paths: What `collect` wrote: directories or files. Of several, the first is swept, and probes are trained on
            each and tested on each.
        out: The run directory: probes.safetensors, results.json, report.html.
        settings: What `probe` does.
        device: Where probes are fitted.
        progress: Show progress bars.

    Raises:
        InputError: There are no activations at a path, two are called the same, or `out` holds another run.
    """
    settings = settings or ProbeSettings()
    run = _run_on_files([Path(path) for path in paths], settings, out)
    if not _is_done(run):
        with run:
            _write(probe(_open_sources(paths), settings=settings, device=device, progress=progress), run)
    return run


def probe_model(
    model: str,
    traces: str | Path,
    out: str | Path,
    *,
    layers: str = "all",
    read: str = "mean",
    settings: ProbeSettings | None = None,
    device: str | None = None,
    progress: bool = True,
) -> RunDirectory:
    """Read traces with a model and probe its activations into a run directory; a run that was cut off is resumed.

    Args:
        model: What `load` takes.
        traces: "bundled" or a JSONL file of labelled traces.
        out: The run directory: activations, probes.safetensors, results.json, report.html.
        layers: Blocks whose output is read, as on the command line.
        read: Tokens of a span that are averaged.
        settings: What `probe` does.
        device: Where the model runs and probes are fitted.
        progress: Show progress bars.

    Raises:
        InputError: The model, the traces or a layer cannot be used, or `out` holds another run.
    """
    settings = settings or ProbeSettings()
    run = _run_on_model(model, traces, layers, read, settings, out)
    if not _is_done(run):
        with run:
            sources = _read_sources(model, traces, layers, read, run, device=device, progress=progress)
            _write(probe(sources, settings=settings, device=device, progress=progress), run)
    return run


def _is_done(run: RunDirectory) -> bool:
    if run.is_done(ARTIFACTS):
        logger.info(f"{run.path} is done already; remove it or choose another --out to run again")
        return True
    return False


def _open_sources(paths: Sequence[str | Path]) -> dict[str, Activations]:
    """Activations by the names of their places. Raises InputError for two of one name."""
    found: dict[str, Activations] = {}
    for path in map(Path, paths):
        name = path.name.removesuffix(".safetensors")
        if name in found:
            raise InputError(f"two of the activations are called {name!r}; rename one, so that they can be told apart")
        found[name] = Activations.open(path)
    return found


def _run_on_files(paths: Sequence[Path], settings: ProbeSettings, out: str | Path) -> RunDirectory:
    """The run directory of these activations and settings: new, or done."""
    digests = {}
    for path in paths:
        file = path / "manifest.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError(f"{path} holds no activations; `reasonlens collect --out {path}` writes some")
        digests[path.name] = file_digest(file)[:16]
    return RunDirectory(out, "probe", settings=asdict(settings), inputs=digests)


def _run_on_model(
    model: str, traces: str | Path, layers: str, read: str, settings: ProbeSettings, out: str | Path
) -> RunDirectory:
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
        options={"model": model, "traces": str(traces)},
    )


def _read_sources(
    model: str,
    traces: str | Path,
    layers: str,
    read: str,
    run: RunDirectory,
    *,
    device: str | None,
    progress: bool,
) -> dict[str, Activations]:
    """Activations of the traces, kept in the directory of the run, where a run that was cut off goes on."""
    loaded = load(model, device=device)
    CollectSettings(layers=layers, read=read).layers_of(loaded)  # what does not exist is refused before a directory is
    run.record()
    place = run.path / "activations"
    activations = collect(loaded, resolve_traces(traces), layers=layers, read=read, out=place, progress=progress)
    return {Path(traces).stem: activations}


def _write(found: Probing, run: RunDirectory) -> None:
    """Probes, results and page into the directory of the run."""
    run.record()
    found.write(run.path)
    run.finish(ARTIFACTS)
