from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import (
    InputError,
    LanguageModel,
    Trace,
    collect,
    load,
)
from reasonlens.analysis._score import score
from reasonlens.analysis.scored_text import ScoredText
from reasonlens.analysis.token_scores import probability
from reasonlens.probes.saved import SavedProbes

from ..conftest import CONFIGS, D_MODEL

BEST = {"backtracking": 1, "deduction": 2}
CHAT = "{% for m in messages %}<s>{{ m['role'] }}:\n{{ m['content'] | trim }}</s>{% endfor %}bot:\n"
MIXED = 'So 2 数 is é🙂.\n\n\tWait,  no: 👨‍👩‍👧 <b>&amp;</b> "x"\r\nend'


def planted(model: LanguageModel, read: str = "mean", **changed: Any) -> SavedProbes:
    generator = torch.Generator().manual_seed(1)
    parts: dict[str, Any] = {
        "weights": {name: 30 * torch.randn(3, D_MODEL, generator=generator) for name in BEST},
        "biases": {name: torch.randn(3, generator=generator) for name in BEST},
        "layers": (0, 1, 2),
        "read": read,
        "model": model.identity(),
        "method": "planted",
        "best_layers": BEST,
        "prevalence": dict.fromkeys(BEST, 0.2),
        "scores": {name: {} for name in BEST},
        "seed": 0,
    }
    return SavedProbes(**parts | changed)


