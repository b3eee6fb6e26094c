"""Drive a collection over a cluster: read traces in order, hand windows to actors, record what they have done.

1. Every actor holds the model. The driver holds no model and no activation: actors write the shards that they read;
   moments are returned and added up in the order of the windows, so that the number of workers changes no result.
2. Only the driver writes the manifest, and it holds the directory's lock.
3. Ray restarts an actor that dies, and its window is handed out again. A driver that dies is started again by the user,
   and leaves out the windows that are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from ...rundir import InputError, expanded, settings_of
from ...rundir.progress import ProgressBar
from ...traces import Trace, TraceSource, digest, stream_traces
from .._collect import windows
from ..activations import Activations, open_collection
from ..collection import Collection
from ..collector import nothing_to_read
from ..moments import Moments
from ..moments.stream import SPANS_PER_WINDOW
from ..moments.window_sum import WindowSum
from ..settings import CollectSettings
from ..store import Store
from ..store.provenance import collection_run
from .source import ray_traces
from .worker import Worker

IN_FLIGHT = 2  # windows at each worker: one running, one waiting
RESTARTS = 100  # of an actor
RETRIES = 5  # of a window


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Settings of the cluster that collects."""

    address: str | None = None  # a running Ray cluster ("auto", "ray://..."); None: start one on this machine
    workers: int | None = None  # None: one for each GPU or, without GPUs, one for every four cores
    gpus_per_worker: float | None = None  # None: 1 if the cluster has GPUs; use 2 and more with device_map="auto"
    load_options: dict[str, Any] = field(default_factory=dict)  # for `reasonlens.load`: dtype, device_map, revision


def collect_on_ray(
    model: str,
    source: TraceSource,
    out: str | Path,
    *,
    keep: Literal["activations", "moments"] = "activations",
    settings: CollectSettings | None = None,
    cluster: ClusterSettings | None = None,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    covariance: bool = False,
    progress: bool = True,
) -> Activations | Moments | Collection[Activations] | Collection[Moments]:
    """Collect activations or moments over a Ray cluster, into the same directory as `collect` or `collect_moments`.

    Every machine needs `pip install "reasonlens[cluster]"`.

    Args:
        model: A name or path that every machine can load.
        source: A path or URL of .jsonl or .parquet, a Hugging Face dataset (see `cluster.source`), or what
            `collect` takes.
        out: A directory that every machine can write to. The same call resumes a run that was interrupted.
        keep: The activations of every span, or only their moments.
        settings: What is read; None means the defaults.
        cluster: Where it runs; None means this machine.
        dtype: Of the numbers in the shards.
        spans_per_shard: None means about 512 MiB for each shard.
        covariance: Also collect covariance matrices (with `keep="moments"`).
        progress: Show a progress bar over traces.

    Returns:
        The activations, which stay on disk, or the moments; for a list of reads or sites, a collection of these.

    Raises:
        InputError: As `collect` does; or Ray is not installed, or the cluster cannot be reached.
    """
    settings, cluster = settings_of(settings, CollectSettings), settings_of(cluster, ClusterSettings)
    out = expanded(out).absolute()
    with _ray(cluster) as ray, closing(_read(source)) as traces:
        pool = _Pool(ray, model, settings, cluster, keep == "moments")
        store, moments, weights, tokens_per_batch = pool.describe(dtype, spans_per_shard)
        if keep == "moments":
            described = moments | {"covariance": covariance, "spans_per_window": SPANS_PER_WINDOW}
            with collection_run(out, "moments", described, weights) as run:
                collection = _moments(pool, traces, WindowSum(run, described, tokens_per_batch), settings, progress)
            return collection.at() if settings.is_single else collection
        with Store.write(out, store, weights, tokens_per_batch) as open_store:
            _shards(pool, traces, open_store, settings, progress)
        return Activations.open(out) if settings.is_single else open_collection(out)


def _read(source: TraceSource) -> Generator[Trace]:
    is_elsewhere = isinstance(source, str | Path) and source != "bundled"
    yield from ray_traces(str(source)) if is_elsewhere else stream_traces(source)


