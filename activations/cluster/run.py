"""The driver: reads traces in order, hands windows to actors, notes what they have done.

1. Every actor holds the model. The driver holds no model and no activation: shards are written by the actors that read
   them, moments come back and are added up in the order of the windows, so that many workers give what one gives.
2. The driver alone writes the manifest, and holds the directory's lock.
3. An actor that dies is started again by Ray, and its window is given out again. A driver that dies is started again by
   its user, and leaves out the windows that are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from ...rundir import InputError, expanded
from ...rundir.progress import ProgressBar
from ...traces import Trace, digest
from .._collect import windows
from ..activations import Activations
from ..collector import nothing_to_read
from ..moments import Moments
from ..moments.stream import SPANS_PER_WINDOW, WindowSum
from ..settings import CollectSettings
from ..store import Store
from ..store.provenance import collection_run
from .source import ray_traces
from .worker import Worker

IN_FLIGHT = 2  # windows given to each worker: one at work, one waiting
RESTARTS = 100  # of an actor; a window is given out so many times
RETRIES = 5


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Where collection runs."""

    address: str | None = None  # of a running Ray cluster ("auto", "ray://..."); None: one on this machine
    workers: int | None = None  # default: one a GPU, or where there is none, one for every four cores
    gpus_per_worker: float | None = None  # default 1 where the cluster has GPUs; 2 and more with device_map="auto"
    load_options: dict[str, Any] = field(default_factory=dict)  # for `reasonlens.load`: dtype, device_map, revision


def collect_on_ray(
    model: str,
    source: str | Path | Iterable[Trace],
    out: str | Path,
    *,
    keep: Literal["activations", "moments"] = "activations",
    settings: CollectSettings | None = None,
    cluster: ClusterSettings | None = None,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    covariance: bool = False,
    progress: bool = True,
) -> Activations | Moments:
    """What `collect(out=...)` or `collect_moments(out=...)` gives, over a Ray cluster; the directory is the same.

    model: a name or path that every machine can load. source: .jsonl, .parquet or a Hugging Face dataset (see
    `cluster.source`), or traces. out: a directory that every machine can write to. keep: activations of every span,
    or their moments only. Every machine needs `pip install "reasonlens[cluster]"`.

    Raises InputError as `collect` does, and when Ray is not installed or the cluster cannot be reached.
    """
    settings, cluster = settings or CollectSettings(), cluster or ClusterSettings()
    out = expanded(out).absolute()
    with _ray(cluster) as ray, closing(_read(source)) as traces:
        pool = _Pool(ray, model, settings, cluster, keep == "moments")
        store, moments, weights, tokens_per_batch = pool.about(dtype, spans_per_shard)
        if keep == "moments":
            described = moments | {"covariance": covariance, "spans_per_window": SPANS_PER_WINDOW}
            with collection_run(out, "moments", described, weights) as run:
                return _moments(pool, traces, WindowSum(run, described, tokens_per_batch), settings, progress)
        with Store.write(out, store, weights, tokens_per_batch) as held:
            _shards(pool, traces, held, settings, progress)
        return Activations.open(out)


def _read(source: str | Path | Iterable[Trace]) -> Generator[Trace]:
    yield from ray_traces(str(source)) if isinstance(source, str | Path) else source


def _shards(
    pool: _Pool,
    traces: Iterator[Trace],
    store: Store,
    settings: CollectSettings,
    progress: bool,
) -> None:
    n_shards = n_traces = n_spans = 0
    description = store.description
    budget = settings.tokens_per_batch or store.tokens_per_batch  # asked for, it is taken
    with ProgressBar(desc="reading activations", unit="trace", progress=progress) as bar:

        def done(index: int, n: int) -> Callable[[Any], None]:
            def record(entry: Any) -> None:
                store.record(index, entry, budget)
                bar.update(n)

            return record

        for index, window in enumerate(windows(traces, description["spans_per_shard"])):
            n_shards, n_traces = index + 1, n_traces + len(window)
            n_spans += sum(len(trace.spans) for trace in window)
            name = digest(window)
            if store.holds(index, name):
                bar.update(len(window))
                continue
            store.claim()
            arguments = (str(store.path), index, name, window, description, budget)
            pool.give("shard", arguments, done(index, len(window)))
        pool.drain()
    if not store.n_examples:
        store.discard()
        raise nothing_to_read(n_traces, n_spans, settings)
    store.finish(n_shards)


