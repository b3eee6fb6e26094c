from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reasonlens import InputError, steer
from reasonlens.analysis.effect import steer_write
from reasonlens.cli.next_steer import ORGANISM_PROBLEM as PROMPT
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.models import load
from reasonlens.organisms.corpus import vocabulary
from reasonlens.vectors import Directions

SHORT = Sampling(n_samples=1, temperature=0.7, max_new_tokens=12)


@pytest.fixture(scope="module")
def directions() -> Directions:
    """Towards the word "well" at the last block."""
    model = load("organism/base-timing", device="cpu")
    head = model.model.get_output_embeddings().weight.detach()
    return Directions(
        vectors={"verification": (head[vocabulary()["well"]] - head.mean(0))[None]},
        layers=(3,),
        method="planted",
        model=model.identity(),
        read="before:1",
        residual_norm=(104.0,),
        n_examples={},
        n_problems=0,
    )


def test_both_texts_are_written_with_the_same_random_numbers(directions: Directions) -> None:
    model = load("organism/base-timing", device="cpu")
    options = {"behaviour": "verification", "layer": -1, "sampling": SHORT, "seed": 3}
    still = steer_write(model, directions, PROMPT, strength=0.0, **options)
    assert still.steered == still.unsteered and still.n_steered == 0
    pushed = steer_write(model, directions, PROMPT, strength=2.0, **options)
    assert pushed.unsteered == still.unsteered and pushed.steered.startswith("well")
    prompts = encode_prompts(model, [PROMPT])
    with steer(model, directions["verification"], layer=3, strength=2.0, when="response") as counted:
        (expected,) = write(model, prompts, SHORT, seed=3)
    assert pushed.to_dict() == {
        "unsteered": write(model, prompts, SHORT, seed=3)[0].text,
        "steered": expected.text,
        "layer": 3,
        "strength": 2.0,
        "kl_nats": None,
        "n_steered": counted.n_steered,
        "n_tokens": counted.n_tokens,
    }


def test_other_directions_are_refused_unless_forced(directions: Directions) -> None:
    model = load("organism/rl-timing", device="cpu")
    options = {"behaviour": "verification", "layer": 3, "sampling": SHORT}
    with pytest.raises(InputError, match="was found in organism/base-timing"):
        steer_write(model, directions, PROMPT, **options)
    assert steer_write(model, directions, PROMPT, **options, force=True).n_steered > 0
    with pytest.raises(InputError, match="layer 9 does not exist"):
        steer_write(model, directions, PROMPT, **(options | {"layer": 9}), force=True)


def test_an_absolute_strength_needs_no_norm(directions: Directions) -> None:
    unknown = replace(directions, residual_norm=(float("nan"),))
    model = load("organism/base-timing", device="cpu")
    options = {"behaviour": "verification", "layer": 3, "sampling": SHORT}
    length = float(torch.linalg.vector_norm(directions.at("verification", 3)))
    absolute = steer_write(model, unknown, PROMPT, strength=208.0 / length, absolute=True, **options)
    assert absolute.steered == steer_write(model, directions, PROMPT, strength=2.0, **options).steered
