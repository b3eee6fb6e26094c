"""Probe collected activations, or those of a model at the labelled spans of traces.

With a directory, results are written there; a run that is done is read back, and one that was interrupted while the
model read the traces is resumed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..activations import Activations, ActivationsSource, Collection, CollectSettings, collect, open_activations
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.sites import BLOCK_OUTPUT
from ..probes.folds import grouped_folds
from ..probes.result import PROBES
from ..rundir import InputError, RunDirectory, expanded, file_digest, settings_of
from ..rundir.result_files import REPORT, RESULTS
from ..traces import Trace, TraceSource, resolve_traces
from .injection import inject
from .model_run import done_content, model_run
from .probe_sources import probe_sources
from .probing import ProbeSettings, Probing

logger = logging.getLogger(__name__)

ARTIFACTS = (PROBES, RESULTS, REPORT)
NOT_INJECTED = (
    "no injection control (do tell-tale words alone make a probe fire?): it reads new texts; give no activations but "
    "--model and --traces"
)


def probe(
    sources: Mapping[str, ActivationsSource] | ActivationsSource | Iterable[str | Path] | None = None,
    *,
    model: ModelLike = "smollm2-135m",
    traces: TraceSource = "bundled",
    layers: str | Sequence[int] = "all",
    read: str | Sequence[str] | None = None,
    site: str | None = None,
    settings: ProbeSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Probing:
    """Fit linear probes for every behaviour and layer, and compare them with their controls.

    Args:
        sources: Activations, the directory or file that `collect` wrote, several of the latter, or name -> one of
            them. With several, probes of all layers
            are fitted on the first, and probes of each source are tested on every source. None: `model` reads `traces`.
        model: The model whose activations are read if `sources` is None.
        traces: "bundled", a file of traces, or traces (objects, or dictionaries as in the file), that `model` reads.
        layers: 0-based blocks whose output is read, or a text such as "4:8".
        read: Tokens of a span that are averaged, such as "mean" (the default) or "last". Of sources that hold several
            reads, the one that is probed. Of several, each is a source of its own; a model gives them from one pass.
        site: Where in each block, such as "hook_out" (the default) or "hook_attn_out"; of sources with several, which.
        settings: Kind of probe, folds, controls; None means the defaults.
        out: The run directory: probes.safetensors, results.json, report.html, and the activations that were read. None
            writes nothing. Cannot be combined with activations in memory.
        device: Where the model runs and probes are fitted.
        progress: Show progress bars.

    Returns:
        AUROC and effect size of every behaviour and layer; with several sources, also AUROC from source to source. The
        result of a run that is done already is read back without its probes, which are in its directory.

    Raises:
        InputError: There are no activations at a path, two have the same name, the model, the traces or a layer cannot
            be used, or `out` holds another run.
    """
    settings = settings_of(settings, ProbeSettings)
    reads = None if read is None else [read] if isinstance(read, str) else list(read)
    if isinstance(sources, Activations | Collection):
        sources = {"activations": sources}
    if isinstance(sources, str | Path):
        sources = [sources]
    if isinstance(sources, Mapping):
        if out is not None:
            raise InputError("a run directory compares files: give the paths of what `collect` wrote, or no out")
        if not sources:
            raise InputError(
                "there are no activations to probe; give what `collect` wrote, or None for a model to read"
            )
        opened = _by_read(sources, reads, site)
        if settings.injection:
            logger.info(NOT_INJECTED)
        return probe_sources(opened, settings, device=device, progress=progress)
    if sources is not None:
        paths = [_path_of(source) for source in (sources if hasattr(sources, "__iter__") else [sources])]
        run = _run_on_files(paths, reads, site, settings, out)
    else:
        paths, examples, reads = [], resolve_traces(traces), reads or ["mean"]
        run = _run_on_model(model, examples, layers, reads, site, settings, out, device)
    if content := done_content(run, ARTIFACTS):
        return Probing.from_dict(content)
    with run:
        if sources is None:
            loaded = load(model, device=device)
            where: dict[str, Any] = {"layers": layers, "read": reads, "sites": site or BLOCK_OUTPUT}
            opened = _by_read({_name_of(traces): _read(loaded, examples, where, run, progress)}, reads, site)
        else:
            opened = _by_read(_named(paths), reads, site)
            if settings.injection:
                logger.info(NOT_INJECTED)
        result = probe_sources(opened, settings, device=device, progress=progress)
        if settings.injection and sources is None:
            activations = next(iter(opened.values()))
            best = {name: result.sweep.best_layer(name) for name in result.sweep.behaviours}
            rates = inject(
                loaded, examples, activations, best, n_folds=settings.n_folds, seed=settings.seed, progress=progress
            )
            result = replace(result, injection=tuple(rates))
        run.record()
        if run.has_directory:
            result.write(run.path)
            run.finish(ARTIFACTS)
    return result


def _path_of(source: object) -> Path:
    if isinstance(source, str | Path):
        return expanded(source)
    raise InputError(
        f"{source!r:.60} ({type(source).__name__}) is no path of activations; give directories or files that `collect` "
        "wrote, a dictionary of name and activations, or traces= for a model to read"
    )


def _run_on_files(
    paths: Sequence[Path],
    reads: list[str] | None,
    site: str | None,
    settings: ProbeSettings,
    out: str | Path | None,
) -> RunDirectory:
    """Open the run directory of these activations and settings: new, or done."""
    digests = {}
    if not paths:
        raise InputError("there are no activations to probe; give what `collect` wrote, or None to read a model")
    for path in paths:
        file = path / "manifest.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError(f"{path} holds no activations; `reasonlens collect --out {path}` writes some")
        digests[path.name] = file_digest(file)[:16]
    return RunDirectory(out, "probe", settings=asdict(settings) | {"reads": reads, "site": site}, inputs=digests)


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Name the activations after their files. Raises InputError if two have the same name."""
    sources: dict[str, Path] = {}
    for path in paths:
        name = path.name.removesuffix(".safetensors")
        if name in sources:
            raise InputError(f"two of the activations are called {name!r}; rename one, so that they can be told apart")
        sources[name] = path
    return sources


