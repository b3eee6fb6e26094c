"""What a narrower dtype cannot hold is refused when it is written, and what is not finite when it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reasonlens import Activations, InputError, Moments, collect, write_traces
from reasonlens.activations.store import shard
from reasonlens.cli.app import app
from reasonlens.models import LanguageModel

from .conftest import OPTIONS


@pytest.fixture
def loud(tiny) -> LanguageModel:
    """A model whose residual stream goes beyond float16 (65,504), and is finite in float32."""
    model = tiny()
    with torch.no_grad():
        model.model.get_input_embeddings().weight.mul_(1e8)
    return model


def test_a_number_beyond_float16_is_refused_with_layer_trace_and_remedy(loud, traces, tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"activations at layer 0 reach .* in trace 't0' \(problem 'What is 0 doubled\?'\), the span .* too large "
        r"for float16, which ends at 65504. Store bfloat16 or float32 \(--store-dtype, dtype=\)",
    ):
        collect(loud, traces, out=tmp_path / "half", dtype=torch.float16, **OPTIONS)
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_wider_dtypes_hold_the_same_activations(loud, traces, tmp_path: Path, dtype: torch.dtype) -> None:
    stored = collect(loud, traces, out=tmp_path / "wide", dtype=dtype, **OPTIONS)
    expected = collect(loud, traces, progress=False)
    torch.testing.assert_close(stored.layer(2), expected.layer(2), rtol=2**-7, atol=1e-3)


def test_embeddings_alone_beyond_float16_are_refused_too(loud, traces, tmp_path: Path) -> None:
    activations = collect(loud, traces, progress=False)
    assert activations.embedding_values is not None
    small = replace(activations, values=torch.zeros_like(activations.values))
    read_part = shard.ReadPart(
        activations=small.values.transpose(0, 1)[None],
        embeddings=small.embedding_values,
        examples=small.examples,
        stretch_sum=torch.zeros(1, 3, 32, dtype=torch.float64),
        norm_sum=torch.zeros(1, 3, dtype=torch.float64),
        n_stretches=1,
        n_skipped=0,
    )
    about = {"layers": list(small.layers), "reads": ["mean"], "sites": ["hook_out"], "model": {}}
    with pytest.raises(InputError, match="input embeddings reach .* too large for float16"):
        shard.write_shard(tmp_path / "one", shard.Part(reads=(read_part,)), torch.float16, about)


def test_activations_that_are_not_finite_are_neither_saved_nor_read(
    tiny, traces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activations = collect(tiny(), traces, progress=False)
    assert isinstance(activations.values, torch.Tensor)
    activations.values[5, 1, 3] = torch.nan
    message = "activations at layer 1 are not finite .* in trace .* Collect again"
    with pytest.raises(InputError, match=message):
        activations.save(tmp_path / "acts.safetensors")
    with pytest.raises(InputError, match=message):
        Moments.of(activations)
    assert activations.layer(0).isfinite().all()  # other layers can be used
    with monkeypatch.context() as unchecked:  # as versions before this one wrote it
        for name in ("activations.activations", "activations.store.shard"):
            unchecked.setattr(f"reasonlens.{name}.check_finite", lambda *_: None)
        activations.save(tmp_path / "acts.safetensors")
    with pytest.raises(InputError, match=message):
        Activations.open(tmp_path / "acts.safetensors").layer(1)


def test_moments_that_are_not_finite_are_refused(tiny, traces) -> None:
    moments = Moments.of(collect(tiny(), traces, progress=False))
    summary = moments.by_label["deduction"]
    broken = replace(summary, mean=summary.mean.clone().index_fill_(0, torch.tensor([2]), torch.inf))
    with pytest.raises(InputError, match="moments of 'deduction' at layer 2 are not finite"):
        replace(moments, by_label=moments.by_label | {"deduction": broken})


def test_the_command_says_it_in_one_line(loud, traces, tmp_path: Path) -> None:
    loud.model.save_pretrained(tmp_path / "loud")
    loud.tokenizer.save_pretrained(tmp_path / "loud")
    write_traces(traces, tmp_path / "traces.jsonl")
    arguments = ["collect", "--model", str(tmp_path / "loud"), "--traces", str(tmp_path / "traces.jsonl")]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "o"), "--store-dtype", "float16"])
    assert result.exit_code == 2 and "too large for float16" in result.stderr and "Traceback" not in result.stderr
