"""Run by test_kill: collects into a directory in children that are killed at random moments, until one comes through.

Children are forked from this process, which has everything imported and has computed nothing, so that a round takes
little longer than the collection itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from reasonlens.activations import collect, collect_moments
from reasonlens.models import load
from reasonlens.traces import read_traces


def main() -> None:
    model_directory, traces_file, out, n_kills, seed = sys.argv[1:]
    torch.set_num_threads(1)
    model, traces = load(model_directory, device="cpu"), read_traces(traces_file)
    random = np.random.default_rng(int(seed))

    def work() -> None:
        options = {"read": ["mean", "before:1"], "progress": False}
        collect(model, traces, out=Path(out) / "store", spans_per_shard=12, **options)
        collect_moments(model, traces, out=Path(out) / "moments", spans_per_window=12, **options)

    def child() -> int:
        pid = os.fork()
        if pid == 0:
            try:
                work()
            except BaseException as error:
                sys.stderr.write(f"{error!r}\n")
                os._exit(1)
            os._exit(0)
        return pid

    start = time.perf_counter()
    whole = child()
    assert os.waitstatus_to_exitcode(os.waitpid(whole, 0)[1]) == 0
    seconds = time.perf_counter() - start
    for name in ("store", "moments"):
        os.rename(Path(out) / name, Path(out) / f"whole-{name}")
    killed = ended = 0
    while killed < int(n_kills):
        pid = child()
        # Most rounds are short against the work, so that one directory lives through many kills.
        time.sleep(float(random.uniform(0, seconds if random.random() < 0.2 else seconds / 4)))
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, -signal.SIGKILL), f"a resumed run failed with {code}"
        killed += code != 0
        ended += code == 0
        if code == 0:
            compare(Path(out))
            for name in ("store", "moments"):
                os.rename(Path(out) / name, Path(out) / f"{name}-{killed}-{ended}")
    last = child()
    assert os.waitstatus_to_exitcode(os.waitpid(last, 0)[1]) == 0
    compare(Path(out))
    sys.stdout.write(json.dumps({"killed": killed, "ended": ended + 1}))


def compare(out: Path) -> None:
    for name in ("store", "moments"):
        found, whole = (
            {file.name: file.read_bytes() for file in (out / each).iterdir() if file.name != "run.json"}
            for each in (name, f"whole-{name}")
        )
        assert found == whole, f"{name} differs from that of an undisturbed run"


if __name__ == "__main__":
    main()