def _by_read(
    sources: Mapping[str, ActivationsSource], reads: list[str] | None, site: str | None
) -> dict[str, Activations]:
    """Open each read of each source; where there are several, their names say which."""
    opened = {}
    for name, source in sources.items():
        for read in [None] if reads is None else reads:
            own_name = name if reads is None or len(reads) == 1 else f"{name}, {read}"
            opened[own_name] = open_activations(source, read, site)
    return opened


def _run_on_model(
    model: ModelLike,
    traces: Sequence[Trace],
    layers: str | Sequence[int],
    reads: list[str],
    site: str | None,
    settings: ProbeSettings,
    out: str | Path | None,
    device: str | None,
) -> RunDirectory:
    """Open the run directory of a model and traces that are yet to be read: new, to be resumed, or done."""
    CollectSettings(read=reads, sites=site or BLOCK_OUTPUT)  # refused before the model is loaded
    grouped_folds(
        [span.label for trace in traces for span in trace.spans],
        [trace.problem for trace in traces for _ in trace.spans],
        settings.behaviours or (),
        settings.n_folds,
        settings.seed,
    )
    compared = asdict(settings) | {
        "layers": layers if isinstance(layers, str) else list(layers),
        "reads": reads,
        "site": site,
    }
    return model_run(out, "probe", model, traces, compared, device=device)


def _read(
    model: LanguageModel,
    traces: Sequence[Trace],
    where: dict[str, Any],
    run: RunDirectory,
    progress: bool,
) -> Collection[Activations]:
    """Collect the activations of the traces into the run's directory, where a run that was cut off is resumed."""
    CollectSettings(**where).layers_of(model)  # refused before a directory is made
    run.record()
    collected: Collection[Activations] = collect(model, traces, **where, out=run.file("activations"), progress=progress)
    return collected


def _name_of(traces: TraceSource) -> str:
    return Path(traces).stem if isinstance(traces, str | Path) else "traces"
