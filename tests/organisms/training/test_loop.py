"""Training is a function of the seed, whether or not it was killed on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer
from transformers import PreTrainedModel

from reasonlens.organisms.policy import IDEAL, Writer
from reasonlens.organisms.training.adapt import AdaptSettings, adapt_gradients
from reasonlens.organisms.training.architecture import new_model
from reasonlens.organisms.training.loop import adamw, muon, train
from reasonlens.organisms.training.schedule import warmup_and_cosine

SETTINGS = AdaptSettings(texts=2, drill_texts=2, drill_words=40, problems=40)


class Killed(Exception):
    pass


def trained(
    state: Path,
    optimizer: Callable[[PreTrainedModel], list[Optimizer]] = muon,
    n_steps: int = 6,
    die_after: int = 99,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    def after(step: int) -> None:
        if step == die_after:
            raise Killed

    model = new_model(seed)
    train(
        model,
        optimizer(model),
        n_steps=n_steps,
        gradients=adapt_gradients(model, Writer(IDEAL), SETTINGS, seed),
        learning_rate=warmup_and_cosine(1e-3, 2, n_steps),
        state=state,
        label="test",
        save_every=2,
        after=after,
    )
    return model.state_dict()


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_two_steps_twice_from_one_seed_give_equal_weights_and_another_seed_others(tmp_path: Path) -> None:
    first, again = (trained(tmp_path / name, n_steps=2) for name in ("a", "b"))
    assert equal(first, again)
    assert not equal(first, trained(tmp_path / "c", n_steps=2, seed=1))
    assert not equal(first, new_model(0).state_dict())


@pytest.mark.parametrize("optimizer", [muon, adamw])
@pytest.mark.parametrize("die_after", [1, 2, 5])
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, optimizer: Callable[[PreTrainedModel], list[Optimizer]], die_after: int
) -> None:
    whole = trained(tmp_path / "whole", optimizer)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", optimizer, die_after=die_after)
    assert (tmp_path / "killed").exists() == (die_after > 2)  # a step's state is kept once all of the step is done
    assert equal(whole, trained(tmp_path / "killed", optimizer))


def test_the_learning_rate_rises_and_falls_to_a_fiftieth() -> None:
    rate = warmup_and_cosine(1.0, 10, 100)
    assert rate(0) == pytest.approx(0.1)
    assert max(map(rate, range(100))) == pytest.approx(rate(9), abs=0.03)
    assert rate(100) == pytest.approx(0.02)
