"""Ray actors with several devices each: a model over two of the stand-in in every actor, as a 70B over GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from reasonlens import ClusterSettings, InputError, Trace, collect, collect_moments, collect_on_ray
from reasonlens.models import LanguageModel

from . import stand_in
from .plugin import KIND
from .test_collection import OVER_TWO, close
from .test_process import MADE_FOR

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of many kinds
    pytest.mark.skipif(stand_in.machine is not None, reason="the driver has no device"),
    pytest.mark.skipif(f"torch=={torch.__version__.split('+')[0]}\n" not in MADE_FOR, reason="made for another torch"),
]
TWO_EACH = {"gpus_per_worker": 2, "load_options": {"device_map": OVER_TWO, "dtype": torch.float32}}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Four devices that Ray hands out, and in every worker a stand-in with two."""
    in_workers = {"worker_process_setup_hook": "tests.rehearsal.plugin.install", "env_vars": {KIND: stand_in.CUDA}}
    niceness = pytest.MonkeyPatch()
    niceness.setenv("RAY_worker_niceness", "0")  # else workers get no turn on a machine with much other work
    ray.init(
        num_cpus=2,
        num_gpus=4,
        log_to_driver=False,
        include_dashboard=False,
        logging_level="ERROR",
        runtime_env=in_workers,
    )
    yield
    ray.shutdown()
    niceness.undo()


def test_two_actors_with_a_model_over_two_devices_each_do_what_one_process_on_a_cpu_does(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path
) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    cluster = ClusterSettings(workers=2, **TWO_EACH)
    name, options = str(tmp_path / "model"), {"cluster": cluster, "progress": False}
    shards = collect_on_ray(name, traces, tmp_path / "shards", spans_per_shard=12, **options)
    close(shards.load().values, collect(model, traces, progress=False).values)
    moments = collect_on_ray(name, traces, tmp_path / "moments", keep="moments", covariance=True, **options)
    expected = collect_moments(model, traces, covariance=True, progress=False)
    for label in expected.behaviours:
        close(moments.of_label(label).covariance(), expected.of_label(label).covariance())


def test_more_actors_than_there_are_devices_for_are_refused(tmp_path: Path, traces: list[Trace]) -> None:
    with pytest.raises(InputError, match="3 workers of 2 GPUs do not fit; the cluster has room for 2"):
        collect_on_ray("model", traces, tmp_path / "out", cluster=ClusterSettings(workers=3, **TWO_EACH))
