"""Hidden states that vLLM extracts beside a pass of ours over the same traces: the same activations, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reasonlens import collect, load, organisms_traces
from reasonlens.traces import write_traces

from .conftest import answer

NAME = "organism/rl-timing"


@pytest.mark.interop
def test_the_states_of_vllm_are_the_outputs_of_our_blocks(tmp_path: Path, measured: Any) -> None:
    traces = list(organisms_traces(NAME, 12))
    file = tmp_path / "traces.jsonl"
    write_traces(traces, file)
    asked = {"model": NAME, "traces": str(file), "out": str(tmp_path / "states")}
    reply, _ = answer("vllm", "vllm_states_.py", asked, tmp_path)
    assert len(reply["files"]) == len(traces) + 1
    model = load(NAME, device="cpu")
    read = collect(model, file, hidden_states=tmp_path / "states", progress=False).load()
    run = collect(model, file, progress=False).load()
    assert read.examples == run.examples and read.layers == run.layers
    norms = run.values.norm(dim=-1).mean(dim=0)
    worst = ((read.values - run.values).norm(dim=-1).mean(dim=0) / norms).max().item()
    shifted = ((read.values[:, 1:] - run.values[:, :-1]).norm(dim=-1).mean(dim=0) / norms[1:]).min().item()
    measured("vllm", "largest relative difference of hidden states at a layer", f"{worst:.1e}")
    assert worst < 1e-5 < shifted, "one layer off would be far away"
