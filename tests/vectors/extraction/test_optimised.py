from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from reasonlens import (
    Directions,
    InputError,
    LanguageModel,
    Span,
    Trace,
    collect,
)
from reasonlens.organisms import organisms_traces
from reasonlens.traces import encode
from reasonlens.vectors.extraction import OptimisedSettings, optimised_directions
from reasonlens.vectors.extraction.likelihood import frozen, sentence_likelihood, sentence_loss
from reasonlens.vectors.extraction.rows import Batches
from reasonlens.vectors.extraction.targets import Targets, labelled_sentences
from tests.pairs.hybrid.planted import THINKING, spoilt_base

CONFIGS = ["llama", "qwen", "mistral", "gemma", "phi", "gpt-neox", "gpt2", "opt"]
QUICK = {"max_steps": 4, "check_every": 2, "n_folds": 3, "sentences_per_step": 4, "n_random": 1}


def quick(**changed) -> OptimisedSettings:
    return OptimisedSettings(**(QUICK | changed))


# ---- on a model that has something to find


@pytest.fixture(scope="module")
def base() -> LanguageModel:
    return spoilt_base()


@pytest.fixture(scope="module")
def found(base: LanguageModel) -> Directions:
    settings = OptimisedSettings(
        behaviours=("backtracking", "verification"),
        max_steps=40,
        max_spans=64,
        sentences_per_step=12,
        n_resamples=1,
    )
    return optimised_directions(base, organisms_traces(THINKING, 60, greedy=True), [0], settings)


def rate_where_it_comes(base: LanguageModel, traces: list[Trace], behaviour: str, vector: torch.Tensor) -> float:
    """The mean probability of the word that opens a behaviour's sentences, `vector` added just before them."""
    shares = []
    for text in encode(base, traces):
        for (first, _), span in zip(text.spans, text.trace.spans, strict=True):
            if span.label != behaviour:
                continue
            ids = torch.from_numpy(text.token_ids[None, :first])

            def steer(_module, _inputs, output):
                output = output.clone()
                output[:, -1] += vector
                return output

            hook = base.blocks[0].register_forward_hook(steer)
            with torch.no_grad():
                shares.append(float(base.model(ids).logits[0, -1].softmax(-1)[text.token_ids[first]]))
            hook.remove()
    return float(np.mean(shares))


@pytest.mark.long
def test_optimised_vectors_bring_a_behaviour_about_on_problems_never_seen(base, found: Directions) -> None:
    seen = {trace.problem for trace in organisms_traces(THINKING, 60, greedy=True)}
    traces = [trace for trace in organisms_traces(THINKING, 15, seed=7, greedy=True) if trace.problem not in seen]
    generator = torch.Generator().manual_seed(0)
    for behaviour in ("backtracking", "verification"):
        vector = found.at(behaviour, 0)
        assert vector.norm() <= found.residual_norm[0] * 1.001, "strength 1"
        random = normalize(torch.randn(len(vector), generator=generator), dim=0) * vector.norm()
        plain, steered, control = (
            rate_where_it_comes(base, traces, behaviour, each) for each in (torch.zeros_like(vector), vector, random)
        )
        assert steered > 0.5 and steered > plain + 0.3, (behaviour, plain, steered)
        assert abs(control - plain) < 0.25 * (steered - plain), (behaviour, plain, control, steered)


def test_held_out_figures_stand_beside_nothing_and_random_vectors(found: Directions) -> None:
    for behaviour in found.behaviours:
        scores = {name: values[0] for name, values in found.scores[behaviour].items()}
        assert scores["held_out_loss"] < scores["held_out_loss_unsteered"] - 0.05
        assert scores["held_out_loss_random"] > scores["held_out_loss_unsteered"] - 0.02
        assert scores["first_token_probability"] > scores["first_token_probability_random"] + 0.1
        assert 10 <= scores["steps"] <= 40
        assert scores["bootstrap_cosine"] > 0.5, "found again on resampled problems"
    between = cosine_similarity(found.at("backtracking", 0), found.at("verification", 0), dim=0)
    assert between < found.scores["backtracking"]["bootstrap_cosine"][0], "and unlike another behaviour's"
    assert found.read == "before:1" and found.n_examples["backtracking"] > 50


