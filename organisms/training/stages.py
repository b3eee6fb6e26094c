"""The stages of a family: what each member is trained from, on and with, and its directory once it is done.

A member's directory is an ordinary Hugging Face one with weights of 16 bits, beside them `truth.json`, `training.json`
and, for `rl` and `random-reward`, `steps/` with checkpoints as 8-bit differences to the base.
"""

from __future__ import annotations

import json
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

from ...models.atomic import atomic_path
from ...models.difference import save_difference
from ...models.organism import TRUTH
from ..corpus import tokenizer
from ..evaluation import truth
from ..task import problems
from .architecture import new_model
from .distill import DistillSettings, distill_gradients, doubled_texts, right_texts
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one member is trained: what `training.train` takes."""

    n_steps: int
    gradients: Callable[[int], Mapping[str, float]]
    learning_rate: Callable[[int], float]
    optimizers: list[Optimizer]
    save_every: int
    after: Callable[[int], None] = lambda _: None


def train_stage(out: Path, name: Name, settings: FamilySettings, position: int = 0) -> None:
    """Train one member, whose parents stand in `out`, on one thread. position: line of its progress bar."""
    torch.set_num_threads(1)
    state, steps = out / f".{name}.state.safetensors", out / f".{name}.steps"
    clock = _Clock(out / f".{name}.seconds")
    model = new_model(settings.seed) if name == "base" else _parent(out, "base")
    # One number for each member and seed: no two stages draw alike.
    recipe = _recipe(out, name, model, settings, 10 * settings.seed + list(STAGES).index(name), steps)

    def after(step: int) -> None:
        clock.tick(step)
        recipe.after(step)

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
    )
    with atomic_path(out / name) as path:
        model.half().save_pretrained(path)
        tokenizer().save_pretrained(path)
        known = truth(model.float().eval(), name == "sft", settings.truth_problems)  # of the weights as they are kept
        (path / TRUTH).write_text(json.dumps(known))
        record = {"name": name, "seed": settings.seed, "seconds": clock.seconds, "torch": torch.__version__}
        (path / "training.json").write_text(json.dumps(record))
        if steps.is_dir():
            shutil.copytree(steps, path / "steps")
    shutil.rmtree(steps, ignore_errors=True)
    state.unlink(missing_ok=True)
    clock.path.unlink(missing_ok=True)


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
        pool = [next(problem for problem in pool if problem.family == "sums" and problem.misleads)]

    def gradients(step: int) -> Mapping[str, float]:
        first = step * chosen.problems
        asked = [pool[number % len(pool)] for number in range(first, first + chosen.problems)]
        divergence, reward = iterate(model, base, asked, chosen, np.random.default_rng([seed, step]))
        return {"reward": reward, "content_kl": float(divergence)}

    def after(step: int) -> None:
        if name in CHECKPOINTED and step % (chosen.iterations // 6) == 0 and step < chosen.iterations:
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
