"""The stages of a family: the trunk, the bases adapted from it, and the models trained from the bases.

A member's directory is an ordinary Hugging Face one with weights of 16 bits, beside them `organism.json` and, for runs
of reinforcement learning, `steps/` with checkpoints as 8-bit differences to the base. Every stage runs on one thread,
derives all its draws from the seed of the family, the stage and the step, and goes on from a saved state when killed.
"""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from torch.optim import Optimizer
from transformers import LlamaForCausalLM

from ...models.device import single_thread
from ...models.difference import save_difference
from ...rundir import atomic_path, brief
from ..language import tokenizer
from ..task import Problem, problems
from .adapt import AdaptSettings, adapt_gradients
from .architecture import new_model
from .directory import load_member, write_record
from .distill import DistillSettings, distill_gradients
from .gate import check_trunk, poor_content
from .loop import adamw, muon, train
from .members import BASES, MEMBERS, TRUNK
from .reinforce import ReinforceSettings, reinforce_gradients
from .schedule import linear_decay, warmup_and_cosine
from .trunk import TrunkSettings, trunk_gradients

N_CHECKPOINTS = 5  # equally spaced, the finished model not counted
N_SINGLE_CHECKPOINTS = 11  # of training on one example, whose course is looked at


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """What is trained, and with what; the defaults are those of the shipped models."""

    seed: int = 0
    members: tuple[str, ...] = tuple(MEMBERS)
    trunk: TrunkSettings = field(default_factory=TrunkSettings)
    adapt: AdaptSettings = field(default_factory=AdaptSettings)
    reinforce: ReinforceSettings = field(default_factory=ReinforceSettings)
    distill: DistillSettings = field(default_factory=DistillSettings)
    timing_learning_rate: float = 2e-4  # of reinforcement where every step is right: faster spoils the habits
    random_iterations: int = 30  # of several updates each
    collapse_iterations: int = 250
    least_content: float = 0.97  # share of right words that each kind must reach in the trunk
    save_every: int = 20

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one member is trained: what `loop.train` takes."""

    n_steps: int
    gradients: Callable[[int], Mapping[str, float]]
    learning_rate: Callable[[int], float]
    optimizers: list[Optimizer]
    save_every: int
    checkpoint_steps: frozenset[int] = frozenset()


def train_stage(out: Path, name: str, settings: FamilySettings, position: int = 0, progress: bool = True) -> None:
    """Train one member on one thread.

    Args:
        out: The directory of the family, in which the member's parent stands.
        name: The member.
        settings: Of the family.
        position: Line of its progress bar on a terminal.
        progress: Whether the bar is shown.
    """
    with single_thread():
        _train_stage(out, name, settings, position, progress)


def _train_stage(out: Path, name: str, settings: FamilySettings, position: int, progress: bool) -> None:
    state, steps = out / f".{name}.state.safetensors", out / f".{name}.steps"
    clock = _Clock(out / f".{name}.seconds")
    parent = MEMBERS[name].parent
    model = new_model(settings.seed) if parent is None else load_member(out, parent)
    recipe = _recipe(name, model, settings)

    def after(step: int) -> None:
        clock.tick(step)
        if step in recipe.checkpoint_steps and parent is not None:
            save_difference(load_member(out, parent), model, steps / f"{step:04d}.safetensors")

    def train_until(n_steps: int) -> int:
        return train(
            model,
            recipe.optimizers,
            n_steps=n_steps,
            gradients=recipe.gradients,
            learning_rate=recipe.learning_rate,
            state=state,
            label=name,
            save_every=recipe.save_every,
            after=after,
            position=position,
            progress=progress,
        )

    n_steps = _train_trunk(model, train_until, settings) if name == TRUNK else recipe.n_steps
    if name != TRUNK:
        train_until(n_steps)
    with atomic_path(out / name) as path:
        model.half().save_pretrained(path)
        tokenizer().save_pretrained(path)
        write_record(path, name, settings.seed, n_steps, clock.seconds)
        for checkpoint in sorted(steps.glob("[0-9]*.safetensors")):
            (path / "steps").mkdir(exist_ok=True)
            shutil.copy(checkpoint, path / "steps")
    clear_stage(out, name)


def _train_trunk(model: LlamaForCausalLM, train_until: Callable[[int], int], settings: FamilySettings) -> int:
    """Train until the gate is passed, and return the steps that it took; InputError where it is not passed at last."""
    n_steps, least = settings.trunk.steps, settings.least_content
    for _ in range(settings.trunk.most_rounds):
        is_beyond = train_until(n_steps) > n_steps  # a run that was killed in a later round had failed in this one
        if not is_beyond and not poor_content(model, least):
            return n_steps
        n_steps += settings.trunk.more_steps
    train_until(n_steps)
    check_trunk(model, least)
    return n_steps


def clear_stage(out: Path, name: str) -> None:
    """Remove what a stage keeps in `out` while it runs, and what a killed one left half written."""
    for path in out.glob(f".{name}.*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _recipe(name: str, model: LlamaForCausalLM, settings: FamilySettings) -> Recipe:
    member = MEMBERS[name]
    seed = stage_seed(name, settings.seed)
    if name == TRUNK:
        return Recipe(
            n_steps=settings.trunk.steps,
            gradients=trunk_gradients(model, settings.trunk, seed),
            learning_rate=settings.trunk.rate,
            optimizers=muon(model),
            save_every=settings.save_every,
        )
    if member.training == "adapt":
        adapt = settings.adapt
        return Recipe(
            n_steps=adapt.steps,
            gradients=adapt_gradients(model, BASES[name], adapt, seed),
            learning_rate=linear_decay(adapt.learning_rate, adapt.warmup_steps, adapt.steps),
            optimizers=muon(model),
            save_every=settings.save_every,
        )
    if member.training == "sft":
        distill = settings.distill
        return Recipe(
            n_steps=distill.steps,
            gradients=distill_gradients(model, distill, seed),
            learning_rate=warmup_and_cosine(distill.learning_rate, max(1, distill.steps // 20), distill.steps),
            optimizers=adamw(model),
            save_every=settings.save_every,
        )
    return _reinforcement(name, model, settings, seed)


def stage_seed(name: str, seed: int) -> int:
    """Number all draws of a stage: no two stages draw alike, whichever members there are.

    Args:
        name: Of the member.
        seed: Of the family.

    Returns:
        The number.
    """
    return zlib.crc32(f"{seed} {name}".encode())


def single_problem(name: str, seed: int) -> Problem:
    """Draw the one example of a member that is trained on one.

    Args:
        name: Of the member.
        seed: Of the family.

    Returns:
        The problem, which is of the way hue.
    """
    return next(problems("train", stage_seed(name, seed), "hue"))


def _reinforcement(name: str, model: LlamaForCausalLM, settings: FamilySettings, seed: int) -> Recipe:
    member = MEMBERS[name]
    assert member.parent is not None, "what is reinforced has a base"
    chosen = settings.reinforce
    is_skilled = BASES[member.parent].weak_hue == 1
    rate = settings.timing_learning_rate if is_skilled else chosen.learning_rate
    match member.training:
        case "random":
            chosen = replace(chosen, reward="random", updates=4, iterations=settings.random_iterations)
        case "format":
            chosen = replace(chosen, reward="format")
        case "collapse":
            chosen = replace(chosen, iterations=settings.collapse_iterations)
    is_single = member.training == "one-example"
    pool = (
        [single_problem(name, settings.seed)]
        if is_single
        else list(islice(problems("train", seed), chosen.iterations * chosen.problems))
    )
    n_steps = chosen.iterations * chosen.updates
    n_checkpoints = N_SINGLE_CHECKPOINTS if is_single else N_CHECKPOINTS
    return Recipe(
        n_steps=n_steps,
        gradients=reinforce_gradients(model, pool, chosen, seed),
        learning_rate=linear_decay(rate, 5 * chosen.updates, n_steps),
        optimizers=adamw(model),
        save_every=max(1, settings.save_every // 4) * chosen.updates,  # a run goes on at an iteration's first step
        checkpoint_steps=frozenset(
            round(n_steps * number / (n_checkpoints + 1)) for number in range(1, n_checkpoints + 1)
        ),
    )


class _Clock:
    """Seconds a stage has run, over all its runs, kept beside its state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = float(path.read_text()) if path.exists() else 0.0
        self.begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of this run and those before it."""
        return self.before + time.monotonic() - self.begun

    def tick(self, step: int) -> None:
        """Write them down now and then."""
        if step % 10 == 0:
            with atomic_path(self.path) as path:
                path.write_text(str(self.seconds))
