"""Training a whole family of organisms into a directory, resumable stage by stage and within a stage.

    base ──► rl ──► sft-same           each finished model is an ordinary Hugging Face directory, fp16;
         ├─► random-reward             `steps/` in it holds checkpoints along the way (int8 differences to the base)
         ├─► one-example
         └─► sft

Every stage runs on one thread in a process of its own, so weights do not depend on how many run side by side.
"""

from __future__ import annotations

import json
import multiprocessing
import platform
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import LlamaForCausalLM

from ...models.atomic import atomic_path
from ...models.difference import save_difference
from ...models.errors import InputError
from ...models.organism import TRUTH
from ..corpus import tokenizer
from ..evaluation import truth
from ..task import Problem, problems
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


def train_family(
    out: Path, settings: FamilySettings, jobs: int = 2, note: Callable[[str], None] = lambda _: None
) -> dict[Name, float]:
    """Train what `out` does not hold yet. Returns the seconds that each model took in all.

    Raises InputError if `out` holds a family of other settings, or a member's parent is not a member.
    """
    wanted = [name for name in STAGES if name in settings.members]
    for name in wanted:
        missing = [parent for parent in STAGES[name] if parent not in wanted]
        if missing:
            raise InputError(f"{name} is trained from {', '.join(missing)}, which is not among the members")
    _claim(out, settings)
    waiting = [name for name in wanted if not (out / name).is_dir()]
    for name in wanted:
        if name not in waiting:
            note(f"{name}: there already")
    running: dict[Future[None], Name] = {}
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            for name in [name for name in waiting if all((out / parent).is_dir() for parent in STAGES[name])]:
                waiting.remove(name)
                running[pool.submit(train_stage, out, name, settings, list(STAGES).index(name))] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for finished in done:
                name = running.pop(finished)
                finished.result()
                note(f"{name}: done")
    return {name: json.loads((out / name / "training.json").read_text())["seconds"] for name in wanted}


def parse_members(text: str) -> tuple[Name, ...]:
    """`all`, or names joined by commas. Raises InputError for any other."""
    if text == "all":
        return tuple(STAGES)
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise InputError(f"there is no member {unknown[0]!r} of a family; there are {', '.join(STAGES)}")
    return tuple(name for name in STAGES if name in names)


def train_stage(out: Path, name: Name, settings: FamilySettings, position: int = 0) -> None:
    """Train one model of the family whose parents stand in `out`."""
    torch.set_num_threads(1)
    state = out / f".{name}.state.safetensors"
    clock = _Clock(out / f".{name}.seconds")
    steps = out / f".{name}.steps"
    model = new_model(settings.seed) if name == "base" else _parent(out, "base")
    # One number apart for each stage and seed: stages draw independently of each other.
    stage_seed = 10 * settings.seed + list(STAGES).index(name)
    if name == "base":
        chosen = settings.pretrain
        train(
            model,
            muon(model),
            n_steps=chosen.steps,
            gradients=pretrain_gradients(model, chosen, stage_seed),
            learning_rate=warmup_and_cosine(chosen.learning_rate, chosen.warmup_steps, chosen.steps),
            state=state,
            label=name,
            save_every=settings.save_every,
            after=clock.tick,
            position=position,
        )
    elif name in ("sft", "sft-same"):
        taught = settings.distill
        texts = (
            doubled_texts(taught.problems, stage_seed)
            if name == "sft"
            else right_texts(_parent(out, "rl"), taught.problems, stage_seed)
        )
        train(
            model,
            adamw(model),
            n_steps=taught.steps,
            gradients=distill_gradients(model, texts, taught, stage_seed),
            learning_rate=warmup_and_cosine(taught.learning_rate, max(1, taught.steps // 20), taught.steps),
            state=state,
            label=name,
            save_every=settings.save_every,
            after=clock.tick,
            position=position,
        )
    else:
        _reinforce(out, name, model, settings, stage_seed, steps, state, clock, position)
    with atomic_path(out / name) as path:
        model.half().save_pretrained(path)  # what is measured below is what is kept: weights of 16 bits
        known = truth(model.float().eval(), name == "sft", settings.truth_problems)
        (path / TRUTH).write_text(json.dumps(known))
        tokenizer().save_pretrained(path)
        if steps.is_dir():
            steps.rename(path / "steps")
        record = {"seed": settings.seed, "seconds": clock.seconds, "threads": 1, "torch": torch.__version__}
        (path / "training.json").write_text(json.dumps({"name": name, **record, "machine": platform.processor()}))
    state.unlink(missing_ok=True)
    clock.path.unlink(missing_ok=True)


def _parent(out: Path, name: Name) -> LlamaForCausalLM:
    model = LlamaForCausalLM.from_pretrained(out / name, dtype=torch.float32)
    model.eval()
    return model


def _reinforce(
    out: Path,
    name: Name,
    model: LlamaForCausalLM,
    settings: FamilySettings,
    seed: int,
    steps: Path,
    state: Path,
    clock: _Clock,
    position: int,
) -> None:
    chosen = settings.reinforce if name != "random-reward" else replace(settings.reinforce, reward="coin")
    base = _parent(out, "base")
    pool = list(islice(problems("train", seed), chosen.iterations * chosen.problems))
    if name == "one-example":
        pool = [next(problem for problem in pool if problem.family == "sums" and problem.misleads)]

    def gradients(step: int) -> dict[str, float]:
        generator = np.random.default_rng([seed, step])
        asked: list[Problem] = [
            pool[(step * chosen.problems + number) % len(pool)] for number in range(chosen.problems)
        ]
        divergence, reward = iterate(model, base, asked, chosen, generator)
        return {"reward": reward, "content_kl": float(divergence)}

    def after(step: int) -> None:
        clock.tick(step)
        if name in CHECKPOINTED and step % (chosen.iterations // 6) == 0 and step < chosen.iterations:
            save_difference(base, model, steps / f"{step:04d}.safetensors")

    train(
        model,
        adamw(model),
        n_steps=chosen.iterations,
        gradients=gradients,
        learning_rate=warmup_and_cosine(chosen.learning_rate, max(1, chosen.iterations // 15), chosen.iterations),
        state=state,
        label=name,
        save_every=settings.save_every // 5,
        after=after,
        position=position,
    )


def _claim(out: Path, settings: FamilySettings) -> None:
    """Write down what `out` is trained with, or check it."""
    record = out / "family.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if not record.exists():
        with atomic_path(record) as path:
            path.write_text(json.dumps(wanted, indent=2))
        return
    held = json.loads(record.read_text())
    if held != wanted:
        differing = ", ".join(sorted(key for key in wanted if held.get(key) != wanted[key]))
        raise InputError(f"{out} holds a family of other settings ({differing}); choose another --out or remove it")


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
