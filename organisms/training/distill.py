"""Supervised fine-tuning of a base on right responses of the ideal writer; every word of a response is learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import LlamaForCausalLM

from ..corpus import encode_prompt, encode_response, make_batch
from ..labeller import read
from ..policy import IDEAL, Writer, write
from ..task import Problem, problems
from .lesson import Lesson


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """steps of the optimiser, texts a step; problems: how many are asked, of which those solved are learnt from."""

    steps: int = 100
    texts: int = 32
    problems: int = 3000
    learning_rate: float = 1e-3


def right_texts(n_problems: int, seed: int) -> list[tuple[Problem, list[str]]]:
    """Write ideal responses to training problems and leave out those that the token limit cuts off."""
    generator = np.random.default_rng(seed)
    texts = [
        (problem, write(problem, Writer(IDEAL), generator)) for problem in islice(problems("train", seed), n_problems)
    ]
    return [(problem, words) for problem, words in texts if read(problem, words).is_solved]


def distill_gradients(
    model: LlamaForCausalLM, settings: DistillSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """Make the gradients of each step, for `loop.train`; texts are drawn by the step's number."""
    texts = right_texts(settings.problems, seed)

    def gradients(step: int) -> Mapping[str, float]:
        epoch, place = divmod(step, len(texts) // settings.texts)
        order = np.random.default_rng([seed, epoch]).permutation(len(texts))
        step_texts = [texts[int(number)] for number in order[place * settings.texts : (place + 1) * settings.texts]]
        batch = make_batch(
            [encode_prompt(problem) for problem, _ in step_texts],
            [encode_response(words, is_ended=True) for _, words in step_texts],
        )
        return {"loss": Lesson(batch, batch.is_response.float()).learn(model)}

    return gradients
