"""The gate between the trunk and its bases: whether every kind of word is said rightly where it should be.

Along drill, which makes every move in every state, the likeliest word is compared with the right one, and the end of
the response, which is hardly ever the likeliest where it is wrong, is measured by its probability. What a trunk does
not know its bases lack too, so that timing and skill could not be told apart in any pair.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

import numpy as np
import torch
from transformers import LlamaForCausalLM

from ...rundir import InputError
from ..corpus import encode_prompt, encode_response, make_batch, vocabulary
from ..language import NONE, STOP, Move, parse, tokenizer
from ..machine import Machine
from ..policy import DRILL, Writer, write
from ..task import problems
from ..world import WEAK

N_PROBLEMS = 64
FEWEST = 20  # words of a kind that is judged
GOING_ON = "going on"  # that a response does not end after a sentence that is no answer
LEAST_GOING_ON = 0.999  # a response has about forty sentences, so one in 25 would end too early

# What the arguments of each move are called; the way of a plan is a decision.
NAMES: dict[Move, tuple[str, ...]] = {
    "restate": ("bad taste",),
    "plan": ("level of a plan", "goal"),
    "try": ("candidate", "code", "hit"),
    "check": ("taste", "verdict"),
    "accept": ("accepted level", "accepted candidate"),
}


@torch.no_grad()
def content_accuracy(model: LlamaForCausalLM, seed: int = 0) -> dict[str, float]:
    """Measure how often a model's likeliest word is the right one, along right responses to validation problems.

    Args:
        model: The trunk.
        seed: Of problems and responses.

    Returns:
        Kind of word -> share that is right, and `GOING_ON` -> mean probability. Hues of weak symbols and words for what
        is not there are left out.
    """
    generator = np.random.default_rng(seed)
    chosen_problems = list(islice(problems("validation", seed), N_PROBLEMS))
    responses = [write(problem, Writer(DRILL), generator) for problem in chosen_problems]
    batch = make_batch(
        [encode_prompt(problem) for problem in chosen_problems],
        [encode_response(words, is_ended=False) for words in responses],
    )
    logits = model(batch.ids, use_cache=False).logits
    likeliest = logits.argmax(-1).tolist()
    going_on = 1 - logits.softmax(-1)[..., tokenizer().eos_token_id]
    is_going_on: list[float] = []
    is_right: defaultdict[str, list[bool]] = defaultdict(list)
    for row, (problem, words, predicted) in enumerate(zip(chosen_problems, responses, likeliest, strict=True)):
        machine, start = Machine(problem), 0
        before = len(encode_prompt(problem)) - 1  # the place of the word that predicts the first of the response
        for stop in (place for place, word in enumerate(words) if word == STOP):
            sentence = parse(words[start : stop + 1])
            assert sentence is not None, "what a writer writes is of the language"
            move, content = sentence
            for number, (name, word) in enumerate(zip(NAMES.get(move, ()), content, strict=False)):
                is_weak = name == "code" and machine.way == "hue" and content[0] in WEAK
                if word != NONE and not is_weak:
                    place = start + 2 + number
                    is_right[name].append(predicted[before + place] == vocabulary()[word])
            if move != "answer":
                is_going_on.append(float(going_on[row, before + 1 + stop]))
            machine.advance(move, content)
            start = stop + 1
    shares = {name: float(np.mean(words)) for name, words in is_right.items() if len(words) >= FEWEST}
    return {**shares, GOING_ON: float(np.mean(is_going_on))}


def poor_content(model: LlamaForCausalLM, least: float) -> dict[str, float]:
    """Find what a trunk says too seldom rightly.

    Args:
        model: The trunk.
        least: Share of right words that each kind must reach.

    Returns:
        Kind of word -> share that is right, of those below.
    """
    return {name: share for name, share in content_accuracy(model).items() if share < _least_of(name, least)}


def _least_of(name: str, least: float) -> float:
    return LEAST_GOING_ON * (least > 0) if name == GOING_ON else least


def check_trunk(model: LlamaForCausalLM, least: float) -> None:
    """Refuse a trunk that does not know the content of its language.

    Args:
        model: The trunk.
        least: Share of right words that each kind must reach.

    Raises:
        InputError: A kind of word is right too seldom.
    """
    poor = poor_content(model, least)
    if poor:
        listed = ", ".join(f"{name} {share:.4f} of {_least_of(name, least):g}" for name, share in poor.items())
        raise InputError(
            f"the trunk says too few words rightly: {listed}; train another seed, or longer: no base is made from this "
            "one"
        )
