"""Pairs of tiny random models, and answers made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from reasonlens.models import LanguageModel
from reasonlens.pairs import Pair
from reasonlens.pairs.decisions.answers import SwapAnswer
from reasonlens.traces import Span
from reasonlens.traces.questions import Question

ASKED = ("What is 2?", "Why is it 17 and not 3, so to say?", "Say no more.", "Is it?", "And now?", "How so, then?")


def moved(model: LanguageModel, seed: int = 1) -> LanguageModel:
    """Move the weights of a model a little."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.add_(0.4 * weight.std().nan_to_num() * torch.randn(weight.shape, generator=generator))
    return model


def made_pair(tiny: Callable[..., LanguageModel], *, is_one: bool = False) -> Pair:
    """Make a pair of a tiny model and itself moved a little, or just itself; right is a text with an e."""
    questions = tuple(Question(f"p{number}", asked) for number, asked in enumerate(ASKED))
    return Pair(
        name="tiny",
        base=tiny("llama"),
        thinking=tiny("llama") if is_one else moved(tiny("llama")),
        train=(),
        validation=questions[:2],
        test=questions[2:],
        grader=lambda question, text: len(text) % 2 == 0,
        annotator=lambda prompt, text: [Span(0, max(1, len(text) // 2), "first half")],
        thinking_template="plain",
    )


def answer(n_tokens: int = 10, is_solved: bool | None = False, **more: object) -> SwapAnswer:
    """Make an answer without divergences."""
    plain = SwapAnswer(
        text="",
        n_tokens=n_tokens,
        is_solved=is_solved,
        is_truncated=False,
        n_swapped=0,
        n_changed=0,
        in_top=(0, 0, 0),
        own_in_top=(0, 0, 0),
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def answers(right: Sequence[int], **more: object) -> list[SwapAnswer]:
    """Make an answer for each question, right where there is a 1."""
    return [answer(is_solved=bool(one), **more) for one in right]