def _shards(
    pool: _Pool,
    traces: Iterator[Trace],
    store: Store,
    settings: CollectSettings,
    progress: bool,
) -> None:
    n_shards = n_traces = n_spans = 0
    description = store.description
    budget = settings.tokens_per_batch or store.tokens_per_batch  # if asked for, it overrides that of the store
    with ProgressBar(desc="reading activations", unit="trace", progress=progress) as bar:

        def recorder(index: int, n: int) -> Callable[[Any], None]:
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
            pool.submit("shard", arguments, recorder(index, len(window)))
        pool.drain()
    if not store.n_examples:
        store.discard()
        raise nothing_to_read(n_traces, n_spans, settings)
    store.finish(n_shards)


def _moments(
    pool: _Pool, traces: Iterator[Trace], run: WindowSum, settings: CollectSettings, progress: bool
) -> Collection[Moments]:
    n_traces = n_spans = 0
    covariance = bool(run.description["covariance"])
    with ProgressBar(desc="reading activations", unit="trace", progress=progress) as bar:

        def adder(step: Any, n: int) -> Callable[[Any], None]:
            def add(window_sum: Any) -> None:
                run.add(window_sum, step, run.tokens_per_batch)
                bar.update(n)

            return add

        for window in windows(traces, SPANS_PER_WINDOW):
            n_traces, n_spans = n_traces + len(window), n_spans + sum(len(trace.spans) for trace in window)
            step = run.step(digest(window))
            if step is None:
                bar.update(len(window))
            else:
                arguments = (window, covariance, run.tokens_per_batch)
                pool.submit("moments", arguments, adder(step, len(window)))
        pool.drain()
    moments = run.finish()
    if moments is None:
        raise nothing_to_read(n_traces, n_spans, settings)
    return moments


class _Pool:
    """The actors and their windows. Moments are passed on in the order of the windows, shards as they finish."""

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
        # Workers reserve no cores in Ray, so that one is always free for reading traces; they use n_threads each.
        actor = ray.remote(num_cpus=0, num_gpus=gpus)(Worker)
        actor = actor.options(max_restarts=RESTARTS, max_task_retries=RETRIES)
        self._workers: list[Any] = [
            actor.remote(model, cluster.load_options, settings, n_threads, moments) for _ in range(n_workers)
        ]
        self._running: dict[Any, tuple[int, int]] = {}  # result -> (number of the window, worker)
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._finished: dict[int, Any] = {}
        self._n_submitted = self._n_passed_on = 0
        self._in_order = moments

    def describe(
        self, dtype: torch.dtype, spans_per_shard: int | None
    ) -> tuple[dict[str, Any], dict[str, Any], str, int]:
        """Ask a worker to describe the store and the moments, digest the weights, and choose a batch size."""
        description: tuple[dict[str, Any], dict[str, Any], str, int] = self._get(
            self._workers[0].describe.remote(dtype, spans_per_shard)
        )
        return description

    def submit(self, method: str, arguments: tuple[Any, ...], on_result: Callable[[Any], None]) -> None:
        """Submit a window to the worker with the fewest, once one has room."""
        room = IN_FLIGHT * len(self._workers)
        # Results that wait for an earlier window to be passed on are in memory here, and must not pile up.
        while len(self._running) >= room or (self._in_order and self._n_submitted - self._n_passed_on >= 2 * room):
            self._take_one()
        load = [0] * len(self._workers)
        for _, worker in self._running.values():
            load[worker] += 1
        worker = load.index(min(load))
        result = getattr(self._workers[worker], method).remote(*arguments)
        self._running[result] = self._n_submitted, worker
        self._waiting[self._n_submitted] = on_result
        self._n_submitted += 1

    def drain(self) -> None:
        """Wait for everything that was submitted."""
        while self._running:
            self._take_one()

    def _take_one(self) -> None:
        (ready, *_), _ = self._ray.wait(list(self._running), num_returns=1)
        number, _ = self._running.pop(ready)
        result = self._get(ready)
        if not self._in_order:
            self._waiting.pop(number)(result)
            return
        self._finished[number] = result
        while self._n_passed_on in self._finished:
            self._waiting.pop(self._n_passed_on)(self._finished.pop(self._n_passed_on))
            self._n_passed_on += 1

    def _get(self, result: Any) -> Any:
        try:
            return self._ray.get(result)
        except InputError as error:  # Ray derives its exception from ours, too; its text holds a remote traceback
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
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            ray.init(address=cluster.address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise InputError(f"cannot reach a Ray cluster at {cluster.address!r}: {error}") from error
    try:
        yield ray
    finally:
        if is_ours:
            ray.shutdown()
