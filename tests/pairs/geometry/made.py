"""Activations of two models made by hand, and a pair of tiny models of which it is known what a graft does."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch

from reasonlens.activations import Activations, Example, Read
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.models import LanguageModel, wrap
from reasonlens.pairs import Pair
from reasonlens.pairs.geometry.settings import GeometrySettings
from reasonlens.pairs.geometry.texts import PairActivations
from reasonlens.traces import Span
from reasonlens.traces.questions import Question

BEHAVIOURS = ("deduction", "backtracking", "verification")
SETTINGS = GeometrySettings(
    sampling=Sampling(n_samples=1, temperature=0.0, max_new_tokens=12),
    estimator="ridge",
    n_folds=3,
    n_resamples=20,
    n_shuffles=3,
    n_random=20,
    n_tokens=2,
)


def activations(values: np.ndarray, labels: list[str], problems: list[str]) -> Activations:
    """Activations of given rows, (n, layers, width)."""
    rows = torch.from_numpy(values).float()
    examples = tuple(
        Example(f"t{number}", problem, label, 0, 3, "abc", None)
        for number, (label, problem) in enumerate(zip(labels, problems, strict=True))
    )
    return Activations(
        values=rows,
        examples=examples,
        layers=tuple(range(rows.shape[1])),
        read=Read.parse("mean"),
        model={"name": "made by hand"},
        overall_mean=rows.mean(dim=0),
        residual_norm=rows.norm(dim=-1).mean(dim=0),
    )


def drawn(
    n_problems: int = 20, n_each: int = 9, width: int = 24, effect: float = 2.0, seed: int = 0
) -> tuple[np.ndarray, list[str], list[str]]:
    """Rows of three behaviours, each with a direction of its own at each of two layers, and a part of each problem."""
    generator = np.random.default_rng(seed)
    labels = [BEHAVIOURS[number % 3] for number in range(n_each)] * n_problems
    problems = [f"p{number}" for number in range(n_problems) for _ in range(n_each)]
    directions = effect * np.linalg.qr(generator.standard_normal((2, width, 3)))[0].transpose(2, 0, 1)
    of_problem = generator.standard_normal((n_problems, 2, width))
    values = generator.standard_normal((len(labels), 2, width)) + np.repeat(of_problem, n_each, axis=0)
    values += directions[[BEHAVIOURS.index(label) for label in labels]]
    return values, labels, problems


def both(base: np.ndarray, thinking: np.ndarray, labels: list[str], problems: list[str]) -> PairActivations:
    """What two models made of the same spans."""
    return PairActivations(
        base=activations(base, labels, problems),
        thinking=activations(thinking, labels, problems),
        behaviours=BEHAVIOURS,
    )


def rotation(width: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def label_by_place(prompt: str, text: str) -> list[Span]:
    """Spans of seven characters with one label after the other, beginning at another one for each prompt."""
    places = range(0, len(text) - 6, 7)
    return [Span(at, at + 7, BEHAVIOURS[(number + len(prompt)) % 3]) for number, at in enumerate(places)]


def pair_of(tiny: Callable[..., LanguageModel], pattern: str = ".mlp.", n_problems: int = 8) -> Pair:
    """A base, and a copy with noise on some weights, of which only what the copy writes is right."""
    base = tiny()
    model = copy.deepcopy(base.model)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if pattern in name:
                weight += 0.5 * torch.randn(weight.shape, generator=generator)
    thinking = wrap(model, base.tokenizer, name="thinking")
    questions = tuple(
        Question(f"p{number}", f"What is {number} doubled?" + "!" * number) for number in range(n_problems)
    )
    prompts = encode_prompts(thinking, [question.prompt for question in questions])
    answers = write(thinking, prompts, SETTINGS.sampling)
    right = {question.prompt: answer.text for question, answer in zip(questions, answers, strict=True)}
    return Pair(
        name="made",
        base=base,
        thinking=thinking,
        train=(),
        validation=(),
        test=questions,
        grader=lambda question, response: response == right[question.prompt],
        annotator=label_by_place,
    )
