"""One tool in a process of its own: loads the model, then generates whenever a line on stdin names a batch and a way.

Answers with a line of JSON: CPU seconds and seconds on the wall, after whatever a GPU had to do.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path

from steering_peers.task import Task


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a tool prints goes to stderr
    name, task_file, results = sys.argv[1:]
    task = Task.read(Path(task_file))

    def answer(message: object) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        import numpy as np
        import torch

        torch.set_num_threads(task.spec.n_threads)
        ways = importlib.import_module(f"steering_peers.{name}").prepare(task)
    except ImportError as error:
        answer({"missing": str(error)})
        return
    answer({"ways": list(ways)})
    on_cuda = task.spec.device.startswith("cuda")
    batches = {name: task.batch(name) for name in task.prompts}
    for line in sys.stdin:
        batch, way = line.strip().split("\t")
        gc.collect()
        if on_cuda:
            torch.cuda.synchronize()
        cpu, wall = time.process_time(), time.perf_counter()
        with torch.inference_mode():
            written = ways[way](batches[batch])
        if on_cuda:
            torch.cuda.synchronize()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        np.save(Path(results) / f"{name}-{batch}-{way}.npy", written[:, batches[batch].ids.shape[1] :].cpu().numpy())
        answer({"cpu": cpu, "wall": wall})


if __name__ == "__main__":
    main()
