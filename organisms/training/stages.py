"""The stages of a family: what each member is trained from, on and with, and its directory once it is done.

A member's directory is an ordinary Hugging Face one with weights of 16 bits, beside them `truth.json`, `training.json`
and, for `rl` and `random-reward`, `steps/` with checkpoints as 8-bit differences to the base.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.optim import Optimizer
from transformers import LlamaForCausalLM

from ...models.difference import save_difference
from ...models.organism import TRUTH
from ...rundir import InputError, atomic_path
from ..corpus import tokenizer
from ..evaluation import truth
from ..task import problems
from .architecture import new_model
from .distill import (
    DistillSettings,
    distill_gradients,
    doubled_texts,
    right_texts,
)
from .loop import adamw, muon, train
from .pretrain import PretrainSettings, pretrain_gradients, warmup_and_cosine
from .reinforce import ReinforceSettings, iterate

Name = Literal["base", "rl", "random-reward", "one-example", "sft", "sft-same"]

# Name -> the models that it is made from; in this order stages are begun.
STAGES: dict[Name, tuple[Name, ...]] = {
    "base": (),
    "rl": ("base",),
    "random-reward": ("base",),
    "sft": ("base",),
    "one-example": ("base",),
    "sft-same": ("base", "rl"),
}


CHECKPOINTED: tuple[Name, ...] = ("rl", "random-reward")
N_CHECKPOINTS = 5  # equally spaced, the finished model not counted


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """What is trained, and with what; the defaults are those of the shipped models."""

    seed: int = 0
    members: tuple[Name, ...] = tuple(STAGES)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    reinforce: ReinforceSettings = field(default_factory=ReinforceSettings)
    distill: DistillSettings = field(default_factory=DistillSettings)
    save_every: int = 50
    truth_problems: int = 300
    least_skill: float = 0.98  # of every step of the base, without which no other member is trained


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one member is trained: what `training.train` takes."""

    n_steps: int
    gradients: Callable[[int], Mapping[str, float]]
    learning_rate: Callable[[int], float]
    optimizers: list[Optimizer]
    save_every: int
    after: Callable[[int], None] = lambda _: None


