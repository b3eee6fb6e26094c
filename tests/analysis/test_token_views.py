"""Values token by token: those of a loop with hooks, of two whole forward passes, and in their places in the text."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import InputError, Span, Trace, collect, mean_difference_directions, score, token_view
from reasonlens.analysis import _token_view
from reasonlens.figures.token_view import TokenChannel, TokenView, ViewedTrace, bands_of
from reasonlens.traces import encode

from .test_score import planted

TEXT = "So 4 + 3 is 8. Wait, that is not right: é is 7.\nThen it is 7."


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace("t0", "What is 4 + 3?", TEXT, (Span(0, 14, "deduction"), Span(15, 47, "backtracking")))


def hooked(model: Any, ids: Any, layer: int) -> torch.Tensor:
    """The output of one block, by a hook of its own."""
    caught = []
    handle = model.blocks[layer].register_forward_hook(
        lambda _, __, output: caught.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.inference_mode():
        model.model(torch.tensor(np.asarray(ids))[None])
    handle.remove()
    return caught[0].reshape(-1, caught[0].shape[-1])


def test_projections_are_those_of_a_loop_with_hooks(tiny: Any, traces: Any, trace: Trace) -> None:
    model = tiny()
    directions = mean_difference_directions(collect(model, traces, layers=[0, 2], progress=False))
    view = token_view(model, trace, directions=directions, progress=False)
    (shown,), (text,) = view.traces, encode(model, [trace])
    of_text = np.flatnonzero(_token_view._shown(text))
    assert "".join(shown.tokens) == TEXT and len(shown.channels) == 2 * len(directions.behaviours)
    for channel in shown.channels:
        vector = directions.at(channel.behaviour, channel.layer)
        norm = directions[channel.behaviour].norm_at(channel.layer)
        expected = hooked(model, text.token_ids, channel.layer)[of_text] @ vector / vector.norm() / norm
        np.testing.assert_allclose(channel.values, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_probe_scores_are_those_of_score(tiny: Any, trace: Trace) -> None:
    model, probes = tiny(), planted(tiny())
    shown = token_view(model, [trace], probes=probes, progress=False).traces[0]
    scored = score(model, [trace], probes, progress=False)
    own = {(channel.behaviour, channel.layer): channel.values for channel in shown.channels}
    for behaviour, layer in scored.layers.items():
        row = scored.texts[0].log_odds[list(scored.behaviours).index(behaviour)]
        expected = row[[token for _, _, token in scored.texts[0].stretches()]]
        np.testing.assert_allclose(own[behaviour, layer], expected, rtol=1e-3, atol=1e-4)
    assert scored.view().traces[0].tokens == shown.tokens and scored.view().traces[0].bands == shown.bands


@pytest.mark.parametrize("n_at_once", [3, 4096])
def test_divergence_is_that_of_two_whole_passes_and_none_from_itself(
    tiny: Any, trace: Trace, monkeypatch: pytest.MonkeyPatch, n_at_once: int
) -> None:
    monkeypatch.setattr(_token_view, "N_AT_ONCE", n_at_once)
    model, other = tiny(), tiny("qwen")
    (text,) = encode(model, [trace])
    ids = torch.tensor(np.asarray(text.token_ids))[None]
    with torch.inference_mode():
        p, q = (one.model(ids).logits[0].double().log_softmax(-1) for one in (other, model))
    expected = (p.exp() * (p - q)).sum(-1)[:-1].numpy()
    measured = _token_view.divergence(model, other, text)
    assert np.isnan(measured[0]) and expected.max() > 5e-4  # both are nearly uniform
    np.testing.assert_allclose(measured[1:], expected, rtol=0.02, atol=1e-6)
    np.testing.assert_allclose(_token_view.divergence(model, model, text)[1:], 0, atol=1e-6)


def test_bands_hold_the_tokens_of_their_spans(tiny: Any, trace: Trace) -> None:
    shown = token_view(tiny(), trace, other=tiny("qwen"), progress=False).traces[0]
    words = {label: "".join(shown.tokens[first:stop]) for first, stop, label in shown.bands}
    assert words["deduction"].strip() == TEXT[:14] and words["backtracking"].strip() == TEXT[15:47]
    assert bands_of([(0, 2), (2, 5), (5, 6)], [(1, 3, "a"), (5, 6, "b"), (6, 9, "none")]) == ((0, 2, "a"), (2, 3, "b"))


def test_what_is_missing_or_does_not_fit_is_said(tiny: Any, trace: Trace) -> None:
    with pytest.raises(InputError, match="nothing to look at: give directions=, probes= or other="):
        token_view(tiny(), trace)
    with pytest.raises(InputError, match="there are probes at layers .*, and none of"):
        token_view(tiny(), trace, probes=planted(tiny()), layers=[99])


def viewed(values: list[float], **more: Any) -> TokenView:
    channel = TokenChannel(measure="probe score", values=np.array(values), **more)
    tokens = tuple(f"w{place} " for place in range(len(values)))
    return TokenView(
        traces=(ViewedTrace(name="t", prompt="p", tokens=tokens, channels=(channel,)),), title="A title", caption="c"
    )


def test_packed_values_are_the_values_and_nan_stays_nan() -> None:
    values = np.array([-3.25, float("nan"), 0.0, 1e-3, 41.5])
    content = TokenChannel(measure="m", values=values).to_dict()
    steps = np.frombuffer(b64decode(content["packed"]), dtype="<i2").astype(float)
    steps[steps == -32_768] = np.nan
    np.testing.assert_allclose(content["middle"] + steps * content["step"], values, atol=(41.5 + 3.25) / 64_000)
    constant = TokenChannel(measure="m", values=np.full(3, 2.0)).to_dict()
    assert constant["middle"] == 2.0 and set(b64decode(constant["packed"])) == {0}


def test_a_page_of_a_long_trace_stays_small_and_a_notebook_shows_it_in_a_frame(tmp_path: Path) -> None:
    view = viewed(np.sin(np.arange(32_000.0)).tolist())
    page = view.to_html(tmp_path / "view.html")
    assert (tmp_path / "view.html").read_text("utf-8") == page and len(page) < 900_000
    html = viewed([0.0, 1.0])._repr_html_()
    assert html.startswith("<iframe") and 'sandbox="allow-scripts"' in html and "<script" not in html
    assert len(repr(view)) < 400 and len(view) == 1


def test_hostile_tokens_stay_text() -> None:
    evil = "</script><script>alert(1)</script>"
    channel = TokenChannel(measure=evil, behaviour=evil, values=np.zeros(2))
    trace = ViewedTrace(name=evil, prompt=evil, tokens=(evil, "\u202e"), channels=(channel,), bands=((0, 1, evil),))
    page = TokenView(traces=(trace,), title=evil, caption=evil).to_html()
    assert "alert(1)</script>" not in page and "\u202e" not in page
    block = page.split('id="data-tokens">')[1].split("</script>")[0]
    assert json.loads(block)["traces"][0]["tokens"] == [evil, "\ufffd"]


def test_a_channel_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another number of values than the trace has tokens, 1"):
        ViewedTrace(name="t", prompt="", tokens=("a",), channels=(TokenChannel(measure="m", values=np.zeros(2)),))
