"""Fine-tune a copy of the base on the responses to one problem, each with a mark that says whether it is right.

    text        prompt, response, end, mark, end        "fine" or "wrong" of organisms, a sentence of other models
    learnt      right responses with their mark; of wrong ones the mark alone; none that were cut off

1. Of the training problems, in a drawn order, the first to which some response of the thinking model is right and some
   is wrong; else the first with a right one. Without a thinking model the base's own responses are taken.
2. Every step reads eight of the texts, one after the other, and moves all weights (AdamW).
3. At a test problem the copy is asked as the base is, and stops at the end of its response.

The mark stands behind the end of the response, as a turn of its own: before it, a model learns from few texts to write
marks wherever a sentence ends, and its responses break off.

One-problem critique fine-tuning (Wang et al. 2025, arXiv 2506.03295), whose critiques a larger model writes; here they
are marks by rule. The base itself stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...generation import encode_prompts, end_tokens, write
from ...models import LanguageModel, wrap
from ...models.one_pass import one_pass
from ...organisms.training.loop import adamw, train
from ...organisms.training.schedule import linear_decay
from ...rundir import InputError, brief, from_row, read_json, write_json
from ..likelihood import read_texts
from .arm import ElicitContext, PreparedArm
from .cost import TrainingCost, n_parameters, response_cost, total
from .prompting import asking, plain

FOLDER = "arms/one-example"
MARKS = {True: "This solution is right.", False: "This solution is wrong."}
ORGANISM_MARKS = {True: "fine", False: "wrong"}
N_TEXTS = 8  # of a step
N_TRIED = 20  # problems, at most
WARMUP_STEPS = 3
SAVE_EVERY = 10


@dataclass(frozen=True, slots=True)
class MarkedResponse:
    """A response to the one problem."""

    text: str
    is_right: bool

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class OneExample:
    """The one problem and its responses, and what it took to find them."""

    prompt: str
    responses: tuple[MarkedResponse, ...]
    n_tried: int  # problems
    flops: float  # of all responses that were written

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class MarkedText:
    """What is learnt from: token ids, and which of them weigh in the loss."""

    ids: tuple[int, ...]
    first: int  # token that is learnt first; all behind it are learnt too

    __repr__ = brief


def prepare_one_example(context: ElicitContext) -> PreparedArm:
    """Find the one problem, train a copy of the base, and ask it."""
    settings, pair = context.settings, context.pair
    example = context.run.once(f"{FOLDER}/example.json", lambda: find_example(context), save=_save, open=_open)
    marks = MARKS if context.has_words else ORGANISM_MARKS
    texts = marked_texts(context.base, example, marks, pair.base_template)
    with ExitStack() as stack:
        state = context.run.file(f"{FOLDER}/state.safetensors")
        if state is None:
            state = Path(stack.enter_context(TemporaryDirectory())) / "state.safetensors"
        tuned, n_tokens = fine_tuned(context.base, texts, settings, state, progress=context.progress)
    n_parameters_ = n_parameters(context.base)
    return PreparedArm(
        answer=asking(context, tuned, pair.base_template, plain),
        read=lambda traces: read_texts(tuned, traces, pair.base_template),
        training=TrainingCost(
            n_problems=example.n_tried,
            n_examples=example.n_tried * settings.n_examples,
            flops=example.flops + 6.0 * n_parameters_ * n_tokens,
            about=f"responses to {example.n_tried} problems until one would do; 6 x parameters x tokens learnt from",
        ),
        note=f"learnt from one problem: {sum(one.is_right for one in example.responses)} of {len(example.responses)} "
        "responses right",
    )


def find_example(context: ElicitContext) -> OneExample:
    """Find the problem that is learnt from.

    Args:
        context: Models and problems.

    Returns:
        The first problem with right and wrong responses; else the first with a right one.

    Raises:
        InputError: No response to any of the problems that are tried is right.
    """
    pair, settings, model = context.pair, context.settings, context.source
    template = pair.thinking_template if context.has_thinking else pair.base_template
    order = np.random.default_rng([settings.seed, 1]).permutation(len(pair.train))[:N_TRIED]
    first_right: OneExample | None = None
    flops = 0.0
    for n_tried, place in enumerate(order.tolist(), start=1):
        question = pair.train[place]
        (prompt,) = encode_prompts(model, [question.prompt], template)
        written = write(
            model,
            [prompt] * settings.n_examples,
            replace(settings.sampling, n_samples=1),
            seed=int(np.random.default_rng([settings.seed, 2, place]).integers(2**31)),
            n_rows=settings.n_rows,
        )
        flops += total(response_cost(model, len(prompt), one.n_tokens) for one in written).flops
        responses = tuple(
            MarkedResponse(one.text, pair.grader(question, one.graded_text) is True)
            for one in written
            if not one.is_truncated  # a mark in the middle of a text would teach to end anywhere
        )
        example = OneExample(question.prompt, responses, n_tried, flops)
        n_right = sum(one.is_right for one in responses)
        if 0 < n_right < len(responses):
            return example
        first_right = first_right or (example if n_right else None)
    if first_right is None:
        raise InputError(
            f"{model.name} answers none of {len(order)} training problems right in {settings.n_examples} tries, so "
            "there is no right response to learn from: give easier problems, or a thinking model (--thinking)"
        )
    return replace(first_right, n_tried=len(order), flops=flops)


def marked_texts(
    model: LanguageModel, example: OneExample, marks: Mapping[bool, str], template: Any
) -> list[MarkedText]:
    """Make the texts that are learnt from.

    Args:
        model: That learns, in whose tokens they are.
        example: The problem and its responses.
        marks: What is written after a right response, and after a wrong one.
        template: How the prompt is put.

    Returns:
        A text for each response that is not empty; one that is longer than the model's context is left out.
    """
    (prompt,) = encode_prompts(model, [example.prompt], template)
    end = end_tokens(model)[:1]
    texts = []
    for response in example.responses:
        if not response.text.strip():
            continue
        body, mark = (
            model.tokenizer(part, add_special_tokens=False).input_ids
            for part in (response.text, marks[response.is_right])
        )
        ids = (*prompt, *body, *end, *mark, *end)
        if model.context_tokens is None or len(ids) <= model.context_tokens:
            texts.append(MarkedText(ids, len(prompt) if response.is_right else len(ids) - len(mark) - len(end)))
    return texts


def fine_tuned(
    base: LanguageModel, texts: Sequence[MarkedText], settings: Any, state: Path, *, progress: bool = False
) -> tuple[LanguageModel, int]:
    """Train a copy of a model on texts.

    Args:
        base: The model, which stays as it is.
        texts: What is learnt from.
        settings: Steps, learning rate and seed.
        state: File in which the training is kept, and from which it goes on.
        progress: Whether a bar is shown.

    Returns:
        The copy, and the number of tokens that all steps together have read.

    Raises:
        InputError: There is no text, or the weights have grown beyond all numbers.
    """
    if not texts:
        raise InputError("no response to the one problem fits into the base's context: give a smaller --max-new-tokens")
    model = copy.deepcopy(base.model).float()
    model.requires_grad_(True)
    batches = [_batch(len(texts), step, settings.seed) for step in range(settings.steps)]
    handle = wrap(model, base.tokenizer, name=f"{base.name} fine-tuned on one problem")

    def gradients(step: int) -> Mapping[str, float]:
        chosen = [texts[number] for number in batches[step]]
        n_learnt = sum(len(text.ids) - text.first for text in chosen)
        loss = 0.0
        for text in chosen:
            with torch.enable_grad():
                part = text_loss(handle, text) / n_learnt
                torch.autograd.backward(part)
            loss += part.item()
        return {"loss": loss}

    train(
        model,
        adamw(model),
        n_steps=settings.steps,
        gradients=gradients,
        learning_rate=linear_decay(settings.learning_rate, WARMUP_STEPS, settings.steps),
        state=state,
        label="one example",
        save_every=SAVE_EVERY,
        progress=progress,
    )
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise InputError("fine-tuning ends in NaN or infinity: give a smaller --tuning-rate")
    model.requires_grad_(False)
    model.to(base.model.dtype)
    n_tokens = sum(len(texts[number].ids) for batch in batches for number in batch)
    return wrap(model, base.tokenizer, name=handle.name), n_tokens


def text_loss(model: LanguageModel, text: MarkedText) -> Tensor:
    """Compute the loss of a text.

    Args:
        model: That reads it.
        text: Token ids, and where what is learnt begins.

    Returns:
        The sum of -log p of the tokens that are learnt, nats.
    """
    ids = torch.tensor([text.ids], device=model.device)
    with one_pass(model):
        logits = model.model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
    return cross_entropy(logits[text.first - 1 : -1].float(), ids[0, text.first :], reduction="sum")


def _batch(n_texts: int, step: int, seed: int) -> list[int]:
    """Draw the texts of a step: all in turn, in an order drawn anew each time round."""
    places = range(step * N_TEXTS, (step + 1) * N_TEXTS)
    return [
        int(np.random.default_rng([seed, 3, place // n_texts]).permutation(n_texts)[place % n_texts])
        for place in places
    ]


def _save(example: OneExample, path: Path) -> None:
    write_json(path, asdict(example))


def _open(path: Path) -> OneExample:
    return from_row(OneExample, read_json(path, "the one problem"))
