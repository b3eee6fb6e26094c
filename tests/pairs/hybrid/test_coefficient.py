"""The coefficient network: trained on rollouts of one organism it steers another; what is untrained does not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize, softplus

from reasonlens import load
from reasonlens.generation import Sampling, StepState, encode_prompts, write
from reasonlens.models import LanguageModel
from reasonlens.organisms import (
    is_solved,
    organisms_traces,
    problems,
)
from reasonlens.pairs.hybrid import (
    Plan,
    decode,
    disagreement,
)
from reasonlens.pairs.hybrid.coefficient import CoefficientNetwork, Coefficients
from reasonlens.pairs.hybrid.coefficient_fit import CoefficientSettings, fit_coefficients
from reasonlens.pairs.hybrid.mechanism import Mechanism
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.vectors.extraction.prefix_cache import texts_that_fit
from tests.pairs.hybrid.planted import spoilt_base

LAYER, N_TEST = 0, 48
BEHAVIOURS = ("backtracking", "deduction", "example-testing", "initializing", "subgoal-setting", "verification")


@cache
def base() -> LanguageModel:
    return spoilt_base()


@cache
def rollouts() -> list[Trace]:
    return organisms_traces("organism/rl-timing", 150, split="train", greedy=True)


@cache
def trained() -> Coefficients:
    return fit_coefficients(base(), rollouts(), LAYER, CoefficientSettings(n_epochs=6), behaviours=BEHAVIOURS)


@cache
def rollouts_as_one() -> list[Trace]:
    """The planted pair lacks the same everywhere, so that all sentences are of one behaviour."""
    return [replace(trace, spans=tuple(replace(span, label="any") for span in trace.spans)) for trace in rollouts()]


@cache
def trained_as_one() -> Coefficients:
    return fit_coefficients(base(), rollouts_as_one(), LAYER, CoefficientSettings(n_epochs=6), behaviours=("any",))


def gap(coefficients: Coefficients) -> float:
    """Share of the gap between base and thinking model that the hybrid recovers on problems of the test split."""
    asked = list(islice(problems("test", 0), N_TEST))
    prompts = encode_prompts(base(), [problem.prompt for problem in asked])
    plan = Plan(
        gate=disagreement,
        mechanism=coefficients.mechanism,
        strength=coefficients.strength,
    )
    sampling, thinking = (
        Sampling(temperature=0, max_new_tokens=287),
        load("organism/rl-timing", device="cpu"),
    )
    said = (
        write(base(), prompts, sampling),
        decode(base(), thinking, prompts, None, plan, sampling),
        write(thinking, prompts, sampling),
    )
    low, hybrid, high = (
        sum(is_solved(problem, each.text) for problem, each in zip(asked, texts, strict=True)) for texts in said
    )
    return (hybrid - low) / (high - low)


def untrained(mechanism: Mechanism, seed: int) -> Coefficients:
    """A control: random directions, and a network that has learnt nothing."""
    random = mechanism.random(seed)
    n_behaviours, d_model = random.units.shape
    network = CoefficientNetwork(n_behaviours, d_model, random.residual_norm, seed=seed)
    network.vectors.data.copy_(normalize(random.units, dim=-1))
    return Coefficients.of(
        network, behaviours=random.behaviours, layer=random.layer, residual_norm=random.residual_norm
    )


def state(acts: torch.Tensor) -> StepState:
    nothing = torch.zeros(len(acts), dtype=torch.long)
    return StepState(step=0, rows=nothing, last_ids=nothing, activations=acts, logits=acts[:, :2], follower_logits=None)


@pytest.mark.long
def test_vectors_and_strengths_trained_together_recover_most_of_the_gap() -> None:
    assert gap(trained_as_one()) >= 0.4


@pytest.mark.long
def test_an_untrained_network_with_random_vectors_recovers_nothing() -> None:
    assert gap(untrained(trained_as_one().mechanism, seed=1)) <= 0.2


def test_the_loss_falls_on_problems_that_training_never_sees() -> None:
    scores = trained().scores
    assert scores["held_out_loss"] < 0.6 * scores["held_out_loss_unsteered"]
    assert scores["held_out_losses"][0] == pytest.approx(scores["held_out_loss_unsteered"])  # vectors begin at zero
    assert scores["held_out_loss"] == min(scores["held_out_losses"]) == scores["held_out_losses"][scores["epoch"]]
    assert scores["training_losses"][-1] < scores["training_losses"][0]


@pytest.mark.long
def test_labels_of_other_sentences_teach_no_vector_of_its_own() -> None:
    """Where sentences carry one another's labels, behaviours mean nothing and their vectors are alike."""
    model = load("organism/base-timing", device="cpu")
    own = organisms_traces("organism/rl-timing", 150, split="train")
    names = [span.label for trace in own for span in trace.spans]
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    drawn = iter([names[place] for place in order])
    mixed = [
        Trace(
            trace.id,
            trace.prompt,
            trace.text,
            tuple(type(span)(span.start, span.end, next(drawn)) for span in trace.spans),
            trace.problem,
        )
        for trace in own
    ]
    settings, behaviours = CoefficientSettings(n_epochs=6), ("backtracking", "uncertainty-estimation", "verification")
    found, true = (
        fit_coefficients(model, traces, 1, settings, behaviours=behaviours).mechanism.units for traces in (mixed, own)
    )

    def alike(units: torch.Tensor) -> float:
        return float((units @ units.T)[~torch.eye(len(units), dtype=torch.bool)].mean())

    assert alike(found) > alike(true) + 0.1


