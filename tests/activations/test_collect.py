from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonlens import (
    Activations,
    InputError,
    LanguageModel,
    Read,
    Span,
    Trace,
    collect,
    encode,
)
from reasonlens.traces import EncodedTrace

from ..conftest import CONFIGS, D_MODEL, N_LAYERS


def forward(model: LanguageModel, encoded: EncodedTrace) -> Tensor:
    """One unpadded forward pass that keeps everything: (layer, position, d_model), float64."""
    kept: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out))
        for block in model.blocks
    ]
    with torch.inference_mode():
        model.model(torch.from_numpy(encoded.token_ids)[None])
    for hook in hooks:
        hook.remove()
    return torch.stack([layer[0] for layer in kept]).double()


def naive(model: LanguageModel, traces: Sequence[Trace], read: Read) -> Tensor:
    """Plain float64 means of each span's activations: what `collect` must equal."""
    rows = []
    for encoded in encode(model, traces):
        acts = forward(model, encoded)
        for span in encoded.spans:
            assert span is not None
            positions = [position for position in read.positions(*span) if position > 0]
            if positions:
                rows.append(acts[:, positions].mean(dim=1))
    return torch.stack(rows).float()


@pytest.mark.parametrize("architecture", CONFIGS)
def test_collecting_equals_a_naive_loop_on_every_architecture(tiny, traces, architecture: str) -> None:
    model = tiny(architecture)
    found = collect(model, traces, progress=False)
    assert found.values.shape == (72, N_LAYERS, D_MODEL) and found.values.dtype == torch.float32
    torch.testing.assert_close(found.values, naive(model, traces, Read.mean()), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("read", ["first", "last", "before:1", "window:-1:10", "window:-12:-7"])
def test_every_read_equals_the_naive_loop(tiny, traces, read: str) -> None:
    found = collect(tiny(), traces, read=read, progress=False)
    torch.testing.assert_close(found.values, naive(tiny(), traces, Read.parse(read)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_batch_size_changes_nothing(tiny, traces, architecture: str) -> None:
    model = tiny(architecture)
    alone = collect(model, traces, tokens_per_batch=1, progress=False).values
    together = collect(model, traces, tokens_per_batch=10_000, progress=False).values
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_only_the_layers_asked_for_are_read_and_later_blocks_never_run(tiny, traces) -> None:
    model = tiny()
    everything = collect(model, traces, progress=False)
    ran: list[int] = []
    hooks = [block.register_forward_pre_hook(lambda *_, at=at: ran.append(at)) for at, block in enumerate(model.blocks)]
    hooks.append(model.model.lm_head.register_forward_pre_hook(lambda *_: ran.append(99)))
    found = collect(model, traces, layers=[-2, 0], progress=False)
    for hook in hooks:
        hook.remove()
    assert found.layers == (0, 1) and set(ran) == {0, 1}
    torch.testing.assert_close(found.values, everything.values[:, :2])
    torch.testing.assert_close(found.layer(1), everything.layer(1))
    with pytest.raises(InputError, match="layer 2 was not collected; these were: 0, 1"):
        found.layer(2)


def test_the_first_token_enters_no_mean_unless_asked_for(tiny) -> None:
    trace = Trace("s", "", "One two three four.", (Span(0, 19, "x"),))
    model = tiny()
    usual = collect(model, [trace], progress=False).values[0]
    asked = collect(model, [trace], progress=False, include_markup=True).values[0]
    n_tokens = len(encode(model, [trace])[0])
    sink = collect(model, [trace], read="first", progress=False, include_markup=True).values[0]
    torch.testing.assert_close(asked * n_tokens - usual * (n_tokens - 1), sink, rtol=1e-3, atol=1e-5)
    with pytest.raises(InputError, match="nothing to read: 1 traces hold 1 labelled spans"):
        collect(model, [trace], read="first", progress=False)


def test_spans_without_a_readable_token_are_counted_and_left_out(tiny) -> None:
    trace = Trace("s", "", "One two. Three four.", (Span(0, 8, "a"), Span(9, 20, "b")))
    found = collect(tiny(), [trace], read="before:1", progress=False)
    assert found.n_skipped == 1 and found.labels == ("b",)


def test_half_precision_models_are_averaged_in_float32(tiny, traces) -> None:
    model = tiny()
    model.model.to(torch.bfloat16)
    found = collect(model, traces[:1], progress=False)
    firsts = [
        collect(model, traces[:1], read=f"window:{at}:{at + 1}", progress=False).values[3] for at in range(3)
    ]  # the fourth span ("Checking again, ...") has more tokens than that; each single token is exact in bfloat16
    three = collect(model, traces[:1], read="window:0:3", progress=False).values[3]
    torch.testing.assert_close(three, torch.stack(firsts).mean(dim=0), rtol=1e-6, atol=1e-7)
    assert found.values.dtype == torch.float32
    assert not torch.equal(found.values, found.values.bfloat16().float())


def test_the_overall_mean_is_over_traces_of_the_labelled_stretch(tiny, traces) -> None:
    model = tiny()
    whole = [Trace(t.id, t.prompt, t.text, (Span(0, len(t.text), "all"),), t.problem) for t in traces]
    stretch = collect(model, whole, progress=False)
    found = collect(model, traces, progress=False)
    torch.testing.assert_close(found.overall_mean, stretch.values.mean(dim=0), rtol=1e-4, atol=1e-6)


def test_the_residual_norm_is_the_mean_over_traces_of_the_mean_token_norm(tiny, traces) -> None:
    model = tiny()
    means = []
    for encoded in encode(model, traces):
        stretch = forward(model, encoded)[:, encoded.spans[0][0] :]  # the text ends with its last span
        means.append(stretch.norm(dim=-1).mean(dim=-1))
    found = collect(model, traces, progress=False).residual_norm
    torch.testing.assert_close(found, torch.stack(means).mean(dim=0).float(), rtol=1e-4, atol=1e-6)


def test_an_activation_that_is_not_finite_is_named_by_layer_and_example(tiny, traces) -> None:
    model = tiny()
    with torch.no_grad():
        model.blocks[1].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(InputError, match=r"layer 1 are not finite .* in trace 't\d+', the span '.*bfloat16 or float32"):
        collect(model, traces, progress=False)


def test_a_pair_of_model_and_traces_without_labels_is_refused(tiny) -> None:
    with pytest.raises(InputError, match="nothing to read: 1 traces hold 0 labelled spans"):
        collect(tiny(), [Trace("n", "Q", "Text.")], progress=False)


def test_saved_activations_open_equal_and_other_files_are_refused(tiny, traces, tmp_path: Path) -> None:
    found = collect(tiny(), traces, read="window:-1:10", progress=False)
    found.save(tmp_path / "acts.safetensors")
    opened = Activations.open(tmp_path / "acts.safetensors")
    torch.testing.assert_close(opened.load().values, found.values, rtol=0, atol=0)
    torch.testing.assert_close(opened.overall_mean, found.overall_mean, rtol=0, atol=0)
    assert (opened.examples, opened.layers, opened.read) == (found.examples, found.layers, found.read)
    assert (opened.model, opened.n_skipped) == (found.model, found.n_skipped)
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "acts.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot read activations from .*torn"):
        Activations.open(tmp_path / "torn.safetensors")


def test_examples_can_be_chosen_by_behaviour(tiny, traces) -> None:
    found = collect(tiny(), traces, progress=False)
    chosen = found.where("backtracking")
    assert set(chosen.labels) == {"backtracking"} and len(chosen.values) == 24
    torch.testing.assert_close(chosen.values, found.values[np.flatnonzero(found.shows("backtracking"))])
    with pytest.raises(InputError, match="no example shows 'backtrack'; the labels here are .*backtracking"):
        found.where("backtrack")


def test_spans_that_are_all_markup_add_no_stretch(tiny, traces) -> None:
    marked = Trace("m", "What is it", "</s> hello", (Span(0, 4, "deduction"),))  # the read takes a token of the prompt
    found = collect(tiny(), [*traces, marked], read="before:1", progress=False)
    usual = collect(tiny(), traces, read="before:1", progress=False)
    assert len(found.examples) == len(usual.examples) + 1
    torch.testing.assert_close(found.overall_mean, usual.overall_mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.residual_norm, usual.residual_norm, rtol=1e-5, atol=0)
