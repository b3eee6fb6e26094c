"""What models write on an accelerator: texts, hybrids, continuations and dose curves of the CPU, and few waits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens import Question, SampleSettings, Trace, sample, sample_boundaries, steer_sweep
from reasonlens.analysis.effect import EffectSettings
from reasonlens.analysis.effect.task import Task
from reasonlens.generation import Drafts, Sampling, write
from reasonlens.models import LanguageModel, load
from reasonlens.organisms import organisms_traces
from reasonlens.pairs.hybrid import Plan, always, decode, disagreement
from reasonlens.pairs.hybrid.coefficient import CoefficientNetwork, Coefficients
from reasonlens.pairs.hybrid.strength import per_behaviour
from reasonlens.rundir import InputError
from reasonlens.traces import keyword_annotator
from reasonlens.vectors import Directions

from ..pairs.hybrid.test_decode import PROMPTS, by_token_parity, mechanism, other
from .conftest import ON_A_DEVICE, Place, Watch, accelerator, on_cpu

pytestmark = ON_A_DEVICE
N_NEW = 4
GREEDY = Sampling(n_samples=1, temperature=0, max_new_tokens=N_NEW)
ONE = Sampling(n_samples=1, temperature=0, max_new_tokens=1)
ENDS = torch.arange(400) % 10 == 0  # tokens that end a draft
DRAWN = Sampling(n_samples=1, temperature=1.0, max_new_tokens=N_NEW)


def warm(model: LanguageModel) -> LanguageModel:
    """Ask what a model is asked once only."""
    write(model, [[5, 6]], ONE)
    return model


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_texts_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], place: Place, watch: Watch, sampling: Sampling
) -> None:
    model = warm(place(tiny()))
    with watch("write", per=N_NEW):
        on_device = write(model, PROMPTS, sampling, seed=1)
    with on_cpu():
        expected = write(tiny(), PROMPTS, sampling, seed=1)
    assert [one.text for one in on_device] == [one.text for one in expected]


def test_samples_are_those_of_the_cpu(tiny: Callable[..., LanguageModel], place: Place, watch: Watch) -> None:
    questions = [Question(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(2)]
    settings = SampleSettings(n_samples=2, max_new_tokens=N_NEW, seed=2)
    model = warm(place(tiny()))
    with watch("sample", per=N_NEW):
        on_device = sample(model, questions, settings=settings, progress=False)
    with on_cpu():
        expected = sample(tiny(), questions, settings=settings, progress=False)
    assert [trace.text for trace in on_device.traces] == [trace.text for trace in expected.traces]


@pytest.mark.parametrize("way", ["steer", "take over", "a network's strength"])
def test_hybrids_are_those_of_the_cpu(tiny: Callable[..., LanguageModel], place: Place, watch: Watch, way: str) -> None:
    vectors = mechanism()
    network = CoefficientNetwork(2, 32, 1.0)
    coefficients = Coefficients.of(network, behaviours=("a", "b"), layer=1, residual_norm=1.0)
    plan = {
        "steer": Plan(gate=always, mechanism=vectors, chooser=by_token_parity),
        "take over": Plan(gate=disagreement, act="takeover"),
        "a network's strength": Plan(
            gate=disagreement, mechanism=coefficients.mechanism, chooser=by_token_parity, strength=coefficients.strength
        ),
    }[way]
    base, thinking = warm(place(tiny())), warm(place(other(tiny())))
    with watch(f"hybrid {way}", per=N_NEW):
        on_device = decode(base, thinking, PROMPTS, None, plan, GREEDY)
    with on_cpu():
        expected = decode(tiny(), other(tiny()), PROMPTS, None, plan, GREEDY)
    assert [(one.tokens, one.gated) for one in on_device] == [(one.tokens, one.gated) for one in expected]
    assert any(one.n_gated for one in expected)


def test_a_behaviour_without_a_strength_is_an_error_where_the_host_does_not_look_at_each_token(
    tiny: Callable[..., LanguageModel], place: Place
) -> None:
    vectors = mechanism()  # of two behaviours
    plan = Plan(gate=always, mechanism=vectors, chooser=by_token_parity, strength=per_behaviour([0.5]))
    with pytest.raises(InputError, match="behaviour 1 (is no finite number|has no strength)"):
        decode(place(tiny()), None, PROMPTS, None, plan, GREEDY)


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_drafts_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], place: Place, watch: Watch, sampling: Sampling
) -> None:
    def drafted(model: LanguageModel) -> tuple[list[dict[int, list[int]]], int]:
        streams = [np.random.default_rng([5, row]) for row in range(len(PROMPTS))]
        drafts, written, n_tokens = Drafts(model, PROMPTS, ENDS), [], 0
        for _ in range(3):
            written.append(
                drafts.draft(range(len(PROMPTS)), sampling, lambda row: float(streams[row].random()), n_tokens=N_NEW)
            )
            n_tokens += max(map(len, written[-1].values()))
            drafts.read({0: written[-1][0], 1: []})
        return written, n_tokens

    model = warm(place(tiny()))
    with on_cpu():
        expected, n_tokens = drafted(tiny())
    with watch("drafts", per=n_tokens):
        on_device, _ = drafted(model)
    assert on_device == expected


def test_boundaries_return_as_on_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch
) -> None:
    options = {"n_samples": 2, "max_new_tokens": N_NEW, "max_boundaries": 1, "progress": False}
    model = warm(place(tiny()))
    with watch("stability", per=N_NEW):
        on_device = sample_boundaries(model, traces[:2], **options)
    with on_cpu():
        expected = sample_boundaries(tiny(), traces[:2], **options)
    assert [one.said for one in on_device.boundaries] == [one.said for one in expected.boundaries]


def test_an_organism_answers_from_where_it_is(place: Place) -> None:
    organism = load("organism/base-timing", device="cpu")
    on_device = place(organism)
    (trace,) = organisms_traces(on_device, 1, greedy=True)
    with on_cpu():
        (expected,) = organisms_traces(organism, 1, greedy=True)
    assert trace == expected
    assert on_device.device.type == accelerator(), "the organism is moved away"


def test_dose_curves_are_those_of_the_cpu(tiny: Callable[..., LanguageModel], place: Place, watch: Watch) -> None:
    directions = Directions(
        vectors={"verification": torch.randn(1, 32, generator=torch.Generator().manual_seed(0))},
        layers=(1,),
        method="drawn",
        model=tiny().identity(),
        read="before:1",
        residual_norm=(1.0,),
        n_examples={"verification": 1},
        n_problems=1,
    )
    task = Task(
        questions=tuple(Question(f"p{number}", f"What is {number} + 1?") for number in range(2)),
        annotator=keyword_annotator,
        grader=None,
        neutral=PROMPTS[:2],
        tokens={},
    )
    settings = EffectSettings(strengths=(0.5,), n_random=1, n_problems=2, when="prompt", sampling=GREEDY)
    options = {"settings": settings, "task": task, "progress": False}
    model = warm(place(tiny()))
    with watch("dose curves", per=3 * N_NEW):  # unsteered, steered, along a random direction
        on_device = steer_sweep(model, directions, **options)
    with on_cpu():
        expected = steer_sweep(tiny(), directions, **options)
    for one, same in zip(on_device.outcomes, expected.outcomes, strict=True):
        assert (one.examples, one.n_steered) == (same.examples, same.n_steered)
        assert one.damage.perplexity == pytest.approx(same.damage.perplexity, rel=1e-3)
