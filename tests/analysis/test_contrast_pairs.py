"""Contrast pairs without labels give the directions of the tools that take them, and no split cuts a pair."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from torch import Tensor
from typer.testing import CliRunner

from reasonlens import ContrastPair, Directions, InputError, collect, collect_pairs, directions, sweep
from reasonlens.cli.app import app
from reasonlens.models import LanguageModel
from reasonlens.probes.folds import grouped_folds
from reasonlens.traces import Span, Trace, resolve_pairs

Tiny = Callable[..., LanguageModel]
QUICK = {"n_resamples": 0, "progress": False}
ENDINGS = (
    "So it is",
    "Wait, that",
    "The rest ",
    "Checking\n",
    "I think – é",
    "He said </s>",
    "Both ways",
    "Adding 4 and 4",
)
PAIRS = [(f"An honest answer. {ending}", f"A dishonest answer, a lie. {ending}") for ending in ENDINGS]


def last_hidden(model: LanguageModel, text: str, layer: int) -> Float[Tensor, " d_model"]:
    """Read the output of a block at the very last token, one prompt at a time, as the other tools do."""
    states: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    hook = model.blocks[layer].register_forward_hook(keep)
    with torch.no_grad():
        model.model(**model.tokenizer(text, return_tensors="pt", return_token_type_ids=False))
    hook.remove()
    return states[0][0, -1]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def hidden(tiny: Tiny, request: pytest.FixtureRequest) -> tuple[LanguageModel, Float[Tensor, "n_pairs 2 d_model"]]:
    model = tiny(request.param)
    rows = [torch.stack([last_hidden(model, text, 1) for text in pair]) for pair in PAIRS]
    return model, torch.stack(rows)


def test_the_very_last_token_is_read_white_space_and_special_tokens_too(hidden: Any) -> None:
    model, expected = hidden
    activations = collect_pairs(model, PAIRS, layers=[1], progress=False)
    torch.testing.assert_close(activations.layer(1), expected.flatten(0, 1), rtol=1e-4, atol=1e-5)
    assert activations.labels == ("positive", "not positive") * len(PAIRS)
    assert activations.problems == tuple(f"pair {number}" for number in range(1, 9) for _ in range(2))


def test_the_mean_difference_is_the_mean_of_the_differences(hidden: Any) -> None:
    model, expected = hidden
    result = directions(pairs=PAIRS, model=model, behaviours=["honesty"], layers=[1], **QUICK)
    assert result.behaviours == ("honesty",) and result.read == "last"
    differences = expected[:, 0] - expected[:, 1]
    torch.testing.assert_close(result.at("honesty", 1), differences.mean(dim=0), rtol=1e-4, atol=1e-5)
    swapped = directions(pairs=[pair[::-1] for pair in PAIRS], model=model, layers=[1], **QUICK)
    torch.testing.assert_close(swapped.at("positive", 1), -result.at("honesty", 1))


@pytest.mark.parametrize("form", ["pca_diff", "pca_center"])
def test_pca_finds_the_axis_that_repeng_documents(hidden: Any, form: str) -> None:
    """pca_diff: PCA of positive minus negative; pca_center: PCA of both, each minus the middle of its pair."""
    model, expected = hidden
    pairs = expected.double().numpy()
    middle = pairs.mean(axis=1, keepdims=True)
    rows = pairs[:, 0] - pairs[:, 1] if form == "pca_diff" else (pairs - middle).reshape(-1, pairs.shape[-1])
    axis = PCA(n_components=1).fit(rows).components_[0]
    options: dict[str, Any] = {"method": "pca", "centred": form == "pca_diff", "layers": [1]} | QUICK
    direction = directions(pairs=PAIRS, model=model, **options).at("positive", 1).double().numpy()
    assert abs(axis @ direction) / np.linalg.norm(direction) > 1 - 1e-5
    mean = (pairs[:, 0] - pairs[:, 1]).mean(axis=0)
    assert direction @ mean > 0 and np.linalg.norm(direction) == pytest.approx(abs(axis @ mean), rel=1e-4)


@dataclass
class DatasetEntry:  # the fields of repeng's
    positive: str
    negative: str


@dataclass
class SteeringVectorTrainingSample:  # the fields of steering-vectors'
    positive_str: str
    negative_str: str
    read_positive_token_index: int | None = None
    read_negative_token_index: int | None = None


def test_pairs_are_taken_from_every_tool_and_file(tmp_path: Path) -> None:
    expected = [ContrastPair(*pair) for pair in PAIRS]
    rows = [{"positive": positive, "negative": negative, "n": 1} for positive, negative in PAIRS]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "lists.json").write_text(json.dumps(PAIRS))
    (tmp_path / "preferences.json").write_text(json.dumps([{"chosen": a, "rejected": b} for a, b in PAIRS]))
    for source in (
        PAIRS,
        iter(PAIRS),
        [list(pair) for pair in PAIRS],
        rows,
        expected,
        [DatasetEntry(*pair) for pair in PAIRS],
        [SteeringVectorTrainingSample(*pair) for pair in PAIRS],
        tmp_path / "rows.jsonl",
        str(tmp_path / "lists.json"),
        tmp_path / "preferences.json",
    ):
        assert resolve_pairs(source) == expected


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "there are no pairs; give a file, or a list of"),
        (5, r"5 \(int\) holds no pairs"),
        ({"positive": "a", "negative": "b"}, "holds no pairs"),
        ([("a", "b", "c")], "pair 1: a pair is two texts, and these are 3"),
        ([("a", "b"), ("a", "")], "pair 2: the negative text of a pair is empty"),
        ([("a", 5)], "pair 1: 'negative' must be a text, found 5"),
        ([{"positive": "a", "negativ": "b"}], "its fields are positive, negativ; a pair .* positive and negative or"),
        (["ab"], "pair 1: no pair: it is str"),
        ([SteeringVectorTrainingSample("a", "b", 3)], "own token index is not supported: end its texts at the token"),
    ],
)
def test_what_is_no_pair_is_named(pairs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_pairs(pairs)


def test_a_bos_that_stands_in_the_prompt_is_not_there_twice(tiny: Tiny) -> None:
    model = tiny()
    bare = collect_pairs(model, PAIRS[:2], layers=[1], progress=False).layer(1)
    written = [(f"<s>{positive}", f"<s>{negative}") for positive, negative in PAIRS[:2]]
    assert torch.equal(collect_pairs(model, written, layers=[1], progress=False).layer(1), bare)


def test_other_reads_leave_out_sinks_and_resamples_draw_pairs(tiny: Tiny) -> None:
    model = tiny()
    texts = [text for pair in PAIRS for text in pair]
    traces = [Trace(str(n), "", text, (Span(0, len(text), "x"),)) for n, text in enumerate(texts)]
    expected = collect(model, traces, layers=[1], template="plain", progress=False)
    means = collect_pairs(model, PAIRS, layers=[1], read="mean", progress=False)
    # A text that ends in white space has one token more: the last one is part of a prompt.
    same = [n for n, text in enumerate(texts) if text == text.rstrip()]
    torch.testing.assert_close(means.layer(1)[same], expected.layer(1)[same])
    result = directions(pairs=PAIRS, model=model, n_resamples=20, progress=False)
    assert result.n_problems == len(PAIRS) and len(result.scores["positive"]["bootstrap_cosine"]) == 3


def test_probes_of_pairs_never_cut_one(tiny: Tiny) -> None:
    pairs = [(f"Yes, sure: {n}", f"No, never: {n}") for n in range(20)]
    activations = collect_pairs(tiny(), pairs, label="yes", read="mean", progress=False)
    probes = sweep(activations, n_folds=4, n_bootstrap=20, n_shuffles=1, n_permutations=10, progress=False)
    assert set(probes.behaviours) == {"yes", "not yes"} and probes.n_examples == 40
    folds = grouped_folds(activations.labels, activations.problems, probes.behaviours, 4, seed=0)
    assert np.array_equal(folds[::2], folds[1::2]) and len(set(folds.tolist())) == 4
    assert probes.to_frame().query("behaviour == 'yes'")["auroc"].max() > 0.95  # the texts differ in every word


def test_pairs_take_a_model_and_nothing_else(tiny: Tiny) -> None:
    model = tiny()
    for options in (
        {},
        {"model": model, "traces": "bundled"},
        {"model": model, "source": "acts"},
        {"model": model, "method": "optimised"},
    ):
        with pytest.raises(InputError, match="pairs are read by a model: give --pairs and --model"):
            directions(pairs=PAIRS, **options)
    with pytest.raises(InputError, match="pairs show one behaviour, and 2 are named: a, b"):
        directions(pairs=PAIRS, model=model, behaviours=["a", "b"])
    with pytest.raises(InputError, match="no option 'centered'"):
        directions(pairs=PAIRS, model=model, method="pca", centered=True)


def test_the_command_writes_directions_of_a_file_of_pairs(tiny: Tiny, tmp_path: Path) -> None:
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    lines = [json.dumps({"positive": positive, "negative": negative}) for positive, negative in PAIRS]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    words = ["directions", "--pairs", tmp_path / "pairs.jsonl", "--model", tmp_path / "model", "--device", "cpu"]
    words += ["--behaviours", "honesty", "--bootstrap", "5", "--out", tmp_path / "v.safetensors"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "honesty" in done.stdout and "8 / 8" in done.stdout and "contrast pairs hold no sentences" in done.stderr
    opened = Directions.open(tmp_path / "v.safetensors")
    expected = directions(pairs=tmp_path / "pairs.jsonl", model=tiny(), behaviours=["honesty"], **QUICK)
    torch.testing.assert_close(opened.at("honesty", 1), expected.at("honesty", 1))
