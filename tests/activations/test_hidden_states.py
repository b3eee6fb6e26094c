"""Hidden states that another engine wrote take the place of the model's pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reasonlens.activations import Activations, collect
from reasonlens.activations.hidden_states import write_states_note
from reasonlens.models import LanguageModel
from reasonlens.rundir import InputError
from reasonlens.traces import Trace, bundled_traces, encode

LAYERS = [0, 2]


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    return list(bundled_traces())[:3]


def blocks_outputs(model: LanguageModel, token_ids: torch.Tensor) -> torch.Tensor:
    outputs: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(
            lambda _, __, output: outputs.append(output if torch.is_tensor(output) else output[0])
        )
        for block in model.blocks
    ]
    with torch.inference_mode():
        model.model(token_ids[None])
    for hook in hooks:
        hook.remove()
    return torch.stack([output[0] for output in outputs], dim=1)  # (token, layer, d_model)


def write(directory: Path, model: LanguageModel, traces: list[Trace], *, states_first: bool = False) -> Path:
    directory.mkdir()
    for number, text in enumerate(encode(model, traces)):
        ids = torch.from_numpy(text.token_ids)
        states = blocks_outputs(model, ids)[:, LAYERS].clone()
        states = states.transpose(0, 1).contiguous() if states_first else states
        save_file({"token_ids": ids, "hidden_states": states}, directory / f"{number}.safetensors")
    write_states_note(directory, [layer + 1 for layer in LAYERS])
    return directory


@pytest.mark.parametrize("states_first", [False, True])
def test_they_give_what_a_pass_gives(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path, states_first: bool
) -> None:
    model = tiny("llama")
    reads = ["mean", "before:1", "window:-1:10"]
    directory = write(tmp_path / "states", model, traces, states_first=states_first)
    read = collect(model, traces, read=reads, layers=LAYERS, hidden_states=directory, progress=False)
    run = collect(model, traces, read=reads, layers=LAYERS, progress=False)
    for name in reads:
        ours, passed = read.at(name), run.at(name)
        assert ours.examples == passed.examples and ours.layers == passed.layers
        torch.testing.assert_close(ours.load().values, passed.load().values, atol=2e-6, rtol=0)
        torch.testing.assert_close(ours.residual_norm, passed.residual_norm, atol=2e-6, rtol=0)
        torch.testing.assert_close(ours.overall_mean, passed.overall_mean, atol=2e-6, rtol=0)
        assert torch.equal(ours.embeddings, passed.embeddings)


def test_a_store_of_them_is_not_continued_with_others(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path
) -> None:
    model = tiny("llama")
    directory = write(tmp_path / "states", model, traces)
    out = tmp_path / "store"
    stored = collect(model, traces, layers=LAYERS, hidden_states=directory, out=out, progress=False)
    assert isinstance(stored, Activations) and stored.layers == tuple(LAYERS)
    with pytest.raises(InputError, match="holds another run"):
        collect(model, traces, layers=LAYERS, out=out, progress=False)


def test_what_does_not_fit_is_refused(tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path) -> None:
    model = tiny("llama")
    directory = write(tmp_path / "states", model, traces[:2])
    with pytest.raises(InputError, match="no file in .* is of the"):
        collect(model, traces, layers=LAYERS, hidden_states=directory, progress=False)
    with pytest.raises(InputError, match="hold no output of block 1, but of 0, 2"):
        collect(model, traces, layers=[1], hidden_states=directory, progress=False)
    with pytest.raises(InputError, match="are not in them"):
        collect(model, traces, layers=LAYERS, sites="hook_resid_mid", hidden_states=directory, progress=False)
    write_states_note(directory, [1, 2, 3])
    with pytest.raises(InputError, match="it would be"):
        collect(model, traces, layers=LAYERS, hidden_states=directory, progress=False)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"holds no \.safetensors"):
        collect(model, traces, hidden_states=tmp_path / "none", progress=False)
