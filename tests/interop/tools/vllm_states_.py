"""Write hidden states of traces with vLLM's own extraction, in vLLM's own environment."""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

import numpy as np

from reasonlens.activations.vllm_states import write_hidden_states


def main() -> None:
    asked = json.loads(sys.stdin.read())
    options = {"dtype": "float32", "enforce_eager": True}
    out = write_hidden_states(asked["model"], asked["traces"], asked["out"], options=options)
    np.savez(asked["output"])
    sys.stdout.write(f"\n{json.dumps({'files': sorted(file.name for file in out.iterdir())})}\n")


if __name__ == "__main__":
    main()