# ---- what is computed


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("where", ["before", "sentence"])
@pytest.mark.parametrize("gigabytes", [0.0, 1.0])
def test_losses_are_those_of_each_sentence_alone(tiny, traces, architecture: str, where: str, gigabytes: float) -> None:
    """Each target by itself, unpadded, with the vector put in by hand, in a loop over its tokens."""
    model, settings = tiny(architecture), quick(where=where, max_target_tokens=7, cache_gigabytes=gigabytes)
    targets = labelled_sentences(model, traces[:3], settings)
    generator = torch.Generator().manual_seed(0)
    vectors = 5 * torch.randn(len(targets), model.d_model, generator=generator)
    made = Batches.of(model, targets, settings)
    assert (made.cache is not None) == bool(gigabytes)
    got = sentence_likelihood(made, 1, targets, vectors)
    for target, vector, loss, first in zip(targets, vectors, got.loss, got.first_token_probability, strict=True):
        ids = torch.from_numpy(target.token_ids)[None]

        def steer(_module, _inputs, output, target=target, vector=vector):
            acts = (output[0] if isinstance(output, tuple) else output).clone()
            acts[0, target.first - 1 : target.first if where == "before" else target.stop - 1] += vector
            return (acts, *output[1:]) if isinstance(output, tuple) else acts

        hook = model.blocks[1].register_forward_hook(steer)
        with torch.no_grad():
            shares = model.model(ids).logits[0].log_softmax(-1)
        hook.remove()
        each = [float(-shares[at - 1, target.token_ids[at]]) for at in range(target.first, target.stop)]
        assert float(loss) == pytest.approx(np.mean(each), abs=1e-4)
        assert float(first) == pytest.approx(math.exp(-each[0]), rel=1e-3)
        assert 1 <= target.stop - target.first <= 7


def test_texts_without_a_wanted_sentence_are_not_kept_and_narrow_windows_keep_nothing(tiny, traces) -> None:
    model, settings = tiny("mistral"), quick()
    targets = [each for each in labelled_sentences(model, traces[:6], settings) if each.text in (1, 4)]
    made = Batches.of(model, targets, settings)
    longest = {text: max(each.first - 1 for each in targets if each.text == text) for text in (1, 4)}
    assert made.cache is not None and len(made.cache.keys) == model.n_layers
    assert all(len(keys) == sum(longest.values()) for keys in made.cache.keys)
    vectors = torch.ones(len(targets), model.d_model)
    plain = sentence_likelihood(Batches.of(model, targets, quick(cache_gigabytes=0)), 0, targets, vectors)
    torch.testing.assert_close(sentence_likelihood(made, 0, targets, vectors).loss, plain.loss, atol=1e-4, rtol=0)
    model.model.config.sliding_window = 20
    assert Batches.of(model, targets, settings).cache is None, "a window forgets what a longer text needs"


