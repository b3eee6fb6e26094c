"""The site that activations were read at goes with the probes and directions found in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reasonlens import InputError, collect, mean_difference_directions, score
from reasonlens.models import LanguageModel
from reasonlens.models.sites import Site
from reasonlens.probes import ProbeSweep, SavedProbes, sweep, transfer
from reasonlens.traces import Trace
from reasonlens.vectors import with_norms_of

QUICK = {"n_bootstrap": 20, "n_shuffles": 2, "n_permutations": 1, "penalties": [1.0], "progress": False}
ATTENTION = Site("hook_attn_out")


def test_probes_and_directions_say_the_site_of_their_activations(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path
) -> None:
    activations = collect(tiny(), traces, sites="hook_attn_out", layers=[0, 2], progress=False)
    swept = sweep(activations, behaviours=["backtracking"], **QUICK)
    assert swept.site == "hook_attn_out" and "at hook_attn_out, read mean" in swept.caption
    assert ProbeSweep.from_dict(swept.to_dict()).site == swept.site
    swept.probes().save(tmp_path / "probes.safetensors")
    assert SavedProbes.open(tmp_path / "probes.safetensors").site == "hook_attn_out"
    directions = mean_difference_directions(activations)
    assert directions.site == directions["backtracking"].site == ATTENTION
    default = sweep(replace(activations, site=Site("hook_out")), behaviours=["backtracking"], **QUICK)
    assert "hook_out" not in default.caption


def test_score_reads_a_text_at_the_site_of_the_probes(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> None:
    model = tiny()
    activations = collect(model, traces, sites="hook_attn_out", layers=[1], progress=False)
    probes = sweep(activations, behaviours=["backtracking"], **QUICK).probes()
    text = traces[0].text
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    outputs: list[torch.Tensor] = []
    hook = (
        model.blocks[1]
        .get_submodule("self_attn")
        .register_forward_hook(lambda _module, _args, output: outputs.append(output[0]))
    )
    with torch.no_grad():
        model.model(ids)
    hook.remove()
    expected = probes.score(outputs[0][0], "backtracking")
    (scored,) = score(model, text, probes, progress=False).texts
    computed = torch.from_numpy(scored.log_odds[0]).float()
    assert computed.shape == expected.shape and computed.isnan().sum() == 1  # the first token, an attention sink
    torch.testing.assert_close(computed[1:], expected[1:], rtol=1e-4, atol=1e-4)


def test_norms_are_measured_at_the_site_of_the_directions(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model, texts = tiny(), [trace.text for trace in traces[:3]]
    directions = mean_difference_directions(collect(model, traces, layers=[1], progress=False))
    at_output = with_norms_of(directions, model, texts).residual_norm[0]
    at_attention = with_norms_of(replace(directions, site=ATTENTION), model, texts).residual_norm[0]
    outputs: list[torch.Tensor] = []
    hook = (
        model.blocks[1]
        .get_submodule("self_attn")
        .register_forward_hook(lambda _module, _args, output: outputs.append(output[0][0, 1:].norm(dim=-1).mean()))
    )
    with torch.no_grad():
        for text in texts:
            model.model(torch.tensor([model.tokenizer(text)["input_ids"]]))
    hook.remove()
    assert at_attention == pytest.approx(float(torch.stack(outputs).mean()), rel=1e-3) != at_output


def test_probes_of_one_site_are_not_tested_on_another(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> None:
    activations = collect(tiny(), traces, layers=[1], progress=False)
    sources = {"after": activations, "attention": replace(activations, site=ATTENTION)}
    with pytest.raises(InputError, match="attention was read at hook_attn_out, and after at hook_out: only"):
        transfer(sources, progress=False)