def train_stage(out: Path, name: Name, settings: FamilySettings, position: int = 0, progress: bool = True) -> None:
    """Train one member, whose parents stand in `out`, on one thread.

    position: line of its progress bar on a terminal. progress: whether the bar is shown.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _train_stage(out, name, settings, position, progress)
    finally:
        torch.set_num_threads(threads)


def _train_stage(out: Path, name: Name, settings: FamilySettings, position: int, progress: bool) -> None:
    state, steps = out / f".{name}.state.safetensors", out / f".{name}.steps"
    clock = _Clock(out / f".{name}.seconds")
    model = new_model(settings.seed) if name == "base" else _parent(out, "base")
    # One number for each member and seed: no two stages draw alike.
    recipe = _recipe(out, name, model, settings, 10 * settings.seed + list(STAGES).index(name), steps)

    def after(step: int) -> None:
        clock.tick(step)
        recipe.after(step)
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)  # whoever started this stage was killed; the next to start it goes on

    train(
        model,
        recipe.optimizers,
        n_steps=recipe.n_steps,
        gradients=recipe.gradients,
        learning_rate=recipe.learning_rate,
        state=state,
        label=name,
        save_every=recipe.save_every,
        after=after,
        position=position,
        progress=progress,
    )
    known = truth(model.half().float().eval(), name, settings.truth_problems)  # of the weights as they are kept
    if name == "base":
        check_skill(known["skill"]["plain"], settings.least_skill)
    with atomic_path(out / name) as path:
        model.half().save_pretrained(path)
        tokenizer().save_pretrained(path)
        (path / TRUTH).write_text(json.dumps(known))
        record = {"name": name, "seed": settings.seed, "seconds": clock.seconds, "torch": torch.__version__}
        (path / "training.json").write_text(json.dumps(record))
        for checkpoint in sorted(steps.glob("[0-9]*.safetensors")):
            (path / "steps").mkdir(exist_ok=True)
            shutil.copy(checkpoint, path / "steps")
    clear_stage(out, name)


def check_skill(skill: Mapping[str, Mapping[str, float]], least: float) -> None:
    """The gate before any other member. Raises InputError if a step of the base is not right often enough."""
    weak = {move: figure["value"] for move, figure in skill.items() if figure["value"] < least}
    if weak:
        shares = ", ".join(f"{move} {value:.3f}" for move, value in weak.items())
        raise InputError(
            f"the base must say {least:.0%} of every step rightly, and does not ({shares}): train it longer"
        )


def clear_stage(out: Path, name: Name) -> None:
    """Remove what a stage keeps in `out` while it runs, and what a killed one left half written."""
    for path in out.glob(f".{name}.*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _recipe(out: Path, name: Name, model: LlamaForCausalLM, settings: FamilySettings, seed: int, steps: Path) -> Recipe:
    if name == "base":
        return _pretraining(model, settings, seed)
    if name in ("sft", "sft-same"):
        return _distillation(out, name, model, settings, seed)
    return _reinforcement(out, name, model, settings, seed, steps)


def _pretraining(model: LlamaForCausalLM, settings: FamilySettings, seed: int) -> Recipe:
    chosen = settings.pretrain
    return Recipe(
        n_steps=chosen.steps,
        gradients=pretrain_gradients(model, chosen, seed),
        learning_rate=warmup_and_cosine(chosen.learning_rate, chosen.warmup_steps, chosen.steps),
        optimizers=muon(model),
        save_every=settings.save_every,
    )


def _distillation(out: Path, name: Name, model: LlamaForCausalLM, settings: FamilySettings, seed: int) -> Recipe:
    chosen = settings.distill
    if name == "sft":
        texts = doubled_texts(chosen.problems, seed)
    else:
        texts = right_texts(_parent(out, "rl"), chosen.problems, seed)
    return Recipe(
        n_steps=chosen.steps,
        gradients=distill_gradients(model, texts, chosen, seed),
        learning_rate=warmup_and_cosine(chosen.learning_rate, max(1, chosen.steps // 20), chosen.steps),
        optimizers=adamw(model),
        save_every=settings.save_every,
    )


def _reinforcement(
    out: Path, name: Name, model: LlamaForCausalLM, settings: FamilySettings, seed: int, steps: Path
) -> Recipe:
    chosen = replace(settings.reinforce, reward="coin") if name == "random-reward" else settings.reinforce
    base = _parent(out, "base")
    pool = list(islice(problems("train", seed), chosen.iterations * chosen.problems))
    if name == "one-example":
        pool = [next(problem for problem in problems("train", seed, {"sums": 1.0}) if problem.misleads)]
    checkpoints = {round(chosen.iterations * number / (N_CHECKPOINTS + 1)) for number in range(1, N_CHECKPOINTS + 1)}

    def gradients(step: int) -> Mapping[str, float]:
        first = step * chosen.problems
        step_problems = [pool[number % len(pool)] for number in range(first, first + chosen.problems)]
        divergence, reward = iterate(model, base, step_problems, chosen, np.random.default_rng([seed, step]))
        return {"reward": reward, "content_kl": float(divergence)}

    def after(step: int) -> None:
        if name in CHECKPOINTED and step in checkpoints:
            save_difference(base, model, steps / f"{step:04d}.safetensors")

    return Recipe(
        n_steps=chosen.iterations,
        gradients=gradients,
        learning_rate=warmup_and_cosine(chosen.learning_rate, max(1, chosen.iterations // 15), chosen.iterations),
        optimizers=adamw(model),
        save_every=max(1, settings.save_every // 5),  # an iteration takes ten times as long as a step
        after=after,
    )


def _parent(out: Path, name: Name) -> LlamaForCausalLM:
    model = LlamaForCausalLM.from_pretrained(out / name, dtype=torch.float32)
    model.eval()
    return model


class _Clock:
    """Seconds a stage has run, over all its runs, kept beside its state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = float(path.read_text()) if path.exists() else 0.0
        self.begun = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    def tick(self, step: int) -> None:
        if step % 10 == 0:
            with atomic_path(self.path) as path:
                path.write_text(str(self.seconds))