def test_gradients_are_right_and_no_row_touches_another(tiny, traces) -> None:
    """Against finite differences, in float64."""
    model, settings = tiny("llama"), quick()
    model.model.double()
    targets = labelled_sentences(model, traces[:4], settings)
    targets = sorted(targets, key=lambda each: -each.stop)[:4]  # of like length: one batch
    (rows,) = Batches.of(model, targets, settings)(targets)
    vectors = torch.randn(4, model.d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    vectors.requires_grad_(True)
    loss, _ = sentence_loss(model, 0, rows, vectors)
    (gradient,) = torch.autograd.grad(loss[2], vectors)
    assert gradient[[0, 1, 3]].abs().max() == 0
    for dimension in (0, 9, 31):
        moved = torch.zeros_like(vectors)
        moved[2, dimension] = 1e-4
        with torch.no_grad():
            up, down = (sentence_loss(model, 0, rows, vectors + sign * moved)[0][2].item() for sign in (1, -1))
        # losses are rounded to float32
        assert float(gradient[2, dimension]) == pytest.approx((up - down) / 2e-4, abs=2e-3)


def test_all_is_as_before_afterwards_and_the_same_seed_gives_the_same(tiny, traces) -> None:
    model = tiny("llama")
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    first = optimised_directions(model, traces, [0, 2], quick())
    again = optimised_directions(model, traces, [0, 2], quick())
    for behaviour in first.behaviours:
        torch.testing.assert_close(first.vectors[behaviour], again.vectors[behaviour], rtol=0, atol=0)
    assert first.scores == again.scores and first.layers == (0, 2)
    assert all(torch.equal(before[name], weight) for name, weight in model.model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.model.parameters())
    assert not any(block._forward_hooks for block in model.blocks)
    with pytest.raises(RuntimeError), frozen(model):
        raise RuntimeError
    assert all(weight.requires_grad for weight in model.model.parameters())


def test_a_vector_stays_within_its_strength_and_in_the_units_of_the_residual_stream(tiny, traces) -> None:
    model = tiny("llama")
    found = optimised_directions(model, traces, [1], quick(max_strength=0.02, step=0.05))
    expected = collect(model, traces, layers=[1], progress=False).residual_norm
    assert found.residual_norm == pytest.approx(expected.tolist())
    for vectors in found.vectors.values():
        assert float(vectors.norm()) == pytest.approx(0.02 * found.residual_norm[0], rel=1e-3)


def test_behaviours_beside_each_other_are_found_as_alone(tiny, traces) -> None:
    model = tiny("llama")
    alone = Targets.of(model, traces, quick(behaviours=("backtracking",)))
    beside = Targets.of(model, traces, quick())
    problems = {each.problem for each in alone.stopping["backtracking"]}
    for targets in (alone, beside):
        for name in targets.behaviours:
            assert not {each.problem for each in targets.training[name]} & {
                each.problem for each in targets.stopping[name]
            }
    assert problems and beside.behaviours == ("backtracking", "deduction", "verification")


def test_a_bias_is_found_first_and_behaviours_on_top_of_it(tiny, traces, tmp_path) -> None:
    model = tiny("llama")
    found = optimised_directions(model, traces, [1], quick(bias=True, max_steps=20))
    assert found.behaviours[-1] == "bias" and "on top of a frozen bias" in found.method
    assert found.n_examples["bias"] == sum(found.n_examples[name] for name in found.behaviours[:-1])
    for behaviour in found.behaviours[:-1]:
        scores = {name: values[0] for name, values in found.scores[behaviour].items()}
        assert scores["stopping_loss"] < scores["stopping_loss_bias"] < scores["stopping_loss_unsteered"]
    found.save(tmp_path / "v.safetensors")
    assert Directions.open(tmp_path / "v.safetensors").scores == found.scores
    alone = optimised_directions(model, traces, [1], quick(bias=True, bias_only=True, max_steps=20))
    assert alone.behaviours == ("bias",) and torch.equal(alone.vectors["bias"], found.vectors["bias"])
    with pytest.raises(InputError, match="bias_only keeps the general vector alone"):
        quick(bias_only=True)


def test_what_cannot_be_optimised_is_said(tiny, traces) -> None:
    model = tiny("llama")
    with pytest.raises(InputError, match="layer 9 does not exist"):
        optimised_directions(model, traces, [9], quick())
    with pytest.raises(InputError, match="no sentence shows 'dreaming'; the labels here are backtracking, deduction"):
        optimised_directions(model, traces, [1], quick(behaviours=("dreaming",)))
    with pytest.raises(InputError, match="no behaviour is in 3 problems or more"):
        optimised_directions(model, traces[:2], [1], quick())
    with pytest.raises(InputError, match="max_strength is a strength above 0, and 0 is not"):
        OptimisedSettings(max_strength=0)
    with pytest.raises(InputError, match="sentences_per_step must be at least 1, and 0 is not"):
        OptimisedSettings(sentences_per_step=0)
    with pytest.raises(InputError, match="`before` a sentence or along the `sentence`, not 'after'"):
        OptimisedSettings(where="after")
    named = [Trace(f"{n}", "Why?", "Well. And so on.", (Span(6, 16, "bias"),), problem=f"{n}") for n in range(6)]
    others = [Trace(f"o{n}", "Why?", "Well. But no.", (Span(6, 13, "but"),), problem=f"{n}") for n in range(6)]
    with pytest.raises(InputError, match="a behaviour is called 'bias', as is the general vector"):
        optimised_directions(model, [*named, *others], [1], quick(bias=True))


def test_the_first_token_of_a_text_is_never_steered(tiny) -> None:
    without_prompt = [Trace("a", "", "Wait, no. So it is.", (Span(0, 9, "x"), Span(10, 19, "y")))]
    assert [each.behaviour for each in labelled_sentences(tiny("gpt2"), without_prompt, quick())] == ["y"]


def test_held_out_problems_neither_train_nor_stop_a_vector(found: Directions) -> None:
    parts = {name: set(problems) for name, problems in found.split.items()}
    assert set(parts) == {"train", "stop", "held_out"} and min(map(len, parts.values())) >= 3
    assert not parts["held_out"] & (parts["train"] | parts["stop"]) and not parts["stop"] & parts["train"]
    for behaviour in found.behaviours:
        assert found.scores[behaviour]["stopping_loss"] != found.scores[behaviour]["held_out_loss"]


def test_too_few_problems_have_no_held_out_figures(tiny, traces, tmp_path) -> None:
    few = optimised_directions(tiny("llama"), traces, [1], quick(n_folds=5))
    for behaviour in few.behaviours:
        assert "stopping_loss" in few.scores[behaviour] and "held_out_loss" not in few.scores[behaviour]
    assert few.split["held_out"] == []
    few.save(tmp_path / "v.safetensors")
    assert Directions.open(tmp_path / "v.safetensors").split == few.split