@pytest.mark.long
def test_the_strength_of_vectors_that_stay_as_they_are_is_learnt() -> None:
    mechanism = trained_as_one().mechanism
    found = fit_coefficients(base(), rollouts_as_one(), LAYER, CoefficientSettings(n_epochs=6), mechanism=mechanism)
    torch.testing.assert_close(found.mechanism.units, mechanism.units)
    losses = found.scores["held_out_losses"]
    assert found.scores["held_out_loss"] < losses[0] < found.scores["held_out_loss_unsteered"]
    assert gap(found) >= 0.4


def test_the_same_seed_gives_the_same_vectors_and_strengths_and_another_others() -> None:
    settings = [CoefficientSettings(n_epochs=1, seed=seed) for seed in (0, 0, 1)]
    one, same, other = (fit_coefficients(base(), rollouts()[:60], LAYER, each) for each in settings)
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, same.network.state_dict()[name])
        assert not torch.equal(tensor, other.network.state_dict()[name])


def test_an_untrained_strength_is_about_the_softplus_of_the_bias() -> None:
    found = untrained(trained().mechanism, seed=0)
    acts = torch.randn(200, 128, generator=torch.Generator().manual_seed(0))
    acts = acts * found.mechanism.residual_norm / acts.norm(dim=-1, keepdim=True)
    strength = found.strength(state(acts), torch.arange(200) % len(BEHAVIOURS))
    assert abs(float(strength.mean()) - float(softplus(torch.tensor(0.5)))) < 0.3 and float(strength.std()) < 0.3


def test_the_strength_is_the_length_of_the_vector_times_its_own_heads_coefficient() -> None:
    network = CoefficientNetwork(3, 8, residual_norm=2.0, seed=5)
    network.vectors.data = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    found = Coefficients.of(network, behaviours=("a", "b", "c"), layer=0, residual_norm=2.0)
    acts, behaviour = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 2, 1, 0])
    strength = found.strength(state(acts), behaviour)
    for row in range(6):
        x = acts[row] * 8**0.5 / 2.0
        hidden = network.hidden.weight @ x + network.hidden.bias
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        out = float(network.heads.weight[behaviour[row]] @ hidden + network.heads.bias[behaviour[row]])
        expected = float(torch.log1p(torch.exp(torch.tensor(out)))) * float(network.vectors[behaviour[row]].norm())
        assert float(strength[row]) == pytest.approx(expected, rel=1e-4)
    moved = found.mechanism.applied(acts, behaviour, strength) - acts
    torch.testing.assert_close(moved, 2.0 * network.moved(acts, behaviour), rtol=1e-4, atol=1e-5)


def test_what_is_saved_is_read_back_the_same_and_in_the_same_bytes(tmp_path: Path) -> None:
    trained().save(tmp_path / "one.safetensors")
    found = Coefficients.open(tmp_path / "one.safetensors")
    found.save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    acts, behaviour = torch.randn(9, 128, generator=torch.Generator().manual_seed(0)), torch.arange(9) % len(BEHAVIOURS)
    assert torch.equal(found.strength(state(acts), behaviour), trained().strength(state(acts), behaviour))
    assert torch.equal(found.mechanism.units, trained().mechanism.units)
    assert found.mechanism.behaviours == BEHAVIOURS and found.scores == trained().scores
    (tmp_path / "text").write_text("no safetensors")
    with pytest.raises(InputError, match="cannot read coefficients"):
        Coefficients.open(tmp_path / "text")


def test_too_few_disagreements_are_named() -> None:
    model = load("organism/base-timing", device="cpu")
    own = organisms_traces(model, 8, split="train", greedy=True)
    with pytest.raises(InputError, match="Give more rollouts"):
        fit_coefficients(model, own, LAYER, behaviours=BEHAVIOURS)
    with pytest.raises(InputError, match="vectors are of layer 0, and layer 2"):
        fit_coefficients(base(), own, 2, mechanism=trained().mechanism)


def test_with_little_room_for_a_cache_fewer_rollouts_are_used() -> None:
    whole = fit_coefficients(base(), rollouts(), LAYER, CoefficientSettings(n_epochs=1), behaviours=BEHAVIOURS)
    tight = CoefficientSettings(n_epochs=1, cache_gigabytes=0.05)  # of about 0.09
    some = fit_coefficients(base(), rollouts(), LAYER, tight, behaviours=BEHAVIOURS)
    assert 0.3 * whole.scores["n_tokens"] < some.scores["n_tokens"] < 0.9 * whole.scores["n_tokens"]


def test_texts_with_room_are_all_or_some_in_order_and_at_least_one() -> None:
    per_token = 2 * 4 * 64 * 4  # keys and values, blocks, width of two groups of heads, bytes of the organism
    lengths = [30, 40, 50, 60]
    assert texts_that_fit(base(), lengths, 180 * per_token / 1e9, seed=0) == [0, 1, 2, 3]
    some = texts_that_fit(base(), lengths, 120 * per_token / 1e9, seed=0)
    assert some == sorted(some) and 0 < len(some) < 4 and sum(lengths[number] for number in some) <= 120
    assert len(texts_that_fit(base(), lengths, 1e-9, seed=0)) == 1
    assert texts_that_fit(base(), lengths, 120 * per_token / 1e9, seed=0) == some
