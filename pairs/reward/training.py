"""Train one vector a block in a frozen base: sample groups of responses, reward them, follow the policy gradient.

All draws of a step derive from the seed and the step's number, and vectors and moments of Adam are on disk after every
step. So a run that is taken up again ends with the very vectors of an undisturbed one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam

from ...models import LanguageModel
from ...organisms.training.loop import train as run_steps
from ...organisms.training.schedule import linear_decay
from ...rundir import InputError, RowLog, RunDirectory
from ...vectors.reward import Attempts, learn
from .settings import RewardSettings
from .task import RewardTask

WARMUP_STEPS = 3
STATE = "state.safetensors"
LOG = "training.jsonl"
# Columns of the log: means over the responses of a step; kl in nats a token; tokens of the responses; tokens_run: run
# through the models to sample, to learn and to compare, prompts included, twice where a gradient goes back; seconds of
# sampling and learning together.
COLUMNS = {
    "step": int,
    "reward": float,
    "solved": float,
    "in_form": float,
    "kl": float,
    "norm": float,
    "n_learnt": int,
    "tokens": int,
    "tokens_run": int,
    "tokens_a_second": float,
    "seconds": float,
}


def train_on(
    task: RewardTask,
    base: LanguageModel,
    units: Mapping[int, float],
    settings: RewardSettings,
    run: RunDirectory,
    progress: bool = True,
) -> Float[Tensor, "n_layers d_model"]:
    """Train vectors.

    Args:
        task: Problems and rewards.
        base: The model, which stays as it is.
        units: Block that gets a vector -> size of a coordinate there.
        settings: How it is trained.
        run: Where state and log are kept.
        progress: Whether a bar is shown.

    Returns:
        One row a block, zeros at those that get none.

    Raises:
        InputError: The vectors have grown beyond all numbers.
    """
    log = run.log(LOG, key="step", columns=COLUMNS)
    state = run.file(STATE)
    if state is None:
        with TemporaryDirectory() as directory:
            return _Training(task, base, units, settings, log).run(Path(directory) / STATE, progress)
    return _Training(task, base, units, settings, log).run(state, progress)


def steps_of(run: RunDirectory) -> list[dict[str, Any]]:
    """List the rows of a training's log, step by step."""
    return sorted(run.log(LOG, key="step", columns=COLUMNS).values(), key=lambda row: int(row["step"]))


class _Training:
    """Vectors in training."""

    def __init__(
        self,
        task: RewardTask,
        base: LanguageModel,
        units: Mapping[int, float],
        settings: RewardSettings,
        log: RowLog,
    ) -> None:
        self._task, self._base, self._settings, self._log = task, base, settings, log
        self._vectors = nn.ParameterDict(
            {str(layer): nn.Parameter(torch.zeros(base.d_model, device=base.device)) for layer in units}
        )
        self._steered = base.with_vectors({int(layer): vector for layer, vector in self._vectors.items()})
        self._optimizer = Adam(
            [{"params": [vector], "unit": units[int(layer)]} for layer, vector in self._vectors.items()]
        )
        self._row: dict[str, float | int] = {}
        self._began = 0.0

    def run(self, state: Path, progress: bool) -> Float[Tensor, "n_layers d_model"]:
        settings = self._settings
        run_steps(
            self._vectors,
            [self._optimizer],
            n_steps=settings.steps,
            gradients=self._gradients,
            learning_rate=linear_decay(settings.learning_rate, WARMUP_STEPS, settings.steps),
            state=state,
            label="vectors",
            save_every=1,
            after=self._after,
            progress=progress,
        )
        rows = torch.zeros(self._base.n_layers, self._base.d_model)
        for layer, vector in self._vectors.items():
            rows[int(layer)] = vector.detach().float().cpu()
        return rows

    def _gradients(self, step: int) -> Mapping[str, float]:
        self._began = time.monotonic()
        settings, task = self._settings, self._task
        pool = task.train
        first = step * settings.problems
        questions = [
            pool[(first + number) % len(pool)] for number in range(settings.problems) for _ in range(settings.samples)
        ]
        seed = int(np.random.default_rng([settings.seed, step]).integers(2**62))
        responses = task.respond(self._steered, questions, seed)
        grades = task.grades(self._base, questions, responses)
        rewards = torch.tensor([grade.reward for grade in grades]).view(settings.problems, settings.samples)
        prompts = task.prompts(self._base, questions)
        attempts = Attempts(prompts, responses, rewards)
        n_sampled = sum(
            len(prompt) + len(response) - 1 for prompt, response in zip(prompts, responses, strict=True) if response
        )
        learnt = learn(
            self._steered,
            self._base,
            list(self._vectors.values()),
            attempts,
            temperature=settings.sampling.temperature,
            kl_weight=settings.kl_weight,
        )
        self._row = {
            "step": step + 1,
            "reward": float(rewards.mean()),
            "solved": float(np.mean([grade.is_solved for grade in grades])),
            "in_form": float(np.mean([grade.is_in_form for grade in grades])),
            "kl": learnt.kl,
            "n_learnt": learnt.n_learnt,
            "tokens": attempts.n_tokens,
            "tokens_run": n_sampled + learnt.n_run,
        }
        return {name: float(self._row[name]) for name in ("reward", "kl")}

    def _after(self, step: int) -> None:
        vectors: Sequence[Tensor] = list(self._vectors.values())
        if not all(bool(vector.isfinite().all()) for vector in vectors):
            raise InputError(f"the vectors hold NaN or infinity after step {step}: give a smaller --learning-rate")
        if step in self._log:  # a run that was killed between the log and the state does this step again
            return
        seconds = max(time.monotonic() - self._began, 1e-9)
        norm = sum(float(vector.detach().square().sum()) for vector in vectors) ** 0.5
        timing = {"norm": norm, "tokens_a_second": self._row["tokens"] / seconds, "seconds": seconds}
        self._log.add([self._row | timing])