def _moments(
    pool: _Pool, traces: Iterator[Trace], run: WindowSum, settings: CollectSettings, progress: bool
) -> Moments:
    n_traces = n_spans = 0
    covariance = bool(run.description["covariance"])
    with ProgressBar(desc="reading activations", unit="trace", progress=progress) as bar:

        def done(place: Any, n: int) -> Callable[[Any], None]:
            def add(found: Any) -> None:
                run.add(found, place, run.tokens_per_batch)
                bar.update(n)

            return add

        for window in windows(traces, SPANS_PER_WINDOW):
            n_traces, n_spans = n_traces + len(window), n_spans + sum(len(trace.spans) for trace in window)
            place = run.step(digest(window))
            if place is None:
                bar.update(len(window))
            else:
                arguments = (window, covariance, run.tokens_per_batch)
                pool.give("moments", arguments, done(place, len(window)))
        pool.drain()
    moments = run.finish()
    if moments is None:
        raise nothing_to_read(n_traces, n_spans, settings)
    return moments


class _Pool:
    """The actors, and the windows they are at. Moments are handed on in the order of their windows, shards at once."""

    def __init__(
        self, ray: Any, model: str, settings: CollectSettings, cluster: ClusterSettings, moments: bool
    ) -> None:
        self._ray = ray
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most_gpus = max(node.get("GPU", 0) for node in nodes)
        gpus = cluster.gpus_per_worker if cluster.gpus_per_worker is not None else float(most_gpus > 0)
        if gpus > most_gpus:
            raise InputError(f"no machine of the cluster has {gpus:g} GPUs for a worker; the largest has {most_gpus:g}")
        if gpus:
            fit = int(sum(node.get("GPU", 0) // gpus for node in nodes))
            if cluster.workers and cluster.workers > fit:
                raise InputError(
                    f"{cluster.workers} workers of {gpus:g} GPUs do not fit; the cluster has room for {fit}"
                )
            n_workers = cluster.workers or fit
        else:
            n_workers = cluster.workers or max(1, int(sum(node.get("CPU", 0) for node in nodes)) // 4)
        n_threads = max(1, int(min(node.get("CPU", 1) for node in nodes)) // -(-n_workers // len(nodes)))
        # Workers claim no cores, so that one is always left to the reading of traces; they keep to n_threads.
        actor = ray.remote(num_cpus=0, num_gpus=gpus)(Worker)
        actor = actor.options(max_restarts=RESTARTS, max_task_retries=RETRIES)
        self._workers: list[Any] = [
            actor.remote(model, cluster.load_options, settings, n_threads, moments) for _ in range(n_workers)
        ]
        self._at_work: dict[Any, tuple[int, int]] = {}  # result -> (number of the window, worker)
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._finished: dict[int, Any] = {}
        self._given = self._handed_on = 0
        self._in_order = moments

    def about(self, dtype: torch.dtype, spans_per_shard: int | None) -> tuple[dict[str, Any], dict[str, Any], str, int]:
        found: tuple[dict[str, Any], dict[str, Any], str, int] = self._get(
            self._workers[0].about.remote(dtype, spans_per_shard)
        )
        return found

    def give(self, method: str, arguments: tuple[Any, ...], done: Callable[[Any], None]) -> None:
        """Give a window to the worker with the least to do, once one has room."""
        room = IN_FLIGHT * len(self._workers)
        # What waits for an earlier window to be handed on is held here, and must not pile up.
        while len(self._at_work) >= room or (self._in_order and self._given - self._handed_on >= 2 * room):
            self._take_one()
        load = [0] * len(self._workers)
        for _, worker in self._at_work.values():
            load[worker] += 1
        worker = load.index(min(load))
        result = getattr(self._workers[worker], method).remote(*arguments)
        self._at_work[result] = self._given, worker
        self._waiting[self._given] = done
        self._given += 1

    def drain(self) -> None:
        """Wait for everything that was given."""
        while self._at_work:
            self._take_one()

    def _take_one(self) -> None:
        (ready, *_), _ = self._ray.wait(list(self._at_work), num_returns=1)
        number, _ = self._at_work.pop(ready)
        found = self._get(ready)
        if not self._in_order:
            self._waiting.pop(number)(found)
            return
        self._finished[number] = found
        while self._handed_on in self._finished:
            self._waiting.pop(self._handed_on)(self._finished.pop(self._handed_on))
            self._handed_on += 1

    def _get(self, result: Any) -> Any:
        try:
            return self._ray.get(result)
        except InputError as error:  # Ray's own exception, which is one of ours too; its text holds a remote traceback
            raise InputError(str(getattr(error, "cause", error))) from None
        except self._ray.exceptions.RayActorError as error:
            raise InputError(
                f"a worker could not be started, or died {RETRIES} times over one window: {error}"
            ) from error


@contextmanager
def _ray(cluster: ClusterSettings) -> Iterator[Any]:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError('Ray is not installed: pip install "reasonlens[cluster]"') from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=cluster.address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise InputError(f"cannot reach a Ray cluster at {cluster.address!r}: {error}") from error
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()