def naive(model: LanguageModel, trace: Trace, probes: SavedProbes) -> np.ndarray:
    """(n_behaviours, n_tokens of the text): one text, one hook, one dot product at a time; NaN for the first token."""
    prefix = f"{trace.prompt}\n\n" if trace.prompt else ""
    encoded = model.tokenizer(prefix + trace.text, return_offsets_mapping=True)
    kept: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out))
        for block in model.blocks
    ]
    with torch.inference_mode():
        model.model(torch.tensor([encoded["input_ids"]]))
    for hook in hooks:
        hook.remove()
    rows = []
    for name, layer in BEST.items():
        weight, bias = probes.weights[name][layer].double(), probes.biases[name][layer].double()
        rows.append([float(token.double() @ weight + bias) for token in kept[layer][0]])
    found = np.array(rows)
    found[:, 0] = np.nan
    return found[:, [end > len(prefix) for _, end in encoded["offset_mapping"]]]


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_planted_probe_scores_as_a_loop_with_hooks(tiny, traces, architecture: str) -> None:
    model = tiny(architecture)
    probes = planted(model)
    texts = [*traces[:3], Trace("bare", "", "It is 4. Wait, that was wrong.")]
    scores = score(model, texts, probes, progress=False)
    for trace, found in zip(texts, scores.texts, strict=True):
        assert found.trace is trace
        np.testing.assert_allclose(found.log_odds, naive(model, trace, probes), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma"])
@pytest.mark.parametrize("tokens_per_batch", [16, 64, 4096])
def test_padded_and_chunked_equal_each_text_alone(tiny, traces, architecture: str, tokens_per_batch: int) -> None:
    model = tiny(architecture)
    probes = planted(model)
    texts = ["One is odd.", *traces[:2], MIXED, traces[2].text * 3]
    together = score(model, texts, probes, tokens_per_batch=tokens_per_batch, progress=False)
    for text, found in zip(texts, together.texts, strict=True):
        (alone,) = score(model, text, probes, progress=False).texts
        np.testing.assert_allclose(found.log_odds, alone.log_odds, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.sentence_log_odds, alone.sentence_log_odds, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("read", ["mean", "first", "last", "before:1", "before:3", "window:-1:10"])
def test_a_sentence_has_the_score_of_its_collected_activation(tiny, traces, read: str) -> None:
    model = tiny()
    probes = planted(model, read)
    found = score(model, traces[:4], probes, progress=False).sentences
    activations = collect(model, traces[:4], read=read, progress=False)
    for name, layer in BEST.items():
        expected = probes.score(activations.layer(layer), name)
        rows = found[found["behaviour"] == name]
        np.testing.assert_allclose(rows["log_odds"], expected, rtol=1e-4, atol=1e-4)
        assert list(rows["label"]) == list(activations.labels) and set(rows["layer"]) == {layer}


def test_a_text_without_spans_is_cut_into_sentences_also_short_ones(tiny) -> None:
    model = tiny()
    scores = score(model, "Wait. That makes 4 in all.\nDone", planted(model), progress=False)
    rows = scores.sentences[scores.sentences["behaviour"] == "deduction"]
    assert list(rows["sentence"]) == ["Wait.", "That makes 4 in all.", "Done"] and set(rows["label"]) == {""}
    assert rows["log_odds"].notna().all()
    assert scores.texts[0].trace.spans == ()


def test_a_sentence_whose_read_takes_no_token_has_no_score(tiny) -> None:
    model = tiny()
    scores = score(model, "It is 4. It is 5.", planted(model, "before:1"), progress=False)
    assert list(scores.sentences["log_odds"].isna()) == [True, False] * 2


def test_a_character_of_several_tokens_is_shown_once_with_the_score_of_its_last(tiny) -> None:
    model = tiny()
    (found,) = score(model, MIXED, planted(model), progress=False).texts
    stretches = found.stretches()
    shared = [token for token in range(len(found.characters)) if token not in {each[2] for each in stretches}]
    assert len(shared) > 10, "no character takes several tokens: the test tests nothing"
    assert "".join(MIXED[start:end] for start, end, _ in stretches) == MIXED
    for start, end, token in stretches:
        assert all(not (s < end and e > start) for s, e in found.characters[token + 1 :].tolist())
    assert found.characters[:, 1].max() == len(MIXED)


def test_stretches_of_tokens_that_overlap_in_part_are_joined_and_gaps_are_left() -> None:
    scores = np.array([[1.0, 2.0, np.nan, 4.0, 5.0]])
    characters = np.array([[0, 2], [1, 3], [1, 3], [5, 6], [6, 6]])
    text = ScoredText(
        trace=Trace("t", "", "ab🙂  xy"),
        characters=characters,
        log_odds=scores,
        sentences=(),
        sentence_log_odds=np.empty((1, 0)),
    )
    assert text.stretches() == [(0, 3, 1), (5, 6, 3)]


def test_markup_has_no_score_and_everything_else_has(tiny, tokenizer) -> None:
    chat = copy.deepcopy(tokenizer)
    chat.chat_template = CHAT
    model = replace(tiny(), tokenizer=chat)
    text = "So it is 4.</s> Wait, no."
    (found,) = score(model, [Trace("t", "What?", text)], planted(model), progress=False).texts
    special = [text[start:end] == "</s>" for start, end in found.characters.tolist()]
    assert sum(special) == 1
    np.testing.assert_array_equal(np.isnan(found.log_odds), [special, special])
    (plain,) = score(model, text, planted(model), template="plain", progress=False).texts
    assert np.isnan(plain.log_odds[:, 0]).all() and not np.isnan(plain.log_odds[:, 1]).any()  # an attention sink


def test_a_prompt_changes_the_scores_and_is_not_scored(tiny) -> None:
    model = tiny()
    asked = score(model, "It is 4.", planted(model), prompt="What is 2 + 2?", progress=False)
    alone = score(model, "It is 4.", planted(model), progress=False)
    assert asked.texts[0].characters.tolist() == alone.texts[0].characters.tolist()
    assert np.abs(asked.texts[0].log_odds - alone.texts[0].log_odds)[:, 1:].min() > 0


def test_a_layer_asked_for_goes_for_all_behaviours(tiny) -> None:
    model = tiny()
    probes = planted(model)
    usual = score(model, "It is 4.", probes, progress=False)
    third = score(model, "It is 4.", probes, layer=-1, progress=False)
    assert usual.layers == BEST and third.layers == {"backtracking": 2, "deduction": 2}
    np.testing.assert_array_equal(usual.texts[0].log_odds[1], third.texts[0].log_odds[1])
    assert (usual.texts[0].log_odds[0] != third.texts[0].log_odds[0])[1:].all()
    only = score(model, "It is 4.", probes, behaviours=["deduction"], progress=False)
    np.testing.assert_array_equal(only.texts[0].log_odds[0], usual.texts[0].log_odds[1])


def test_probes_are_taken_from_their_file(tiny, tmp_path: Path) -> None:
    model = tiny()
    planted(model).save(tmp_path / "probes.safetensors")
    from_file = score(model, "It is 4.", tmp_path / "probes.safetensors", progress=False)
    np.testing.assert_array_equal(
        from_file.texts[0].log_odds, score(model, "It is 4.", planted(model), progress=False).texts[0].log_odds
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": ""}, "there is nothing to score"),
        ({"texts": []}, "there is nothing to score: 0 texts"),
        ({"texts": [" \n"]}, "there is nothing to score"),
        ({"texts": "half \ud83d"}, "text 1 holds half of a surrogate pair"),
        ({"texts": "x " * 2000}, "more than the 1024"),
        ({"behaviours": ["dreaming"]}, "no probe for 'dreaming'; there are probes for backtracking, deduction"),
        ({"behaviours": []}, "no behaviours asked for"),
        ({"layer": 3}, "no probe at layer 3; there are probes at 0, 1, 2"),
        ({"layer": -4}, "no probe at layer"),
        ({"template": "chat"}, "has no chat template"),
    ],
)
def test_what_cannot_be_scored_is_said(tiny, given: dict[str, Any], message: str) -> None:
    model = tiny()
    with pytest.raises(InputError, match=message):
        score(model, **{"texts": "It is 4.", "probes": planted(model)} | given, progress=False)


def test_another_model_is_refused_unless_forced(tiny) -> None:
    probes = planted(tiny("gpt2"))
    with pytest.raises(InputError, match="trained on tiny-gpt2 .* tiny-llama .*other weights"):
        score(tiny(), "It is 4.", probes, progress=False)
    forced = score(tiny(), "It is 4.", probes, force=True, progress=False)
    assert forced.model["name"] == "tiny-llama"


def test_activations_that_are_not_finite_are_said(tiny) -> None:
    model = tiny()
    with torch.no_grad():
        model.model.model.layers[1].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(InputError, match="activations of 'text 1' are not finite"):
        score(model, "It is 4.", planted(model), progress=False)


def test_the_table_has_a_row_for_every_behaviour_and_token(tiny, traces) -> None:
    model = tiny()
    scores = score(model, traces[:2], planted(model), progress=False)
    frame = scores.to_frame()
    columns = ["text", "position", "token", "start", "end", "behaviour", "layer", "log_odds", "probability"]
    assert list(frame.columns) == columns
    assert len(frame) == 2 * sum(len(text.characters) for text in scores.texts)
    for row in frame.sample(20, random_state=0).itertuples():
        (trace,) = [trace for trace in traces if trace.id == row.text]
        assert trace.text[row.start : row.end] == row.token
        assert row.probability == pytest.approx(1 / (1 + np.exp(-row.log_odds)))


def test_scores_that_are_no_log_odds_have_no_probability(tiny) -> None:
    model = tiny()
    scores = score(model, "It is 4.", planted(model, are_log_odds=False), progress=False)
    assert scores.to_frame()["probability"].isna().all() and scores.sentences["log_odds"].notna().any()
    assert scores.priors == {"backtracking": None, "deduction": None} and scores.to_dict()["are_log_odds"] is False
    html = scores._repr_html_()
    assert "score of backtracking" in html and "log odds" not in html and "%)" not in html.split("rl-text")[-1]


def test_a_probability_does_not_overflow() -> None:
    np.testing.assert_allclose(probability(np.array([-1e9, 0.0, 1e9, np.log(3)])), [0, 0.5, 1, 0.75])


def test_the_dictionary_is_strict_json_with_null_for_no_score(tiny) -> None:
    model = tiny()
    scores = score(model, MIXED, planted(model, "before:1"), progress=False)
    text = json.dumps(scores.to_dict(), allow_nan=False)
    found = json.loads(text)["texts"][0]
    assert found["text"] == MIXED and found["tokens"]["log_odds"]["backtracking"][0] is None
    np.testing.assert_allclose(
        found["tokens"]["log_odds"]["deduction"][1:], scores.texts[0].log_odds[1, 1:], rtol=0, atol=1e-6
    )
    assert len(found["sentences"]["start"]) == len(found["sentences"]["log_odds"]["deduction"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_and_cpu_give_the_same_scores(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    expected = score(model, traces, planted(model), progress=False)
    on_gpu = load(tmp_path, device="cuda", dtype=torch.float32)
    found = score(on_gpu, traces, planted(model), progress=False)
    for one, other in zip(found.texts, expected.texts, strict=True):
        np.testing.assert_allclose(one.log_odds, other.log_odds, rtol=1e-3, atol=1e-2)
