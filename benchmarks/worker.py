"""One peer in a process of its own: loads the model, then runs a workload whenever a line on stdin names it.

Answers with a line of JSON: CPU seconds (or CUDA seconds by events), and the peak of memory over what stood before.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from spec import Spec


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints goes to stderr
    name, spec_file, results = sys.argv[1:]
    spec = Spec.read(Path(spec_file))
    try:
        import numpy as np
        import torch

        torch.set_num_threads(spec.n_threads)
        run = importlib.import_module(f"peers.{name}").prepare(spec)
    except ImportError as error:
        answers.write(json.dumps({"missing": str(error)}) + "\n")
        answers.flush()
        return
    answers.write(json.dumps({"ready": True, "torch": torch.__version__}) + "\n")
    answers.flush()
    for line in sys.stdin:
        workload = spec.workloads[line.strip()]
        measure = on_cuda if spec.device.startswith("cuda") else on_cpu
        seconds, extra_mb, means = measure(run, workload)
        if means is not None:
            np.save(Path(results) / f"{name}-{line.strip()}.npy", means)
        answers.write(json.dumps({"seconds": seconds, "extra_mb": extra_mb}) + "\n")
        answers.flush()


def on_cpu(run: Any, workload: Any) -> tuple[float, float, Any]:
    # Written "5", clear_refs sets the high-water mark of the resident set back to what is resident now.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    start = time.process_time()
    means = run(workload)
    seconds = time.process_time() - start
    return seconds, (_status("VmHWM") - before) / 1024, means


def on_cuda(run: Any, workload: Any) -> tuple[float, float, Any]:
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    means = run(workload)
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 1000, (torch.cuda.max_memory_allocated() - before) / 2**20, means


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
